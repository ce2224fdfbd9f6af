#!/usr/bin/env python3
"""Every ordered atomic operation of runtime/, relaxed one at a time: some client must notice. SPDX-License-Identifier: MIT

usage: edges.py --build DIR [--update] [--jobs N] [--only TEXT]

edges.txt is the table: one line an operation, "label file operation client", with "random" behind the client when its
random executions find it, or "label file operation - reason" for an operation that no client needs. Each run relaxes every operation, runs the client that the table names, and wants it to
fail. An operation that is not in the table, a client that does not notice, and a reason for an operation that is gone
are failures. --update searches a client for what is missing or survives, and rewrites the table; reasons are kept.
"""
import argparse
import collections
import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
RUNTIME = os.path.join(HERE, "..", "..", "runtime")
TABLE = os.path.join(HERE, "edges.txt")
LABEL = re.compile(r"\bmo\s+([A-Z]+\d+[a-z]?)\s*(?:->|<-|<>)")
LINES_ABOVE = 4
RANDOM = "1000000"   # executions; the time ends them
SEARCH_SECONDS = 4   # for one client, when a catcher is searched
CHECK_SECONDS = 60   # for the client that the table names
HEAD = """# Every ordered operation of runtime/ and the client that fails when it is relaxed. Written by edges.py --update.
# label  file  operation  client | - reason why none is needed
"""


class Site:
    """One operation in the source. Its key is stable when lines move: label, file, operation, and which one of these."""

    def __init__(self, where):
        self.where = where
        self.file, line, self.op = where.rsplit(":", 2)
        self.line = int(line)
        self.label = self._label()
        self.key = None

    def _label(self):
        with open(os.path.join(RUNTIME, self.file), encoding="utf-8") as f:
            lines = f.read().splitlines()
        for back in range(LINES_ABOVE + 1):
            if self.line - 1 - back < 0:
                break
            found = LABEL.findall(lines[self.line - 1 - back])
            if found:
                return found[0]
        return "?"


def programs(build):
    names = sorted(os.path.basename(c)[:-2] for c in glob.glob(os.path.join(HERE, "clients", "*.c")))
    found = [p for p in (os.path.join(build, "model_" + n) for n in names) if os.access(p, os.X_OK)]
    if not found:
        sys.exit(f"edges.py: no explorer programs in {build}")
    return found


def lines_of(program, *options):
    out = subprocess.run([program, *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return out.stdout.splitlines()


def read_sites(program):
    sites = {}
    for line in lines_of(program, "--sites"):
        sites.setdefault(line.split()[1], None)
    result = [Site(w) for w in sites]
    count = collections.Counter()
    for s in sorted(result, key=lambda s: (s.file, s.line, s.op)):
        base = (s.label, s.file, s.op)
        count[base] += 1
        s.key = base + (count[base],)
    return sorted(result, key=lambda s: (s.file, s.line, s.op))


def read_table():
    """key -> client, or "- reason"."""
    table, count = {}, collections.Counter()
    if not os.path.exists(TABLE):
        return table
    with open(TABLE, encoding="utf-8") as f:
        for line in f:
            if line.startswith("#") or not line.strip():
                continue
            label, file, op, rest = line.rstrip("\n").split(None, 3)
            count[label, file, op] += 1
            table[label, file, op, count[label, file, op]] = rest
    return table


def clients(found):
    result = {}
    for p in found:
        for line in lines_of(p, "--list"):
            result[line.split()[0]] = p
    return result


def try_client(home, entry, site, seconds):
    """How the client failed, "" = it did not. entry: "client" or "client random"."""
    client, _, mode = entry.partition(" ")
    options = ["--random", RANDOM] if mode else []
    try:
        out = subprocess.run([home[client], "--client", client, "--weaken", site.where, "--seconds", str(int(seconds)), "--quiet",
                              *options],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=int(seconds) * 3 + 30, check=False)
    except subprocess.TimeoutExpired:
        return ""
    if out.returncode == 0:
        return ""
    if out.returncode != 1:  # not a failed execution: the explorer itself could not go on
        sys.exit(f"edges.py: {client} --weaken {site.where}: exit code {out.returncode}")
    text = out.stdout.splitlines()
    return text[2].strip() if len(text) > 2 else "failed"


def which_clients_run(found, jobs):
    runs, seconds = collections.defaultdict(list), {}

    def one(program):
        start = time.monotonic()
        out = lines_of(program, "--runs")
        return out, time.monotonic() - start

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for lines, _ in pool.map(one, found):
            for line in lines:
                _, client, where = line.split()
                runs[where].append(client)
    for where, names in runs.items():
        for name in names:
            seconds[name] = seconds.get(name, 0) + 1
    for names in runs.values():  # those that run few operations are small and quick
        names.sort(key=lambda n: seconds[n])
    return runs


def search(site, names, home, first):
    first = first.split()[0] if first else ""
    if first in names:
        names = [first] + [n for n in names if n != first]
    for mode in ("", " random"):
        for name in names:
            how = try_client(home, name + mode, site, SEARCH_SECONDS)
            if how:
                return name + mode, how
    return None, ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", help="only operations whose place contains this text")
    args = parser.parse_args()
    found = programs(args.build)
    home = clients(found)
    sites = read_sites(found[0])
    table = read_table()
    start = time.monotonic()
    runs = which_clients_run(found, args.jobs) if args.update else {}
    bad, rows = [], {}

    def judge(site):
        known = table.get(site.key)
        if args.only and args.only not in site.where:
            return site, known, "(not run)"
        if known and not known.startswith("- "):
            if known.split()[0] not in home:
                return site, None, f"the table names {known}, which does not exist"
            how = try_client(home, known, site, CHECK_SECONDS)
            if how:
                return site, known, how
            if not args.update:
                return site, None, f"{known} does not notice"
        if args.update:
            name, how = search(site, runs.get(site.where, []), home, known or "")
            if name:
                return site, name, how
        if known and known.startswith("- "):
            return site, known, ""
        return site, None, "no client notices" if site.where in runs or not args.update else "no client runs it"

    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for site, client, how in pool.map(judge, sites):
            print(f"{site.label:<5} {site.where:<38} {client or 'SURVIVES':<28} {how[:110]}", flush=True)
            rows[site.key] = client or "- ?"
            if not client:
                bad.append(site)
    for key in table:
        if key not in rows:
            print(f"{key[0]} {key[1]} {key[2]}: in the table, not in the source")
            bad.append(key)
    if args.update:
        with open(TABLE, "w", encoding="utf-8") as f:
            f.write(HEAD)
            for s in sites:
                f.write(f"{s.label:<5} {s.file:<22} {s.op:<16} {rows[s.key]}\n")
    kept = sum(1 for r in rows.values() if r.startswith("- ") and r != "- ?")
    print(f"{len(sites)} ordered operations: {len(sites) - kept - len(bad)} noticed, {kept} explained, {len(bad)} survive; "
          f"{time.monotonic() - start:.0f} s")
    return 1 if bad else 0


sys.exit(main())
