#!/usr/bin/env python3
"""The benches that only shunt can run, and tools/bench-instructions, with tiny sizes. SPDX-License-Identifier: MIT

Nothing here measures anything. What is judged does not depend on the machine: the rows, exit codes and messages, counts that
must be zero or above it, and the arithmetic of the yardstick (bench_ideal.c).
Environment: SRCDIR, BUILDDIR, CC. Exit 77: the benches are not built.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

SRC, BUILD, CC = os.environ["SRCDIR"], os.environ["BUILDDIR"], os.environ["CC"]
FOLDER = os.path.join(BUILD, "bench")
TOOL = os.path.join(SRC, "tools", "bench-instructions")
FIELDS = {"id", "subject", "version", "idle_mode", "metric", "unit", "value", "n", "pingpong_ns", "pingpong_after_ns"}
IDLE_ROUNDS = 4
bad = 0


def fail(text):
    global bad
    bad += 1
    print("FAIL: " + text)


def run(*command, env=None):
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **(env or {})})


def own(name, *args):
    return run(os.path.join(FOLDER, name), *args)


def wants(code, words, *command, env=None):
    done = run(*command, env=env)
    if done.returncode != code or words not in done.stderr or done.stdout:
        fail(f"{' '.join(command)}: exit code {done.returncode}, want {code}; wanted '{words}' in: {done.stderr.strip()}; "
             f"output: {done.stdout[:200]}")


def rows(name, work, metrics, *args):
    """{metric: value}, or {} after a failure; each metric must be there once."""
    done = own(name, "--work", work, *args)
    if done.returncode != 0:
        fail(f"{name} --work {work} {' '.join(args)}: exit code {done.returncode}: {done.stderr.strip()}")
        return {}
    found = {}
    for line in done.stdout.splitlines():
        row = json.loads(line)
        if set(row) != FIELDS or row["id"] != work or row["subject"] != "shunt" or row["metric"] in found:
            fail(f"{name} --work {work}: odd row: {line}")
        found[row["metric"]] = row["value"]
    if not metrics <= set(found):
        fail(f"{name} --work {work}: no {sorted(metrics - set(found))}")
        return {}
    return found


def compiled_ideal(folder):
    out = os.path.join(folder, "ideal")
    done = run(CC, "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-I" + os.path.join(SRC, "bench"),
               os.path.join(SRC, "tests", "e2e", "bench_ideal.c"), os.path.join(SRC, "bench", "own", "ideal.c"), "-o", out, "-lm")
    if done.returncode != 0:
        fail(f"bench_ideal.c does not compile:\n{done.stderr}")
        return
    done = run(out)
    if done.returncode != 0:
        fail(f"the ideal of B6:\n{done.stdout}")


def levels():
    described = json.loads(own("own_levels", "--describe").stdout)["works"]
    wanted = {f"{level}_{m}" for level in ("high", "low") for m in
              ("p50", "p99", "w50", "w99", "ideal_w99", "ideal_p99", "w99_ratio", "p99_ratio")}
    wanted |= {"offered_load"}
    bound = {"low_wait_max", "low_wait_bound", "low_picks_worst", "low_picks_bound", "low_bound_used"}
    for work in described:
        if work.endswith("-2w"):
            continue
        if work.startswith("B5"):  # most jobs run inside others there: it has no bound in picks
            rows("own_levels", work, wanted, "--jobs", "5000")
            continue
        found = rows("own_levels", work, wanted | bound, "--jobs", "5000")
        if found and not 0 < found["low_bound_used"] <= 100:
            fail(f"{work}: the low level used {found['low_bound_used']} % of its bound")
        if found and not found["low_picks_worst"] <= found["low_picks_bound"]:
            fail(f"{work}: {found['low_picks_worst']} picks, bound {found['low_picks_bound']}")
    first = str(min(os.sched_getaffinity(0)))
    done = own("own_levels", "--work", "B6-2w", "--jobs", "1000", "--cpus", first)
    if done.returncode != 77 or "need 3 cpus" not in done.stderr or done.stdout:
        fail(f"own_levels --work B6-2w on one cpu: exit code {done.returncode}: {done.stderr.strip()}")


def memory():
    found = rows("own_memory", "B7", {"bytes_per_job", "bytes_idle_per_job", "bytes_left_per_job"}, "--jobs", "20000")
    # A job is an item of 16 bytes: one that costs less was not measured, four times that would be more than an item.
    if found and not 15.9 < found["bytes_per_job"] < 64:
        fail(f"B7: {found['bytes_per_job']} bytes a job")
    wants(2, "--jobs: at most", os.path.join(FOLDER, "own_memory"), "--work", "B7", "--jobs", "2097152")


def idle():
    """A pool that wakes up by itself does so in each round; a machine that kept a worker from its sleep disturbs one."""
    metrics = {"cpu_percent", "voluntary_switches", "involuntary_switches"}
    for _ in range(IDLE_ROUNDS):
        found = rows("own_idle", "B8", metrics, "--idle", "park", "--seconds", "0.3")
        if not found or (found["voluntary_switches"] == 0 and found.get("wake_ups", 0) == 0):
            break
    else:
        fail(f"B8: a parked pool woke up in each of {IDLE_ROUNDS} rounds, in the last one: {found}")
    rows("own_idle", "B8", metrics, "--idle", "adaptive", "--seconds", "0.1")


def visibility():
    if not os.path.exists(os.path.join(FOLDER, "own_visibility")):
        return
    metrics = {f"{w}_{m}" for w in ("outside", "spawn") for m in ("ns_per_job", "bare_ns_per_job", "price")}
    rows("own_visibility", "B9", metrics, "--seconds", "0.01", "--jobs", "1000")
    with tempfile.TemporaryDirectory() as folder:
        alone = os.path.join(folder, "own_visibility")
        shutil.copy(os.path.join(FOLDER, "own_visibility"), alone)
        wants(1, "part_visibility: No such file", alone, "--work", "B9", "--seconds", "0.01")


def scaling():
    found = rows("own_scaling", "B11", {"jobs_per_s_w1"}, "--jobs", "1000")
    cpus = len(os.sched_getaffinity(0))
    ran = {int(m.group(1)) for m in (re.match(r"jobs_per_s_w(\d+)$", metric) for metric in found) if m}
    if ran and (max(ran) != cpus or min(ran) != 1):
        fail(f"B11: ran {sorted(ran)} workers on {cpus} cpus")
    rows("own_scaling", "B11", {"jobs_per_s_w1"}, "--jobs", "1000", "--workers", f"1,{cpus + 1}")
    wants(2, "--workers: '1,x': want up to", os.path.join(FOLDER, "own_scaling"), "--work", "B11", "--workers", "1,x")
    wants(77, "left out", os.path.join(FOLDER, "own_scaling"), "--work", "B11", "--workers", f"{cpus + 1}")


def instructions():
    wants(2, "did you mean 'spawn'?", TOOL, "--only", "spwan")
    wants(2, "--jobs: '5,4': want", TOOL, "--jobs", "5,4")
    wants(2, "--functions: '0': want", TOOL, "--functions", "0")
    wants(2, "no-such-folder/x': want a file", TOOL, "--json", "no-such-folder/x")
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(sys.executable, os.path.join(folder, "python3"))
        wants(1, "valgrind is not here", sys.executable, TOOL, "--no-build", env={"PATH": folder})
        if not shutil.which("valgrind"):
            print("skipped: the counts of valgrind, which is not here; tools/deps --bench installs it")
            return
        wants(1, "no such program", TOOL, "--no-build", "--build-dir", folder)
        out = os.path.join(folder, "rows.json")
        done = run(TOOL, "--no-build", "--build-dir", BUILD, "--only", "outside", "--no-recording", "--jobs", "200,400", "--json", out)
        if done.returncode != 0 or "pick+run" not in done.stdout:
            fail(f"tools/bench-instructions: exit code {done.returncode}: {done.stderr.strip()}; output: {done.stdout}")
            return
        with open(out, encoding="utf-8") as f:
            value = {r["metric"]: r["value"] for r in json.load(f)["rows"]}
    # Start-up alone is millions of instructions: a count that it did not cancel from is far above this.
    if set(value) != {"submit", "pick_run", "whole"} or not all(20 < v < 20000 for v in value.values()):
        fail(f"tools/bench-instructions: {value}")


def main():
    if not os.path.exists(os.path.join(FOLDER, "own_levels")):
        print("skipped: the benches are not built here")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        compiled_ideal(folder)
    for part in (levels, memory, idle, visibility, scaling, instructions):
        part()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
