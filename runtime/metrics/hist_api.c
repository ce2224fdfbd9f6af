/*
 * metrics/hist_api.c - the public histogram calls of shunt/hist.h on the plain form of histogram.h.
 * Called by users, by reports and by the log reader. SPDX-License-Identifier: MIT
 */
#include "metrics/histogram.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <shunt/error.h>

#include "base/inject.h"

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
	h = SH_FAIL("hist_alloc") ? NULL : calloc(1, sizeof(*h));
	if (!h)
		return SHUNT_ENOMEM;
	h->min = UINT64_MAX;
	*out = h;
	return SHUNT_OK;
}

void shunt_hist_destroy(struct shunt_hist *h)
{
	free(h);
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

/* How many values a percentile covers, 1..count: HdrHistogram's rounding, one step down, then up. */
static uint64_t percentile_rank(uint64_t count, double percentile)
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
		rank = percentile_rank(h->count, percentile[k]);
		if (rank <= seen) { /* below the previous one: start again */
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
	/* min and max of the whole stay if the remaining buckets hold them, else become bucket borders. */
	sh_hist_settle(h);
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
