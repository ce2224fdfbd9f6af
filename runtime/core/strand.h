/*
 * core/strand.h - keyed order: jobs of one key run one at a time, in submit order, whoever steals what. A key hashes
 * to a strand of its pool; what travels through the workers' queues is not the job but a token "strand s has jobs".
 *
 * The strand's word is {state:2 | newest pending job:32}.
 *   IDLE     no jobs
 *   READY    jobs, and nobody runs them
 *   RUNNING  one thread took the list and runs from it
 * `tokens` counts tokens in queues: raised after a token was pushed, lowered after one was popped and before its popper
 * tries to claim. A submitter adds its job first (CAS), then looks: READY and no token counted means that it pushes one.
 * If it stops in between, the next submitter of the strand finds the same and pushes one instead. If it saw a token
 * counted, that token's popper claims later, and finds the job. Tokens are only hints: a popper must win READY to
 * RUNNING, or drop it. There are never more tokens of a strand than threads that push at once, plus one.
 *
 *   push, needs_token, pushed: any thread.  popped, claim: whoever popped a token.  peek, next, release: the claimer.
 *
 * Linearization: order within a key is the order of the push CAS. Progress: lock-free. The walk that reverses the
 * pending list is bounded by the jobs of the strand and done once a job.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CORE_STRAND_H
#define SH_CORE_STRAND_H

#include "core/pool.h"

/* Adds a job; true = the caller must push a token, then call sh_strand_pushed. */
bool sh_strand_push(struct shunt_runtime *rt, struct sh_strand *s, uint32_t item);
/* A token of s is in a queue now. */
void sh_strand_pushed(struct sh_strand *s);
/* Takes the right to run; the caller popped a token. False = the token was stale: drop it. */
bool sh_strand_claim(struct shunt_runtime *rt, struct sh_strand *s);
/* The oldest job, 0 = none now. Claimer only. */
uint32_t sh_strand_next(struct shunt_runtime *rt, struct sh_strand *s);
/* The same without taking it. Claimer only. */
uint32_t sh_strand_peek(struct shunt_runtime *rt, struct sh_strand *s);
/* Ends the claim: true = jobs are left: push a token at *level (the next job's), then call sh_strand_pushed. */
bool sh_strand_release(struct shunt_runtime *rt, struct sh_strand *s, uint32_t *level);

#endif
