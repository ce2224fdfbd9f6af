/*
 * shunt/load/trace.h - a recorded load: arrival, run time and level of each job. Read by
 * load/flags.c, played by load/gen.c.
 *
 * One job per line, `arrival_ns,service_ns[,level]`: whole nanoseconds, from any origin, in any
 * order. Blanks may replace the commas. A level is a name, or a number (0 = most urgent); for a
 * line without one it is drawn from --levels. Skipped: empty lines, those that begin with #, and a
 * first line that begins with "arrival_ns".
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_LOAD_TRACE_H
#define SHUNT_LOAD_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <shunt/runtime.h>

#define LOAD_TRACE_NO_LEVEL UINT32_MAX

struct load_trace_job {
	uint64_t arrival_ns; /* after the first one */
	uint64_t service_ns;
	uint32_t level; /* index into `name`, or LOAD_TRACE_NO_LEVEL */
};

struct load_trace {
	struct load_trace_job *job; /* by arrival */
	size_t jobs;                /* 0 = there is no trace */
	uint64_t period_ns;         /* length plus one mean gap, after which the trace repeats */
	double mean_ns;             /* of the service times */
	struct load_trace_name {
		char text[SHUNT_NAME_MAX];
		size_t line; /* of its first use */
	} name[SHUNT_LEVELS_MAX];
	uint32_t names;
};

/* False after a message that names the file and the line; then nothing is left behind. */
bool load_trace_read(const char *path, struct load_trace *out);
void load_trace_fini(struct load_trace *t);
/* Jobs a second, as recorded. */
double load_trace_rate(const struct load_trace *t);

#endif
