/*
 * shunt/load/report.h - the output of `shunt load`: the load, the generators' lateness, percentiles
 * per level, the workers, and the machine's own limits. Called by cmd_load.c; load/run.c fills the
 * result, cmd_advise.c reads it too.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_LOAD_REPORT_H
#define SHUNT_LOAD_REPORT_H

#include <stdio.h>

#include <shunt/snapshot.h>

#include "common/limits.h"
#include "load/gen.h"

struct load_result {
	const struct load_plan *plan;
	const char *service, *arrivals; /* as the user wrote them */
	double capacity_per_s;          /* most jobs a second that the workers can run */
	uint32_t workers, cpus;
	uint32_t generator_cpus;               /* cpus that only generators have; 0 = they share those of the workers */
	const struct shunt_snapshot *measured; /* after the warm-up */
	/* of the measured part, to the end of the last job */
	uint64_t elapsed_ns;
	uint64_t span_ns;       /* between the two snapshots behind `measured` */
	struct shunt_hist *lag; /* all generators */
	uint64_t submitted, refused;
	uint64_t unfinished; /* jobs left at the time of the report */
	/* mean number of cpus that workers used (busy or spinning) during arrivals */
	double worker_cpus;
	struct limits before, after;
	bool limits; /* they were measured */
	int signal;
};

void load_report_print(const struct load_result *r, FILE *f);
/* False = out of memory; who closes f says that it cannot be written. */
bool load_report_json(const struct load_result *r, FILE *f);

#endif
