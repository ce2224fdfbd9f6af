/*
 * shunt/cq.h - completion queues: the ends of jobs, delivered to a thread that has an event loop of its
 * own (epoll, poll, libuv, io_uring). A job names a queue in its options (shunt_job_opts.cq); when it is
 * terminal, its result waits in the queue until the reader takes it. The queue's file descriptor is
 * readable while something waits; many completions cost one wake-up of the loop.
 *
 * A place in the queue is taken at submit, so a worker never waits for a reader: if the queue is full, the
 * submit is (SHUNT_EFULL, or what on_full says: SHUNT_ON_FULL_BLOCK looks again each millisecond, so give it a
 * full_timeout_ns where the reader itself submits; SHUNT_ON_FULL_INLINE needs a place, too). A place is free
 * again when its completion was taken.
 *
 *   struct shunt_cq *cq;                                  epoll:
 *   shunt_cq_create(rt, &opts, &cq);                        EPOLL_CTL_ADD shunt_cq_fd(cq), EPOLLIN
 *   job_opts.cq = cq; spec.opts = &job_opts;                when readable:
 *   spec.done_arg = request;                                  n = shunt_cq_take(cq, out, 64), until n < 64
 *   shunt_submit(rt, &spec, NULL);                            out[i].arg is the request
 *
 * Threads: as each call says; one reader at a time. Order: completions of one thread that ends jobs come in
 * the order of the ends; across threads nearly so. No call but create, wait and destroy blocks.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_CQ_H
#define SHUNT_CQ_H

#include <stddef.h>
#include <stdint.h>

#include <shunt/job.h>

#ifdef __cplusplus
extern "C" {
#endif

struct shunt_cq; /* one completion queue; owned by its runtime */

struct shunt_cq_opts {
	size_t size;       /* sizeof(struct shunt_cq_opts) */
	uint32_t capacity; /* jobs that were submitted with it and are not taken yet: 1..2^24-1, default 4096 */
};
#define SHUNT_CQ_OPTS_INIT SHUNT_OPTS_INIT(shunt_cq_opts)

struct shunt_completion {
	void *arg;                  /* the job's done_arg */
	struct shunt_job_id id;     /* {0} if the submit asked for none; else still owned by the caller */
	struct shunt_type_id type;  /* of the job */
	uint32_t reserved;          /* 0 */
	struct shunt_result result;
};

/*
 * Makes an empty queue. opts may be NULL. 0, SHUNT_EINVAL, SHUNT_ENOMEM, SHUNT_ESYS (no eventfd), SHUNT_EFORKED.
 * Thread: any outside jobs. Blocks on the control lock.
 */
SHUNT_MUST_USE SHUNT_API int shunt_cq_create(struct shunt_runtime *rt, const struct shunt_cq_opts *opts, struct shunt_cq **out);
/*
 * Ends a queue that no job names any more and from which everything was taken; else SHUNT_EBUSY. The
 * runtime ends those that are left when it is destroyed. Closes the descriptor: remove it from the loop
 * first. 0, SHUNT_EINVAL, SHUNT_EBUSY, SHUNT_EFORKED. Blocks on the control lock, and until the threads that
 * delivered the last completions have left the queue. Thread: the reader, or one that comes after it.
 */
SHUNT_MUST_USE SHUNT_API int shunt_cq_destroy(struct shunt_cq *cq);
/*
 * The descriptor: readable while a completion may wait. Only to be polled: shunt_cq_take reads it. Non-blocking,
 * close-on-exec, owned by the queue. -1 for NULL.
 */
SHUNT_API int shunt_cq_fd(const struct shunt_cq *cq);
/*
 * Takes up to n completions, oldest first; returns how many. Fewer than n: none is left now, and the
 * descriptor tells of the next. A result of n > 0: call again before the loop sleeps.
 * Thread: one at a time (the reader). Never blocks. 0 for wrong arguments and in a forked child.
 */
SHUNT_API size_t shunt_cq_take(struct shunt_cq *cq, struct shunt_completion *out, size_t n);
/*
 * Waits until a completion may be taken, at most timeout_ns (0 = just look, SHUNT_FOREVER = no limit), for threads
 * without a loop. 0, SHUNT_ETIMEDOUT, SHUNT_EINVAL, SHUNT_EFORKED, SHUNT_ESYS, SHUNT_ESTOPPED (the runtime is
 * destroyed).
 * Inside a job declare the worker blocked first (shunt_block_begin). Thread: the reader.
 */
SHUNT_MUST_USE SHUNT_API int shunt_cq_wait(struct shunt_cq *cq, uint64_t timeout_ns);
/* Jobs that were submitted with the queue and whose completion was not taken. Any thread; a recent value. */
SHUNT_API uint32_t shunt_cq_pending(const struct shunt_cq *cq);

#ifdef __cplusplus
}
#endif
#endif
