/*
 * sim/actors.h - the threads of a workload and the handlers of its jobs: submitters, the one that completes asynchronous
 * jobs. They use the public interface alone and tell the model what they see. Started by world.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SIM_ACTORS_H
#define SIM_ACTORS_H

#include "sim/model.h"

struct actors {
	const struct load *load;
	struct shunt_runtime *rt;
	struct shunt_type_id plain[LOAD_POOLS], async[LOAD_POOLS];
	uint32_t nodes;
};

void actors_begin(const struct actors *a);
/* Thread functions; argument: pointer to the submitter's number; nothing. */
void *actors_submit(void *number);
void *actors_complete(void *unused);
/* Lets actors_complete end: when nothing is left to complete, or at once. */
void actors_complete_stop(bool at_once);
/* Handler of every type; its argument is a struct job. */
int actors_handler(struct shunt_job_ctx *ctx, void *arg);

#endif
