/*
 * sched/world.h - the runtime object: its slabs, tables of pools and types, submitters. Used by
 * sched, job and life.
 *
 * Start-up order: clock, memory, then one table in life/runtime.c (topology, slabs, tables,
 * registries, process), which shutdown walks backwards. Tables are type-stable: an entry's memory
 * lives as long as the runtime, so submitters need no lock.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_WORLD_H
#define SH_SCHED_WORLD_H

#include <pthread.h>
#include <shunt/runtime.h>
#include "base/atomic.h"
#include "base/log.h"
#include "base/mem.h"
#include "sched/job.h"
#include "sched/pool.h"
#include "policy/strategy.h"
#include "lockfree/slab.h"

/*
 * Public id of a pool or type: generation:22 | index + 1:10. An entry whose generations are used up is
 * not opened again, so no id ever comes twice.
 */
#define SH_ID_BITS 10u
#define SH_ID_INDEX ((1u << SH_ID_BITS) - 1u)
#define SH_ID_GENERATIONS (UINT32_MAX >> SH_ID_BITS)

_Static_assert(SHUNT_TYPES_MAX <= SH_ID_INDEX && SHUNT_POOLS_MAX <= SH_ID_INDEX, "an id has an index + 1");

/* Index in its table; that of no entry if the id has none. */
static inline uint32_t sh_id_index(uint32_t id)
{
	return (id & SH_ID_INDEX) - 1u;
}

static inline uint32_t sh_id_make(uint32_t index, uint32_t generation)
{
	return generation << SH_ID_BITS | (index + 1u);
}

/*
 * State of a type: one of these, or the public id of an open one, so that a submit compares once.
 */
#define SH_TYPE_FREE 0u

#define SH_TYPE_CLOSED (1u << SH_ID_BITS) /* no id: it has no index */

struct sh_type {
	sh_a32 state;             /* sync: atomic; SH_TYPE_*, or its id */
	sh_a32 typical_of;        /* sync: atomic; slot + 1 of its fastest worker, 0 = nothing learned */
	sh_a64 est_ns;            /* sync: atomic; learned run time, all workers: a job's cost, SH_COST_MAX at most */
	sh_a64 typical_ns;        /* sync: atomic; of its fastest worker, without outliers */
	struct sh_pool *pool;     /* sync: const while open */
	shunt_handler_fn handler; /* sync: const while open */
	uint32_t flags;           /* sync: const while open */
	uint32_t level;           /* sync: const while open */
	uint32_t parts;           /* sync: const while open; SH_PART_* that each of its jobs has (part.h) */
	uint32_t generation;      /* sync: lock(control); how often the entry was opened */
	uint64_t finished_before; /* sync: lock(control); jobs of earlier types of the entry */
	char name[SHUNT_NAME_MAX];
} SH_ALIGNED(SH_CACHELINE);

/* A submitter's recent choice in a pool, so that it reads other threads' lines rarely. */
struct sh_sticky {
	uint64_t until_ns;
	uint32_t worker;
	uint32_t left; /* learned time that may follow before a new choice is made, ns */
};

/* What a thread remembers: its submitters by runtime slot, the job it runs. */
#define SH_REMEMBERED 8u

struct sh_thread {
	uint64_t serial[SH_REMEMBERED];
	struct sh_submitter *sub[SH_REMEMBERED];
	struct shunt_job_ctx *ctx; /* the innermost job that runs on this thread */
	struct sh_worker *worker;  /* whose loop runs on this thread; NULL = none */
	uint64_t number;           /* of this thread, never used again; 0 = not numbered yet */
	int armed;                 /* 1 = the thread-end hook is set */
	/* of calls that no submitter counts, and of a destroy: how many it is inside, of which runtime */
	uint32_t inside_n;
	const struct shunt_runtime *inside;
};

/*
 * Small, so that a dlopen of the library finds space for it in the static TLS reserve; no call on
 * the submit path.
 */
extern _Thread_local struct sh_thread sh_thread __attribute__((tls_model("initial-exec"), visibility("hidden")));

