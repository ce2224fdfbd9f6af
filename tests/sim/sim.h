/*
 * sim/sim.h - a machine with virtual cpus and a virtual clock for the fibers of virt/virt.h: decides who runs, how long
 * each step takes, and which faults happen, all from one seed. Used by every test of this folder.
 *
 * Time. A thread on a cpu takes its steps in moments; between two of them time passes: a few ns at a named point
 * (SH_POINT) and at a futex or mutex call, more in sh_cpu_relax, and whatever sim_work says. The thread whose next step
 * is the earliest goes on; when all sleep, the clock moves to the next deadline. So with k cpus k threads make progress
 * at once, in virtual time, and nothing depends on the real clock, on addresses or on the order of real threads.
 *
 * When nobody can ever run again the machine stops with the states of all threads: a lost wake-up or a deadlock.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/rng.h"
#include "virt/virt.h"

enum sim_fault {
	SIM_PREEMPT, /* the cpu is taken away at a point or in a job, for a while */
	SIM_STOP,    /* a thread is stopped at a point for so long that all others could end */
	SIM_CLOCK,   /* the clock stands still for a while, then shows the right time again */
	SIM_WAKE,    /* a woken thread begins to run much later */
	SIM_ALLOC,   /* memory, a thread or a submitter slot is refused */
	SIM_SLOW,    /* a job takes a thousand times as long (drawn by the workload) */
	SIM_FAULTS
};

struct sim_opts {
	uint64_t seed;
	uint32_t cpus;          /* 0 = one for every thread */
	uint64_t slice_ns;      /* a thread gives its cpu to a waiting one after so long */
	uint32_t atomic_one_in; /* a step ends before one in so many ordered atomic operations; 0 = at named points only */
	uint64_t point_ns;      /* what a step between two points takes */
	uint64_t relax_ns;      /* sh_cpu_relax; grows while a thread does nothing else, up to relax_ns_max */
	uint64_t relax_ns_max;
	uint64_t wake_ns;            /* from a wake to the first step, at least; up to twice that */
	uint32_t one_in[SIM_FAULTS]; /* chance of each fault where it could happen; 0 = never */
	uint32_t faults_max;         /* no more faults than that */
	uint64_t stop_ns;            /* how long SIM_STOP lasts */
	uint64_t wake_late_ns;       /* how long SIM_WAKE delays, at most */
	uint64_t time_max_ns;        /* the machine fails when its clock gets there */
	FILE *trace;                 /* NULL = none */
	/* Called when the clock moves, before it does: nothing happened in between. May be NULL. */
	void (*passed)(uint64_t from_ns, uint64_t to_ns);
	/* Says what the workload knows; called once when the machine fails. May be NULL. */
	void (*report)(FILE *out);
};

struct sim_stats {
	uint64_t steps, time_ns;
	uint64_t faults[SIM_FAULTS];
};

extern const char *const sim_fault_names[SIM_FAULTS];

void sim_begin(const struct sim_opts *opts);
void sim_end(void);

uint64_t sim_now_ns(void);   /* true time; the clock that threads read may stand still */
void sim_work(uint64_t ns);  /* the calling thread computes for so long */
void sim_sleep(uint64_t ns); /* and here it sleeps */
uint32_t sim_thread(const char *name, void *(*fn)(void *), void *arg);

/* True when the fault happens here; counts it. */
bool sim_fault(enum sim_fault f);
/* May faults happen at all? Off while the workload sets things up. */
void sim_faults_on(bool on);
/* Threads that SIM_STOP may hit: workers and control calls are spared. */
void sim_stoppable(uint32_t id);
/* Is this thread kept from its next step by the machine: stopped, waiting for a cpu, woken but not there yet? */
bool sim_held(uint32_t id);
void sim_stats_get(struct sim_stats *out);
/* An ordered atomic operation of the runtime comes next (points.h). */
void sim_atomic(void);

/* A line of the trace, with time and thread. */
void sim_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Ends the process with status SIM_FAILED, after saying what, and the states of all threads. */
void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
#define SIM_FAILED 9

/* Random numbers that depend on (seed, what, index) alone. */
static inline struct sh_rng sim_stream(uint64_t seed, uint64_t what, uint64_t index)
{
	struct sh_rng r;

	sh_rng_init(&r, sh_mix64(seed * UINT64_C(0x9e3779b97f4a7c15) + what) + index);
	(void)sh_rng_next(&r);
	return r;
}

static inline uint64_t sim_between(struct sh_rng *r, uint64_t least, uint64_t most)
{
	return least + sh_rng_next(r) % (most - least + 1);
}

static inline bool sim_chance(struct sh_rng *r, uint32_t one_in)
{
	return one_in != 0 && sh_rng_next(r) % one_in == 0;
}

/* In (0, 1]: 53 bits. */
static inline double sim_unit(struct sh_rng *r)
{
	return (double)((sh_rng_next(r) >> 11) + 1) * 0x1p-53;
}

#endif
