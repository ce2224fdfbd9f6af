/*
 * lockfree/registry.h - name -> id registries (types, pools) that change while any thread looks
 * names up. The only user of Concurrency Kit and liburcu.
 * Called by the runtime: control calls put and remove under the runtime's lock, any thread looks
 * up.
 *
 * Algorithm: Concurrency Kit's ck_hs, an open-addressing hash set for one writer and many readers.
 * Slots are single words. A reader repeats its probe if the generation of its probe sequence
 * changed meanwhile. Removed memory is retired, taken by the writer, and freed outside of the
 * caller's lock after a grace period of liburcu-bp (Desnoyers,
 * McKenney et al., "User-level implementations of read-copy update", IEEE TPDS 2012), in which
 * every reader left its section once.
 *
 * The writer waits for grace periods (synchronize_rcu) and does not use call_rcu:
 * - call_rcu starts a helper thread that outlives the last object here, so dlclose() could unmap
 *   code that it runs.
 * - A forked child lacks that thread.
 * - Writers are rare control calls; a wait is cheaper than a thread. No callback is ever pending,
 *   so no rcu_barrier.
 *
 * liburcu-bp leaves a destructor of thread-specific data in every thread that has read. The first
 * create therefore pins that library (not this one) in memory: after dlclose() such a thread would
 * call into the unmapped library on exit.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_LOCKFREE_REGISTRY_H
#define SH_LOCKFREE_REGISTRY_H

#include "base/atomic.h"
#include "base/compiler.h"

/*
 * Which calls may run together, on one registry:
 *             create  destroy  put     remove  find    count
 *   destroy   no      no       no      no      no      no
 *   put       no      no       lock    lock    yes     yes       lock: under one lock of the caller
 *   remove    no      no       lock    lock    yes     yes
 *   find      no      no       yes     yes     yes     yes
 * take_retired as put; free_retired with all.
 *
 * Linearization:
 * - put: ck_hs's store of the entry into its slot. If the table grows: the store of the new table's
 *   address, if that is what the reader sees first.
 * - remove: the store of the tombstone.
 * - find: the load of the matching slot, or of the empty slot that ends an undisturbed probe.
 * - count: its load.
 *
 * Progress: find is lock-free. It repeats a probe only when a writer moved an entry of the same
 * sequence; a writer stopped anywhere stops no reader. Exception: in a thread's first section
 * liburcu-bp enters the thread in its list under a short lock. put and remove block in the
 * allocator. Only free_retired waits for a grace period, in steps of 10 ms where liburcu has no
 * membarrier, and as long as a reader is inside; it needs no lock.
 * Bounds: a probe visits at most the table. Every 64 + count removes the tombstones are swept.
 *
 * fork(): a registry belongs to the process that created it. In a child, the locks and the reader
 * list of liburcu are those of threads that do not exist there, so nothing here calls liburcu: find
 * returns false, put and remove return SHUNT_EFORKED, destroy only frees. A registry that the child
 * creates works. The child cannot wait for a grace period, so what it removes is kept until its
 * last registry is destroyed.
 */

/*
 * False where the system refuses the wait for a grace period, most likely by a seccomp filter that was set after the
 * library was loaded. Everything works then, but removed names keep their memory until the last registry is destroyed.
 * Any thread; one system call.
 */
bool sh_registry_can_wait(void);

#define SH_REGISTRY_NAME_MAX 255u /* bytes of a name, without the final 0 */

struct sh_registry;

/*
 * Empty registry. 0; SHUNT_EINVAL (out NULL), SHUNT_ENOMEM, SHUNT_ESYS (the fork handler). Thread:
 * control. The caller owns *out until sh_registry_destroy.
 */
int sh_registry_create(struct sh_registry **out) SH_MUST_USE;
/* Frees everything. No other call may overlap or follow. No wait for readers. NULL is allowed. */
void sh_registry_destroy(struct sh_registry *r);
/*
 * Enters `name` (copied, 1..255 bytes) with `id`. Under the caller's lock. May block in the
 * allocator. 0, SHUNT_EINVAL, SHUNT_EEXIST, SHUNT_ENOMEM, SHUNT_EFORKED; an
 * error changes nothing.
 */
int sh_registry_put(struct sh_registry *r, const char *name, uint32_t id) SH_MUST_USE;
/*
 * Removes `name`; same thread rules. Who looks it up from now on does not find it; who is about to may still hold the
 * entry, which is retired. 0, SHUNT_EINVAL, SHUNT_ENOENT, SHUNT_EFORKED.
 */
int sh_registry_remove(struct sh_registry *r, const char *name) SH_MUST_USE;
/* What put and remove retired, for free_retired; NULL = nothing. Under the caller's lock. */
void *sh_registry_take_retired(struct sh_registry *r);
/*
 * Waits until every reader has left its section once, then frees. NULL: returns at once. Any thread, without the
 * caller's lock; also after the registry was destroyed.
 */
void sh_registry_free_retired(void *retired);
/* True and *id (may be NULL) if `name` is entered. Any thread; lock-free (see above). */
bool sh_registry_find(struct sh_registry *r, const char *name, uint32_t *id);
/* Number of names, recent. Any thread; wait-free. */
size_t sh_registry_count(const struct sh_registry *r);

#endif
