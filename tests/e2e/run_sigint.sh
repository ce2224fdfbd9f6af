#!/usr/bin/env bash
# SIGINT (and SIGTERM) half way through `shunt run`: exit code 130, a report that adds up, and digests that are right
# as far as they go; the same if another signal comes at once, as from timeout. The tree is 16 GiB of holes for one worker, so that it cannot be done before the signal.
# Environment: SHUNT (command). SPDX-License-Identifier: MIT
set -euo pipefail

shunt=${SHUNT:?SHUNT must name the command}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

fail() {
	echo "run_sigint: $*" >&2
	exit 1
}

mkdir "$tmp/tree"
for i in $(seq 200); do echo "$i" > "$tmp/tree/a$i"; done
for i in $(seq 32); do truncate -s 512M "$tmp/tree/hole$i"; done

# "INT TERM": both at once.
for signals in INT TERM 'INT TERM'; do
	signal=${signals%% *}
	rm -f "$tmp/log.hlog"
	# A shell starts background jobs with SIGINT ignored, and an ignored one stays ignored.
	env --default-signal=INT "$shunt" run --tree "$tmp/tree" --workers 1 --digests "$tmp/digests" --json "$tmp/report.json" --hist "$tmp/log.hlog" \
		> "$tmp/out" 2> "$tmp/err" &
	pid=$!
	# The first interval of the log shows that the walk is well under way.
	for _ in $(seq 1200); do
		grep -q '^Tag=run\.scan' "$tmp/log.hlog" 2> /dev/null && break
		kill -0 "$pid" 2> /dev/null || fail "$signal: it ended by itself: $(cat "$tmp/err")"
		sleep 0.05
	done
	grep -q '^Tag=run\.scan' "$tmp/log.hlog" || fail "$signal: no interval was logged within a minute"
	# Both are pending before the process runs again: which one comes first is the kernel's choice.
	[ "$signals" = "$signal" ] || kill -s STOP "$pid"
	for s in $signals; do kill -s "$s" "$pid"; done
	[ "$signals" = "$signal" ] || kill -s CONT "$pid"
	code=0
	wait "$pid" || code=$?
	[ "$code" = 130 ] || fail "$signal: exit code $code, want 130: $(cat "$tmp/err")"
	grep -qE "stopped by signal \\(SIG(${signals// /|})\\)" "$tmp/out" || fail "$signal: the report does not say that it was stopped"
	python3 - "$tmp/report.json" "$signals" "$(wc -l < "$tmp/digests")" <<- 'PY'
		import json, sys
		r = json.load(open(sys.argv[1]))
		c = r["counts"]
		assert r["stopped_by"] in ["SIG" + s for s in sys.argv[2].split()], r["stopped_by"]
		assert r["unfinished_jobs"] == 0
		ended = sum(c["files_" + k] for k in ("hashed", "empty", "failed", "skipped", "not_finished", "cancelled"))
		assert c["files_found"] == ended, (c["files_found"], ended)
		assert c["files_found"] <= 232 and c["files_hashed"] < 232, c
		assert c["files_cancelled"] + c["files_not_finished"] + c["directories_not_finished"] > 0, c
		assert int(sys.argv[3]) == c["files_hashed"] + c["files_empty"], sys.argv[3]
		for p in r["pools"]:
		    assert p["submitted"] == p["finished"], p
		jobs = sum(s["done"] + s["failed"] + s["cancelled"] for s in r["series"])
		assert jobs == sum(p["submitted"] for p in r["pools"]), jobs
	PY
	[ ! -s "$tmp/digests" ] || sha256sum --quiet --strict -c "$tmp/digests" || fail "$signal: wrong digests"
	"$shunt" hist "$tmp/log.hlog" > "$tmp/hist.txt" || fail "$signal: the histogram log is damaged"
done
echo "ok"
