#!/usr/bin/env python3
"""How names in the documents are found and looked up; read by docs_names.py, whose head says which kinds there are.
SPDX-License-Identifier: MIT
"""
import difflib
import fnmatch
import glob
import os
import re
import shlex
import subprocess
import sys
import tempfile

# Labels of memory orders, as "mo LABEL" in the comments of runtime/ and as CONCURRENCY.md cites them. Both forms count.
LABEL = r"(?:[A-Z]{1,2}\d+[a-z]?|[a-z]+\.\d+)"
NOT_LABELS = {"C11", "C17", "RC11"}

CODE_DIRS = ("runtime", "include", "tools", "tests", "bench", "docs/examples")
TOPS = ("runtime", "include", "tools", "tests", "bench", "docs", ".ci")
# Where a path may begin when it is not written from the top.
ROOTS = ("", "runtime/", "include/", "tests/", "docs/", "tests/model/")
SUFFIX = r"(?:c|h|cc|md|sh|py|go|cmake|in|map|supp|accepted|\[ch\])"
TEST_KINDS = "unit stress e2e model sim guest bench".split()
# Pages about the inside: there every identifier in a code span is one of runtime/.
INSIDE = re.compile(r"docs/(ARCHITECTURE|CONCURRENCY)\.md$|docs/decisions/")
GONE_PAGES = re.compile(r"docs/decisions/|docs/BENCHMARKS\.md$")
GONE = re.compile(r"<!-- gone: ([^>]*?) -->")

# Names that are not of this tree, with the reason. One that no page uses is a finding.
FOREIGN = {
    "peer.cmake": "a file that the reader writes",
    "sched_yield": "a system call", "prctl": "a system call", "membarrier": "a system call",
    "madvise": "a system call", "move_pages": "a system call", "fork": "a system call", "errno": "of the C library",
    "malloc": "of the C library", "dlopen": "of the C library", "munmap": "a system call", "pthread_setspecific": "of the C library",
    "mmap": "a system call", "mbind": "a system call", "realloc": "of the C library", "memset": "of the C library",
    "sdallocx": "of jemalloc", "uv_replace_allocator": "of libuv",
    "thread_pool": "of Boost.Asio", "uv_async_send": "of libuv", "uv_queue_work": "of libuv",
    "BlockingConcurrentQueue": "of moodycamel", "rdtscp": "an instruction", "prefetcht0": "an instruction",
    "guest_halt_poll_ns": "a setting of the kernel", "CAP_SYS_NICE": "of the kernel", "RLIMIT_NICE": "of the kernel",
    "kernel.perf_event_paranoid": "a setting of the kernel", "SHUNT_X": "any variable",
    "libshunt": "the library", "mo": "the mark of a comment", "high_w99": "made by bench/own/levels.c of the level and w99",
    "s_g": "of a formula", "S": "of a formula", "g": "of a formula", "x": "of a formula",
}
# Words in capitals that are no constants.
PLAIN_CAPITALS = set("NUMA YAML JSON HTTP README SPDX ACPI HMAT QEMU SIGSTOP SIGCONT TESTING TUNING METRICS UTF EWMA FIFO".split())

# Programs whose flags are read off their sources: pattern of the program's name, sources of it, sources of its flags.
PROGRAMS = [
    (r"(?:build/[\w-]+/)?tests/(?P<kind>unit|stress|sim)/(?P<name>\w+)", "tests/{kind}/{name}.c", "tests/{kind}/*.c"),
    (r"(?:build/[\w-]+/)?tests/model/model_(?P<name>lines)", "tests/model/{name}/{name}.c", "tests/model/{name}/*.c"),
    (r"(?:build/[\w-]+/)?tests/model/model_(?P<name>\w+)", "tests/model/clients/{name}.c", "tests/model/*.c"),
    (r"(?:build/bench/bench/)?subject_(?P<name>shunt|raw_mpmc)", "bench/subjects/{name}.c", "bench/harness/*.c"),
    (r"(?:build/bench/bench/)?own_(?P<name>[a-z]+)", "bench/own/{name}.c", "bench/*/*.c"),
    (r"(?:build/bench/bench/)?bench_(?P<name>micro|steps)", "bench/micro/bench_{name}.cc", ""),
    (r"(?:build/bench/bench/)?bench_(?P<name>select)", "bench/micro/{name}_bench.cc", ""),
    (r"build/bench/bench/(?P<name>limits)", "bench/limits/{name}.c", "bench/limits/*.c"),
]


def blank_comments(text):
    """C without its comments; strings and line numbers stay."""
    token = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(token, lambda m: re.sub(r"[^\n]", " ", m.group(0)) if m.group(0)[0] == "/" else m.group(0), text, flags=re.S)


