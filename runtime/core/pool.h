/*
 * core/pool.h - a pool and its workers: the structures, grouped by who writes which cache line, and the calls that
 * create, wake and stop them. Used by submit, worker, snapshot and runtime code.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CORE_POOL_H
#define SH_CORE_POOL_H

#include <pthread.h>

#include <shunt/runtime.h>

#include "base/atomic.h"
#include "base/futex.h"
#include "base/mem.h"
#include "core/job.h"
#include "core/rhythm.h"
#include "core/select.h"
#include "core/select_pool.h"
#include "lockfree/deque.h"
#include "lockfree/ring.h"
#include "lockfree/slab.h"
#include "metrics/histogram.h"

#define SH_SPARES_MAX 64u
#define SH_SLOTS_TOTAL (SHUNT_WORKERS_MAX + SH_SPARES_MAX)
#define SH_WORDS ((SH_SLOTS_TOTAL + 63u) / 64u)
#define SH_DEQUE_CAPACITY 8192u
#define SH_PINNED_CAPACITY 64u
#define SH_UNKNOWN_JOBS 8u /* a worker that ran fewer has nothing to be compared by */

/*
 * Worker state word. Every change is a CAS. PARKED is left by a waker (to WAKING, then a futex wake) or by the sleeper.
 * WAKING lasts until the worker runs: whoever sees it may repeat the wake, so a waker stopped before its system
 * call strands nobody.
 */
#define SH_W_RUNNING 0u
#define SH_W_PARKED 1u
#define SH_W_WAKING 4u
#define SH_W_DORMANT 2u /* a spare that stands in for nobody */

#define SH_STARTED_RUNNING 1u
#define SH_STARTED_FAILED 2u /* no submitter slot was left for it */
#define SH_STARTED_LEFT 3u   /* out of its loop */

/* {count:24 | ns:40}: jobs and their learned time, as one number that adds and subtracts. */
#define SH_COST_ONE (UINT64_C(1) << 40)
#define SH_COST_NS (SH_COST_ONE - 1)
#define SH_TOKEN_COST (SH_COST_ONE + 1000u)

/* Counters and histograms of one type at one level in one worker: one writer, read by snapshots. */
struct sh_stat {
	sh_a64 done, failed, cancelled;
	struct sh_hist *queue, *run, *total;
};

/* What a worker learned of a type, ns. */
struct sh_learned {
	uint32_t ewma; /* run-time EWMA without outliers: what workers are compared with */
	uint32_t mean; /* run-time EWMA of all that it ran */
};

/* How a worker waits for jobs (worker_rhythm.c). */
struct sh_waiting {
	struct sh_rhythm rhythm; /* of the jobs that ended its sleeps, and came from its own queues */
	uint64_t wake_at_ns;     /* this sleep ends then; SH_FOREVER = when it is woken */
	uint64_t spin_until_ns;  /* then a beat counts as missed */
	uint64_t late_ns;        /* so late it usually is when it wakes up by itself */
	uint64_t jobs, stolen;   /* its counters at the last such job; when it fell asleep */
	uint32_t singles;        /* beats in a row of one job, up to SH_RHYTHM_SURE */
	bool slept;              /* and ran nothing since */
	bool expects;            /* woke up by itself: spins until spin_until_ns */
};

#define SH_BATCH_MAX 32u

/* Plain jobs of one type and level that ran one after another (plain.h). */
struct sh_batch {
	uint32_t n;
	uint16_t type;
	uint8_t level;
	uint64_t stamp_ns; /* when the first of them started, by the clock */
	uint64_t cost;     /* that they were charged with */
	uint64_t submit_ns[SH_BATCH_MAX];
};

struct sh_type;

