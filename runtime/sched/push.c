/*
 * sched/push.c - see push.h: the slow paths, and the wake-up itself. SPDX-License-Identifier: MIT
 */
#include "sched/push.h"

#include "base/futex.h"
#include "base/inject.h"

bool sh_worker_wake(struct sh_worker *w)
{
	/* mo park.2 <> park.1@sched/idle.c: the caller published before; the sleeper scans after PARKED. */
	uint32_t s = sh_a32_load_sc(&w->state);

	while (s == SH_W_PARKED) {
		/* mo park.2 -> stop.1@sched/idle.c: publishes what the waker did before. */
		if (sh_a32_cas_sc(&w->state, &s, SH_W_WAKING)) {
			(void)sh_a64_add_rlx(&w->wakes, 1); /* mo rlx: statistic. */
			SH_POINT("submit.before_wake");
			(void)sh_futex_wake(&w->state, 1);
			return true;
		}
	}
	if (s == SH_W_WAKING)
		(void)sh_futex_wake(&w->state, 1);
	return false;
}

struct sh_worker *sh_pool_wake_idle(struct sh_pool *p, uint32_t level)
{
	struct sh_worker *waking = NULL;
	uint32_t i;

	for (i = 0; i < p->words; i++) {
		/*
		 * mo park.3 <> park.3@sched/idle.c: pushed, then the bits are read: we see the idle bit, or
		 * the sleeper the job.
		 */
		uint64_t m = sh_a64_load_sc(&p->idle[i]) & p->can[level][i];

		for (; m != 0; m &= m - 1) {
			struct sh_worker *w = p->worker[i * 64u + sh_ctz64(m)];
			/* mo park.2 <> park.1@sched/idle.c: a look ahead; the CAS of the wake decides. */
			uint32_t s = sh_a32_load_acq(&w->state);

			if (s == SH_W_PARKED && sh_worker_wake(w))
				return NULL;
			if (s == SH_W_WAKING)
				waking = w;
		}
	}
	return waking;
}

bool sh_push_may_rewake(struct sh_submitter *sub, const struct sh_worker *w)
{
	uint64_t sleep;

	if (!sub)
		return true;
	/* mo rlx: raised before each sleep; the state word ordered it before WAKING. */
	sleep = sh_a64_load_rlx(&w->sleeps);
	if (sub->rewoken == w && sub->rewoken_sleep == sleep)
		return false;
	sub->rewoken = w;
	sub->rewoken_sleep = sleep;
	return true;
}

void sh_push_wake(struct sh_submitter *sub, struct sh_pool *p, uint32_t n, uint32_t level)
{
	struct sh_worker *waking = sh_pool_wake_idle(p, level);

	if (waking && sh_push_may_rewake(sub, waking))
		(void)sh_worker_wake(waking);
	/* a second one: a worker that stops on its way to sleep delays one job, not all of them */
	if (!waking && n > 1)
		(void)sh_pool_wake_idle(p, level);
}

void sh_push_notify_others(struct sh_submitter *sub, struct sh_pool *p, struct sh_worker *w, uint32_t n, uint32_t level)
{
	/* mo park.2 <> park.1@sched/idle.c: published, then the state is read. */
	uint32_t s = sh_a32_load_sc(&w->state);
	/* mo async.1 <> async.1@job/async.c: at its capacity w takes no job; others must. */
	bool full = sh_a32_load_sc(&w->full) != 0;
	/*
	 * mo slots.2 <> slots.2@sched/worker.c: pushed, then the count is read: we see the first spare, or
	 * its maker sees the job.
	 */
	bool alone = sh_a32_load_sc(&p->slots) == 1;
	bool woken = false;

	if (!full && s != SH_W_RUNNING) {
		/*
		 * Only the thread that woke w may rely on it. Behind another thread's wake, the job
		 * is offered to other workers too.
		 */
		if (s == SH_W_PARKED || sh_push_may_rewake(sub, w))
			woken = sh_worker_wake(w);
	}
	/* w is awake and takes its job itself: no spinner should steal it first */
	if (alone || (woken && n == 1))
		return;
	sh_push_stealable(p, level);
	sh_push_wake_idle(sub, p, woken ? 1 : n, level);
}

void sh_push_backlog(struct sh_submitter *sub, struct sh_pool *p, const struct sh_item *items, uint32_t n, uint32_t level)
{
	uint32_t pushed;

	SH_POINT("submit.before_backlog");
	pushed = sh_backlog_push_many(&p->backlog[level], items, n);
	/* none is left: more threads hold an uninstalled segment than there are spare ones (life/pool.c) */
	while (sh_unlikely(pushed < n)) {
		sh_cpu_relax();
		pushed += sh_backlog_push_many(&p->backlog[level], items + pushed, n - pushed);
	}
	/* mo hint.1 <> hint.2@sched/pick.h: as sh_push_stealable. */
	if (!(sh_a32_load_sc(&p->backlog_bits) >> level & 1u))
		/* mo hint.1 <> hint.2@sched/pick.h: as above. */
		(void)sh_a32_or_sc(&p->backlog_bits, 1u << level);
	sh_push_wake_idle(sub, p, n, level);
}
