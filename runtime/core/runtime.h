/*
 * core/runtime.h - the runtime object: its slabs, tables of pools and types, submitters. Used by all of core.
 *
 * Start-up order: clock, memory, topology, slabs, tables, registries. Shutdown is the reverse and is one table in
 * runtime.c. Tables are type-stable: an entry's memory lives as long as the runtime, so submitters need no lock.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CORE_RUNTIME_H
#define SH_CORE_RUNTIME_H

#include <pthread.h>

#include <shunt/runtime.h>

#include "base/atomic.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/job.h"
#include "core/pool.h"
#include "core/select.h"
#include "lockfree/slab.h"

#define SH_WORKER_SUBMITTERS 1024u /* worker threads of one runtime, all pools */

/* State of a type: one of these, or the public id of an open one, so that a submit compares once. */
#define SH_TYPE_FREE 0u
#define SH_TYPE_CLOSED 0x10000u /* no id: the low half of an id is an index + 1 */

struct sh_type {
	sh_a32 state;             /* sync: atomic; SH_TYPE_*, or its id */
	sh_a32 est_ns;            /* sync: atomic; learned run time, all workers: what a job is charged with */
	sh_a32 typical_ns;        /* sync: atomic; of its fastest worker, without outliers: what workers are compared with */
	sh_a32 typical_of;        /* sync: atomic; whose that is: slot + 1, 0 = nothing learned */
	struct sh_pool *pool;     /* sync: const while open */
	shunt_handler_fn handler; /* sync: const while open */
	uint32_t flags;           /* sync: const while open */
	uint32_t level;           /* sync: const while open */
	bool plain;               /* sync: const while open; its jobs may be SH_JOB_PLAIN */
	uint32_t generation;      /* sync: const while open; high half of the public id */
	char name[SHUNT_NAME_MAX];
} SH_ALIGNED(SH_CACHELINE);

/* What a submitter remembers about a pool, to read other threads' lines seldom. */
struct sh_sticky {
	uint64_t until_ns;
	uint32_t worker;
	uint32_t left; /* submits left before the choice is made again */
};

/* What a thread remembers: its submitters by runtime slot, the job it runs. */
#define SH_REMEMBERED 8u

struct sh_thread {
	uint64_t serial[SH_REMEMBERED];
	struct sh_submitter *sub[SH_REMEMBERED];
	struct shunt_job_ctx *ctx; /* the innermost job that runs on this thread */
	uint64_t number;           /* of this thread, never used again; 0 = not numbered yet */
	int armed;                 /* 1 = the thread-end hook is set */
};

/* Small, so that a dlopen of the library finds room for it in the static TLS reserve; no call on the submit path. */
extern _Thread_local struct sh_thread sh_thread __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* One thread's way into a runtime: caches and counters. Claimed at the thread's first submit, given back at its end. */
struct sh_submitter {
	sh_a32 claimed SH_ALIGNED(SH_CACHELINE); /* sync: atomic; 1 = some thread owns it */
	uint32_t index;
	sh_a64 owner;       /* sync: atomic; the number of the claiming thread */
	uint32_t node;      /* sync: owner; NUMA os index or SHUNT_ANY */
	uint32_t node_slot; /* sync: owner */
	const struct sh_worker *rewoken; /* sync: owner; whose wake it last repeated; compared, never followed */
	uint64_t rewoken_sleep;          /* sync: owner; and which of its sleeps that was */
	sh_a64 inside;      /* sync: atomic, one writer; odd while the thread is inside a submit */
	uint32_t depth;     /* sync: owner; nesting of submits (inline runs) */
	struct sh_slab_cache jobs;   /* sync: owner */
	struct sh_slab_cache tracks; /* sync: owner */
	struct sh_select_state select; /* sync: owner */
	struct sh_worker *worker;    /* sync: owner; set in worker threads */
	struct sh_sticky sticky[SHUNT_POOLS_MAX]; /* sync: owner */
	uint32_t tries;              /* sync: owner; choices among workers of which some are unknown */
	sh_a64 submitted[SHUNT_TYPES_MAX]; /* sync: atomic, one writer; attempts */
	sh_a64 undone[SHUNT_TYPES_MAX];    /* sync: atomic, one writer; attempts that were refused */
};

