#!/usr/bin/env bash
# The command when files fail: a full disk, a closed standard output, paths that cannot be written or read, a limit on file
# sizes, descriptors or memory. Each ends by itself with the exit code that the help names and a message that says what and
# why; it never crashes, and never says ok. Environment: SHUNT (command), SRCDIR, SHUNT_SANITIZE. SPDX-License-Identifier: MIT
set -euo pipefail

shunt=${SHUNT:?SHUNT must name the command}
srcdir=${SRCDIR:?SRCDIR must name the tree}
tmp=$(mktemp -d)
trap 'chmod -R u+rwx "$tmp"; rm -rf "$tmp"' EXIT
bad=0
cases=0

fail() {
	echo "failures: $*" >&2
	bad=1
}

# wants CODE "words of the message" arguments...   with standard output to $to ("closed": to nothing at all)
to=$tmp/out
wants() {
	local code=$1 words=$2 got=0
	shift 2
	cases=$((cases + 1))
	if [ "$to" = closed ]; then
		timeout 60 "$shunt" "$@" >&- 2> "$tmp/err" < /dev/null || got=$?
	else
		timeout 60 "$shunt" "$@" > "$to" 2> "$tmp/err" < /dev/null || got=$?
	fi
	[ "$got" = "$code" ] || fail "shunt $* > $to: exit code $got, want $code; it said: $(cat "$tmp/err")"
	[ -z "$words" ] || grep -qF -e "$words" "$tmp/err" || fail "shunt $* > $to: want '$words' in: $(cat "$tmp/err")"
}

mkdir "$tmp/tree" "$tmp/dir"
for i in 1 2 3 4 5; do head -c 3000 /dev/urandom > "$tmp/tree/f$i"; done
load=(load --duration 20ms --warmup 1ms --no-limits)
"$shunt" run --tree "$tmp/tree" --hist "$tmp/log.hlog" --quiet
# a report that is longer than any buffer of the output
for i in $(seq 200); do sed "s/^Tag=/Tag=$i-/" "$tmp/log.hlog"; done > "$tmp/long.hlog"

# ---- standard output: full, and closed ----
for to in /dev/full closed; do
	reason='No space left on device'
	[ "$to" = /dev/full ] || reason='Bad file descriptor'
	wants 1 "shunt: standard output: $reason" --help
	wants 1 "shunt: standard output: $reason" --version
	for command in run load topo hist config; do
		wants 1 "shunt $command: standard output: $reason" "$command" --help
	done
	wants 1 "shunt run: standard output: $reason" run --tree "$tmp/tree"
	wants 1 "shunt run: --json: '-': " run --tree "$tmp/tree" --json -
	wants 1 "shunt run: --digests: '-': " run --tree "$tmp/tree" --digests - --quiet
	wants 1 "shunt load: standard output: $reason" "${load[@]}"
	wants 1 "shunt load: --json: '-': " "${load[@]}" --json -
	wants 1 "shunt hist: standard output: $reason" hist "$tmp/log.hlog"
	wants 1 "shunt hist: standard output: $reason" hist "$tmp/log.hlog" --json
	wants 1 "shunt hist: standard output: $reason" hist "$tmp/long.hlog"
	wants 1 "shunt hist: standard output: $reason" hist "$tmp/long.hlog" --json
	wants 1 "shunt topo: standard output: $reason" topo
	wants 1 "shunt topo: standard output: $reason" topo --json
	for option in --json --markdown; do
		wants 1 "shunt config: standard output: $reason" config "$option"
	done
	wants 1 "shunt config: standard output: $reason" config
	wants 1 "shunt config: standard output: $reason" config --check "$srcdir/docs/examples/config_embed.yaml"
done

# With it closed, a file that is opened must not take its place and get the report.
to=closed
wants 1 'shunt run: standard output: Bad file descriptor' run --tree "$tmp/tree" --digests "$tmp/d" --json "$tmp/j" --hist "$tmp/h"
(cd "$tmp/tree" && sha256sum --quiet -c "$tmp/d") || fail 'with standard output closed, the digests are wrong'
[ "$(wc -l < "$tmp/d")" = 5 ] || fail "with standard output closed, the digests have $(wc -l < "$tmp/d") lines, want 5"
python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$tmp/j" || fail 'with standard output closed, the JSON is damaged'
"$shunt" hist "$tmp/h" > "$tmp/out" || fail 'with standard output closed, the log is damaged'
to=$tmp/out
got=0
"$shunt" run --tree "$tmp/tree" --digests "$tmp/d" --quiet 2>&- < /dev/null || got=$?
[ "$got" = 0 ] || fail "with standard error closed: exit code $got"
(cd "$tmp/tree" && sha256sum --quiet -c "$tmp/d") || fail 'with standard error closed, the digests are wrong'

