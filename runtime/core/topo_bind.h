/*
 * core/topo_bind.h - puts threads and memory where the plan says and reads back what the kernel made of it.
 * Called by worker start-up, by the arenas and by tests. On a machine read from a file or a description every
 * binding call is refused with SHUNT_ENOSYS: hwloc itself would say yes and do nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CORE_TOPO_BIND_H
#define SH_CORE_TOPO_BIND_H

#include "core/topo.h"

/*
 * Binds the calling thread to one cpu; cpu < 0 lets it run on every allowed cpu again. 0; SHUNT_ENOSYS (not this
 * machine, or the system cannot), SHUNT_EPLACE (no such cpu, or not allowed), SHUNT_EPERM (the kernel refused).
 * Injection point "topo.pin" makes it fail with SHUNT_EPERM.
 */
int sh_topo_bind_thread(const struct shunt_topo *t, int cpu) SH_MUST_USE;
/*
 * The calling thread's mask as the kernel has it, as a list, and the cpu it runs on now. 0 or SHUNT_ESYS.
 * mask may be NULL; a longer list is cut. cpu_now may be NULL.
 */
int sh_topo_readback(char *mask, size_t len, int *cpu_now);
/*
 * Binds the pages of [p, p + len) to a node and moves those that are elsewhere; every page that the range touches
 * is concerned. os_node = the kernel's number. 0; SHUNT_EINVAL (no such node, empty range), SHUNT_ENOSYS
 * (not this machine, or no NUMA support), SHUNT_EPERM (refused), SHUNT_ENOMEM (the node is full).
 * Injection point "topo.membind" makes it fail with SHUNT_EPERM.
 */
int sh_topo_bind_memory(const struct shunt_topo *t, void *p, size_t len, unsigned os_node) SH_MUST_USE;
/*
 * The kernel's number of the node that holds the page of p (see sh_topo_node_find), or SHUNT_EAGAIN (not written
 * yet), SHUNT_EINVAL (not mapped), SHUNT_ENOSYS, SHUNT_EPERM, SHUNT_ESYS.
 */
int sh_topo_page_node(const void *p);

#endif
