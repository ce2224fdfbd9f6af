/*
 * shunt/topo/report.h - the output of `shunt topo`: text of at most 100 columns, or JSON. Called by
 * cmd_topo.c; only reads.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_TOPO_REPORT_H
#define SHUNT_TOPO_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include <shunt/topo.h>

struct topo_report {
	const struct shunt_topo *topo;
	const struct shunt_plan *plan;
	const char *source; /* "this machine", a file or a description */
	const char *place;
	const char *policy;
	const char *allowed; /* cpu list */
	bool plan_free;      /* the policy does not pin */
	struct shunt_cpu_budget budget;
};

void topo_report_text(const struct topo_report *r, FILE *f);
/* False when out of memory or the file cannot be written. */
bool topo_report_json(const struct topo_report *r, FILE *f);

#endif
