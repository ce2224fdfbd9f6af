/*
 * epoll.c - a completion queue in an event loop of its own: one thread submits jobs and takes their results in the same
 * epoll loop that would serve its sockets. No callback runs on a worker, and many results cost one wake-up of the loop.
 * Exit code 0 when every request came back once, with its answer.
 *
 * Build: cc -pthread epoll.c $(pkg-config --cflags --libs shunt)
 *
 * SPDX-License-Identifier: MIT
 */
#define _DEFAULT_SOURCE
#include <shunt/shunt.h>

#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#define REQUESTS 10000
#define IN_FLIGHT 256 /* places of the queue: more are not submitted before results are taken */

struct request {
	int number, square, seen;
};

static struct request request[REQUESTS];

static int work(struct shunt_job_ctx *ctx, void *arg)
{
	struct request *r = arg;

	(void)ctx;
	r->square = r->number * r->number;
	return SHUNT_DONE;
}

/* Submits from `next` on until the queue has no place. Returns the next request, or -1. */
static int submit_more(struct shunt_runtime *rt, struct shunt_type_id type, const struct shunt_job_opts *opts, int next)
{
	struct shunt_job_spec job = { 0 };
	int rc = 0;

	job.type = type;
	job.opts = opts;
	while (next < REQUESTS && rc == 0) {
		job.arg = job.done_arg = &request[next];
		rc = shunt_submit(rt, &job, NULL);
		if (rc == 0)
			next++;
	}
	if (rc == 0 || rc == SHUNT_EFULL) /* full: results must be taken first */
		return next;
	fprintf(stderr, "submit: %s\n", shunt_strerror(rc));
	return -1;
}

/* Takes all that has ended. Returns how many were right. */
static int take_all(struct shunt_cq *cq)
{
	struct shunt_completion done[64];
	int right = 0;
	size_t n;

	do {
		n = shunt_cq_take(cq, done, 64);
		for (size_t i = 0; i < n; i++) {
			struct request *r = done[i].arg;

			right += r->seen++ == 0 && done[i].result.status == SHUNT_JOB_DONE && r->square == r->number * r->number;
		}
	} while (n == 64); /* fewer: the descriptor tells of the next one */
	return right;
}

static int loop(struct shunt_runtime *rt, struct shunt_type_id type, struct shunt_cq *cq)
{
	struct shunt_job_opts opts = SHUNT_JOB_OPTS_INIT;
	struct epoll_event event = { .events = EPOLLIN };
	int right = 0, next = 0, wakeups = 0;
	int loop_fd = epoll_create1(EPOLL_CLOEXEC);

	if (loop_fd < 0 || epoll_ctl(loop_fd, EPOLL_CTL_ADD, shunt_cq_fd(cq), &event) != 0) {
		perror("epoll");
		return 1;
	}
	opts.cq = cq;
	next = submit_more(rt, type, &opts, next);
	while (next >= 0 && right < REQUESTS && epoll_wait(loop_fd, &event, 1, 10000) > 0) {
		wakeups++;
		right += take_all(cq);
		next = submit_more(rt, type, &opts, next);
	}
	close(loop_fd); /* before the queue's descriptor is closed */
	printf("%d of %d requests answered, %d wake-ups of the loop\n", right, REQUESTS, wakeups);
	return right == REQUESTS ? 0 : 1;
}

int main(void)
{
	struct shunt_pool_opts pool = SHUNT_POOL_OPTS_INIT;
	struct shunt_type_opts type = SHUNT_TYPE_OPTS_INIT;
	struct shunt_cq_opts queue = SHUNT_CQ_OPTS_INIT;
	struct shunt_runtime *rt = NULL;
	struct shunt_type_id id;
	struct shunt_cq *cq;
	int rc, failed = 1;

	for (int i = 0; i < REQUESTS; i++)
		request[i].number = i;
	rc = shunt_runtime_create(&rt, NULL);
	pool.name = "workers";
	pool.workers = 2;
	if (rc == 0)
		rc = shunt_pool_create(rt, &pool, &type.pool);
	type.name = "square";
	type.handler = work;
	if (rc == 0)
		rc = shunt_type_create(rt, &type, &id);
	queue.capacity = IN_FLIGHT;
	if (rc == 0)
		rc = shunt_cq_create(rt, &queue, &cq);
	if (rc == 0) {
		failed = loop(rt, id, cq);
		rc = shunt_cq_destroy(cq);
	}
	if (rc != 0)
		fprintf(stderr, "%s: %s\n", shunt_strerror(rc), shunt_error_detail());
	return shunt_runtime_destroy(rt, NULL) != 0 || rc != 0 || failed;
}
