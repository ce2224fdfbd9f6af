#!/usr/bin/env bash
# `shunt advise`: runs in little time, prints table, verdict and a configuration that `shunt config --check` accepts; the
# JSON agrees with the flags; a recorded load is played; bad input is reported with file and line, before anything
# is measured. Which configuration wins is not asked here: advise_judge.sh does that.
# Environment: SHUNT (command). SPDX-License-Identifier: MIT
set -euo pipefail

shunt=${SHUNT:?SHUNT must name the command}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0
cd "$tmp"

fail() {
	echo "FAIL: $*" >&2
	failed=1
}

advise() {
	local option default given=()
	for option in --duration=2s --rounds=3 --rate=2k --service=fixed:2us; do # an option may come once
		default=${option%%=*}
		[[ " $* " == *" $default "* ]] || given+=("$option")
	done
	timeout 120 "$shunt" advise "${given[@]}" "$@"
}

# wants CODE "words of the message" arguments...
wants() {
	local code=$1 words=$2 got=0
	shift 2
	timeout 60 "$shunt" advise "$@" > out 2> err < /dev/null || got=$?
	[ "$got" = "$code" ] || fail "advise $*: exit code $got, want $code: $(cat err)"
	grep -qF -e "$words" err || fail "advise $*: want '$words' in: $(cat err)"
	[ ! -s out ] || fail "advise $*: output beside the message: $(head -1 out)"
}

# The whole text.
code=0
advise --workers 2 --json report.json --write best.yaml --seed 7 > out 2> err || code=$?
[ "$code" = 0 ] && ! grep -v 'warning: .* share' err || fail "exit code $code: $(cat err)"
for words in 'shunt advise: 2,000 jobs a second, poisson arrivals, service fixed:2us' '3 rounds of 6 configurations' 'seed 7' \
	'queue p50' 'total p50' 'spread of queue p99' 'configuration to paste:' 'against the defaults\|the chosen one is what'; do
	grep -q "$words" out || fail "the report lacks '$words': $(cat out)"
done
grep -q 'no clear winner: within the noise\|best here by p99 of queue delay' out || fail "no verdict: $(cat out)"
grep -q 'pinned is better here\|pinned or unpinned: no clear difference' out || fail "no word on pinning: $(cat out)"
for idle in poll adaptive park; do
	for pin in pinned unpinned; do
		grep -q "^  2 workers, $idle, $pin  .* to " out || fail "no row for $idle, $pin: $(cat out)"
	done
done
sed '1,/^configuration to paste:$/d' out | sed '1{/^$/d}' > pasted.yaml
cmp pasted.yaml best.yaml || fail "what is pasted and what is written differ"
[ "$("$shunt" config --check best.yaml 2>&1)" = 'best.yaml: ok' ] || fail "best.yaml is no configuration: $(cat best.yaml)"
python3 - report.json best.yaml <<- 'PY' || fail "JSON: $(cat report.json)"
	import json, sys
	r = json.load(open(sys.argv[1]))
	rows = r["rows"]
	assert r["command"] == "advise" and r["criterion"] == "queue_p99_ns" and r["rounds"] == 3 and r["seed"] == 7
	assert [(x["idle"], x["pinned"]) for x in rows] == [(i, p) for i in ("poll", "adaptive", "park") for p in (True, False)]
	for x in rows:
	    # A round in which the machine stopped for the whole measurement has no job, and does not count.
	    assert x["workers"] == 2 and 1 <= x["rounds"] <= 3 and x["carried"], x
	    for k, f in x.items():
	        if isinstance(f, dict):
	            assert 0 <= f["low"] <= f["median"] <= f["high"], (k, f)
	    assert x["queue_p50_ns"]["median"] <= x["queue_p99_ns"]["median"] <= x["queue_p99_9_ns"]["median"], x
	    # The handler alone takes 2 us; less half a bucket of the histogram.
	    assert x["total_p50_ns"]["low"] >= 1980, x
	poll, park = rows[0], rows[4]
	assert poll["cpu_percent"]["median"] > park["cpu_percent"]["median"], (poll, park)
	v = r["verdict"]
	chosen, best = rows[v["chosen"]], rows[v["best"]]
	assert min(x["queue_p99_ns"]["median"] for x in rows) == best["queue_p99_ns"]["median"]
	assert v["clear"] == (v["tied"] == 1) and rows[v["best_pinned"]]["pinned"] and not rows[v["best_unpinned"]]["pinned"]
	assert r["config"] == open(sys.argv[2]).read()
	pin = "compact" if chosen["pinned"] else "none"
	assert f"    workers: 2\n    pin: {pin}\n    idle: {chosen['idle']}\n" in r["config"]
PY
"$shunt" load --config best.yaml --rate 1k --duration 50ms --warmup 0 --no-limits --quiet 2> err || fail "load --config: $(cat err)"

