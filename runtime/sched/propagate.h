/*
 * sched/propagate.h - wake-up propagation. A worker that was woken or was spinning, or that stole a
 * batch, must wake the next one if work is left: submitters skipped the wake because of it. In all
 * other cases the submitter has woken a worker. Owner only.
 *
 * Algorithm: for each level with work left, set the stealable hint and wake one parked worker.
 * Calls that may run together: each worker makes its own; pushes and wake-ups run meanwhile.
 * Linearization: a wake-up - as in push.h. It comes after the worker's spin bit or WAKING state is
 * cleared, so that a submitter that saw either is covered (spin.1).
 * Progress: lock-free; one system call a level. Bounds: levels x (idle words + workers).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_PROPAGATE_H
#define SH_SCHED_PROPAGATE_H

#include "sched/world.h"

/* Work may be left beyond what w runs next: sets the hints and wakes one parked worker a level. */
void sh_propagate(struct sh_worker *w);

#endif
