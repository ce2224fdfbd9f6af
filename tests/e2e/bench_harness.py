#!/usr/bin/env python3
"""The benches themselves: their arithmetic, rows, exit codes, and that a fault never becomes a figure. SPDX-License-Identifier: MIT

Runs tools/bench on programs that are built already, with tiny sizes: nothing here measures anything. A subject of its own,
bench_faulty.c, loses a job, runs one twice or crashes; each time the run must fail and say so, and print no row.
bench_micro_faulty.cc does the same to the main() of the google-benchmark programs.
Environment: SRCDIR, BUILDDIR, CC, CXX. Exit 77: the benches are not built.
"""
import json
import os
import subprocess
import sys
import tempfile

SRC, BUILD, CC, CXX = (os.environ[name] for name in ("SRCDIR", "BUILDDIR", "CC", "CXX"))
TOOL = os.path.join(SRC, "tools", "bench")
FIELDS = {"id", "subject", "idle_mode", "metric", "unit", "median", "low", "high", "n", "pingpong_ns", "class", "version"}
LATENCY = {"p50", "p90", "p99", "p99.9", "w50", "w99", "submit_p50", "cpu_percent"}
METRICS = {
    "B1": LATENCY, "B1a": LATENCY, "B1b": LATENCY, "B1b-periodic": LATENCY, "B1c": {"submit_p50"}, "B2": {"ns_per_job"},
    "B2-batch16": {"ns_per_job"}, "B3": {"ns_per_job"}, "B4": {"ns_per_job"},
    "B5": {"p50", "w50", "w99", "ideal_w50", "ideal_w99", "w99_ratio"},
}
bad = 0


def fail(text):
    global bad
    bad += 1
    print("FAIL: " + text)


def run(*command, env=None):
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **(env or {})})


def wants(code, words, *command, env=None, silent=True):
    """Exit code, words on standard error, and (unless silent=False) nothing on standard output."""
    done = run(*command, env=env)
    said = done.stderr.strip()
    if done.returncode != code or words not in said or (silent and done.stdout):
        fail(f"{' '.join(command)}: exit code {done.returncode}, want {code}; wanted '{words}' in: {said}; output: {done.stdout[:200]}")


def compiled(folder, source, name, *libraries):
    out = os.path.join(folder, name)
    compiler, standard = (CXX, "c++17") if source.endswith(".cc") else (CC, "gnu11")
    done = run(compiler, "-std=" + standard, "-O1", "-Wall", "-Wextra", "-Werror", "-I" + os.path.join(SRC, "bench"),
               os.path.join(SRC, "tests", "e2e", source), *libraries, "-o", out, "-lpthread", "-lm")
    if done.returncode != 0:
        sys.exit(f"FAIL: {source} does not compile:\n{done.stderr}")
    return out


def programs(folder):
    """One program at every work: its rows, and that --describe tells no lie."""
    for name in ("subject_mutex", "subject_shunt", "subject_raw_mpmc"):
        path = os.path.join(folder, name)
        said = json.loads(run(path, "--describe").stdout)
        for work in METRICS:
            if name == "subject_raw_mpmc" and work in said["works"] and work != "B1":
                continue  # it is quicker than the others, but not another program
            done = run(path, "--work", work, "--seconds", "0.01", "--patience", "60")
            if work not in said["works"]:
                if done.returncode != 77 or done.stdout or not done.stderr:
                    fail(f"{name} {work}: --describe lacks it; exit code {done.returncode}, want 77 and a reason")
                continue
            rows = [json.loads(line) for line in done.stdout.splitlines()]
            if done.returncode != 0 or not METRICS[work] <= {r["metric"] for r in rows}:
                fail(f"{name} {work}: exit code {done.returncode}: {done.stderr}{done.stdout}")
            for r in rows:
                if r["id"] != work or r["subject"] != said["subject"] or r["n"] < 1 or r["value"] < 0 or r["pingpong_ns"] < 0:
                    fail(f"{name} {work}: odd row {r}")
    if json.loads(run(os.path.join(folder, "limits"), "--work", "L9", "--seconds", "0.01").stdout)["id"] != "L9":
        fail("limits --work L9: another id")


