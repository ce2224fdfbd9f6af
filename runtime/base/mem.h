/*
 * base/mem.h - memory of the runtime: one jemalloc arena per pool whose bytes are visible, and large
 * zeroed page mappings for arenas and queues. The home of jemalloc.
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

struct sh_mem {
	unsigned arena;   /* sync: const; jemalloc arena index, meaningful if jemalloc */
	bool jemalloc;    /* sync: const */
	sh_a64 bytes;     /* sync: atomic; bytes handed out and not yet freed */
	sh_a64 mapped;    /* sync: atomic; bytes of page mappings (reserved, not necessarily resident) */
};

/* 0 or SHUNT_ENOMEM. Any thread; may block in the allocator. */
int sh_mem_init(struct sh_mem *m);
void sh_mem_fini(struct sh_mem *m);
/* Zeroed, aligned to `align` (power of two >= 8); NULL when out of memory. */
void *sh_mem_alloc(struct sh_mem *m, size_t size, size_t align) SH_MUST_USE;
void sh_mem_free(struct sh_mem *m, void *p, size_t size, size_t align);
/* Zeroed pages, reserved lazily (no swap reservation); NULL when refused. */
void *sh_mem_map(struct sh_mem *m, size_t size) SH_MUST_USE;
void sh_mem_unmap(struct sh_mem *m, void *p, size_t size);
/*
 * Gives the whole pages inside [p, p + size) of a mapping back to the kernel; they read as zero afterwards and cost
 * nothing until they are written again. Returns their bytes, 0 when there are none or the kernel refused.
 */
size_t sh_mem_drop(void *p, size_t size);
/* Bytes the allocator holds for this arena (jemalloc's own count where present). */
uint64_t sh_mem_bytes(struct sh_mem *m);
/* "jemalloc" or "libc". */
const char *sh_mem_allocator(void);

/* In a forked child, before fini: what other threads had in their hands at the fork is not counted any more. */
static inline void sh_mem_forget(struct sh_mem *m)
{
	sh_a64_store_rlx(&m->bytes, 0);  /* mo rlx: the only thread. */
	sh_a64_store_rlx(&m->mapped, 0); /* mo rlx: the only thread. */
}

#endif
