/*
 * core/job.h - the memory of a job: the 64-byte descriptor that is queued, the track that a handle names, the group
 * counter, and the strand of a key. Called by submit, worker and track code.
 *
 * A descriptor belongs to its submitter until it is pushed, to the queue while it is queued, and to the thread that
 * popped it afterwards. Workers only read it, so that its cache line stays with the producer side.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CORE_JOB_H
#define SH_CORE_JOB_H

#include <shunt/runtime.h>

#include "base/atomic.h"
#include "base/compiler.h"

#define SH_JOB_KEYED 1u     /* sits in a strand */
#define SH_JOB_ASYNC 2u     /* its type may return SHUNT_PENDING */
#define SH_JOB_PLAIN 4u     /* no handle, callback, group, key or pool bound, not asynchronous: the short way (plain.h) */
#define SH_SHORT_NS 150u    /* learned time below which plain jobs are booked in batches (plain.h), */
#define SH_BATCH_NS (8u * SH_SHORT_NS) /* which last so long by what was learned, or SH_BATCH_MAX jobs */
#define SH_TOKEN 0x80000000u /* queue item: not a job but "strand (item & ~SH_TOKEN) has jobs" */

struct sh_job {
	sh_a32 next;        /* sync: atomic; strand list, free batch */
	uint16_t type;      /* sync: owner; index in the type table */
	uint8_t level;      /* sync: owner */
	uint8_t flags;      /* sync: owner; SH_JOB_* */
	sh_a64 keep;        /* sync: unused by jobs (generation word of other slabs) */
	void *arg;          /* sync: owner */
	uint64_t submit_ns; /* sync: owner; intended start */
	uint64_t track;     /* sync: owner; handle, 0 = fire and forget */
	uint32_t group;     /* sync: owner; index, 0 = none */
	uint32_t cost_ns;   /* sync: owner; learned run time at submit, for work-left accounting */
	uint32_t strand;    /* sync: owner; with SH_JOB_KEYED */
	uint32_t after;     /* sync: owner; plain jobs: the descriptor that their submitter is likely to use next, 0 = unknown */
	uint32_t pad[2];
};
_Static_assert(sizeof(struct sh_job) == SH_CACHELINE, "one line a job");
_Static_assert(offsetof(struct sh_job, next) == 0, "slab needs next first");

/*
 * Track word: generation:40 | flags:24. Status is one of the SH_TRACK_* below; every change is a CAS on the whole
 * word, so a stale handle can never act. The low half is the futex word of waiters.
 */
#define SH_TRACK_FREE 0u
#define SH_TRACK_QUEUED 1u
#define SH_TRACK_RUNNING 2u
#define SH_TRACK_FINISHING 3u /* one thread won the right to end it and writes the result */
#define SH_TRACK_DONE 4u
#define SH_TRACK_FAILED 5u
#define SH_TRACK_CANCELLED 6u
#define SH_TRACK_STATUS 7u
#define SH_TRACK_WAITER (1u << 3)   /* somebody sleeps on the word */
#define SH_TRACK_RELEASED (1u << 4) /* the user gave the handle back */
#define SH_TRACK_CANCEL (1u << 5)   /* cancel token */
#define SH_TRACK_ASYNC (1u << 6)    /* its type may return SHUNT_PENDING: others may complete it */
#define SH_TRACK_GEN_SHIFT 24u

struct sh_pool;

struct sh_track { /* item of the track slab: two lines; a free batch is written into the first */
	sh_a32 next;        /* slab */
	uint32_t job_group; /* group index */
	sh_a64 state;       /* sync: atomic */
	void *arg;          /* the rest of this line: written before QUEUED is published */
	uint64_t submit_ns;
	shunt_done_fn done;
	void *done_arg;
	uint16_t type;
	uint8_t level;
	uint8_t flags;
	uint32_t strand;
	uint32_t worker;    /* slot in its pool, SHUNT_ANY = none; sync: written by the runner before the handler */
	uint32_t pad0;
	/* second line; results are atomic: a poll may read them while the record is recycled, and then drops them */
	sh_a32 code;        /* sync: atomic; written by the FINISHING thread */
	uint32_t pad1;
	sh_a64 queue_ns;    /* sync: atomic; written by the runner */
	sh_a64 run_ns;      /* sync: atomic; written by the FINISHING thread */
	uint64_t start_ns;  /* sync: runner */
	uint64_t cost;      /* sync: runner; what the worker's load was charged */
	struct sh_pool *pool;
	uint64_t pad2[2];
};
_Static_assert(offsetof(struct sh_track, code) == SH_CACHELINE, "results are not where a free batch is");
_Static_assert(sizeof(struct sh_track) == 2 * SH_CACHELINE, "two lines a track");

/* Group word: generation:32 | flags:2 | pending:30. */
#define SH_GROUP_PENDING 0x3fffffffu
#define SH_GROUP_WAITER (1u << 30)
#define SH_GROUP_CANCEL (1u << 31)

struct sh_group {
	sh_a32 next; /* slab */
	uint32_t count;
	sh_a64 state; /* sync: atomic */
	uint32_t pad[12];
};
_Static_assert(sizeof(struct sh_group) == SH_CACHELINE, "one line a group");

struct sh_worker;

#define SH_NEST_MAX 32u           /* jobs that waits and checkpoints run nested on one stack */
#define SH_ABOVE_KNOWN (1u << 31) /* in shunt_job_ctx.above; no level has this bit */

/* What a handler sees; lives on the stack of the thread that runs it. */
struct shunt_job_ctx {
	struct shunt_runtime *rt;
	struct sh_worker *worker; /* NULL when run inline in a user thread */
	struct shunt_job_ctx *outer; /* the job this one is nested in */
	uint64_t track;
	uint64_t submit_ns;
	uint64_t start_ns;
	void *arg;
	uint32_t group;
	uint32_t strand;
	uint16_t type;
	uint8_t level;
	uint8_t flags;
	uint32_t blocked; /* nesting of shunt_block_begin */
	uint32_t depth;
	bool inlined; /* runs in the submitting thread */
	uint64_t nested_ns; /* spent in jobs that ran nested because it waited for them; part of its run time */
	uint64_t lent_ns;   /* spent in jobs that ran nested at its checkpoints; not part of its run time */
	uint32_t above;     /* SH_ABOVE_KNOWN | levels that its checkpoints run; 0 = the next checkpoint finds out */
	uint32_t holds;     /* nesting of shunt_hold_begin */
	bool paused;        /* it declared itself blocked: its start is no measure for what comes behind it */
	bool lending;       /* inside a checkpoint that runs others: jobs nested in it may have checkpoints too */
};

#endif