/*
 * One thread's access to a runtime: caches and counters. Claimed at the thread's first submit,
 * given back at its end.
 */
struct sh_submitter {
	sh_a32 claimed SH_ALIGNED(SH_CACHELINE); /* sync: atomic; 1 = some thread owns it */
	uint32_t index;
	sh_a64 owner;       /* sync: atomic; the number of the claiming thread */
	uint32_t node;      /* sync: owner; NUMA os index or SHUNT_ANY */
	uint32_t node_slot; /* sync: owner */
	const struct sh_worker *rewoken; /* sync: owner; whose wake it repeated last; compared */
	uint64_t rewoken_sleep;          /* sync: owner; number of that sleep */
	sh_a64 section; /* sync: atomic, one writer; odd in a read-side section (submit) */
	/* sync: atomic, one writer; blocking calls that the thread is inside (submitter.h) */
	sh_a64 calls;
	uint32_t depth;     /* sync: owner; nesting of submits (inline runs) */
	uint32_t credits;                         /* sync: owner; jobs that it may queue (credit.h) */
	uint64_t last_arrival_ns;    /* sync: owner; newest given arrival time of an item: no two items are alike (ring.h) */
	struct sh_slab_cache records; /* sync: owner */
	struct sh_select_state select; /* sync: owner */
	struct sh_worker *worker;    /* sync: owner; set in worker threads */
	struct sh_sticky sticky[SHUNT_POOLS_MAX]; /* sync: owner */
	uint32_t tries;              /* sync: owner; choices while some workers are unmeasured */
	struct sh_select_recent recent; /* sync: owner; what it queued, in all pools */
	sh_a64 submitted[SHUNT_TYPES_MAX]; /* sync: atomic, one writer; attempts */
	sh_a64 rejected[SHUNT_TYPES_MAX];    /* sync: atomic, one writer; attempts rolled back */
};

#define SH_SUBMIT_RUN 16u /* jobs of a batch that go to one worker together, and share a submit time */

struct sh_part;
struct shunt_cq;

#define SH_PARTS_MAX 16u

struct shunt_runtime {
	sh_a32 accepting SH_ALIGNED(SH_CACHELINE); /* sync: atomic */
	uint32_t fork_gen;  /* sync: const */
	uint32_t slot;      /* sync: const; index among live runtimes of the process */
	uint32_t levels;    /* sync: const */
	uint32_t timer_slack_ns; /* sync: const; of the thread that made the runtime */
	uint64_t serial;    /* sync: const; distinguishes runtimes that used one slot */
	const struct sh_part *const *parts; /* sync: const; the hooks of the parts of a job (part.h) */
	struct sh_slab records, groups;
	uint32_t credit_cache;    /* sync: const; credits that a thread keeps */
	uint32_t left_max;        /* sync: const */
	struct sh_type *type;          /* [SHUNT_TYPES_MAX] */
	sh_aptr pool[SHUNT_POOLS_MAX]; /* sync: atomic pointers */
	uint32_t pool_generation[SHUNT_POOLS_MAX]; /* sync: lock(control); how often the entry was used */
	/* sync: lock(control); its pool is in the table no more, and not freed yet */
	bool pool_leaving[SHUNT_POOLS_MAX];
	struct sh_submitter *submitter; /* [submitters] */
	uint32_t submitters;      /* sync: const; users', then SH_WORKERS_TOTAL_MAX for workers */
	sh_a32 submitters_used;   /* sync: atomic; users' entries from here on were never claimed */
	sh_a32 workers_used;      /* sync: atomic; the same of the workers' part */
	/* sync: lock(control); taken so far */
	uint64_t snapshots;
	uint64_t *retired;        /* sync: lock(control); [types], finished jobs of removed pools */
	size_t submitter_bytes;
	sh_a64 *shared_submitted; /* sync: atomic; [types], threads without a submitter */
	sh_a64 *shared_rejected;
	sh_a64 shared_section;     /* sync: atomic; such threads in a read-side section */
	/* sync: atomic; such threads inside a blocking call */
	sh_a64 shared_calls;
	/* sync: atomic; submitters that run a job themselves */
	sh_a32 inlining;
	const struct shunt_topo *topo;
	struct shunt_topo *topo_own;
	uint32_t node_os[SH_SLAB_NODES_MAX]; /* slab node slot -> NUMA os index */
	uint32_t nodes;
	struct sh_log log;
	struct sh_mem mem;
	struct sh_registry *pool_names, *type_names;
	pthread_mutex_t control; /* rank 1: create, remove, snapshot, destroy */
	struct shunt_runtime_opts opts;
	char name[SHUNT_NAME_MAX];
	char level_names[SHUNT_LEVELS_MAX][SHUNT_NAME_MAX];
	sh_a64 credits SH_ALIGNED(SH_CACHELINE); /* sync: atomic; jobs that may still be queued */
	sh_a64 left_behind; /* sync: atomic; queued items without a job and without a credit */
	struct shunt_cq *cqs; /* sync: lock(control); completion queues */
	sh_a64 part_balance[SH_PARTS_MAX]; /* sync: atomic; admitted - released, in builds with assertions */
	uint32_t types_used; /* sync: lock(control) to write; entries above were never used */
	/* sync: atomic; a thread trims the slabs; a worker watches their memory (trim.h) */
	sh_a32 trimming, trim_watched;
	/* sync: const; items in memory that are worth a trim; 0 = there is none by itself */
	uint32_t trim_worth;
};

