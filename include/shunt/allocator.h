/*
 * shunt/allocator.h - the memory of the whole library from functions of the program. Optional: without it the C
 * library serves, the pools take jemalloc's arenas where the program carries jemalloc, and large regions are
 * mapped.
 *
 * With an allocator set, every byte that libshunt itself takes comes from it: runtimes, pools, workers, queues,
 * slabs, snapshots, histograms, their logs and their compression, topologies, plans, configurations, balancers.
 * Not from it comes what other libraries take for themselves: the C library (FILE, thread stacks, thread-local
 * storage), hwloc, liburcu, libyaml.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_ALLOCATOR_H
#define SHUNT_ALLOCATOR_H

#include <stddef.h>

#include <shunt/opts.h>
#include <shunt/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Returns `bytes` bytes aligned to `align`, or NULL. `align` is a power of two, at least that of max_align_t and
 * at most the size of a page; `bytes` is a multiple of it and greater than 0, so aligned_alloc(align, bytes)
 * serves. The memory need not be zeroed, the library does that, which touches all of it. A pointer that is aligned
 * to less is given back and counts as NULL.
 *
 * NULL makes the call that needed the memory fail with SHUNT_ENOMEM; it leaves nothing behind and may be tried
 * again. Where no call can say so:
 *   a spare for a blocked worker  shunt_block_begin returns SHUNT_ELIMIT, shunt_wait in a job SHUNT_EDEADLK
 *   the statistics of a type      the job ends as usual; only shunt_pool_info.finished counts it
 *   a larger table of names       the registration fails with SHUNT_ENOMEM; the clean-up after a removal is put off
 *
 * Thread: the caller of the call that needs the memory; workers, at the end of their first job of each type and
 * level; and the thread of a pool that makes its spares. A submit does not call it to queue a job. It does where it
 * runs the job itself (SHUNT_ON_FULL_INLINE), for that job's statistics. Several threads call at once, some with a lock
 * of the library held: the function must not call the library, nor wait for a thread that does.
 */
typedef void *(*shunt_alloc_fn)(void *arg, size_t bytes, size_t align);
/*
 * Takes back what shunt_alloc_fn returned, with the same `bytes` and `align`. Never NULL. Thread: any thread of
 * the program that calls the library, or a worker; also the child of a fork that destroys its parent's runtime.
 */
typedef void (*shunt_free_fn)(void *arg, void *p, size_t bytes, size_t align);

struct shunt_allocator {
	size_t size;          /* sizeof(struct shunt_allocator) */
	shunt_alloc_fn alloc; /* required */
	shunt_free_fn free;   /* required */
	void *arg;            /* passed to both */
};
#define SHUNT_ALLOCATOR_INIT SHUNT_OPTS_INIT(shunt_allocator)

/*
 * Sets the allocator of the process, NULL for the library's own. The struct is copied; the functions and `arg`
 * must last as long as the library has memory of them. Memory of the allocator is not returned to the kernel by
 * the library and not bound to NUMA nodes: both are its owner's to do. A forked child inherits the allocator.
 *
 * 0; SHUNT_EINVAL (a function is missing, or a size of another version with something in it); SHUNT_EBUSY while
 * any object of the library exists, and nothing has changed then. Thread: any, while no other thread is in a call
 * of the library. Blocks: never.
 */
SHUNT_MUST_USE SHUNT_API int shunt_allocator_set(const struct shunt_allocator *allocator);

#ifdef __cplusplus
}
#endif
#endif
