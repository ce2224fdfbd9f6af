/*
 * stress/churn.h - what goes on beside the submitters of conserve_stress: threads that come, submit and go (also from
 * their thread-end hooks), pools and types that come and go under a submitter, drains and resumes, snapshots.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_STRESS_CHURN_H
#define SH_STRESS_CHURN_H

#include <pthread.h>

#include <shunt/runtime.h>

#include "base/atomic.h"
#include "base/rng.h"

#define CHURN_THREADS 5u

struct churn {
	struct shunt_runtime *rt;  /* the caller's, as the next two */
	struct shunt_type_id bulk; /* its handler takes a number as arg */
	bool drains;
	sh_a32 stop;
	sh_a64 accepted, hash;          /* bulk jobs: how many, and the sum of sh_mix64(number) */
	sh_a64 pool_accepted, pool_ran; /* jobs of the pools that came and went */
	pthread_t thread[CHURN_THREADS];
	bool made[CHURN_THREADS];
};

/* Starts the threads; `c` is zeroed but for the caller's fields, and stays until churn_stop. One at a time. */
void churn_start(struct churn *c, struct sh_rng *rng);
/* Ends and joins them. */
void churn_stop(struct churn *c);

#endif
