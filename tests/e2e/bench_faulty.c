/*
 * tests/e2e/bench_faulty.c - a bench subject that runs jobs in the submitting thread, and does with
 * BENCH_FAULT=lose, twice or crash what its 500th job then tells. Compiled and run by bench_harness.py, which wants
 * each fault to be noticed.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "harness/subject.h"

static unsigned jobs;

static const char *version(void) { return "1"; }

static void *faulty_open(const struct bench_setup *setup)
{
	(void)setup;
	return &jobs;
}

static void faulty_submit(void *self, bench_fn fn, void *arg)
{
	const char *fault = ++jobs == 500 ? getenv("BENCH_FAULT") : NULL;

	(void)self;
	if (fault && strcmp(fault, "crash") == 0)
		abort();
	if (fault && strcmp(fault, "lose") == 0)
		return;
	if (fault && strcmp(fault, "twice") == 0)
		fn(arg);
	fn(arg);
}

static void faulty_close(void *self) { (void)self; }

static const char *const idle_modes[] = { "default", NULL };

const struct bench_subject bench_subject = {
	.name = "faulty",
	.version = version,
	.idle_policy = "has no workers",
	.idle_modes = idle_modes,
	.open = faulty_open,
	.submit = faulty_submit,
	.close = faulty_close,
};
