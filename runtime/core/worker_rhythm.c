/*
 * core/worker_rhythm.c - how long a worker spins and how long it sleeps. Without a job it spins for about as long as a wake-up
 * costs, then sleeps until it is woken. But an adaptive worker whose sleeps are ended by jobs in a steady rhythm (rhythm.h)
 * sleeps until shortly before the next one is due, and meets it awake. Called by worker.c around its sleeps.
 *
 * What that can cost where the rhythm breaks: one short wake-up in vain, then none before SH_RHYTHM_SURE steady gaps were
 * seen again. A job that comes at any other time wakes the worker as ever.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/clock.h"
#include "core/runtime.h"

#define SPIN_SHIFT_MAX 4u
#define LATE_NS_MAX UINT64_C(200000) /* more was not the timer: the cpu had other things to do */
#define STEADY_SPIN_PART 50u /* after a job that came alone, beat by beat, it spins for no more than 1/so much of the gap */

/*
 * Spinning as long as a wake costs is at most twice as dear as the best there is, for each sleep alone. But a worker that is
 * woken again and again within that time would have done better not to sleep at all, and so would those who pay for its
 * wakes: it spins longer, up to 2^SPIN_SHIFT_MAX times, until a sleep was worth it.
 */
static void spin_learn(struct sh_worker *w, uint64_t slept_ns)
{
	if (w->pool->opts.spin_ns != 0)
		return; /* the user's own figure */
	if (slept_ns < w->pool->spin_ns && w->spin_shift < SPIN_SHIFT_MAX)
		w->spin_shift++;
	else if (slept_ns >= w->pool->spin_ns && w->spin_shift > 0)
		w->spin_shift--;
}

/* Is its waiting ours to plan? The pool's spin_ns is the cost of a wake-up then: not the user's figure, not 0. */
static bool listens(const struct sh_worker *w)
{
	return w->pool->opts.idle == SHUNT_IDLE_ADAPTIVE && w->pool->opts.spin_ns == 0 && w->pool->spin_ns != 0;
}

/* The kernel's timers may be later than its wake-ups, on virtual machines by far: what it has seen, and a quarter more. */
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

	if (a->expects) /* and nothing came */
		sh_rhythm_vain(&a->rhythm);
	a->expects = false;
	a->stolen = sh_a64_load_rlx(&w->stolen); /* mo rlx: own counter. */
	a->wake_at_ns = SH_FOREVER;
	if (listed && listens(w) && sh_rhythm_steady(&a->rhythm))
		(void)sh_rhythm_next(&a->rhythm, sh_clock_ns(), wake_cost(w), &a->wake_at_ns, &a->spin_until_ns);
}

uint64_t sh_worker_sleep_ns_max(const struct sh_worker *w)
{
	uint64_t now;

	if (sh_likely(w->waiting.wake_at_ns == SH_FOREVER))
		return SH_FOREVER;
	now = sh_clock_ns();
	return w->waiting.wake_at_ns > now ? w->waiting.wake_at_ns - now : 0;
}

void sh_worker_slept(struct sh_worker *w, uint64_t slept_ns, bool by_itself)
{
	spin_learn(w, by_itself ? SH_FOREVER : slept_ns); /* who was not woken was not woken too soon */
	if (by_itself)
		late_learn(&w->waiting, sh_clock_ns());
	w->waiting.slept = true;
	w->waiting.expects = by_itself;
}

void sh_worker_met(struct sh_worker *w, uint32_t item)
{
	struct sh_waiting *a = &w->waiting;
	uint64_t jobs;

	if (!a->slept || !listens(w))
		return;
	a->slept = false;
	if (sh_a64_load_rlx(&w->stolen) != a->stolen) /* mo rlx: own counter. It came to somebody else. */
		return;
	a->expects = false;
	jobs = sh_a64_load_rlx(&w->jobs); /* mo rlx: own counter. */
	a->singles = jobs - a->jobs != 1 ? 0 : a->singles < SH_RHYTHM_SURE ? a->singles + 1 : a->singles;
	a->jobs = jobs;
	/* When it was to start, not when we came to it: what waking us took is no part of the rhythm. */
	sh_rhythm_arrival(&a->rhythm, item & SH_TOKEN ? sh_clock_ns() : w->job_at_0[item].submit_ns);
}

bool sh_worker_spun_enough(const struct sh_worker *w, uint64_t since_ns, uint64_t now_ns)
{
	const struct sh_waiting *a = &w->waiting;
	uint64_t spin_ns = w->pool->spin_ns << w->spin_shift;

	if (a->expects)
		return now_ns >= a->spin_until_ns;
	if (a->singles >= SH_RHYTHM_SURE && sh_rhythm_steady(&a->rhythm) && spin_ns > a->rhythm.mean_ns / STEADY_SPIN_PART)
		spin_ns = a->rhythm.mean_ns / STEADY_SPIN_PART;
	return now_ns - since_ns >= spin_ns;
}
