/*
 * sched/capacity.h - release of backpressure: capacity that a submitter waits for, of jobs that
 * ended or of credits that a worker keeps. Called at a job's end and when a pool stops;
 * never blocks.
 *
 * Algorithm: `releases` counts releases. It is the futex word of blocked submitters: they read it, try
 * again, then sleep (capacity.2).
 * Calls that may run together: all; release by the owner of w. Linearization: the increment of
 * `releases`.
 * Progress: lock-free, one system call. Bounds: at most 1024 submitters are woken a call; a
 * submitter that is missed looks again within 1 ms.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_CAPACITY_H
#define SH_SCHED_CAPACITY_H

#include "sched/world.h"

/* Capacity was released: wakes the submitters that wait for it. Cheap when none waits. */
void sh_capacity_signal(struct sh_pool *p);
/* A submitter is blocked on capacity: flushes the credits of w (may be NULL), and signals. */
void sh_capacity_release(struct sh_worker *w, struct sh_pool *p);

#endif
