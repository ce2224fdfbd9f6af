/*
 * stress/chaos_load.h - the work that goes on while a chaos scenario interferes: submitters with jobs of every kind
 * (levels, keys, groups, handles, cancels, asynchronous ones, spawns, waits inside jobs), completers, and the checks
 * when all has quiesced. One load at a time.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_STRESS_CHAOS_LOAD_H
#define SH_STRESS_CHAOS_LOAD_H

#include <pthread.h>

#include "chaos_ledger.h"

#define CHAOS_SUBMITTERS_MAX 16u
#define CHAOS_HELD_MAX 16u
#define CHAOS_KEYS_EACH 4u

struct chaos_load_opts {
	uint64_t seed, salt;  /* what a failure names; what the pool is drawn from */
	uint64_t duration_ns; /* about; the pace is made for it */
	uint32_t workers, submitters;
	enum shunt_idle idle;
	enum shunt_pin_policy pin;
	uint32_t jobs_max, queue_max, submitters_max, spares_max;
	uint32_t held_up_max; /* so many jobs may wait for one thread (keys, stated workers) */
	bool waits_in_jobs;   /* handlers block, wait and submit with SHUNT_ON_FULL_BLOCK */
	bool forever;         /* submitters wait without limit too */
	bool may_stop;        /* the scenario closes the runtime under the load: SHUNT_ESTOPPED is right */
	bool cells_may_lack;  /* no memory for a first histogram of a type: its series misses those jobs */
};

struct chaos_held {
	struct shunt_job_id id;
	struct chaos_job *job;
};

/* What one submitting thread keeps. Zeroed, then chaos_submitter_init. */
struct chaos_submitter {
	struct sh_rng rng;
	uint32_t index; /* which keys are its own; CHAOS_SUBMITTERS_MAX and above: none */
	struct chaos_thread *thread;
	struct chaos_held held[CHAOS_HELD_MAX];
	uint32_t held_n;
	uint64_t key_seq[CHAOS_KEYS_EACH];
	struct shunt_group_id group;
	bool group_cancelled;
};

struct chaos_load {
	struct shunt_runtime *rt;
	struct shunt_pool_id pool;
	struct shunt_type_id plain, async;
	struct chaos_load_opts o;
	uint32_t levels;
	uint64_t start_ns;
	sh_a32 stop, completers_stop;
	sh_a32 lull, lulled; /* 1 = the submitters shall rest; how many do */
	sh_a32 visit_wanted; /* 1 = the next handler calls `visit` */
	void (*visit)(void);
	uint32_t submitters, completers;
	pthread_t thread[CHAOS_SUBMITTERS_MAX], completer[2];
	struct chaos_submitter submitter[CHAOS_SUBMITTERS_MAX];
};

extern struct chaos_load chaos_load;

/* Reasonable options of a random pool, to be changed before start. */
void chaos_load_defaults(struct chaos_load_opts *o, struct sh_rng *rng, uint64_t seed, uint64_t duration_ns);
/* Creates runtime and pool, starts the threads; returns when every worker and submitter is in the table. */
void chaos_load_start(const struct chaos_load_opts *o);
/* Ends and joins the submitters, drains, ends the completers, compares ledger and snapshot, destroys. */
void chaos_load_finish(void);
/* Jobs that reached their end so far. */
uint64_t chaos_load_over(void);
/* Waits (the parent's watchdog looks) until n more jobs than now have ended; `what` says why they should. */
void chaos_load_until_moved(uint64_t n, const char *what);

/*
 * Lets the submitters rest until every accepted job has ended: a lost wake-up shows when nothing new comes. Not while a
 * thread is stopped.
 */
void chaos_load_lull(void);

/* A submitter of a thread of one's own. */
void chaos_submitter_init(struct chaos_submitter *s, uint32_t index, uint64_t seed);
/* One random step: submits, waits, cancels, changes its group. */
void chaos_submitter_turn(struct chaos_submitter *s);
/* Gives back what it holds, waiting for all (or only detaching). */
void chaos_submitter_fini(struct chaos_submitter *s, bool wait);

#endif
