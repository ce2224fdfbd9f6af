/*
 * metrics/histogram.c - see histogram.h: recording by several threads, snapshots of a histogram
 * that is being written, and the public calls of shunt/hist.h on the plain form.
 *
 * SPDX-License-Identifier: MIT
 */
#include "metrics/histogram.h"

#include <math.h>
#include <string.h>

#include <shunt/error.h>

#include "base/inject.h"
#include "base/mem.h"

/* What the buckets say about the values in them. */
struct shape {
	uint64_t count;
	size_t first;  /* lowest non-empty bucket, if count > 0 */
	size_t last;   /* highest one */
	sh_u128 lo;    /* smallest possible sum of the values */
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

/* A sum that the buckets allow: `sum` itself, else the sum of the middles, as in HdrHistogram. */
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
	/* A fresh histogram counts zeros without a call (0 - 0 <= 0), in bucket 0. */
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

	/* Bound: another thread raised it if this fails. Ends at the largest value in flight. */
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

void sh_hist_add(struct sh_hist *h, const struct sh_hist *from)
{
	for (size_t i = 0; i < SH_HIST_BUCKETS; i++) {
		uint64_t n = sh_a64_load_rlx(&from->counts[i]); /* mo rlx: nobody writes it. */

		if (n != 0) /* pages that are not used stay so */
			sh_a64_bump_owner(&h->counts[i], n);
	}
	/* mo rlx: as above. */
	sh_a64_bump_owner(&h->sum, sh_a64_load_rlx(&from->sum));
	sh_a64_bump_owner(&h->saturated, sh_a64_load_rlx(&from->saturated));
	raise_shared(&h->max, sh_a64_load_rlx(&from->max)); /* mo rlx: as above. */
	raise_shared(&h->min_inv, sh_a64_load_rlx(&from->min_inv));
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
		/* mo rlx: monotone counter of its writer; the header defines a snapshot. */
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
	/* mo rlx: statistics; limited to the buckets below. */
	raw = sh_a64_load_rlx(&h->sum);
	/* The counter is modulo 2^64: the smallest sum above lo that is congruent to it. */
	out->sum += shape_sum(&s, s.lo + (uint64_t)(raw - (uint64_t)s.lo));
	/* mo rlx: statistics; limited to the buckets. */
	v = shape_min(&s, ~sh_a64_load_rlx(&h->min_inv));
	out->min = v < out->min ? v : out->min;
	/* mo rlx: statistics; limited to the buckets. */
	v = shape_max(&s, sh_a64_load_rlx(&h->max));
	out->max = v > out->max ? v : out->max;
	/* mo rlx: statistics; limited to the top bucket. */
	v = sh_a64_load_rlx(&h->saturated);
	out->saturated += v < top ? v : top;
}

void sh_hist_snapshot(const struct sh_hist *h, struct shunt_hist *out)
{
	shunt_hist_reset(out);
	sh_hist_snapshot_add(h, out);
}

void sh_hist_clamp(struct shunt_hist *h)
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

static uint64_t clamp_value(uint64_t v)
{
	return v > SHUNT_HIST_HIGHEST_NS ? SHUNT_HIST_HIGHEST_NS : v;
}

int shunt_hist_create(struct shunt_hist **out)
{
	struct shunt_hist *h;

	if (!out)
		return SHUNT_EINVAL;
	*out = NULL;
	h = SH_FAIL("hist_alloc") ? NULL : sh_heap_alloc(1, sizeof(*h));
	if (!h)
		return SHUNT_ENOMEM;
	h->min = UINT64_MAX;
	*out = h;
	return SHUNT_OK;
}

void shunt_hist_destroy(struct shunt_hist *h)
{
	sh_heap_free(h);
}

void shunt_hist_reset(struct shunt_hist *h)
{
	assert(h != NULL);
	memset(h, 0, sizeof(*h));
	h->min = UINT64_MAX;
}

void shunt_hist_copy(struct shunt_hist *dst, const struct shunt_hist *src)
{
	assert(dst != NULL && src != NULL);
	if (dst != src)
		memcpy(dst, src, sizeof(*dst));
}

void shunt_hist_record(struct shunt_hist *h, uint64_t value_ns)
{
	(void)shunt_hist_record_n(h, value_ns, 1);
}

int shunt_hist_record_n(struct shunt_hist *h, uint64_t value_ns, uint64_t n)
{
	uint64_t v = clamp_value(value_ns);

	assert(h != NULL);
	if (n > (uint64_t)INT64_MAX || h->count > (uint64_t)INT64_MAX - n)
		return SHUNT_ELIMIT;
	if (n == 0)
		return SHUNT_OK;
	if (value_ns > SHUNT_HIST_HIGHEST_NS)
		h->saturated += n;
	h->counts[sh_hist_index(v)] += n;
	h->count += n;
	h->sum += (sh_u128)v * n;
	h->min = v < h->min ? v : h->min;
	h->max = v > h->max ? v : h->max;
	return SHUNT_OK;
}

uint64_t shunt_hist_count(const struct shunt_hist *h)
{
	return h->count;
}

uint64_t shunt_hist_saturated(const struct shunt_hist *h)
{
	return h->saturated;
}

uint64_t shunt_hist_min(const struct shunt_hist *h)
{
	return h->count ? h->min : 0;
}

uint64_t shunt_hist_max(const struct shunt_hist *h)
{
	return h->max;
}

double shunt_hist_mean(const struct shunt_hist *h)
{
	return h->count ? (double)h->sum / (double)h->count : 0.0;
}

double shunt_hist_stddev(const struct shunt_hist *h)
{
	double mean = shunt_hist_mean(h);
	double total = 0.0;
	size_t i;

	if (h->count == 0)
		return 0.0;
	for (i = 0; i < SH_HIST_BUCKETS; i++) {
		double d = (double)sh_hist_middle(i) - mean;

		if (h->counts[i] != 0)
			total += d * d * (double)h->counts[i];
	}
	return sqrt(total / (double)h->count);
}

uint64_t sh_hist_rank(uint64_t count, double percentile)
{
	double p = percentile > 0.0 ? nextafter(percentile, -INFINITY) : 0.0;
	double rank;

	if (percentile >= 100.0)
		return count;
	rank = ceil(p * (double)count / 100.0);
	if (rank < 1.0)
		return 1;
	return rank >= (double)count ? count : (uint64_t)rank;
}

void shunt_hist_percentiles(const struct shunt_hist *h, const double *percentile, uint64_t *out, size_t n)
{
	uint64_t seen = 0; /* values in buckets [0, i) */
	size_t i = 0;
	size_t k;

	assert(h != NULL);
	for (k = 0; k < n; k++) {
		uint64_t rank;

		if (h->count == 0) {
			out[k] = 0;
			continue;
		}
		rank = sh_hist_rank(h->count, percentile[k]);
		if (rank <= seen) { /* below the previous one: restart */
			seen = 0;
			i = 0;
		}
		while (seen + h->counts[i] < rank) {
			seen += h->counts[i++];
			assert(i < SH_HIST_BUCKETS);
		}
		out[k] = percentile[k] > 0.0 ? sh_hist_highest(i) : sh_hist_lowest(i);
	}
}

uint64_t shunt_hist_value_at_percentile(const struct shunt_hist *h, double percentile)
{
	uint64_t v = 0;

	shunt_hist_percentiles(h, &percentile, &v, 1);
	return v;
}

uint64_t shunt_hist_lowest_equivalent(uint64_t value_ns)
{
	return sh_hist_lowest(sh_hist_index(clamp_value(value_ns)));
}

uint64_t shunt_hist_highest_equivalent(uint64_t value_ns)
{
	return sh_hist_highest(sh_hist_index(clamp_value(value_ns)));
}

int shunt_hist_add(struct shunt_hist *h, const struct shunt_hist *from)
{
	size_t i;

	assert(h != NULL && from != NULL);
	if (from->count > (uint64_t)INT64_MAX || h->count > (uint64_t)INT64_MAX - from->count)
		return SHUNT_ELIMIT;
	for (i = 0; i < SH_HIST_BUCKETS; i++)
		h->counts[i] += from->counts[i];
	h->count += from->count;
	h->sum += from->sum;
	h->saturated += from->saturated;
	h->min = from->min < h->min ? from->min : h->min;
	h->max = from->max > h->max ? from->max : h->max;
	return SHUNT_OK;
}

int shunt_hist_subtract(struct shunt_hist *h, const struct shunt_hist *older)
{
	size_t i;

	assert(h != NULL && older != NULL);
	for (i = 0; i < SH_HIST_BUCKETS; i++)
		if (older->counts[i] > h->counts[i])
			return SHUNT_EINVAL;
	for (i = 0; i < SH_HIST_BUCKETS; i++)
		h->counts[i] -= older->counts[i];
	h->sum = h->sum > older->sum ? h->sum - older->sum : 0;
	h->saturated = h->saturated > older->saturated ? h->saturated - older->saturated : 0;
	/* min and max stay if the remaining buckets allow them, else become bucket borders. */
	sh_hist_clamp(h);
	return SHUNT_OK;
}

int shunt_hist_next(const struct shunt_hist *h, size_t *cursor, struct shunt_hist_bucket *bucket)
{
	size_t i;

	assert(h != NULL && cursor != NULL && bucket != NULL);
	for (i = *cursor; i < SH_HIST_BUCKETS; i++) {
		if (h->counts[i] == 0)
			continue;
		bucket->lowest_ns = sh_hist_lowest(i);
		bucket->highest_ns = sh_hist_highest(i);
		bucket->count = h->counts[i];
		*cursor = i + 1;
		return 1;
	}
	*cursor = SH_HIST_BUCKETS;
	return 0;
}
