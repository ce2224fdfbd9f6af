/*
 * stress/conserve_world.h - the state of one seed of conserve_stress, and the checks of its sums at the end.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_STRESS_CONSERVE_WORLD_H
#define SH_STRESS_CONSERVE_WORLD_H

#include <pthread.h>

#include "churn.h"
#include "stress_util.h"

#define SUBMITTERS 8u
#define WORKERS_MAX 8u
#define COMPLETERS 2u
#define RECORDS 256u /* per submitter: so many recorded jobs in flight */
#define HELD_MAX 32u /* per submitter: handles not yet given back */
#define KEYS 8u      /* per submitter; the first half is never cancelled */
#define SHARDS 321u  /* one a worker or spare, the last for inline runs */

enum kind {
	KIND_PLAIN,
	KIND_FAIL,
	KIND_BLOCK,
	KIND_SPAWN,
	KIND_WAIT,
	KIND_ASYNC_LATER,
	KIND_ASYNC_EARLY,
	KIND_ASYNC_DIRECT,
	KINDS
};

struct record {
	sh_a32 entered SH_ALIGNED(SH_CACHELINE); /* handler entries */
	sh_a32 ended;                            /* handler reached its end, or the completer won */
	sh_a32 callbacks;
	sh_a32 busy; /* 1 = belongs to a job that is not over */
	uint32_t kind;
	uint32_t key;     /* index of its key, SHUNT_ANY = none */
	uint64_t seq;     /* in its key */
	bool callback;    /* done was asked for */
	sh_a32 cancelled; /* the submitter's cancel returned 0 */
	sh_a32 grouped;   /* its group was cancelled while it was pending */
	struct submitter *owner;
};

struct key_state {
	sh_a32 inside SH_ALIGNED(SH_CACHELINE);
	uint64_t last; /* sync: the job that runs */
	uint64_t next; /* sync: the submitter */
};

struct shard {
	sh_a64 count SH_ALIGNED(SH_CACHELINE);
	sh_a64 hash;
};

/* A handle and what its job was like: its record may serve another job by the time the handle is given back. */
struct held {
	struct shunt_job_id id;
	struct record *record;
	bool callback, cancellable;
};

struct submitter {
	pthread_t thread;
	struct sh_rng rng;
	uint32_t index;
	struct record *record;
	uint32_t hand;
	struct held held[HELD_MAX];
	uint32_t held_n;
	struct shunt_job_opts on_worker[WORKERS_MAX]; /* what a job for that worker has as options */
	struct key_state key[KEYS];
	struct shunt_group_id group;
	bool group_cancelled;
	/* the oracle */
	uint64_t accepted, bulk_count, bulk_hash, recorded, refused_full, cancelled, batches;
};

struct completion {
	struct shunt_job_id id;
	struct record *record;
};

/* One seed's world. Reset between seeds, when no thread but the main one is left. */
struct world {
	struct shunt_runtime *rt;
	struct shunt_pool_id pool;
	struct shunt_type_id bulk, recorded, async;
	uint32_t levels, workers;
	uint64_t jobs;
	uint8_t full;      /* policy that submitters prefer */
	bool drains;       /* drain and resume in the middle */
	bool leave_queued; /* destroy without drain */
	bool groups;
	sh_a32 completers_stop;
	sh_a64 failed, done, cancelled_cb, async_wins, spawned, spawned_hash, child_waits;
	struct churn churn;
	struct shard shard[SHARDS];
	struct submitter submitter[SUBMITTERS];
	pthread_mutex_t lock; /* the completions below */
	struct completion *completion;
	uint64_t completions, completed, completions_max;
};

extern struct world world;

struct totals {
	uint64_t accepted, bulk, hash, recorded, cancelled, refused;
};

/* Sums of what the submitters know; call when they have ended. */
struct totals conserve_totals(void);
/* After a drain that quiesced everything: each sum against its other side, and against a snapshot. */
void conserve_check_quiesced(void);
/* After a destroy with jobs queued: what ran, what was cancelled by hand and what destroy cancelled is everything. */
void conserve_check_destroyed(uint64_t by_destroy);

#endif
