#!/usr/bin/env python3
"""Numbers and command lines of the documents. SPDX-License-Identifier: MIT

Defaults and ranges: what a field's comment in include/shunt/runtime.h says ("1..256, default 64"), what a row of a table of keys
in docs/TUNING.md says, and "`key` ... (default 64)" or "`key` (64)" in a page are those of docs/CONFIG.md, which is written from
the options table. Command lines: each `shunt ...` of README.md, docs/*.md and bench/README.md is taken by the command's own
parser, which gets it with --help at the end; values of the configuration among its flags are checked by `shunt config --set`.

Environment: SRCDIR, SHUNT (the built command). The self-test plants a wrong number and a wrong command of each kind.
"""
import glob
import os
import re
import shlex
import subprocess
import sys
import tempfile

ROOT, SHUNT = os.environ["SRCDIR"], os.path.abspath(os.environ["SHUNT"])
# Flags whose value the configuration checks, not the parser of flags.
KEYS = {"--workers": "pools.main.workers", "--place": "pools.main.place", "--pin": "pools.main.pin", "--idle": "pools.main.idle",
        "--strategy": "pools.main.strategy", "--jobs-max": "runtime.jobs_max"}
# A word that stands for a value of the reader's.
PLACEHOLDER = re.compile(r"^[A-Z][A-Z_.]*$|^\.\.\.$|^<.*>$")


def number(text):
    """1024, 2^20, 2^24-1, 1_000, 64KiB -> a number; None for a word."""
    m = re.fullmatch(r"(\d[\d_]*)(?:\^(\d+))?(?:-(\d+))?(KiB|MiB|GiB)?", text.replace(",", "").rstrip("."))
    if not m:
        return None
    n = int(m.group(1).replace("_", "")) ** int(m.group(2) or 1) - int(m.group(3) or 0)
    return n << {"KiB": 10, "MiB": 20, "GiB": 30, None: 0}[m.group(4)]


def options():
    """{last part of a key: [(default, range)]} of docs/CONFIG.md."""
    out = {}
    for line in read("docs/CONFIG.md").splitlines():
        cells = [c.strip().replace("`", "") for c in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) >= 4 and re.fullmatch(r"\w+(?:\.[\w*<>]+)*\.[a-z_]+", cells[0]):
            out.setdefault(cells[0].split(".")[-1], []).append((cells[DEFAULT], cells[RANGE]))
    return out


DEFAULT, RANGE = 2, 1


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def wrong_numbers(path, text, table):
    """[(name, said, want)] and how many were compared."""
    found, compared = [], 0

    def default(name, said):
        nonlocal compared
        want = [number(d) for d, _ in table.get(name, []) if number(d) is not None]
        if want and number(said) is not None:
            compared += 1
            if number(said) not in want:
                found.append((name, said, table[name]))

    def limits(name, low, high):
        nonlocal compared
        want = [tuple(map(number, m.groups())) for _, r in table.get(name, [])
                for m in [re.search(r"(\d[\w^-]*) (?:to|\.\.) (\d[\w^-]*)", r)] if m]
        if want and number(low) is not None and number(high) is not None:
            compared += 1
            if (number(low), number(high)) not in want:
                found.append((name, f"{low}..{high}", table[name]))
    if path.endswith(".h"):
        for m in re.finditer(r"\b(\w+)(?:\[\w+\])?;\s*/\*(.*?)\*/", text, re.S):
            for said in re.findall(r"default\s+(\d[\w^]*)", m.group(2)):
                default(m.group(1), said)
            for low, high in re.findall(r"(?<![\w.])(\d[\w^]*)\.\.(\d[\w^]*(?:-1)?)", m.group(2)):
                limits(m.group(1), low, high)
        return found, compared
    for m in re.finditer(r"`(?:[\w*]+\.)*([a-z]+_[a-z_]+)`[^`|\n]{0,60}?\((\d[\w^]*)\)", text):
        default(m.group(1), m.group(2))
    for m in re.finditer(r"`(?:[\w*]+\.)*([a-z]+_[a-z_]+)`[^`|]{0,60}?\(default (\d[\w^]*)[,)]", text):
        default(m.group(1), m.group(2))
    for block in re.findall(r"^\| key \| default .*?(?=\n\n|\Z)", text, re.M | re.S):
        for row in re.finditer(r"^\| `(?:[\w*]+\.)*(\w+)`[^|]*\| *`?([\w^]+)", block, re.M):
            default(row.group(1), row.group(2))
    return found, compared


