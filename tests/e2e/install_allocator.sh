#!/usr/bin/env bash
# What an installed shunt does to the allocator of those who link it, with the flags of pkg-config and with CMake: a
# program keeps its own malloc, a module can be loaded by dlopen, and jemalloc comes, and serves the pools, where it was
# asked for: shunt-jemalloc, shunt::jemalloc, or a program that links or preloads it itself. SPDX-License-Identifier: MIT
. "$SRCDIR/tests/e2e/lib_install.sh"

fail() {
	echo "FAIL: $*"
	exit 1
}

export LD_LIBRARY_PATH=$libdir PKG_CONFIG_PATH=$libdir/pkgconfig
cd "$work"
# probe() says which allocator serves a pool, and who owns malloc: "libc" if it came with the C library.
cat > probe.c <<'C'
#define _GNU_SOURCE
#include <shunt/shunt.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int probe(void);
int probe(void)
{
	struct shunt_runtime *rt = NULL;
	struct shunt_pool_opts pool = SHUNT_POOL_OPTS_INIT;
	struct shunt_pool_id id;
	struct shunt_snapshot *s = NULL;
	Dl_info owner;
	int rc;

	pool.name = "main";
	pool.workers = 1;
	rc = shunt_runtime_create(&rt, NULL);
	if (rc == 0)
		rc = shunt_pool_create(rt, &pool, &id);
	if (rc == 0)
		rc = shunt_snapshot_create(rt, &s);
	if (rc != 0 || dladdr((void *)(size_t)&malloc, &owner) == 0)
		return 1;
	printf("%s, malloc of %s\n", shunt_snapshot_runtime(s)->allocator, strstr(owner.dli_fname, "jemalloc") ? "jemalloc" : "libc");
	shunt_snapshot_destroy(s);
	return shunt_runtime_destroy(rt, NULL) != 0;
}
C
cat > main_probe.c <<'C'
int probe(void);
int main(void)
{
	return probe();
}
C
cat > host.c <<'C'
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv)
{
	void *module = dlopen(argc > 1 ? argv[1] : "", RTLD_NOW);
	int (*probe)(void);

	if (!module) {
		printf("%s\n", dlerror());
		return 1;
	}
	*(void **)&probe = dlsym(module, "probe");
	return probe();
}
C

# says "TEXT" COMMAND...
says() {
	local want=$1 said
	shift
	said=$("$@" 2>&1) || true
	[ "$said" = "$want" ] || fail "$*: '$said', want '$want'"
	echo "ok: $*: $said"
}

jemalloc=no
! grep -q '^SHUNT_WITH_JEMALLOC:BOOL=ON' "$BUILDDIR/CMakeCache.txt" || jemalloc=yes

read -ra cflags <<< "$(pkg-config --cflags shunt)"
read -ra libs <<< "$(pkg-config --libs shunt)"
read -ra static <<< "$(pkg-config --static --libs shunt)"
static=("${static[@]/#-lshunt/-l:libshunt.a}")
"$CC" "${cflags[@]}" -fPIC -c probe.c main_probe.c
"$CC" host.c -o host -ldl
"$CC" main_probe.o probe.o -o plain "${libs[@]}" -ldl
"$CC" main_probe.o probe.o -o plain_static "${static[@]}" -ldl
"$CC" -shared probe.o -o module.so "${libs[@]}"
"$CC" -shared probe.o -o module_static.so "${static[@]}"
for program in ./plain ./plain_static; do
	says 'libc, malloc of libc' "$program"
done
for module in ./module.so ./module_static.so; do
	says 'libc, malloc of libc' ./host "$module"
done

cat > CMakeLists.txt <<'C'
cmake_minimum_required(VERSION 3.22)
project(consumer C)
find_package(shunt 0.1 REQUIRED CONFIG COMPONENTS ${COMPONENTS})
foreach(kind shunt shunt_static)
	add_executable(plain_${kind} main_probe.c probe.c)
	target_link_libraries(plain_${kind} PRIVATE shunt::${kind})
	add_library(module_${kind} MODULE probe.c)
	target_link_libraries(module_${kind} PRIVATE shunt::${kind})
	if("jemalloc" IN_LIST COMPONENTS)
		add_executable(with_${kind} main_probe.c probe.c)
		target_link_libraries(with_${kind} PRIVATE shunt::${kind} shunt::jemalloc)
	endif()
endforeach()
if(NOT "jemalloc" IN_LIST COMPONENTS AND TARGET shunt::jemalloc)
	message(FATAL_ERROR "shunt::jemalloc is there and was not asked for")
endif()
C
# configure FOLDER COMPONENTS
configure() {
	"${CMAKE:-cmake}" -S . -B "$1" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$CC" -DCOMPONENTS="$2" > "$1.log" 2>&1
}
build() {
	"${CMAKE:-cmake}" --build "$1" > "$1.log" 2>&1 || { cat "$1.log" && fail "the consumer does not build"; }
}
configure b '' || { cat b.log && fail "the consumer cannot be configured"; }
build b
for kind in shunt shunt_static; do
	says 'libc, malloc of libc' "b/plain_$kind"
	says 'libc, malloc of libc' ./host "b/libmodule_$kind.so"
done
! configure b_bad 'jemaloc' || fail "find_package: a component that does not exist was accepted"
grep -q 'there is no component jemaloc' b_bad.log || fail "find_package: no word on the component: $(cat b_bad.log)"

if [ "$jemalloc" = no ]; then
	[ ! -e "$libdir/pkgconfig/shunt-jemalloc.pc" ] || fail "shunt-jemalloc.pc of a library that does not know jemalloc"
	! configure b_without jemalloc || fail "the component jemalloc of a library that does not know it"
	grep -q 'SHUNT_WITH_JEMALLOC=OFF' b_without.log || fail "no word on jemalloc: $(cat b_without.log)"
	echo "with jemalloc: skipped: the library was built without"
	exit 0
fi
read -ra with <<< "$(pkg-config --libs shunt-jemalloc)"
read -ra with_cflags <<< "$(pkg-config --cflags shunt-jemalloc)"
"$CC" "${with_cflags[@]}" -Wl,--as-needed main_probe.c probe.c -o with "${with[@]}" -ldl
says 'jemalloc, malloc of jemalloc' ./with
"$CC" main_probe.o probe.o -o own -Wl,--no-as-needed -ljemalloc "${libs[@]}" -ldl
says 'jemalloc, malloc of jemalloc' ./own
"$CC" host.c -o host_with -Wl,--no-as-needed -ljemalloc -ldl
says 'jemalloc, malloc of jemalloc' ./host_with ./module.so
preload=$(ldd ./own | awk '/jemalloc/ { print $3 }')
says 'jemalloc, malloc of jemalloc' env "LD_PRELOAD=$preload" ./plain
configure b_with jemalloc || { cat b_with.log && fail "the component jemalloc: cannot be configured"; }
build b_with
for kind in shunt shunt_static; do
	says 'jemalloc, malloc of jemalloc' "b_with/with_$kind"
	says 'libc, malloc of libc' "b_with/plain_$kind"
	says 'libc, malloc of libc' ./host "b_with/libmodule_$kind.so"
done
