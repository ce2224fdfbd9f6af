#!/usr/bin/env python3
"""Mistakes planted into copies of runtime/, one at a time: the named client must notice. SPDX-License-Identifier: MIT

usage: mutants.py --build DIR [--jobs N] [NAME...]
       mutants.py --check [NAME...]     only sees that each has its place in the sources, and no unknown name

The mutants of the client file clients/X.c are in mutants/X.txt. One of them:

    mutant: NAME
    client: NAME of the client that must fail
    why: what is wrong
    in: FUNCTION
    - code that is replaced or deleted
    + code that is put there
      code that stays: it says where

"in" begins an edit, and there may be several. It names a function, "struct NAME" or "macro NAME", in any file of runtime/:
"FUNCTION@FILE.c" where two files have a static function of that name, and only there. The lines "-" and "  " together are
the code that is looked for. It may be a part of a statement, white space and comments do not count, and it must be in the
function exactly once; "in: FUNCTION at LABEL" looks only at operations with that label (mo LABEL). The lines "+" stand
between the tokens that stay, and use only names that runtime/ has somewhere, and the keywords of C. A line that begins with
"#" is a comment.

A mutant that has no place, one that changes nothing, one that does not compile, and a client that does not fail are
failures. Exit code: 0 all are noticed, 1 one is not, 2 a mutant has no place or an unknown name, or a file of mutants/
cannot be read.
"""
import argparse
import concurrent.futures
import difflib
import glob
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from source import Tree, tokens  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.realpath(os.path.join(HERE, "..", ".."))
RUNTIME = os.path.join(ROOT, "runtime")
CLIENT_SECONDS = 60
NAME = re.compile(r"[A-Za-z_]\w*")
KEYWORDS = frozenset("""auto break case char const continue default do double else enum extern float for goto if inline int
	long register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
	_Alignas _Alignof _Atomic _Bool _Complex _Generic _Imaginary _Noreturn _Static_assert _Thread_local""".split())


class Refused(Exception):
    """What is wrong with a mutant, and where it is written."""


class Edit:
    """Code to look for in one definition, and what it becomes."""

    def __init__(self, place, lines):
        self.place = place  # "mutants/X.txt:LINE"
        self.lines = lines  # (sign, code, place): "-" goes, "+" comes, " " stays
        self.function = self.file = self.label = None

    def address(self, text):
        m = re.fullmatch(r"((?:(?:struct|union|enum|macro) )?\w+)(?:@(\S+))?(?: at (\S+))?", text)
        if not m:
            raise Refused(f'wants "in: FUNCTION", "in: FUNCTION at LABEL" or "in: FUNCTION@FILE", not "in: {text}"')
        self.function, self.file, self.label = m.groups()

    def code(self, signs):
        return [t.text for sign, line, _ in self.lines if sign in signs for t in tokens(line)]

    def definition(self, tree):
        found = tree.by_name.get(self.function, [])
        if not found:
            raise Refused(f"no file of runtime/ defines {self.function}")
        files = sorted({d.file for d in found})
        if self.file and len(files) == 1:
            raise Refused(f"only {files[0]} defines {self.function}: it needs no @{self.file}")
        if self.file:
            found = [d for d in found if os.path.basename(d.file) == self.file]
            if not found:
                raise Refused(f"no {self.file} defines {self.function}: {', '.join(files)} do")
        elif len(files) > 1:
            raise Refused(f"{self.function} is defined in {' and '.join(files)}: write {self.function}@{os.path.basename(files[0])}")
        if len(found) > 1:
            raise Refused(f"{found[0].file} defines {self.function} {len(found)} times")
        return found[0]

    def find(self, tree):
        """The file, and the first of its tokens that are looked for."""
        wanted = self.code("- ")
        if not wanted:
            raise Refused(f"says no code of {self.function} to look for")
        if wanted == self.code("+ "):
            raise Refused(f"changes nothing in {self.function}")
        d = self.definition(tree)
        file = tree.files[d.file]
        where = f"{self.function} ({d.file})"
        words = [t.text for t in file.tokens[d.first:d.last]]
        all_found = [d.first + i for i in range(len(words) - len(wanted) + 1) if words[i:i + len(wanted)] == wanted]
        found = all_found
        if self.label:
            found = [i for i in found
                     if any(self.label in file.labels_of(file.line(t.start)) for t in file.tokens[i:i + len(wanted)])]
            where += " at " + self.label
        if not found:
            raise Refused(f"not found in {where}: {' '.join(wanted)}" + self.elsewhere(tree, wanted, d, all_found))
        if len(found) > 1:
            lines = ", ".join(str(file.line(file.tokens[i].start)) for i in found)
            raise Refused(f"{len(found)} times in {where}, lines {lines}, wanted once: {' '.join(wanted)}")
        return file, found[0]

    @staticmethod
    def elsewhere(tree, wanted, but, unlabelled):
        if unlabelled:
            return " (it is there without that label)"
        found = []
        for name, definitions in tree.by_name.items():
            for d in definitions:
                words = [t.text for t in tree.files[d.file].tokens[d.first:d.last]]
                if d != but and any(words[i:i + len(wanted)] == wanted for i in range(len(words) - len(wanted) + 1)):
                    found.append(name)
        return f" (it is in {', '.join(sorted(set(found))[:5])})" if found else ""

    def changes(self, tree):
        """(file, start, end, text): what becomes of the file's text. A comment between the tokens stays, and so does every line."""
        file, i = self.find(tree)
        result, first = [], i
        for sign, line, _ in self.lines:
            if sign == "+":
                at = file.tokens[i - 1].end if i > first else file.tokens[i].start
                result.append((file, at, at, f" {line.strip()} "))
                continue
            for _ in tokens(line):
                if sign == "-":
                    result.append((file, file.tokens[i].start, file.tokens[i].end, ""))
                i += 1
        return result

    def unknown(self, names):
        """(place, name) of what the lines "+" name and `names` lacks."""
        return [(place, t.text) for sign, line, place in self.lines if sign == "+" for t in tokens(line)
                if NAME.fullmatch(t.text) and t.text not in names]


