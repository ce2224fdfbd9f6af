/* shunt/advise/judge.c - see advise/judge.h. SPDX-License-Identifier: MIT */
#include "advise/judge.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* from this many rounds on the spread omits the lowest and the highest one */
#define TRIM_FROM 5u
#define PAIRS_LEAST 3u  /* rounds that two rows have in common, else no difference is clear */
#define SAME_SHARE 0.05 /* of a figure; a smaller difference does not decide */
#define CPU_STEP 0.05   /* cpus; a smaller difference does not decide */

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return x < y ? -1 : x > y;
}

struct advise_figure advise_figure(double *value, size_t n)
{
	struct advise_figure f;
	size_t trim = n >= TRIM_FROM;

	assert(n > 0);
	qsort(value, n, sizeof(*value), ascending);
	f.median = n % 2 ? value[n / 2] : (value[n / 2 - 1] + value[n / 2]) / 2;
	f.low = value[trim];
	f.high = value[n - 1 - trim];
	return f;
}

void advise_figures(struct advise_row *row)
{
	for (int m = 0; m < ADVISE_METRICS; m++) {
		double v[ADVISE_ROUNDS_MAX] = { 0 };
		size_t n = 0;

		for (uint32_t r = 0; r < ADVISE_ROUNDS_MAX; r++)
			if (row->ran >> r & 1u)
				v[n++] = row->value[m][r];
		row->figure[m] = advise_figure(v, n);
	}
}

static int by_size(const void *a, const void *b)
{
	double x = fabs(*(const double *)a);
	double y = fabs(*(const double *)b);

	return x < y ? -1 : x > y;
}

/* The chance that of the ranks 1..n, each in or out as a coin falls, those that are in sum up to `sum` at most. */
static double chance_of(size_t n, double sum)
{
	double ways[ADVISE_ROUNDS_MAX * (ADVISE_ROUNDS_MAX + 1u) / 2u + 1u] = { 1 };
	size_t most = n * (n + 1) / 2;
	double few = 0;

	for (size_t rank = 1; rank <= n; rank++)
		for (size_t s = most; s >= rank; s--)
			ways[s] += ways[s - rank];
	for (size_t s = 0; s <= most && (double)s <= sum; s++)
		few += ways[s];
	return few / pow(2, (double)n);
}

int advise_compare(const struct advise_row *a, const struct advise_row *b, enum advise_metric by)
{
	double d[ADVISE_ROUNDS_MAX], lower = 0, higher = 0, median, seldom;
	size_t n = 0;

	for (uint32_t r = 0; r < ADVISE_ROUNDS_MAX; r++) {
		double x = a->value[by][r], y = b->value[by][r];

		if ((a->ran & b->ran) >> r & 1u && x != y)
			d[n++] = (x - y) / (x + y);
	}
	if (n < PAIRS_LEAST)
		return 0;
	qsort(d, n, sizeof(*d), by_size);
	for (size_t i = 0; i < n;) {
		size_t same = i + 1;
		double rank;

		while (same < n && fabs(d[same]) <= fabs(d[i]))
			same++;
		rank = (double)(i + 1 + same) / 2; /* the mean of i + 1 to same */
		for (; i < same; i++)
			*(d[i] < 0 ? &lower : &higher) += rank;
	}
	qsort(d, n, sizeof(*d), ascending);
	median = (d[(n - 1) / 2] + d[n / 2]) / 2;
	seldom = n == PAIRS_LEAST ? 1.0 / 8 : 1.0 / 16; /* three rounds cannot say more */
	if (fabs(median) < SAME_SHARE / 2 || chance_of(n, fmin(lower, higher)) > seldom)
		return 0;
	return lower > higher ? -1 : 1;
}

bool advise_judged(const struct advise_row *row)
{
	return row->carried && row->rounds > 0;
}

/* The row with the lowest median and pinned == which (which < 0: any), except `but`. */
static size_t lowest(const struct advise_row *rows, size_t n, enum advise_metric by, int which, size_t but)
{
	size_t best = ADVISE_NONE;

	for (size_t i = 0; i < n; i++) {
		if (i == but || !advise_judged(&rows[i]) || (which >= 0 && rows[i].pinned != (which == 1)))
			continue;
		if (best == ADVISE_NONE || rows[i].figure[by].median < rows[best].figure[by].median)
			best = i;
	}
	return best;
}

/* Of two rows equal by the criterion: does a need less, or is it nearer to the defaults? */
static bool preferred(const struct advise_row *a, const struct advise_row *b, enum advise_metric by)
{
	double cpu = round(a->figure[ADVISE_CPU].median / CPU_STEP) - round(b->figure[ADVISE_CPU].median / CPU_STEP);
	int queue = by == ADVISE_CPU ? advise_compare(a, b, ADVISE_QUEUE_P99) : 0;

	if (by != ADVISE_CPU && cpu != 0)
		return cpu < 0;
	if (queue != 0)
		return queue < 0;
	if (a->workers != b->workers)
		return a->workers < b->workers;
	if ((a->idle == ADVISE_ADAPTIVE) != (b->idle == ADVISE_ADAPTIVE))
		return a->idle == ADVISE_ADAPTIVE;
	if (a->pinned != b->pinned)
		return a->pinned;
	return a->figure[by].median < b->figure[by].median;
}

static enum advise_pinning judge_pinning(const struct advise_row *rows, enum advise_metric by,
					 const struct advise_verdict *v)
{
	int order;

	if (v->pinned == ADVISE_NONE || v->unpinned == ADVISE_NONE)
		return ADVISE_PINNING_UNKNOWN;
	order = advise_compare(&rows[v->pinned], &rows[v->unpinned], by);
	if (order == 0)
		return ADVISE_PINNING_NOISE;
	return order < 0 ? ADVISE_PINNED_BETTER : ADVISE_UNPINNED_BETTER;
}

void advise_judge(const struct advise_row *rows, size_t n, enum advise_metric by, struct advise_verdict *out)
{
	out->tied = 0;
	out->best = lowest(rows, n, by, -1, ADVISE_NONE);
	out->chosen = out->best;
	out->next = out->best == ADVISE_NONE ? ADVISE_NONE : lowest(rows, n, by, -1, out->best);
	out->pinned = lowest(rows, n, by, 1, ADVISE_NONE);
	out->unpinned = lowest(rows, n, by, 0, ADVISE_NONE);
	out->pinning = judge_pinning(rows, by, out);
	for (size_t i = 0; i < n && out->best != ADVISE_NONE; i++) {
		if (!advise_judged(&rows[i]) || advise_compare(&rows[i], &rows[out->best], by) > 0)
			continue;
		out->tied++;
		if (preferred(&rows[i], &rows[out->chosen], by))
			out->chosen = i;
	}
}
