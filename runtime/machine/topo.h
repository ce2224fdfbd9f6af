/*
 * machine/topo.h - the inside of struct shunt_topo. topo.c reads it through hwloc and flattens it
 * at once: all other modules (place expressions, pin plans, the budget) work on plain arrays
 * without hwloc. Immutable after open, so any thread may read it. Called by the runtime through
 * shunt/topo.h and by the modules of machine/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CORE_TOPO_H
#define SH_CORE_TOPO_H

#include <shunt/topo.h>

#include "base/log.h"
#include "machine/cpulist.h"

struct hwloc_topology;

#define SH_TOPO_NO_PU UINT16_MAX

struct shunt_topo {
	struct hwloc_topology *hw;           /* sync: const */
	/* sync: const; the text of a saved machine, NULL = none */
	char *xml;
	struct shunt_topo_pu *pus;           /* sync: const; online ones first */
	struct shunt_topo_node *nodes;       /* sync: const */
	uint32_t *distance;                  /* sync: const; nodes_n * nodes_n, row = from */
	/* sync: const; prefix of /proc and /sys, no final slash */
	char *root;
	uint32_t pus_n;                      /* sync: const */
	uint32_t nodes_n;                    /* sync: const */
	uint32_t budget_config;              /* sync: const */
	int opener_tid;                      /* sync: const */
	bool live;                           /* sync: const */
	/* sync: const; hwloc's environment variables describe another machine */
	bool replaced;
	/* sync: const; those that are set, if they count: "HWLOC_SYNTHETIC, HWLOC_THISSYSTEM" */
	char variables[128];
	/* sync: const; the affinity of threads does not count */
	bool whole;
	/* sync: const; cpuset and quota files apply to this topology */
	bool cgroups;
	struct sh_cpus online;               /* sync: const */
	struct sh_cpus allowed;              /* sync: const; subset of online */
	/*
	 * sync: const; what the machine grants whatever affinity the program's threads have, if that may surprise; else
	 * as allowed
	 */
	struct sh_cpus granted;
	/* sync: const; allowed_cpus of the caller, else online */
	struct sh_cpus limit;
	/* sync: const; kernel number -> index into pus, or SH_TOPO_NO_PU */
	uint16_t pu_of_cpu[SH_CPUS_MAX];
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

/* Affinity of main thread and opener, restricted to the topology's cpus. 0 or SHUNT_ESYS. */
int sh_topo_affinity(const struct shunt_topo *t, struct sh_cpus *out);
/* What a runtime logs about the topology that it uses: what replaced the machine, which cpus it leaves alone. */
void sh_topo_report(const struct shunt_topo *t, const struct sh_log *log, const char *runtime);

#endif
