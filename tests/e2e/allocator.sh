#!/usr/bin/env bash
# All memory of libshunt goes through runtime/base/mem.c: no other object refers to an allocating call of the C library, and a
# program with an allocator of its own sees none from libshunt's text (allocator_probe.c).
# Environment: SRCDIR, BUILDDIR, CC, SHUNT_SANITIZE. Exit 77: under a sanitizer, whose malloc cannot be replaced.
# SPDX-License-Identifier: MIT
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# Calls that take memory, or hand out memory that their caller frees.
calls='malloc|calloc|realloc|reallocarray|free|cfree|aligned_alloc|posix_memalign|memalign|valloc|pvalloc|v?asprintf|__v?asprintf_chk'
calls+='|strn?dup|__strn?dup|wcsdup|getline|getdelim|__getdelim|open_memstream|fmemopen|mmap|mmap64|munmap|mremap|madvise|sbrk|brk'
calls+='|scandir|scandir64|realpath|get_current_dir_name|getcwd|tempnam|[ms]?allocx|sdallocx|rallocx|compress2?|uncompress2?'
nm -u "$BUILDDIR/lib/libshunt.a" | awk -v calls="^($calls)\$" '
	/\.o:$/ { member = $1; sub(/:$/, "", member); objects++ }
	$1 == "U" && $2 ~ calls { references++; if (member != "mem.c.o") { print "FAIL: " member " refers to " $2; bad = 1 } }
	END { print objects " objects, " references " references to allocating calls"; exit bad || objects < 40 || references < 5 }'

if [ -n "${SHUNT_SANITIZE:-}" ]; then
	echo "skipped: the program cannot have a malloc of its own under -fsanitize=$SHUNT_SANITIZE"
	exit 77
fi
"$CC" -std=gnu11 -D_GNU_SOURCE -O1 -fno-builtin -Wall -Wextra -Werror -I"$SRCDIR/include" "$SRCDIR/tests/e2e/allocator_probe.c" \
	-o "$tmp/probe" -L"$BUILDDIR/lib" -Wl,-rpath,"$BUILDDIR/lib" -lshunt -lpthread
"$tmp/probe" own "$tmp/log"
"$tmp/probe" custom "$tmp/log"
