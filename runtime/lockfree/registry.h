/*
 * lockfree/registry.h - name -> id registries (types, pools) that change while any thread looks names up, and
 * the few read-copy-update calls that they need. The one home of Concurrency Kit and liburcu.
 * Called by core: control calls put and remove under the runtime's lock, look-ups come from any thread.
 *
 * Algorithm: Concurrency Kit's ck_hs, an open-addressing hash set for one writer and many readers: slots are
 * single words, and a reader repeats its probe when the generation of its probe sequence changed meanwhile.
 * What a writer took out is freed after a grace period of liburcu-bp (Desnoyers, McKenney et al., "User-level
 * implementations of read-copy update", IEEE TPDS 2012), in which every reader left its section once.
 *
 * Grace periods are waited for by the writer (synchronize_rcu), not handed to call_rcu: call_rcu starts a
 * helper thread that outlives our last object, so that dlclose() could unmap code it still runs, and that is
 * missing in a forked child. Writers are rare control calls; a wait is cheaper than a thread. Hence no callback
 * is ever pending, and there is nothing for rcu_barrier to wait for. liburcu-bp itself leaves a destructor of
 * thread-specific data in every thread that ever read; sh_rcu_setup pins that library (not ours) in memory,
 * or such a thread would, after dlclose(), jump into the unmapped library when it ends.
 *
 * Which calls may run together, on one registry:
 *             create  destroy  put     remove  find    count
 *   destroy   no      no       no      no      no      no
 *   put       no      no       lock    lock    yes     yes       lock: under one lock of the caller
 *   remove    no      no       lock    lock    yes     yes
 *   find      no      no       yes     yes     yes     yes
 * Linearization: put - ck_hs's store of the entry into its slot, or, when the table grows with it, of the new
 * table's address (whichever a reader meets first); remove - the store of the tombstone; find - the load of
 * the matching slot, or of the empty slot that ends an undisturbed probe; count - its load.
 * Progress: find is lock-free (it repeats a probe only when a writer moved an entry of that very sequence, and
 * a writer stopped anywhere stops no reader), except a thread's first section, in which liburcu-bp enters the
 * thread in its list under a short lock: call sh_rcu_thread_setup() where that matters. put and remove block:
 * in the allocator, and for a grace period (put: only when the table grows).
 * Bounds: a probe visits at most the table; removed names are swept out of the table every 64 + count removes.
 *
 * fork(): a registry belongs to the process that made it. In a child, liburcu's locks and reader list are those
 * of threads that do not exist there, so nothing here calls liburcu any more: find says false, put and remove
 * SHUNT_EFORKED, destroy only frees. A registry that the child makes itself works; what it removes is
 * kept until the last such registry is destroyed, because no grace period can be waited for.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_LOCKFREE_REGISTRY_H
#define SH_LOCKFREE_REGISTRY_H

#include "base/atomic.h"
#include "base/compiler.h"

#define SH_REGISTRY_NAME_MAX 255u /* bytes of a name, the final 0 not counted */

struct sh_registry;

/*
 * Empty registry. 0; SHUNT_EINVAL (out NULL), SHUNT_ENOMEM, SHUNT_ESYS (the fork handler). Thread: control.
 * The caller owns *out until sh_registry_destroy.
 */
int sh_registry_create(struct sh_registry **out) SH_MUST_USE;
/* Frees everything; no other call may be running or follow. Waits for no reader. NULL is allowed. */
void sh_registry_destroy(struct sh_registry *r);
/*
 * Enters `name` (copied, 1..255 bytes) with `id`. Under the caller's lock; may block in the allocator and for a
 * grace period, so not inside a read section. 0, SHUNT_EINVAL, SHUNT_EEXIST, SHUNT_ENOMEM, SHUNT_EFORKED;
 * on error nothing changed.
 */
int sh_registry_put(struct sh_registry *r, const char *name, uint32_t id) SH_MUST_USE;
/*
 * Takes `name` out; same thread rules. On return no reader can see the entry. 0, SHUNT_EINVAL, SHUNT_ENOENT,
 * SHUNT_EFORKED.
 */
int sh_registry_remove(struct sh_registry *r, const char *name) SH_MUST_USE;
/* True and *id (may be NULL) when `name` is there. Any thread, also inside a read section; lock-free (see above). */
bool sh_registry_find(struct sh_registry *r, const char *name, uint32_t *id);
/* Names in the registry, recent. Any thread; wait-free. */
size_t sh_registry_count(const struct sh_registry *r);

/*
 * Read-copy update for other tables of core. A reader: lock, load, use, unlock; sections nest, must be short
 * and must not block, fork or call sh_rcu_synchronize. A writer: publish the new version, synchronize, free the
 * old one. sh_rcu_setup() must have returned 0 (sh_registry_create calls it); once per process, any thread.
 */
int sh_rcu_setup(void) SH_MUST_USE;
/* Does the work of a thread's first section now. May block shortly. */
void sh_rcu_thread_setup(void);
void sh_rcu_read_lock(void);
void sh_rcu_read_unlock(void);
/*
 * Waits until every section that was open at the call is closed. True; false in a forked child, where no wait is
 * possible: then keep the old version until the whole object is destroyed. Blocks; not inside a section.
 */
bool sh_rcu_synchronize(void) SH_MUST_USE;
/* Makes `version` what readers load from now on; returns the one before. What was written to it is visible to them. */
void *sh_rcu_publish(sh_aptr *slot, void *version);
/* The version published last; valid until the end of the section. */
void *sh_rcu_load(const sh_aptr *slot);

#endif
