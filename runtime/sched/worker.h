/*
 * sched/worker.h - a worker: its structure, grouped by writer and cache line, and the calls that
 * other files make on its loop (worker.c). A worker belongs to one pool (pool.h); worker_make.c
 * creates it.
 *
 * Calls that may run together: sh_worker_left_ns is for any thread, every other call for the owner.
 * Other threads reach a worker through its queues (ring.h, deque.h), its state and its hints
 * (push.h, pick.h).
 * Progress: as the handlers that the loop runs; no call waits for another worker.
 * Bounds: sh_worker_take_of_group and pick_above take one item.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_WORKER_H
#define SH_SCHED_WORKER_H

#include <pthread.h>
#include "base/atomic.h"
#include "base/thread.h"
#include "lockfree/deque.h"
#include "lockfree/ring.h"
#include "policy/arrival.h"
#include "policy/spin.h"
#include "sched/job.h"
#include "sched/stat.h"

#define SH_DEQUE_CAPACITY 8192u
#define SH_EXPECTED_NS 1000u       /* expected_ns where it is not set (base/options.c) */
#define SH_UNKNOWN_NS 1000000000u  /* what a wait with a limit assumes of a type of which nothing is known */
#define SH_COST_MAX (UINT64_C(1) << 40) /* ns, 18 minutes: longer jobs and more work count as this in a choice */
#define SH_SCORE_NS 1000u /* a worker publishes its work left at most this often, and before a job that takes longer */
/* a longer gap between submits counts as this: no burst */
#define SH_GAP_MAX_NS 4096u
#define SH_WORKER_BUSY UINT64_C(1) /* bit of free_at_ns: it has work, perhaps for longer than estimated */
#define SH_UNMEASURED_JOBS 8u /* a worker that ran fewer is unmeasured: it cannot be compared yet */

/*
 * Worker state word. Every change is a CAS, but for the owner's step to DORMANT. A waker moves
 * PARKED to WAKING, then calls futex wake; or the sleeper leaves PARKED itself. WAKING lasts until
 * the worker runs: any thread that sees it may repeat the wake, so a waker that stops before its
 * system call loses no wake-up.
 */
#define SH_W_RUNNING 0u

#define SH_W_PARKED 1u
#define SH_W_WAKING 4u
#define SH_W_DORMANT 2u /* a spare that replaces no blocked worker */
#define SH_STARTED_RUNNING 1u
#define SH_STARTED_FAILED 2u /* no submitter slot was left for it */
#define SH_STARTED_LEFT 3u   /* the thread has left its loop */

/* What one worker has learned about a type. Unit: ns. */
struct sh_learned {
	uint64_t ewma; /* run-time EWMA without outliers: compares workers */
	uint64_t mean; /* run-time EWMA of every run: estimates cost */
};

/* How a worker waits for jobs (sleep.c). */
struct sh_waiting {
	struct sh_arrival arrivals; /* of jobs that ended its sleeps, from its own queues */
	uint64_t wake_at_ns;        /* end of this sleep; SH_FOREVER = only a waker ends it */
	uint64_t spin_until_ns;     /* from then on the prediction counts as wrong */
	uint64_t late_ns;           /* usual lateness of its timed wake-ups */
	uint64_t stolen;            /* its counter when it fell asleep */
	uint64_t submit_ns;         /* newest submit time that it recorded */
	uint64_t gap_ns;            /* usual time between two submits of its jobs */
	uint64_t idle_since_ns;     /* when it ran out of jobs; 0 = it has not, or its gaps are not learned */
	struct sh_spin spin;
	uint16_t pace_skip, pace_left; /* idle times without a pause behind one that did not pay; of them left */
	bool paced;                    /* it left its queues alone, and has recorded no job since */
	bool slept;                    /* it has slept, and run no job since: the next one is an arrival */
	bool predicted;                /* its timer ended the sleep: it spins until spin_until_ns */
};

/* How a worker watches the memory of records (trim.h). */
struct sh_trim_watch {
	uint64_t every_ns; /* time between its looks; 0 = it does not watch */
	uint64_t at_ns;    /* of the next one */
	uint64_t traffic;  /* of the slabs at the last one */
};

#define SH_BATCH_MAX 32u
/* Bytes of stack that a wait or a checkpoint leaves to the handler that it runs, and to what that calls of the library. */
#define SH_STACK_RESERVE ((size_t)80 << 10)

