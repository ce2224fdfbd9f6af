/*
 * life/drain.c - see drain.h: threads count their own attempts and ends; a drain compares the sums.
 *
 * SPDX-License-Identifier: MIT
 */

#include "life/drain.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/inject.h"
#include "life/control.h"
#include "sched/submitter.h"

#define POLL_MIN_NS 50000u
#define POLL_MAX_NS 1000000u

/*
 * Orders the closing of the gate before the counting, on all threads at once, so that submitters
 * need no fence: an attempt is counted before it reads the gate (count.2). Without the system call, the
 * pause is longer than a store stays unseen.
 */
void sh_gate_barrier(void)
{
	struct timespec pause = { 0, 1000000 };

	if (SH_FAIL("runtime.membarrier") || syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0)
		/* a signal must not shorten it */
		while (nanosleep(&pause, &pause) != 0 && errno == EINTR)
			;
}

uint64_t sh_runtime_finished(struct shunt_runtime *rt, uint32_t type)
{
	uint64_t sum = rt->retired[type];
	uint32_t i, k;

	for (i = 0; i < SHUNT_POOLS_MAX; i++) {
		struct sh_pool *p = sh_runtime_pool_at(rt, i);
		/* mo slots.1 <- slots.1@life/pool.c: complete workers. */
		uint32_t n = p ? sh_a32_load_acq(&p->slots) : 0;

		for (k = 0; k < n; k++)
			/* mo count.1 <- count.1@sched/account.h, count.1@sched/run.c: what the jobs did. */
			sum += sh_a64_load_acq(&p->worker[k]->finished[type]);
		if (p)
			/* mo count.1 <- count.1@sched/account.h, count.1@sched/run.c: what the jobs did. */
			sum += sh_a64_load_acq(&p->outside_finished[type]);
	}
	return sum;
}

/*
 * Sum over the entries that any thread ever claimed: users' first, workers' from
 * opts.submitters_max on.
 */
static uint64_t sum_submitters(struct shunt_runtime *rt, uint32_t type, bool undone)
{
	/* mo count.3 <- count.3@sched/submitter.c: an entry is counted as used before its first attempt. */
	uint32_t users = sh_a32_load_sc(&rt->submitters_used);
	/* mo count.3 <- count.3@sched/submitter.c: likewise. */
	uint32_t workers = sh_a32_load_sc(&rt->workers_used);
	uint64_t sum = 0;
	uint32_t i;

	for (i = 0; i < users + workers; i++) {
		struct sh_submitter *sub = &rt->submitter[i < users ? i : rt->opts.submitters_max + (i - users)];

		/*
		 * mo count.4 <- count.4@sched/submit.c: a rollback is seen with its attempt.
		 * mo count.2 <> count.2@sched/submit.c: read after the gate was closed.
		 */
		sum += sh_a64_load_acq(undone ? &sub->rejected[type] : &sub->submitted[type]);
	}
	return sum;
}

static uint64_t accepted_of(struct shunt_runtime *rt, uint32_t type)
{
	/*
	 * mo count.4 <- count.4@sched/submit.c: rollbacks first, then their attempts.
	 * mo count.2 <> count.2@sched/submit.c: read after the gate was closed.
	 */
	uint64_t undone = sh_a64_load_sc(&rt->shared_rejected[type]) + sum_submitters(rt, type, true);

	/* mo count.2 <> count.2@sched/submit.c: as above. */
	return sh_a64_load_sc(&rt->shared_submitted[type]) + sum_submitters(rt, type, false) - undone;
}

uint64_t sh_runtime_pending(struct shunt_runtime *rt, uint32_t type)
{
	uint32_t first = type == SHUNT_ANY ? 0 : type;
	uint32_t last = type == SHUNT_ANY ? rt->types_used : type + 1;
	uint64_t finished = 0;
	uint64_t accepted = 0;
	uint32_t t;

	/*
	 * All finished counts are read before any accepted one: a job that submits another and ends
	 * is never counted as finished without the other as accepted.
	 */
	for (t = first; t < last; t++)
		finished += sh_runtime_finished(rt, t);
	for (t = first; t < last; t++)
		accepted += accepted_of(rt, t);
	return accepted > finished ? accepted - finished : 0;
}

static bool type_of(const struct sh_type *t, const struct sh_pool *p)
{
	/* mo rlx: freed under the lock, which is held. */
	return t->pool == p && sh_a32_load_rlx(&t->state) != SH_TYPE_FREE;
}

/* Attempts, or rollbacks, of all types of a pool. */
static uint64_t sum_types(struct shunt_runtime *rt, const struct sh_pool *p, bool undone)
{
	uint64_t sum = 0;

	for (uint32_t t = 0; t < rt->types_used; t++) {
		if (!type_of(&rt->type[t], p))
			continue;
		/* mo count.2 <> count.2@sched/submit.c: as in accepted_of. */
		sum += sh_a64_load_sc(undone ? &rt->shared_rejected[t] : &rt->shared_submitted[t]);
		sum += sum_submitters(rt, t, undone);
		sum -= undone ? 0 : rt->type[t].finished_before;
	}
	return sum;
}

/* Did this worker ever submit a job of the pool? */
static bool spawned(const struct shunt_runtime *rt, const struct sh_submitter *sub, const struct sh_pool *p)
{
	for (uint32_t t = 0; t < rt->types_used; t++)
		/* mo rlx: what was seen before the barrier is seen again. */
		if (type_of(&rt->type[t], p) && sh_a64_load_rlx(&sub->submitted[t]) != 0)
			return true;
	return false;
}

