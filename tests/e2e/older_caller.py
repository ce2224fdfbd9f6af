#!/usr/bin/env python3
"""A program that was built with a header of fewer fields works with this library. SPDX-License-Identifier: MIT

Copies include/, cuts the last fields of every struct that the library makes or fills (CUT below), builds
tests/e2e/older_caller.c with the cut headers and runs it with the shared library. Each struct must have become smaller, else
the distance from one element to the next would not be tried.
Environment: SRCDIR, BUILDDIR, CC, SHUNT_SANITIZE. Arguments: none.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

# (header, struct, how many declarations to cut)
CUT = [
    ("snapshot.h", "shunt_series", 2),
    ("snapshot.h", "shunt_worker_info", 1),
    ("snapshot.h", "shunt_pool_info", 2),
    ("snapshot.h", "shunt_runtime_info", 2),
    ("topo.h", "shunt_topo_pu", 2),
    ("topo.h", "shunt_topo_node", 1),
    ("topo.h", "shunt_plan_worker", 1),
    ("topo.h", "shunt_cpu_budget", 1),
    ("runtime.h", "shunt_worker_load", 2),
]


def cut(text, struct, n):
    """The text with the last n declarations of the struct gone."""
    m = re.search(r"^struct %s \{.*?^\};" % struct, text, flags=re.S | re.M)
    code = re.sub(r"/\*.*?\*/", lambda c: re.sub(r"[^\n]", " ", c.group(0)), m.group(0), flags=re.S)
    ends = [i for i, c in enumerate(code) if c == ";"][:-1]
    assert len(ends) > n, struct
    return text[:m.start()] + m.group(0)[:ends[-1 - n] + 1] + "\n};" + text[m.end():]


def build(cc, include, source, out, *libs):
    sanitize = os.environ.get("SHUNT_SANITIZE")
    flags = ["-fsanitize=" + sanitize] if sanitize else []
    subprocess.run([cc, "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", *flags, "-I", include, source, "-o", out, "-pthread",
                    *libs], check=True)


def main():
    src, lib = os.environ["SRCDIR"], os.path.join(os.environ["BUILDDIR"], "lib")
    with tempfile.TemporaryDirectory() as scratch:
        older = os.path.join(scratch, "include")
        shutil.copytree(os.path.join(src, "include"), older)
        for header, struct, n in CUT:
            path = os.path.join(older, "shunt", header)
            with open(path, encoding="utf-8") as f:
                text = cut(f.read(), struct, n)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        sizes = os.path.join(scratch, "sizes.c")
        with open(sizes, "w", encoding="utf-8") as f:
            f.write("#include <shunt/shunt.h>\n#include <stdio.h>\nint main(void)\n{\n")
            for _, struct, _ in CUT:
                f.write(f'\tprintf("%zu ", sizeof(struct {struct}));\n')
            f.write("\treturn 0;\n}\n")
        found = []
        for include in (older, os.path.join(src, "include")):
            build(os.environ["CC"], include, sizes, os.path.join(scratch, "sizes"))
            found.append([int(x) for x in subprocess.check_output([os.path.join(scratch, "sizes")], text=True).split()])
        for (_, struct, _), small, full in zip(CUT, *found):
            print(f"{struct}: {small} of {full} bytes")
            if small >= full:
                print(f"FAIL: {struct} is not smaller: cut more of it")
                return 1
        program = os.path.join(scratch, "older_caller")
        build(os.environ["CC"], older, os.path.join(src, "tests", "e2e", "older_caller.c"), program, "-L", lib, "-lshunt",
              "-Wl,-rpath," + lib)
        return subprocess.run([program], check=False).returncode


sys.exit(main())
