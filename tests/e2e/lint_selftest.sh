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

plant runtime/base/zz.c 2 layer "$spdx" '#include "sched/zz.h"'
plant runtime/lockfree/zz.c 2 layer "$spdx" '#include "metrics/zz.h"'
plant tools/shunt/zz.c 2 layer "$spdx" '#include "sched/zz.h"'
plant runtime/sched/zz.c 2 home "$spdx" '#include <hwloc.h>'
plant runtime/sched/zz.c 2 home "$spdx" '#include <urcu-bp.h>'
plant runtime/sched/zz.c 2 home "$spdx" '#include <ck_ht.h>'
plant runtime/sched/zz.c 2 home "$spdx" '#include <jemalloc/jemalloc.h>'
plant runtime/sched/zz.c 2 home "$spdx" '#include <yaml.h>'
plant runtime/sched/zz.c 2 home "$spdx" '#include <zlib.h>'
plant runtime/sched/zz.c 2 home "$spdx" '#include <stdatomic.h>'
plant runtime/sched/zz.c 2 mo "$spdx" "$store"
plant runtime/sched/zz.c 3 mo "$spdx" '/* mo rlx: not for this one. */' "$store"
plant runtime/sched/zz.c 7 mo "$spdx" '/* mo aa.1 <> aa.1@sched/zz.c: too far above. */' '' '' '' '' "$store"
plant runtime/sched/zz.c 2 mo "$spdx" 'ok = sh_aptr_cas_acq_rel_acq(&x, &e, y);'
plant runtime/sched/zz.c 2 mo-pair "$spdx" '/* mo aa.1 -> bb.1@sched/zz.c: no bb.1. */'
plant runtime/sched/zz.c 2 mo-pair "$spdx" '/* mo aa.1 <> bb.1@sched/no_such.c: no file. */'
plant runtime/sched/zz.c 3 mo-pair "$spdx" '/* mo aa.1 -> aa.2@sched/zz.c: fine.' ' * mo aa.2 <- aa.3@sched/zz.c: no aa.3. */'
plant runtime/sched/zz.c 2 atomic "$spdx" 'static volatile int x;'
plant runtime/sched/zz.c 2 atomic "$spdx" 'void f(void) { atomic_thread_fence(5); }'
plant runtime/sched/zz.c 2 atomic "$spdx" 'int f(int *p) { return __atomic_load_n(p, 5); }'
plant runtime/sched/zz.c 2 atomic "$spdx" '_Atomic int x;'
plant runtime/sched/zz.c 801 length "$spdx" "$(repeat 800 'int x;')"
plant runtime/sched/zz.c 3 length "$spdx" 'static int zz(int a)' '{' "$(repeat 69 '	a++;')" '}'
plant tests/unit/zz_test.cc 2 length "$spdx" 'static int zz(int a) {' "$(repeat 69 '	a++;')" '}'
plant runtime/sched/zz.c 2 include-c "$spdx" '#include "machine/topo.c"'
plant runtime/sched/zz.c 2 unfinished "$spdx" "/* $mark: later */"
plant docs/zz.md 1 unfinished "$mark"
plant include/shunt/zz.h 3 api-comment "$spdx" '' 'SHUNT_API int shunt_zz(void);'
plant include/shunt/zz.h 4 api-comment "$spdx" 'SHUNT_API int shunt_yy(void);' '' 'SHUNT_API int shunt_zz(void);'
plant runtime/sched/zz.c 1 spdx '/* planted */'
plant zz.txt 1 top-level 'what is this'
# The legend of labels: a row for each, one only, none without an operation.
mkdir -p "$tree/docs"
printf '%s\n' '| aa.1 | x | x |' '| aa.2 | x | x |' '| aa.3 | x | x |' > "$tree/docs/CONCURRENCY.md"
plant runtime/sched/zz.c 2 legend "$spdx" '/* mo bb.1 <> bb.1@sched/zz.c: no row. */'
printf '%s\n' "$spdx" '/* mo aa.1 <> aa.1@sched/yy.c: x. */' '/* mo aa.2 <> aa.2@sched/yy.c: x. */' \
	'/* mo aa.3 <> aa.3@sched/yy.c: x. */' > "$tree/runtime/sched/yy.c"
