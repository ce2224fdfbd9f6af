/*
 * shunt/load_run.h - one run of a load on one configuration: runtime, plan, generators, drain, figures. Called by
 * cmd_load.c, which runs one, and cmd_advise.c, which runs many.
 *
 * Order: load_run_init, _open, _generate, _close, _fini; _close and _fini also after a failure.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_LOAD_RUN_H
#define SHUNT_LOAD_RUN_H

#include "load_report.h"
#include "setup.h"

struct load_run {
	const struct load_flags *flags; /* borrowed */
	struct setup setup;
	struct load_plan plan;
	struct load_gen gen;
	struct load_result result; /* valid after _generate, until _fini */
	struct shunt_snapshot *warm, *end, *measured;

	/* set by the caller between _init and _generate */
	uint64_t duration_ns, warmup_ns;
	uint64_t drain_ns_max; /* how long the queue may take to empty itself */
	bool overload;         /* more than the workers can do is no error */
	const char *hint;      /* how the refusal of too much load ends; "" = nothing */
	/* Called some 20 times a second while jobs come, then with draining = true. CLI_OK or an exit code. NULL: no */
	int (*tick)(void *arg, const struct load_run *run, bool draining);
	void *tick_arg;
};

void load_run_init(struct load_run *r, const struct load_flags *flags);
/* Makes the runtime, gives names of levels their numbers, fixes the rate. CLI_OK, or an exit code after messages. */
int load_run_open(struct load_run *r, const struct setup_flags *flags);
/* Jobs a second that so many workers can do. */
double load_run_capacity(const struct load_run *r, uint32_t workers);
/* Generates until the time is over or a signal comes, drains, collects. CLI_OK, or an exit code after messages. */
int load_run_generate(struct load_run *r);
/* Destroys the runtime; the result stays. */
void load_run_close(struct load_run *r);
void load_run_fini(struct load_run *r);

#endif