# ---- outputs that cannot be written; each failure is reported once ----
once() {
	[ "$(wc -l < "$tmp/err")" = 1 ] || fail "told more than once: $(cat "$tmp/err")"
}
run=(run --tree "$tmp/tree" --quiet)
wants 1 "shunt run: --digests: '/dev/full': No space left on device" "${run[@]}" --digests /dev/full && once
wants 1 "shunt run: --json: '/dev/full': " "${run[@]}" --json /dev/full && once
wants 1 "shunt run: --hist: '/dev/full': No space left on device" "${run[@]}" --hist /dev/full && once
wants 1 "shunt load: --json: '/dev/full': " "${load[@]}" --json /dev/full && once
wants 1 "shunt load: --hist: '/dev/full': No space left on device" "${load[@]}" --hist /dev/full && once
for option in --digests --json --hist; do
	wants 1 "shunt run: $option: '$tmp/dir': Is a directory" "${run[@]}" "$option" "$tmp/dir" && once
	wants 1 "shunt run: $option: '$tmp/tree/f1/x': Not a directory" "${run[@]}" "$option" "$tmp/tree/f1/x" && once
done
# A disk that fills up half way: more digests than the largest file that the limit allows.
mkdir "$tmp/many"
for i in $(seq 60); do echo "$i" > "$tmp/many/f$i"; done
got=0
(
	ulimit -f 1
	trap '' XFSZ
	exec "$shunt" run --tree "$tmp/many" --quiet --digests "$tmp/cut"
) 2> "$tmp/err.pipe.txt" || got=$?
[ "$got" = 1 ] || fail "a file that may not grow: exit code $got, want 1"
grep -qF "shunt run: --digests: '$tmp/cut': File too large" "$tmp/err.pipe.txt" || fail "a file that may not grow: $(cat "$tmp/err.pipe.txt")"

# ---- inputs that cannot be read; /proc/self/mem opens, and its first read fails ----
wants 1 'shunt hist: /proc/self/mem: cannot be read' hist /proc/self/mem
wants 1 "shunt hist: $tmp/dir: is a directory; want a regular file or a pipe" hist "$tmp/dir"
wants 2 '/proc/self/mem: cannot be read: Input/output error' config --check /proc/self/mem
wants 2 "$tmp/dir: cannot be read: is a directory; want a regular file or a pipe" config --config "$tmp/dir"
wants 2 "$tmp/dir: cannot be read: is a directory; want a regular file or a pipe" run --config "$tmp/dir"
wants 2 "shunt load: --service: '/proc/self/mem': Input/output error" load --service file:/proc/self/mem
wants 2 "shunt load: --service: '$tmp/dir': is a directory; want a regular file or a pipe" load --service "file:$tmp/dir"
wants 1 "shunt topo: --input: '/proc/self/mem': Input/output error" topo --input /proc/self/mem
wants 2 "shunt topo: --input: '$tmp/dir': " topo --input "$tmp/dir"
# In a tree: counted and named, no failure, and what may never end is not opened.
mkfifo "$tmp/tree/pipe"
if [ "$(id -u)" != 0 ]; then
	mkdir "$tmp/tree/locked"
	chmod 000 "$tmp/tree/locked" "$tmp/tree/f1"
	wants 0 '' run --tree "$tmp/tree"
	grep -q '2  permission denied' "$tmp/out" || fail "unreadable files are not counted: $(cat "$tmp/out")"
	grep -qF -e "$tmp/tree/locked" "$tmp/out" || fail "unreadable files are not named: $(cat "$tmp/out")"
	chmod 700 "$tmp/tree/locked" "$tmp/tree/f1"
else
	echo 'failures: as root every file can be read: unreadable ones are left out'
	timeout 60 "$shunt" "${run[@]}" || fail "a tree with a pipe: exit code $?"
fi

# ---- few descriptors, little memory: whatever comes of it, no crash, no hang, and an error has a message ----
ends() {
	local what=$1 got=$2
	cases=$((cases + 1))
	[ "$got" -le 2 ] || fail "$what: exit code $got: $(cat "$tmp/err")"
	[ "$got" = 0 ] || grep -q '^shunt' "$tmp/err" || fail "$what: exit code $got, and no message"
}
for n in 4 5 6 7 8 10 16; do
	got=0
	(ulimit -n "$n" && exec timeout 60 "$shunt" run --tree "$tmp/many") > "$tmp/out" 2> "$tmp/err" < /dev/null || got=$?
	[ "$got" = 127 ] || ends "$n descriptors" "$got" # 127: not even the libraries could be opened
done
# The allocators crash by themselves when a thread's first few pages are refused, so only what the runtime maps is: its jobs.
if [ -z "${SHUNT_SANITIZE:-}" ]; then
	got=0
	(ulimit -v 1000000 && exec timeout 60 "$shunt" run --tree "$tmp/many" --jobs-max 134217728) > "$tmp/out" 2> "$tmp/err" \
		< /dev/null || got=$?
	ends 'memory for too many jobs' "$got"
	[ "$got" = 1 ] || fail "memory for too many jobs: exit code $got, want 1"
	grep -qF 'runtime.jobs_max: 134217728 jobs need 2.0 GiB, which the system refused' "$tmp/err" || fail "memory for too many jobs: $(cat "$tmp/err")"
fi
[ "$bad" = 0 ] && echo "$cases cases"
exit "$bad"
