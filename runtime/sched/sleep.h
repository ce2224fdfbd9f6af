/*
 * sched/sleep.h - how long a worker spins and how long it sleeps. Owner only; called by idle.c
 * around each sleep, and by the loop. The algorithm is described in sleep.c. Wait-free, no loops;
 * no other thread reads its fields.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_SLEEP_H
#define SH_SCHED_SLEEP_H

#include "sched/world.h"

/*
 * In this order: before a sleep; its longest duration from now on, ns; after it (`by_itself` = the
 * timer ended it); at the first job picked after it.
 */
void sh_worker_falls_asleep(struct sh_worker *w, bool listed);
uint64_t sh_worker_sleep_ns_max(const struct sh_worker *w);
void sh_worker_slept(struct sh_worker *w, bool by_itself);
void sh_worker_arrival(struct sh_worker *w, struct sh_item item);
/* The first job after an idle time, which ran: learns how long the worker waited for it. */
void sh_worker_gap(struct sh_worker *w, struct sh_item item);
/* n jobs were recorded, the last of them submitted at submit_ns: learns how fast jobs come. */
void sh_worker_rate(struct sh_worker *w, uint64_t submit_ns, uint32_t n);
/*
 * For how long a worker that has just run out of jobs should leave its queues alone: 0 unless they come in a
 * burst. What comes then says whether it pays.
 */
uint64_t sh_worker_pace_ns(struct sh_worker *w);
/* Has an adaptive worker that is idle since `since_ns` spun enough? */
bool sh_worker_spun_enough(const struct sh_worker *w, uint64_t since_ns, uint64_t now_ns);

#endif
