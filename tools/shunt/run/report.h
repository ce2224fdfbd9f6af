/*
 * shunt/run/report.h - the output of `shunt run`: the progress line, the report, the JSON. Called
 * by cmd_run.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_RUN_REPORT_H
#define SHUNT_RUN_REPORT_H

#include <shunt/snapshot.h>

#include "run/walk.h"

struct run_result {
	const struct walk *walk;
	struct walk_totals totals;
	const struct shunt_snapshot *snapshot;
	uint64_t elapsed_ns;
	int signal;          /* 0 = ran to the end */
	uint64_t unfinished; /* jobs that did not end in time after a signal */
};

struct run_progress {
	uint64_t at_ns, started_ns;
	uint64_t jobs, bytes; /* at at_ns */
	double jobs_per_s, bytes_per_s;
};

void run_progress_start(struct run_progress *p);
/* Shows the line if there is a terminal. */
void run_progress_show(struct run_progress *p, struct walk *w);

void run_report_print(const struct run_result *r, FILE *f);
/* False = out of memory; who closes f says that it cannot be written. */
bool run_report_json(const struct run_result *r, FILE *f);

#endif
