/*
 * core/rhythm.h - does something come in a steady rhythm, and when next? A worker whose jobs do sleeps until shortly before
 * the next one and meets it awake (worker_rhythm.c). Pure: no clock, no thread; one owner.
 *
 * Steady means SH_RHYTHM_SURE gaps in a row, each within 1/SH_RHYTHM_PART of the mean of those before it. Who waited in vain
 * for a beat says so, and SH_RHYTHM_SURE such gaps must be seen anew: in n arrivals it waits in vain at most
 * n / SH_RHYTHM_SURE times, however they come.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CORE_RHYTHM_H
#define SH_CORE_RHYTHM_H

#include "base/compiler.h"

#define SH_RHYTHM_SURE 8u
#define SH_RHYTHM_PART 16u
#define SH_RHYTHM_GAP_WAKES 4u /* a gap is longer than so many wake-ups cost: else spinning through it is better */
#define SH_RHYTHM_GAP_NS_MAX UINT64_C(100000000)

/* All zero: nothing seen yet. */
struct sh_rhythm {
	uint64_t last_ns; /* arrival; 0 = none */
	uint64_t mean_ns; /* EWMA of the gaps of this rhythm; 0 = none */
	uint64_t dev_ns;  /* EWMA of their distance from it */
	uint32_t regular; /* such gaps in a row, up to SH_RHYTHM_SURE */
};

/* One came at now_ns. */
void sh_rhythm_arrival(struct sh_rhythm *r, uint64_t now_ns);
/* The beat that sh_rhythm_next foretold did not come. */
void sh_rhythm_vain(struct sh_rhythm *r);
/*
 * When to be awake for the next beat and when to give it up, for one whom waking up takes wake_ns. Margin on both sides: that,
 * and four times the usual distance, at most 8 % of the gap. False: no rhythm, none worth it, or the beat is past.
 */
bool sh_rhythm_next(const struct sh_rhythm *r, uint64_t now_ns, uint64_t wake_ns, uint64_t *wake_at_ns, uint64_t *spin_until_ns);

static inline bool sh_rhythm_steady(const struct sh_rhythm *r)
{
	return r->regular >= SH_RHYTHM_SURE;
}

#endif