def program_usage(folder):
    path = os.path.join(folder, "subject_mutex")
    wants(2, "--work: which?", path)
    wants(2, "--work: 'B99': no such work", path, "--work", "B99")
    wants(2, "--seconds: '0': want a number", path, "--work", "B1", "--seconds", "0")
    wants(2, "--jobs: '1.5': want a whole number", path, "--work", "B1", "--jobs", "1.5")
    wants(2, "--cpus: 'x': want cpu numbers", path, "--work", "B1", "--cpus", "x")
    wants(2, "may not run on cpu 99999", path, "--work", "B1", "--cpus", "99999")
    wants(2, "--cpus: needs a value", path, "--cpus")
    wants(2, "--nonsense: no such option", path, "--nonsense")
    wants(2, "'stray': no argument", path, "--work", "B1", "stray")
    wants(2, "--periodic: only with --work B1b", path, "--work", "B2", "--periodic")
    wants(77, "B1 in mode poll: cannot do that", path, "--work", "B1", "--idle", "poll")
    if "works:" not in run(path, "--help").stdout:
        fail("subject_mutex --help tells no works")


def tool(folder, *args):
    return (TOOL, "--no-build", "--build-dir", folder, *args)


def tool_usage(folder):
    wants(2, "--only: no such work: 'B99'", *tool(folder, "--only", "B99"))
    wants(2, "did you mean 'mutex'?", *tool(folder, "--subjects", "mutx"))
    wants(2, "--repeat: '0': want a whole number", *tool(folder, "--repeat", "0"))
    wants(2, "--seconds: 'x': want seconds", *tool(folder, "--seconds", "x"))
    wants(2, "--cpus: 'a': want cpu numbers", *tool(folder, "--cpus", "a"))
    wants(2, "want a file in a folder that exists", *tool(folder, "--json", os.path.join(folder, "no", "x.json")))
    wants(2, "want a file that --json wrote", *tool(folder, "--from", os.path.join(folder, "no.json")))
    wants(2, "not allowed with argument", *tool(folder, "--quick", "--full"))
    wants(2, "unrecognized arguments: stray", *tool(folder, "stray"))
    wants(2, "no programs in", *tool(os.path.join(folder, "no"), "--quick"))
    wants(2, "want one line", *tool(folder, "--write-docs", os.path.join(SRC, "LICENSE")))


def table(folder):
    """A whole small run: rows, spread, classes, text, JSON read back, the documents."""
    out, doc = os.path.join(folder, "rows.json"), os.path.join(folder, "doc.md")
    with open(doc, "w", encoding="utf-8") as f:
        f.write("before\n<!-- tools/bench: begin -->\nold\n<!-- tools/bench: end -->\nafter\n")
    done = run(*tool(folder, "--seconds", "0.05", "--repeat", "2", "--only", "B1,B1a,B1c,B2", "--subjects", "shunt,mutex",
                     "--json", out, "--write-docs", doc))
    if done.returncode != 0:
        return fail(f"tools/bench: exit code {done.returncode}: {done.stderr}")
    with open(out, encoding="utf-8") as f:
        result = json.load(f)
    seen = set()
    for r in result["rows"]:
        seen.add((r["id"], r["subject"], r["idle_mode"]))
        pair = r["pingpong_ns"]
        right = ("unknown",) if pair == 0 else ("near", "mixed") if pair < 90 else ("far", "mixed")
        if not FIELDS <= r.keys() or not r["low"] <= r["median"] <= r["high"] or not 1 <= r["n"] <= 2 or r["class"] not in right:
            fail(f"odd row: {r}")
    for want in (("B1", "shunt", "poll"), ("B1", "mutex", "default"), ("B1a", "shunt", "adaptive"), ("B1a", "mutex", "default"),
                 ("B1c", "shunt", "poll"), ("B2", "shunt", "park"), ("B2", "mutex", "default")):
        if want not in seen:
            fail(f"no rows of {want}")
    if {s for _, s, _ in seen} != {"shunt", "mutex"} or {i for i, _, _ in seen} != {"B1", "B1a", "B1c", "B2"}:
        fail(f"rows of what was not asked for: {seen}")
    for words in ("B2: throughput", "x line", "x best peer", "skipped: tbb: not built (Debian: libtbb-dev)"):
        if words not in done.stdout:
            fail(f"no '{words}' in: {done.stdout}")
    again = run(TOOL, "--from", out)
    if again.returncode != 0 or again.stdout != done.stdout:
        fail(f"--from shows something else: {again.stderr}{again.stdout}")
    with open(doc, encoding="utf-8") as f:
        text = f.read()
    if not text.startswith("before\n<!--") or not text.endswith("-->\nafter\n") or "old" in text or "### B2" not in text:
        fail(f"--write-docs wrote: {text}")


