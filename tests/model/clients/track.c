/*
 * model/clients/track.c - clients of core/track.c alone: a tracked job's word between its worker, its waiters, a canceller
 * and a later job that reuses the record. Run by the explorer and natively.
 *
 * What must hold: one thread ends the job, what it left is seen by whoever sees the end, nobody sleeps through it, and
 * nobody touches the record after it was given back.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "clients/flag.h"
#include "core/runtime.h"
#include "core/track.h"
#include "model/client.h"

static struct shunt_runtime rt; /* no more of it than the slab of tracks */
static uint64_t handle;
static uint32_t left;      /* plain: what the job leaves for its waiter */
static uint32_t ended[2];  /* plain, one writer each: terminal steps of the worker, of the canceller */
static uint32_t joined[2]; /* plain, one writer each: waits that succeeded */
static uint32_t called;    /* plain: done callbacks */

static void on_done(void *arg, struct shunt_job_id id, const struct shunt_result *r)
{
	client_assert(arg == &rt && id.v == handle && r->code == (r->status == SHUNT_JOB_DONE ? 7 : 8));
	called++;
}

static uint64_t track_make(bool released)
{
	uint64_t h = sh_track_open(&rt, NULL);
	struct sh_track *t;

	client_assert(h != 0);
	t = sh_track_at(&rt, h);
	t->done = NULL;
	t->flags = 0;
	t->worker = SHUNT_ANY;
	t->level = 0;
	t->pool = NULL;
	sh_a32_store_rel(&t->code, 0);
	sh_a64_store_rel(&t->run_ns, 0);
	sh_a64_store_rel(&t->queue_ns, 0);
	sh_track_publish(&rt, h, released);
	return h;
}

static void setup(void)
{
	memset(&rt, 0, sizeof(rt));
	memset(ended, 0, sizeof(ended));
	memset(joined, 0, sizeof(joined));
	left = called = 0;
	rt.fork_gen = sh_fork_generation;
	client_assert(sh_slab_init(&rt.tracks, &rt.mem, 1, sizeof(struct sh_track), 1) == 0);
	handle = track_make(false);
}

static void setup_done(void)
{
	struct sh_track *t;

	setup();
	t = sh_track_at(&rt, handle);
	t->done = on_done;
	t->done_arg = &rt;
}

static void teardown(void)
{
	sh_slab_fini(&rt.tracks);
}

static void finish(uint32_t who, uint32_t code, uint32_t status)
{
	struct sh_track *t = sh_track_at(&rt, handle);

	sh_a32_store_rel(&t->code, code);
	sh_a64_store_rel(&t->run_ns, code);
	ended[who]++;
	left = code;
	sh_track_end(&rt, handle, status);
}

static void worker(void)
{
	if (!sh_track_move(&rt, handle, SH_TRACK_QUEUED, SH_TRACK_RUNNING))
		return;
	client_assert(sh_track_move(&rt, handle, SH_TRACK_RUNNING, SH_TRACK_FINISHING));
	finish(0, 7, SH_TRACK_DONE);
}

static void canceller(void)
{
	if (sh_track_move(&rt, handle, SH_TRACK_QUEUED, SH_TRACK_FINISHING))
		finish(1, 8, SH_TRACK_CANCELLED);
}

static void wait_as(uint32_t who)
{
	struct shunt_job_id id = { handle };
	struct shunt_result r = { 0, 0, 0, 0 };
	int rc = shunt_wait(&rt, id, SHUNT_FOREVER, &r);

	client_assert(rc == 0 || rc == SHUNT_ESTALE);
	if (rc != 0)
		return;
	joined[who]++;
	client_assert(r.status == (r.code == 7 ? SHUNT_JOB_DONE : SHUNT_JOB_CANCELLED));
	client_assert(r.run_ns == (uint64_t)r.code && left == (uint32_t)r.code);
}

static void waiter(void)
{
	wait_as(0);
}

