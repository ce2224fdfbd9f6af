/*
 * core/select.h - the strategies of enum shunt_strategy as pure functions: which worker gets a job. Called by
 * pools at submit and by the stand-alone balancer. Nothing here writes shared memory; what is read through the
 * view may be stale, which is why every learning strategy samples or breaks ties at random: an argmin over
 * stale data sends every submitter to the same worker (Mitzenmacher, "How useful is old information?", 2000).
 *
 * Candidates of the learning strategies (least work, least loaded, locality): every usable worker when n <= 8,
 * else 3 drawn at random, at home where there are any, and one more drawn away from home. A draw tries 8 random
 * workers and then walks on from a random one, so a usable worker is found whenever there is one; bound: 8 + n
 * loads a draw. Peak-EWMA compares two different ones (Mitzenmacher, "The power of two choices", IEEE TPDS
 * 2001; cost as in Finagle's load balancer). Learned costs within 1/16 of the least count as equal. One choice
 * in 128 of least work and peak-EWMA takes a random idle worker, so that one which was slow or failed once is
 * measured again.
 *
 * Progress: wait-free. Thread: any, each with its own state. All arithmetic saturates.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CORE_SELECT_H
#define SH_CORE_SELECT_H

#include <shunt/runtime.h>

#include "base/compiler.h"
#include "base/rng.h"

/* Fills *out with what is known of worker i, 0 <= i < n. Called up to a few times a choice; must not block. */
typedef void (*sh_load_fn)(const void *obj, uint32_t i, struct shunt_worker_load *out);

struct sh_select_view {
	const void *obj;
	sh_load_fn load;
	uint32_t n;                        /* workers, 0 = none */
	shunt_select_fn user;              /* SHUNT_SELECT_USER */
	void *user_arg;
	struct shunt_worker_load *scratch; /* n elements of the calling thread; needed by USER when n > SHUNT_WORKERS_MAX */
};

struct sh_select_state {
	struct sh_rng rng; /* sync: owner */
	uint32_t next;     /* sync: owner; round-robin position */
	uint32_t seed_key; /* sync: const; the key of a submitter whose job has none */
};

/* Index of a usable worker, or -1 when none was usable. */
int sh_select(enum shunt_strategy s, const struct sh_select_view *v, struct sh_select_state *st, uint64_t key,
	bool has_key, uint32_t home);

/*
 * Moving averages in integer nanoseconds, weight 1/8 for the new sample, independent of time. 0 = nothing known
 * yet: the first sample is taken whole (0 counts as 1). Steps are at least 1, so a constant sample is reached.
 */
uint64_t sh_ewma_next(uint64_t old, uint64_t sample);
/* Jumps up to a larger sample at once, comes down as above. */
uint64_t sh_ewma_peak_next(uint64_t old, uint64_t sample);
/* Permille of failures; old and result 0..1000. */
uint32_t sh_ewma_fail_next(uint32_t old, bool failed);

#endif
