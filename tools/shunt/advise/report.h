/*
 * shunt/advise/report.h - the output of `shunt advise`: the table, the verdict in words, the
 * configuration to paste, and all of it as JSON. Called by cmd_advise.c; only reads.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_ADVISE_REPORT_H
#define SHUNT_ADVISE_REPORT_H

#include <stdio.h>

#include "advise/judge.h"
#include "common/setup.h"

struct advise_result {
	const struct advise_row *row;
	size_t rows;
	struct advise_verdict verdict;
	bool judged; /* false: stopped before the end, without a verdict */
	enum advise_metric by;
	uint32_t rounds, workers, cpus, submitters; /* workers: the largest number tried */
	double rate_per_s, capacity_per_s, mean_ns; /* capacity: of that number of workers */
	uint64_t duration_ns, warmup_ns, seed;      /* of each run */
	const char *arrivals, *service;
	const char *pin; /* the policy of the pinned rows */
	bool pins;       /* a pool pins here by default: it does not below a cpu quota */
	const char *pool;
	const char (*level_name)[SHUNT_NAME_MAX];
	uint32_t levels;
	const struct setup_flags *flags;
	const char *yaml; /* the configuration to paste; NULL = there is none */
	int signal;
};

/* "poll", "adaptive", "park". */
const char *advise_idle_name(enum advise_idle idle);
struct advise_name { /* a short text by value */
	char s[64];
};
/* "2 workers, adaptive, unpinned". */
struct advise_name advise_row_name(const struct advise_row *row);
/* The configuration of the chosen row; the caller frees it. NULL when out of memory. */
char *advise_report_yaml(const struct advise_result *r);
void advise_report_print(const struct advise_result *r, FILE *f);
/* False = out of memory; who closes f says that it cannot be written. */
bool advise_report_json(const struct advise_result *r, FILE *f);

#endif
