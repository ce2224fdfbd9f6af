/*
 * base/mem.h - all memory of the library. The only place that calls malloc, mmap or jemalloc: what the program set with
 * shunt_allocator_set (shunt/allocator.h) serves instead, for everything, if it did.
 *
 *   sh_mem_*    of a runtime or a pool: one jemalloc arena each whose bytes are visible, and large zeroed page mappings
 *   sh_block_*  of the process, whose caller knows the size when it frees
 *   sh_heap_*   of the process, whose caller does not; the size stands in front
 *
 * jemalloc's extended API is used when it is present in the process (the shunt command and programs that
 * link it); libshunt only refers to it weakly, because its thread-local storage is too large for dlopen.
 * Without it the C library serves and the bytes are counted here. docs/decisions/ has the reasons.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_BASE_MEM_H
#define SH_BASE_MEM_H

#include "base/atomic.h"
#include "base/compiler.h"

/*
 * Zeroed, aligned to `align` (a power of two), size > 0; NULL when out of memory. Callers have the failure point.
 * Any thread; may block in the allocator.
 */
void *sh_block_alloc(size_t size, size_t align) SH_MUST_USE;
void sh_block_free(void *p, size_t size, size_t align);
/* n * size zeroed bytes, aligned for any type; NULL when out of memory or the product is too large. n may be 0. */
void *sh_heap_alloc(size_t n, size_t size) SH_MUST_USE;
/* The same with what fits of the contents of p, which is freed; NULL leaves p as it is. p may be NULL. */
void *sh_heap_resize(void *p, size_t n, size_t size) SH_MUST_USE;
void sh_heap_free(void *p);
/* Would the system give so many bytes now, to a thread's stack or an allocator? A mapping that is given back. */
bool sh_mem_fits(size_t size);
/* Size of a page. */
size_t sh_mem_page(void);
/* False when the program's allocator serves: then pages are not ours to bind to a node or to give back. */
bool sh_mem_own_pages(void);

struct sh_mem {
	unsigned arena;   /* sync: const; jemalloc arena index, meaningful if jemalloc */
	bool jemalloc;    /* sync: const */
	sh_a64 bytes;     /* sync: atomic; bytes handed out and not yet freed */
	/* sync: atomic; bytes of large regions (reserved, perhaps not resident) */
	sh_a64 mapped;
};

/* 0 or SHUNT_ENOMEM. Any thread; may block in the allocator. */
int sh_mem_init(struct sh_mem *m);
void sh_mem_fini(struct sh_mem *m);
/* Zeroed, aligned to `align` (power of two >= 8); NULL when out of memory. */
void *sh_mem_alloc(struct sh_mem *m, size_t size, size_t align) SH_MUST_USE;
void sh_mem_free(struct sh_mem *m, void *p, size_t size, size_t align);
/* Zeroed pages, reserved lazily (no swap reservation) unless the program's allocator serves; NULL when refused. */
void *sh_mem_map(struct sh_mem *m, size_t size) SH_MUST_USE;
void sh_mem_unmap(struct sh_mem *m, void *p, size_t size);
/*
 * Gives the whole pages inside [p, p + size) of a mapping back to the kernel; they read as zero afterwards and cost
 * nothing until they are written again. Returns their bytes, 0 when there are none, when they are not ours, or when
 * the kernel refused.
 */
size_t sh_mem_drop(void *p, size_t size);
/* Makes the allocator give back what it keeps unused for m. */
void sh_mem_purge(const struct sh_mem *m);
/* Bytes the allocator holds for this arena (jemalloc's own count where present). */
uint64_t sh_mem_bytes(struct sh_mem *m);
/* "jemalloc", "libc" or "custom". */
const char *sh_mem_allocator(void);

/* In a forked child, before fini: discounts what other threads held at the fork. */
static inline void sh_mem_forget(struct sh_mem *m)
{
	sh_a64_store_rlx(&m->bytes, 0);  /* mo rlx: the only thread. */
	sh_a64_store_rlx(&m->mapped, 0); /* mo rlx: the only thread. */
}

#endif
