/*
 * metrics/histogram.c - see histogram.h: the shared record, and reading a histogram that is being written.
 * SPDX-License-Identifier: MIT
 */
#include "metrics/histogram.h"

#include <string.h>

/* What a set of buckets says about the values in it. */
struct shape {
	uint64_t count;
	size_t first;  /* lowest non-empty bucket, if count > 0 */
	size_t last;   /* highest one */
	sh_u128 lo;    /* smallest sum the values can have */
	sh_u128 mid;   /* sum if each were the middle of its bucket */
	sh_u128 hi;    /* largest possible sum */
};

static void shape_see(struct shape *s, size_t i, uint64_t n)
{
	if (s->count == 0)
		s->first = i;
	s->last = i;
	s->count += n;
	s->lo += (sh_u128)n * sh_hist_lowest(i);
	s->mid += (sh_u128)n * sh_hist_middle(i);
	s->hi += (sh_u128)n * sh_hist_highest(i);
}

static uint64_t hold(uint64_t v, uint64_t lowest, uint64_t highest)
{
	assert(lowest <= highest);
	return v < lowest ? lowest : v > highest ? highest : v;
}

/* A sum the buckets allow: `sum` itself if it is one, else that of the middles, as HdrHistogram has it. */
static sh_u128 shape_sum(const struct shape *s, sh_u128 sum)
{
	return sum >= s->lo && sum <= s->hi ? sum : s->mid;
}

static uint64_t shape_min(const struct shape *s, uint64_t min)
{
	return hold(min, sh_hist_lowest(s->first), sh_hist_highest(s->first));
}

static uint64_t shape_max(const struct shape *s, uint64_t max)
{
	return hold(max, sh_hist_lowest(s->last), sh_hist_highest(s->last));
}

struct sh_hist *sh_hist_init(void *zeroed)
{
	assert(zeroed != NULL);
	assert(((uintptr_t)zeroed & (SH_CACHELINE - 1u)) == 0);
	return zeroed;
}

uint64_t sh_hist_widen(struct sh_hist *h, uint64_t v)
{
	/* mo rlx: single-writer statistics; read only by snapshot. */
	uint64_t max = sh_a64_load_rlx(&h->max);
	/* mo rlx: single-writer statistics; read only by snapshot. */
	uint64_t min = ~sh_a64_load_rlx(&h->min_inv);

	if (v > SHUNT_HIST_HIGHEST_NS) {
		sh_a64_bump_owner(&h->saturated, 1);
		v = SHUNT_HIST_HIGHEST_NS;
	}
	/* A fresh histogram lets zeros pass without a call (0 - 0 <= 0); snapshots find them in bucket 0. */
	min = v < min ? v : min;
	max = v > max ? v : max;
	/* mo rlx: single-writer statistics; read only by snapshot. */
	sh_a64_store_rlx(&h->min_inv, ~min);
	/* mo rlx: single-writer statistics; read only by snapshot. */
	sh_a64_store_rlx(&h->max, max);
	h->lo = min;
	h->span = max - min;
	return v;
}

/* Raises *a to at least v. */
static void raise_shared(sh_a64 *a, uint64_t v)
{
	/* mo rlx: statistic; read only by snapshot. */
	uint64_t seen = sh_a64_load_rlx(a);

	/* Bound: a failed exchange means another thread raised it; it ends at the largest value in flight. */
	/* mo rlx: statistic; read only by snapshot. */
	while (v > seen && !sh_a64_cas_rlx(a, &seen, v))
		continue;
}

void sh_hist_record_shared(struct sh_hist *h, uint64_t v)
{
	if (sh_unlikely(v > SHUNT_HIST_HIGHEST_NS)) {
		/* mo rlx: statistic; read only by snapshot. */
		(void)sh_a64_add_rlx(&h->saturated, 1);
		v = SHUNT_HIST_HIGHEST_NS;
	}
	/* mo rlx: statistics; read only by snapshot. */
	(void)sh_a64_add_rlx(&h->counts[sh_hist_index(v)], 1);
	/* mo rlx: statistics; read only by snapshot. */
	(void)sh_a64_add_rlx(&h->sum, v);
	raise_shared(&h->max, v);
	raise_shared(&h->min_inv, ~v);
}

void sh_hist_snapshot_add(const struct sh_hist *h, struct shunt_hist *out)
{
	struct shape s = { 0 };
	uint64_t top = 0;
	uint64_t raw;
	uint64_t v;
	size_t i;

	assert(h != NULL && out != NULL);
	for (i = 0; i < SH_HIST_BUCKETS; i++) {
		/* mo rlx: monotone counter of its writer; see the header for what a snapshot is. */
		uint64_t n = sh_a64_load_rlx(&h->counts[i]);

		if (n == 0)
			continue;
		out->counts[i] += n;
		shape_see(&s, i, n);
		if (i == SH_HIST_TOP)
			top = n;
	}
	if (s.count == 0)
		return;
	out->count += s.count;
	/* mo rlx: statistics; held to the buckets below. */
	raw = sh_a64_load_rlx(&h->sum);
	/* The counter is modulo 2^64: take the smallest sum above lo that is congruent to it. */
	out->sum += shape_sum(&s, s.lo + (uint64_t)(raw - (uint64_t)s.lo));
	/* mo rlx: statistics; held to the buckets. */
	v = shape_min(&s, ~sh_a64_load_rlx(&h->min_inv));
	out->min = v < out->min ? v : out->min;
	/* mo rlx: statistics; held to the buckets. */
	v = shape_max(&s, sh_a64_load_rlx(&h->max));
	out->max = v > out->max ? v : out->max;
	/* mo rlx: statistics; held to the top bucket. */
	v = sh_a64_load_rlx(&h->saturated);
	out->saturated += v < top ? v : top;
}

void sh_hist_snapshot(const struct sh_hist *h, struct shunt_hist *out)
{
	shunt_hist_reset(out);
	sh_hist_snapshot_add(h, out);
}

void sh_hist_settle(struct shunt_hist *h)
{
	struct shape s = { 0 };
	size_t i;

	for (i = 0; i < SH_HIST_BUCKETS; i++)
		if (h->counts[i] != 0)
			shape_see(&s, i, h->counts[i]);
	if (s.count == 0) {
		shunt_hist_reset(h);
		return;
	}
	h->count = s.count;
	h->sum = shape_sum(&s, h->sum);
	h->min = shape_min(&s, h->min);
	h->max = shape_max(&s, h->max);
	if (h->saturated > h->counts[SH_HIST_TOP])
		h->saturated = h->counts[SH_HIST_TOP];
}
