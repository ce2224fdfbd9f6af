/*
 * machine/cgroup.h - what the control groups (v1 and v2) of this process allow: cpuset and quota.
 * Called by topo.c when it opens and by budget.c. Each call reads everything again.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_MACHINE_CGROUP_H
#define SH_MACHINE_CGROUP_H

#include "machine/topo.h"

struct sh_quota {
	uint32_t milli; /* 0 = none */
	uint64_t throttled;
	char where[96];
};

/*
 * The cpuset of the process's cgroups, restricted to online cpus. Returns their number; 0 = none
 * found (then *out is empty).
 */
uint32_t sh_cgroup_cpuset(const struct shunt_topo *t, struct sh_cpus *out);
/*
 * The lowest quota from the process's group up to the mount. Only lowers q, so start with zeros.
 * controller NULL = v2.
 */
void sh_cgroup_quota(const struct shunt_topo *t, const char *controller, struct sh_quota *q);

#endif
