"""C text as tokens, and the place of a function in it: what mutants.py and edges.py address. SPDX-License-Identifier: MIT"""
import bisect
import collections
import os
import re

TOKEN = re.compile(r"""
	(?P<skip>\s+|\\\n|/\*.*?\*/|//[^\n]*)
	|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'
	|[A-Za-z_]\w*
	|\.?\d(?:[eEpP][+-]|[\w.])*
	|<<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|\#\#|.
	""", re.X | re.S)
LABEL = re.compile(r"\bmo\s+([A-Za-z]\S*\d\w*)\s*(?:->|<-|<>)")
LINES_ABOVE = 4  # as tools/lint: how far above an operation the comment with its label may stand

Token = collections.namedtuple("Token", "text start end")
# A definition: the tokens [first, last) of its file. name: "f" is a function, "struct s" and "macro M" are those.
Definition = collections.namedtuple("Definition", "name file first last")


def tokens(text):
    """The tokens of a text, without white space and comments."""
    return [Token(m.group(), m.start(), m.end()) for m in TOKEN.finditer(text) if m.group("skip") is None]


class File:
    """One source file: its tokens, the labels above its lines, what it defines."""

    def __init__(self, root, name):
        self.name = name
        with open(os.path.join(root, name), encoding="utf-8") as f:
            self.text = f.read()
        self.tokens = tokens(self.text)
        self.line_starts = [0] + [m.end() for m in re.finditer("\n", self.text)]
        self.labels = [LABEL.findall(line) for line in self.text.split("\n")]
        self.definitions = self._definitions()

    def line(self, offset):
        return bisect.bisect_right(self.line_starts, offset)

    def labels_of(self, line):
        """The labels in the nearest comment at the line or a few lines above it."""
        for back in range(min(LINES_ABOVE + 1, line)):
            if self.labels[line - 1 - back]:
                return self.labels[line - 1 - back]
        return []

    def function_at(self, line):
        for d in self.definitions:
            if self.line(self.tokens[d.first].start) <= line <= self.line(self.tokens[d.last - 1].end - 1):
                return d.name
        return "?"

    def _directive(self, i):
        """The end of the preprocessor's line that begins with token i; i if none does."""
        start = self.tokens[i].start
        if self.tokens[i].text != "#" or self.text[self.line_starts[self.line(start) - 1]:start].strip():
            return i
        end = re.compile(r"(?<!\\)\n|\Z").search(self.text, start).start()
        while i < len(self.tokens) and self.tokens[i].start < end:
            i += 1
        return i

    def _definitions(self):
        found, words = [], [t.text for t in self.tokens]
        i = begin = depth = 0
        while i < len(words):
            end = self._directive(i)
            if end != i:
                if words[i + 1:i + 2] == ["define"]:
                    found.append(Definition("macro " + words[i + 2], self.name, i, end))
                if depth == 0:
                    begin = end
                i = end
                continue
            if words[i] == "{":
                if depth == 0:
                    name, first = self._name(words, begin, i), begin
                depth += 1
            elif words[i] == "}":
                depth -= 1
                if depth == 0 and name:
                    found.append(Definition(name, self.name, first, i + 1))
            if depth == 0 and words[i] in (";", "}"):
                begin = i + 1
            i += 1
        return found

    @staticmethod
    def _name(words, begin, brace):
        """What the brace at file level opens; None for a table and the like."""
        if brace - begin >= 2 and words[brace - 2] in ("struct", "union", "enum"):
            return words[brace - 2] + " " + words[brace - 1]
        if brace == begin or words[brace - 1] != ")":
            return None
        depth, i = 0, brace - 1
        while i > begin:
            depth += {")": 1, "(": -1}.get(words[i], 0)
            if depth == 0:
                return words[i - 1]
            i -= 1
        return None


class Tree:
    """All sources below a folder."""

    def __init__(self, root):
        names = [os.path.relpath(os.path.join(folder, f), root)
                 for folder, _, files in os.walk(root) for f in files if f.endswith((".c", ".h"))]
        self.files = {n: File(root, n) for n in sorted(names)}
        self.by_name = collections.defaultdict(list)
        for f in self.files.values():
            for d in f.definitions:
                self.by_name[d.name].append(d)
