#!/usr/bin/env bash
# The HdrHistogram reference implementation (Java) reads a log that shunt wrote and finds the same count, p50,
# p99 and maximum in every line and every sum; so does `shunt hist`, which also names damaged lines.
# Environment: SRCDIR, BUILDDIR, CC; SHUNT (command, may be empty); HLOG_PRODUCER (built producer, else it is
# compiled here); HDRHISTOGRAM_JAR; SHUNT_SANITIZE. Exit 77: Java or its HdrHistogram is absent.
# SPDX-License-Identifier: MIT
set -euo pipefail

srcdir=${SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}
seed=${SHUNT_SEED:-42}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

fail() {
	echo "hlog_reference: $*" >&2
	exit 1
}

producer=${HLOG_PRODUCER:-}
if [ -z "$producer" ]; then
	builddir=${BUILDDIR:?HLOG_PRODUCER or BUILDDIR must be set}
	producer=$tmp/hlog_producer
	flags=(-std=gnu11 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror)
	[ -z "${SHUNT_SANITIZE:-}" ] || flags+=("-fsanitize=$SHUNT_SANITIZE")
	"${CC:-cc}" "${flags[@]}" -I"$srcdir/include" "$srcdir/tests/e2e/hlog_producer.c" -o "$producer" \
		-L"$builddir/lib" -Wl,-rpath,"$builddir/lib" -lshunt
fi

echo "SHUNT_SEED=$seed"
"$producer" "$tmp/a.hlog" "$seed" >"$tmp/shunt.txt"
[ "$(grep -c '^line ' "$tmp/shunt.txt")" = 40 ] || fail "the producer printed $(wc -l <"$tmp/shunt.txt") rows"

# The command agrees with the library, and survives damage.
if [ -n "${SHUNT:-}" ]; then
	"$SHUNT" hist "$tmp/a.hlog" --json >"$tmp/command.json"
	python3 - "$tmp/command.json" >"$tmp/command.txt" <<-'PY'
		import json, sys
		for s in json.load(open(sys.argv[1]))["series"]:
		    print("sum", s["tag"], s["count"], s["p50_ns"], s["p99_ns"], s["max_ns"])
	PY
	grep '^sum ' "$tmp/shunt.txt" | diff -u - "$tmp/command.txt" || fail "shunt hist disagrees with the library"
	"$SHUNT" hist "$tmp/a.hlog" --tag w0 >"$tmp/one.txt"
	# Values above one hour were recorded: the table says that its last bucket holds them.
	[ "$(grep -c '^w0 ' "$tmp/one.txt")" = 1 ] || fail "--tag w0 does not print one row"
	grep -q '^w0: [1-9][0-9]* of [0-9]* values in the last bucket' "$tmp/one.txt" || fail "--tag w0: no word of the limit"
	[ "$(wc -l <"$tmp/one.txt")" = 4 ] || fail "--tag w0 prints other rows too"
	{ cat "$tmp/a.hlog"; echo 'Tag=w0,1.0,1.0,1.0,HIST!'; } >"$tmp/bad.hlog"
	code=0
	"$SHUNT" hist "$tmp/bad.hlog" --json >"$tmp/bad.json" 2>"$tmp/bad.err" || code=$?
	[ "$code" = 2 ] || fail "a damaged log exits $code, want 2"
	line=$(wc -l <"$tmp/bad.hlog")
	grep -qF "shunt hist: $tmp/bad.hlog:$line: " "$tmp/bad.err" || fail "line $line is not named: $(cat "$tmp/bad.err")"
	code=0
	"$SHUNT" hist "$tmp/a.hlog" --tag nope >/dev/null 2>"$tmp/tag.err" || code=$?
	[ "$code" = 2 ] || fail "--tag nope: exit $code, want 2"
	grep -q "available: 'queue.hash.high'" "$tmp/tag.err" || fail "--tag nope: $(cat "$tmp/tag.err")"
	code=0
	"$SHUNT" hist "$tmp/absent.hlog" >/dev/null 2>&1 || code=$?
	[ "$code" = 1 ] || fail "an absent file exits $code, want 1"
fi

jar=${HDRHISTOGRAM_JAR:-}
if [ -z "$jar" ]; then
	for candidate in /usr/share/java/hdrhistogram.jar /usr/share/java/HdrHistogram.jar; do
		[ -e "$candidate" ] && jar=$candidate && break
	done
fi
if [ ! -e "$jar" ] || ! command -v java >/dev/null; then
	echo "skipped: the reference reader needs java and the HdrHistogram jar (Debian: libhdrhistogram-java)"
	exit 77
fi
if ! java -cp "$jar" "$srcdir/tests/e2e/HlogRead.java" "$tmp/a.hlog" >"$tmp/reference.txt" 2>"$tmp/reference.err"; then
	if grep -qiE 'no compiler|jdk.compiler|release version|Could not find or load main class' "$tmp/reference.err"; then
		echo "skipped: this java cannot run a source file: $(head -1 "$tmp/reference.err")"
		exit 77
	fi
	fail "the reference reader failed: $(cat "$tmp/reference.err")"
fi
diff -u "$tmp/shunt.txt" "$tmp/reference.txt" || fail "the reference reader finds other figures"
echo "ok: $(wc -l <"$tmp/reference.txt") rows agree with $jar"