struct sh_worker {
	/* line 1: read by every submitter, written on park, wake, block, and when a checkpoint finds nothing */
	sh_a32 state SH_ALIGNED(SH_CACHELINE); /* sync: atomic; SH_W_* */
	sh_a32 blocked;                        /* sync: atomic; 1 while its job is declared blocked */
	sh_a32 pin_bits;                       /* sync: atomic; levels with jobs for this worker alone */
	sh_a32 full;                           /* sync: atomic; 1 while at its asynchronous capacity */
	sh_a32 ring_bits;                      /* sync: atomic; levels with jobs in its rings; for checkpoints */
	/* line 2: written by submitters */
	sh_a64 accepted SH_ALIGNED(SH_CACHELINE); /* sync: atomic; cost of everything ever reserved here */
	sh_a32 async_in_flight;                   /* sync: atomic */
	/* line 3: written by the owner, read by strategies */
	sh_a64 balance SH_ALIGNED(SH_CACHELINE); /* sync: atomic, one writer; accepted - balance = work left */
	sh_a64 ewma_ns;                          /* sync: atomic, one writer */
	sh_a32 speed_permille;                   /* sync: atomic, one writer */
	sh_a32 fail_permille;                    /* sync: atomic, one writer */
	/* line 4: the owner's statistics */
	sh_a64 jobs SH_ALIGNED(SH_CACHELINE); /* sync: atomic, one writer, as all of this line */
	sh_a64 stolen, parks, busy_ns;
	sh_a64 sleeps;                        /* tries to park; names each PARKED for wakers */
	sh_a64 wakes;                         /* sync: atomic; written by wakers */
	sh_a32 cpu_seen, pin_error, pin_verified;
	/* line 5: constants and the owner's private fields */
	struct sh_pool *pool SH_ALIGNED(SH_CACHELINE); /* sync: const */
	uint32_t slot;            /* sync: const; index in pool->worker, spares after the workers */
	int32_t cpu;              /* sync: const; -1 = not pinned */
	uint32_t node;            /* sync: const; NUMA os index or SHUNT_ANY */
	uint32_t node_slot;       /* sync: const; index of the slab node */
	uint32_t level_mask;      /* sync: const; levels it may take */
	uint32_t own_levels;      /* sync: const; levels of which it keeps what it spawns in its own deque */
	bool spare;               /* sync: const */
	struct sh_ring *ring;     /* sync: const; [levels] */
	struct sh_ring *pinned;   /* sync: const; [levels] */
	struct sh_deque *deque;   /* sync: const; [levels] */
	void *queue_mem;          /* sync: const */
	size_t queue_bytes;
	uint32_t *steal_order;    /* sync: const; other slots, near first */
	uint32_t steal_n;
	uint32_t deque_bits;      /* sync: owner; levels whose deque may hold something */
	bool brought;             /* sync: owner; share_leftover is due */
	bool async_used;          /* sync: owner; it ever ran an asynchronous job */
	uint8_t spin_shift;       /* sync: owner; it spins 2^so times the pool's spin_ns */
	uint32_t tick;            /* sync: owner; position in the slot table */
	const uint8_t *slot_table;/* sync: const; the pool's */
	struct sh_job *job_at_0;  /* sync: const; the runtime's descriptors */
	const struct sh_type *types; /* sync: const; the runtime's */
	uint32_t slot_n;          /* sync: const */
	uint8_t source_tick[SHUNT_LEVELS_MAX]; /* sync: owner; wraps at SH_OLDEST_PERIOD */
	uint16_t oldest_due[SHUNT_LEVELS_MAX]; /* sync: owner; wraps of it since the oldest own spawn had its turn */
	uint64_t now_ns;          /* sync: owner; end of the last job if it is recent, else 0 */
	struct shunt_job_ctx *running; /* sync: owner */
	struct sh_submitter *submitter; /* sync: owner; caches and counters of this thread */
	sh_aptr *stat;            /* sync: atomic pointers; [types * levels], filled by the owner */
	sh_a64 *finished;         /* sync: atomic, one writer; [types] */
	struct sh_learned *learned; /* sync: owner; [types] */
	struct sh_batch batch;    /* sync: owner; plain jobs that ran and are not in the books yet */
	struct shunt_job_ctx plain_ctx; /* sync: owner; of the plain job that runs */
	uint32_t expected;        /* sync: owner; the descriptor of the next job, it thinks; 0 = does not know */
	uint32_t samples;         /* sync: owner; times that it learned; wraps */
	struct sh_waiting waiting; /* sync: owner; how it sleeps and spins */
	pthread_t thread;
	sh_a32 started;           /* sync: atomic; SH_STARTED_* */
	bool has_thread;          /* sync: lock(pool->spare_lock) for spares, else const after create */
};

struct sh_strand {
	sh_a64 word;          /* sync: atomic; state | newest pending job:32 */
	uint32_t first, last; /* sync: the RUNNING claimer; jobs in submit order, taken from the word */
	sh_a32 tokens;        /* sync: atomic; tokens in queues */
} SH_ALIGNED(32);

