#!/bin/sh
# `shunt topo`: drawing, plan, JSON, widths, messages and exit codes on the recorded machines. SPDX-License-Identifier: MIT
set -u
machines="$SRCDIR/tests/topo"
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
failed=0

fail() {
	echo "FAILED: $*" >&2
	cat "$tmp/out" "$tmp/err" >&2
	failed=1
}

# expect CODE PATTERN ARGS...: exit code, and a line of the output (0) or the message (else) that contains PATTERN
expect() {
	code=$1 pattern=$2
	shift 2
	"$SHUNT" topo "$@" >"$tmp/out" 2>"$tmp/err"
	got=$?
	[ "$got" = "$code" ] || fail "exit $got, want $code: $*"
	if [ "$code" = 0 ]; then
		grep -qF -- "$pattern" "$tmp/out" || fail "no '$pattern': $*"
		[ -s "$tmp/err" ] && fail "messages: $*"
	else
		[ "$(wc -l <"$tmp/err")" = 1 ] || fail "want one line of message: $*"
		grep -qF -- "shunt topo: $pattern" "$tmp/err" || fail "no '$pattern': $*"
		[ -s "$tmp/out" ] && fail "output beside the message: $*"
	fi
	awk 'length($0) > 100 { bad = 1 } / $/ { bad = 1 } END { exit bad }' "$tmp/out" || case " $* " in
	*" --json "*) ;;
	*) fail "lines over 100 columns or with final blanks: $*" ;;
	esac
}

expect 0 'this machine'
expect 0 'usage: shunt topo' --help
for f in "$machines"/*.xml; do
	for policy in compact scatter one-per-core avoid-cpu0 none explicit; do
		expect 0 "policy $policy" --input "$f" --policy $policy
	done
done
expect 0 'core 1   cpu 1 33                   cpu 1: w2   cpu 33: w3' --input "$machines/two-packages-smt.xml" --workers 4
expect 0 'cpu 2x 10x' --input "$machines/cpuset-hole.xml"
expect 0 'numa 3  256 GiB, no cpus' --input "$machines/four-nodes-memory-only.xml"
expect 0 'core 1   cpu 2 ' --input "$machines/core-with-one-thread.xml" # one thread of core 0 is offline
expect 0 'efficiency' --input "$machines/hybrid.xml" --place kind:performance
expect 0 '3 cpus; configured limit decides' --synthetic 'core:8 pu:1' --budget 3
expect 0 '40 workers share 2 cpus' --synthetic 'core:2 pu:1' --workers 40
expect 0 '2 workers, not pinned' --synthetic 'core:2 pu:1' --policy none
expect 0 'cpu 3: w0' --synthetic 'core:4 pu:1' --place 3,1 --policy explicit

expect 2 "--place: 'numa:9': no NUMA node 9; available: 0-1" --input "$machines/two-packages-smt.xml" --place numa:9
expect 2 "--place: '3': cpu 3 is not allowed; allowed cpus: 0-1" --synthetic 'core:4 pu:1' --allowed 0-1 --place 3
expect 2 "--place: 'numa:x': offset 5: expected '*'" --place numa:x
expect 2 '--workers: 3 workers, but policy one-per-core has 2 cores here' --synthetic 'core:2 pu:2' --workers 3 --policy one-per-core
expect 2 "--policy: 'scater': no such policy; did you mean 'scatter'?" --policy scater
expect 2 "--workers: '0'" --workers 0
expect 2 "--allowed: '0-9': want a list" --synthetic 'core:4 pu:1' --allowed 0-9
expect 2 "--synthetic: 'kernel:4'" --synthetic kernel:4
expect 2 "--input: '$SRCDIR/LICENSE': not an hwloc XML file" --input "$SRCDIR/LICENSE"
expect 1 "--input: '$tmp/none.xml': No such file" --input "$tmp/none.xml"
expect 2 "--input: '/dev/zero': is a device; want a regular file or a pipe" --input /dev/zero
expect 2 "--input: '/tmp': is a directory; want a regular file or a pipe" --input /tmp
truncate -s 65M "$tmp/long.xml"
expect 2 "--input: '$tmp/long.xml': is longer than 64MiB; want a shorter file" --input "$tmp/long.xml"
mkfifo "$tmp/pipe"
head -c 70M /dev/zero > "$tmp/pipe" &
expect 2 "--input: '$tmp/pipe': is longer than 64MiB; want a shorter file" --input "$tmp/pipe"
wait
cat "$machines/one-cpu.xml" > "$tmp/pipe" &
expect 0 '1 cpu (1 allowed)' --input "$tmp/pipe"
wait
printf '<?xml version="1.0"?>\n<topology version="9.0">\n</topology>\n' > "$tmp/new.xml"
expect 2 "--input: '$tmp/new.xml': not an hwloc XML file that the hwloc of this program can read (version 9.0)" --input "$tmp/new.xml"
expect 2 "--allowed: '00000003': want a list" --synthetic 'core:4 pu:1' --allowed 00000003
expect 2 "--place: '00000003': offset 0: expected a number without leading zeros" --synthetic 'core:4 pu:1' --place 00000003
expect 2 '--input and --synthetic' --input "$machines/hybrid.xml" --synthetic core:1
expect 2 '--placee: no such option; did you mean --place?' --placee all
expect 2 "'stray'" stray

expect 0 '"live": false' --input "$machines/cpuset-hole.xml" --policy scatter --json
python3 - "$tmp/out" <<'PY' || fail "JSON"
import json, sys
d = json.load(open(sys.argv[1]))
assert d["allowed"] == "0-1,4,6-9,12-15", d["allowed"]
assert len(d["cpus"]) == 16 and sum(c["allowed"] for c in d["cpus"]) == 11
workers = d["plan"]["workers"]
assert [w["cpu"] for w in workers][:4] == [0, 4, 1, 13]
for w in workers:
    assert sorted(w["steal_order"] + [w["worker"]]) == list(range(len(workers)))
assert d["nodes"][0]["distances"] == [10, 20] and d["budget"]["cpus"] == 11
PY
exit $failed