/* Jobs of one type and level that ran one after another and are not recorded yet (account.h). */
struct sh_batch {
	uint32_t n;
	uint16_t type;
	uint8_t level;
	uint64_t stamp_ns; /* clock time at the start of the first job */
	uint64_t submit_ns[SH_BATCH_MAX];
};

struct sh_type;

struct sh_worker {
	/*
	 * line 1: read by every submitter; written on park, wake, block, and by a checkpoint that
	 * finds no job
	 */
	sh_a32 state SH_ALIGNED(SH_CACHELINE); /* sync: atomic; SH_W_* */
	sh_a32 blocked;                        /* sync: atomic; 1 = its job is declared blocked */
	sh_a32 pin_bits;                       /* sync: atomic; levels with jobs for it alone */
	sh_a32 full;                           /* sync: atomic; 1 = at its asynchronous capacity */
	/* sync: atomic; 1 = pushes to its ring wake nobody (prompt.h) */
	sh_a32 prompt;
	sh_a32 ring_bits;                      /* sync: atomic; levels with jobs in its rings */
	/* line 2: written by completers */
	sh_a32 async_in_flight SH_ALIGNED(SH_CACHELINE); /* sync: atomic */
	/* line 3: written by the owner at most once in SH_SCORE_NS, before a long job and when idle; read by strategies */
	sh_a64 free_at_ns SH_ALIGNED(SH_CACHELINE); /* sync: atomic, one writer; estimated end of its work | SH_WORKER_BUSY */
	sh_a64 ewma_ns;                          /* sync: atomic, one writer */
	sh_a32 speed_permille;                   /* sync: atomic, one writer */
	sh_a32 fail_permille;                    /* sync: atomic, one writer */
	/* line 4: the owner's statistics */
	sh_a64 jobs SH_ALIGNED(SH_CACHELINE); /* sync: atomic, one writer, as all of this line */
	sh_a64 stolen, parks, busy_ns;
	sh_a64 sleeps;                        /* attempts to park; numbers each PARKED state */
	sh_a64 wakes;                         /* sync: atomic; written by wakers */
	sh_a32 cpu_seen, pin_error, pin_verified;
	sh_a32 replaced; /* threads of it that a handler ended */
	/* line 5: constants and the owner's private fields */
	struct sh_pool *pool SH_ALIGNED(SH_CACHELINE); /* sync: const */
	uint32_t slot;            /* sync: const; index in pool->worker, spares after the workers */
	int32_t cpu;              /* sync: const; -1 = not pinned */
	uint32_t node;            /* sync: const; NUMA os index or SHUNT_ANY */
	uint32_t node_slot;       /* sync: const; index of the slab node */
	sh_a32 tid;               /* sync: atomic; the kernel's number of its thread */
	uint32_t level_mask;      /* sync: const; levels it may take */
	uint32_t own_levels;      /* sync: const; levels whose own spawns it keeps in its deque */
	bool spare;               /* sync: const */
	uint16_t instead_of;      /* sync: const; of a spare: the worker that it was made for */
	struct sh_ring *ring;     /* sync: const; [levels] */
	struct sh_ring *pinned;   /* sync: const; [levels] */
	struct sh_deque *deque;   /* sync: const; [levels] */
	void *queue_mem;          /* sync: const */
	size_t queue_bytes;
	uint32_t *steal_order;    /* sync: const; other slots, nearest first */
	uint32_t steal_n;
	uint32_t deque_bits;      /* sync: owner; levels whose deque may hold something */
	bool surplus;             /* sync: owner; wake-up propagation is due (sh_propagate) */
	bool async_used;          /* sync: owner; it ever ran an asynchronous job */
	uint32_t tick;            /* sync: owner; position in the slot table */
	const uint8_t *slot_table;/* sync: const; the pool's */
	const struct sh_type *types; /* sync: const; the runtime's */
	uint32_t slot_n;          /* sync: const */
	uint8_t source_tick[SHUNT_LEVELS_MAX]; /* sync: owner; wraps at SH_OLDEST_PERIOD */
	uint16_t oldest_due[SHUNT_LEVELS_MAX]; /* sync: owner; its wraps since the oldest's turn */
	uint64_t now_ns;          /* sync: owner; end of the last job if it is recent, else 0 */
	struct shunt_job_ctx *running; /* sync: owner */
	struct sh_submitter *submitter; /* sync: owner; caches and counters of this thread */
	sh_aptr *stat;            /* sync: atomic pointers; [types * levels], filled by the owner */
	sh_aptr stat_retired;     /* sync: lock(control); histograms of destroyed types */
	sh_a64 *finished;         /* sync: atomic, one writer; [types] */
	struct sh_learned *learned; /* sync: owner; [types] */
	struct sh_batch batch;    /* sync: owner; jobs that ran and are not recorded yet */
	uint32_t hand_at, hand_n; /* sync: owner; the hand: items hand_at..hand_n-1 of `hand` (hand.h) */
	struct shunt_job_ctx ctx; /* sync: owner; context of the job that the loop runs */
	uint64_t score_ns;        /* sync: owner; when free_at_ns was written */
	uint32_t samples;         /* sync: owner; number of run times learned; wraps */
	struct sh_waiting waiting; /* sync: owner; how it sleeps and spins */
	/* sync: owner */
	struct sh_trim_watch trims;
	struct sh_item hand[SH_BATCH_MAX];
	pthread_t thread; /* sync: const; or written by the thread before it, which it joins */
	pthread_t before; /* sync: as thread; with `replaces` */
	bool replaces;    /* sync: as thread; its thread takes the place of one that ended in a handler */
	bool hooked;      /* sync: owner; the thread is in on_start: the next one does not call it */
	/* sync: the pool's watcher; `jobs` at its last look */
	uint64_t watched_jobs;
	sh_a32 started;           /* sync: atomic; SH_STARTED_* */
	bool has_thread;          /* sync: lock(pool->spare_lock) for spares, else const */

