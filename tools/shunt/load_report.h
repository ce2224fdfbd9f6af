/*
 * shunt/load_report.h - what `shunt load` prints: the load, how late the generator was, percentiles per level, the
 * workers, and the machine's own limits. Called by cmd_load.c; load_run.c fills the result, cmd_advise.c reads it too.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_LOAD_REPORT_H
#define SHUNT_LOAD_REPORT_H

#include <stdio.h>

#include <shunt/snapshot.h>

#include "limits.h"
#include "load_gen.h"

struct load_result {
	const struct load_plan *plan;
	const char *service, *arrivals; /* as the user wrote them */
	double capacity_per_s;          /* jobs a second that the workers can do at most */
	uint32_t workers, cpus;
	const struct shunt_snapshot *measured; /* after the warm-up */
	uint64_t elapsed_ns;                   /* of the measured part, until the last job ended */
	struct shunt_hist *lag;                /* all generators */
	uint64_t submitted, refused;
	uint64_t unfinished; /* jobs left when the report was made */
	double worker_cpus;  /* cpus that the workers kept busy or spinning while jobs came */
	struct limits before, after;
	bool limits; /* they were measured */
	int signal;
};

void load_report_print(const struct load_result *r, FILE *f);
/* False if out of memory or the stream failed. */
bool load_report_json(const struct load_result *r, FILE *f);

#endif
