/*
 * core/track.h - the life of a tracked job's state word: open, claim, end, join, and the group counter. Called by
 * submit (open), exec (claim, end) and the public wait, poll, cancel calls.
 *
 *   QUEUED -> RUNNING -> FINISHING -> DONE | FAILED      (worker, completer, helping waiter)
 *   QUEUED -> FINISHING -> CANCELLED                     (canceller, destroyer)
 *
 * Who moves a word to FINISHING is the only one to write the result, to call the user back and to count the end.
 * The record is recycled when it is terminal and released, by whoever does the second of the two. Every change is
 * a CAS on {generation, flags}: a stale handle never acts (protocol 6 and 7 of docs/CONCURRENCY.md).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CORE_TRACK_H
#define SH_CORE_TRACK_H

#include "core/runtime.h"

static inline struct sh_track *sh_track_at(struct shunt_runtime *rt, uint64_t handle)
{
	return sh_slab_at(&rt->tracks, (uint32_t)(handle & 0xffffffu));
}

static inline bool sh_track_same(uint64_t word, uint64_t handle)
{
	return word >> SH_TRACK_GEN_SHIFT == handle >> SH_TRACK_GEN_SHIFT;
}

/* A fresh record (not yet published: fill it, then sh_track_publish); 0 = all taken. */
uint64_t sh_track_open(struct shunt_runtime *rt, struct sh_submitter *sub);
void sh_track_publish(struct shunt_runtime *rt, uint64_t handle, bool released);
/* Takes an opened record back that was never published to a queue. */
void sh_track_abandon(struct shunt_runtime *rt, struct sh_submitter *sub, uint64_t handle);
/* Moves status from -> to if the handle is current; false otherwise. */
bool sh_track_move(struct shunt_runtime *rt, uint64_t handle, uint32_t from, uint32_t to);
/* The FINISHING thread's last step: callback, terminal status, wake all, recycle if released. */
void sh_track_end(struct shunt_runtime *rt, uint64_t handle, uint32_t status);
/* Status bits of a current handle, 0 if stale. */
uint32_t sh_track_flags(struct shunt_runtime *rt, uint64_t handle);

struct sh_group *sh_group_at(struct shunt_runtime *rt, struct shunt_group_id id);
/* Counts a job in; false = no such group. */
bool sh_group_enter(struct shunt_runtime *rt, struct shunt_group_id id, uint32_t *index);
void sh_group_leave(struct shunt_runtime *rt, uint32_t index);
bool sh_group_is_cancelled(struct shunt_runtime *rt, uint32_t index);

#endif
