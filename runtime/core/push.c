/* core/push.c - see push.h: the rarer ways, and the wake itself. SPDX-License-Identifier: MIT */
#include "core/push.h"

#include "base/futex.h"
#include "base/inject.h"

bool sh_worker_wake(struct sh_worker *w)
{
	/* mo S2 <> S1@core/worker.c: the caller published before; the sleeper scans after PARKED. */
	uint32_t s = sh_a32_load_sc(&w->state);

	while (s == SH_W_PARKED) {
		/* mo S2 -> S3@core/worker.c: what the waker did before. */
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
		/* mo I1 <> I1@core/worker.c: the job is visible; either we see the idle bit or the sleeper the job. */
		uint64_t m = sh_a64_load_sc(&p->idle[i]) & p->can[level][i];

		for (; m != 0; m &= m - 1) {
			struct sh_worker *w = p->worker[i * 64u + sh_ctz64(m)];
			uint32_t s = sh_a32_load_acq(&w->state); /* mo S2 <> S1@core/worker.c: which sleep this is; the wake decides. */

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
	sleep = sh_a64_load_rlx(&w->sleeps); /* mo rlx: raised before each sleep; the state word ordered it before WAKING. */
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
	if (!waking && n > 1) /* a second one: who is stopped on its way to sleep keeps one job, not all of them */
		(void)sh_pool_wake_idle(p, level);
}

void sh_push_tell_others(struct sh_submitter *sub, struct sh_pool *p, struct sh_worker *w, uint32_t n, uint32_t level)
{
	/* mo S2 <> S1@core/worker.c: published, then the look at the state. */
	uint32_t s = sh_a32_load_sc(&w->state);
	bool full = sh_a32_load_sc(&w->full) != 0; /* mo Y1 <> Y1@core/exec.c: it takes nothing; others must come. */
	/* mo W3 <> W3@core/worker.c: complete workers; pushed, then the look: we see the first spare or its maker our job. */
	bool alone = sh_a32_load_sc(&p->slots) == 1;
	bool woken = false;

	if (!full && s != SH_W_RUNNING) {
		/* Only who wakes it may leave it at that; behind somebody else's wake the job is offered to others too. */
		if (s == SH_W_PARKED || sh_push_may_rewake(sub, w))
			woken = sh_worker_wake(w);
	}
	if (alone || (woken && n == 1)) /* it was chosen, and it comes: a spinner beside it does not take its job before that */
		return;
	sh_push_hot(p, level);
	sh_push_wake_idle(sub, p, woken ? 1 : n, level);
}

void sh_backlog_push(struct sh_pool *p, const uint32_t *items, uint32_t n, uint32_t level)
{
	struct sh_ring *r = &p->backlog[level];
	uint32_t pushed;

	for (uint32_t i = 0; i < n; i++)
		if (!(items[i] & SH_TOKEN))
			sh_job_at(p->rt, items[i])->cost_ns = 0;
	pushed = n == 1 ? sh_ring_push(r, items[0]) : sh_ring_push_many(r, items, n);
	assert(pushed == n); /* it has a slot for every descriptor and token there is */
	(void)pushed;
}

void sh_push_backlog(struct sh_submitter *sub, struct sh_pool *p, const uint32_t *items, uint32_t n, uint32_t level)
{
	SH_POINT("submit.before_backlog");
	sh_backlog_push(p, items, n, level);
	/* mo H1 <> H2@core/pick.h: as sh_push_hot. */
	if (!(sh_a32_load_sc(&p->backlog_bits) >> level & 1u))
		(void)sh_a32_or_sc(&p->backlog_bits, 1u << level); /* mo H1 <> H2@core/pick.h: as above. */
	sh_push_wake_idle(sub, p, n, level);
}