class Mutant:
    def __init__(self, place, name):
        self.place = place
        self.name = name
        self.client = self.why = None
        self.edits = []

    def texts(self, tree):
        """name of a file -> its text with the mistake."""
        changes = {}
        for e in self.edits:
            try:
                for file, start, end, text in e.changes(tree):
                    changes.setdefault(file.name, []).append((start, end, text))
            except Refused as r:
                raise Refused(f"{e.place}: {self.name}: {r}") from None
        result = {}
        for name, parts in changes.items():
            text, at = "", 0
            for start, end, new in sorted(parts, key=lambda p: p[:2]):
                if start < at:
                    raise Refused(f"{self.place}: {self.name}: two of its edits change the same code of {name}")
                text += tree.files[name].text[at:start] + new
                at = end
            result[name] = text + tree.files[name].text[at:]
        return result


def read_mutants(path):
    """The mutants of one file."""
    result, short = [], os.path.relpath(path, HERE)
    with open(path, encoding="utf-8") as f:
        lines = f.read().split("\n")
    for number, line in enumerate(lines, 1):
        place, mutant = f"{short}:{number}", result[-1] if result else None
        if line.startswith("#") or not line.strip():
            continue
        key, _, value = line.partition(": ")
        if key == "mutant" and re.fullmatch(r"\w+", value):
            result.append(Mutant(place, value))
        elif key in ("client", "why") and mutant and not mutant.edits and getattr(mutant, key) is None and value:
            setattr(mutant, key, value)
        elif key == "in" and mutant and mutant.client and mutant.why:
            mutant.edits.append(Edit(place, []))
            try:
                mutant.edits[-1].address(value)
            except Refused as r:
                raise Refused(f"{place}: {mutant.name}: {r}") from None
        elif re.match(r"[-+ ] ", line) and mutant and mutant.edits:
            mutant.edits[-1].lines.append((line[0], line[2:], place))
        else:
            raise Refused(f'{place}: wants "mutant: NAME", then "client: NAME" and "why: TEXT", then edits of "in: FUNCTION" '
                          f'and lines that begin with "- ", "+ " or two spaces; not: {line}')
    for m in result:
        if not m.edits:
            raise Refused(f"{m.place}: {m.name}: has no \"in: FUNCTION\"")
    return result


def read_all(tree, names):
    """The mutants with their texts, and what is refused."""
    mutants, refused, seen = [], [], {}
    known = KEYWORDS.union(t.text for f in tree.files.values() for t in f.tokens if NAME.fullmatch(t.text))
    for path in sorted(glob.glob(os.path.join(HERE, "mutants", "*.txt"))):
        try:
            for m in read_mutants(path):
                if m.name in seen:
                    refused.append(f"{m.place}: {m.name}: {seen[m.name]} has that name")
                seen[m.name] = m.place
                mutants.append(m)
        except Refused as r:
            refused.append(str(r))
    refused += [f"there is no mutant {n}" for n in names if n not in seen]
    mutants = [m for m in mutants if not names or m.name in names]
    result = []
    for m in mutants:
        try:
            result.append((m, m.texts(tree)))
        except Refused as r:
            refused.append(str(r))
        for place, name in (found for e in m.edits for found in e.unknown(known)):
            near = difflib.get_close_matches(name, known, 1, 0.75)
            refused.append(f"{place}: {m.name}: {name} is no name in runtime/" + (f"; did you mean {near[0]}?" if near else ""))
    return result, refused


