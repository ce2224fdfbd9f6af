#!/usr/bin/env bash
# `shunt load`: every kind of arrivals and service runs to its end, one seed gives the same jobs, all of them are
# accounted for, overload is refused unless asked for, the machine's limits are in the report.
# Environment: SHUNT (command). SPDX-License-Identifier: MIT
set -euo pipefail

shunt=${SHUNT:?SHUNT must name the command}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

fail() {
	echo "load_smoke: $*" >&2
	exit 1
}

# field NAME: a number of the last report
field() {
	python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$tmp/report.json" "$1"
}

load() {
	timeout 120 "$shunt" load --duration 200ms --warmup 0 --no-limits --json "$tmp/report.json" --quiet "$@"
}

printf '1us\n2us # short\n\n3000\n' > "$tmp/times"
for arrivals in poisson constant burst:7; do
	for service in fixed:2us exp:3us bimodal:1us,50us,1% "file:$tmp/times"; do
		load --rate 2k --arrivals "$arrivals" --service "$service" --seed 1 || fail "$arrivals $service: exit code $?"
		python3 - "$tmp/report.json" <<- 'PY' || fail "$arrivals $service: jobs are missing"
			import json, sys
			r = json.load(open(sys.argv[1]))
			done = sum(s["done"] for s in r["series"])
			sys.exit(0 if r["submitted"] == done > 0 and r["refused"] == r["unfinished"] == 0 else f"{r['submitted']} {done}")
		PY
	done
done
[ "$(field service_mean_ns)" = 2000.0 ] || fail "the mean of the file is $(field service_mean_ns), want 2000"

load --rate 3k --submitters 3 --seed 42
first=$(field submitted)
load --rate 3k --submitters 3 --seed 42
[ "$(field submitted)" = "$first" ] || fail "seed 42 gives $first jobs, then $(field submitted)"
load --rate 1k --arrivals constant --seed 9
[ "$(field submitted)" = 200 ] || fail "1000 jobs a second for 200 ms are $(field submitted), want 200"

load --rate 2k --service fixed:2us --levels a=20%,b=30%,c=50% --workers 1 || fail "--levels: exit code $?"
python3 - "$tmp/report.json" <<- 'PY' || fail "--levels: other series"
	import json, sys
	sys.exit(0 if {s["level"] for s in json.load(open(sys.argv[1]))["series"]} == set("abc") else 1)
PY

code=0
load --utilisation 150% 2> "$tmp/err" || code=$?
[ "$code" = 2 ] && grep -q 'say --overload' "$tmp/err" || fail "overload: exit code $code: $(cat "$tmp/err")"
load --utilisation 300% --service fixed:200us --workers 1 --jobs-max 64 --overload || fail "--overload: exit code $?"
[ "$(field refused)" -gt 0 ] || fail "--overload with capacity for 64 jobs refuses nothing"

timeout 120 "$shunt" load --duration 200ms --warmup 50ms --rate 1k > "$tmp/out" || fail "with limits: exit code $?"
for word in 'generator late by' 'futex wake until the sleeper runs' 'queue' 'p99.9' 'EWMA'; do
	grep -q "$word" "$tmp/out" || fail "the report lacks '$word'"
done
echo "ok"