# Flags leave rows out; the other criteria; every number of workers up to n.
advise --workers 1 --idle park --pin none --duration 500ms --optimise cpu --json - --quick > report.json || fail "one row: exit code $?"
python3 - report.json <<- 'PY' || fail "JSON of one row: $(cat report.json)"
	import json, sys
	r = json.load(open(sys.argv[1]))
	assert [(x["workers"], x["idle"], x["pinned"]) for x in r["rows"]] == [(1, "park", False)] and r["criterion"] == "cpu_percent"
	assert r["verdict"]["clear"] and r["verdict"]["pinning"] == "unknown"
PY
printf 'pools:\n  one: {workers: 1}\n  io: {workers: 3, pin: scatter, strategy: random}\n' > base.yaml
advise --config base.yaml --pool io --levels high=100% --idle park --optimise p50 --json - > report.json || fail "--config: exit code $?"
python3 - report.json <<- 'PY' || fail "JSON with --config: $(cat report.json)"
	import json, sys
	r = json.load(open(sys.argv[1]))
	assert [x["workers"] for x in r["rows"]] == [1, 1, 2, 2, 3, 3] and r["pin"] == "scatter"
	assert "\n  io:\n" in r["config"] and "levels" not in r["config"] and "the rest is in base.yaml" in r["config"]
PY

# A rate that one worker cannot carry and two can: not run for one, run for two. A machine that is busy with something
# else may not carry it at all (exit code 1); the rows are printed all the same.
cpus=$("$shunt" topo --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["budget"]["cpus"])')
if [ "$cpus" -ge 2 ]; then
	code=0
	WORKER_CONCURRENCY=2 timeout 120 "$shunt" advise --rate 1200 --service fixed:1ms --idle park --pin none --duration 1s --rounds 3 \
		--json - > report.json 2> err || code=$?
	[ "$code" -le 1 ] || fail "heavy load: exit code $code: $(cat err)"
	[ "$code" = 0 ] || grep -q 'no configuration carried the load' err || fail "heavy load: $(cat err)"
	python3 - report.json <<- 'PY' || fail "JSON of a heavy load: $(cat report.json)"
		import json, sys
		one, two = json.load(open(sys.argv[1]))["rows"]
		assert one["workers"] == 1 and not one["carried"] and one["rounds"] == 0 and two["rounds"] >= 1
	PY
fi

# A recorded load: 100 jobs 1 ms apart, levels by name, by number and drawn.
python3 - <<- 'PY'
	with open("trace.csv", "w") as f:
	    f.write("arrival_ns,service_ns,level\n# recorded\n\n")
	    for i in range(100):
	        f.write(f"{10**15 + i * 10**6},{1000 + i}{[',high', ',2', '', ' , low'][i % 4]}\n")
PY
advise_trace() {
	timeout 120 "$shunt" advise --duration 1s --rounds 3 --workers 1 --idle park --pin none --json - "$@"
}
advise_trace --trace trace.csv > report.json || fail "--trace: exit code $?"
python3 -c 'import json; r = json.load(open("report.json")); assert abs(r["rate_per_s"] - 1000) < 1 and abs(r["service_mean_ns"] - 1049.5) < 1 and r["service"] == "trace.csv", r' ||
	fail "--trace: $(cat report.json)"
advise_trace --trace trace.csv --rate 3k > report.json || fail "--trace --rate: exit code $?"
python3 -c 'import json; r = json.load(open("report.json")); assert r["rate_per_s"] == 3000, r' || fail "--trace --rate: $(cat report.json)"
# `shunt load` plays the same: 500 ms are 500 jobs, by level 125 + 125, 125 and the drawn ones.
"$shunt" load --trace trace.csv --duration 500ms --warmup 0 --no-limits --levels high=0%,normal=100%,low=0% --hist load.hlog \
	--submitters 3 --json report.json --quiet || fail "load --trace: exit code $?"
python3 - report.json <<- 'PY' || fail "load --trace: $(cat report.json)"
	import json, sys
	r = json.load(open(sys.argv[1]))
	assert r["submitted"] == 500 and {s["level"]: s["done"] for s in r["series"]} == {"high": 125, "normal": 125, "low": 250}, r
PY
"$shunt" load --trace trace.csv --rate 2k --duration 500ms --warmup 0 --no-limits --json report.json --quiet || fail "faster: exit code $?"
python3 -c 'import json; r = json.load(open("report.json")); assert r["submitted"] == 1000, r' || fail "twice as fast: $(cat report.json)"
# Its interval log gives service times in turn.
advise_trace --service hlog:load.hlog --rate 1k > report.json || fail "--service hlog: exit code $?"
python3 -c 'import json; r = json.load(open("report.json")); assert r["service_mean_ns"] >= 1000, r' || fail "hlog: $(cat report.json)"

