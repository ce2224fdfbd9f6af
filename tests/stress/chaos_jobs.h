/*
 * stress/chaos_jobs.h - the handlers of the chaos load and how a job gets its ledger entry. For chaos_load.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_STRESS_CHAOS_JOBS_H
#define SH_STRESS_CHAOS_JOBS_H

#include "chaos_load.h"

enum chaos_kind {
	CHAOS_PLAIN,
	CHAOS_FAIL,
	CHAOS_SPAWN,
	CHAOS_INLINE,
	CHAOS_ASYNC_LATER,
	CHAOS_ASYNC_EARLY,
	CHAOS_ASYNC_DIRECT,
	CHAOS_BLOCK, /* from here on: only with waits_in_jobs */
	CHAOS_WAIT,
	CHAOS_ROOM,
	CHAOS_KINDS
};

/* Fills entry and spec of one job of a kind; the caller may add a group. False = the ledger is full. */
bool chaos_job_open(enum chaos_kind kind, uint32_t flags, struct shunt_job_spec *spec, struct chaos_job **job);
/* What the submit returned; checks that it is a documented code. `in_job`: the caller runs inside a handler. */
void chaos_job_submitted(struct chaos_job *job, const struct shunt_job_spec *spec, int rc, uint64_t start_ns, bool in_job);
/* One shunt_cancel of a job of the load; true when it was cancelled before it started. */
bool chaos_job_cancel(struct shunt_job_id id, struct chaos_job *job);
/* Checks the result of a joined job. */
void chaos_job_joined(const struct chaos_job *job, const struct shunt_result *result);
/* A time-out may not come early. */
void chaos_timeout_check(uint64_t start_ns, uint64_t timeout_ns, const char *what);
/* Completes what handlers left to be completed later; false = nothing was there. */
bool chaos_jobs_complete_some(void);

int chaos_run(struct shunt_job_ctx *ctx, void *arg);

#endif
