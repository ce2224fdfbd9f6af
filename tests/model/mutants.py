#!/usr/bin/env python3
"""Mistakes planted into copies of runtime/, one at a time: the named client must notice. SPDX-License-Identifier: MIT

usage: mutants.py --build DIR [--jobs N] [NAME...]

A mutant is mutants/NAME.patch: a line "client: NAME", a line "why: TEXT", then a diff against the tree. A patch that does
not apply any more, a mutant that does not compile, and a client that does not fail are failures.
"""
import argparse
import concurrent.futures
import glob
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.realpath(os.path.join(HERE, "..", ".."))
CLIENT_SECONDS = 60


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
        runtime = os.path.join(ROOT, "runtime")
        for i, a in enumerate(args):
            if a == "-I" + runtime:
                args[i] = "-I" + copy
            elif a == "-o":
                args[i + 1] = out
        if source.startswith(runtime + "/"):
            args[-1] = copy + source[len(runtime):]
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
            for base in (os.path.join(ROOT, "runtime"), os.path.dirname(source), os.path.join(ROOT, "tests")):
                path = os.path.realpath(os.path.join(base, name))
                if path == header or includes(path, header, seen):
                    return True
    return False


def run_mutant(build, path):
    name = os.path.basename(path)[:-len(".patch")]
    with open(path, encoding="utf-8") as f:
        text = f.read()
    client = re.search(r"^client:\s*(\S+)", text, re.M)
    why = re.search(r"^why:\s*(.+)", text, re.M)
    if not client or not why:
        return name, False, "wants the lines \"client: NAME\" and \"why: TEXT\""
    client = client.group(1)
    work = os.path.join(build.folder, "mutants", name)
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    shutil.copytree(os.path.join(ROOT, "runtime"), os.path.join(work, "runtime"))
    done = subprocess.run(["patch", "-p1", "--silent", "--no-backup-if-mismatch", "-d", work, "-i", path],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        return name, False, "the patch does not apply: " + " ".join(done.stdout.split())
    changed = [os.path.realpath(os.path.join(ROOT, m)) for m in re.findall(r"^\+\+\+ b/(\S+)", text, re.M)]
    program = client.split(".")[0]
    info = build.info
    own = [o for o in info["clients"] if os.path.basename(o).startswith(program + ".c.")]
    if not own:
        return name, False, f"no client file for {client}"
    objects = []
    for o in info["runtime"] + own:
        real = os.path.realpath(o)
        source = build.command[real][2]
        if any(source == c or (c.endswith(".h") and includes(source, c)) for c in changed):
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
    parser.add_argument("--build", required=True)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    build = Build(args.build)
    paths = sorted(glob.glob(os.path.join(HERE, "mutants", "*.patch")))
    if args.names:
        paths = [p for p in paths if os.path.basename(p)[:-len(".patch")] in args.names]
    start, bad = time.monotonic(), 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for name, ok, how in pool.map(lambda p: run_mutant(build, p), paths):
            print(f"{name:<34} {'noticed ' if ok else 'SURVIVES'} {how[:150]}", flush=True)
            bad += not ok
    print(f"{len(paths)} mutants: {len(paths) - bad} noticed, {bad} survive; {time.monotonic() - start:.0f} s")
    return 1 if bad or not paths else 0


sys.exit(main())
