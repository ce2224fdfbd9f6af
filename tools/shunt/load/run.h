/*
 * shunt/load/run.h - one run of a load on one configuration: runtime, plan, generators, drain,
 * figures. Called by cmd_load.c, which does one run, and cmd_advise.c, which does many.
 *
 * Order: load_run_init, _open, _generate, _close, _fini; _close and _fini also after a failure.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_LOAD_RUN_H
#define SHUNT_LOAD_RUN_H

#include "load/report.h"
#include "common/setup.h"

struct load_run {
	const struct load_flags *flags; /* borrowed */
	struct setup setup;
	struct load_plan plan;
	struct load_gen gen;
	struct load_result result; /* valid after _generate, until _fini */
	struct shunt_snapshot *warm, *end, *measured;

	/* set by the caller between _init and _generate */
	uint64_t duration_ns, warmup_ns;
	uint64_t drain_ns_max; /* limit for draining the queues */
	bool overload;         /* a load beyond the capacity is allowed */
	bool own_cpus;         /* generators get cpus of their own where nothing says where workers run */
	const char *hint;      /* end of the message that refuses it; "" = nothing */
	/* Runs 20 times a second, then with draining = true. CLI_OK or an exit code. Or NULL. */
	int (*tick)(void *arg, const struct load_run *run, bool draining);
	void *tick_arg;
};

void load_run_init(struct load_run *r, const struct load_flags *flags);
/* Creates the runtime, resolves level names, fixes the rate. CLI_OK, or exit code and messages. */
int load_run_open(struct load_run *r, const struct setup_flags *flags);
/* Jobs a second that this number of workers can run. */
double load_run_capacity(const struct load_run *r, uint32_t workers);
/* Generates until the end or a signal, drains, collects. CLI_OK, or an exit code after messages. */
int load_run_generate(struct load_run *r);
/* Destroys the runtime; the result remains valid. */
void load_run_close(struct load_run *r);
void load_run_fini(struct load_run *r);

#endif
