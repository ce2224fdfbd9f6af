/*
 * sched/job.h - the memory of a job beyond its item (item.h): the record of a job with parts, the
 * group counter, and the context of a running job. Used by submit, workers and job/.
 *
 * A record belongs to its submitter until its item is pushed, to the queue while it is queued, and
 * then to the thread that popped it. Through its handle other threads reach its state word and its
 * results (job/handle.h).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_JOB_H
#define SH_SCHED_JOB_H

#include <shunt/runtime.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "sched/item.h"

#define SH_SHORT_NS 150u    /* learned time below which jobs without a record are batched (account.h), ns */
#define SH_BATCH_NS (8u * SH_SHORT_NS) /* learned time of a batch, at most; or SH_BATCH_MAX jobs */

_Static_assert(sizeof(struct shunt_job_spec) == SH_CACHELINE, "one line a spec");
_Static_assert(sizeof(struct shunt_result) == 48, "a result has one size for ever");
_Static_assert(SHUNT_LEVELS_MAX <= 16 && SHUNT_POOLS_MAX < 1024, "4 and 10 bits of a record's word");
_Static_assert(SHUNT_TYPES_MAX <= SH_TYPE_MASK, "an item has a type's index + 1");

/*
 * Word of a record: generation:40 | flags:24. The status is one of the SH_RECORD_* below. Every
 * change by a handle is a CAS on the whole word, so a stale handle never acts. Waiters sleep on the
 * low half.
 */
#define SH_RECORD_FREE 0u
#define SH_RECORD_QUEUED 1u
#define SH_RECORD_RUNNING 2u
#define SH_RECORD_FINISHING 3u /* one thread won the right to end it and writes the result */
#define SH_RECORD_DONE 4u
#define SH_RECORD_FAILED 5u
#define SH_RECORD_CANCELLED 6u
#define SH_RECORD_OWNED 7u /* nobody has its handle: the thread that has its item owns it */
#define SH_RECORD_STATUS 7u
#define SH_RECORD_WAITER (1u << 3) /* a waiter sleeps on the word */
#define SH_RECORD_CANCEL (1u << 5) /* cancel requested */
#define SH_RECORD_ASYNC (1u << 6)  /* its type may return SHUNT_PENDING: others may complete it */
/* Who still needs the record: it is recycled when it is terminal and nobody does. */
#define SH_RECORD_USER (1u << 4)     /* the user has not given the handle back */
#define SH_RECORD_LINKED (1u << 7)   /* it is in the list of a strand */
#define SH_RECORD_UNREAD (1u << 8)   /* its completion was not taken from its completion queue */
/* Constant: what a job that waits for it must know before it claims it. Until then the record may serve another. */
#define SH_RECORD_HELPED (1u << 9) /* its waiter may run it: no key, no stated worker */
#define SH_RECORD_LEVEL_SHIFT 10u
#define SH_RECORD_POOL_SHIFT 14u /* index of its pool */
#define SH_RECORD_WHERE (SH_RECORD_HELPED | 1023u << SH_RECORD_POOL_SHIFT)
#define SH_RECORD_HELD (SH_RECORD_USER | SH_RECORD_LINKED | SH_RECORD_UNREAD)
#define SH_RECORD_GEN_SHIFT 24u
#define SH_RECORD_INDEX ((UINT64_C(1) << SH_RECORD_GEN_SHIFT) - 1)

/*
 * The small fields of a result in one word: worker:16 | attempts:8 | detail:8 | code:32. No worker is 0xffff, whose slots
 * end long before.
 */
#define SH_OUTCOME(worker, attempts, detail, code) \
	((uint64_t)(uint16_t)(worker) << 48 | (uint64_t)(attempts) << 40 | (uint64_t)(detail) << 32 | (uint32_t)(code))

struct sh_pool;
struct shunt_cq;

#define SH_KIND_HELP (1u << 31) /* its waiter may run it whatever its limit */
#define SH_KIND_TYPE 0xffffu