# Bad input, reported before anything is measured.
wants 2 "shunt advise: --optimise: 'p95': want p50, p99, p999 or cpu" --optimise p95
wants 2 "--rounds: '2': want a whole number from 3 to 25" --rounds 2
wants 2 "--duration: too short for" --duration 200ms --rounds 5
wants 2 '--force: means nothing without --write' --force
wants 2 '--rate and --utilisation: want one of them' --rate 1 --utilisation 1%
wants 2 'ask for less' --utilisation 100%
wants 2 '--hist: no such option' --hist f
wants 2 'shunt advise: --pin: ' --pin sideways
wants 2 'shunt advise: --idle: ' --idle never
wants 2 '--trace and --service: want one of them' --trace trace.csv --service exp:1us
wants 2 "--trace: 'none.csv': No such file or directory" --trace none.csv
bad_trace() {
	local line=$1
	printf '%s\n' 1,100 "$2" > bad.csv
	wants 2 "--trace: bad.csv:$line: '" --trace bad.csv
}
for text in 5 '5,' 5,x -1,5 5,-1 1e3,5 5,100,HIGH 5,100,high,7 5.5,100 4611686018427387905,1 5,60000000001 "$(printf '%300s' 1)"; do
	bad_trace 2 "$text"
done
bad_trace 2 5,100,nosuch
bad_trace 2 5,100,3
printf '# nothing\n' > bad.csv
wants 2 "--trace: 'bad.csv': no jobs in it" --trace bad.csv
printf '7,1\n7,1\n' > bad.csv
wants 2 'want at least two different arrivals' --trace bad.csv
wants 2 "--service: 'none.hlog': No such file or directory" --service hlog:none.hlog
printf 'nonsense\n' > bad.hlog
wants 2 '--service: bad.hlog:1: ' --service hlog:bad.hlog

# --write keeps what is there, and leaves nothing behind when nothing comes of it.
cp best.yaml before.yaml
wants 2 "--write: 'best.yaml': is there already; want a new name, or --force" --write best.yaml
cmp best.yaml before.yaml || fail "a refused --write changed the file"
wants 1 "--write: 'none/f': No such file or directory" --write none/f
wants 2 'too short' --duration 200ms --rounds 5 --write new.yaml
wants 1 "--json: 'none/f': No such file or directory" --json none/f --write new.yaml
[ ! -e new.yaml ] || fail "a failed command left its --write file behind"
printf '# long\n%.0s' {1..999} > best.yaml
advise --workers 1 --idle park --pin none --duration 500ms --write best.yaml --force --quiet > out || fail "--force: exit code $?"
[ ! -s out ] || fail "--quiet: $(cat out)"
[ "$("$shunt" config --check best.yaml)" = 'best.yaml: ok' ] && ! grep -q long best.yaml || fail "--force: $(cat best.yaml)"

# Rows do what they say: the worker is seen bound to one cpu, and to none.
if [ "$cpus" -ge 2 ]; then
	"$shunt" advise --duration 3s --rounds 3 --workers 1 --idle park --rate 1k > out 2> err &
	pid=$!
	python3 - "$pid" <<- 'PY' || fail "pinned and unpinned rows: $(cat err)"
		import glob, os, sys
		seen, pid = set(), sys.argv[1]
		while seen != {True, False}:
		    if not os.path.exists(f"/proc/{pid}/status") or "State:\tZ" in open(f"/proc/{pid}/status").read():
		        sys.exit(f"it ended; a worker was bound to one cpu: {seen}")
		    for task in glob.glob(f"/proc/{pid}/task/*"):
		        try:
		            if open(f"{task}/comm").read().startswith("main/"):
		                seen.add(bin(int(open(f"{task}/status").read().split("Cpus_allowed:")[1].split()[0].replace(",", ""), 16)).count("1") == 1)
		        except (FileNotFoundError, ProcessLookupError, IndexError):
		            pass
	PY
	wait "$pid" || fail "pinned and unpinned rows: exit code $?: $(cat err)"
fi

# A signal ends it early: no verdict, exit code 130, no file.
"$shunt" advise --duration 50s --rate 1k --write stopped.yaml > out 2> err &
pid=$!
# Until it has its file and catches SIGTERM (15).
until [ -e stopped.yaml ] && [ $((0x$(awk '/^SigCgt/ { print $2 }' "/proc/$pid/status") >> 14 & 1)) = 1 ]; do
	! grep -q '^State:.Z' "/proc/$pid/status" || break # it ended early, which the exit code will show
done
kill -TERM "$pid" || true
code=0
wait "$pid" || code=$?
[ "$code" = 130 ] && grep -q 'stopped by signal (SIGTERM)' out || fail "SIGTERM: exit code $code: $(cat out err)"
! grep -q 'configuration to paste' out || fail "SIGTERM: advice all the same"
[ ! -e stopped.yaml ] || fail "SIGTERM: stopped.yaml is left behind"
[ "$failed" = 0 ] && echo ok
exit "$failed"
