#!/usr/bin/env python3
"""libshunt.so exports exactly what include/shunt/*.h declares with SHUNT_API, under its version; it does not need
jemalloc, and its soname is libshunt.so.0. SPDX-License-Identifier: MIT"""
import glob
import os
import re
import subprocess
import sys

lib = os.path.join(os.environ["BUILDDIR"], "lib", "libshunt.so")
declared = set()
for path in glob.glob(os.path.join(os.environ["SRCDIR"], "include", "shunt", "*.h")):
    with open(path, encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", f.read(), flags=re.S)
    text = re.sub(r"^\s*#(?:[^\n]*\\\n)*[^\n]*", "", text, flags=re.M)
    for m in re.finditer(r"\bSHUNT_API\b([^;{]*?)\b(\w+)\s*[(;\[]", text):
        declared.add(m.group(2))

exported = {}
for line in subprocess.check_output(["nm", "-D", "--defined-only", "--with-symbol-versions", lib], text=True).splitlines():
    name, _, version = line.split()[-1].partition("@@")
    if name != "SHUNT_0.1":
        exported[name] = version
dynamic = subprocess.check_output(["readelf", "-d", lib], text=True)

problems = [f"declared, not exported: {n}" for n in sorted(declared - set(exported))]
problems += [f"exported, not declared: {n}" for n in sorted(set(exported) - declared)]
problems += [f"not shunt_*: {n}" for n in sorted(exported) if not n.startswith("shunt_")]
problems += [f"without version: {n}" for n, v in sorted(exported.items()) if v != "SHUNT_0.1"]
if "Library soname: [libshunt.so.0]" not in dynamic:
    problems.append("soname is not libshunt.so.0")
if re.search(r"NEEDED.*jemalloc", dynamic):
    problems.append("libshunt.so needs jemalloc: it could not be loaded by dlopen")
if not declared:
    problems.append("no declaration found")
print("\n".join(problems) or f"ok: {len(exported)} symbols, all declared")
sys.exit(1 if problems else 0)
