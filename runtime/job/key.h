/*
 * job/key.h - keyed order, as a part of a job: jobs of one key run one at a time, in submit order.
 * Reached through the table of parts; the strands are in sched/strand.h.
 *
 * Calls that may run together: hooks of different jobs. Linearization: as sched/strand.h.
 * Progress: lock-free.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_JOB_KEY_H
#define SH_JOB_KEY_H

#include "sched/part.h"

extern const struct sh_part sh_part_key;

#endif
