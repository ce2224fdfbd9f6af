/*
 * bench/own/own.h - what the programs of bench/own share: a runtime with one pool and one job type, laid out over the
 * cpus that the harness chose, every feature on. Any failure ends the program with a message.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_OWN_H
#define BENCH_OWN_H

#include <shunt/shunt.h>

#include "harness/harness.h"

struct own {
	struct shunt_runtime *rt;
	struct shunt_pool_id pool;
	struct shunt_type_id type;
	struct shunt_job_spec spec; /* a plain job of the type, waits for capacity; copy it and set what differs */
};

struct own_wish { /* zero = the library's default */
	shunt_handler_fn handler;
	unsigned workers;
	const int *cpus; /* worker i on cpus[i]; NULL = the harness's layout */
	uint32_t levels, jobs_max, ring_capacity;
};

/* Pins the calling thread, which becomes the first producer, where the harness wants it. */
void own_open(struct own *o, const struct bench_run *r, const struct own_wish *wish);
/* After all jobs ended, or were counted in a handler that is about to return. */
void own_close(struct own *o);
void own_drain(struct own *o);
void own_submit(struct own *o, const struct shunt_job_spec *spec);
/* Of a plain job, from inside one. */
void own_spawn(struct own *o, void *arg);

int own_main(int argc, char **argv, const struct bench_work *works, const char *const *idle_modes);

#endif
