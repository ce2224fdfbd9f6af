/*
 * job/place.h - two parts of a job: for one worker alone (SHUNT_JOB_ON_WORKER), or queued to a worker
 * of one NUMA node (SHUNT_JOB_ON_NODE). Both choose the route at submit and cost nothing after.
 * Reached through the table of parts.
 *
 * Calls that may run together: hooks of different jobs. Wait-free, no loops.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_JOB_PLACE_H
#define SH_JOB_PLACE_H

#include "sched/part.h"

extern const struct sh_part sh_part_pinned, sh_part_node;

#endif
