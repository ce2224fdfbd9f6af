/*
 * model/arena.c - the memory that is put back before each execution: a heap that only grows, the fibers' stacks, and the
 * program's own variables. Also base/mem.c's and malloc's replacement for the code under test. Freed memory is never
 * handed out again within one execution, so any use of it is seen.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <shunt/error.h>

#include "base/mem.h"
#include "model/model.h"
#include "virt/os.h"
#undef calloc
#undef free
#undef memcpy
#undef memset

#define HEAP_BYTES (UINT64_C(1) << 32) /* of addresses; touched pages cost memory */
#define STACK_BYTES (64u * 1024u)
#define STACKS_BYTES (STACK_BYTES * (MODEL_THREADS + 1u))
#define PAGE 4096u
#define LOOSE_BYTES (1u << 20)
#define HEADER 16u /* before each block of the heap: its size */

extern char __data_start[], _end[]; /* the linker's: the program's variables */

static struct {
	char *heap, *stacks;
	size_t used, used_mark;
	size_t stacks_used, stacks_used_mark;
	char *loose, *loose_copy; /* heap of code that is not watched; put back as a whole */
	size_t loose_used, loose_used_mark;
	char *pristine;  /* variables before any client */
	char *variables; /* at the mark */
	uint32_t *saved; /* [pages of heap and stacks] index of its copy + 1, 0 = was never touched */
	char *copies;
	size_t copies_n;
	uint32_t *dirty; /* pages written since */
	uint8_t *is_dirty;
	size_t dirty_n;
	bool verify; /* MODEL_VERIFY=1: look for writes that nothing announced; slow */
} * m;

static size_t variables_bytes(void)
{
	return (size_t)(_end - __data_start);
}

static void *stack_new(size_t bytes)
{
	void *p = m->stacks + m->stacks_used;

	m->stacks_used += bytes;
	if (m->stacks_used > STACKS_BYTES)
		model_fail("explorer: more than %u threads", MODEL_THREADS);
	return p;
}

static char *reserve(size_t bytes)
{
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED) {
		(void)fprintf(stderr, "explorer: out of memory\n");
		abort();
	}
	return p;
}

void arena_open(void)
{
	size_t pages = HEAP_BYTES / PAGE;

	m = calloc(1, sizeof(*m));
	m->heap = reserve(HEAP_BYTES);
	m->stacks = reserve(STACKS_BYTES);
	m->loose = reserve(LOOSE_BYTES);
	m->loose_copy = reserve(LOOSE_BYTES);
	m->saved = (uint32_t *)(void *)reserve(pages * sizeof(*m->saved));
	m->is_dirty = (uint8_t *)reserve(pages);
	m->dirty = (uint32_t *)(void *)reserve(pages * sizeof(*m->dirty));
	m->copies = reserve(HEAP_BYTES);
	m->verify = getenv("MODEL_VERIFY") != NULL;
	m->variables = malloc(variables_bytes());
	m->pristine = malloc(variables_bytes());
	virt_set_stacks(stack_new, STACK_BYTES);
	memory_start();
	plain_start();
	explore_begin();
	memcpy(m->pristine, __data_start, variables_bytes());
}

void arena_reset(void)
{
	(void)madvise(m->heap, m->used, MADV_DONTNEED);
	memset(m->saved, 0, (m->used / PAGE + 1) * sizeof(*m->saved));
	for (size_t i = 0; i < m->dirty_n; i++)
		m->is_dirty[m->dirty[i]] = 0;
	m->dirty_n = 0;
	m->copies_n = 0;
	m->used = 0;
	m->stacks_used = 0;
	memset(m->loose, 0, m->loose_used);
	m->loose_used = 0;
	memcpy(__data_start, m->pristine, variables_bytes());
}

void arena_mark(void)
{
	size_t pages = (m->used + PAGE - 1) / PAGE;
	unsigned char *there = malloc(pages + 1);

	if (!there || (pages && mincore(m->heap, pages * PAGE, there) != 0)) {
		(void)fprintf(stderr, "explorer: mincore\n");
		abort();
	}
	for (size_t i = 0; i < pages; i++)
		if (there[i] & 1) {
			memcpy(m->copies + m->copies_n * PAGE, m->heap + i * PAGE, PAGE);
			m->saved[i] = (uint32_t)++m->copies_n;
		}
	free(there);
	/* Stacks are copied whole, behind the pages: they are few, and code that is not watched writes them. */
	memcpy(m->copies + m->copies_n * PAGE, m->stacks, m->stacks_used);
	memcpy(m->loose_copy, m->loose, m->loose_used);
	m->loose_used_mark = m->loose_used;
	memcpy(m->variables, __data_start, variables_bytes());
	m->used_mark = m->used;
	m->stacks_used_mark = m->stacks_used;
	m->dirty_n = 0;
}

/* Was anything written that the compiler did not announce? Then executions would not be equal. */
static void verify(void)
{
	static const char zero[PAGE];

	for (size_t i = 0; i < m->used_mark / PAGE; i++) {
		const char *have = m->heap + i * PAGE, *want = m->saved[i] ? m->copies + (size_t)(m->saved[i] - 1) * PAGE : zero;
		size_t k = 0;

		if (memcmp(have, want, PAGE) == 0)
			continue;
		while (have[k] == want[k])
			k++;
		model_fail("explorer: heap+0x%zx was written without notice", i * PAGE + k);
	}
}

