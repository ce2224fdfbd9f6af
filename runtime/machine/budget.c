/*
 * machine/budget.c - shunt_topo_budget(): the least of affinity, cpuset, quota and configured
 * limit.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/inject.h"
#include "base/opts.h"
#include "base/thread.h"
#include "machine/cgroup.h"

static uint32_t least(const struct shunt_topo *t, const struct shunt_cpu_budget *b, const char **name)
{
	uint32_t n = b->affinity, quota = b->quota_milli / 1000;

	*name = t->whole ? "machine" : "affinity";
	if (b->cpuset && b->cpuset < n) {
		n = b->cpuset;
		*name = "cpuset";
	}
	if (b->quota_milli && (quota ? quota : 1) < n) {
		n = quota ? quota : 1;
		*name = "cgroup quota";
	}
	if (b->config && b->config < n) {
		n = b->config;
		*name = "configured limit";
	}
	return n ? n : 1;
}

static const char *number(char *buf, size_t len, uint32_t v)
{
	if (!v)
		return "none";
	(void)snprintf(buf, len, "%" PRIu32, v);
	return buf;
}

static void explain(const struct shunt_topo *t, const struct sh_quota *q, const char *decides,
		    struct shunt_cpu_budget *b)
{
	char set[16], config[16], quota[160] = "none";

	if (q->milli)
		(void)snprintf(quota, sizeof(quota), "%u.%02u of %s%s", q->milli / 1000, q->milli % 1000 / 10, q->where,
			       q->throttled ? ", throttled" : "");
	(void)snprintf(b->why, sizeof(b->why), "%s decides: %s %" PRIu32 ", cpuset %s, quota %s, config %s%s%s",
		       decides, t->whole ? "machine" : "affinity", b->affinity, number(set, sizeof(set), b->cpuset),
		       quota, number(config, sizeof(config), b->config),
		       t->variables[0] ? "; machine as described by " : "", t->variables);
}

int shunt_topo_budget(const struct shunt_topo *t, struct shunt_cpu_budget *out, size_t size)
{
	SH_NO_CANCEL;
	struct shunt_cpu_budget b = { 0 };
	struct sh_quota q = { 0, 0, "" };
	struct sh_cpus set;
	const char *decides;

	sh_error_detail_clear();
	if (!t || !out)
		return sh_error_set(SHUNT_EINVAL, "topology: " SH_NO_ARGUMENT);
	if (size == 0)
		return sh_error_set(SHUNT_EINVAL, "topology: budget: size: 0; want sizeof the struct");
	if (t->live && !t->whole && sh_topo_affinity(t, &set) == SHUNT_OK)
		sh_cpus_and(&set, &t->limit);
	else
		set = t->allowed;
	b.affinity = sh_cpus_count(&set);
	/* the cpus of another machine: threads run on this one all the same */
	if (t->replaced && sh_cpus_affinity(&set, (int)getpid()) == SHUNT_OK && sh_cpus_count(&set) < b.affinity)
		b.affinity = sh_cpus_count(&set);
	if (t->cgroups || t->replaced) {
		b.cpuset = sh_cgroup_cpuset(t, &set);
		sh_cgroup_quota(t, "cpu", &q);
		sh_cgroup_quota(t, NULL, &q);
	}
	b.quota_milli = q.milli;
	b.throttled_periods = q.throttled;
	b.config = t->budget_config;
	b.budget = least(t, &b, &decides);
	explain(t, &q, decides, &b);
	sh_opts_give(out, size, &b, sizeof(b));
	return SHUNT_OK;
}
