#!/usr/bin/env python3
"""Every ordered atomic operation of runtime/, relaxed one at a time: some client must notice. SPDX-License-Identifier: MIT

usage: edges.py --build DIR [--carry | --update] [--jobs N] [--only TEXT]

edges.txt is the table: one line an operation, "label function operation client", with "random" behind the client when its
random executions find it, or "label function operation - reason" for an operation that no client needs. Lines that are the
same but for their end stand in the order of the source. The file of the function does not count. Each run relaxes every
operation, runs the client that the table names, and wants it to fail. An operation that is not in the table, a client that
does not notice, and a line for an operation that is gone are failures.

--carry runs nothing: it rewrites the table for functions and labels that have other names now, or operations that moved
into other functions, keeps client or reason where there is one candidate, and prints each. "- ?" stands for what it cannot
tell. --update does this too, then searches a client for what is missing or survives; reasons are kept.
"""
import argparse
import collections
import concurrent.futures
import glob
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from source import Tree  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
RUNTIME = os.path.join(HERE, "..", "..", "runtime")
TABLE = os.path.join(HERE, "edges.txt")
RANDOM = "1000000"   # executions; the time ends them
SEARCH_SECONDS = 4   # for one client, when a catcher is searched
CHECK_SECONDS = 60   # for the client that the table names
HEAD = """# Every ordered operation of runtime/ and the client that fails when it is relaxed. Written by edges.py --update.
# label  function  operation  client | - reason why none is needed
"""
OPEN = "- ?"


class Site:
    """One operation in the source. Its key outlives moves: label, function, operation, and which one of these."""

    def __init__(self, where, tree):
        self.where = where
        self.file, line, self.op = where.rsplit(":", 2)
        self.line = int(line)
        self.label = (tree.files[self.file].labels_of(self.line) or ["?"])[0]
        self.function = tree.files[self.file].function_at(self.line)
        self.key = None


def programs(build):
    names = sorted(os.path.basename(c)[:-2] for c in glob.glob(os.path.join(HERE, "clients", "*.c")))
    found = [p for p in (os.path.join(build, "model_" + n) for n in names) if os.access(p, os.X_OK)]
    if not found:
        sys.exit(f"edges.py: no explorer programs in {build}")
    return found


def lines_of(program, *options):
    out = subprocess.run([program, *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return out.stdout.splitlines()


def numbered(keys):
    """Equal keys become different ones: each gets which one of its kind it is."""
    count = collections.Counter()
    for key in keys:
        count[key] += 1
        yield (*key, count[key])


def read_sites(program):
    where = dict.fromkeys(line.split()[1] for line in lines_of(program, "--sites"))
    tree = Tree(RUNTIME)
    sites = sorted((Site(w, tree) for w in where), key=lambda s: (s.file, s.line, s.op))
    for s, key in zip(sites, numbered((s.label, s.function, s.op) for s in sites)):
        s.key = key
    return sites


def read_table():
    """key -> client, or "- reason"; what --carry left open is not in it."""
    if not os.path.exists(TABLE):
        return {}
    with open(TABLE, encoding="utf-8") as f:
        rows = [line.rstrip("\n").split(None, 3) for line in f if line.strip() and not line.startswith("#")]
    table = dict(zip(numbered(tuple(r[:3]) for r in rows), (r[3] for r in rows)))
    return {key: rest for key, rest in table.items() if rest != OPEN}


def write_table(sites, rows):
    with open(TABLE, "w", encoding="utf-8") as f:
        f.write(HEAD)
        for s in sites:
            f.write(f"{s.label:<12} {s.function:<24} {s.op:<16} {rows[s.key]}\n")


def groups(keys, kind):
    result = collections.defaultdict(list)
    for key in keys:
        result[kind(key)].append(key)
    return result


def carry(table, sites):
    """Gives the table's lines whose operation is gone to operations that have none: a function or a label has another name."""
    # Some of several equal operations came or went: nothing says which, unless all of the lines are alike and some went.
    unclear = set()
    here, there = groups(table, lambda k: k[:3]), groups((s.key for s in sites), lambda k: k[:3])
    for base, old in here.items():
        n = len(there[base]) if base in there else 0
        if n > len(old) or (0 < n < len(old) and len({table[o] for o in old}) > 1):
            unclear.add(base)
            for o in old:
                print(f"open, {len(old)} are {n} now: {' '.join(o[:3])}: {table.pop(o)}")

    def move(old, new, why):
        for o, n in zip(old, new):
            print(f"carried, {why}: {' '.join(o[:3])} is {' '.join(n[:3])}: {table[o][:70]}")
            table[n] = table.pop(o)

    def leftover():
        keys = {s.key: None for s in sites}
        return [k for k in table if k not in keys], [k for k in keys if k not in table and k[:3] not in unclear]

    # Several in a row: the same ones in the same order, once among the lines that are gone and once in the source.
    def pair(why, unit, what):
        gone, new = ([*groups(keys, unit).values()] for keys in leftover())
        for old in gone:
            same = [[n for n in side if [what(k) for k in n] == [what(k) for k in old]] for side in (gone, new)]
            if [len(found) for found in same] == [1, 1]:
                move(old, same[1][0], why)

    pair("the function's name", lambda k: k[1], lambda k: (k[0], k[2]))
    pair("the label's name", lambda k: k[:2], lambda k: k[1:3])
    pair("the function of a label", lambda k: k[:2], lambda k: (k[0], k[2]))
    # Single operations: as many lines as operations, and no doubt which is whose.
    for why, kind in (("the function", lambda k: (k[0], k[2])), ("the label", lambda k: k[1:3])):
        gone, new = (groups(k, kind) for k in leftover())
        for name, old in gone.items():
            if len(old) == len(new.get(name, [])) and len({table[o] for o in old}) == 1:
                move(old, new[name], why)


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


def write_carried(table, sites):
    """The table as far as it is known without a run."""
    rows = {s.key: table.pop(s.key, OPEN) for s in sites}
    for s in sites:
        if rows[s.key] == OPEN:
            print(f"open: {s.label} {s.function} {s.op} ({s.where})")
    for key, rest in table.items():
        print(f"gone: {' '.join(key[:3])}: {rest}")
    write_table(sites, rows)
    left = list(rows.values()).count(OPEN)
    print(f"{len(rows)} ordered operations: {left} open, {len(table)} lines are gone")
    return 1 if left or table else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--carry", action="store_true")
    what.add_argument("--update", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", help="only operations whose place contains this text")
    args = parser.parse_args()
    found = programs(args.build)
    home = clients(found)
    sites = read_sites(found[0])
    table = read_table()
    if args.carry or args.update:
        carry(table, sites)
    if args.carry:
        return write_carried(table, sites)
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
            print(f"{site.label:<12} {site.where:<38} {client or 'SURVIVES':<28} {how[:110]}", flush=True)
            rows[site.key] = client or OPEN
            if not client:
                bad.append(site)
    for key in table:
        if key not in rows:
            print(f"{key[0]} {key[1]} {key[2]}: in the table, not in the source")
            bad.append(key)
    if args.update:
        write_table(sites, rows)
    kept = sum(1 for r in rows.values() if r.startswith("- ") and r != OPEN)
    print(f"{len(sites)} ordered operations: {len(sites) - kept - len(bad)} noticed, {kept} explained, {len(bad)} survive; "
          f"{time.monotonic() - start:.0f} s")
    return 1 if bad else 0


sys.exit(main())