static void waiter_other(void)
{
	wait_as(1);
}

static void detacher(void)
{
	struct shunt_job_id id = { handle };

	(void)shunt_detach(&rt, id);
}

/* Looks at the job's fields as a waiter inside a job does, cannot take it, and gives it back. */
static void looker(void)
{
	struct shunt_job_id id = { handle };
	struct sh_pool *none = NULL;

	if ((sh_track_flags(&rt, handle) & SH_TRACK_STATUS) == SH_TRACK_QUEUED)
		client_assert(sh_track_at(&rt, handle)->pool == none);
	(void)shunt_detach(&rt, id);
}

/* As soon as the record is free: another job has it. */
static void reuser(void)
{
	uint64_t h;
	struct sh_track *t;

	while ((h = sh_track_open(&rt, NULL)) == 0)
		client_relax();
	client_assert(h != handle);
	t = sh_track_at(&rt, h);
	t->done = NULL; /* plain: whoever had the record before is gone */
	t->pool = (struct sh_pool *)(void *)&rt;
	t->flags = SH_JOB_KEYED;
	sh_a32_store_rel(&t->code, 9); /* after the new generation, as submit does it */
	sh_a64_store_rel(&t->run_ns, 9);
	sh_a64_store_rel(&t->queue_ns, 9);
	sh_track_publish(&rt, h, false);
}

/* The first job was joined by another thread while this one only looks. */
static void poller(void)
{
	struct shunt_job_id id = { handle };
	struct shunt_result r = { 0, 0, 0, 0 };
	int rc = shunt_poll(&rt, id, &r);

	if (rc == 0)
		client_assert(r.status == SHUNT_JOB_DONE && r.code == 7 && r.run_ns == 7);
	else
		client_assert(rc == SHUNT_ESTALE || rc == SHUNT_EAGAIN);
}

/* A job of its own in the record: opened, published, run, joined. */
static void second_life(void)
{
	struct shunt_job_id id = { 0 };
	struct shunt_result r = { 0, 0, 0, 0 };
	struct sh_track *t;

	reuser();
	id.v = handle + (UINT64_C(1) << SH_TRACK_GEN_SHIFT);
	t = sh_track_at(&rt, id.v);
	client_assert(sh_track_move(&rt, id.v, SH_TRACK_QUEUED, SH_TRACK_FINISHING));
	sh_a32_store_rel(&t->code, 11);
	sh_track_end(&rt, id.v, SH_TRACK_FAILED);
	client_assert(shunt_wait(&rt, id, SHUNT_FOREVER, &r) == 0 && r.code == 11 && r.status == SHUNT_JOB_FAILED);
}

/* A stale handle acts on nothing, whatever the record is now. */
static void stale(void)
{
	if (sh_track_move(&rt, handle, SH_TRACK_QUEUED, SH_TRACK_FINISHING))
		finish(1, 8, SH_TRACK_CANCELLED);
}

/* A later job in the record is opened and published here; its handle is known before to the one who takes it. */
static uint32_t argument;

static void setup_next(void)
{
	setup();
	client_assert(sh_track_move(&rt, handle, SH_TRACK_QUEUED, SH_TRACK_FINISHING));
	sh_track_end(&rt, handle, SH_TRACK_DONE);
	client_assert(shunt_detach(&rt, (struct shunt_job_id){ handle }) == 0);
	argument = 0;
}

static void publisher(void)
{
	uint64_t h = sh_track_open(&rt, NULL);
	struct sh_track *t = sh_track_at(&rt, h);

	t->arg = &argument;
	t->done = NULL;
	t->start_ns = 5;
	sh_track_publish(&rt, h, false);
}

static void taker(void)
{
	uint64_t h = handle + (UINT64_C(1) << SH_TRACK_GEN_SHIFT);

	while (!sh_track_move(&rt, h, SH_TRACK_QUEUED, SH_TRACK_RUNNING))
		client_relax();
	client_assert(sh_track_at(&rt, h)->arg == &argument);
	sh_track_at(&rt, h)->start_ns = 6;
}

