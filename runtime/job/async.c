/* job/async.c - see async.h. SPDX-License-Identifier: MIT */
#include "job/async.h"

#include <limits.h>

#include "base/clock.h"
#include "base/futex.h"
#include "job/handle.h"
#include "sched/push.h"
#include "sched/run.h"
#include "sched/submitter.h"

#define STEP_NS 1000000u /* longest wait for asynchronous capacity before another look */

/*
 * Reserves a place among the pool's asynchronous jobs. With `wait`, waits if other workers took the
 * last ones since this job was picked. A nested job must not wait: the outer one may hold the
 * place.
 */
static bool reserve_pool(struct sh_pool *p, bool wait)
{
	/* mo async.1 <> async.1@job/async.c: read before the wait on this word. */
	uint32_t n = sh_a32_load_sc(&p->async_in_flight);

	for (;;) {
		if (n < p->opts.async_pool_max) {
			if (sh_a32_cas_sc(&p->async_in_flight, &n, n + 1)) /* mo async.1 <> async.1@job/async.c: reserved. */
				return true;
			continue;
		}
		/* mo stop.1 <- park.2@sched/push.c: no completion may come any more. */
		if (!wait || sh_a32_load_acq(&p->stop) != 0)
			return false;
		(void)sh_futex_wait(&p->async_in_flight, n, STEP_NS);
		n = sh_a32_load_sc(&p->async_in_flight); /* mo async.1 <> async.1@job/async.c: as above. */
	}
}

/* Charges w for an asynchronous job in flight. Reserved before the handler, returned at the job's end. */
static void enter(struct sh_worker *w)
{
	uint32_t n;

	w->async_used = true;
	n = sh_a32_add_sc(&w->async_in_flight, 1) + 1; /* mo async.1 <> async.1@job/async.c: in flight before `full`. */
	if (n >= w->pool->opts.async_max) {
		/* mo async.1 <> async.1@job/async.c: the completer clears it after its decrement, */
		sh_a32_store_sc(&w->full, 1);
		/* mo async.1 <> async.1@job/async.c: or we do. */
		if (sh_a32_load_sc(&w->async_in_flight) < w->pool->opts.async_max)
			/* mo async.1 <> async.1@job/async.c: the completion came in between. */
			sh_a32_store_sc(&w->full, 0);
	}
}

static int async_admit(struct sh_submit *s)
{
	s->record->holder = SHUNT_ANY;
	return 0;
}

/*
 * The worker that runs the job holds the place. An inline run never waits for one, so it takes none;
 * nor does a nested job that finds none: the outer one may hold it.
 */
static enum sh_go async_start(struct sh_end *e)
{
	struct sh_worker *hold = e->inlined ? NULL : e->w;

	if (hold && !reserve_pool(e->pool, !e->nested)) {
		if (!e->nested) { /* the pool stops before a worker of it has got a place for this job */
			(void)sh_a64_add_rlx(&e->pool->stop_cancelled, 1); /* mo rlx: read when the threads have left. */
			sh_end_cancelled(e, SHUNT_BY_STOP);
			return SH_GO_END;
		}
		hold = NULL;
	}
	e->record->holder = hold ? hold->slot : SHUNT_ANY;
	if (hold)
		enter(hold);
	/* from here on a completer may end it: it acquires these fields with the word */
	(void)sh_record_move(e->rt, e->handle, SH_RECORD_FINISHING, SH_RECORD_RUNNING);
	return SH_GO_RUN;
}

static void async_release(struct sh_end *e)
{
	struct sh_pool *p = e->pool;
	struct sh_worker *w;
	uint32_t before, i, n;

	if (e->record->holder == SHUNT_ANY)
		return;
	w = p->worker[e->record->holder];
	/* mo async.1 <> async.1@job/async.c: decrement, then `full`, then the worker's state. */
	(void)sh_a32_sub_sc(&w->async_in_flight, 1);
	before = sh_a32_sub_sc(&p->async_in_flight, 1); /* mo async.1 <> async.1@job/async.c: the pool's bound likewise. */
	/* mo async.1 <> async.1@job/async.c: the thread that clears it wakes the worker. */
	if (sh_a32_xchg_sc(&w->full, 0) != 0)
		(void)sh_worker_wake(w);
	if (before < p->opts.async_pool_max)
		return;
	(void)sh_futex_wake(&p->async_in_flight, INT_MAX);
	/*
	 * mo slots.3 <> slots.3@sched/worker.c: the place is freed, then the count is read: we see a new
	 * spare, or it sees the place.
	 */
	n = sh_a32_load_sc(&p->slots);
	for (i = 0; i < n; i++)
		(void)sh_worker_wake(p->worker[i]);
}

const struct sh_part sh_part_async = {
	.name = "async",
	.admit = async_admit,
	.start = async_start,
	.release = async_release,
};

static int complete_inside(struct shunt_runtime *rt, struct shunt_job_id id, int code)
{
	struct sh_record *t;
	struct sh_end e;
	uint64_t end_ns;
	uint32_t flags;
	uint32_t idx = sh_record_index(id.v);

	if (idx == 0 || idx > (uint64_t)rt->records.per_node * rt->records.nodes)
		return SHUNT_ESTALE;
	/* whether it is asynchronous stands in the word of this generation: read before, it cannot change after */
	flags = sh_record_flags(rt, id.v);
	if (flags != 0 && !(flags & SH_RECORD_ASYNC))
		return (flags & SH_RECORD_STATUS) == SH_RECORD_RUNNING ? SHUNT_EINVAL : SHUNT_ESTALE; /* its own handler ends it */
	if (!sh_record_move(rt, id.v, SH_RECORD_RUNNING, SH_RECORD_FINISHING))
		return SHUNT_ESTALE;
	sh_run_load(&e, rt, id.v);
	t = e.record;
	end_ns = sh_clock_ns();
	e.status = code == 0 ? SH_RECORD_DONE : SH_RECORD_FAILED;
	e.code = code;
	e.detail = SHUNT_BY_COMPLETE;
	e.attempts = 1;
	e.worker = t->ran_on;
	e.queue_ns = sh_a64_load_rlx(&t->queue_ns); /* mo rlx: acquired with RUNNING. */
	e.run_ns = end_ns > t->start_ns ? end_ns - t->start_ns : 0;
	e.total_ns = end_ns > e.submit_ns ? end_ns - e.submit_ns : 0;
	e.pass = true;
	sh_run_end(&e, 0);
	return 0;
}

int shunt_complete(struct shunt_runtime *rt, struct shunt_job_id id, int code)
{
	SH_CALL(call);
	int rc = code == SHUNT_PENDING ? SHUNT_EINVAL : sh_call_enter(rt, &call); /* its callback may take long */

	return rc == 0 ? complete_inside(rt, id, code) : rc;
}

bool sh_async_abandon(struct shunt_runtime *rt, uint64_t handle)
{
	struct sh_end e;

	if (!sh_record_move(rt, handle, SH_RECORD_RUNNING, SH_RECORD_FINISHING))
		return false;
	sh_run_load(&e, rt, handle);
	sh_end_cancelled(&e, SHUNT_BY_STOP);
	e.worker = e.record->ran_on;
	e.attempts = 1;
	e.pass = true; /* later jobs of its key are queued again */
	sh_run_end(&e, 0);
	return true;
}
