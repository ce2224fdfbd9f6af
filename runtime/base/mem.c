/* base/mem.c - see mem.h. SPDX-License-Identifier: MIT */
#include "base/mem.h"

#include <shunt/error.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/inject.h"

#ifdef SHUNT_WITH_JEMALLOC
#include <jemalloc/jemalloc.h>
/* Weak: present only when the program itself carries jemalloc. */
#pragma weak mallocx
#pragma weak sdallocx
#pragma weak mallctl

const char *sh_mem_allocator(void)
{
	return mallocx && sdallocx && mallctl ? "jemalloc" : "libc";
}

static bool mem_arena_create(struct sh_mem *m)
{
	size_t len = sizeof(m->arena);

	if (!mallocx || !sdallocx || !mallctl || SH_FAIL("mem.arena"))
		return false;
	return mallctl("arenas.create", &m->arena, &len, NULL, 0) == 0;
}

static void mem_arena_destroy(struct sh_mem *m)
{
	char name[48];

	(void)snprintf(name, sizeof(name), "arena.%u.destroy", m->arena);
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
const char *sh_mem_allocator(void)
{
	return "libc";
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

int sh_mem_init(struct sh_mem *m)
{
	if (SH_FAIL("mem.init"))
		return SHUNT_ENOMEM;
	memset(m, 0, sizeof(*m));
	m->jemalloc = mem_arena_create(m);
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
	if (m->jemalloc) {
		p = mem_je_alloc(m, size, align);
	} else {
		if (posix_memalign(&p, align, size) != 0)
			p = NULL;
		if (p)
			memset(p, 0, size);
	}
	if (p)
		(void)sh_a64_add_rlx(&m->bytes, size); /* mo rlx: statistic. */
	return p;
}

void sh_mem_free(struct sh_mem *m, void *p, size_t size, size_t align)
{
	if (!p)
		return;
	if (m->jemalloc)
		mem_je_free(m, p, size, align);
	else
		free(p);
	(void)sh_a64_sub_rlx(&m->bytes, size); /* mo rlx: statistic. */
}

void *sh_mem_map(struct sh_mem *m, size_t size)
{
	void *p = NULL;

	assert(size > 0);
	if (SH_FAIL("mem.map"))
		return NULL;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	(void)sh_a64_add_rlx(&m->mapped, size); /* mo rlx: statistic. */
	return p;
}

void sh_mem_unmap(struct sh_mem *m, void *p, size_t size)
{
	if (!p)
		return;
	(void)munmap(p, size);
	(void)sh_a64_sub_rlx(&m->mapped, size); /* mo rlx: statistic. */
}

size_t sh_mem_drop(void *p, size_t size)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t first = ((uintptr_t)p + page - 1) & ~(page - 1);
	uintptr_t last = ((uintptr_t)p + size) & ~(page - 1);

	if (first >= last || SH_FAIL("mem.drop"))
		return 0;
	return madvise((void *)first, last - first, MADV_DONTNEED) == 0 ? last - first : 0;
}

uint64_t sh_mem_bytes(struct sh_mem *m)
{
	/* mo rlx: statistic. */
	return m->jemalloc ? mem_je_bytes(m) : sh_a64_load_rlx(&m->bytes);
}
