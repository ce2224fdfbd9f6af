/*
 * sim/station.h - a queueing station made of the runtime: one pool, jobs that arrive at given times and work for given
 * times, on the virtual clock. Used by the tests that compare with queueing theory (sim_theory.c), that look at shares
 * (sim_share.c) and at rhythms (sim_arrival.c).
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
	uint64_t wake_ns;   /* what a wake-up costs on the machine; 0 = 1 ns, or 3 us where one is at a time */
	uint64_t spin_ns;   /* the pool's; 0 = measured */
};

/* Runs them all; ends the process when something is wrong. */
void station_run(const struct station *s, uint64_t seed, struct customer *c, uint32_t n);
/* How often its workers slept in the last run. */
uint64_t station_parks(void);

#endif
