/*
 * shunt/topo.h - the machine and who runs where: a flat view of cpus, cores, caches and NUMA nodes, the cpu
 * budget that the system grants this process, and pin plans (which worker on which cpu, and whom it steals from).
 * Called by runtimes when they start, by `shunt topo`, and by programs that place threads of their own.
 *
 * Place expressions name cpus: a union of comma-separated terms; `!term` takes cpus out of the whole union.
 *   all                              every allowed cpu
 *   0-3   cpus:0-3,8   cpus:0+4      the kernel's cpu numbers
 *   package:0  numa:1  l3:0-1  core:2-5  pu:0  kind:performance  kind:efficiency
 *   numa:1.core:*.pu:0               a path, from wide to narrow
 * An index is `*`, a number, a range `a-b` or several joined by `+`. At the head of a path `numa` takes the
 * kernel's node number and the others count over the whole machine; below a parent every index counts within
 * that parent. Forbidden cpus are counted too, so a name means the same cpu whatever is allowed.
 * Naming a cpu (or a group) that has nothing allowed in it is an error; a group that is allowed in part, and
 * anything below a `*`, silently gives the allowed part.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_TOPO_H
#define SHUNT_TOPO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <shunt/error.h>
#include <shunt/opts.h>
#include <shunt/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SHUNT_TOPO_NONE UINT32_MAX /* no such core, node, cache: unknown or not there */
#define SHUNT_TOPO_CPUS_MAX 8192   /* kernel cpu numbers 0..8191, the most Linux can be built for */

struct shunt_topo;
struct shunt_plan;

/* Which cpus a process may use, where a thread's affinity mask is narrower than what the machine grants. */
enum shunt_cpu_mask {
	SHUNT_MASK_DEFAULT = 0, /* caller; a runtime logs when the machine grants more */
	SHUNT_MASK_CALLER = 1,  /* the affinity of the calling and the main thread together */
	SHUNT_MASK_MACHINE = 2  /* all that the cgroup's cpuset grants, whatever mask the program's threads have */
};

struct shunt_topo_opts {
	size_t size;                /* sizeof(struct shunt_topo_opts) */
	const char *xml_file;       /* a machine saved by hwloc (`lstopo file.xml`); NULL = this machine */
	const char *synthetic;      /* an hwloc synthetic description; NULL = this machine; not with xml_file */
	const char *sysfs_root;     /* prefix of /proc and /sys for cpuset and quota files, NULL = "/" */
	const char *allowed_cpus;   /* cpu list that replaces the allowed set found, NULL = as found */
	uint32_t cpu_budget_config; /* upper limit of the budget in cpus, 0 = none */
	/* of this machine; default caller */
	enum shunt_cpu_mask cpu_mask;
};
#define SHUNT_TOPO_OPTS_INIT SHUNT_OPTS_INIT(shunt_topo_opts)

enum shunt_cpu_kind {
	SHUNT_CPU_PERFORMANCE = 0, /* also every cpu of a machine with one kind of core */
	/*
	 * capacity (as the kernel gives it) below 75 % of the highest one. Where it is not known for every kind of
	 * core: Intel's Atom beside Core, else a highest frequency below 75 % of the highest, else all but hwloc's
	 * fastest kind
	 */
	SHUNT_CPU_EFFICIENCY = 1
};

/* One hardware thread. All indexes but os_cpu count from 0 without holes, in the order of the machine. */
struct shunt_topo_pu {
	uint32_t os_cpu;  /* the kernel's number */
	uint32_t core;
	uint32_t package;
	uint32_t node;    /* index of shunt_topo_node_at(): the nearest node */
	uint32_t l3;
	enum shunt_cpu_kind kind;
	bool allowed;     /* this process may run there */
	bool online;      /* an offline cpu has no core, package, node or cache */
};

struct shunt_topo_node {
	uint32_t os_node;      /* the kernel's number */
	uint32_t cpus;         /* online cpus for which this is the nearest node */
	uint64_t memory_bytes; /* local memory, 0 = unknown */
	bool has_cpus;         /* false: memory only */
};

