# Shared by the install tests: installs the build into a fresh prefix, then moves that prefix. Sourced, not run.
# After it: $work is a scratch folder, $prefix the moved tree, $libdir its library folder. SPDX-License-Identifier: MIT
set -euo pipefail

if [ -n "${SHUNT_SANITIZE:-}" ]; then
	echo "skipped: a consumer would have to be built with the same sanitizer"
	exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${CMAKE:-cmake}" --install "$BUILDDIR" --prefix "$work/first" > "$work/install.log"
mkdir "$work/elsewhere"
mv "$work/first" "$work/elsewhere/moved"
prefix=$work/elsewhere/moved
libdir=$(dirname "$(find "$prefix" -name libshunt.a)")

if grep -rIlF -e "$work/first" -e "$SRCDIR" -e "$BUILDDIR" "$libdir/pkgconfig" "$libdir/cmake" "$prefix/include"; then
	echo "FAIL: the files above name the place where they were built or installed first"
	exit 1
fi

# Needs every package behind the static library: creating a runtime reaches topology, registries and memory.
cat > "$work/main.c" <<'C'
#include <shunt/shunt.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	struct shunt_runtime *rt = NULL;
	int rc = shunt_runtime_create(&rt, NULL);

	printf("%s %s\n", shunt_version(), shunt_error_name(rc));
	if (rc == 0 && shunt_runtime_destroy(rt, NULL) != 0)
		return 1;
	return strcmp(shunt_version(), SHUNT_VERSION_STRING) != 0 || rc != 0;
}
C
cp "$work/main.c" "$work/main_cc.cc"

# expect_program PATH shared|static: runs it; it must say its version, and load libshunt.so only if shared.
expect_program() {
	local said loads
	said=$(LD_LIBRARY_PATH=$libdir "$1")
	if [ "$said" != "0.1.0 SHUNT_OK" ]; then
		echo "FAIL: $1 said '$said'"
		exit 1
	fi
	loads=$(readelf -d "$1" | grep -c 'NEEDED.*libshunt\.so\.0' || true)
	if [ "$loads" != "$([ "$2" = shared ] && echo 1 || echo 0)" ]; then
		echo "FAIL: $1 should be linked $2"
		exit 1
	fi
	echo "ok: $(basename "$1") ($2): $said"
}
