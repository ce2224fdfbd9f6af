/*
 * policy/arrival.h - detects periodic arrivals and predicts the next one. A worker with periodic
 * jobs parks until shortly before the predicted arrival, and then spins (sleep.c). Pure: no clock,
 * no thread; one owner.
 *
 * Periodic means SH_ARRIVAL_SURE gaps in a row, each within 1/SH_RHYTHM_PART of the mean of those
 * before it. The worker reports a misprediction, which resets that count. So at most 1 in
 * SH_ARRIVAL_SURE arrivals is mispredicted, for any input.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CORE_RHYTHM_H
#define SH_CORE_RHYTHM_H

#include "base/compiler.h"

#define SH_ARRIVAL_SURE 8u
#define SH_RHYTHM_PART 16u
/* least gap, in wake-up costs: with a shorter one spinning through it is better */
#define SH_RHYTHM_GAP_WAKES 4u
#define SH_RHYTHM_GAP_NS_MAX UINT64_C(100000000)

/* All zero = nothing seen yet. */
struct sh_arrival {
	uint64_t last_ns; /* of the last arrival; 0 = none */
	uint64_t mean_ns; /* EWMA of the gaps; 0 = none */
	uint64_t dev_ns;  /* EWMA of their distance from mean_ns */
	uint32_t regular; /* regular gaps in a row, up to SH_ARRIVAL_SURE */
};

/* Records an arrival at now_ns. */
void sh_arrival_add(struct sh_arrival *r, uint64_t now_ns);
/* Records a misprediction: the arrival that sh_arrival_next predicted did not come. */
void sh_arrival_missed(struct sh_arrival *r);
/*
 * When to be awake for the next arrival, and until when to spin for it, if a wake-up costs wake_ns.
 * The margin on both sides is wake_ns and four times dev_ns, at most 8 % of the gap. False: not
 * periodic, a gap too short or too long to pay, or the arrival is overdue.
 */
bool sh_arrival_next(const struct sh_arrival *r, uint64_t now_ns, uint64_t wake_ns, uint64_t *wake_at_ns, uint64_t *spin_until_ns);

static inline bool sh_arrival_steady(const struct sh_arrival *r)
{
	return r->regular >= SH_ARRIVAL_SURE;
}

#endif
