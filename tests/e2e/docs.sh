#!/usr/bin/env bash
# Holds the documents to the headers: every C block of docs/API.md compiles, its table of errors is that of
# shunt/error.h, docs/METRICS.md names every field of a snapshot, and no link of README.md and docs/*.md leads
# nowhere. SPDX-License-Identifier: MIT
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

# A block that starts with "static" stands outside functions; any other one is the body of a function
# in which rt, pool, type, handler, arg and rc are there.
blocks=0
awk -v dir="$scratch" '/^```c$/ { name = sprintf("%s/block%02d_line%d", dir, ++n, NR); on = 1; next }
	/^```/ { on = 0; next } on { print > name }' "$SRCDIR/docs/API.md"
for block in "$scratch"/block*; do
	{
		printf '#include <shunt/shunt.h>\n#include <inttypes.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n'
		if head -n 1 "$block" | grep -q '^static'; then
			cat "$block"
		else
			printf 'int body(struct shunt_runtime *rt, struct shunt_pool_id pool, struct shunt_type_id type,\n'
			printf '\tshunt_handler_fn handler, void *arg);\n'
			printf 'int body(struct shunt_runtime *rt, struct shunt_pool_id pool, struct shunt_type_id type,\n'
			printf '\tshunt_handler_fn handler, void *arg)\n{\nint rc = 0;\n(void)rt, (void)pool, (void)type;\n'
			printf '(void)handler, (void)arg;\n{\n'
			cat "$block"
			printf '}\nreturn rc;\n}\n'
		fi
	} > "$block.c"
	if ! "$CC" -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -Wno-unused-function -Wno-unused-but-set-variable \
		-Wno-unused-variable -I"$SRCDIR/include" -fsyntax-only "$block.c"; then
		echo "FAIL: docs/API.md: $(basename "$block") does not compile"
		failed=1
	fi
	blocks=$((blocks + 1))
done
echo "compiled $blocks blocks of docs/API.md"
[ "$blocks" -ge 20 ] || { echo "FAIL: too few blocks were found" && failed=1; }

# Configuration that a page shows must be good.
if [ -n "${SHUNT:-}" ]; then
	awk '/^```yaml$/ { on = 1; next } /^```/ { if (on) exit } on' "$SRCDIR/docs/TUNING.md" > "$scratch/pinning.yaml"
	"$SHUNT" config --check "$scratch/pinning.yaml" || { echo "FAIL: docs/TUNING.md: the pinning file is bad" && failed=1; }
fi

sed -n 's/^\tX(\(E[A-Z]*\), \(-[0-9]*\), \([01]\), "\(.*\)").*/| `SHUNT_\1` | \2 | \3 | \4 |/p' \
	"$SRCDIR/include/shunt/error.h" | sed 's/ | 1 | / | yes | /; s/ | 0 | / | no | /' > "$scratch/errors"
grep '^| `SHUNT_E[A-Z]*` | -' "$SRCDIR/docs/API.md" > "$scratch/documented" || true
diff -u "$scratch/errors" "$scratch/documented" || { echo "FAIL: docs/API.md: the table of errors differs" && failed=1; }
echo "compared $(wc -l < "$scratch/errors") errors"

# Fields: everything declared in a struct of snapshot.h, as `name` in docs/METRICS.md.
fields=$("$CC" -E -P -I"$SRCDIR/include" "$SRCDIR/include/shunt/snapshot.h" | tr '\n' ' ' |
	grep -oE 'struct shunt_(series|worker_info|pool_info|runtime_info) \{[^}]*\}' | sed 's/^[^{]*{//; s/}$//' |
	tr ';' '\n' | sed 's/\[[^]]*\]//g' | awk '{ n = split($0, part, ","); for (i = 1; i <= n; i++) {
		m = split(part[i], word, /[ *]+/); while (m > 0 && word[m] == "") m--; if (m > 0) print word[m] } }' | sort -u)
for field in $fields; do
	grep -q "\`$field\`" "$SRCDIR/docs/METRICS.md" || { echo "FAIL: docs/METRICS.md does not name $field" && failed=1; }
done
echo "looked for $(wc -w <<< "$fields") fields in docs/METRICS.md"
[ "$(wc -w <<< "$fields")" -ge 40 ] || { echo "FAIL: too few fields were found" && failed=1; }

for page in "$SRCDIR/README.md" "$SRCDIR"/docs/*.md; do
	while read -r link; do
		case $link in http://* | https://* | '#'* | '') continue ;; esac
		[ -e "$(dirname "$page")/${link%%#*}" ] || { echo "FAIL: ${page#"$SRCDIR/"}: no $link" && failed=1; }
	done < <(grep -oE '\]\([^)]+\)' "$page" | sed 's/^](//; s/)$//')
done
echo "followed the links"
exit "$failed"
