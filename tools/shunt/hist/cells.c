/* shunt/hist/cells.c - see hist/cells.h. SPDX-License-Identifier: MIT */
#include "hist/cells.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <shunt/error.h>

#include "hist/log_shim.h"

void cells_fini(struct cells *c)
{
	free(c->cell);
	(void)memset(c, 0, sizeof(*c));
}

/* Room for n cells. */
static int reserve(struct cells *c, size_t n)
{
	size_t room = c->room ? c->room : 64;
	struct shunt_hist_bucket *p;

	if (n <= c->room)
		return SHUNT_OK;
	while (room < n) /* bound: doubles up to n, which was counted in memory */
		room *= 2;
	p = realloc(c->cell, room * sizeof(*p));
	if (!p)
		return SHUNT_ENOMEM;
	c->cell = p;
	c->room = room;
	return SHUNT_OK;
}

/* < 0, 0, > 0: the place of a in the order is before, at, behind that of b. */
static int compare(const struct shunt_hist_bucket *a, const struct shunt_hist_bucket *b)
{
	if (a->highest_ns != b->highest_ns)
		return a->highest_ns < b->highest_ns ? -1 : 1;
	return (a->lowest_ns > b->lowest_ns) - (a->lowest_ns < b->lowest_ns);
}

int cells_read(struct cells *c, struct shunt_hlog_reader *r)
{
	struct shunt_hist_bucket b;

	c->n = 0;
	c->count = 0;
	while (hist_log_bucket(r, &b)) { /* bound: the buckets of one histogram */
		if (reserve(c, c->n + 1) != SHUNT_OK)
			return SHUNT_ENOMEM;
		assert(c->n == 0 || compare(&c->cell[c->n - 1], &b) < 0);
		c->cell[c->n++] = b;
		c->count += b.count;
	}
	return SHUNT_OK;
}

/* How many cells of `from` are not in c. */
static size_t new_cells(const struct cells *c, const struct cells *from)
{
	size_t at = 0;
	size_t n = 0;

	for (size_t i = 0; i < from->n; i++) {
		while (at < c->n && compare(&c->cell[at], &from->cell[i]) < 0)
			at++;
		n += at == c->n || compare(&c->cell[at], &from->cell[i]) != 0;
	}
	return n;
}

int cells_add(struct cells *c, const struct cells *from)
{
	size_t more = new_cells(c, from);
	size_t old = c->n;
	size_t i = from->n;

	if (from->count > (uint64_t)INT64_MAX - c->count)
		return SHUNT_ELIMIT;
	if (reserve(c, c->n + more) != SHUNT_OK)
		return SHUNT_ENOMEM;
	c->n += more;
	c->count += from->count;
	/* From the end, so that nothing is overwritten before it moved. */
	for (size_t to = c->n; i > 0; to--) {
		int order = old == 0 ? -1 : compare(&c->cell[old - 1], &from->cell[i - 1]);

		assert(to > 0);
		if (order > 0) {
			c->cell[to - 1] = c->cell[--old];
		} else if (order < 0) {
			c->cell[to - 1] = from->cell[--i];
		} else {
			c->cell[to - 1] = c->cell[--old];
			c->cell[to - 1].count += from->cell[--i].count;
		}
	}
	return SHUNT_OK;
}

uint64_t cells_percentile(const struct cells *c, double percentile)
{
	uint64_t rank;
	uint64_t seen = 0;
	size_t i = 0;

	if (c->count == 0)
		return 0;
	rank = hist_log_rank(c->count, percentile);
	while (seen + c->cell[i].count < rank) { /* bound: the cells, which add up to count */
		seen += c->cell[i++].count;
		assert(i < c->n);
	}
	return percentile > 0.0 ? c->cell[i].highest_ns : c->cell[i].lowest_ns;
}

double cells_mean(const struct cells *c)
{
	double sum = 0.0;

	for (size_t i = 0; i < c->n; i++) {
		uint64_t half = (c->cell[i].highest_ns - c->cell[i].lowest_ns + 1u) >> 1;

		sum += (double)(c->cell[i].lowest_ns + half) * (double)c->cell[i].count;
	}
	return c->count ? sum / (double)c->count : 0.0;
}

uint64_t cells_max(const struct cells *c)
{
	return c->n ? c->cell[c->n - 1].highest_ns : 0;
}

uint64_t cells_at_limit(const struct cells *c)
{
	const struct shunt_hist_bucket *last = c->n ? &c->cell[c->n - 1] : NULL;
	uint64_t lowest = shunt_hist_lowest_equivalent(SHUNT_HIST_HIGHEST_NS);
	uint64_t highest = shunt_hist_highest_equivalent(SHUNT_HIST_HIGHEST_NS);

	return last && last->lowest_ns == lowest && last->highest_ns == highest ? last->count : 0;
}
