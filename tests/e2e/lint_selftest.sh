#!/usr/bin/env bash
# tools/lint finds a planted violation of each of its rules, and nothing where a rule is kept. SPDX-License-Identifier: MIT
set -euo pipefail

if [ -n "${SHUNT_SANITIZE:-}" ]; then
	echo "skipped: nothing here depends on the sanitizer"
	exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
# A small part of the tree is enough, and keeps this quick.
mkdir -p "$tree/runtime" "$tree/tools"
cp -r "$SRCDIR/runtime/base" "$tree/runtime/"
cp -r "$SRCDIR/include" "$tree/"
cp "$SRCDIR/tools/lint" "$tree/tools/"
spdx='/* planted. SPDX-License-Identifier: MIT */'
failed=0 planted=0

# plant FILE LINE RULE TEXT...: with the lines of TEXT in FILE, lint reports RULE at FILE:LINE and nothing else new
plant() {
	local file=$1 line=$2 rule=$3 made=

	shift 3
	planted=$((planted + 1))
	made=$(dirname "$tree/$file")
	mkdir -p "$made"
	printf '%s\n' "$@" > "$tree/$file"
	"$tree/tools/lint" > "$work/after" 2> /dev/null || true
	rm "$tree/$file"
	if ! grep -q "^$file:$line: $rule: " "$work/after"; then
		echo "FAIL: $rule not reported at $file:$line; got:"
		grep "^$file:" "$work/after" || echo "(nothing)"
		failed=1
	elif [ "$(grep -c "^$file:" "$work/after")" != 1 ]; then
		echo "FAIL: more than $rule reported:"
		grep "^$file:" "$work/after"
		failed=1
	fi
}

# clean FILE TEXT...: lint says nothing about FILE
clean() {
	local file=$1

	shift
	mkdir -p "$(dirname "$tree/$file")"
	printf '%s\n' "$@" > "$tree/$file"
	"$tree/tools/lint" > "$work/after" 2> /dev/null || true
	rm "$tree/$file"
	if grep "^$file:" "$work/after"; then
		echo "FAIL: the lines above are false alarms"
		failed=1
	fi
}

repeat() { # COUNT LINE
	local i
	for ((i = 0; i < $1; i++)); do echo "$2"; done
}

store='sh_a64_store_rel(&x, 1);'
mark=TO; mark+=DO

plant runtime/base/zz.c 2 layer "$spdx" '#include "core/zz.h"'
plant runtime/lockfree/zz.c 2 layer "$spdx" '#include "metrics/zz.h"'
plant tools/shunt/zz.c 2 layer "$spdx" '#include "core/zz.h"'
plant runtime/core/zz.c 2 home "$spdx" '#include <hwloc.h>'
plant runtime/core/zz.c 2 home "$spdx" '#include <urcu-bp.h>'
plant runtime/core/zz.c 2 home "$spdx" '#include <ck_ht.h>'
plant runtime/core/zz.c 2 home "$spdx" '#include <jemalloc/jemalloc.h>'
plant runtime/core/zz.c 2 home "$spdx" '#include <yaml.h>'
plant runtime/core/zz.c 2 home "$spdx" '#include <zlib.h>'
plant runtime/core/zz.c 2 home "$spdx" '#include <stdatomic.h>'
plant runtime/core/zz.c 2 mo "$spdx" "$store"
plant runtime/core/zz.c 3 mo "$spdx" '/* mo rlx: not for this one. */' "$store"
plant runtime/core/zz.c 7 mo "$spdx" '/* mo A1 <> A1@core/zz.c: too far above. */' '' '' '' '' "$store"
plant runtime/core/zz.c 2 mo "$spdx" 'ok = sh_aptr_cas_acq_rel_acq(&x, &e, y);'
plant runtime/core/zz.c 2 mo-pair "$spdx" '/* mo A1 -> B1@core/zz.c: no B1. */'
plant runtime/core/zz.c 2 mo-pair "$spdx" '/* mo A1 <> B1@core/no_such.c: no file. */'
plant runtime/core/zz.c 3 mo-pair "$spdx" '/* mo A1 -> A2@core/zz.c: fine.' ' * mo A2 <- A3@core/zz.c: no A3. */'
plant runtime/core/zz.c 2 atomic "$spdx" 'static volatile int x;'
plant runtime/core/zz.c 2 atomic "$spdx" 'void f(void) { atomic_thread_fence(5); }'
plant runtime/core/zz.c 2 atomic "$spdx" 'int f(int *p) { return __atomic_load_n(p, 5); }'
plant runtime/core/zz.c 2 atomic "$spdx" '_Atomic int x;'
plant runtime/core/zz.c 801 length "$spdx" "$(repeat 800 'int x;')"
plant runtime/core/zz.c 3 length "$spdx" 'static int zz(int a)' '{' "$(repeat 69 '	a++;')" '}'
plant tests/unit/zz_test.cc 2 length "$spdx" 'static int zz(int a) {' "$(repeat 69 '	a++;')" '}'
plant runtime/core/zz.c 2 include-c "$spdx" '#include "core/topo.c"'
plant runtime/core/zz.c 2 unfinished "$spdx" "/* $mark: later */"
plant docs/zz.md 1 unfinished "$mark"
plant include/shunt/zz.h 3 api-comment "$spdx" '' 'SHUNT_API int shunt_zz(void);'
plant include/shunt/zz.h 4 api-comment "$spdx" 'SHUNT_API int shunt_yy(void);' '' 'SHUNT_API int shunt_zz(void);'
plant runtime/core/zz.c 1 spdx '/* planted */'
plant zz.txt 1 top-level 'what is this'

clean runtime/core/zz.c "$spdx" '#include "core/yy.h"' '#include "lockfree/ring.h"' '#include <shunt/error.h>' \
	"$store /* mo A1 -> A2@core/zz.c: same line. */" '/* mo A2 <- A1@core/zz.c:' ' * four lines' ' */' '' '' \
	'y = sh_a64_load_acq(&x);' '' 'z = sh_a64_load_rlx(&x);' '/* volatile in prose, and "stdatomic.h" */' \
	'const char *s = "volatile /* sh_a64_load_acq(";' 'static int zz(int a)' '{' "$(repeat 68 '	a++;')" '}'
clean tools/shunt/zz.c "$spdx" 'static volatile sig_atomic_t stop;' '#include <zlib.h>' '#include <openssl/evp.h>'
clean include/shunt/zz.h "$spdx" '/* Two of a kind. */' 'SHUNT_API int shunt_yy(int a,' '	int b);' 'SHUNT_API int shunt_zz(void);'

# Its result: 0 for a clean tree, 1 with findings.
rm -rf "$tree/runtime" "$tree/include" "$tree/tools/shunt" "$tree/tests" "$tree/docs"
"$tree/tools/lint" 2> "$work/last" || { cat "$work/last"; echo "FAIL: a clean tree must give 0"; failed=1; }
echo x > "$tree/zz.txt"
if "$tree/tools/lint" > "$work/last" 2>&1; then
	echo "FAIL: a finding must give 1"
	failed=1
fi
echo "$planted violations planted"
exit "$failed"
