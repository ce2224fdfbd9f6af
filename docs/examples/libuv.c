/*
 * libuv.c - a completion queue in a libuv loop: the loop's thread submits jobs, and a poll handle on the queue's
 * descriptor brings their results back to it. Timers, sockets and jobs are served by one thread.
 * Exit code 0 when every request came back with its answer.
 *
 * Build: cc -pthread libuv.c $(pkg-config --cflags --libs shunt libuv)
 *
 * SPDX-License-Identifier: MIT
 */
#define _DEFAULT_SOURCE
#include <shunt/shunt.h>

#include <stdio.h>
#include <uv.h>

#define REQUESTS 100

struct request {
	int number, sum;
};

struct app {
	struct shunt_runtime *rt;
	struct shunt_cq *cq;
	struct shunt_type_id type;
	uv_poll_t poll;
	int right, taken;
};

static struct request request[REQUESTS];

static int add_up(struct shunt_job_ctx *ctx, void *arg)
{
	struct request *r = arg;

	(void)ctx;
	for (int i = 1; i <= r->number; i++)
		r->sum += i;
	return SHUNT_DONE;
}

/* In the loop's thread. */
static void on_readable(uv_poll_t *handle, int status, int events)
{
	struct app *app = handle->data;
	struct shunt_completion done[64];
	size_t n;

	(void)events;
	if (status < 0) {
		fprintf(stderr, "poll: %s\n", uv_strerror(status));
		uv_close((uv_handle_t *)handle, NULL);
		return;
	}
	do {
		n = shunt_cq_take(app->cq, done, 64);
		for (size_t i = 0; i < n; i++) {
			const struct request *r = done[i].arg;

			app->taken++;
			app->right += done[i].result.code == 0 && r->sum == r->number * (r->number + 1) / 2;
		}
	} while (n == 64);
	if (app->taken == REQUESTS) /* nothing else is open: the loop ends */
		uv_close((uv_handle_t *)handle, NULL);
}

static int submit_all(struct app *app)
{
	struct shunt_job_opts opts = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec job = { 0 };
	int rc = 0;

	opts.cq = app->cq;
	job.type = app->type;
	job.opts = &opts;
	for (int i = 0; i < REQUESTS && rc == 0; i++) {
		request[i].number = i;
		job.arg = job.done_arg = &request[i];
		rc = shunt_submit(app->rt, &job, NULL);
	}
	return rc;
}

static int app_open(struct app *app)
{
	struct shunt_pool_opts pool = SHUNT_POOL_OPTS_INIT;
	struct shunt_type_opts type = SHUNT_TYPE_OPTS_INIT;
	int rc = shunt_runtime_create(&app->rt, NULL);

	pool.name = "workers";
	pool.workers = 2;
	if (rc == 0)
		rc = shunt_pool_create(app->rt, &pool, &type.pool);
	type.name = "sum";
	type.handler = add_up;
	if (rc == 0)
		rc = shunt_type_create(app->rt, &type, &app->type);
	if (rc == 0)
		rc = shunt_cq_create(app->rt, NULL, &app->cq);
	return rc;
}

int main(void)
{
	static struct app app;
	uv_loop_t *loop = uv_default_loop();
	int rc = app_open(&app);

	if (rc == 0 && (uv_poll_init(loop, &app.poll, shunt_cq_fd(app.cq)) != 0 || uv_poll_start(&app.poll, UV_READABLE, on_readable) != 0))
		rc = SHUNT_ESYS;
	app.poll.data = &app;
	if (rc == 0)
		rc = submit_all(&app);
	if (rc == 0)
		(void)uv_run(loop, UV_RUN_DEFAULT);
	if (rc == 0)
		rc = shunt_cq_destroy(app.cq); /* its descriptor has left the loop */
	if (rc != 0)
		fprintf(stderr, "%s: %s\n", shunt_strerror(rc), shunt_error_detail());
	printf("%d of %d requests answered in the loop\n", app.right, REQUESTS);
	return shunt_runtime_destroy(app.rt, NULL) != 0 || rc != 0 || app.right != REQUESTS;
}
