#!/usr/bin/env bash
# `shunt run` shows what levels do: while one worker hashes and compresses large files, urgent jobs get through at the
# checkpoints; and neither the files in work nor the wait of a directory grow with the tree.
# No time is held against a clock: waits are compared with the run times of the same run.
# Environment: SHUNT (command). SPDX-License-Identifier: MIT
set -euo pipefail

shunt=${SHUNT:?SHUNT must name the command}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

# judge "WHAT" REPORT EXPRESSION: of r (the report), q(type) and run(type) (their histograms), wait (the probes)
judge() {
	python3 - "$@" <<- 'PY' || failed=1
		import json, sys
		what, path, expression = sys.argv[1:]
		r = json.load(open(path))
		def series(t):
		    return next(s for s in r["series"] if s["type"] == t)
		names = {"r": r, "c": r["counts"], "q": lambda t: series(t)["queue"], "run": lambda t: series(t)["run"],
		         "done": lambda t: series(t)["done"], "wait": r.get("urgent_job_wait")}
		if not eval(expression, names):
		    figures = {s["type"]: {k: s[k] for k in ("done", "queue", "run")} for s in r["series"]}
		    sys.exit(f"FAIL: {what}: not ({expression}): wait {names['wait']}, in work {r.get('files_in_work_max')}, {figures}")
		print(f"ok: {what}")
	PY
}

# Large files: hashing, and compressing all of them.
mkdir "$tmp/large"
for i in 1 2; do truncate -s 512M "$tmp/large/$i"; done
timeout 240 "$shunt" run --tree "$tmp/large" --workers 1 --sample 512MiB --json "$tmp/large.json" > "$tmp/out"
judge "urgent jobs pass long ones" "$tmp/large.json" \
	'wait["count"] >= 20 and wait["p50_ns"] * 10 < min(run("hash")["p50_ns"], run("compress")["p50_ns"])'
grep -A1 -E '^  an urgent job waited p50 .*, p99 .*, max ' "$tmp/out" | grep -qE '^    \([0-9,]+ probes at level high\)$' || {
	echo "FAIL: no line on urgent jobs: $(cat "$tmp/out")"
	failed=1
}

# Many directories, many files in one directory: one worker is allowed 1024 files and a piece of each of two directories more.
mkdir "$tmp/many"
(cd "$tmp/many" && seq -f 'd%.0f' 3000 | xargs mkdir && for d in d*; do : > "$d/f"; done && mkdir one && cd one &&
	seq -f 'f%.0f' 6000 | xargs touch)
timeout 240 "$shunt" run --tree "$tmp/many" --workers 1 --json "$tmp/many.json" --quiet
judge "all found" "$tmp/many.json" 'c["directories"] == 3002 and c["files_found"] == c["files_empty"] == 9000'
judge "large directories are scanned in pieces" "$tmp/many.json" 'done("scan") >= 3002 + 3000 // 256 + 6000 // 256'
judge "the files in work are bounded" "$tmp/many.json" '1 <= r["files_in_work_max"] <= 1024 + 2 * 256'
# Two scan jobs in flight at most: one waits for another one, not for all those found before it.
judge "a directory does not wait behind all others" "$tmp/many.json" 'q("scan")["p99_ns"] * 20 < r["elapsed_ns"]'
exit "$failed"
