/*
 * sched/strand.h - strands: the serial queue of a key. Jobs of one key run one at a time, in submit
 * order, whichever worker runs them. A key hashes to a strand of its pool. The workers' queues hold
 * no keyed job but a token, the strand's queue entry: "strand s has jobs". Used by submit's route,
 * by the loop, and by the end of a keyed job.
 *
 * Algorithm: the strand's word is {state:2 | newest pending record:32}, a list that the claimer
 * reverses.
 *
 *   IDLE     no jobs
 *   READY    jobs, and no thread runs them
 *   RUNNING  one thread took the list and runs from it
 *
 * `tokens` counts tokens in queues: raised after a token was pushed, lowered after one was popped
 * and before its popper tries to claim.
 * - A submitter adds its job (CAS), then reads `tokens`. If the strand is READY and no token is
 *   counted, it pushes one.
 * - If it stops in between, the next submitter of the strand finds the same and pushes one instead.
 * - If it saw a token counted, that token's popper claims later, and finds the job.
 * - A token is only a hint: its popper must win READY to RUNNING, or drop it. A strand never has
 *   more tokens than threads that push at once, plus one.
 *
 * Calls that may run together:
 *
 *   push, pushed          any thread
 *   claim                 any thread that popped a token
 *   next, peek, release   the claimer
 *
 * Linearization: push - its CAS, which defines the order within a key. Claim - its CAS to RUNNING.
 * Release - its CAS to IDLE or READY.
 * Progress: each call is lock-free. But jobs of a key wait while the thread that runs one is
 * stopped.
 * Bounds: the walk that reverses the pending list is as long as the list; each job is in one walk.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_STRAND_H
#define SH_SCHED_STRAND_H

#include "sched/world.h"

struct sh_strand {
	sh_a64 word;          /* sync: atomic; state | newest pending record:32 */
	uint32_t first, last; /* sync: RUNNING claimer; records in submit order, from the word */
	sh_a32 tokens;        /* sync: atomic; tokens in queues */
	sh_a32 levels;        /* sync: atomic; levels of its jobs since it was IDLE, for a waiter's boost: a hint */
} SH_ALIGNED(32);

/* Adds a job, by its record's index. True = the caller must push a token, then call sh_strand_pushed. */
bool sh_strand_push(struct shunt_runtime *rt, struct sh_strand *s, uint32_t record);
#define SH_STRAND_LOOKS 4096u
/*
 * Is a member of the group among the first SH_STRAND_LOOKS jobs queued in the strand? Of a strand that is held by a job
 * whose thread does not go on meanwhile.
 */
bool sh_strand_has_member(struct shunt_runtime *rt, const struct sh_strand *s, uint32_t group);
/* Counts a token of s that is in a queue now. */
void sh_strand_pushed(struct sh_strand *s);
/* Claims the strand; the caller popped a token. False = the token was stale: drop it. */
bool sh_strand_claim(struct shunt_runtime *rt, struct sh_strand *s);
/* Takes the oldest job; 0 = none now. Claimer only. */
uint32_t sh_strand_next(struct shunt_runtime *rt, struct sh_strand *s);
/* The same without taking it. Claimer only. */
uint32_t sh_strand_peek(struct shunt_runtime *rt, struct sh_strand *s);
/*
 * Ends the claim. True = jobs are left: push a token at *level (the next job's), then call
 * sh_strand_pushed.
 */
bool sh_strand_release(struct shunt_runtime *rt, struct sh_strand *s, uint32_t *level);

#endif