struct sh_record { /* item of the slab of records: two lines; a free batch is written into the first */
	sh_a32 next;        /* slab; list of a strand */
	uint32_t group;     /* index, 0 = none */
	sh_a64 state;       /* sync: atomic */
	void *arg;          /* the rest of this line: written before the item is pushed */
	uint64_t submit_ns; /* intended start */
	shunt_done_fn done;
	void *done_arg;
	sh_a32 kind;    /* sync: atomic, as `worker`; index of its type | SH_KIND_HELP */
	uint16_t parts; /* SH_PART_* bits that were admitted */
	uint8_t level;
	uint8_t pad0;
	/* sync: atomic: a waiter may read them while the record is recycled, and then drops them */
	sh_a32 worker; /* with SH_PART_PINNED: slot in its pool */
	sh_a32 strand; /* with SH_PART_KEY */
	/*
	 * second line; results are atomic: a poll may read them while the record is recycled, and
	 * then drops them
	 */
	sh_a64 outcome;      /* sync: atomic; SH_OUTCOME, written by the FINISHING thread */
	sh_a64 queue_ns;     /* sync: atomic; written by the runner */
	sh_a64 run_ns;       /* sync: atomic; written by the FINISHING thread */
	uint64_t start_ns;   /* sync: runner */
	struct sh_pool *pool;
	struct shunt_cq *cq; /* with SH_PART_CQ */
	uint32_t ran_on;     /* sync: runner; slot of the worker that runs it, SHUNT_ANY = inline or not yet */
	uint32_t holder;     /* sync: runner; slot of the worker whose asynchronous place it has, SHUNT_ANY = none */
	uint32_t type_id;    /* public id of its type */
	sh_a32 cq_next;      /* list of a completion queue; a cancelled job may still be in its strand's */
};
_Static_assert(offsetof(struct sh_record, next) == 0 && offsetof(struct sh_record, state) == 8, "the slab's layout");
_Static_assert(offsetof(struct sh_record, outcome) == SH_CACHELINE, "results are not where a free batch is");
_Static_assert(sizeof(struct sh_record) == 2 * SH_CACHELINE, "two lines a record");

/*
 * Group word: generation:38 | flags:2 | pending:24. Each pending job has a record, so handles_max bounds them. The
 * public id is generation:38 | index:24.
 */
#define SH_GROUP_PENDING 0xffffffu
#define SH_GROUP_WAITER (1u << 24)
#define SH_GROUP_CANCEL (1u << 25)
#define SH_GROUP_GEN_SHIFT 26u
#define SH_GROUP_GENERATIONS (UINT64_MAX >> SH_GROUP_GEN_SHIFT)
#define SH_GROUP_INDEX_BITS 24u

static inline uint32_t sh_group_index(struct shunt_group_id id)
{
	return (uint32_t)(id.v & ((1u << SH_GROUP_INDEX_BITS) - 1u));
}

#define SH_GROUP_HAS_KEY 1u
#define SH_GROUP_HAS_PINNED 2u
/* a submitter cleared its waiter's flag */
#define SH_GROUP_CLEARED 4u
#define SH_GROUP_POOLS 8u /* pools that a group remembers */
#define SH_GROUP_POOL_SHIFT 16u

struct sh_group { /* item of the slab of groups; a free batch is written into the first line */
	sh_a32 next; /* slab */
	uint32_t count;
	sh_a64 state; /* sync: atomic */
	uint32_t pad0[12];
	/* sync: atomic; where it had jobs: (index of the pool + 1) << SH_GROUP_POOL_SHIFT | levels; 0 = no more */
	sh_a32 where[SH_GROUP_POOLS];
	/* sync: atomic; SH_GROUP_HAS_ bits: it had members that one place alone runs; SH_GROUP_CLEARED */
	sh_a32 routes;
	uint32_t pad1[7];
};
_Static_assert(sizeof(struct sh_group) == 2 * SH_CACHELINE && offsetof(struct sh_group, where) == SH_CACHELINE,
	       "two lines a group");

struct sh_worker;

#define SH_ABOVE_KNOWN (1u << 31) /* in shunt_job_ctx.above; no level has this bit */
/* In shunt_job_ctx.blocked: this process is a child that the handler forked. */
#define SH_BLOCKED_FORKED UINT32_MAX

/* What a handler sees; lives in its worker, or on the stack of the thread that runs it. */
struct shunt_job_ctx {
	struct shunt_runtime *rt;
	struct sh_worker *worker; /* NULL when run inline in a user thread */
	struct shunt_job_ctx *outer; /* the job this one is nested in */
	uint64_t handle;  /* of its record if the user may have it (SH_PART(HANDLE)), else 0 */
	uint64_t submit_ns;
	uint64_t start_ns;
	void *arg;
	uint32_t group;
	uint32_t strand; /* that it holds, + 1; 0 = it has no key */
	uint16_t type;
	uint8_t level;
	bool inlined; /* runs in the submitting thread */
	uint32_t blocked; /* nesting of shunt_block_begin, or SH_BLOCKED_FORKED */
	uint32_t inlines; /* on this stack: of the submitting thread, this job and those below it */
	uint64_t nested_ns; /* in jobs nested because it waited for them; part of its run time */
	uint64_t preempted_ns;   /* preempted time (nested at checkpoints); not part of its run time */
	uint32_t above;     /* SH_ABOVE_KNOWN | levels that may preempt it; 0 = not computed yet */
	uint32_t holds;     /* nesting of shunt_hold_begin */
	bool paused;        /* it declared itself blocked: its start does not time the next job */
	bool async;            /* another thread may complete it */
	bool preempting;       /* preempted: jobs nested in its checkpoint may have checkpoints */
};

#endif
