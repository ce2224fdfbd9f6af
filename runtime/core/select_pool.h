/*
 * core/select_pool.h - the default choice of a pool (SHUNT_SELECT_LEAST_WORK) without callbacks, and its list of idle
 * workers by speed. A pool embeds a struct sh_select_pool; submit asks it, the workers keep their class in it.
 *
 * Idle workers first, fast ones before slow ones: hardly an arrival waits while a worker is idle, as with the least
 * work left of all ("Join-Idle-Queue", Lu et al., Performance Evaluation 2011; the fastest idle one is optimal for many
 * servers of mixed speed: Weng, Zhou, Srikant, POMACS 2020). A worker is in one of five classes by its weight, learned
 * time x penalty, against a fast one's: up to 1.4 times, 2.8, 5.6, 11.2, and above. Up to 8 workers only the first
 * class is taken for being idle, and no line of a worker is read to find one; beyond 8 the first four, after a look at
 * the reservations, because many submitters see the same idle words. The others are weighed like busy ones.
 *
 * With nobody idle: the cheapest of all up to 8 workers, of 4 random ones beyond (3 at home and 1 away where there is
 * a home), 2 that spin and 1 that sleeps. Cost = (work left + this job + the wake if it sleeps) x weight: when this job
 * would end here. Work left is what is reserved, because a submit reserves before it publishes; what is less than 1/16
 * dearer counts as equal, and of equals a random one is taken. Products of 64 bits that cannot overflow, no division:
 * (2^40 + 2^33) ns x 2^17 x 5 < 2^60. One choice in 128 takes an idle worker whatever is thought of it.
 *
 * What a choice reads: the idle words and the class words (written when a worker turns idle or busy, or changes its
 * class), then two lines of each candidate (reservations; what the owner publishes), then the state line of the one
 * chosen, which the submit reads anyway. It writes nothing shared.
 *
 * Progress: wait-free. Which calls may run together: all, after init; sh_select_pool_learn by one caller per slot.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CORE_SELECT_POOL_H
#define SH_CORE_SELECT_POOL_H

#include "base/atomic.h"
#include "core/select.h"

#define SH_SELECT_CLASSES 5u
#define SH_SELECT_WORDS ((SHUNT_WORKERS_MAX + 63u) / 64u)
#define SH_SELECT_NODES 64u

struct sh_worker;

struct sh_select_pool {
	/* written rarely, when a worker is found to be of another speed; weight: speed x penalty */
	sh_a64 member[SH_SELECT_CLASSES][SH_SELECT_WORDS] SH_ALIGNED(SH_CACHELINE); /* sync: atomic */
	sh_a32 weight[SHUNT_WORKERS_MAX];                                           /* sync: atomic, one writer each */
	sh_a32 fast;                                                                /* sync: atomic; a fast one's */
	/* constants */
	const struct sh_worker *small[8] SH_ALIGNED(SH_CACHELINE); /* sync: const; filled up with the first */
	const struct sh_worker *const *worker;                     /* sync: const */
	const sh_a64 *spinning;                                    /* sync: const; words of the pool, as `parked` */
	const sh_a64 *parked;                                      /* sync: const */
	uint32_t n;                                                /* sync: const; workers, stand-ins left out */
	uint32_t words;                                            /* sync: const; 64-bit words for n */
	uint64_t all_small;                                        /* sync: const; the workers as bits, 0 = above 8 */
	uint16_t first[SH_SELECT_NODES + 1];                       /* sync: const; a node's beginning in `order` */
	uint16_t order[SHUNT_WORKERS_MAX];                         /* sync: const; workers by node slot */
};

/* What one choice depends on. */
struct sh_select_ask {
	const uint64_t *can; /* workers that may take the job's level, SH_SELECT_WORDS words */
	uint32_t home;       /* node slot of the submitter or SHUNT_ANY */
	uint32_t start;      /* idle workers are looked for from here on; SHUNT_ANY = from a random one each time */
	uint32_t job_ns;     /* learned time of the job */
	uint32_t wake_ns;    /* what waking a sleeper costs, in time until it runs */
};

/* The workers exist, with `node_slot` set; no other thread does. 1 <= n <= SHUNT_WORKERS_MAX. All are fast. */
void sh_select_pool_init(struct sh_select_pool *v, const struct sh_worker *const *worker, uint32_t n,
			 const sh_a64 *spinning, const sh_a64 *parked);
/*
 * What the worker in `slot` (below n) is known by: its speed (up to 100000 permille) and failures (up to 1000). Writes
 * shared lines only when its weight is another by more than 1/32, or its class.
 */
void sh_select_pool_learn(struct sh_select_pool *v, uint32_t slot, uint32_t speed_permille, uint32_t fail_permille);

/*
 * A spinning worker that may be taken for that alone, or SHUNT_ANY. Beyond 8 workers one for which another
 * submitter's reservation is already there is passed over, 8 times at most.
 */
uint32_t sh_select_spinning(const struct sh_select_pool *v, struct sh_select_state *st,
			    const struct sh_select_ask *ask);
/* The worker where the job would end first, as above; SHUNT_ANY when none is usable. */
uint32_t sh_select_least_work(const struct sh_select_pool *v, struct sh_select_state *st,
			      const struct sh_select_ask *ask);

#endif