class Build:
    """How the explorer's programs are built, read from what CMake wrote."""

    def __init__(self, folder):
        self.folder = folder = os.path.abspath(folder)
        with open(os.path.join(folder, "objects.json"), encoding="utf-8") as f:
            self.info = json.load(f)
        with open(os.path.join(self.info["top"], "compile_commands.json"), encoding="utf-8") as f:
            commands = json.load(f)
        self.command = {}
        for c in commands:
            args = shlex.split(c["command"])
            out = os.path.join(c["directory"], args[args.index("-o") + 1])
            self.command[os.path.realpath(out)] = (args, c["directory"], os.path.realpath(c["file"]))

    def object_of(self, source, objects):
        for o in objects:
            real = os.path.realpath(o)
            if real in self.command and self.command[real][2] == source:
                return real
        return None

    def compile(self, obj, copy, out):
        """Compiles what made `obj`, with the copy of runtime/ in place of the real one."""
        args, directory, source = self.command[obj]
        args = list(args)
        for i, a in enumerate(args):
            if a == "-I" + RUNTIME:
                args[i] = "-I" + copy
            elif a == "-o":
                args[i + 1] = out
        if source.startswith(RUNTIME + "/"):
            args[-1] = copy + source[len(RUNTIME):]
        for flag in ("-MD", "-Werror"):
            if flag in args:
                args.remove(flag)
        for flag in ("-MT", "-MF"):
            if flag in args:
                del args[args.index(flag):args.index(flag) + 2]
        done = subprocess.run(args, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return done.returncode, done.stdout


def includes(source, header, seen=None):
    """Does this source reach the header by quoted includes of runtime/?"""
    seen = seen if seen is not None else set()
    if source in seen or not os.path.exists(source):
        return False
    seen.add(source)
    with open(source, encoding="utf-8") as f:
        for name in re.findall(r'^\s*#\s*include\s*"([^"]+)"', f.read(), re.M):
            for base in (RUNTIME, os.path.dirname(source), os.path.join(ROOT, "tests")):
                path = os.path.realpath(os.path.join(base, name))
                if path == header or includes(path, header, seen):
                    return True
    return False


def run_mutant(build, mutant, texts):
    name, client = mutant.name, mutant.client
    work = os.path.join(build.folder, "mutants", name)
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    shutil.copytree(RUNTIME, os.path.join(work, "runtime"))
    changed = [os.path.join(RUNTIME, n) for n in texts]
    for n, text in texts.items():
        with open(os.path.join(work, "runtime", n), "w", encoding="utf-8") as f:
            f.write(text)
    program = client.split(".")[0]
    info = build.info
    own = [o for o in info["clients"] if os.path.basename(o).startswith(program + ".c.")]
    if not own:
        return name, False, f"no client file for {client}"
    objects = []
    for o in info["runtime"] + own:
        real = os.path.realpath(o)
        source = build.command[real][2]
        if any(source == p or (p.endswith(".h") and includes(source, p)) for p in changed):
            out = os.path.join(work, f"{len(objects)}-{os.path.basename(real)}")
            rc, log = build.compile(real, os.path.join(work, "runtime"), out)
            if rc:
                return name, False, "does not compile: " + log[-400:]
            objects.append(out)
        else:
            objects.append(real)
    exe = os.path.join(work, "model")
    done = subprocess.run([info["cc"], "-o", exe, *objects, *info["engine"], *info["libraries"]],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        return name, False, "does not link: " + done.stdout[-400:]
    try:
        done = subprocess.run([exe, "--client", client, "--seconds", str(CLIENT_SECONDS), "--quiet"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, timeout=CLIENT_SECONDS * 2, check=False)
    except subprocess.TimeoutExpired:
        return name, False, f"{client} does not come to its end"
    if done.returncode == 2:
        return name, False, f"there is no client {client}"
    if done.returncode == 0:
        return name, False, f"{client} does not notice"
    lines = done.stdout.splitlines()
    shutil.rmtree(work, ignore_errors=True)
    return name, True, f"{client}: {lines[2].strip() if len(lines) > 2 else 'crash'}"


def main():
    parser = argparse.ArgumentParser()
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--build")
    what.add_argument("--check", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    mutants, refused = read_all(Tree(RUNTIME), args.names)
    for r in refused:
        print(f"mutants.py: {r}", file=sys.stderr)
    if refused or not mutants:
        print(f"mutants.py: {len(refused)} refused, {len(mutants)} have their place", file=sys.stderr)
        return 2
    if args.check:
        print(f"{len(mutants)} mutants have their place")
        return 0
    build = Build(args.build)
    start, bad = time.monotonic(), 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for name, ok, how in pool.map(lambda m: run_mutant(build, *m), mutants):
            print(f"{name:<34} {'noticed ' if ok else 'SURVIVES'} {how[:150]}", flush=True)
            bad += not ok
    print(f"{len(mutants)} mutants: {len(mutants) - bad} noticed, {bad} survive; {time.monotonic() - start:.0f} s")
    return 1 if bad else 0


sys.exit(main())
