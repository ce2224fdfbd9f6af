#!/usr/bin/env bash
# A prefetch for writing is one for reading, unless the compiler is told more than the machine's level.
# SPDX-License-Identifier: MIT
#
# Guess before: __builtin_prefetch(p, 1) becomes PREFETCHW on x86-64, which fetches the line for a store; every processor of
#   the last ten years has it, so at the latest with -march=x86-64-v3.
# Seen: GCC 12.2.0-14+deb12u1 (Debian 12, amd64) makes PREFETCHT0 of it, at the baseline and at x86-64-v3 alike: the line
#   arrives shared, and the store behind it needs a second transfer from the other cores. Only -mprfchw, or a processor's own
#   name such as -march=broadwell, gives PREFETCHW. The second argument is dropped without a word.
# Where shunt meets it: the slot of a ring is prefetched before it is published; base/compiler.h writes the instruction itself.
#
# usage: findings/gcc-prefetch-for-writing.sh      needs apt-get and dpkg-deb; changes nothing outside a temporary folder
# Exit code: 0 as seen, 1 it behaves otherwise now, 2 the packages cannot be had.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

for package in cpp-12=12.2.0-14+deb12u1 libisl23=0.25-1.1 libmpc3=1.3.1-1 libmpfr6=4.2.0-1 libgmp10=2:6.2.1+dfsg1-1.1; do
	apt-get download -qq "$package" 2> error.txt || { echo "no $package here: $(head -1 error.txt)" >&2 && exit 2; }
done
for file in ./*.deb; do
	dpkg-deb -x "$file" root
done
export LD_LIBRARY_PATH=$folder/root/usr/lib/x86_64-linux-gnu
echo 'void f(long *p) { __builtin_prefetch(p, 1); }' > p.c
same=0
check() { # WANTED [OPTION]...
	local wanted=$1 got
	shift
	got=$(root/usr/lib/gcc/x86_64-linux-gnu/12/cc1 -quiet -O2 "$@" p.c -o - | grep -oE 'prefetch[a-z0-9]+')
	echo "GCC 12.2.0 -O2 $*: $got"
	[ "$got" = "$wanted" ] || same=1
}
check prefetcht0
check prefetcht0 -march=x86-64-v3
check prefetchw -mprfchw
check prefetchw -march=broadwell
[ "$same" -eq 0 ] || echo "it behaves otherwise now" >&2
exit "$same"
