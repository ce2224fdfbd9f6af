/*
 * shunt/hist/cells.h - a histogram of any precision: its non-empty buckets, sorted. Sums the intervals of a series,
 * also if their writers chose different ranges. Called by cmd_hist.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_HIST_CELLS_H
#define SHUNT_HIST_CELLS_H

#include <stddef.h>
#include <stdint.h>

#include <shunt/hist.h>

/* All zero is an empty one. */
struct cells {
	struct shunt_hist_bucket *cell; /* ascending by highest_ns, then by lowest_ns; each once */
	size_t n, room;
	uint64_t count; /* their sum, at most 2^63-1 */
};

void cells_fini(struct cells *c);
/* Makes *c the histogram that r read last. 0, or SHUNT_ENOMEM. */
int cells_read(struct cells *c, struct shunt_hlog_reader *r);
/* Adds every bucket of `from`. 0; SHUNT_ELIMIT (the sum would exceed 2^63-1), SHUNT_ENOMEM: *c is unchanged. */
int cells_add(struct cells *c, const struct cells *from);
/* As shunt_hist_value_at_percentile, _mean, _max: 0 when empty. */
uint64_t cells_percentile(const struct cells *c, double percentile);
double cells_mean(const struct cells *c);
uint64_t cells_max(const struct cells *c);
/* The values in the last bucket of a log of shunt itself: larger ones are counted there. */
uint64_t cells_at_limit(const struct cells *c);

#endif