struct sh_pool {
	/* line 1: hints, read by everybody, written on change only */
	sh_a32 hot SH_ALIGNED(SH_CACHELINE); /* sync: atomic; levels that may have work waiting at a busy worker */
	sh_a32 backlog_bits;                 /* sync: atomic; levels with jobs in the backlog */
	sh_a32 room_waiters;                 /* sync: atomic; submitters that wait for room */
	sh_a32 stop;                         /* sync: atomic; 1 = workers leave */
	sh_a32 slots;                        /* sync: atomic; worker slots in use, spares included */
	sh_a32 blocked;                      /* sync: atomic, up under lock(spare_lock); workers declared blocked */
	sh_a32 unknown;                      /* sync: atomic; workers that ran fewer than SH_UNKNOWN_JOBS, without spares */
	sh_a32 spares_active;                /* sync: atomic, changed under lock(spare_lock) */
	/* line 2: parked workers; bit set after state PARKED */
	sh_a64 idle[SH_WORDS] SH_ALIGNED(SH_CACHELINE); /* sync: atomic */
	/* line 3: spinning workers, a hint for placement */
	sh_a64 spinning[SH_WORDS] SH_ALIGNED(SH_CACHELINE); /* sync: atomic */
	/* line 4: queue_max accounting, used only when it is set */
	sh_a64 in_pool SH_ALIGNED(SH_CACHELINE); /* sync: atomic */
	sh_a32 room;                             /* sync: atomic; futex word, counts releases */
	sh_a64 rejected, inlined;                /* sync: atomic; statistics */
	sh_a32 async_in_flight;                  /* sync: atomic */
	sh_a64 stop_cancelled; /* sync: atomic; jobs that a worker ended because the pool stopped */
	/* who is fast, for the default choice; written when a worker is found to be of another speed */
	struct sh_select_pool select;
	/* constants */
	struct shunt_runtime *rt SH_ALIGNED(SH_CACHELINE);
	uint64_t homes;   /* bit = node_slot; the nodes that have workers, 0 unless some workers are elsewhere */
	uint32_t id;      /* index + 1 = public id */
	uint32_t workers; /* without spares */
	uint32_t words;   /* of 64 bits, that hold a bit for each worker and spare */
	uint32_t spares_max;
	uint32_t levels;
	uint32_t slot_n;
	uint8_t *slot_table;
	struct sh_worker *worker[SH_SLOTS_TOTAL];
	uint64_t can[SHUNT_LEVELS_MAX][SH_WORDS]; /* workers that may take a level */
	struct sh_ring *backlog; /* [levels]; as large as the arena, so never full */
	void *backlog_mem;
	size_t backlog_bytes;
	struct sh_strand *strand;
	uint32_t strand_mask;
	uint64_t spin_ns;
	uint32_t spinners_max;
	sh_aptr *outside;          /* sync: atomic pointers to struct sh_stat with shared histograms, [types * levels] */
	sh_a64 *outside_finished;  /* sync: atomic; [types] */
	struct sh_mem mem;
	struct shunt_pool_opts opts; /* with defaults filled in; name and place are copies */
	char name[SHUNT_NAME_MAX];
	char place[256];
	pthread_mutex_t spare_lock; /* blocked workers against stand-ins, spare threads; rank 2, below the control lock */
	uint32_t types;            /* sync: lock(rt->control); types that name this pool */
};

int sh_pool_create(struct shunt_runtime *rt, const struct shunt_pool_opts *opts, uint32_t id, struct sh_pool **out);
/* Tells the threads to leave after their running job and wakes them; does not wait. */
void sh_pool_stop(struct sh_pool *p);
/* Cancels everything that is queued; returns how many jobs. Any thread; also while workers still run. */
uint64_t sh_pool_cancel_queued(struct sh_pool *p);
/* True when every thread has left its loop. */
bool sh_pool_stopped(struct sh_pool *p);
/* Joins the threads and frees everything. After stop; forked: there are no threads, only memory. */
void sh_pool_free(struct sh_pool *p, bool forked);
/*
 * A job at `level` became visible to thieves: wakes one parked worker that may take it. NULL if that was done or none is
 * there; else a worker whose wake is under way: the caller may repeat it, in case its waker was stopped half way.
 */