FAKE = """#!/usr/bin/env bash
# value, ping-pong before and behind, one such a repetition: %(pairs)s
set -euo pipefail
if [ "$1" = --describe ]; then
	echo '{"subject": "%(name)s", "version": "1", "idle_policy": "", "idle_modes": ["default"], "works": ["B3"]}'
	exit 0
fi
pairs=(%(pairs)s)
count=$(cat "$0.count" 2> /dev/null || echo 0)
echo $((count + 1)) > "$0.count"
pair=${pairs[count]}
printf '{"id": "B3", "subject": "%(name)s", "version": "1", "idle_mode": "default", "metric": "ns_per_job", "unit": "ns", '
IFS=: read -r value before behind <<< "$pair"
printf '"value": %%s, "n": 7, "pingpong_ns": %%s, "pingpong_after_ns": %%s}\\n' "$value" "$before" "$behind"
"""


def summary():
    """Known values from two made-up subjects: medians, spread, classes, multiples of the line and of the best peer."""
    with tempfile.TemporaryDirectory() as folder:
        inside = os.path.join(folder, "bench")
        os.mkdir(inside)
        for name, pairs in (("fake", "100:50:50 300:50:80 240:200:300 9:50:200"), ("other", "50:50:50 50:50:50 60:200:200 9:200:50")):
            path = os.path.join(inside, "subject_" + name)
            with open(path, "w", encoding="utf-8") as f:
                f.write(FAKE % {"name": name, "pairs": pairs})
            os.chmod(path, 0o755)
        out = os.path.join(folder, "rows.json")
        done = run(*tool(folder, "--only", "B3", "--repeat", "4", "--json", out))
        if done.returncode != 0:
            return fail(f"made-up subjects: exit code {done.returncode}: {done.stderr}")
        with open(out, encoding="utf-8") as f:
            rows = {(r["subject"], r["class"]): r for r in json.load(f)["rows"]}
        got = {k: (r["median"], r["low"], r["high"], r["n"], r["pingpong_ns"], r["x_line"]) for k, r in rows.items()}
        want = {("fake", "near"): (200, 100, 300, 2, 50, 4), ("fake", "far"): (240, 240, 240, 1, 200, 1.2),
                ("other", "near"): (50, 50, 50, 2, 50, 1), ("other", "far"): (60, 60, 60, 1, 200, 0.3)}
        if got != want:
            fail(f"made-up subjects: {got}, want {want}")
        lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
        for line in ("fake default near 200 ns 100 ns .. 300 ns 4 4 - -", "fake default far 240 ns 240 ns 1.2 4 - -"):
            if line not in lines:
                fail(f"made-up subjects: no line '{line}' in: {done.stdout}")