	uintptr_t stack_low;        /* sync: owner; of its thread's stack */
	size_t stack_bytes;         /* sync: owner; 0 = unknown */
	struct sh_thread_seen seen; /* sync: const once started; read back by the thread */
	int nice_error;             /* sync: const once started; SHUNT_E* */
};

/* Puts the calling thread into the worker's loop (worker.c). */
void *sh_worker_main(void *worker);
/*
 * Owner, inside a job: has its stack room for one more on top? Room for a handler that needs SH_STACK_RESERVE, beside
 * what the running one has used. Never on a stack of the handler's own.
 */
static inline bool sh_worker_has_room(const struct sh_worker *w)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0), end = w->stack_low + w->stack_bytes;
	uintptr_t job = (uintptr_t)w->running; /* in the frame that called its handler, or in w */

	if (here - w->stack_low >= w->stack_bytes)
		return false;
	return here - w->stack_low >= SH_STACK_RESERVE + (job > here && job < end ? job : end) - here;
}

/*
 * Owner, inside a job: takes a job of `group` from the bottom of its own deques, from *level on. False = none is left
 * that it may run now, the deadline has passed, or the stack has no room.
 */
bool sh_worker_take_of_group(struct sh_worker *w, uint32_t group, uint64_t deadline_ns, struct sh_item *item,
			     uint32_t *level);
/* The same: the oldest of its pinned jobs of a level; it waits for `handle`, or with 0 for `group`. */
bool sh_worker_take_pinned(struct sh_worker *w, uint32_t level, uint64_t deadline_ns, uint64_t handle, uint32_t group,
			   struct sh_item *item);
/*
 * Owner, inside a job: takes one item of the most urgent of `levels` that has any, own queues
 * first. Leaves the slot table alone, so that every level keeps its share of the loop's picks.
 */
bool sh_worker_pick_above(struct sh_worker *w, uint32_t levels, struct sh_item *item, uint32_t *level);
/* Owner: runs an item that it picked, if its job is of `levels`. True = a handler ran. */
bool sh_worker_run_above(struct sh_worker *w, uint32_t levels, struct sh_item item, uint32_t level);

/* Estimated work left at `now_ns`, ns. Of a worker that is busy for longer than it estimated: its usual time. */
static inline uint64_t sh_worker_left_ns(const struct sh_worker *w, uint64_t now_ns)
{
	uint64_t free_at = sh_a64_load_rlx(&w->free_at_ns); /* mo rlx: an estimate. */

	uint64_t rest = free_at & SH_WORKER_BUSY ? sh_a64_load_rlx(&w->ewma_ns) : 0; /* mo rlx: as above. */

	return (int64_t)(free_at - now_ns) > (int64_t)rest ? free_at - now_ns : rest;
}

#endif