struct shunt_runtime {
	sh_a32 accepting SH_ALIGNED(SH_CACHELINE); /* sync: atomic */
	uint32_t fork_gen;  /* sync: const */
	uint32_t slot;      /* sync: const; index among live runtimes of the process */
	uint32_t levels;    /* sync: const */
	uint64_t serial;    /* sync: const; tells runtimes in one slot apart */
	struct sh_slab jobs, tracks, groups;
	struct sh_type *type;          /* [SHUNT_TYPES_MAX] */
	sh_aptr pool[SHUNT_POOLS_MAX]; /* sync: atomic pointers */
	struct sh_submitter *submitter; /* [submitters] */
	uint32_t submitters;      /* sync: const; users' first, then SH_WORKER_SUBMITTERS for workers */
	sh_a32 submitters_used;   /* sync: atomic; entries from here on were never claimed, users' part */
	sh_a32 workers_used;      /* sync: atomic; the same of the workers' part */
	uint64_t *retired;        /* sync: lock(control); [types], finished jobs of removed pools */
	size_t submitter_bytes;
	sh_a64 *shared_submitted; /* sync: atomic; [types], threads without a submitter */
	sh_a64 *shared_undone;
	sh_a64 shared_inside;     /* sync: atomic; threads without a submitter that are inside a submit */
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
	uint32_t types_used; /* sync: lock(control) to write; entries above were never used */
};

extern uint32_t sh_fork_generation; /* sync: changed only in a forked child, before it has a second thread */

static inline bool sh_runtime_forked(const struct shunt_runtime *rt)
{
	return sh_unlikely(rt->fork_gen != sh_fork_generation);
}

static inline struct sh_pool *sh_runtime_pool(struct shunt_runtime *rt, uint32_t id)
{
	/* mo T1 <- T1@core/runtime.c: the pool was complete before it was published. */
	return id >= 1 && id <= SHUNT_POOLS_MAX ? sh_aptr_load_acq(&rt->pool[id - 1]) : NULL;
}

/* Finds or claims this thread's submitter (submitter.c). */
struct sh_submitter *sh_submitter_find(struct shunt_runtime *rt, bool worker);
/* At destroy: no thread may find this runtime in its own memory any more. */
int sh_submitter_register_runtime(struct shunt_runtime *rt);
void sh_submitter_forget_runtime(struct shunt_runtime *rt);

/* Does this thread know its submitter already (which may be NULL)? */
static inline bool sh_submitter_known(const struct shunt_runtime *rt, struct sh_submitter **sub)
{
	uint32_t place = rt->slot % SH_REMEMBERED;

	*sub = sh_thread.sub[place];
	return sh_likely(sh_thread.serial[place] == rt->serial);
}

/* This thread's submitter, claimed on first use; NULL = all taken, use the shared path. */
static inline struct sh_submitter *sh_submitter_get(struct shunt_runtime *rt)
{
	struct sh_submitter *sub;

	return sh_submitter_known(rt, &sub) ? sub : sh_submitter_find(rt, false);
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

/* Accepted and not yet terminal jobs of one type, or of all (SHUNT_ANY). rt->control is held. */
uint64_t sh_runtime_pending(struct shunt_runtime *rt, uint32_t type);
uint32_t sh_runtime_node_slot(const struct shunt_runtime *rt, uint32_t node_os);

static inline struct sh_job *sh_job_at(const struct shunt_runtime *rt, uint32_t item)
{
	return (struct sh_job *)(void *)rt->jobs.base + item;
}

/* exec.c: runs a job whose descriptor the worker popped, up to its end; frees that. False = no handler ran. */
bool sh_exec_job(struct shunt_runtime *rt, struct sh_worker *w, uint32_t item);
/* exec.c: runs a job in the caller's thread, without a queue. `track` is 0 or an opened and published handle. */
void sh_exec_inline(struct shunt_runtime *rt, const struct shunt_job_spec *spec, uint32_t type, uint32_t level, uint64_t submit_ns,
		    uint64_t track, uint32_t group);
/* exec.c: ends a claimed strand's turn; a token for what is left. */
void sh_exec_strand_pass(struct sh_pool *p, struct sh_worker *w, uint32_t strand);
/* exec.c: the terminal step for jobs that never ran. Frees the descriptor; false = the job had ended before. */
bool sh_exec_cancel(struct sh_pool *p, uint32_t item);
/* exec.c: runs a queued tracked job that its waiter claimed. False = it was not queued any more. */
bool sh_exec_claimed(struct shunt_runtime *rt, struct sh_worker *w, uint64_t track);

#define SH_ACCEPT_ALL 1u  /* submits from anywhere */
#define SH_ACCEPT_JOBS 2u /* draining: only from inside this runtime's jobs */
#define SH_ACCEPT_NONE 0u

/* exec.c: submitters wait for room: gives back what w (may be NULL) keeps of it and wakes them. */
void sh_exec_make_room(struct sh_worker *w, struct sh_pool *p);
/* exec.c: at destroy, ends an asynchronous job that nobody completed. */
bool sh_exec_abandon(struct shunt_runtime *rt, uint64_t track);

/* submit.c: puts a strand token in a queue of pool p, and counts it. */
void sh_submit_token(struct sh_pool *p, struct sh_submitter *sub, uint32_t strand, uint32_t level);

#endif
