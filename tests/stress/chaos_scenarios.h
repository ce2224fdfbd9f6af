/*
 * stress/chaos_scenarios.h - the chaos scenarios by name: what runs in a process of its own, what its parent does to it
 * meanwhile, and how it is to end. The table is in chaos_stress.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_STRESS_CHAOS_SCENARIOS_H
#define SH_STRESS_CHAOS_SCENARIOS_H

#include <sys/types.h>

#include "chaos_ledger.h"

enum chaos_end {
	CHAOS_END_QUIESCED, /* exits 0, every accepted job has one end */
	CHAOS_END_EXITED,   /* exits 0 with jobs queued and running */
	CHAOS_END_KILLED    /* by its parent */
};

/* Inside the scenario's process. */
struct chaos_child {
	uint64_t seed;
	uint64_t duration_ns; /* of the chaos, without start and quiescing */
	uint32_t variant;
	struct sh_rng rng;
};

struct chaos_run;
struct chaos_scenario {
	const char *name;
	void (*inside)(struct chaos_child *c);
	void (*outside)(struct chaos_run *r); /* the parent, every few milliseconds while the load runs; may be NULL */
	const char *(*unfit)(void);           /* why it cannot run here; may be NULL, may return NULL */
	enum chaos_end end;
	uint32_t variant;
	uint32_t duration_ms;
	const char *malloc_conf; /* MALLOC_CONF of its process; NULL = as it is */
};

/* In the parent: one run of a scenario. */
struct chaos_run {
	const struct chaos_scenario *scenario;
	uint64_t seed;
	pid_t pid;
	bool ended;
	int status;    /* of waitpid, once ended */
	uint64_t over; /* the next act comes after so many ended jobs */
	uint64_t begin_ns, still_since_ns;
	uint64_t progress;
	struct sh_rng rng;
};

/* chaos_scen_stop.c */
void chaos_inside_quiet(struct chaos_child *c);   /* a load and nothing else; the parent does the rest */
void chaos_inside_stops(struct chaos_child *c);   /* single threads stopped anywhere; variant 1: jobs wait in jobs too */
void chaos_inside_masks(struct chaos_child *c);   /* pools come and go while the parent changes masks */
void chaos_inside_one_cpu(struct chaos_child *c); /* everything on one cpu */
void chaos_inside_many(struct chaos_child *c);    /* 64 workers; variant: enum shunt_idle */
void chaos_inside_signals(struct chaos_child *c); /* EINTR everywhere */

/* chaos_scen_ends.c */
void chaos_inside_exit(struct chaos_child *c); /* variant 0: exit, 1: _exit, 2: waits to be killed, 3: main ends first */
void chaos_inside_thread_ends(struct chaos_child *c);
void chaos_inside_memory(struct chaos_child *c);
const char *chaos_memory_unfit(void);

/* chaos_scen_fork.c */
void chaos_inside_fork(struct chaos_child *c);

/* chaos_outside.c: what the parent does. */
void chaos_outside_stop(struct chaos_run *r);
void chaos_outside_masks(struct chaos_run *r);
void chaos_outside_kill(struct chaos_run *r);
void chaos_outside_hotplug(struct chaos_run *r);
const char *chaos_hotplug_unfit(void);
/* Starts the scenario's process, watches it to its end, judges it. Returns false and says why if it failed. */
bool chaos_run_scenario(const struct chaos_scenario *s, uint64_t seed, uint64_t duration_ms, char **argv);

#endif
