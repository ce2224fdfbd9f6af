/* base/mem.c - see mem.h. SPDX-License-Identifier: MIT */
#include "base/mem.h"

#include <shunt/allocator.h>
#include <shunt/error.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/inject.h"
#include "base/opts.h"

#define HEAP_HEAD _Alignof(max_align_t) /* in front of what sh_heap_alloc returns: its size */
_Static_assert(HEAP_HEAD >= sizeof(size_t), "the size fits");

static struct shunt_allocator custom; /* sync: const while anything is live; all zero = none */
static sh_a64 live;                   /* sync: atomic; blocks and mappings handed out and not given back */

static void *taken(void *p)
{
	if (p)
		(void)sh_a64_add_rlx(&live, 1); /* mo rlx: who sets an allocator is alone in the library. */
	return p;
}

static void given(void)
{
	(void)sh_a64_sub_rlx(&live, 1); /* mo rlx: as above. */
}

int shunt_allocator_set(const struct shunt_allocator *allocator)
{
	struct shunt_allocator a = SHUNT_ALLOCATOR_INIT;

	if (allocator && (sh_opts_take(&a, sizeof(a), allocator, allocator->size) != 0 || !a.alloc || !a.free))
		return SHUNT_EINVAL;
	if (sh_a64_load_rlx(&live) != 0) /* mo rlx: as above. */
		return SHUNT_EBUSY;
	custom = a;
	return 0;
}

bool sh_mem_own_pages(void)
{
	return !custom.alloc;
}

/* ---- blocks of the process ---- */

static size_t rounded(size_t size, size_t align)
{
	return (size + align - 1) & ~(align - 1);
}

static void *custom_alloc(size_t size, size_t align)
{
	size_t bytes = rounded(size, align);
	void *p = bytes >= size ? custom.alloc(custom.arg, bytes, align) : NULL;

	if (p && ((uintptr_t)p & (align - 1)) != 0) {
		custom.free(custom.arg, p, bytes, align);
		p = NULL;
	}
	return p ? memset(p, 0, bytes) : NULL;
}

static void *libc_alloc(size_t size, size_t align)
{
	void *p = NULL;

	if (align <= _Alignof(max_align_t))
		return calloc(1, size);
	return posix_memalign(&p, align, size) == 0 ? memset(p, 0, size) : NULL;
}

void *sh_block_alloc(size_t size, size_t align)
{
	assert(size > 0 && sh_is_pow2(align));
	align = align < _Alignof(max_align_t) ? _Alignof(max_align_t) : align;
	return taken(custom.alloc ? custom_alloc(size, align) : libc_alloc(size, align));
}

void sh_block_free(void *p, size_t size, size_t align)
{
	if (!p)
		return;
	align = align < _Alignof(max_align_t) ? _Alignof(max_align_t) : align;
	if (custom.alloc)
		custom.free(custom.arg, p, rounded(size, align), align);
	else
		free(p);
	given();
}

void *sh_heap_alloc(size_t n, size_t size)
{
	size_t bytes;
	char *p;

	if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX - HEAP_HEAD)
		return NULL;
	p = sh_block_alloc(bytes + HEAP_HEAD, HEAP_HEAD);
	if (!p)
		return NULL;
	memcpy(p, &bytes, sizeof(bytes));
	return p + HEAP_HEAD;
}

static size_t heap_bytes(const void *p)
{
	size_t bytes;

	memcpy(&bytes, (const char *)p - HEAP_HEAD, sizeof(bytes));
	return bytes;
}

void *sh_heap_resize(void *p, size_t n, size_t size)
{
	void *q = sh_heap_alloc(n, size);

	if (q && p) {
		memcpy(q, p, heap_bytes(p) < n * size ? heap_bytes(p) : n * size);
		sh_heap_free(p);
	}
	return q;
}

void sh_heap_free(void *p)
{
	if (p)
		sh_block_free((char *)p - HEAP_HEAD, heap_bytes(p) + HEAP_HEAD, HEAP_HEAD);
}

/* ---- jemalloc ---- */

#ifdef SHUNT_WITH_JEMALLOC
#include <jemalloc/jemalloc.h>
/* Weak: defined only when the program itself links jemalloc. */
#pragma weak mallocx
#pragma weak sdallocx
#pragma weak mallctl

static bool mem_je_present(void)
{
	return mallocx && sdallocx && mallctl;
}

static bool mem_arena_create(struct sh_mem *m)
{
	size_t len = sizeof(m->arena);

	if (!mem_je_present() || SH_FAIL("mem.arena"))
		return false;
	return mallctl("arenas.create", &m->arena, &len, NULL, 0) == 0;
}

static void mem_arena_destroy(struct sh_mem *m)
{
	char name[48];

	(void)snprintf(name, sizeof(name), "arena.%u.destroy", m->arena);
	(void)mallctl(name, NULL, NULL, NULL, 0);
}

static void mem_arena_purge(const struct sh_mem *m)
{
	char name[48];

	(void)snprintf(name, sizeof(name), "arena.%u.purge", m->arena);
	(void)mallctl(name, NULL, NULL, NULL, 0);
}

static int mem_flags(const struct sh_mem *m, size_t align)
{
	return MALLOCX_ARENA(m->arena) | MALLOCX_TCACHE_NONE | MALLOCX_ALIGN(align);
}

