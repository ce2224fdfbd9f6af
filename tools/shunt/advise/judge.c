/* shunt/advise/judge.c - see advise/judge.h. SPDX-License-Identifier: MIT */
#include "advise/judge.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* from this many rounds on the spread omits the lowest and the highest one */
#define TRIM_FROM 5u
#define CPU_STEP 0.05 /* cpus; a smaller difference does not decide */

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

bool advise_overlap(const struct advise_figure *a, const struct advise_figure *b)
{
	return a->low <= b->high && b->low <= a->high;
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

	if (by != ADVISE_CPU && cpu != 0)
		return cpu < 0;
	if (by == ADVISE_CPU && !advise_overlap(&a->figure[ADVISE_QUEUE_P99], &b->figure[ADVISE_QUEUE_P99]))
		return a->figure[ADVISE_QUEUE_P99].median < b->figure[ADVISE_QUEUE_P99].median;
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
	const struct advise_figure *pinned, *unpinned;

	if (v->pinned == ADVISE_NONE || v->unpinned == ADVISE_NONE)
		return ADVISE_PINNING_UNKNOWN;
	pinned = &rows[v->pinned].figure[by];
	unpinned = &rows[v->unpinned].figure[by];
	if (advise_overlap(pinned, unpinned))
		return ADVISE_PINNING_NOISE;
	return pinned->median < unpinned->median ? ADVISE_PINNED_BETTER : ADVISE_UNPINNED_BETTER;
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
		if (!advise_judged(&rows[i]) || !advise_overlap(&rows[i].figure[by], &rows[out->best].figure[by]))
			continue;
		out->tied++;
		if (preferred(&rows[i], &rows[out->chosen], by))
			out->chosen = i;
	}
}
