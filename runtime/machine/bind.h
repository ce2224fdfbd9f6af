/*
 * machine/bind.h - binds threads and memory as the plan says, and reads back what the kernel did.
 * Called by worker start-up, by the arenas and by tests. On a topology from a file or a description
 * every binding call fails with SHUNT_ENOSYS: hwloc itself would report success and do nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CORE_TOPO_BIND_H
#define SH_CORE_TOPO_BIND_H

#include "machine/topo.h"

/*
 * Binds the calling thread to one cpu; cpu < 0 lets it run on every allowed cpu again. 0;
 * SHUNT_ENOSYS (not this machine, or the system cannot), SHUNT_EPLACE (no such cpu, or not
 * allowed), SHUNT_EPERM (the kernel refused). Injection point "topo.pin" makes it fail with
 * SHUNT_EPERM.
 */
int sh_topo_bind_thread(const struct shunt_topo *t, int cpu) SH_MUST_USE;
/*
 * Binds the calling thread to a mask that sh_cpus_affinity read, of another thread; no call if it has it already. 0;
 * SHUNT_EPERM (the kernel refused). Injection point "topo.pin" as above.
 */
int sh_topo_bind_thread_as(const struct sh_cpus *mask) SH_MUST_USE;
/*
 * The calling thread's mask as the kernel reports it, as a list, and the cpu it runs on now. 0 or
 * SHUNT_ESYS. mask may be NULL; a longer list is cut. cpu_now may be NULL.
 */
int sh_topo_readback(char *mask, size_t len, int *cpu_now);
/*
 * Binds the pages of [p, p + len) to a node and moves those on other nodes. Affects every page that
 * the range touches. os_node = the kernel's number. 0; SHUNT_EINVAL (no such node, empty range),
 * SHUNT_ENOSYS (not this machine, or no NUMA support), SHUNT_EPERM (refused), SHUNT_ENOMEM (the
 * node is full). Injection point "topo.membind" makes it fail with SHUNT_EPERM.
 */
int sh_topo_bind_memory(const struct shunt_topo *t, void *p, size_t len, unsigned os_node) SH_MUST_USE;
/*
 * The kernel's number of the node that holds the page of p (see sh_topo_node_find), or SHUNT_EAGAIN
 * (not written yet), SHUNT_EINVAL (not mapped), SHUNT_ENOSYS, SHUNT_EPERM, SHUNT_ESYS.
 */
int sh_topo_page_node(const void *p);

#endif
