/*
 * sched/least_work.h - the default strategy of a pool (SHUNT_SELECT_LEAST_WORK), without callbacks,
 * and its lists of workers by speed. A pool embeds a struct sh_select_pool; choose.c asks it for a
 * worker, each worker publishes its speed in it.
 *
 * Algorithm: idle workers first, fast ones before slow ones. Hardly an arrival waits while a worker
 * is idle, as with the least work left of all ("Join-Idle-Queue", Lu et al., Performance Evaluation
 * 2011). With servers of mixed speed the fastest idle one is optimal for many servers (Weng, Zhou,
 * Srikant, POMACS 2020).
 * - Classes: the weight of a worker is learned time x failure penalty. Its class is the weight
 *   relative to a fast worker's: up to 1.4 times, 2.8, 5.6, 11.2, and above.
 * - Idle, up to 8 workers: only the first class is taken for being idle; no line of a worker is
 *   read.
 * - Idle, beyond 8: the first four classes, after a look into the ring, because many
 *   submitters see the same idle words. Workers of other classes are weighed like busy ones.
 * - No such worker: the cheapest of all up to 8 workers. Beyond, of 4 random ones (3 of the local
 *   node and 1 remote if the pool spans nodes), 2 that spin and 1 that is parked.
 * - Cost: work left + the wake-up of a parked one + this job x weight, the estimated end of this job.
 *   Costs within 1/16 are equal; of equals a random one is taken.
 * - Work left: what the worker published of itself, at most once a microsecond (sh_worker_left_ns). A
 *   worker that is over its time has at least its usual time left: otherwise long jobs would look
 *   like free workers.
 * - What this submitter has queued since (struct sh_select_recent) counts too, so a burst spreads
 *   before any worker has published it. What other submitters queue is seen when it is published.
 * - Exploration: one choice in 128 takes an idle worker of any class.
 *
 * Sums of 64 bits that cannot overflow, no division: (2^40 + 2^32) ns x 1000 + 2^32 ns x 2^17 x 5 < 2^60.
 *
 * Reads: the idle words and the class words (written when a worker turns idle or busy, or changes
 * its class), one line of each candidate (what the owner publishes), and the state line of the chosen
 * one, which the submit reads anyway. A choice writes no shared line.
 * Calls that may run together: all, after init; sh_select_pool_learn by one caller a slot.
 * Linearization: none is needed; a choice is a hint for placement.
 * Progress: wait-free. Bounds: one pass over the workers or the idle words, SPINNER_TRIES repeats.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CORE_SELECT_POOL_H
#define SH_CORE_SELECT_POOL_H

#include "base/atomic.h"
#include "policy/strategy.h"

#define SH_SELECT_CLASSES 5u
#define SH_SELECT_WORDS ((SHUNT_WORKERS_MAX + 63u) / 64u)
#define SH_SELECT_NODES 64u

struct sh_worker;

struct sh_select_pool {
	/* written rarely, when a worker's measured speed changes; weight: speed x penalty */
	/* sync: atomic */
	sh_a64 member[SH_SELECT_CLASSES][SH_SELECT_WORDS] SH_ALIGNED(SH_CACHELINE);
	sh_a32 weight[SHUNT_WORKERS_MAX]; /* sync: atomic, one writer each */
	sh_a32 fast;                      /* sync: atomic; of a fast worker */
	/* constants; unused places of `small` repeat the first worker */
	/* sync: const */
	const struct sh_worker *small[8] SH_ALIGNED(SH_CACHELINE);
	const struct sh_worker *const *worker; /* sync: const */
	const sh_a64 *spinning;                /* sync: const; words of the pool, as `parked` */
	const sh_a64 *parked;                  /* sync: const */
	uint32_t n;                            /* sync: const; workers without spares */
	uint32_t words;                        /* sync: const; 64-bit words for n */
	uint64_t all_small;                    /* sync: const; the workers as bits, 0 = above 8 */
	uint16_t first[SH_SELECT_NODES + 1];   /* sync: const; where a node begins in `order` */
	uint16_t order[SHUNT_WORKERS_MAX];     /* sync: const; workers by node slot */
};

/*
 * What a submitter has queued and the workers have not published yet. A worker that publishes counts
 * it, so an entry is valid while the worker's free_at_ns is the one that the submitter saw.
 */
#define SH_SELECT_RECENT 64u
struct sh_select_recent {
	struct {
		const struct sh_worker *worker;
		uint64_t seen;       /* its free_at_ns then */
		uint64_t free_at_ns; /* with what was queued since */
	} of[SH_SELECT_RECENT]; /* by slot, of the worker that was chosen last */
};

/* What one choice depends on. */
struct sh_select_ask {
	const uint64_t *can; /* workers that may take the job's level, SH_SELECT_WORDS words */
	uint32_t home;       /* node slot of the submitter or SHUNT_ANY */
	uint32_t start;      /* search for idle workers from here; SHUNT_ANY = from a random one */
	uint64_t job_ns;     /* learned time of the job, SH_COST_MAX at most */
	uint32_t wake_ns;    /* cost of a wake-up: time until a parked worker runs */
	uint32_t level;      /* of the job */
	uint64_t now_ns;
	const struct sh_select_recent *recent; /* the submitter's, NULL = none */
};

/*
 * The workers exist, with `node_slot` set, and no other thread knows v. 1 <= n <=
 * SHUNT_WORKERS_MAX. All start as fast.
 */
void sh_select_pool_init(struct sh_select_pool *v, const struct sh_worker *const *worker, uint32_t n,
			 const sh_a64 *spinning, const sh_a64 *parked);
/*
 * Publishes the speed (up to 100000 permille) and failures (up to 1000) of the worker in `slot`
 * (below n). Writes shared lines only when its weight changes by more than 1/32, or its class
 * changes.
 */
void sh_select_pool_learn(struct sh_select_pool *v, uint32_t slot, uint32_t speed_permille, uint32_t fail_permille);

/*
 * A spinning worker that may be taken for that alone, or SHUNT_ANY. Beyond 8 workers one that has
 * a job in its ring already is passed over, 8 times at most.
 */
uint32_t sh_select_spinning(const struct sh_select_pool *v, struct sh_select_state *st,
			    const struct sh_select_ask *ask);
/* Work left at w, with what the submitter of r (or NULL) queued there and w has not published. */
uint64_t sh_select_left_ns(const struct sh_select_recent *r, const struct sh_worker *w, uint64_t now_ns);
/* The submitter queues jobs of `work_ns`, learned time, to w. Later ones of that choice only add to it. */
void sh_select_queued(struct sh_select_recent *r, const struct sh_worker *w, uint64_t now_ns, uint64_t work_ns);

static inline void sh_select_queued_more(struct sh_select_recent *r, uint32_t slot, uint64_t work_ns)
{
	/* of another pool's worker, rarely: a wrong estimate until that one publishes */
	r->of[slot % SH_SELECT_RECENT].free_at_ns += work_ns;
}

/* The worker where the job would end first, as above; SHUNT_ANY = none is usable. */
uint32_t sh_select_least_work(const struct sh_select_pool *v, struct sh_select_state *st,
			      const struct sh_select_ask *ask);

#endif