struct sh_worker *sh_pool_wake_idle(struct sh_pool *p, uint32_t level);
/* An idle worker that may take `level` and ran too few jobs to be compared with others; SHUNT_ANY = none. */
uint32_t sh_pool_unknown(const struct sh_pool *p, uint32_t level);
/* Wakes w if it is parked (or, as above, being woken). True if this call moved it out of PARKED. */
bool sh_worker_wake(struct sh_worker *w);
/* Counts a blocked worker and lets a spare stand in. 0, or SHUNT_ELIMIT. */
int sh_pool_block_begin(struct sh_pool *p, struct sh_worker *w);
void sh_pool_block_end(struct sh_pool *p, struct sh_worker *w);
/* More stand-ins than blocked workers? For a spare's last look before it sleeps. */
bool sh_pool_spare_surplus(const struct sh_pool *p);
/* A spare with nothing to do: makes it DORMANT if there are more stand-ins than blocked workers. */
bool sh_pool_spare_retire(struct sh_pool *p, struct sh_worker *w);
/* Room was made: wakes submitters that wait for it. Cheap when nobody does. */
void sh_pool_room(struct sh_pool *p);
/*
 * An item that the caller holds goes to the pool's backlog, where a job costs SH_COST_ONE (its cost_ns becomes 0). The
 * caller tells the pool's workers (backlog_bits).
 */
void sh_backlog_push(struct sh_pool *p, const uint32_t *items, uint32_t n, uint32_t level);
/* Loads of one worker for the strategies. */
void sh_worker_load(const void *pool, uint32_t i, struct shunt_worker_load *out);
/* Makes the counters of a cell; NULL when out of memory. */
struct sh_stat *sh_stat_make(struct sh_mem *mem, sh_aptr *cell);
void sh_stat_free(struct sh_mem *mem, sh_aptr *cells, size_t n);

/* At its bound of asynchronous jobs, or its pool at the pool's. */
bool sh_worker_async_full(struct sh_worker *w);
/* Owner, inside a job: runs jobs of `group` from the bottom of its own deques, until there are none or the deadline. */
void sh_worker_help_group(struct sh_worker *w, uint32_t group, uint64_t deadline_ns);
/*
 * Owner, inside a job: takes one item of the most urgent of `levels` that has any, own queues first. Does not move the
 * slot table: every level keeps its share of the loop's picks.
 */
bool sh_worker_pick_above(struct sh_worker *w, uint32_t levels, uint32_t *item);
/* Owner: runs an item that it picked if its job is of `levels`. True = a handler ran. */
bool sh_worker_run_above(struct sh_worker *w, uint32_t levels, uint32_t item);
/* Owner, worker_rhythm.c: it falls asleep; for how long at most; it slept so long; a job that it picked after a sleep. */
void sh_worker_falls_asleep(struct sh_worker *w, bool listed);
uint64_t sh_worker_sleep_ns_max(const struct sh_worker *w);
void sh_worker_slept(struct sh_worker *w, uint64_t slept_ns, bool by_itself);
void sh_worker_met(struct sh_worker *w, uint32_t item);
/* Owner: has an adaptive worker that is idle since then spun enough? */
bool sh_worker_spun_enough(const struct sh_worker *w, uint64_t since_ns, uint64_t now_ns);
/* The calling thread is w's: binds it to its cpu, and notes where it really is (worker_pin.c). */
void sh_worker_pin(struct sh_worker *w);
/* Puts the calling thread into the worker's loop (worker.c). */
void *sh_worker_main(void *worker);

/* The counters of (type, level), made on first use; NULL when out of memory (then uncounted but for totals). */
static inline struct sh_stat *sh_stat_get(struct sh_mem *mem, sh_aptr *cell)
{
	/* mo E1 <- E1@core/pool.c: the cell's zeroed counters. */
	struct sh_stat *st = sh_aptr_load_acq(cell);

	return sh_likely(st != NULL) ? st : sh_stat_make(mem, cell);
}

static inline uint64_t sh_worker_left(const struct sh_worker *w)
{
	/* mo rlx: an estimate; both words only grow, and a reservation comes before the job. */
	uint64_t b = sh_a64_load_rlx(&w->balance);
	uint64_t left = sh_a64_load_rlx(&w->accepted) - b;

	return left >> 63 ? 0 : left; /* torn by concurrent updates: nothing left, rather than everything */
}

/* Owner: levels of which something may wait, here or at others. Each is set behind a push; none is lost (H1, H2). */
static inline uint32_t sh_worker_hints(const struct sh_worker *w)
{
	/* mo rlx: polled again and again; what is true stays visible. */
	uint32_t own = w->deque_bits | sh_a32_load_rlx(&w->ring_bits) | sh_a32_load_rlx(&w->pin_bits);

	return own | sh_a32_load_rlx(&w->pool->backlog_bits) | sh_a32_load_rlx(&w->pool->hot); /* mo rlx: as above. */
}

#endif
