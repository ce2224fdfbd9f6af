/* bench/own/ideal.c - see ideal.h. SPDX-License-Identifier: MIT */
#include "ideal.h"

/* The first job of this level from i on; n = none. */
static size_t next_of(const uint8_t *level, size_t n, size_t i, unsigned wanted)
{
	while (i < n && (level[i] != 0) != (wanted != 0))
		i++;
	return i;
}

void own_ideal_levels(const double *arrive_ns, const double *service_ns, const uint8_t *level, size_t n,
		      unsigned servers, double *wait_ns)
{
	double free_at[OWN_SERVERS_MAX] = { 0 };
	size_t high = next_of(level, n, 0, 0);
	size_t low = next_of(level, n, 0, 1);

	if (servers > OWN_SERVERS_MAX)
		servers = OWN_SERVERS_MAX;
	/* bound: one job ends its wait in each round */
	while (high < n || low < n) {
		size_t first = high < low ? high : low; /* ascending: the lower index arrived first */
		unsigned s = 0;
		double now;
		size_t job;

		for (unsigned k = 1; k < servers; k++)
			if (free_at[k] < free_at[s])
				s = k;
		now = free_at[s] > arrive_ns[first] ? free_at[s] : arrive_ns[first];
		if (high < n && arrive_ns[high] <= now) {
			job = high;
			high = next_of(level, n, high + 1, 0);
		} else {
			job = low;
			low = next_of(level, n, low + 1, 1);
		}
		wait_ns[job] = now - arrive_ns[job];
		free_at[s] = now + service_ns[job];
	}
}
