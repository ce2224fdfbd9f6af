/*
 * job/bound.h - the part of each job of a pool with queue_max: its place among the unfinished jobs
 * of the pool. Reached through the table of parts.
 *
 * Calls that may run together: hooks of different jobs. Linearization: the addition to, or the
 * subtraction from, the pool's count. Progress: lock-free.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_JOB_BOUND_H
#define SH_JOB_BOUND_H

#include "sched/part.h"

extern const struct sh_part sh_part_bound;

#endif
