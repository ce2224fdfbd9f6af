/*
 * job/parts.h - the table of the parts that a job may have (sched/part.h). A new part is one file of
 * this folder, one name in enum sh_part_id and one row in parts.c. The scheduler reaches the table by
 * a pointer that the start of a runtime sets.
 *
 * Thread: any; constant.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_JOB_PARTS_H
#define SH_JOB_PARTS_H

#include "sched/part.h"

extern const struct sh_part *const sh_parts[SH_PARTS];

#endif
