#!/usr/bin/env bash
# `shunt advise`, judge and words: made-up figures give the verdict that they must give, and the report says it:
# "unpinned is better here", "pinned is better here", "no clear winner: within the noise". Nothing is measured.
# Environment: CC, CPU_FLAGS (may be empty), SRCDIR, LIBSHUNT, SHUNT (command). SPDX-License-Identifier: MIT
set -euo pipefail

: "${CC:?}" "${SRCDIR:?}" "${LIBSHUNT:?}" "${SHUNT:?}"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

fail() {
	echo "FAIL: $*" >&2
	failed=1
}

tool=$SRCDIR/tools/shunt
read -ra jansson <<< "$(pkg-config --cflags --libs jansson)"
read -ra flags <<< "${CPU_FLAGS-}"
flags+=(-std=gnu11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -pthread)
[ -z "${SHUNT_SANITIZE:-}" ] || flags+=("-fsanitize=$SHUNT_SANITIZE")
"$CC" "${flags[@]}" -I"$tool" -I"$SRCDIR/runtime" -I"$SRCDIR/include" \
	-o "$tmp/judge" "$SRCDIR/tests/e2e/advise_judge.c" "$tool"/{advise/judge,advise/report,common/cli,common/fmt}.c "$SRCDIR/runtime/base/value.c" \
	"$LIBSHUNT" -Wl,-rpath,"$(dirname "$LIBSHUNT")" "${jansson[@]}" -lm

"$tmp/judge" || fail "figures or verdicts are wrong"

# says CASE "words": the report of the case has a line with these words
says() {
	grep -qF -e "$2" "$tmp/$1" || fail "$1: want '$2' in: $(cat "$tmp/$1")"
}

for case in unpinned pinned noise; do
	"$tmp/judge" $case > "$tmp/all" || fail "$case: exit code $?"
	sed '/^---$/,$d' "$tmp/all" > "$tmp/$case"
	sed '1,/^---$/d' "$tmp/all" > "$tmp/$case.json"
	sed '1,/^configuration to paste:$/d' "$tmp/$case" > "$tmp/$case.yaml"
	"$SHUNT" config --check "$tmp/$case.yaml" > "$tmp/check" 2>&1 || fail "$case: $(cat "$tmp/check")"
	grep -qE '^  1 worker, poll, pinned( +-)*  too much load for it$' "$tmp/$case" || fail "$case: the row that does not carry"
done
says unpinned 'best here by p99 of queue delay: 2 workers, adaptive, unpinned: 1.00us (900ns to 1.10us), 50% less than the next'
says unpinned 'unpinned is better here: 1.00us at best, against 2.00us, 50% less'
says unpinned 'against the defaults (2 workers, adaptive, pinned): 1.00us in place of 2.00us, 50% less'
says unpinned '    pin: none'
says pinned 'best here by p99 of queue delay: 2 workers, adaptive, pinned: 2.00us'
says pinned 'pinned is better here: 2.00us at best, against 4.00us, 50% less'
says pinned 'the chosen one is what a pool does by default'
says pinned '    pin: compact'
says pinned 'note: the generators themselves were late by 1.50us at p99'
! grep -q 'themselves were late' "$tmp/unpinned" || fail 'unpinned: late generators are reported'
says noise 'no clear winner: within the noise of 2.00us (1.80us to 2.20us), the best by p99 of queue delay, are'
says noise '2 workers, adaptive, unpinned: 2.05us, cpu 40.0%  <- chosen'
says noise 'pinned or unpinned: no clear difference, within the noise'
says noise 'against the defaults (2 workers, adaptive, pinned): 2.00us, no clear difference'
! grep -q 'better here' "$tmp/noise" || fail "noise: something is better"
python3 - "$tmp" <<- 'PY' || fail "JSON"
	import json, sys
	want = {"unpinned": (True, 1, "unpinned"), "pinned": (True, 0, "pinned"), "noise": (False, 1, "noise")}
	for case, (clear, chosen, pinning) in want.items():
	    v = json.load(open(f"{sys.argv[1]}/{case}.json"))["verdict"]
	    assert (v["clear"], v["chosen"], v["pinning"]) == (clear, chosen, pinning), (case, v)
PY
[ "$failed" = 0 ] && echo ok
exit "$failed"
