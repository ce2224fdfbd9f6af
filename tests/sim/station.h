/*
 * sim/station.h - a queueing station made of the runtime: one pool, jobs that arrive at given times and work for given
 * times, on the virtual clock. Used by the tests that compare with queueing theory (sim_theory.c) and that look at shares
 * (sim_share.c).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SIM_STATION_H
#define SIM_STATION_H

#include <shunt/runtime.h>

#include "sim/sim.h"

struct customer {
	uint64_t arrival_ns; /* since the start */
	uint64_t service_ns;
	uint64_t wait_ns; /* filled: from arrival to start */
	uint32_t worker;  /* filled */
};

struct station {
	uint32_t workers;
	uint32_t places; /* not 0: one worker and so many asynchronous jobs at a time, completed from outside */
	enum shunt_idle idle;
	/* How long a job takes at a worker; NULL = its service_ns. */
	uint64_t (*service)(const struct customer *c, uint32_t worker);
	bool one_at_a_time; /* the next one is submitted when the last one has ended; arrival times do not count */
};

/* Runs them all; ends the process when something is wrong. */
void station_run(const struct station *s, uint64_t seed, struct customer *c, uint32_t n);

#endif