void arena_put_back(void)
{
	for (size_t k = 0; k < m->dirty_n; k++) {
		uint32_t i = m->dirty[k];

		if (m->saved[i])
			memcpy(m->heap + (size_t)i * PAGE, m->copies + (size_t)(m->saved[i] - 1) * PAGE, PAGE);
		else
			memset(m->heap + (size_t)i * PAGE, 0, PAGE);
		m->is_dirty[i] = 0;
	}
	m->dirty_n = 0;
	if (m->verify)
		verify();
	memcpy(m->stacks, m->copies + m->copies_n * PAGE, m->stacks_used_mark);
	memcpy(m->loose, m->loose_copy, m->loose_used_mark);
	m->loose_used = m->loose_used_mark;
	memcpy(__data_start, m->variables, variables_bytes());
	m->used = m->used_mark;
	m->stacks_used = m->stacks_used_mark;
}

void arena_touch(const void *p, size_t bytes)
{
	size_t at = (size_t)((const char *)p - m->heap);

	if (at >= HEAP_BYTES || E->mode == MODEL_SETUP)
		return;
	for (size_t i = at / PAGE; i <= (at + bytes - 1) / PAGE; i++)
		if (!m->is_dirty[i]) {
			m->is_dirty[i] = 1;
			m->dirty[m->dirty_n++] = (uint32_t)i;
		}
}

bool arena_own_stack(const void *p)
{
	size_t a = (size_t)((const char *)p - m->stacks), here = (size_t)((char *)__builtin_frame_address(0) - m->stacks);

	return a < STACKS_BYTES && a / STACK_BYTES == here / STACK_BYTES;
}

const char *arena_name(const void *p, char *out, size_t bytes)
{
	size_t a = (size_t)((const char *)p - m->heap), s = (size_t)((const char *)p - m->stacks);

	if (a < HEAP_BYTES)
		(void)snprintf(out, bytes, "heap+0x%zx", a);
	else if (s < STACKS_BYTES)
		(void)snprintf(out, bytes, "stack %zu+0x%zx", s / STACK_BYTES, s % STACK_BYTES);
	else if (!report_variable(p, out, bytes))
		(void)snprintf(out, bytes, "variables+0x%zx", (size_t)((const char *)p - __data_start));
	return out;
}

static void *take(size_t size, size_t align)
{
	size_t at = (m->used + HEADER + align - 1) / align * align;
	char *p = m->heap + at;

	if (at + size + PAGE > HEAP_BYTES)
		model_fail("explorer: the heap is full");
	m->used = at + size;
	if (E->mode != MODEL_SETUP)
		arena_touch(p - HEADER, HEADER);
	memcpy(p - HEADER, &size, sizeof(size));
	return p;
}

void *virt_arena_calloc(size_t n, size_t size)
{
	return take(n * size, 16);
}

void virt_arena_free(void *p)
{
	size_t size;

	if (!p)
		return;
	memcpy(&size, (char *)p - HEADER, sizeof(size));
	plain_freed(p, size);
}

/* For code whose plain accesses are not announced. Not checked after free. */
void *virt_loose_block_alloc(size_t size, size_t align)
{
	char *p = m->loose + m->loose_used;
	size_t bytes = (size + 63u) & ~(size_t)63;

	(void)align;
	if (m->loose_used + bytes > LOOSE_BYTES)
		model_fail("explorer: the heap of unwatched code is full");
	m->loose_used += bytes;
	return memset(p, 0, bytes);
}

void virt_loose_block_free(void *p, size_t size, size_t align)
{
	(void)p;
	(void)size;
	(void)align;
}

/* base/mem.h */
void *sh_block_alloc(size_t size, size_t align)
{
	return take(size, align < 16 ? 16 : align);
}

void sh_block_free(void *p, size_t size, size_t align)
{
	(void)align;
	if (p)
		plain_freed(p, size);
}

void *sh_heap_alloc(size_t n, size_t size)
{
	return take(n * size, 16);
}

/* Nothing that is explored makes a block larger. */
void *sh_heap_resize(void *p, size_t n, size_t size)
{
	(void)p;
	(void)n;
	(void)size;
	abort();
}

void sh_heap_free(void *p)
{
	virt_arena_free(p);
}

bool sh_mem_own_pages(void)
{
	return true;
}

size_t sh_mem_page(void)
{
	return 0; /* the runtime's slabs have no pages; clients/slab.c lays some out */
}

int sh_mem_init(struct sh_mem *mem)
{
	memset(mem, 0, sizeof(*mem));
	return 0;
}

void sh_mem_fini(struct sh_mem *mem)
{
	(void)mem;
}

void *sh_mem_alloc(struct sh_mem *mem, size_t size, size_t align)
{
	(void)mem;
	return take(size, align < 16 ? 16 : align);
}

void sh_mem_free(struct sh_mem *mem, void *p, size_t size, size_t align)
{
	(void)mem;
	(void)align;
	if (p)
		plain_freed(p, size);
}

void *sh_mem_map(struct sh_mem *mem, size_t size)
{
	(void)mem;
	return take(size, PAGE);
}

bool sh_mem_fits(size_t size)
{
	(void)size;
	return true;
}

size_t sh_mem_drop(void *p, size_t size)
{
	(void)p;
	return size;
}

void sh_mem_unmap(struct sh_mem *mem, void *p, size_t size)
{
	(void)mem;
	if (p)
		plain_freed(p, size);
}

void sh_mem_purge(const struct sh_mem *mem)
{
	(void)mem;
}

uint64_t sh_mem_bytes(struct sh_mem *mem)
{
	(void)mem;
	return 0;
}

const char *sh_mem_allocator(void)
{
	return "explorer";
}
