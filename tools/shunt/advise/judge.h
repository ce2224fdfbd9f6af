/*
 * shunt/advise/judge.h - which configuration is best, and is the difference more than noise? Pure:
 * figures in, verdict out.
 * Called by cmd_advise.c, and by tests with made-up rows.
 *
 * A figure is the median of the rounds and their spread: the lowest and the highest round, from
 * five rounds on without the two outermost. Less is better in all of them.
 *
 * Two rows are compared round by round, because what disturbs a round disturbs both: their spreads may
 * overlap where one is lower in every round. They differ clearly if the signed ranks of the differences
 * (Wilcoxon, "Individual comparisons by ranking methods", 1945), taken as shares of the sums, would come
 * out so by chance at most once in 16, of three rounds once in 8, and the median of the differences is at
 * least 5 % of a figure.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_ADVISE_JUDGE_H
#define SHUNT_ADVISE_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADVISE_NONE SIZE_MAX /* no such row */
#define ADVISE_ROUNDS_MAX 25u

enum advise_metric {
	ADVISE_QUEUE_P50,
	ADVISE_QUEUE_P99,
	ADVISE_QUEUE_P999,
	ADVISE_TOTAL_P50,
	ADVISE_TOTAL_P99,
	ADVISE_TOTAL_P999,
	ADVISE_CPU,  /* cpus that the workers used */
	ADVISE_LATE, /* p99 of how late the generators were */
	ADVISE_METRICS
};

enum advise_idle { ADVISE_POLL,
		   ADVISE_ADAPTIVE,
		   ADVISE_PARK,
		   ADVISE_IDLES };

struct advise_figure {
	double median, low, high;
};

struct advise_row {
	uint32_t workers;
	enum advise_idle idle;
	bool pinned;
	bool carried;    /* false: it cannot carry the load, and is not compared */
	uint32_t rounds; /* 0 = it was not run */
	uint32_t ran;    /* bit i: it has values of round i */
	double value[ADVISE_METRICS][ADVISE_ROUNDS_MAX];
	struct advise_figure figure[ADVISE_METRICS]; /* of the values */
};

enum advise_pinning {
	ADVISE_PINNING_UNKNOWN, /* one of the two was not run */
	ADVISE_PINNED_BETTER,
	ADVISE_UNPINNED_BETTER,
	ADVISE_PINNING_NOISE
};

struct advise_verdict {
	size_t best; /* the lowest median, or ADVISE_NONE */
	size_t next; /* the second lowest, or ADVISE_NONE */
	/* rows that do not differ clearly from the best, the best included */
	size_t tied;
	/* of these the one that needs the least cpu, then the fewest workers */
	size_t chosen;
	size_t pinned, unpinned; /* the best of each, or ADVISE_NONE */
	enum advise_pinning pinning;
};

/* Median and spread of n values, n > 0; sorts them. */
struct advise_figure advise_figure(double *value, size_t n);
/* Fills the figures of a row from its values; it has some. */
void advise_figures(struct advise_row *row);
/* Below 0: a is clearly lower; above 0: b is; 0: no clear difference. */
int advise_compare(const struct advise_row *a, const struct advise_row *b, enum advise_metric by);
/* Is the row among those compared? */
bool advise_judged(const struct advise_row *row);
void advise_judge(const struct advise_row *rows, size_t n, enum advise_metric by, struct advise_verdict *out);

#endif
