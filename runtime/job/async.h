/*
 * job/async.h - the part of a job whose type may return SHUNT_PENDING: its place among the
 * asynchronous jobs in flight, of its worker and of its pool, and its completion by another thread.
 * Reached through the table of parts, by shunt_complete and at destroy. The loop's side of the
 * bound is sched/async.h.
 *
 * Algorithm: the place is taken before the handler and given back at the end. The record stays
 * locked (FINISHING) until then, so no thread completes a job before its start is recorded.
 * Calls that may run together: all. Linearization: the CAS of the record's word (job/handle.h).
 * Progress: lock-free, but that a job which no other is below waits for a place that another worker
 * took since it was picked, until one is free or the pool stops.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_JOB_ASYNC_H
#define SH_JOB_ASYNC_H

#include "sched/part.h"

extern const struct sh_part sh_part_async;

/* At destroy: ends an asynchronous job that was not completed. False = it is not running. */
bool sh_async_abandon(struct shunt_runtime *rt, uint64_t handle);

#endif
