/*
 * sched/pool.h - a pool: its structure, grouped by writer and cache line. Created by life/pool.c,
 * ended by life/pool_stop.c; used by every thread of the runtime, as the `sync:` tags say.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_POOL_H
#define SH_SCHED_POOL_H

#include <shunt/runtime.h>
#include "base/futex.h"
#include "base/limits.h"
#include "base/mem.h"
#include "lockfree/backlog.h"
#include "machine/cpulist.h"
#include "sched/least_work.h"
#include "sched/worker.h"

#define SH_SLOTS_TOTAL (SHUNT_WORKERS_MAX + SH_SPARES_MAX)
#define SH_WORDS ((SH_SLOTS_TOTAL + 63u) / 64u)

struct sh_strand;

struct sh_pool {
	/* line 1: hints; read by every thread, written on change only */
	sh_a32 stealable SH_ALIGNED(SH_CACHELINE); /* sync: atomic; levels that may have stealable work */
	sh_a32 backlog_bits;                       /* sync: atomic; levels with jobs in the backlog */
	sh_a32 capacity_waiters;                   /* sync: atomic; submitters blocked on capacity */
	sh_a32 stop;                               /* sync: atomic; 1 = workers leave */
	sh_a32 slots;                              /* sync: atomic; worker slots in use, with spares */
	sh_a32 blocked;                            /* sync: atomic, up under lock(spare_lock); workers declared blocked */
	sh_a32 unmeasured;                         /* sync: atomic; unmeasured workers, without spares */
	sh_a32 spares_active;                      /* sync: atomic; raised by spares that begin, else under lock(spare_lock) */
	sh_a32 watcher;                            /* sync: atomic; slot + 1 of the worker that watches the prompt ones, 0 = none */
	/* sync: atomic, changed under the lock of inherit.c; levels to which queued, running jobs are boosted */
	sh_a32 boosts, run_boosts;
	/* line 2: parked workers; bit set after state PARKED */
	sh_a64 idle[SH_WORDS] SH_ALIGNED(SH_CACHELINE); /* sync: atomic */
	/* line 3: spinning workers, a hint for placement */
	sh_a64 spinning[SH_WORDS] SH_ALIGNED(SH_CACHELINE); /* sync: atomic */
	/* line 4: queue_max accounting, used only when it is set */
	sh_a64 in_pool SH_ALIGNED(SH_CACHELINE); /* sync: atomic */
	sh_a32 releases;                         /* sync: atomic; futex word, counts releases */
	sh_a64 rejected, inlined;                /* sync: atomic; statistics */
	sh_a32 async_in_flight;                  /* sync: atomic */
	sh_a64 stop_cancelled; /* sync: atomic; jobs that a worker ended because the pool stopped */
	/* sync: the same; for each of these levels: which others are served at it, and run at it */
	sh_a32 boosted_to[SHUNT_LEVELS_MAX], run_boosted_to[SHUNT_LEVELS_MAX];
	/*
	 * workers by speed, for the default strategy; written when a worker's measured speed
	 * changes
	 */
	struct sh_select_pool select;
	/* constants */
	struct shunt_runtime *rt SH_ALIGNED(SH_CACHELINE);
	uint64_t local_nodes;   /* bit = node_slot; nodes with workers; 0 = all are on one node */
	uint32_t id;      /* public id */
	uint32_t index;   /* in the runtime's table; part of the id */
	uint32_t workers; /* without spares */
	uint32_t words;   /* 64-bit words with a bit for each worker and spare */
	uint32_t spares_max;
	uint32_t levels;
	uint32_t slot_n;
	uint8_t *slot_table;
	struct sh_worker *worker[SH_SLOTS_TOTAL];
	uint64_t can[SHUNT_LEVELS_MAX][SH_WORDS]; /* workers that may take a level */
	struct sh_backlog *backlog; /* [levels]; its store has room for every job and token, so never full */
	struct sh_segments segments;
	sh_a64 *backlog_dir; /* sync: const pointer */
	size_t backlog_dir_bytes;
	struct sh_strand *strand;
	uint32_t strand_mask;
	uint64_t spin_ns;
	uint32_t spinners_max;
	void *(*thread_main)(void *worker); /* sync: const; sh_worker_main */
	uint64_t submitted_before; /* sync: lock(control); jobs of destroyed types */
	uint64_t submitted_seen;   /* sync: lock(control); what snapshots said */
	sh_aptr *outside;          /* sync: atomic pointers to struct sh_stat with shared histograms, [types * levels] */
	sh_a64 *outside_finished;  /* sync: atomic; [types] */
	struct sh_mem mem;
	struct shunt_pool_opts opts; /* with defaults filled in; name is a copy, place and signals are not kept */
	uint64_t signals;            /* sync: const; those that its workers take (base/signals.h) */
	struct sh_cpus maker_cpus;   /* sync: const; affinity of the thread that made the pool; empty = unknown */
	bool made_in_job;            /* sync: const; that thread is a worker */
	int32_t maker_nice;          /* sync: const; nice value of that thread */
	bool pins_counted;           /* sync: const; its workers are counted in machine/pins.h */
	char name[SHUNT_NAME_MAX];
	char place[256];
	pthread_mutex_t spare_lock; /* counts of blocked workers, spares; rank 2, below control */
	pthread_t starter;          /* starter.h */
	bool has_starter;           /* sync: const once the pool is made */
	/* sync: lock(spare_lock); the starter makes a spare in place of this worker, or was asked to; it has ended */
	bool making, starter_over;
	const struct sh_worker *make_for;
	/* sync: lock(spare_lock); spares that could not be made, or gave up */
	uint32_t start_failures;
	/* sync: atomic, changed under lock(spare_lock); futex word of the starter */
	sh_a32 asked;
	/* sync: atomic; futex word, counts spares that were made, have begun or given up */
	sh_a32 starts;
	uint32_t types;            /* sync: lock(rt->control); types that name this pool */
};

/* Jobs that are queued to a worker, run by it, or pending asynchronously: an estimate, for strategies and snapshots. */
static inline uint32_t sh_worker_in_flight(const struct sh_worker *w)
{
	const struct sh_pool *p = w->pool;
	uint32_t n = sh_a32_load_rlx(&w->async_in_flight); /* mo rlx: an estimate, all of it. */
	uint64_t idle = sh_a64_load_rlx(&p->idle[w->slot / 64u]) | sh_a64_load_rlx(&p->spinning[w->slot / 64u]);
	/* mo rlx: as above. A spare that is not needed is in no set. */
	bool dormant = w->spare && sh_a32_load_rlx(&w->state) == SH_W_DORMANT;

	for (uint32_t l = 0; l < p->levels; l++)
		n += (uint32_t)(sh_ring_count(&w->ring[l]) + sh_ring_count(&w->pinned[l]) + sh_deque_count(&w->deque[l]));
	return n + !(dormant || (idle >> (w->slot % 64u) & 1u));
}

/*
 * Owner: levels that may have a job, here or at others. Each bit is set after a push; no job is
 * missed (hint.1, hint.2).
 */
static inline uint32_t sh_worker_hints(const struct sh_worker *w)
{
	/* mo rlx: polled again and again; what is true stays visible. */
	uint32_t own = w->deque_bits | sh_a32_load_rlx(&w->ring_bits) | sh_a32_load_rlx(&w->pin_bits);

	return own | sh_a32_load_rlx(&w->pool->backlog_bits) | sh_a32_load_rlx(&w->pool->stealable); /* mo rlx: as above. */
}

#endif
