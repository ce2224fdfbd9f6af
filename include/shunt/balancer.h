/*
 * shunt/balancer.h - the selection strategies on their own, for programs that have their own workers:
 * start(worker) before handing work over, complete(worker, duration) after it ended.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_BALANCER_H
#define SHUNT_BALANCER_H

#include <shunt/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

struct shunt_balancer;

struct shunt_balancer_opts {
	size_t size;
	uint32_t workers;             /* 1..4096, required */
	uint32_t capacity;            /* of each worker, default 1 */
	const uint32_t *capacities;   /* or one per worker; copied */
	const uint32_t *nodes;        /* NUMA node or region of each, copied; NULL = one */
	enum shunt_strategy strategy;
	shunt_select_fn select;
	void *select_arg;
	uint64_t expected_ns;         /* first guess of a duration, default 1 ms */
	uint64_t seed;                /* of the sampling; 0 = from the clock */
};
#define SHUNT_BALANCER_OPTS_INIT SHUNT_OPTS_INIT(shunt_balancer_opts)

/* 0, SHUNT_EINVAL, SHUNT_ENOMEM. Detail: a failure leaves its text for shunt_error_detail(). */
SHUNT_MUST_USE SHUNT_API int shunt_balancer_create(struct shunt_balancer **out, const struct shunt_balancer_opts *opts);
SHUNT_API void shunt_balancer_destroy(struct shunt_balancer *b);
/*
 * Chooses a worker with free capacity and reserves one place there in the same call. Returns its index, or
 * SHUNT_EAGAIN: no available worker (an ordinary result). Any thread; lock-free.
 */
SHUNT_MUST_USE SHUNT_API int shunt_balancer_start(struct shunt_balancer *b, uint64_t key, uint32_t home_node);
/* Reserves a place on a stated worker: 0, SHUNT_EAGAIN (at capacity), SHUNT_ENOENT. */
SHUNT_MUST_USE SHUNT_API int shunt_balancer_start_on(struct shunt_balancer *b, uint32_t worker);
/*
 * Gives the place back and learns. failed != 0 penalises the worker. What was learned of a worker without jobs ages: its
 * time halves with each 16 to 32 jobs a worker that the others complete, its failures in 8 times as many; with nothing
 * completed nothing ages. 0, SHUNT_ENOENT, SHUNT_EINVAL (nothing was started there).
 */
SHUNT_MUST_USE SHUNT_API int shunt_balancer_complete(struct shunt_balancer *b, uint32_t worker, uint64_t duration_ns,
						     int failed);
/* A worker can be taken out of the choice and put back (usable = 0 / 1). 0 or SHUNT_ENOENT. */
SHUNT_MUST_USE SHUNT_API int shunt_balancer_set_usable(struct shunt_balancer *b, uint32_t worker, int usable);
/*
 * What is known about a worker. size = sizeof(*out): what an older caller does not know is not written.
 * 0, SHUNT_EINVAL, SHUNT_ENOENT.
 */
SHUNT_MUST_USE SHUNT_API int shunt_balancer_load(struct shunt_balancer *b, uint32_t worker,
						 struct shunt_worker_load *out, size_t size);

#ifdef __cplusplus
}
#endif
#endif
