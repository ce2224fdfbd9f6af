#!/usr/bin/env bash
# `shunt run` on a tree with every kind of trouble: its digests satisfy sha256sum -c, its counts are right, nothing
# hangs; and the same digests come out when the runtime is full nearly all the time.
# Environment: SHUNT (command). SPDX-License-Identifier: MIT
set -euo pipefail

shunt=${SHUNT:?SHUNT must name the command}
tmp=$(mktemp -d)
trap 'chmod -R u+rwx "$tmp" 2> /dev/null || true; rm -rf "$tmp"' EXIT

fail() {
	echo "run_digests: $*" >&2
	exit 1
}

# want FILE.json PATH VALUE: a number in the report
want() {
	python3 - "$@" <<- 'PY'
		import json, sys
		v = json.load(open(sys.argv[1]))
		for k in sys.argv[2].split("."):
		    v = v[k]
		if v != int(sys.argv[3]):
		    sys.exit(f"run_digests: {sys.argv[2]} is {v}, want {sys.argv[3]}")
	PY
}

tree=$tmp/tree
mkdir -p "$tree/a/b/c" "$tree/empty dir" "$tree/many" "$tree/utf8-ä"
printf 'hello\n' > "$tree/a/plain"
printf 'x' > "$tree/a/b/with space"
printf 'x' > "$tree/a/b/back\\slash"
printf 'x' > "$tree/a/b/"$'new\nline'
printf 'x' > "$tree/a/b/"$'both\\ \n'
printf 'x' > "$tree/a/b/-leading"
printf 'x' > "$tree/utf8-ä/ö"
printf 'x' > "$tree/utf8-ä/"$'bad\xff\xfebytes'
printf 'y' > "$tree/$(printf 'n%.0s' $(seq 255))"
: > "$tree/a/b/c/zero"
truncate -s 50M "$tree/a/sparse"
head -c 3000001 /dev/urandom > "$tree/a/noise"
for i in $(seq 300); do echo "$i" > "$tree/many/$i"; done
ln -s . "$tree/a/loop"
ln -s ../.. "$tree/a/b/up"
ln -s nowhere "$tree/a/dangling"
mkfifo "$tree/a/fifo"
files=$(find "$tree" -type f -printf x | wc -c)
dirs=$(find "$tree" -type d -printf x | wc -c)

timeout 120 "$shunt" run --tree "$tree" --digests "$tmp/digests" --json "$tmp/report.json" > "$tmp/out" || fail "exit code $?"
sha256sum --quiet --strict -c "$tmp/digests" || fail "sha256sum -c disagrees"
[ "$(wc -l < "$tmp/digests")" = "$files" ] || fail "$(wc -l < "$tmp/digests") digests, want $files"
find "$tree" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum > "$tmp/reference"
cmp "$tmp/digests" "$tmp/reference" || fail "not byte for byte what sha256sum writes in the order of the paths"
want "$tmp/report.json" counts.files_found "$files"
want "$tmp/report.json" counts.files_hashed $((files - 1))
want "$tmp/report.json" counts.files_empty 1
want "$tmp/report.json" counts.files_compressed $((files - 1))
want "$tmp/report.json" counts.directories "$dirs"
want "$tmp/report.json" counts.symlinks 3
want "$tmp/report.json" counts.special_files 1
want "$tmp/report.json" unfinished_jobs 0
grep -q 'symbolic links, not followed' "$tmp/out" || fail "the report does not name the links"

# Without capacity for more than 64 jobs everything still gets done, and the same comes out.
timeout 120 "$shunt" run --tree "$tree" --jobs-max 64 --digests "$tmp/full" --quiet > "$tmp/out" || fail "--jobs-max 64: exit code $?"
cmp "$tmp/full" "$tmp/reference" || fail "--jobs-max 64: other digests"
[ ! -s "$tmp/out" ] || fail "--quiet prints: $(head -1 "$tmp/out")"

# Checkpoints of compress and hash jobs run jobs that hash and compress, nested, in the same thread; the same comes out.
# One worker and little capacity: a scan at a checkpoint finds the runtime full, and runs hash and compress jobs inside.
printf 'runtime: {levels: [a, b, c, d]}\npools:\n  main: {workers: 1}\ntypes:\n%s' \
	'  scan: {level: a}
  hash: {level: c}
  compress: {level: b}
' > "$tmp/nested.yaml"
mkdir "$tree/large"
for i in 1 2 3 4; do
	head -c 4000001 /dev/urandom > "$tree/large/$i"
	mkdir "$tree/large/below$i"
	for k in $(seq 40); do head -c "$((k * 5000))" /dev/urandom > "$tree/large/below$i/$k"; done
done
find "$tree" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum > "$tmp/reference"
for jobs in 64 100000; do
	timeout 120 "$shunt" run --tree "$tree" --jobs-max "$jobs" --digests "$tmp/nested" --json "$tmp/nested.json" --quiet \
		--config "$tmp/nested.yaml" || fail "nested, --jobs-max $jobs: exit code $?"
	cmp "$tmp/nested" "$tmp/reference" || fail "nested, --jobs-max $jobs: other digests"
	want "$tmp/nested.json" counts.files_not_compressed 0
done
rm -r "$tree/large"
find "$tree" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum > "$tmp/reference"

# A slash at the end of the tree, and a relative tree.
(cd "$tmp" && timeout 120 "$shunt" run --tree tree/ --digests rel --quiet && sha256sum --quiet --strict -c rel) || fail "relative tree"
grep -q ' tree/a/plain$' "$tmp/rel" || fail "relative paths are not as sha256sum would name them"

# Our own output inside the tree is no input.
timeout 120 "$shunt" run --tree "$tree" --digests "$tree/own" --json "$tree/own.json" --hist "$tree/own.hlog" --quiet ||
	fail "output in the tree: exit code $?"
sha256sum --quiet --strict -c "$tree/own" || fail "output in the tree"
want "$tree/own.json" counts.files_skipped 3
rm "$tree/own" "$tree/own.json" "$tree/own.hlog"

# Paths far beyond PATH_MAX.
python3 - "$tmp" <<- 'PY'
	import os, sys
	os.chdir(sys.argv[1])
	for i in range(60):
	    name = "deep" if i == 0 else "d%03d" % i + "x" * 196
	    os.mkdir(name)
	    os.chdir(name)
	open("bottom", "w").write("deep\n")
PY
timeout 120 "$shunt" run --tree "$tmp/deep" --digests "$tmp/deep.digests" --json "$tmp/deep.json" --quiet || fail "deep: exit code $?"
want "$tmp/deep.json" counts.files_hashed 1
want "$tmp/deep.json" counts.directories 60
[ "$(cut -d' ' -f1 "$tmp/deep.digests")" = "$(echo deep | sha256sum | cut -d' ' -f1)" ] || fail "deep: another digest"

# Unreadable files and directories are counted, named, and no failure.
if [ "$(id -u)" != 0 ]; then
	chmod 000 "$tree/a/plain" "$tree/many"
	timeout 120 "$shunt" run --tree "$tree" --json "$tmp/denied.json" > "$tmp/out" || fail "unreadable: exit code $?"
	want "$tmp/denied.json" errors.denied 2
	want "$tmp/denied.json" counts.files_failed 1
	want "$tmp/denied.json" counts.directories_failed 1
	grep -q 'e.g. .*/tree/' "$tmp/out" || fail "no example of an unreadable path"
else
	echo "run_digests: part skipped: root can read everything"
fi
echo "ok: $files files"