def against():
    """Two made-up builds whose figures are known: pairs of one class alone, the ratios' median and interval, turns of the order."""
    with tempfile.TemporaryDirectory() as folder:
        builds = {"now": "110:50:50 120:50:50 90:50:50 900:200:200 100:50:50", "old": "100:50:50 100:50:50 100:50:50 90:50:50 100:50:50"}
        for build, pairs in builds.items():
            os.makedirs(os.path.join(folder, build, "bench"))
            path = os.path.join(folder, build, "bench", "subject_shunt")
            with open(path, "w", encoding="utf-8") as f:
                f.write(FAKE % {"name": "shunt", "pairs": pairs})
            os.chmod(path, 0o755)
        now, old = os.path.join(folder, "now"), os.path.join(folder, "old")
        wants(2, "--against: '" + folder + "': want the build folder", *tool(now, "--only", "B3", "--against", folder))
        done = run(*tool(now, "--only", "B3", "--repeat", "5", "--against", old))
        lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
        want = "B3 default ns_per_job near 100 105 1.050 0.900 .. 1.200 4"
        if done.returncode != 0 or want not in lines:
            fail(f"--against: exit code {done.returncode}, no line '{want}' in: {done.stdout}{done.stderr}")


def faults(folder, faulty):
    """Each fault is reported, and no figure is printed for it; without one the same subject passes."""
    few = ("--only", "B2", "--subjects", "faulty", "--jobs", "5000", "--repeat", "1")
    for fault, words in (("lose", "jobs ran, then none for 0.3 s: lost"), ("twice", "jobs submitted, but"), ("crash", "signal 6")):
        # Only a lost job is waited for. Else a machine that stops for so long is no fault.
        patience = ("--patience", "0.3") if fault == "lose" else ()
        wants(1, words, *tool(folder, *few, *patience), env={"BENCH_FAULT": fault}, silent=False)
        done = run(faulty, "--work", "B2", "--jobs", "5000", *patience, env={"BENCH_FAULT": fault})
        if done.returncode == 0 or done.stdout:
            fail(f"faulty, {fault}: exit code {done.returncode}, and it printed: {done.stdout}")
    done = run(*tool(folder, *few))
    if done.returncode != 0 or "faulty" not in done.stdout:
        fail(f"faulty, without a fault: exit code {done.returncode}: {done.stderr}{done.stdout}")


def micro(folder):
    """An error in one benchmark, or no benchmark at all, makes the program fail; the other runs are shown."""
    program = compiled(folder, "bench_micro_faulty.cc", "micro_faulty", os.path.join(BUILD, "bench", "libbench_main.a"), "-lbenchmark")
    short = "--benchmark_min_time=0.001"
    wants(0, "", program, short, "--benchmark_filter=^sound$", silent=False)
    wants(1, "1 runs ended in an error", program, short, silent=False)
    wants(1, "no benchmark was run", program, short, "--benchmark_filter=^soudn$", silent=False)
    wants(2, "", program, "--benchmark_no_such_option")
    rows = json.loads(run(program, short, "--benchmark_format=json").stdout)["benchmarks"]
    got = [(r["name"], r.get("error_message")) for r in rows]
    if got != [("sound", None), ("faulty", "a planted error")]:
        fail(f"bench_micro_faulty --benchmark_format=json: {got}")


def main():
    built = os.path.join(BUILD, "bench")
    library = os.path.join(built, "libbench_harness.a")
    if not os.path.exists(library):
        print("skipped: the benches are not built here")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        inside = os.path.join(folder, "bench")
        os.mkdir(inside)
        for name in ("subject_mutex", "subject_shunt", "subject_raw_mpmc", "limits"):
            os.symlink(os.path.join(built, name), os.path.join(inside, name))
        faulty = compiled(inside, "bench_faulty.c", "subject_faulty", library)
        stats = run(compiled(folder, "bench_stats.c", "stats", library))
        if stats.returncode != 0:
            fail("bench_stats:\n" + stats.stdout)
        programs(inside)
        program_usage(inside)
        tool_usage(folder)
        table(folder)
        faults(folder, faulty)
        micro(folder)
    summary()
    against()
    print("failed" if bad else "passed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
