/*
 * core/push.h - the last step of a job's way into a queue: the push, and who is told of it. Of a worker's ring nobody, where
 * the worker runs and is alone or looks at it all the time; else a sleeper is woken and the pool's hint set (push.c).
 * Called by submit.c and the worker's loop. Nothing here blocks; to wake a sleeper is a system call of the one
 * thread that moves it out of PARKED.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CORE_PUSH_H
#define SH_CORE_PUSH_H

#include "core/runtime.h"

/* As sh_push_wake_idle, when somebody sleeps. */
void sh_push_wake(struct sh_submitter *sub, struct sh_pool *p, uint32_t n, uint32_t level);
/* n jobs are in w's ring: makes sure that somebody comes for them, when w itself does not look at it in time. */
void sh_push_tell_others(struct sh_submitter *sub, struct sh_pool *p, struct sh_worker *w, uint32_t n, uint32_t level);
/* n items go to the pool's backlog, in order: any worker will do. */
void sh_push_backlog(struct sh_submitter *sub, struct sh_pool *p, const uint32_t *items, uint32_t n, uint32_t level);
/* May this submitter repeat somebody's wake of w? Once for each of its sleeps: a burst must not be one of system calls. */
bool sh_push_may_rewake(struct sh_submitter *sub, const struct sh_worker *w);

/* n jobs of `level` are visible to thieves: wakes somebody who sleeps and may take them, who wakes others if they are many. */
static inline void sh_push_wake_idle(struct sh_submitter *sub, struct sh_pool *p, uint32_t n, uint32_t level)
{
	/* mo I1 <> I1@core/worker.c: the job is visible; either we see the idle bit or the sleeper the job. */
	uint64_t asleep = sh_a64_load_sc(&p->idle[0]) & p->can[level][0];

	for (uint32_t i = 1; sh_unlikely(i < p->words); i++)
		asleep |= sh_a64_load_sc(&p->idle[i]) & p->can[level][i]; /* mo I1 <> I1@core/worker.c: as above. */
	if (sh_unlikely(asleep != 0))
		sh_push_wake(sub, p, n, level);
}

static inline bool sh_push_is_spinning(const struct sh_pool *p, uint32_t slot)
{
	/* mo H3 <> H3@core/worker.c: it clears the bit before it looks at what it leaves behind. */
	return (sh_a64_load_sc(&p->spinning[slot / 64u]) >> (slot % 64u) & 1u) != 0;
}

static inline void sh_push_hot(struct sh_pool *p, uint32_t level)
{
	/* mo H1 <> H2@core/pick.h: pushed before; whoever clears looks again afterwards. */
	if (!(sh_a32_load_sc(&p->hot) >> level & 1u))
		(void)sh_a32_or_sc(&p->hot, 1u << level); /* mo H1 <> H2@core/pick.h: as above. */
}

/* For a checkpoint of the job that w runs. Nearly always set: checkpoints alone clear it. */
static inline void sh_push_told(struct sh_worker *w, uint32_t level)
{
	/* mo H1 <> H2@core/pick.h: pushed before; whoever clears looks again afterwards. */
	if (!(sh_a32_load_sc(&w->ring_bits) >> level & 1u))
		(void)sh_a32_or_sc(&w->ring_bits, 1u << level); /* mo H1 <> H2@core/pick.h: as above. */
}

/* n jobs are in w's ring. */
static inline void sh_push_tell(struct sh_submitter *sub, struct sh_pool *p, struct sh_worker *w, uint32_t n, uint32_t level)
{
	/* mo S2 <> S1@core/worker.c: published, then the look at the state; W3 <> W3@core/worker.c: as in sh_push_tell_others. */
	if (sh_likely(sh_a32_load_sc(&w->state) == SH_W_RUNNING)
	    && (sh_a32_load_sc(&p->slots) == 1 || sh_push_is_spinning(p, w->slot))) /* mo W3 <> W3@core/worker.c: as above. */
		return;
	sh_push_tell_others(sub, p, w, n, level);
}

/* While a level has a backlog new jobs go behind it, so that a submitter's order holds. */
static inline bool sh_push_backlogged(const struct sh_pool *p, uint32_t level)
{
	return (sh_a32_load_rlx(&p->backlog_bits) >> level & 1u) != 0; /* mo rlx: own pushes are seen in order. */
}

/* n items for worker `slot`, in order; each costs `cost`. */
static inline void sh_push_ring(struct sh_submitter *sub, struct sh_pool *p, uint32_t slot, const uint32_t *items, uint32_t n,
			     uint32_t level, uint64_t cost)
{
	struct sh_worker *w = p->worker[slot];
	uint32_t i = 0;

	if (sh_likely(!sh_push_backlogged(p, level))) {
		(void)sh_a64_add_rlx(&w->accepted, cost * n); /* mo rlx: an estimate, reserved before the job is visible. */
		i = n == 1 ? sh_ring_push(&w->ring[level], items[0]) : sh_ring_push_many(&w->ring[level], items, n);
		if (sh_likely(i > 0)) {
			sh_push_told(w, level);
			sh_push_tell(sub, p, w, i, level);
		}
		if (sh_likely(i == n))
			return;
		(void)sh_a64_sub_rlx(&w->accepted, cost * (n - i)); /* mo rlx: as above. */
	}
	sh_push_backlog(sub, p, items + i, n - i, level);
}

#endif