/* As an asynchronous start: locked until it is written down. */
static void runner(void)
{
	uint64_t h = handle + (UINT64_C(1) << SH_TRACK_GEN_SHIFT);

	while (!sh_track_move(&rt, h, SH_TRACK_QUEUED, SH_TRACK_FINISHING))
		client_relax();
	sh_track_at(&rt, h)->start_ns = 6;
	client_assert(sh_track_move(&rt, h, SH_TRACK_FINISHING, SH_TRACK_RUNNING));
}

static void flag_reader(void)
{
	uint64_t h = handle + (UINT64_C(1) << SH_TRACK_GEN_SHIFT);

	while ((sh_track_flags(&rt, h) & SH_TRACK_STATUS) == 0)
		client_relax();
	client_assert(sh_track_at(&rt, h)->arg == &argument);
}

static void ender(void)
{
	uint64_t h = handle + (UINT64_C(1) << SH_TRACK_GEN_SHIFT);

	while (!sh_track_move(&rt, h, SH_TRACK_RUNNING, SH_TRACK_FINISHING))
		client_relax();
	client_assert(sh_track_at(&rt, h)->start_ns == 6);
}

static void check_ended(void)
{
	client_assert(ended[0] + ended[1] == 1);
}

static void check_joined(void)
{
	check_ended();
	client_assert(joined[0] + joined[1] == 1);
	client_assert((sh_a64_load_rlx(&sh_track_at(&rt, handle)->state) & SH_TRACK_STATUS) == SH_TRACK_FREE);
}

static void check_called(void)
{
	check_joined();
	client_assert(called == 1);
}

#define CLIENT(n, s, set, chk) .name = "track." n, .shows = s, .setup = set, .check = chk, .teardown = teardown

const struct client clients[] = {
	{ CLIENT("end_wait", "the end against a waiter: it wakes and sees what the job left", setup, check_joined),
	  .thread = { worker, waiter } },
	{ CLIENT("end_wait_wait", "the end against two waiters: both return, one has joined", setup, check_joined),
	  .thread = { worker, waiter, waiter_other }, .bound = 2, .bound_long = 4 },
	{ CLIENT("cancel_start", "cancel against start: one of them ends the job", setup_done, check_called),
	  .thread = { worker, canceller, waiter }, .bound = 3, .bound_long = 5 },
	{ CLIENT("end_detach", "the end against detach: the record is free for a later job when both are through", setup_done,
		 check_ended),
	  .thread = { worker, detacher, reuser }, .bound = 3, .bound_long = 5 },
	{ CLIENT("look_detach", "a look at the fields, then detach: the later job's fields come after", setup, check_ended),
	  .thread = { worker, looker, reuser }, .bound = 3, .bound_long = 5 },
	{ CLIENT("wait_reuse", "two waiters and a later job in the record: neither sleeps on, neither sees the other's result",
		 setup, NULL),
	  .thread = { worker, waiter, waiter_other, second_life }, .bound = 2, .bound_long = 3 },
	{ CLIENT("poll_reuse", "a poll while the record goes to another job: its own result or none", setup, NULL),
	  .thread = { worker, waiter, second_life, poller }, .bound = 2, .bound_long = 3 },
	{ CLIENT("publish", "a record is published, taken and looked at by its handle alone: its fields are there", setup_next, NULL),
	  .thread = { publisher, taker, flag_reader }, .bound = 2, .bound_long = 4 },
	{ CLIENT("hand_over", "a running job's record passes to who ends it: what its runner wrote is there", setup_next, NULL),
	  .thread = { publisher, runner, ender }, .bound = 1, .bound_long = 3 },
	{ CLIENT("stale", "a canceller with a handle that goes stale: no second end", setup, check_ended),
	  .thread = { worker, waiter, stale, reuser }, .bound = 2, .bound_long = 3 },
	{ 0 },
};
