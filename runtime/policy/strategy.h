/*
 * policy/strategy.h - the strategies of enum shunt_strategy as pure functions: which worker gets a
 * job. Called by pools at submit and by the stand-alone balancer.
 *
 * Nothing here writes shared memory. What is read through the view may be stale, so every learning
 * strategy samples or breaks ties at random: an argmin over stale data sends all submitters to the
 * same worker (Mitzenmacher, "How useful is old information?", 2000).
 *
 * - Candidates of least work, least loaded and locality: every usable worker when n <= 8. Beyond: 3
 *   random ones of the local node if it has any, and one of another node.
 * - A draw tries 8 random workers, then scans from a random one, so it finds a usable worker if
 *   there is one. Bound: 8 + n loads per draw.
 * - Peak-EWMA compares two distinct workers (Mitzenmacher, "The power of two choices", IEEE TPDS
 *   2001; cost as in Finagle's load balancer).
 * - Measured costs within 1/16 of the least count as equal.
 * - Exploration: one choice in 128 of least work and peak-EWMA takes a random idle worker, so that
 *   one that was slow or failed once is measured again.
 *
 * The default of a pool, least work without callbacks, is in least_work.h.
 *
 * Progress: wait-free.
 * Thread: any, each with its own state. Costs are doubles, averages saturate.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CORE_SELECT_H
#define SH_CORE_SELECT_H

#include <shunt/runtime.h>
#include "base/compiler.h"
#include "base/rng.h"

/* Fills *out with the estimates of worker i < n. Runs a few times per choice; must not block. */
typedef void (*sh_load_fn)(const void *obj, uint32_t i, struct shunt_worker_load *out);

struct sh_select_view {
	const void *obj;
	sh_load_fn load;
	uint32_t n;                        /* workers, 0 = none */
	shunt_select_fn user;              /* SHUNT_SELECT_USER */
	void *user_arg;
	/* n elements of the calling thread; USER needs it when n > SHUNT_WORKERS_MAX */
	struct shunt_worker_load *scratch;
};

struct sh_select_state {
	struct sh_rng rng; /* sync: owner */
	uint32_t next;     /* sync: owner; round-robin position, or number of choices */
	uint32_t seed_key; /* sync: const; key of a submitter for jobs without one */
};

/* Index of a usable worker, or -1 if none is usable. */
int sh_select(enum shunt_strategy s, const struct sh_select_view *v, struct sh_select_state *st, uint64_t key,
	bool has_key, uint32_t home);

/* A random one of the bits set in `mask` (1..255), for a random r. Broadword, no branch. */
static inline uint32_t sh_select_bit8(uint32_t mask, uint64_t r)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
	/* Byte i becomes 1 if bit i is set, then the number of bits set in 0..i. */
	uint64_t set = ((((uint64_t)mask * ones & UINT64_C(0x8040201008040201)) + (highs - ones)) >> 7) & ones;
	uint64_t upto = set * ones;
	uint64_t k = ((r >> 32) * (upto >> 56)) >> 32;

	assert(mask != 0 && mask < 256);
	/* Skips the bytes that count at most k; the next one is the wanted bit. */
	return (uint32_t)((((((k * ones) | highs) - upto) & highs) >> 7) * ones >> 56);
}

#endif
