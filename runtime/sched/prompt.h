/*
 * sched/prompt.h - prompt workers: which pushes wake nobody although they go to a worker that runs.
 *
 * In a burst of very short jobs, each wake-up costs more than many jobs, and a second worker only
 * contends for the queue of the first. A worker that runs short jobs, with little queued, says that it
 * is *prompt*. A push to its ring then wakes nobody and sets no hint, as long as the pool has a
 * *watcher*.
 * - A prompt worker takes its word back before it does anything else: a job that is not known to be
 *   short, a wait, a declared block, asynchronous capacity, more than SH_PROMPT_NS of queued work. It
 *   looks at its queues afterwards and offers them (sh_propagate).
 * - The watcher is a parked worker that looks every SH_WATCH_NS whether the prompt workers run jobs. If
 *   one does not (it has none, it lost its cpu, or a job takes long without a sign), the watcher takes
 *   the word back for it; if that one has jobs, the watcher steals them. Without a prompt worker that is
 *   awake, there is no watcher: an idle pool makes no wake-ups.
 * - A worker that spins in poll mode may be the watcher too.
 *
 * Calls that may run together: begin and end by the owner, the watch by its watcher; pushes meanwhile.
 * Linearization: end - the store of 0 to `prompt`; the end of a watch - the store of 0 to `watcher`. A
 * pusher pushes, then reads both; who stores 0 looks at the queues afterwards (prompt.1, watch.1).
 * Progress: wait-free, but for sh_propagate. Bounds: a look covers the pool's workers.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_PROMPT_H
#define SH_SCHED_PROMPT_H

#include "sched/world.h"

#define SH_PROMPT_NS 30000u  /* so much work is queued at a prompt worker at most: what a wake-up counts as */
#define SH_WATCH_NS 1000000u /* time between two looks of the watcher */

/* What the watcher does after a look. */
enum sh_watch {
	SH_WATCH_ON,    /* goes on */
	SH_WATCH_OVER,  /* nobody is prompt: it is no watcher any more */
	SH_WATCH_STEAL, /* a prompt worker stands still: it must take jobs; it is no watcher any more */
};

/* Slow path of sh_prompt_end. */
void sh_prompt_end_slow(struct sh_worker *w);
/* Becomes the pool's watcher. False = there is one, or nobody else is prompt. */
bool sh_watch_begin(struct sh_worker *w);
/* A look of the watcher. Only after SH_WATCH_ON it is still the watcher. */
enum sh_watch sh_watch_look(struct sh_worker *w);
/* The watcher has something else to do. It looks at all queues afterwards, or has others look. */
void sh_watch_end(struct sh_worker *w);

/*
 * Is w prompt and watched, so that what was pushed to its ring before needs nobody else? The thread that takes the
 * word back or ends the watch looks at the queues afterwards.
 */
static inline bool sh_prompt_serves(const struct sh_worker *w)
{
	return sh_a32_load_sc(&w->prompt) != 0            /* mo prompt.1 <> prompt.1@sched/prompt.c: pushed before. */
	       && sh_a32_load_sc(&w->pool->watcher) != 0; /* mo watch.1 <> watch.1@sched/prompt.c: pushed before. */
}

/* Has the ring of w a job that others should take? */
static inline bool sh_prompt_offers(const struct sh_worker *w, uint32_t level)
{
	return sh_ring_has(&w->ring[level]) && !sh_prompt_serves(w);
}

/* Owner: short jobs, and little queued. */
static inline void sh_prompt_begin(struct sh_worker *w)
{
	/* mo rlx: own value, or the watcher's 0; read late, a push wakes somebody. */
	if (sh_a32_load_rlx(&w->prompt) == 0)
		sh_a32_store_rlx(&w->prompt, 1);
}

/* Owner, before it parks: it looks at all queues afterwards. */
static inline void sh_prompt_clear(struct sh_worker *w)
{
	if (sh_a32_load_rlx(&w->prompt) != 0) /* mo rlx: own value, or the watcher's 0. */
		/* mo prompt.1 <> prompt.1@sched/prompt.h: taken back, then the sleeper's scan. */
		sh_a32_store_sc(&w->prompt, 0);
}

/* Owner: something else than short jobs comes, or too much is queued. */
static inline void sh_prompt_end(struct sh_worker *w)
{
	if (sh_unlikely(sh_a32_load_rlx(&w->prompt) != 0)) /* mo rlx: own value, or the watcher's 0. */
		sh_prompt_end_slow(w);
}

#endif