/*
 * Reads the machine: 0; SHUNT_EINVAL (opts, a bad synthetic description, a bad cpu list or one with cpus that the
 * machine lacks), SHUNT_EIO (the file cannot be read or is no hwloc XML), SHUNT_EPLACE (no cpu is allowed),
 * SHUNT_ELIMIT (more than 8192 cpus), SHUNT_ENOMEM, SHUNT_ESYS. opts NULL = this machine. Detail.
 * "Allowed" is what hwloc reports, cut down to the cpuset and (but with SHUNT_MASK_MACHINE) to the affinity of the
 * calling and the main thread.
 * For another machine than this one affinity does not count, and cpuset and quota files only if sysfs_root is given.
 * Thread: any. Blocks: on files, some milliseconds. The caller owns *out until shunt_topo_close.
 */
SHUNT_MUST_USE SHUNT_API int shunt_topo_open(struct shunt_topo **out, const struct shunt_topo_opts *opts);
/* Frees; NULL is fine. No plan keeps a reference. Runtimes that borrowed it must be destroyed before. */
SHUNT_API void shunt_topo_close(struct shunt_topo *topo);
/*
 * The cpus in the order of the machine, offline ones last, and the NUMA nodes: how many, and one by its index, NULL
 * past the end. The structs may get more fields at their end: reach each by its accessor, never by pointer arithmetic.
 * Valid until close. Thread: any. Blocks: never.
 */
SHUNT_API uint32_t shunt_topo_pu_count(const struct shunt_topo *topo);
SHUNT_API const struct shunt_topo_pu *shunt_topo_pu_at(const struct shunt_topo *topo, uint32_t i);
SHUNT_API uint32_t shunt_topo_node_count(const struct shunt_topo *topo);
SHUNT_API const struct shunt_topo_node *shunt_topo_node_at(const struct shunt_topo *topo, uint32_t i);
/*
 * Distance from node index a to b as the firmware gives it (local 10); 10 and 20 where it gives nothing;
 * UINT32_MAX for an index that does not exist. Thread: any. Blocks: never.
 */
SHUNT_API uint32_t shunt_topo_distance(const struct shunt_topo *topo, uint32_t a, uint32_t b);
/* 1 if this is the machine we run on; 0 for a file or synthetic one, where binding is refused. */
SHUNT_API int shunt_topo_is_live(const struct shunt_topo *topo);
/*
 * Writes the allowed cpus as a list ("0-3,8"), always terminated. Returns its full length; a result >= len means
 * that the text was cut. SHUNT_EINVAL without a buffer. Thread: any. Blocks: never.
 */
SHUNT_MUST_USE SHUNT_API int shunt_topo_allowed(const struct shunt_topo *topo, char *buf, size_t len);

/* What may be used. More fields may come at the end. */
struct shunt_cpu_budget {
	uint32_t budget;            /* cpus to use: the least of those below, a quota rounded down, at least 1 */
	uint32_t affinity;          /* cpus in the affinity mask; with SHUNT_MASK_MACHINE the allowed ones */
	uint32_t cpuset;            /* cpus in the cgroup's cpuset, 0 = none found */
	uint32_t quota_milli;       /* tightest cgroup quota in 1/1000 cpu, 0 = none */
	uint32_t config;            /* configured limit, 0 = none */
	uint64_t throttled_periods; /* periods in which the quota stopped us, all levels of the cgroup path together */
	char why[512];              /* one line: which limit decides, and the others */
};

/*
 * Reads affinity, cpuset and quotas again (cgroup v1 and v2, from the process's group up to the root).
 * size = sizeof(*out): what an older caller does not know is not written. 0 or SHUNT_EINVAL. Detail. Thread: any.
 * Blocks: on a few small files of /proc and /sys; not for a hot path.
 * The affinity is that of the main thread and of the thread which opened the topology, together.
 */
SHUNT_MUST_USE SHUNT_API int shunt_topo_budget(const struct shunt_topo *topo, struct shunt_cpu_budget *out,
					       size_t size);