def commands(text):
    """`shunt SUB ...` of code spans and indented or fenced blocks."""
    lines = re.findall(r"`(shunt [^`\n]+)`", text)
    for block in re.findall(r"^```(?:sh|console|bash|text)?\n(.*?)^```", text, re.M | re.S):
        lines += block.replace("\\\n", " ").splitlines()
    lines += re.findall(r"^    (\S.*)$", text, re.M)
    for line in lines:
        for m in re.finditer(r"(?:^|\s|/)shunt ((?:run|load|advise|topo|config|hist)\b(?!:)[^|;&>#]*)", line):
            yield m.group(1).strip()


def refused(command, folder):
    """What the parser says, or None."""
    try:
        words = shlex.split(command.replace("[", "").replace("]", ""))
    except ValueError:
        return None
    args, sets = words[:1], []
    for i, word in enumerate(words[1:], 1):
        flag, _, value = word.partition("=")
        before = words[i - 1]
        if not word.startswith("-") and before == "--service" and word.split(":")[0] in ("file", "hlog"):
            word = "exp:10us"  # the file is the reader's
        if flag in KEYS and value:
            sets.append((flag, value))
        elif before in KEYS and not PLACEHOLDER.match(word):
            sets.append((before, word))
        if PLACEHOLDER.match(word) and before.startswith("--"):
            if before not in ("--config", "--check", "--input"):
                args.pop()  # the flag goes with its placeholder; that it exists is for docs_names.py
                continue
        args.append(word)
    done = subprocess.run([SHUNT, *args, "--help"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                          check=False, text=True)
    if done.returncode != 0:
        return done.stderr.strip()
    for flag, value in sets:
        done = subprocess.run([SHUNT, "config", "--set", "pools.main.workers=1" if KEYS[flag] != "pools.main.workers" else
                               "pools.main.pin=none", "--set", f"{KEYS[flag]}={value}", "--json"], cwd=folder,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False, text=True)
        if done.returncode != 0:
            return f"{flag} {value}: {done.stderr.strip()}"
    return None


def main():
    table = options()
    assert len(table) >= 30, (len(table), table)
    failed = numbers = lines = 0
    pages = ["README.md", "bench/README.md", *(os.path.relpath(p, ROOT) for p in sorted(glob.glob(os.path.join(ROOT, "docs/*.md"))))]
    with tempfile.TemporaryDirectory() as folder:
        for path in [*pages, "include/shunt/runtime.h"]:
            text = read(path)
            found, compared = wrong_numbers(path, text, table)
            numbers += compared
            for name, said, want in found:
                print(f"FAIL: {path}: {name}: {said}, but docs/CONFIG.md has {want}")
                failed += 1
            for command in commands(text) if path.endswith(".md") else ():
                lines += 1
                why = refused(command, folder)
                if why:
                    print(f"FAIL: {path}: shunt {command}: {why}")
                    failed += 1
        # The script itself: wrong ones are found, right ones are not.
        for path, text, want in (("x.h", "uint32_t groups_max; /* 1..2^20, default 4095 */", 1),
                                 ("x.h", "uint32_t groups_max; /* 1..2^19, default 4096 */", 1),
                                 ("x.h", "uint32_t groups_max; /* 1..2^20, default 4096 */", 0),
                                 ("x.md", "`async_max` bounds them (default 63)", 1), ("x.md", "`async_max` bounds them (default 64)", 0),
                                 ("x.md", "| key | default | x |\n| --- | --- | --- |\n| `groups_max` | 4097 | x |\n", 1)):
            if len(wrong_numbers(path, text, table)[0]) != want:
                print(f"FAIL: self-test: {text!r}: want {want} findings")
                failed += 1
        for text, want in (("`shunt load --duration 1m`", True), ("`shunt load --duration 1min`", False), ("`shunt run --pin sidewise`", True),
                           ("    shunt run --quiet --quiet\n", True), ("    shunt run --sample 64K\n", True), ("`shunt topo --workers N`", False)):
            if [bool(refused(c, folder)) for c in commands(text)] != [want]:
                print(f"FAIL: self-test: {text!r}")
                failed += 1
    print(f"{numbers} numbers and {lines} command lines, {failed} failures")
    assert numbers >= LEAST_NUMBERS and lines >= LEAST_LINES, (numbers, lines)
    return 1 if failed else 0


LEAST_NUMBERS, LEAST_LINES = 20, 40

if __name__ == "__main__":
    sys.exit(main())
