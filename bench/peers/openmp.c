/*
 * bench/peers/openmp.c - tasks of GCC's OpenMP. Only a thread of a team can create tasks, so the whole work runs
 * inside a parallel region: the harness is its master and submits by creating tasks, the workers are its other
 * threads and run them while they wait at the end of the region. There is no way in for a second producer (B3).
 * When about 64 tasks a thread wait, the library runs further ones in the thread that creates them.
 *
 * SPDX-License-Identifier: MIT
 */
#include <omp.h>
#include <stddef.h>
#include <stdio.h>

#include "harness/subject.h"

static const char *version(void)
{
	static char text[64];

	(void)snprintf(text, sizeof(text), "GCC %d.%d, OpenMP %d", __GNUC__, __GNUC_MINOR__, _OPENMP);
	return text;
}

void bench_around(const struct bench_setup *setup, void (*body)(void *arg), void *arg)
{
	omp_set_dynamic(0);
#pragma omp parallel num_threads((int)setup->workers + 1)
	{
		if (omp_get_thread_num() == 0)
			body(arg);
		else
			(void)bench_pin(&setup->cpus[(omp_get_thread_num() - 1) % (int)setup->ncpus], 1);
	}
}

static void *region_open(const struct bench_setup *setup)
{
	static int self;

	if (omp_get_num_threads() == (int)setup->workers + 1)
		return &self;
	(void)fprintf(stderr, "openmp: %d threads in the team, want %u\n", omp_get_num_threads(), setup->workers + 1);
	return NULL;
}

static void region_submit(void *self, bench_fn fn, void *arg)
{
	(void)self;
#pragma omp task firstprivate(fn, arg)
	fn(arg);
}

static void region_close(void *self)
{
	(void)self;
#pragma omp taskwait
}

static const char *const idle_modes[] = { "default", NULL };
const char *const bench_cannot[] = { "B3", NULL };

const struct bench_subject bench_subject = {
	.name = "openmp",
	.version = version,
	.idle_policy = "spins for some milliseconds (less with more threads than cpus), then sleeps; the producer is in"
		       " the team and runs tasks itself when about 64 a thread wait",
	.idle_modes = idle_modes,
	.open = region_open,
	.submit = region_submit,
	.close = region_close,
};