class Tree:
    """The files, what they define, and what the built command and the scripts know."""

    def __init__(self, root, shunt):
        self.root, self.shunt = root, shunt
        self.files, self.folders, self.cache = set(), set(), {}
        for folder, dirs, names in os.walk(root):
            dirs[:] = [d for d in dirs if d not in (".git", "__pycache__") and not (folder == root and d.startswith("build"))]
            self.folders.update(os.path.relpath(os.path.join(folder, d), root) for d in dirs)
            self.files.update(os.path.relpath(os.path.join(folder, n), root) for n in names)
        self.known = self.files | self.folders
        own = ("tests/e2e/docs_names.py", "tests/e2e/lib_docs.py")  # they name what is not there
        code = sorted(f for f in self.files if f.startswith(CODE_DIRS) and f not in own)
        self.c_files = [f for f in code if re.search(r"\.(c|h|cc)$", f)]
        self.words = set(re.findall(r"[A-Za-z_]\w*", "\n".join(self.code(f) for f in self.c_files)))
        self.script_text = "\n".join(self.text(f) for f in code + [".ci/run", "CMakeLists.txt"]
                                     if re.search(r"(\.py|\.sh|CMakeLists\.txt|\.cmake|^tools/[\w-]+|\.ci/run)$", f))
        self.script_words = set(re.findall(r"[A-Za-z_]\w*", self.script_text))
        self.strings = set(re.findall(r'"([^"\n]*)"', "\n".join(self.code(f) for f in self.c_files) + self.script_text))
        self.inside = set().union(*(self.defined(f) for f in self.c_files if f.startswith(("runtime/", "include/"))))
        # A module may be named by its file, a layer by its folder.
        self.modules = {p for f in self.c_files if f.startswith("runtime/") for p in (f.split("/")[1], f.split("/")[-1].split(".")[0])}
        self.labels = set(re.findall(rf"\bmo ({LABEL})\b", "\n".join(self.text(f) for f in self.c_files if f.startswith("runtime/"))))
        self.tests = self.find_tests()
        self.clients = set()
        for text in (self.text(f) for f in self.files if f.startswith("tests/model/clients/")):
            self.clients.update(re.findall(r'"([a-z_]+\.[a-z_0-9]+)"', text))
            for prefix in re.findall(r'"([a-z_]+\.)" \w+', text):
                self.clients.update(prefix + n for n in re.findall(r'\w\("([a-z_0-9]+)",', text))
        self.options = set(re.findall(r"\bSHUNT_[A-Z_]+", "\n".join(self.text(f) for f in self.files if f.endswith("CMakeLists.txt"))))
        self.targets = set(re.findall(r"\bshunt_\w+", self.text("runtime/CMakeLists.txt")))
        self.find_keys()
        self.all_words = self.words | self.script_words | self.variables
        self.symbols = {w for w in self.words if re.match(r"(sh|shunt|SH|SHUNT)_", w)} | self.targets
        self.last_words = set().union(*self.last.values())
        self.test_names = {n for t in self.tests for n in (t.split("/")[1], t.replace("/", "_"))}
        self.client_names = {c.split(".")[1] for c in self.clients}
        self.tails = {x.split(".")[-1] for x in self.strings}
        self.paths = {}
        self.helps = {}

    def text(self, path):
        if path not in self.cache:
            with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as f:
                self.cache[path] = f.read()
        return self.cache[path]

    def code(self, path):
        if (path, 0) not in self.cache:
            self.cache[path, 0] = blank_comments(self.text(path))
        return self.cache[path, 0]

    def defined(self, path):
        """Functions, macros, structures, fields, constants and file-wide objects that a file defines."""
        if (path, 1) in self.cache:
            return self.cache[path, 1]
        if not re.search(r"\.(c|h|cc)$", path):
            names = set(re.findall(r"^\s*(?:def|class) (\w+)|^(\w+)\(\)", self.text(path), re.M))
            names = {a or b for a, b in names} | set(re.findall(r"^([A-Z_]+) = ", self.text(path), re.M))
        else:
            code = self.code(path)
            names = set(re.findall(r"^[ \t]*#[ \t]*define[ \t]+(\w+)", code, re.M))
            flat = re.sub(r"^[ \t]*#(?:\\\n|[^\n])*", "", code, flags=re.M)
            names |= set(re.findall(r"^[A-Za-z_][^;{}()=]*?\b(\w+)\s*\([^;{}]*\)[^;{}()]*\{", flat, re.M))
            names |= set(re.findall(r"^(?:static|const|extern|_Thread_local|struct)\b[^;{}()]*?\b(\w+)(?:\[[^]]*\])*\s*(?:=|;)", flat, re.M))
            names |= set(re.findall(r"^\}\s*(\w+)(?:\[[^]]*\])*\s*=", flat, re.M))
            names |= set(re.findall(r"^\s*SHUNT_API\b[^;]*?\b(\w+)\(", flat, re.M))
            names |= set(re.findall(r"\btypedef\b[^;]*?\(\*(\w+)\)", flat))
            for kind, tag, body in re.findall(r"\b(struct|enum|union)\s*(\w*)\s*(?:\w+\([^)]*\))?\s*\{((?:[^{}]|\{[^{}]*\})*)\}", flat):
                names.add(tag)
                pattern = r"\b([A-Z]\w*)\b" if kind == "enum" else r"(\w+)(?:\[[^;,]*\])*(?:\s+SH_ALIGNED\(\w+\))?\s*(?::\s*\d+)?(?=[;,])|\(\*(\w+)\)"
                for m in re.finditer(pattern, body):
                    names.update(g for g in m.groups() if g)
        self.cache[path, 1] = names
        return names

    def find_tests(self):
        tests = set()
        for f in self.files:
            m = re.match(r"tests/(unit|stress)/(\w+_(?:test|stress))\.(c|cc)$", f)
            if m:
                tests.add(f"{m.group(1)}/{m.group(2)}" + ("_cc" if m.group(3) == "cc" else ""))
            m = re.match(r"tests/e2e/(\w+)\.(sh|py)$", f)
            if m and not m.group(1).startswith(("lib", "common")):
                tests.add("e2e/" + m.group(1))
            m = re.match(r"tests/model/clients/(\w+)\.c$", f)
            if m:
                tests.update(("model/" + m.group(1), "model/native_" + m.group(1)))
        tests.update("model/" + t for t in re.findall(r"^\s*shunt_test_add\((\w+) model ", self.text("tests/model/CMakeLists.txt"), re.M))
        tests.update("sim/" + t for t in re.findall(r"shunt_test_add\((\w+) sim ", self.text("tests/sim/CMakeLists.txt")))
        machines = re.search(r"foreach\(machine ([^)]*)\)", self.text("tests/guest/CMakeLists.txt"))
        tests.update("guest/" + t for t in machines.group(1).split())
        for f in self.files:
            m = re.match(r"bench/micro/(\w*bench\w*)\.cc$", f)
            if m:
                tests.add("bench/" + re.sub(r"^bench_|_bench$", "", m.group(1)))
        return tests

    def find_keys(self):
        """From `shunt config --markdown`: key -> its words, and every variable."""
        out = subprocess.run([self.shunt, "config", "--markdown"], capture_output=True, text=True, check=True).stdout
        self.keys, self.variables = {}, set()
        for line in out.splitlines():
            m = re.match(r"\| `([\w.]+)` \| (.*?) \| (.*?) \| (.*?) \|", line)
            if m:
                self.keys[m.group(1)] = set(re.findall(r"[\w-]+", m.group(2) + " " + m.group(3)))
                self.variables.update(re.findall(r"`(\w+)`", m.group(4)))
        self.last = {}
        for key, values in self.keys.items():
            self.last.setdefault(re.sub(r"\.[A-Z]+$", "", key).split(".")[-1], set()).update(values)

    def has(self, path):
        return path in self.files or path in self.folders

    def help(self, *command):
        """The text of --help of a program of ours; None if it has none."""
        if command not in self.helps:
            argv = ([self.shunt] + list(command[1:])) if command[0] == "shunt" else [os.path.join(self.root, command[0])]
            if command[0].endswith(".py"):
                argv = [sys.executable] + argv
            r = subprocess.run(argv + ["--help"], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
            self.helps[command] = r.stdout if r.returncode == 0 else None
        return self.helps[command]


class Page:
    """One page: its names by kind, and what is wrong with them."""

    def __init__(self, tree, path, text):
        self.tree, self.path, self.text = tree, path, text
        self.findings, self.near, self.seen, self.used = [], {}, {}, set()
        self.inside = bool(INSIDE.search(path))
        self.gone = {}
        for m in GONE.finditer(text):
            for name in m.group(1).split(","):
                self.gone[name.strip()] = self.line(m.start())
        if path.endswith(".h"):
            keep = lambda m: m.group(0) if m.group(0)[0] == "/" else re.sub(r"[^\n]", " ", m.group(0))
            self.prose = re.sub(r"/\*.*?\*/|(?:(?!/\*).)+", keep, text, flags=re.S)
            self.blocks = []
            self.symbol_text = self.prose
        else:
            self.prose, self.blocks = self.cut_blocks(GONE.sub(lambda m: " " * len(m.group(0)), text))
            self.symbol_text = GONE.sub(lambda m: " " * len(m.group(0)), text)

    def line(self, offset, text=None):
        return (self.text if text is None else text).count("\n", 0, offset) + 1

    def cut_blocks(self, text):
        """The text with its blocks of code blanked, and the blocks: (first line, language, lines)."""
        out, blocks, fence, indented = [], [], None, None
        for i, line in enumerate(text.splitlines()):
            if fence is not None:
                if line.startswith("```"):
                    fence = None
                else:
                    blocks[-1][2].append(line)
                out.append("")
            elif line.startswith("```"):
                fence = line[3:].strip()
                blocks.append((i + 2, fence, []))
                out.append("")
            elif line.startswith("    ") and (indented or not (out and out[-1].strip()) or out[-1].startswith("#")):
                if not indented:
                    blocks.append((i + 1, "", []))
                indented = True
                blocks[-1][2].append(line.strip())
                out.append("")
            else:
                indented = False
                out.append(line)
        return "\n".join(out), blocks

    def say(self, line, kind, name, what, candidates=()):
        if name in self.gone:
            self.used.add(name)
            return
        self.findings.append((self.path, line, kind, name, what))
        self.near.setdefault(name, candidates)

    def report(self):
        for path, line, kind, name, what in self.findings:
            near = difflib.get_close_matches(name, sorted(self.near.get(name, ())), 1, 0.5)
            print(f"FAIL: {path}:{line}: {kind}: {name}: {what}" + (f"; near: {near[0]}" if near else ""))

    def count(self, kind, name):
        self.seen.setdefault(kind, []).append(name)

    # ---- paths and tests ----

    def path_ok(self, name, folders=()):
        """The files of the tree that a name may mean; placeholders in capitals and <x> stand for anything."""
        folders = tuple(folders)
        key = (name, folders, os.path.dirname(self.path))
        if key not in self.tree.paths:
            self.tree.paths[key] = self.find_path(name, folders)
        return self.tree.paths[key]

    def find_path(self, name, folders):
        pattern = name if self.tree.has(name) else re.sub(r"<\w+>|(?<![A-Za-z])[A-Z]{2,}(?![A-Za-z]|\.md)", "*", name)
        pattern = pattern.rstrip("/") or name
        out = []
        for root in dict.fromkeys(tuple(f + "/" for f in folders) + ROOTS + (os.path.dirname(self.path) + "/",)):
            path = os.path.normpath(root + pattern)
            if "*" not in path and "[" not in path and "?" not in path:
                if self.tree.has(path):
                    out.append(path)
            else:
                parts = [path.replace("[ch]", x) for x in "ch"] if "[ch]" in path else [path]
                hits = [[f for f in self.tree.known if fnmatch.fnmatchcase(f, p) and f.count("/") == p.count("/") or
                         "/" not in p and fnmatch.fnmatchcase(os.path.basename(f), p)] for p in parts]
                if all(hits):
                    out += [h for hit in hits for h in hit]
        return out

    def folders_of(self, text):
        """Folders that a text names, and those of the files that it names."""
        out = []
        for name in re.findall(r"`?([\w.-]+(?:/[\w.<>*-]+)*/?(?:\[ch\])?)", text):
            if "/" in name:
                hits = self.path_ok(name)
                out += [h if h in self.tree.folders else os.path.dirname(h) for h in hits[:4]]
        return [f for f in dict.fromkeys(out) if f]

    def check_path(self, line, name, folders):
        m = re.fullmatch(r"(" + "|".join(TEST_KINDS) + r")/([\w*-]*)", name)
        if m and m.group(2) in ("x", "", "*"):
            return
        self.count("path", name)
        pattern = re.sub(r"(?<=[/_])(NAME|x)$", "*", name)
        if m and any(fnmatch.fnmatchcase(t, pattern) for t in self.tree.tests) or self.path_ok(name, folders):
            return
        base = os.path.basename(name.rstrip("/"))
        same = [f for f in sorted(self.tree.files) if os.path.basename(f) == base]
        if same:
            self.say(line, "path", name, "no such file; there is " + ", ".join(same[:2]))
        else:
            self.say(line, "path", name, "no such file, folder or test", self.tree.files | self.tree.tests | self.short_paths())

    def short_paths(self):
        return {f.split("/", 1)[1] for f in self.tree.files if f.startswith("runtime/")}

    def check_pair(self, line, file, name, folders):
        self.count("pair", name)
        files = [f for f in self.path_ok(file, folders) if f in self.tree.files]
        if not files:
            self.check_path(line, file, folders)
            return
        if any(name in self.tree.defined(f) for f in files):
            return
        homes = [f for f in self.tree.c_files if f.startswith("runtime/") and name in self.tree.defined(f)]
        if homes:
            self.say(line, "pair", f"{file}:{name}", "is defined in " + ", ".join(homes[:2]))
        else:
            self.say(line, "pair", f"{file}:{name}", f"{files[0]} defines no such name",
                     set().union(*(self.tree.defined(f) for f in files)) | {n for n in self.tree.inside if n.endswith(name)})

    # ---- symbols ----

    def check_symbols(self):
        for m in re.finditer(r"(?<![\w/.-])((?:sh|shunt|SH|SHUNT)_\w*)(\*|\.\.\.(_\w+))?", self.symbol_text):
            name, rest = m.group(1), m.group(2) or ""
            line = self.line(m.start())
            if name in FOREIGN:
                self.used.add(name)
                continue
            self.count("symbol", name)
            words = self.tree.all_words if name.isupper() else self.tree.symbols
            if m.group(3):
                ok = any(w.startswith(name) and w.endswith(m.group(3)) for w in words)
            elif rest or name.endswith("_"):
                ok = any(w.startswith(name) and w != name for w in words)
            else:
                ok = name in words or name in self.tree.variables or self.variable_ok(name)
            if not ok:
                self.say(line, "symbol", name + rest, "no such name in the tree", self.tree.symbols)

    def variable_ok(self, name):
        """SHUNT_POOLS_IO_WORKERS: the variable of a key with a name of the reader's in it."""
        return any(re.fullmatch(re.sub(r"(?<=_)(NAME|LEVEL)(?=_|$)", r"[A-Z0-9_]+", v), name) for v in self.tree.variables)

    def check_suffix(self, line, span, before):
        self.count("symbol", span)
        parts = before.split("_") if before else []
        words = self.tree.words
        if not any("_".join(parts[:i]) + span in words for i in range(1, len(parts) + 1)):
            self.say(line, "symbol", span, f"nothing that begins like {before} ends so", {w for w in words if w.endswith(span)})

    def check_name(self, line, name, own=(), folders=()):
        """An identifier in a code span; own: what the files that its item names define, folders: those that it names."""
        name = name.rstrip("()")
        t = self.tree
        if name in FOREIGN:
            self.used.add(name)
            return
        self.count("name", name)
        outside = name in own or name in t.last or name in t.last_words or name in t.test_names or name in t.client_names or \
            any(f"{f}/{name}" in t.files for f in folders)
        if self.inside and "_" not in name and not name.isupper():
            if name not in t.inside and name not in t.modules and not outside:
                self.say(line, "name", name, "nothing in runtime/ is defined by that name", t.inside)
        elif "_" in name:
            words = t.inside if self.inside and name.islower() else t.all_words
            if name not in words and name not in t.tails and not outside:
                self.say(line, "name", name, "no such name in the tree", words)

    # ---- keys ----

    def check_dotted(self, line, span):
        head, tail = span.split(".", 1)
        t = self.tree
        if span.rsplit(".", 1)[1] in ("yaml", "xml", "hlog", "json", "csv", "data", "folded", "svg", "quota_max"):
            return
        if head in ("runtime", "pools", "types", "log"):
            self.count("key", span)
            patterns = [re.sub(r"\b[A-Z]+\b", "[^.]+", k).replace(".[", "\\.[") for k in t.keys]
            if not any(re.fullmatch(p, span.replace("*", "NAME")) for p in patterns):
                self.say(line, "key", span, "no such key", t.keys)
        elif head in t.words and head.startswith(("sh", "shunt")):
            self.count("name", span)
            if tail not in t.words:
                self.say(line, "name", span, f"no such field of {head}", t.inside)
        elif tail != "*" and not re.fullmatch(SUFFIX, tail):
            self.count("name", span)
            if span not in t.clients and span not in t.strings:
                self.say(line, "name", span, "no such client, key or field", t.clients | set(t.keys))

    def check_key_value(self, line, key, value):
        self.count("key", key)
        if key not in self.tree.last:
            self.say(line, "key", key, "no such key", self.tree.last)
        elif re.fullmatch(r"[a-z-]+", value) and value not in self.tree.last[key] and "a name" not in " ".join(self.tree.last[key]):
            self.say(line, "key", f"{key}: {value}", "the key has no such word", self.tree.last[key])

    def check_key_tables(self):
        rows = None
        for i, line in enumerate(self.prose.splitlines()):
            if re.match(r"\| key \|", line):
                rows = True
            elif not line.startswith("|"):
                rows = None
            elif rows and re.match(r"\| `([^`]+)` \|", line):
                name = re.match(r"\| `([^`]+)` \|", line).group(1)
                self.count("key", name)
                if name not in self.tree.keys and name not in self.tree.last:
                    self.say(i + 1, "key", name, "no such key", set(self.tree.keys) | set(self.tree.last))

    def check_yaml(self, line, lines):
        self.count("key", "yaml")
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write("\n".join(lines) + "\n")
            f.flush()
            r = subprocess.run([self.tree.shunt, "config", "--check", f.name], capture_output=True, text=True)
            if r.returncode != 0:
                for problem in r.stderr.replace(f.name + ":", "").splitlines()[:3]:
                    self.say(line, "key", "yaml", problem)

    # ---- commands ----

    def program(self, word):
        """The program that a word starts: (name for messages, its flags or None, subcommands or None); None: not ours."""
        t, word = self.tree, word[2:] if word.startswith("./") else word
        if word == "shunt" or re.fullmatch(r"build/[\w-]+/bin/shunt", word):
            return "shunt", ("shunt",)
        if re.fullmatch(r"tools/[\w-]+", word) or word == ".ci/run":
            return word, (word,)
        if re.fullmatch(r"(tests/\w+/)?\w+\.py", word):
            hits = [f for f in t.files if f == word or f.endswith("/" + word)]
            return (word, (hits[0],)) if hits else (word, None)
        for pattern, source, flags in PROGRAMS:
            m = re.fullmatch(pattern, word)
            if m:
                return word, ("source", source.format(**m.groupdict()), flags.format(**m.groupdict()))
        return None

    def flags_of(self, program, sub=None):
        """Flags of a program (None: it cannot be asked, or is not there)."""
        t = self.tree
        if program[0] == "source":
            if not program[2]:
                return None  # a library's own
            files = [f for f in t.files if fnmatch.fnmatchcase(f, program[2])]
            text = "\n".join(t.text(f) for f in files)
            return set(re.findall(r'"(--[a-z][\w-]*)', text)) | {"--" + w for w in re.findall(r'\{ ?"([a-z][\w-]*)", (?:no_|required_|optional_|[01],)', text)} | {"--help"}
        if program[0] == ".ci/run":
            return set()
        if program[0] not in t.files and program[0] != "shunt":
            return None
        text = t.help("shunt", sub) if sub else t.help(*program)
        return None if text is None else set(re.findall(r"--[a-z][\w-]*", text)) | {"--help"}

    def check_command(self, line, text):
        try:
            words = shlex.split(text.replace("\\|", "|"), comments=True)
        except ValueError:
            words = text.split()
        if words and words[0] == "$":
            words = words[1:]
        while words and re.match(r"[A-Z_]+=", words[0]):
            self.check_variable(line, words.pop(0).split("=")[0])
        if words and re.match(r"python3?$|taskset$|valgrind$", words[0]):
            words = words[1:]
        if not words:
            return
        for word in words[1:]:
            if re.match(r"(?:" + "|".join(TOPS) + r")/", word) and not self.program(word) and not re.search(r"[|\\]", word):
                self.check_path(line, word, ())
        self.check_options(line, text)
        found = self.program(words[0])
        if not found:
            return
        self.count("command", words[0])
        name, program = found
        if program is None or program[0] == "source" and program[1] not in self.tree.files or \
                program[0] not in ("source", "shunt") and program[0] not in self.tree.files:
            self.say(line, "command", words[0], "no such program", {f for f in self.tree.files if "/" in f})
            return
        args, sub = words[1:], None
        if program[0] == "shunt":
            commands = set(re.findall(r"^  ([a-z]+)  ", self.tree.help("shunt"), re.M))
            if args and not args[0].startswith("-"):
                sub = args.pop(0)
                if sub.endswith(":"):
                    return  # what it prints
                if sub not in commands and sub != "COMMAND":
                    self.say(line, "command", "shunt " + sub, "no such subcommand", commands)
                    return
        if program[0] == ".ci/run":
            stages = set(re.search(r"stages: ([a-z ]+)$", self.tree.text(".ci/run"), re.M).group(1).split())
            for stage in re.findall(r"[a-z]+", " ".join(args)):
                if stage not in stages:
                    self.say(line, "command", stage, ".ci/run has no such stage", stages)
            return
        flags = self.flags_of(program, sub)
        for i, word in enumerate(args):
            if word == "--":
                self.check_command(line, " ".join(args[i + 1:]))
                break
            if flags is not None and re.match(r"--[a-z]", word):
                self.count("flag", word)
                if word.split("=")[0] not in flags:
                    self.say(line, "command", word.split("=")[0], f"{name}{' ' + sub if sub else ''} has no such flag", flags)

    def check_options(self, line, text):
        for m in re.finditer(r"-D(SHUNT_[A-Z_]+)", text):
            self.count("option", m.group(1))
            if m.group(1) not in self.tree.options:
                self.say(line, "option", m.group(1), "no CMakeLists.txt has it", self.tree.options)

    def check_variable(self, line, name):
        if name.startswith("SHUNT_"):
            return  # a symbol
        self.count("name", name)
        if name not in self.tree.all_words and name not in FOREIGN:
            self.say(line, "name", name, "no such variable in the tree", self.tree.script_words)

    def check_flags(self, line, span, section):
        """A flag without its command: of a program that the section names, or the page if it names none."""
        flags, names = set(), []
        for text in (section, self.text):
            for m in re.finditer(r"\bshunt ([a-z]+)\b|(?<!\w)(?<!\w/)((?:tools|\.ci|build)/[\w/-]+|(?:subject|own|bench)_\w+|\w+\.py)", text):
                if m.group(1):
                    program, sub = ("shunt",), m.group(1)
                    if sub not in re.findall(r"^  ([a-z]+)  ", self.tree.help("shunt"), re.M):
                        continue
                else:
                    program, sub = (self.program(m.group(2)) or (None, None))[1], None
                if program:
                    flags |= self.flags_of(program, sub) or set()
                    names.append(m.group(0))
            if names:
                break
        for flag in re.findall(r"(?<![\w-])--[a-z][\w-]*", span):
            self.count("flag", flag)
            if flag not in flags:
                self.say(line, "command", flag, "no program named in this section has it", flags)

    # ---- labels and states ----

    def check_label(self, line, name):
        self.count("label", name)
        if name not in self.tree.labels:
            self.say(line, "label", name, "no such label in runtime/", self.tree.labels)

    def check_capitals(self):
        if self.inside:
            plain = re.sub(r"`[^`]*`|\]\([^)]*\)", lambda m: re.sub(r"[^\n]", " ", m.group(0)), self.prose)
            for m in re.finditer(rf"(?<![\w/.`-]){LABEL}(?![\w-])", plain):
                if m.group(0) not in NOT_LABELS:
                    self.check_label(self.line(m.start(), plain), m.group(0))
            constants = {w for w in self.tree.inside if w.isupper()}
            ends = {"_".join(w.split("_")[i:]) for w in constants for i in range(len(w.split("_")))}
            for m in re.finditer(r"(?<![\w/.-])[A-Z]{4,}(?:_[A-Z]+)*(?![\w.-])", plain):
                word = m.group(0)
                if word in PLAIN_CAPITALS or word.startswith(("SH_", "SHUNT_")) or word in FOREIGN:
                    continue
                self.count("state", word)
                if word not in ends:
                    self.say(self.line(m.start(), plain), "state", word, "no constant of runtime/ ends so", ends)

    # ---- a page ----

    def items(self):
        """(offset, text) of each paragraph, list item and table row, with its section's text."""
        section, out, start = 0, [], 0
        sections = [m.start() for m in re.finditer(r"^#+ .*$", self.prose, re.M)] + [len(self.prose)]
        bounds = sorted({0, len(self.prose)} | {m.end() for m in re.finditer(r"\n[ */]*\n", self.prose)} |
                        {m.start() for m in re.finditer(r"^(?:\s*[*-] |\s*\d+[.,][ \d]|\|)", self.prose, re.M)})
        for start, end in zip(bounds, bounds[1:]):
            while section + 1 < len(sections) and sections[section + 1] <= start:
                section += 1
            raw = self.text.splitlines(keepends=True)
            first = self.prose.count("\n", 0, sections[section] if sections[section] <= start else 0)
            last = self.prose.count("\n", 0, sections[min(section + 1, len(sections) - 1)])
            out.append((start, self.prose[start:end], "".join(raw[first:last + 1])))
        return out

    def check(self):
        self.check_symbols()
        self.check_capitals()
        if not self.path.endswith(".h"):
            self.check_key_tables()
        for first, language, lines in self.blocks:
            if language == "yaml":
                self.check_yaml(first, lines)
            elif language != "c":
                for i, line in enumerate(lines):
                    self.check_command(first + i, line)
        for offset, text, section in self.items():
            self.check_item(offset, text, section)
        for name, line in self.gone.items():
            if name not in self.used:
                self.findings.append((self.path, line, "gone", name, "the marker is not needed: it is in the tree, or the page does not name it"))
            elif not GONE_PAGES.search(self.path):
                self.findings.append((self.path, line, "gone", name, "only decisions and tables of what was tried may name what is gone"))
        self.findings = sorted(dict.fromkeys(self.findings), key=lambda f: f[1])

    def check_item(self, offset, text, section):
        base = self.line(offset, self.prose)
        at = lambda pos: base + text.count("\n", 0, pos)
        before = ""
        paired = set()
        lazy = []

        def folders():
            if not lazy:
                lazy.append(self.folders_of(text) + self.folders_of(section))
            return lazy[0]

        def own():
            """What the files and tests that this item names define."""
            if own.names is None:
                named = re.findall(r"`([\w./-]+/[\w.\[\]-]+)", text)
                files = [f for n in named for f in self.path_ok(n) + [f"tests/{n}.c"] if f in self.tree.files]
                own.names = set().union(*(self.tree.defined(f) for f in files))
                own.folders = self.folders_of(text)
            return own.names
        own.names, own.folders = None, []

        name = r"`(?:struct )?([A-Za-z_]\w*)(?:\(\))?`"
        file = rf"`([\w./-]+\.{SUFFIX})`"
        for m in re.finditer(rf"((?:{name}(?:, | and |,? or ))*{name})\s+(?:in|of)\s+{file}", text):
            for n in re.findall(name, m.group(1)):
                paired.add(n)
                self.check_pair(at(m.start()), m.group(4), n, folders())
        for m in re.finditer(rf"{file}\s*\(((?:{name}(?:, | and )?)+)\)", text):
            for n in re.findall(name, m.group(2)):
                paired.add(n)
                self.check_pair(at(m.start()), m.group(1), n, folders())
        for m in re.finditer(r"`([^`]+)`", text):
            span, line = " ".join(m.group(1).split()), at(m.start())
            if span in FOREIGN:
                self.used.add(span)
                continue
            self.check_span(line, span, section, folders, before, paired, own)
            full = re.match(r"(?:struct )?((?:sh|shunt|SH|SHUNT)_\w+)", span)
            if full:
                before = full.group(1)

    def check_span(self, line, span, section, folders, before, paired, own):
        first = span.split()[0] if span.split() else ""
        self.check_options(line, span)
        m = re.fullmatch(rf"([\w./-]+\.(?:{SUFFIX})|tools/[\w-]+):([A-Za-z_]\w*)", span)
        if m:
            self.check_pair(line, m.group(1), m.group(2), folders())
        elif re.match(r"(\$ )?([A-Z_]+=\S* )*\S", span) and self.program(re.sub(r"^(\$ )?([A-Z_]+=\S* )*(python3 )?", "", span).split(" ")[0]):
            self.check_command(line, span)
        elif re.match(r"--[a-z]", span):
            self.check_flags(line, span, section)
        elif re.match(r"(cmake|ctest|cc|perf|valgrind|taskset) ", span):
            self.check_command(line, span)
        elif re.fullmatch(r"[A-Z_]{2,}=\S*( .*)?", span):
            self.check_variable(line, span.split("=")[0])
        elif re.match(r"(/|~|https?:|build/|BUILD/|\.\./)", span) or " " in first:
            pass
        elif re.fullmatch(r"[\w.<>*-]+(/[\w.<>*-]+)*(\.\[ch\]|/)?", span) and (
                "/" in span or re.search(rf"\.{SUFFIX}$", span)) and not re.search(r"^\d|^[A-Z]+/", span):
            self.check_path(line, span, folders())
        elif re.fullmatch(r"_[A-Za-z]\w*", span):
            self.check_suffix(line, span, before)
        elif "." in span and re.fullmatch(LABEL, span):
            self.check_label(line, span)
        elif re.fullmatch(r"[a-z]\w*(\.[\w*]+)+", span):
            self.check_dotted(line, span)
        elif re.fullmatch(r"([a-z_]+): [\w.-]+", span) and (self.path == "docs/TUNING.md" or span.split(":")[0] in self.tree.last):
            self.check_key_value(line, *span.split(": ", 1))
        elif re.fullmatch(r"[A-Za-z]\w*(\(\))?", span) and span.rstrip("()") not in paired:
            if not re.match(r"(sh|shunt|SH|SHUNT)_", span):
                self.check_name(line, span, own(), own.folders)
        elif re.fullmatch(r"[a-z]+(-[a-z]+)+", span):
            self.count("word", span)
            if not any(span in s for s in self.tree.strings) and span not in self.tree.script_text:
                self.say(line, "name", span, "no such word in the tree", self.tree.strings)
