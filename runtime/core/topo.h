/*
 * core/topo.h - the inside of struct shunt_topo, read through hwloc by topo.c and flattened at once: everybody
 * else (place expressions, pin plans, the budget) works on plain arrays and never sees hwloc. Immutable after
 * open, so any thread may read it. Called by the runtime through shunt/topo.h and by the modules beside it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CORE_TOPO_H
#define SH_CORE_TOPO_H

#include <shunt/topo.h>

#include "core/cpulist.h"

struct hwloc_topology;

#define SH_TOPO_NO_PU UINT16_MAX

struct shunt_topo {
	struct hwloc_topology *hw;           /* sync: const */
	struct shunt_topo_pu *pus;           /* sync: const; online ones first */
	struct shunt_topo_node *nodes;       /* sync: const */
	uint32_t *distance;                  /* sync: const; nodes_n * nodes_n, row = from */
	char *root;                          /* sync: const; prefix of /proc and /sys, without a final slash */
	uint32_t pus_n;                      /* sync: const */
	uint32_t nodes_n;                    /* sync: const */
	uint32_t budget_config;              /* sync: const */
	int opener_tid;                      /* sync: const */
	bool live;                           /* sync: const */
	bool cgroups;                        /* sync: const; cpuset and quota files concern this topology */
	struct sh_cpus online;               /* sync: const */
	struct sh_cpus allowed;              /* sync: const; subset of online */
	struct sh_cpus limit;                /* sync: const; the caller's allowed_cpus, else all online */
	uint16_t pu_of_cpu[SH_CPUS_MAX];     /* sync: const; kernel number -> index into pus, or SH_TOPO_NO_PU */
};

/* The cpu with this kernel number, or NULL. */
static inline const struct shunt_topo_pu *sh_topo_pu_find(const struct shunt_topo *t, uint32_t os_cpu)
{
	if (os_cpu >= SH_CPUS_MAX || t->pu_of_cpu[os_cpu] == SH_TOPO_NO_PU)
		return NULL;
	return &t->pus[t->pu_of_cpu[os_cpu]];
}

/* Index of the node with this kernel number, or SHUNT_TOPO_NONE. */
uint32_t sh_topo_node_find(const struct shunt_topo *t, uint32_t os_node);

/* Affinity of the process: main thread and opener together, cut to the cpus of the topology. 0 or SHUNT_ESYS. */
int sh_topo_affinity(const struct shunt_topo *t, struct sh_cpus *out);

#endif
