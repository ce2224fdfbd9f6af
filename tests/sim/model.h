/*
 * sim/model.h - what must be true of the runtime, kept beside it: one record per job, moved by what the workload sees
 * (submit returns, a handler starts, a callback comes), and judged at each of these events and each time the clock moves.
 * Written by actors.c, ended by world.c.
 *
 *   conservation   a job starts at most once; refused and cancelled ones never; each accepted one ends once, its callback
 *                  comes once and says what happened; the runtime's counters agree at the end
 *   place          pinned jobs run at their worker; reserved workers take no level below theirs
 *   keys           jobs of a key one at a time; two of which one was accepted before the other was submitted, in that order
 *   level order    pools of one worker: each pick takes the slot's level if a job of it waited since before the last job's
 *                  end, else no level below one that had such a job. A batch of short jobs is one pick: within it more
 *                  urgent levels are looked at once, behind its first job
 *   wait bound     pools of one worker: a job starts within sh_levels_wait_picks(k) picks, k = jobs that could be before it
 *   idle           a plain job does not wait while a worker that may take it sleeps, for longer than MODEL_IDLE_NS in all,
 *                  not counting time in which a thread that is needed was kept from running by the machine, nor time in
 *                  a worker's hand: that is short by what was learned, and the clock that it was learned by may stand
 *   progress       something happens to some job at least every MODEL_STUCK_NS
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SIM_MODEL_H
#define SIM_MODEL_H

#include <shunt/snapshot.h>

#include "sim/load.h"

#define MODEL_IDLE_NS 12000u /* a few looks of a spinning worker, each at most 3 us apart, and the steps of a submit and a steal */
#define MODEL_STUCK_NS UINT64_C(1000000000)

enum job_state { JOB_NEW,
		 JOB_SUBMITTING,
		 JOB_ACCEPTED,
		 JOB_REFUSED };

/* What its submitter does with the handle. */
enum job_fate { FATE_WAIT,
		FATE_WAIT_SHORT,
		FATE_CANCEL,
		FATE_DETACH,
		FATE_POLL,
		FATE_KINDS };

/* How an asynchronous job ends. */
enum job_async { ASYNC_NOT,
		 ASYNC_AT_ONCE,
		 ASYNC_LATER,
		 ASYNC_BEFORE_RETURN,
		 ASYNC_KINDS };

struct job {
	/* drawn */
	uint32_t id, pool, level, worker, children;
	uint64_t key, work_ns;
	uint32_t flags; /* SHUNT_JOB_* */
	enum shunt_on_full full;
	struct shunt_job_opts opts;
	enum job_fate fate;
	enum job_async async;
	bool tracked, callback, grouped, fails, waits, spawned, blocks;
	/* seen */
	enum job_state state;
	struct shunt_job_id handle;
	uint32_t group; /* which group of the workload, 0 = none */
	bool started, ended, inlined, cancelled, unsure, completed;
	uint32_t callbacks;
	uint64_t call, returned, start;  /* stamps: the order of events */
	uint64_t idle_ns, starts, bound; /* at return: see model.c */
	uint64_t hand_ns;                /* in a worker's hand while it would be wrong to wait */
	uint64_t due_ns;                 /* ASYNC_LATER: when to complete it */
};

struct model_group {
	struct shunt_group_id id;
	bool cancelled;
};

void model_begin(const struct load *load);
/* The pool is there. Called once each, in order. */
void model_pool(uint32_t pool, struct shunt_runtime *rt, struct shunt_pool_id id);
/* Hook of a worker thread: its first act. */
void model_worker(void *pool_number, uint32_t slot);
/* A thread that workers depend on (it completes asynchronous jobs). */
void model_helper(uint32_t thread);

struct job *model_job(uint32_t id);
struct job *model_new_job(void);                    /* NULL = LOAD_JOBS_MAX reached */
uint32_t model_group_new(struct shunt_group_id id); /* number of the group, 0 = no more */
struct model_group *model_group_at(uint32_t number);

void model_submit(struct job *j);
void model_submitted(struct job *j, int rc);
/* It stood in a batch behind one that was refused. */
void model_untried(struct job *j);
void model_start(struct job *j, struct shunt_job_ctx *ctx);
void model_end(struct job *j);
void model_callback(struct job *j, struct shunt_job_id id, const struct shunt_result *r);
void model_result(const struct job *j, const struct shunt_result *r);
void model_cancel(struct job *j);
void model_cancelled(struct job *j, int rc);
void model_group_cancel(uint32_t group);
void model_group_waited(uint32_t group, uint64_t since);
void model_complete(struct job *j);
void model_completed(struct job *j, int rc);
uint64_t model_stamp(void);

/* When nothing runs any more. `cancelled` = what shunt_runtime_destroy reported. */
void model_drained(void);
void model_snapshot(const struct shunt_snapshot *s, bool exact);
void model_destroyed(uint64_t cancelled);

uint64_t model_jobs(void); /* submitted so far */
void model_passed(uint64_t from_ns, uint64_t to_ns);
void model_report(FILE *out);

#endif
