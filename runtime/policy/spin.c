/* policy/spin.c - see spin.h. SPDX-License-Identifier: MIT */
#include "policy/spin.h"

#define LONGEST_WAKES 4u /* no candidate is longer than this many wake-ups */

/* The candidate that would have cost least. */
static uint64_t cheapest(const struct sh_spin *s, uint64_t wake_ns)
{
	uint64_t best = UINT64_MAX, best_ns = SH_SPIN_LEAST_NS, below = 0, above = 0;
	uint32_t i;

	for (i = 0; i < SH_SPIN_BUCKETS; i++)
		above += s->gap[i];
	for (i = 0; i < SH_SPIN_BUCKETS - 1; i++) {
		uint64_t spin_ns = (uint64_t)SH_SPIN_LEAST_NS << i, cost;

		below += s->gap[i] * (spin_ns - spin_ns / 4); /* the middle of the bucket */
		above -= s->gap[i];
		if (spin_ns > LONGEST_WAKES * wake_ns && i > 0)
			break;
		cost = below + above * (spin_ns + wake_ns);
		if (cost <= best) {
			best = cost;
			best_ns = spin_ns;
		}
	}
	return best_ns;
}

void sh_spin_add(struct sh_spin *s, uint64_t gap_ns, uint64_t wake_ns)
{
	uint64_t units = gap_ns / SH_SPIN_LEAST_NS;
	uint32_t b = units == 0 ? 0 : sh_log2_u64(units) + 1;

	s->gap[b < SH_SPIN_BUCKETS ? b : SH_SPIN_BUCKETS - 1] += 16;
	s->gaps++;
	if (s->gaps % SH_SPIN_EVERY == 0)
		s->best_ns = cheapest(s, wake_ns);
	if (s->gaps % SH_SPIN_HALVE == 0)
		for (uint32_t i = 0; i < SH_SPIN_BUCKETS; i++)
			s->gap[i] -= s->gap[i] / 2;
}
