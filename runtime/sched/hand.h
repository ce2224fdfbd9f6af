/*
 * sched/hand.h - the hand of a worker: a few short jobs of one type that it took in one step, to run
 * them one after another. Owner only. Called by run.h, which runs them, and by what makes the running
 * job long.
 *
 * A hand is not stealable, it is short instead: at most what is left of a batch, SH_BATCH_MAX jobs or
 * SH_BATCH_NS (1.2 us) of learned time. So a job of a higher level, and a thief, wait that much longer.
 * - Taken only of a type whose learned time is below SH_SHORT_NS, from one source, while no other
 *   source of the level has jobs, no worker of the pool is idle (none but parked ones, if w is prompt:
 *   prompt.h), and no other level's turn comes.
 * - What makes the running job long (a declared block, a wait, a job nested in it) puts the rest
 *   into the worker's deque first, where thieves find it.
 * - A job of such a type that takes long without saying so holds the rest of its hand up for as long.
 *
 * Wait-free, but for the push to the deque's or the backlog's readers.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_HAND_H
#define SH_SCHED_HAND_H

#include "policy/levels.h"
#include "sched/world.h"

/* Takes a hand of items like `item`, at most `most`. False = none. */
bool sh_hand_take(struct sh_worker *w, uint32_t level, uint64_t kind, uint32_t most);
/* Puts the rest of the hand, not empty, where thieves find it. */
void sh_hand_release_slow(struct sh_worker *w, uint32_t level);

static inline void sh_hand_release(struct sh_worker *w)
{
	if (sh_unlikely(w->hand_at != w->hand_n))
		sh_hand_release_slow(w, w->ctx.level);
}

#endif
