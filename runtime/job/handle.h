/*
 * job/handle.h - the part that makes a job's end known: a handle, a callback, an asynchronous type.
 * Its state is the word of the job's record. Called through the table of parts, and by the public
 * wait, poll, detach and cancel calls.
 *
 *   QUEUED -> RUNNING -> FINISHING -> DONE | FAILED      (worker, completer, helping waiter)
 *   QUEUED -> FINISHING -> CANCELLED                     (canceller, destroyer)
 *
 * Algorithm: the thread that moves a word to FINISHING alone writes the result, makes the callback
 * and counts the end. The record is freed when it is terminal and nobody needs it (sched/record.h).
 * Every change is a CAS on {generation, flags}: a stale handle never
 * acts (protocol 6 and 7 of docs/CONCURRENCY.md).
 * Calls that may run together: all.
 * Linearization: the CAS of the word; commit - its store of QUEUED; a query - its load of the
 * word.
 * Progress: lock-free. shunt_wait blocks up to its timeout; as a job on a worker, it may run the
 * awaited job instead.
 * Bounds: a CAS repeats only when another thread changed the word; it has a few changes in a life.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_JOB_HANDLE_H
#define SH_JOB_HANDLE_H

#include <shunt/cq.h>

#include "sched/part.h"
#include "sched/record.h"

extern const struct sh_part sh_part_handle;

/*
 * Moves the status from -> to if the handle is current. False = it is not, or has another status.
 */
bool sh_record_move(struct shunt_runtime *rt, uint64_t handle, uint32_t from, uint32_t to);
/* Of an ended job that is held for its completion queue. */
void sh_record_completion(struct shunt_runtime *rt, uint64_t handle, struct shunt_completion *out);

#endif
