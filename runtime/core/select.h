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
 * measured again. What a pool does by default, least work without callbacks, is in select_pool.h.
 *
 * Progress: wait-free. Thread: any, each with its own state. Costs are doubles, averages saturate.
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
	uint32_t next;     /* sync: owner; round-robin position, or choices so far */
	uint32_t seed_key; /* sync: const; the key of a submitter whose job has none */
};

/* Index of a usable worker, or -1 when none was usable. */
int sh_select(enum shunt_strategy s, const struct sh_select_view *v, struct sh_select_state *st, uint64_t key,
	bool has_key, uint32_t home);

/* One of the bits set in `mask` (1..255), each equally likely, for a random r. Broadword, without a branch. */
static inline uint32_t sh_select_bit8(uint32_t mask, uint64_t r)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
	/* Byte i is 1 when bit i is set, and then the number of bits set in 0..i. */
	uint64_t set = ((((uint64_t)mask * ones & UINT64_C(0x8040201008040201)) + (highs - ones)) >> 7) & ones;
	uint64_t upto = set * ones;
	uint64_t k = ((r >> 32) * (upto >> 56)) >> 32;

	assert(mask != 0 && mask < 256);
	/* The wanted bit comes after as many bytes as do not count more than k. */
	return (uint32_t)((((((k * ones) | highs) - upto) & highs) >> 7) * ones >> 56);
}

/*
 * Moving averages in integer nanoseconds, weight 1/8 for the new sample, independent of time. 0 = nothing known
 * yet: the first sample is taken whole (0 counts as 1). Steps are at least 1, so a constant sample is reached.
 */
uint64_t sh_ewma_next(uint64_t old, uint64_t sample);
/* The same for values below 2^32, without branches for the common case: once for each job. */
static inline uint32_t sh_ewma32_next(uint32_t old, uint32_t sample)
{
	int64_t d = (int64_t)(sample + (sample == 0)) - (int64_t)old;

	if (sh_unlikely(old == 0))
		return (uint32_t)d;
	return (uint32_t)((int64_t)old + ((d + (d > 0 ? 7 : 0)) >> 3)); /* away from old, so at least 1 */
}
/* Jumps up to a larger sample at once, comes down as above. */
uint64_t sh_ewma_peak_next(uint64_t old, uint64_t sample);
/* Permille of failures; old and result 0..1000. */
uint32_t sh_ewma_fail_next(uint32_t old, bool failed);

#endif
