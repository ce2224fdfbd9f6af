/*
 * sched/sleep.c - how long a worker spins and how long it sleeps. Without a job it spins for as long
 * as pays, by the gaps that it had (policy/spin.h), at first for about the cost of a wake-up; then it
 * sleeps until a waker wakes it. An adaptive worker whose sleeps are
 * ended by periodic arrivals (arrival.h) sleeps until shortly before the predicted arrival and
 * spins until the job is there. Called by idle.c around the sleeps, and by the loop.
 *
 * Cost of a misprediction: one short wake-up without result, then none until SH_ARRIVAL_SURE regular
 * gaps were seen again. A job that arrives at any other time wakes the worker as usual.
 *
 * SPDX-License-Identifier: MIT
 */
#include "sched/sleep.h"

#include "base/clock.h"
#include "sched/world.h"

#define LATE_NS_MAX UINT64_C(200000) /* a longer delay is not the timer's: the cpu was busy */
#define PACE_GAP_NS 500u             /* jobs that come faster are a burst: a line goes there and back in this time */
#define PACE_NS_MAX 1000u
#define PACE_SKIP_MAX 1023u /* idle times without a pause behind one that did not pay, at most */
#define PACE_JOBS 16u       /* as many should come before the worker looks again */
#define WAKE_SIDES 3u       /* a wake-up costs its waker, the worker, and the job that waits */

/*
 * May this worker's arrivals be predicted? Then spin_ns is the measured cost of a wake-up: not the
 * user's value, not 0.
 */
static bool listens(const struct sh_worker *w)
{
	return w->pool->opts.idle == SHUNT_IDLE_ADAPTIVE && w->pool->opts.spin_ns == 0 && w->pool->spin_ns != 0;
}

/*
 * Lead before a predicted arrival, ns. Timers may be later than wake-ups by a waker, by far on
 * virtual machines: the observed lateness and a quarter more, at least the cost of a wake-up.
 */
static uint64_t wake_cost(const struct sh_worker *w)
{
	uint64_t seen = w->waiting.late_ns + w->waiting.late_ns / 4;

	return seen > w->pool->spin_ns ? seen : w->pool->spin_ns;
}

static void late_learn(struct sh_waiting *a, uint64_t now_ns)
{
	uint64_t late = now_ns > a->wake_at_ns ? now_ns - a->wake_at_ns : 0;

	late = late < LATE_NS_MAX ? late : LATE_NS_MAX;
	if (late > a->late_ns)
		a->late_ns += (late - a->late_ns) / 4;
	else
		a->late_ns -= (a->late_ns - late) / 16;
}

void sh_worker_falls_asleep(struct sh_worker *w, bool listed)
{
	struct sh_waiting *a = &w->waiting;

	if (a->predicted) /* the predicted job did not arrive */
		sh_arrival_missed(&a->arrivals);
	a->predicted = false;
	a->stolen = sh_a64_load_rlx(&w->stolen); /* mo rlx: own counter. */
	a->wake_at_ns = SH_FOREVER;
	if (listed && listens(w) && sh_arrival_steady(&a->arrivals))
		(void)sh_arrival_next(&a->arrivals, sh_clock_ns(), wake_cost(w), &a->wake_at_ns, &a->spin_until_ns);
}

uint64_t sh_worker_sleep_ns_max(const struct sh_worker *w)
{
	uint64_t now;

	if (sh_likely(w->waiting.wake_at_ns == SH_FOREVER))
		return SH_FOREVER;
	now = sh_clock_ns();
	return w->waiting.wake_at_ns > now ? w->waiting.wake_at_ns - now : 0;
}

void sh_worker_slept(struct sh_worker *w, bool by_itself)
{
	if (by_itself)
		late_learn(&w->waiting, sh_clock_ns());
	w->waiting.slept = listens(w);
	w->waiting.predicted = by_itself;
}

void sh_worker_arrival(struct sh_worker *w, struct sh_item item)
{
	struct sh_waiting *a = &w->waiting;

	a->slept = false;
	/* mo rlx: own counter. The job was queued to another worker. */
	if (sh_a64_load_rlx(&w->stolen) != a->stolen)
		return;
	a->predicted = false;
	/*
	 * A plain job's submit time, not the time of this pick: the cost of the wake-up is not part
	 * of the period.
	 */
	sh_arrival_add(&a->arrivals, sh_item_is_plain(item) ? sh_item_submit_ns(item, sh_clock_ns()) : sh_clock_ns());
}

void sh_worker_gap(struct sh_worker *w, struct sh_item item)
{
	struct sh_waiting *a = &w->waiting;
	uint64_t since = a->idle_since_ns, now = w->now_ns ? w->now_ns : sh_clock_ns();
	uint64_t at = sh_item_is_plain(item) ? sh_item_submit_ns(item, now) : now;

	a->idle_since_ns = 0;
	sh_spin_add(&a->spin, at > since ? at - since : 0, WAKE_SIDES * w->pool->spin_ns);
}

void sh_worker_rate(struct sh_worker *w, uint64_t submit_ns, uint32_t n)
{
	struct sh_waiting *a = &w->waiting;
	uint64_t gap = submit_ns > a->submit_ns ? submit_ns - a->submit_ns : 0;

	a->submit_ns = submit_ns;
	gap = n == 1 ? gap : gap / n;
	gap = gap < SH_GAP_MAX_NS ? gap : SH_GAP_MAX_NS;
	a->gap_ns = a->gap_ns - a->gap_ns / 8 + gap / 8;
	if (a->paced) { /* several jobs came: it pays. One: its submitter waits for each, perhaps */
		a->paced = false;
		a->pace_skip = n > 1 ? 0 : (uint16_t)(a->pace_skip < PACE_SKIP_MAX ? 2u * a->pace_skip + 1u : PACE_SKIP_MAX);
		a->pace_left = a->pace_skip;
	}
}

uint64_t sh_worker_pace_ns(struct sh_worker *w)
{
	struct sh_waiting *a = &w->waiting;
	uint64_t gap = a->gap_ns;

	if (gap >= PACE_GAP_NS)
		return 0;
	if (a->pace_left > 0) {
		a->pace_left--;
		return 0;
	}
	a->paced = true;
	return PACE_JOBS * gap < PACE_NS_MAX ? PACE_JOBS * gap : PACE_NS_MAX;
}

bool sh_worker_spun_enough(const struct sh_worker *w, uint64_t since_ns, uint64_t now_ns)
{
	const struct sh_waiting *a = &w->waiting;

	if (a->predicted)
		return now_ns >= a->spin_until_ns;
	/* the user's time, or the learned one */
	return now_ns - since_ns >= (w->pool->opts.spin_ns == 0 && a->spin.best_ns != 0 ? a->spin.best_ns : w->pool->spin_ns);
}
