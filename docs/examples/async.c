/*
 * async.c - jobs that complete later. The handler gives its request to a device (here a thread that stands for one) and
 * returns SHUNT_PENDING; its worker goes on with other jobs. The device completes the job from its own thread.
 * Exit code 0 when every request has its answer and the ones that failed have their code.
 *
 * Build: cc -pthread async.c $(pkg-config --cflags --libs shunt)
 *
 * SPDX-License-Identifier: MIT
 */
#include <shunt/shunt.h>

#include <pthread.h>
#include <stdio.h>

#define REQUESTS 1000
#define MEDIUM_ERROR (-1005) /* codes of the program; -10999 to -10000 are those of shunt */

struct request {
	struct request *next;
	struct shunt_job_id job;
	int block, answer;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER;
static struct request *queue; /* of the device; under lock */
static int closed;            /* under lock */

static int read_block(struct shunt_job_ctx *ctx, void *arg)
{
	struct request *r = arg;

	r->job = shunt_job_self(ctx);
	pthread_mutex_lock(&lock);
	r->next = queue;
	queue = r;
	pthread_cond_signal(&arrived);
	pthread_mutex_unlock(&lock);
	return SHUNT_PENDING; /* r may be complete already: do not touch it any more */
}

static void *device(void *arg)
{
	struct shunt_runtime *rt = arg;
	struct request *r;

	for (;;) {
		int bad;

		pthread_mutex_lock(&lock);
		while (!queue && !closed)
			pthread_cond_wait(&arrived, &lock);
		r = queue;
		if (r)
			queue = r->next;
		pthread_mutex_unlock(&lock);
		if (!r)
			return NULL;
		bad = r->block % 100 == 99;
		r->answer = bad ? 0 : r->block * 2;
		if (shunt_complete(rt, r->job, bad ? MEDIUM_ERROR : 0) != 0)
			fprintf(stderr, "block %d was completed twice\n", r->block);
	}
}

/* Submits all requests; returns how many ended as they should. */
static int read_all(struct shunt_runtime *rt, struct shunt_type_id type)
{
	static struct request requests[REQUESTS];
	static struct shunt_job_id ids[REQUESTS];
	int good = 0;

	for (int i = 0; i < REQUESTS; i++) {
		struct shunt_job_spec job = { 0 };

		requests[i].block = i;
		job.type = type;
		job.arg = &requests[i];
		if (shunt_submit(rt, &job, &ids[i]) != 0)
			return 0;
	}
	for (int i = 0; i < REQUESTS; i++) {
		struct shunt_result result;

		if (shunt_wait(rt, ids[i], SHUNT_FOREVER, &result) != 0)
			return 0;
		if (i % 100 == 99)
			good += result.status == SHUNT_JOB_FAILED && result.code == MEDIUM_ERROR;
		else
			good += result.status == SHUNT_JOB_DONE && requests[i].answer == i * 2;
	}
	return good;
}

int main(void)
{
	struct shunt_pool_opts pool = SHUNT_POOL_OPTS_INIT;
	struct shunt_type_opts type = SHUNT_TYPE_OPTS_INIT;
	struct shunt_type_id type_id;
	struct shunt_runtime *rt;
	pthread_t thread;
	int good;

	pool.name = "io";
	pool.async_max = 32; /* a worker with 32 requests under way takes no job until one completes */
	type.name = "read-block";
	type.handler = read_block;
	type.flags = SHUNT_TYPE_ASYNC;
	if (shunt_runtime_create(&rt, NULL) != 0 || shunt_pool_create(rt, &pool, &type.pool) != 0 ||
	    shunt_type_create(rt, &type, &type_id) != 0 || pthread_create(&thread, NULL, device, rt) != 0)
		return 1;
	good = read_all(rt, type_id);
	pthread_mutex_lock(&lock);
	closed = 1;
	pthread_cond_signal(&arrived);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL); /* the device uses the runtime, so it ends first */
	printf("%d of %d requests ended as they should\n", good, REQUESTS);
	return shunt_runtime_destroy(rt, NULL) != 0 || good != REQUESTS;
}
