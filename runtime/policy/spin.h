/*
 * policy/spin.h - how long an idle worker should spin before it parks, learned from the gaps that it
 * had. Pure: no clock, no thread; one owner. Called by sched/sleep.c.
 *
 * A worker that spins for S before it parks pays, for each gap up to S, the gap; for each longer
 * one, S and a wake-up. Gaps are counted by powers of two, recent ones more. Of the candidates for S
 * the one is taken that would have cost least; of equals the longest. (For gaps without memory this
 * is all or nothing: spinning pays only if gaps are shorter than a wake-up costs. Karlin et al.,
 * "Competitive randomized algorithms for nonuniform problems", Algorithmica 1994.)
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_POLICY_SPIN_H
#define SH_POLICY_SPIN_H

#include "base/compiler.h"

#define SH_SPIN_BUCKETS 16u
#define SH_SPIN_LEAST_NS 256u /* candidates: this, and twice as much each */
#define SH_SPIN_EVERY 16u     /* gaps between two decisions */
#define SH_SPIN_HALVE 64u     /* gaps after which all counts are halved */

/* All zero = nothing learned yet. */
struct sh_spin {
	uint32_t gap[SH_SPIN_BUCKETS]; /* bucket i: gaps below SH_SPIN_LEAST_NS << i, the last one all others; times 16 */
	uint32_t gaps;
	uint64_t best_ns; /* 0 = not learned yet */
};

/* Adds a gap. A wake-up costs wake_ns: of both threads, and what the job waits longer. */
void sh_spin_add(struct sh_spin *s, uint64_t gap_ns, uint64_t wake_ns);

#endif