static void *mem_je_alloc(const struct sh_mem *m, size_t size, size_t align)
{
	return mallocx(size, mem_flags(m, align) | MALLOCX_ZERO);
}

static void mem_je_free(const struct sh_mem *m, void *p, size_t size, size_t align)
{
	sdallocx(p, size, mem_flags(m, align));
}

static uint64_t mem_je_bytes(const struct sh_mem *m)
{
	static const char *const parts[] = { "small", "large" };
	uint64_t epoch = 1;
	uint64_t sum = 0;
	size_t i;

	(void)mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
	for (i = 0; i < SH_COUNT(parts); i++) {
		char name[64];
		size_t value = 0;
		size_t len = sizeof(value);

		(void)snprintf(name, sizeof(name), "stats.arenas.%u.%s.allocated", m->arena, parts[i]);
		if (mallctl(name, &value, &len, NULL, 0) == 0)
			sum += value;
	}
	return sum;
}
#else
static bool mem_je_present(void)
{
	return false;
}

static bool mem_arena_create(struct sh_mem *m)
{
	(void)m;
	return false;
}

static void mem_arena_destroy(struct sh_mem *m)
{
	(void)m;
}

static void mem_arena_purge(const struct sh_mem *m)
{
	(void)m;
}

static void *mem_je_alloc(const struct sh_mem *m, size_t size, size_t align)
{
	(void)m;
	(void)size;
	(void)align;
	return NULL;
}

static void mem_je_free(const struct sh_mem *m, void *p, size_t size, size_t align)
{
	(void)m;
	(void)p;
	(void)size;
	(void)align;
}

static uint64_t mem_je_bytes(const struct sh_mem *m)
{
	(void)m;
	return 0;
}
#endif

/* ---- of a runtime or a pool ---- */

const char *sh_mem_allocator(void)
{
	if (custom.alloc)
		return "custom";
	return mem_je_present() ? "jemalloc" : "libc";
}

int sh_mem_init(struct sh_mem *m)
{
	if (SH_FAIL("mem.init"))
		return SHUNT_ENOMEM;
	memset(m, 0, sizeof(*m));
	m->jemalloc = !custom.alloc && mem_arena_create(m);
	return 0;
}

void sh_mem_fini(struct sh_mem *m)
{
	/* mo rlx: called by the last owner. */
	assert(sh_a64_load_rlx(&m->bytes) == 0);
	assert(sh_a64_load_rlx(&m->mapped) == 0);
	if (m->jemalloc)
		mem_arena_destroy(m);
}

void *sh_mem_alloc(struct sh_mem *m, size_t size, size_t align)
{
	void *p = NULL;

	assert(size > 0 && align >= sizeof(void *) && sh_is_pow2(align));
	if (SH_FAIL("mem.alloc"))
		return NULL;
	p = m->jemalloc ? taken(mem_je_alloc(m, size, align)) : sh_block_alloc(size, align);
	if (p)
		(void)sh_a64_add_rlx(&m->bytes, size); /* mo rlx: statistic. */
	return p;
}

void sh_mem_free(struct sh_mem *m, void *p, size_t size, size_t align)
{
	if (!p)
		return;
	if (m->jemalloc) {
		mem_je_free(m, p, size, align);
		given();
	} else {
		sh_block_free(p, size, align);
	}
	(void)sh_a64_sub_rlx(&m->bytes, size); /* mo rlx: statistic. */
}

size_t sh_mem_page(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static void *pages_alloc(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return taken(p == MAP_FAILED ? NULL : p);
}

static void pages_free(void *p, size_t size)
{
	(void)munmap(p, size);
	given();
}

bool sh_mem_fits(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	return p != MAP_FAILED && munmap(p, size) == 0;
}

void *sh_mem_map(struct sh_mem *m, size_t size)
{
	void *p;

	assert(size > 0);
	if (SH_FAIL("mem.map"))
		return NULL;
	p = custom.alloc ? sh_block_alloc(size, sh_mem_page()) : pages_alloc(size);
	if (p)
		(void)sh_a64_add_rlx(&m->mapped, size); /* mo rlx: statistic. */
	return p;
}

void sh_mem_unmap(struct sh_mem *m, void *p, size_t size)
{
	if (!p)
		return;
	if (custom.alloc)
		sh_block_free(p, size, sh_mem_page());
	else
		pages_free(p, size);
	(void)sh_a64_sub_rlx(&m->mapped, size); /* mo rlx: statistic. */
}

size_t sh_mem_drop(void *p, size_t size)
{
	uintptr_t page = sh_mem_page();
	uintptr_t first = ((uintptr_t)p + page - 1) & ~(page - 1);
	uintptr_t last = ((uintptr_t)p + size) & ~(page - 1);

	if (custom.alloc || first >= last || SH_FAIL("mem.drop"))
		return 0;
	return madvise((void *)first, last - first, MADV_DONTNEED) == 0 ? last - first : 0;
}

void sh_mem_purge(const struct sh_mem *m)
{
	if (m->jemalloc)
		mem_arena_purge(m);
}

uint64_t sh_mem_bytes(struct sh_mem *m)
{
	/* mo rlx: statistic. */
	return m->jemalloc ? mem_je_bytes(m) : sh_a64_load_rlx(&m->bytes);
}
