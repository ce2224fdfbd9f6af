/*
 * sched/token.h - a token: a strand's entry in a worker's queue (strand.h). Called by submit and
 * when a strand is released with jobs left. Any thread; concurrency and progress as sh_push_ring
 * (push.h).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_TOKEN_H
#define SH_SCHED_TOKEN_H

#include "sched/world.h"

/* Pushes a token of the strand to a queue of pool p, and counts it. sub may be NULL. */
void sh_token_push(struct sh_pool *p, struct sh_submitter *sub, uint32_t strand, uint32_t level);
/* Releases a claimed strand, and pushes a token if jobs are left. w: the calling worker, or NULL. */
void sh_token_pass(struct sh_pool *p, struct sh_worker *w, uint32_t strand);

#endif