/* sync: changed only in a forked child, before it has a second thread */
extern uint32_t sh_fork_generation;

static inline bool sh_runtime_forked(const struct shunt_runtime *rt)
{
	return sh_unlikely(rt->fork_gen != sh_fork_generation);
}

/* NULL = there is none in this entry. */
static inline struct sh_pool *sh_runtime_pool_at(struct shunt_runtime *rt, uint32_t index)
{
	/* mo pool.1 <- pool.1@life/pools.c: the pool was complete before it was published. */
	return index < SHUNT_POOLS_MAX ? sh_aptr_load_acq(&rt->pool[index]) : NULL;
}

/* By its public id; NULL = it is no more. While rt->control is held, or the pool is in use otherwise. */
static inline struct sh_pool *sh_runtime_pool(struct shunt_runtime *rt, uint32_t id)
{
	struct sh_pool *p = sh_runtime_pool_at(rt, sh_id_index(id));

	return p && p->id == id ? p : NULL;
}

/* The job this thread is running in rt, NULL outside. */
static inline struct shunt_job_ctx *sh_current_ctx(const struct shunt_runtime *rt)
{
	struct shunt_job_ctx *c = sh_thread.ctx;

	while (c && c->rt != rt)
		c = c->outer;
	return c;
}

static inline struct shunt_job_ctx *sh_current_set(struct shunt_job_ctx *ctx)
{
	struct shunt_job_ctx *old = sh_thread.ctx;

	sh_thread.ctx = ctx;
	return old;
}

/* The innermost job of this thread, of any runtime; NULL outside. */
static inline struct shunt_job_ctx *sh_current_innermost(void)
{
	return sh_thread.ctx;
}

#define SH_ACCEPT_ALL 1u  /* submits from anywhere */
#define SH_ACCEPT_JOBS 2u /* draining: only from inside this runtime's jobs */
#define SH_ACCEPT_NONE 0u

/* Is the runtime being destroyed? A call that waits looks after each sleep. */
static inline bool sh_runtime_closed(const struct shunt_runtime *rt)
{
	/* mo count.2 <- count.2@life/runtime.c: closed for good. */
	return sh_a32_load_acq(&rt->accepting) == SH_ACCEPT_NONE;
}

/* Index of the slab node that serves NUMA node `node_os`; 0 when it has none. */
static inline uint32_t sh_runtime_node_slot(const struct shunt_runtime *rt, uint32_t node_os)
{
	uint32_t i;

	for (i = 0; i < rt->nodes; i++)
		if (rt->node_os[i] == node_os)
			return i;
	return 0;
}

#endif
