/*
 * job/group.h - groups: each counts its unfinished jobs. Its members enter at submit and leave at
 * their end, through the table of parts. Called by the public group calls.
 *
 * Algorithm: one word {generation:38 | flags:2 | pending:24}. Every change of a live group is a CAS
 * of the whole word, so a stale id never acts. Waiters sleep on its low half.
 * Calls that may run together: all. Linearization: the CAS of the word, or the load of a query.
 * Progress: lock-free; shunt_group_wait blocks until no job is pending, or until its deadline.
 * Bounds: 2^24 - 1 pending jobs a group, which are more than there are records.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_JOB_GROUP_H
#define SH_JOB_GROUP_H

#include "sched/part.h"

extern const struct sh_part sh_part_group;

bool sh_group_is_cancelled(struct shunt_runtime *rt, uint32_t index);

#endif