/*
 * How many of the attempts that were seen before the barrier may still be taken back. A thread is inside
 * at most one call that counted and did not queue yet: of SH_SUBMIT_RUN jobs at most, in a section, or
 * of one that waits for capacity. A worker's spawn is one job, and in no section.
 */
static uint64_t undecided(struct shunt_runtime *rt, const struct sh_pool *p)
{
	/* mo count.3 <- count.3@sched/submitter.c: an entry is counted as used before its first attempt. */
	uint32_t users = sh_a32_load_sc(&rt->submitters_used);
	/* mo count.3 <- count.3@sched/submitter.c: likewise. */
	uint32_t workers = sh_a32_load_sc(&rt->workers_used);
	/* mo section.1 <> section.1@sched/section.h: a section that has ended has decided. */
	uint64_t n = sh_a64_load_sc(&rt->shared_section) * SH_SUBMIT_RUN;

	for (uint32_t i = 0; i < users + workers; i++) {
		const struct sh_submitter *sub = &rt->submitter[i < users ? i : rt->opts.submitters_max + (i - users)];

		/* mo section.1 <- section.1@sched/section.h: as above. */
		if (sh_a64_load_acq(&sub->section) & 1u)
			n += SH_SUBMIT_RUN;
		else if (i >= users)
			n += spawned(rt, sub, p);
	}
	return n + sh_a32_load_rlx(&p->capacity_waiters); /* mo rlx: raised inside the section. */
}

uint64_t sh_pool_submitted(struct shunt_runtime *rt, struct sh_pool *p, uint64_t finished)
{
	uint64_t attempts = sum_types(rt, p, false), sure, maybe;

	sh_gate_barrier();
	maybe = undecided(rt, p);
	/* rollbacks last: each attempt that was taken back is taken off */
	sure = attempts - sum_types(rt, p, true);
	sure = p->submitted_before + ((int64_t)sure > (int64_t)maybe ? sure - maybe : 0);
	sure = sure > finished ? sure : finished;
	if (sure > p->submitted_seen)
		p->submitted_seen = sure;
	return p->submitted_seen;
}

/*
 * Waits until no job of the type (SHUNT_ANY = of any) is pending; holds the control lock only while
 * it counts.
 */
int sh_drain_wait(struct shunt_runtime *rt, uint32_t type, uint64_t timeout_ns, uint64_t *left)
{
	uint64_t deadline = sh_clock_deadline(timeout_ns);
	uint64_t step = POLL_MIN_NS;

	for (;;) {
		struct timespec pause = { 0, 0 };
		uint64_t remains, pending;

		(void)pthread_mutex_lock(&rt->control);
		pending = sh_runtime_pending(rt, type);
		(void)pthread_mutex_unlock(&rt->control);
		if (left)
			*left = pending;
		if (sh_runtime_closed(rt))
			return SHUNT_ESTOPPED;
		if (pending == 0)
			return 0;
		remains = sh_clock_left(deadline);
		if (remains == 0)
			return sh_error_set(SHUNT_ETIMEDOUT, "%s: %llu jobs are not finished",
					    type == SHUNT_ANY ? rt->name : rt->type[type].name,
					    (unsigned long long)pending);
		pause.tv_nsec = (long)(remains < step ? remains : step);
		(void)nanosleep(&pause, NULL);
		step = step * 2 > POLL_MAX_NS ? POLL_MAX_NS : step * 2;
	}
}

int shunt_runtime_drain(struct shunt_runtime *rt, uint64_t timeout_ns, uint64_t *left)
{
	uint32_t all = SH_ACCEPT_ALL;
	struct sh_submitter *call;
	struct sh_log_held lines;
	char text[256];
	SH_NO_CANCEL;
	int rc = sh_control_outside(rt);

	if (left)
		*left = 0;
	if (rc != 0)
		return rc;
	call = sh_call_begin(rt);
	/* mo count.2 <> count.2@sched/submit.c: the gate, then (barrier) the counts. */
	(void)sh_a32_cas_sc(&rt->accepting, &all, SH_ACCEPT_JOBS);
	sh_gate_barrier();
	rc = sh_drain_wait(rt, SHUNT_ANY, timeout_ns, left);
	sh_log_hold(&lines, text, sizeof(text)); /* keeps the detail of the error, whatever the hook does */
	sh_log_write(&rt->log, SHUNT_LOG_INFO, "runtime %s: drain: %s", rt->name,
		     rc == 0 ? "all jobs are finished" : shunt_strerror(rc));
	sh_log_pass(&lines);
	sh_call_end(rt, call);
	return rc;
}

int shunt_runtime_resume(struct shunt_runtime *rt)
{
	uint32_t jobs = SH_ACCEPT_JOBS;

	sh_error_detail_clear();
	if (!rt)
		return sh_error_set(SHUNT_EINVAL, "runtime: " SH_NO_ARGUMENT);
	if (sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	/* mo count.2 <> count.2@sched/submit.c: the gate. */
	if (!sh_a32_cas_sc(&rt->accepting, &jobs, SH_ACCEPT_ALL) && jobs == SH_ACCEPT_NONE)
		return SHUNT_ESTOPPED;
	return 0;
}
