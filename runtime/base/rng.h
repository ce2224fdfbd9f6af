/*
 * base/rng.h - small, fast, seedable generator (SplitMix64: Steele et al., OOPSLA 2014) for
 * placement sampling and tests. Not for secrets. Thread: the owner.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_BASE_RNG_H
#define SH_BASE_RNG_H

#include "base/compiler.h"

struct sh_rng {
	uint64_t s; /* sync: owner */
};

/* SplitMix64's finaliser: a bijection with good avalanche. Also hashes keys. */
static inline uint64_t sh_mix64(uint64_t x)
{
	x ^= x >> 30;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	x ^= x >> 27;
	x *= UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static inline void sh_rng_init(struct sh_rng *r, uint64_t seed)
{
	r->s = sh_mix64(seed + UINT64_C(0x9e3779b97f4a7c15));
}

static inline uint64_t sh_rng_next(struct sh_rng *r)
{
	r->s += UINT64_C(0x9e3779b97f4a7c15);
	return sh_mix64(r->s);
}

/* Uniform in 0..n-1 without a division (Lemire 2019, bias below 2^-32). n > 0. */
static inline uint32_t sh_rng_below(struct sh_rng *r, uint32_t n)
{
	assert(n > 0);
	return (uint32_t)(((sh_rng_next(r) >> 32) * n) >> 32);
}

#endif
