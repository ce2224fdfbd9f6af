/*
 * model/clients/reuse.c - clients of a handle's record through the whole runtime: a job is joined, the next job has its
 * record, runs and ends, while another thread still polls the first one. Run by the explorer and natively.
 *
 * What must hold: the poll tells the first job's result or none, never a value of the second one: neither those that
 * its submit resets, nor those of its start and of its end (job/handle.c: admit, start, release).
 *
 * SPDX-License-Identifier: MIT
 */
#include <time.h>

#include "clients/world.h"

static struct shunt_group_id group;
static struct shunt_job_id first;
static struct shunt_result joined; /* plain: the submitter's */
static struct shunt_result polled; /* plain: the poller's */
static int poll_rc;

static int code_of(uint32_t job)
{
	return job == 0 ? -7 : -5;
}

/* The two differ in their run times. */
static int fail_job(struct shunt_job_ctx *ctx, void *arg)
{
	uint32_t i = (uint32_t)(uintptr_t)arg;
	struct timespec work = { 0, i == 0 ? 5000 : 9000 };

	(void)ctx;
	(void)nanosleep(&work, NULL);
	world.runs[i]++;
	return code_of(i);
}

/* Job i; the two differ in their delays. */
static struct shunt_job_id submit(uint32_t i)
{
	struct shunt_job_spec s;
	struct shunt_job_id id = { 0 };

	world_spec(&s, i);
	s.group = i == 0 ? group : (struct shunt_group_id){ 0 };
	s.arrival_ns = shunt_now_ns() - (i == 0 ? 100000 : 200000);
	world_must(shunt_submit(world.rt, &s, &id));
	return id;
}

/* The first job has ended, and nobody has joined it. */
static void setup(void)
{
	struct shunt_pool_opts o;
	uint32_t i;

	world_pool_opts(&o, 1);
	world_open(&o, fail_job, 0);
	for (i = 1; i < 4; i++) /* one record is left */
		client_assert(sh_slab_alloc(&world.rt->records, NULL, 0) != 0);
	memset(&first, 0, sizeof(first));
	memset(&joined, 0, sizeof(joined));
	memset(&polled, 0, sizeof(polled));
	poll_rc = 1;
	world_must(shunt_group_create(world.rt, &group));
	first = submit(0);
	world_must(shunt_group_wait(world.rt, group, SHUNT_FOREVER)); /* its record has its end before the group has */
}

static void join(struct shunt_job_id id, uint32_t i, struct shunt_result *r)
{
	world_must(shunt_wait(world.rt, id, SHUNT_FOREVER, r));
	client_assert(r->status == SHUNT_JOB_FAILED && r->code == code_of(i));
}

static void submit_both(void)
{
	struct shunt_result second = { 0 };

	join(first, 0, &joined);
	join(submit(1), 1, &second);
}

static void poll_first(void)
{
	poll_rc = shunt_poll(world.rt, first, &polled);
	client_assert(poll_rc == 0 || poll_rc == SHUNT_ESTALE || poll_rc == SHUNT_EAGAIN);
}

static void check(void)
{
	world_two_ran();
	if (poll_rc != 0)
		return;
	client_assert(polled.status == SHUNT_JOB_FAILED && polled.code == code_of(0));
	client_assert(polled.queue_ns == joined.queue_ns);
	client_assert(polled.run_ns == joined.run_ns);
}

#define CLIENT(n, s, set, chk) .name = "reuse." n, .shows = s, .setup = set, .check = chk, .teardown = world_close

const struct client clients[] = {
	{ CLIENT("poll", "a poll while the next job has the record, from its submit to its end: its own result or none",
		 setup, check),
	  .thread = { submit_both, poll_first }, .bound = 3, .bound_long = 4 },
	{ 0 },
};