plant docs/CONCURRENCY.md 2 legend '| aa.1 | x | x |' '| cc.1 | x | x |' '| aa.2 | x | x |' '| aa.3 | x | x |'
plant docs/CONCURRENCY.md 2 legend '| aa.1 | x | x |' '| aa.1 | x | x |' '| aa.2 | x | x |' '| aa.3 | x | x |'
rm -r "$tree/docs" "$tree/runtime/sched/yy.c"
plant runtime/sched/zz.c 2 words "$spdx" '/* The books are kept. */'
plant include/shunt/zz.h 3 words "$spdx" '/*' ' * A job is Reckoned.' ' */'
clean runtime/sched/zz.c "$spdx" '/* Statistics of the bookshop. */' 'const char *s = "told";'
# Comments of tests and benches in each of their languages, reasons, and prose: not code, code spans, links, strings.
hash='#' quotes='"""' # this file is read too
plant tests/unit/zz_test.c 2 words "$spdx" '/* A stand-in runs. */'
plant bench/peers/zz.cc 2 words "$spdx" '// The short way.'
plant bench/peers/zz/main.go 2 words '// SPDX-License-Identifier: MIT' '// Nobody is told.'
plant tests/e2e/zz.sh 3 words '#!/bin/sh' '# SPDX-License-Identifier: MIT' "x=1 $hash in vain"
plant tests/e2e/zz.py 3 words "$quotes Of a test." 'SPDX-License-Identifier: MIT' "Whoever waits. $quotes"
plant tests/model/mutants/zz.txt 2 words 'mutant: zz' 'why: whoever waits' 'in: booked'
plant tests/model/edges.txt 2 words '# label function operation' 'aa.1 sh_booked load_acq - whoever waits'
plant tests/model/clients/zz.c 2 words "$spdx" 'const char *shows = "seen and in the books";'
plant runtime/sched/zz.c 2 words "$spdx" '/* One job off the beat. */'
plant runtime/sched/zz.c 2 words "$spdx" '/* The cost is settled. */'
plant runtime/sched/zz.c 2 words "$spdx" '/* A flood of jobs. */'
plant runtime/sched/zz.c 2 words "$spdx" '/* Misuse is refused. */'
plant runtime/sched/zz.c 2 words "$spdx" '/* The pop that made room. */'
clean runtime/sched/zz.c "$spdx" '/* The heartbeat stops; the text has room. */'
plant README.md 3 words 'Text.' '' 'The `fast` short way.'
plant bench/README.md 1 words 'What was reckoned.'
plant docs/decisions/zz.md 6 words '# zz' '' '    int books;' '' '- item' '    and what is lent'
clean tests/unit/zz_test.c "$spdx" 'const char *s = "a stand-in";'
clean tests/e2e/zz.sh '# SPDX-License-Identifier: MIT' 'echo "whoever"'
clean tests/e2e/zz.py '# SPDX-License-Identifier: MIT' 'told = "whoever"'
clean tests/model/mutants/zz.txt 'mutant: told' 'in: booked' '- told(w)'
clean tests/model/edges.txt 'aa.1 sh_told load_acq told.merit'
clean docs/zz.md 'The `told' 'books` of [it](short-way.md).' '' '    whoever' '' '    told' '' '```' 'in vain' '```' '<!-- gone: told -->'
# Rules about more than one file: the others are there while the planted one is.
mkdir -p "$tree/runtime/sched" "$tree/runtime/job"
printf '%s\n' "$spdx" 'void sh_yy_f(void);' > "$tree/runtime/sched/yy.h"
printf '%s\n' "$spdx" '#include "sched/yy.h"' 'void sh_yy_f(void)' '{' '	sh_zz_f();' '}' > "$tree/runtime/sched/yy.c"
plant runtime/sched/zz.h 2 own-header "$spdx" 'void sh_yy_f(void);'
plant runtime/sched/zz.c 2 extern "$spdx" 'void sh_zz_g(void)' '{' '}'
plant runtime/sched/zz.c 1 cycle "$spdx" 'void sh_zz_f(void)' '{' '	sh_yy_f();' '}'
plant runtime/policy/zz.c 1 cycle "$spdx" 'void sh_zz_f(void)' '{' '	sh_yy_f();' '}'
printf '%s\n' "$spdx" '#include "sched/yy.h"' 'static inline void sh_xx_f(void)' '{' '	sh_zz_f();' '}' > "$tree/runtime/sched/xx.h"
printf '%s\n' "$spdx" 'void sh_yy_f(void)' '{' '	sh_xx_f();' '}' > "$tree/runtime/sched/yy.c"
plant runtime/sched/zz.c 1 cycle "$spdx" 'void sh_zz_f(void)' '{' '	sh_yy_f();' '}' # through an inline function
plant runtime/job/zz.c 1 cycle "$spdx" 'void sh_zz_f(void)' '{' '	sh_yy_f();' '}'
rm "$tree"/runtime/sched/[xy]*

clean runtime/sched/zz.c "$spdx" '#include "sched/yy.h"' '#include "lockfree/ring.h"' '#include <shunt/error.h>' \
	"$store /* mo aa.1 -> aa.2@sched/zz.c: same line. */" '/* mo aa.2 <- aa.1@sched/zz.c:' ' * four lines' ' */' '' '' \
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
