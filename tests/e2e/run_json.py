#!/usr/bin/env python3
"""The JSON reports of `shunt run` and `shunt load`: complete, consistent in themselves, with the histogram log and
with the file system. Environment: SHUNT (command), SRCDIR. SPDX-License-Identifier: MIT"""
import json
import os
import subprocess
import tempfile

shunt = os.environ["SHUNT"]
tree = os.path.join(os.environ["SRCDIR"], "include")


def run(*args):
    done = subprocess.run([shunt, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=240, check=False)
    assert done.returncode == 0, (args, done.returncode, done.stderr)
    return done.stdout


def check_percentiles(h):
    order = [h["p50_ns"], h["p90_ns"], h["p99_ns"], h["p99_9_ns"], h["max_ns"]]
    assert order == sorted(order), h
    assert h["count"] == 0 or h["mean_ns"] <= h["max_ns"] + 1, h


def check_common(r):
    for s in r["series"]:
        for what in ("queue", "run", "total"):
            check_percentiles(s[what])
            assert s[what]["count"] == s["done"] + s["failed"], s
    for w in r["workers"]:
        assert w["utilisation"] >= 0, w
    assert r["budget"]["cpus"] >= 1 and r["budget"]["why"]


def check_hist_log(path, series):
    logged = {s["tag"]: s for s in json.loads(run("hist", path, "--json"))["series"]}
    for s in series:
        for what in ("queue", "run", "total"):
            entry = logged[f"{what}.{s['type']}.{s['level']}"]
            assert entry["count"] == s[what]["count"], (entry, s[what])
            assert abs(entry["max_ns"] - s[what]["max_ns"]) <= 0.011 * s[what]["max_ns"] + 1, (entry, s[what])


with tempfile.TemporaryDirectory() as tmp:
    log = os.path.join(tmp, "run.hlog")
    report = json.loads(run("run", "--tree", tree, "--json", "-", "--hist", log))
    check_common(report)
    names = [os.path.join(d, f) for d, _, fs in os.walk(tree) for f in fs]
    size = sum(os.path.getsize(f) for f in names)
    counts = report["counts"]
    assert report["command"] == "run" and report["stopped_by"] is None and report["unfinished_jobs"] == 0
    assert counts["files_found"] == counts["files_hashed"] + counts["files_empty"] == len(names), counts
    assert counts["bytes_hashed"] == counts["bytes_before_compression"] == size, (counts, size)
    assert 0 < counts["bytes_after_compression"] < size
    done = {s["type"]: s["done"] for s in report["series"]}
    probes = done.pop("probe")
    assert probes == report["urgent_job_wait"]["count"] >= 1 and report["urgent_job_wait"]["refused"] == 0, report["urgent_job_wait"]
    check_percentiles(report["urgent_job_wait"])
    assert done == {"scan": counts["directories"], "hash": counts["files_found"], "compress": counts["files_hashed"]}, done
    levels = {s["type"]: s["level"] for s in report["series"]}
    assert levels == {"scan": "high", "hash": "normal", "compress": "low", "probe": "high"}, levels
    for pool in report["pools"]:
        assert pool["submitted"] == pool["finished"] == sum(done.values()) + probes, pool
    assert sum(w["jobs"] for w in report["workers"]) + sum(p["ran_inline"] for p in report["pools"]) >= sum(done.values())
    check_hist_log(log, report["series"])

    # A configuration file decides about levels, pool and types.
    config = os.path.join(tmp, "run.yaml")
    with open(config, "w", encoding="utf-8") as f:
        f.write("runtime: {levels: [urgent, rest]}\npools:\n  files: {workers: 1}\ntypes:\n  hash: {level: urgent}\n")
    report = json.loads(run("run", "--tree", tree, "--json", "-", "--config", config))
    levels = {s["type"]: s["level"] for s in report["series"]}
    assert levels == {"scan": "urgent", "hash": "urgent", "compress": "rest", "probe": "urgent"}, levels
    assert [(p["pool"], p["workers"]) for p in report["pools"]] == [("files", 1)], report["pools"]

    log = os.path.join(tmp, "load.hlog")
    report = json.loads(run("load", "--rate", "2k", "--duration", "300ms", "--warmup", "0", "--service", "fixed:5us",
                            "--seed", "7", "--no-limits", "--json", "-", "--hist", log))
    check_common(report)
    assert report["submitted"] == sum(s["done"] for s in report["series"]) > 0, report
    assert report["generator_lag"]["count"] == report["submitted"] and report["refused"] == 0
    assert all(s["run"]["p50_ns"] >= 4950 for s in report["series"]), "jobs shorter than they were asked to be"
    check_percentiles(report["generator_lag"])
    check_hist_log(log, report["series"])
print("ok")