enum shunt_pin_policy {
	/*
	 * compact; none where the least quota is below the affinity, no cpuset is narrower than the machine and no place is
	 * given: each container would take the same first cpus
	 */
	SHUNT_PIN_DEFAULT = 0,
	SHUNT_PIN_COMPACT = 1,      /* neighbours first: a core's threads, then the next core of the same cache */
	SHUNT_PIN_SCATTER = 2,      /* as far apart as possible: packages, nodes, caches, cores in turn */
	SHUNT_PIN_ONE_PER_CORE = 3, /* one worker a core, never two; compact order */
	SHUNT_PIN_AVOID_CPU0 = 4,   /* compact without cpu 0 (interrupts); its sibling threads last */
	SHUNT_PIN_NONE = 5,         /* not pinned; the place only bounds the number of workers */
	SHUNT_PIN_EXPLICIT = 6      /* worker i on the i-th cpu in the order of the expression */
};

/* "compact", "scatter", "one-per-core", "avoid-cpu0", "none", "explicit"; "default"; NULL for another value. */
SHUNT_API const char *shunt_pin_policy_name(enum shunt_pin_policy policy);
/* The reverse. 0 or SHUNT_EINVAL. Thread: any. Blocks: never. */
SHUNT_MUST_USE SHUNT_API int shunt_pin_policy_parse(const char *name, enum shunt_pin_policy *out);

struct shunt_plan_opts {
	size_t size;       /* sizeof(struct shunt_plan_opts) */
	const char *place; /* place expression, at most 4095 characters, NULL = all */
	enum shunt_pin_policy policy;
	/*
	 * 1..1024; 0 = min(budget, cpus that place and policy select, workers of a pool). If those are more cpus than a
	 * pool can have workers, compact, one-per-core and avoid-cpu0 take as many of each package.
	 */
	uint32_t workers;
};
#define SHUNT_PLAN_OPTS_INIT SHUNT_OPTS_INIT(shunt_plan_opts)
#define SHUNT_PLAN_WORKERS_MAX 1024

/* Where a worker sits; node, l3, core, package as in struct shunt_topo_pu, SHUNT_TOPO_NONE when not pinned. */
struct shunt_plan_worker {
	uint32_t worker;
	int32_t os_cpu; /* -1 = not pinned */
	uint32_t node;
	uint32_t l3;
	uint32_t core;
	uint32_t package;
};

/*
 * Makes a plan: 0; SHUNT_EPLACE (the expression is wrong, or names cpus that do not exist or are not allowed, or
 * one-per-core or explicit cannot seat so many workers), SHUNT_EINVAL (opts), SHUNT_ENOMEM. Detail: what and what would
 * be right, e.g. "'numa:9': no NUMA node 9; available: 0-1".
 * compact, scatter and avoid-cpu0 start over when there are more workers than cpus (see shunt_plan_note).
 * A pool's own plan takes first the cpus to which this process has bound the fewest workers; this call counts none.
 * Thread: any. Blocks: on the files of the budget if opts->workers or opts->policy is 0. The caller owns *out until
 * destroy.
 */
SHUNT_MUST_USE SHUNT_API int shunt_plan_create(const struct shunt_topo *topo, const struct shunt_plan_opts *opts,
					       struct shunt_plan **out);
SHUNT_API void shunt_plan_destroy(struct shunt_plan *plan);
/*
 * How many workers, and one by its number, NULL past the end. The struct may get more fields at its end: reach each
 * by this, never by pointer arithmetic. Valid until destroy. Thread: any. Blocks: never.
 */
SHUNT_API uint32_t shunt_plan_worker_count(const struct shunt_plan *plan);
SHUNT_API const struct shunt_plan_worker *shunt_plan_worker_at(const struct shunt_plan *plan, uint32_t i);
/*
 * The other workers, nearest first: same core, same L3, same node, then other nodes by distance; equals in ring
 * order from the worker on, so that thieves spread. NULL and 0 for a worker that does not exist or is alone.
 * Valid until destroy. Thread: any. Blocks: never.
 */
SHUNT_API const uint32_t *shunt_plan_steal_order(const struct shunt_plan *plan, uint32_t worker, uint32_t *n);
/*
 * What a user should know about the plan, such as "8 workers share 4 cpus" or why it does not pin; "" if nothing. Valid
 * until destroy.
 */
SHUNT_API const char *shunt_plan_note(const struct shunt_plan *plan);

#ifdef __cplusplus
}
#endif
#endif
