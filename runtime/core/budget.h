/*
 * core/budget.h - how many cpus the system grants this process: affinity, cgroup cpuset and cgroup quota (v1 and
 * v2), and the configured limit. The public face is shunt_topo_budget(); topo.c uses the cpuset when it opens.
 * Everything is read again at each call, because quotas and cpusets change under a running process.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CORE_BUDGET_H
#define SH_CORE_BUDGET_H

#include "core/topo.h"

/* The cpuset of our cgroups, cut to online cpus; returns their number, 0 = none found (then *out is empty). */
uint32_t sh_budget_cpuset(const struct shunt_topo *t, struct sh_cpus *out);

#endif
