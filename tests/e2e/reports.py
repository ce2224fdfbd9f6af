#!/usr/bin/env python3
"""What the reports say and how: memory with its mappings, shares of time up to 100 %, tables that fit 80 columns, control
bytes of files and flags escaped, generators on cpus of their own, an ignored SIGINT that stays ignored.
Environment: SHUNT (command), SRCDIR. SPDX-License-Identifier: MIT"""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile

shunt = os.environ["SHUNT"]
tree = os.path.join(os.environ["SRCDIR"], "include")
failed = []


def check(good, *what):
    if not good:
        failed.append(what)
        print("reports: not so:", *what)


def run(*args, code=0, **more):
    done = subprocess.run([shunt, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=240,
                          check=False, **more)
    check(done.returncode == code, args, "exit code", done.returncode, "want", code, done.stderr[-300:])
    return done.stdout, done.stderr


def no_control(what, data):
    bad = [b for b in data if b < 32 and b not in b"\n" or b == 127]
    check(not bad and b"\xc2\x9b" not in data, what, "prints control bytes:", data[:200])


with tempfile.TemporaryDirectory() as tmp:
    # Memory holds what is mapped; overload: more jobs end in the interval than are submitted in it.
    out, _ = run("load", "--overload", "--utilisation", "300%", "--duration", "300ms", "--warmup", "500ms", "--no-limits",
                 "--service", "fixed:20us", "--json", os.path.join(tmp, "o.json"))
    text = out.decode()
    with open(os.path.join(tmp, "o.json"), encoding="utf-8") as f:
        report = json.load(f)
    for w in report["workers"]:
        check(w["utilisation"] <= 1, "worker", w["worker"], "used", w["utilisation"])
    pool = report["pools"][0]
    check(pool.get("bytes_mapped", 0) > 1 << 20, "bytes_mapped", pool.get("bytes_mapped", 0))
    said = re.search(r"([\d.]+) MiB of memory", text)
    check(said and abs(float(said.group(1)) - (pool["bytes"] + pool.get("bytes_mapped", 0)) / (1 << 20)) < 0.06 * float(said.group(1)),
          "memory:", text[-400:])
    check((pool["finished"] > pool["submitted"]) == ("of them submitted before)" in text), "finished beside submitted:", pool)
    # Generators: a cpu of their own where there is another one, unless the user says where workers run.
    cpus = len(os.sched_getaffinity(0))
    check(report.get("generator_cpus") == (1 if cpus > 1 else 0), "generator_cpus", report.get("generator_cpus"), "of", cpus)
    if cpus > 1:
        check(all(w["cpu_planned"] != max(os.sched_getaffinity(0)) for w in report["workers"]), "a worker is planned on the last cpu")
    out, _ = run("load", "--workers", "1", "--duration", "50ms", "--no-limits", "--json", "-")
    check(json.loads(out).get("generator_cpus") == 0, "--workers and generator cpus")

    # Tables fit 80 columns, whatever is in them.
    names = "abcdefghijklmnopqrstuvwxyz01234"
    config = os.path.join(tmp, "wide.yaml")
    with open(config, "w", encoding="utf-8") as f:
        f.write(f"runtime: {{levels: [{names}]}}\npools:\n  {names}: {{workers: 2, on_full: error}}\n")
    for args in (["load", "--duration", "100ms", "--config", config, "--levels", names + "=100%"],
                 ["load", "--duration", "100ms", "--no-limits"], ["run", "--tree", tree], ["run", "--tree", tree, "--config", config]):
        out, _ = run(*args)
        lines = out.decode().splitlines()
        head = [i for i, line in enumerate(lines) if re.match(r"  (type|pool) +(level|worker)|   +before: min", line)]
        check(len(head) >= 2, args, "tables found:", len(head))
        for i in head:
            for line in lines[i:]:
                if not line or "submitted" in line:
                    break
                check(len(line) <= 80, args[0], "table of", len(line), "columns:", line)
    with open(config, "w", encoding="utf-8") as f:
        f.write("runtime: {levels: [urgent, high, normal, low, batch]}\npools:\n  main: {workers: 2}\n")
    out, _ = run("config", "--config", config)
    values = [line for line in out.decode().splitlines() if line.endswith("  default")]
    check(len(values) > 20 and max(map(len, values)) <= 80, "shunt config: columns:", max(map(len, values)))

    # Control bytes of names and files.
    esc = "\x1b[31mred\x07"
    path = os.path.join(tmp, "e\x1b[31m.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write("pools: {a: {workers: 1}}\n")
    out, err = run("config", "--check", path)
    no_control("config --check", out + err)
    with open(path, "w", encoding="utf-8") as f:
        f.write(f'pools: {{"a{chr(92)}e[31m": {{workers: 1}}}}\n')
    for args in (["config", "--check", path], ["run", "--config", path, "--tree", tree], ["config", "--config", path]):
        out, err = run(*args, code=2)
        no_control(args[0], out + err)
    csv = os.path.join(tmp, "e.csv")
    with open(csv, "w", encoding="utf-8") as f:
        f.write(esc + ",1\n")
    for args in (["load", "--trace", csv], ["load", "--service", esc], ["load", "--levels", esc], ["run", "--tree", tree + esc],
                 ["run", "--" + esc], [esc], ["topo", "--place", esc], ["topo", "--synthetic", esc], ["load", "--set", esc]):
        out, err = run(*args, code=2)
        no_control(args, out + err)
    hlog = os.path.join(tmp, "t.hlog")
    run("run", "--tree", tree, "--quiet", "--hist", hlog)
    with open(hlog, encoding="utf-8") as f:
        lines = [re.sub(r"^Tag=[^,]*", "Tag=a\u009b31m", line) for line in f]
    with open(hlog, "w", encoding="utf-8") as f:
        f.writelines(lines)
    out, err = run("hist", hlog)
    no_control("hist", out + err)
    check(b"\\xc2\\x9b31m" in out, "the tag is escaped:", out[:100])

    # SIGINT that was ignored at the start stays ignored.
    with subprocess.Popen([shunt, "load", "--duration", "1s", "--no-limits", "--workers", "1", "--json", "-"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) as p:
        def caught():
            with open(f"/proc/{p.pid}/status", encoding="ascii") as f:
                return int(re.search(r"^SigCgt:\s*(\w+)", f.read(), re.M).group(1), 16)
        while not caught() >> (signal.SIGTERM - 1) & 1 and p.poll() is None:
            os.sched_yield()
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=120)
        check(p.returncode == 0 and out and json.loads(out)["stopped_by"] is None, "ignored SIGINT:", p.returncode, err)

sys.exit(1 if failed else print("ok"))
