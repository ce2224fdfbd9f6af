/*
 * model/clients/record.c - clients of the record of a job with parts (sched/record.c, job/handle.c) alone: its word between
 * its worker, its waiters, a canceller, those who hold it (the user, a strand's list, a completion queue) and a later job
 * that reuses it. Run by the explorer and natively.
 *
 * What must hold: one thread ends the job, a thread that sees the end sees what it left, no waiter sleeps through it,
 * one of its holders frees it, and no thread touches the record after it was given back.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "clients/flag.h"
#include "job/handle.h"
#include "model/client.h"

static struct shunt_runtime rt; /* no more of it than the slab of records */
static struct sh_pool pool; /* no more of it than its id */
static uint64_t handle;
static uint32_t left;      /* plain: what the job leaves for its waiter */
static uint32_t ended[2];  /* plain, one writer each: terminal steps of the worker, of the canceller */
static uint32_t joined[2]; /* plain, one writer each: waits that succeeded */
static uint32_t called;    /* plain: done callbacks */
static uint32_t argument;

static void on_done(void *arg, struct shunt_job_id id, const struct shunt_result *r)
{
	client_assert(arg == &rt && id.v == handle && r->code == (r->status == SHUNT_JOB_DONE ? 7 : 8));
	called++;
}

/* Opens a record and publishes it, as submit does. `more`: parts beside SH_PART(HANDLE). */
static uint64_t record_make(uint32_t more, shunt_done_fn done, void *arg)
{
	const struct shunt_job_spec spec = { .done = done, .done_arg = &rt };
	struct sh_submit s = { .rt = &rt, .pool = &pool, .spec = &spec, .parts = SH_PART(HANDLE) | more, .wants_id = true };

	s.handle = sh_record_open(&rt, NULL);
	if (s.handle == 0)
		return 0;
	s.record = sh_record_at(&rt, s.handle);
	sh_a32_init(&s.record->worker, SHUNT_ANY);
	s.record->level = 0;
	s.record->pool = NULL;
	s.record->arg = arg;
	s.record->parts = (uint16_t)s.parts;
	client_assert(sh_part_handle.admit(&s) == 0);
	sh_part_handle.commit(&s);
	return s.handle;
}

static void setup_with(uint32_t more, shunt_done_fn done)
{
	memset(&rt, 0, sizeof(rt));
	memset(ended, 0, sizeof(ended));
	memset(joined, 0, sizeof(joined));
	left = called = argument = 0;
	rt.fork_gen = sh_fork_generation;
	client_assert(sh_slab_init(&rt.records, &rt.mem, 1, sizeof(struct sh_record), 1) == 0);
	handle = record_make(more, done, NULL);
	client_assert(handle != 0);
}

static void setup(void) { setup_with(0, NULL); }
static void setup_done(void) { setup_with(0, on_done); }
static void setup_keyed(void) { setup_with(SH_PART(KEY), NULL); }
static void setup_keyed_unread(void) { setup_with(SH_PART(KEY) | SH_PART(CQ), NULL); }

static void teardown(void)
{
	sh_slab_fini(&rt.records);
}

/* Ends a job that this thread won. */
static void end(uint64_t h, uint32_t code, uint32_t status)
{
	struct sh_end e = { .rt = &rt, .record = sh_record_at(&rt, h), .handle = h, .status = (uint8_t)status,
			    .code = (int)code, .worker = SHUNT_ANY, .queue_ns = code, .run_ns = code };

	sh_part_handle.release(&e);
}

static void finish(uint32_t who, uint32_t code, uint32_t status)
{
	ended[who]++;
	left = code;
	end(handle, code, status);
}

static bool finishing(uint64_t h)
{
	struct sh_end e = { .rt = &rt, .record = sh_record_at(&rt, h), .handle = h, .parts = SH_PART(HANDLE) };

	return sh_part_handle.finish(&e, 0) == SH_DONE_END;
}

static void worker(void)
{
	if (!sh_record_claim(&rt, handle))
		return;
	client_assert(finishing(handle));
	finish(0, 7, SH_RECORD_DONE);
}

static void canceller(void)
{
	if (sh_record_move(&rt, handle, SH_RECORD_QUEUED, SH_RECORD_FINISHING))
		finish(1, 8, SH_RECORD_CANCELLED);
}

static void wait_as(uint32_t who)
{
	struct shunt_job_id id = { handle };
	struct shunt_result r = { 0 };
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

	if ((sh_record_flags(&rt, handle) & SH_RECORD_STATUS) == SH_RECORD_QUEUED)
		client_assert(sh_record_at(&rt, handle)->pool == none);
	(void)shunt_detach(&rt, id);
}

/* As soon as the record is free: another job has it. */
static void reuser(void)
{
	uint64_t h;
	struct sh_record *t;

	while ((h = record_make(0, NULL, &argument)) == 0)
		client_relax();
	client_assert(h != handle);
	t = sh_record_at(&rt, h);
	t->start_ns = 9; /* plain: the thread that had the record before is gone */
	sh_a64_store_rel(&t->queue_ns, 9);
}

/* The first job was joined by another thread while this one only looks. */
static void poller(void)
{
	struct shunt_job_id id = { handle };
	struct shunt_result r = { 0 };
	int rc = shunt_poll(&rt, id, &r);

	if (rc == 0)
		client_assert(r.status == SHUNT_JOB_DONE && r.code == 7 && r.queue_ns == 7 && r.run_ns == 7);
	else
		client_assert(rc == SHUNT_ESTALE || rc == SHUNT_EAGAIN);
}

/* A job of its own in the record: opened, published, run, joined. */
static void second_life(void)
{
	struct shunt_job_id id = { 0 };
	struct shunt_result r = { 0 };

	reuser();
	id.v = handle + (UINT64_C(1) << SH_RECORD_GEN_SHIFT);
	client_assert(sh_record_move(&rt, id.v, SH_RECORD_QUEUED, SH_RECORD_FINISHING));
	end(id.v, 11, SH_RECORD_FAILED);
	client_assert(shunt_wait(&rt, id, SHUNT_FOREVER, &r) == 0 && r.code == 11 && r.status == SHUNT_JOB_FAILED);
}

/* A stale handle acts on nothing, whatever the record is now. */
static void stale(void)
{
	if (sh_record_move(&rt, handle, SH_RECORD_QUEUED, SH_RECORD_FINISHING))
		finish(1, 8, SH_RECORD_CANCELLED);
}

/* A stopping pool against the worker that has its item. */
static void stopper(void)
{
	if (sh_record_claim_end(&rt, handle))
		finish(1, 8, SH_RECORD_CANCELLED);
}

/* --- a later job in the record is opened and published here; its handle is known before to the one who takes it */

static uint64_t next_handle(void)
{
	return handle + (UINT64_C(1) << SH_RECORD_GEN_SHIFT);
}

static void setup_next(void)
{
	setup();
	client_assert(sh_record_move(&rt, handle, SH_RECORD_QUEUED, SH_RECORD_FINISHING));
	end(handle, 7, SH_RECORD_DONE);
	client_assert(shunt_detach(&rt, (struct shunt_job_id){ handle }) == 0);
}

static void publisher(void)
{
	client_assert(record_make(0, NULL, &argument) == next_handle());
}

static void publisher_async(void)
{
	client_assert(record_make(SH_PART(ASYNC), NULL, &argument) == next_handle());
}

static void taker(void)
{
	while (!sh_record_move(&rt, next_handle(), SH_RECORD_QUEUED, SH_RECORD_RUNNING))
		client_relax();
	client_assert(sh_record_at(&rt, next_handle())->arg == &argument);
	sh_record_at(&rt, next_handle())->start_ns = 6;
}

/* As an asynchronous start: locked until it is written down. */
static void runner(void)
{
	while (!sh_record_move(&rt, next_handle(), SH_RECORD_QUEUED, SH_RECORD_FINISHING))
		client_relax();
	sh_record_at(&rt, next_handle())->start_ns = 6;
	client_assert(sh_record_move(&rt, next_handle(), SH_RECORD_FINISHING, SH_RECORD_RUNNING));
}

static void flag_reader(void)
{
	uint32_t status;

	do {
		client_relax();
		status = sh_record_flags(&rt, next_handle()) & SH_RECORD_STATUS;
	} while (status == 0 || status == SH_RECORD_OWNED); /* not published yet */
	client_assert(sh_record_at(&rt, next_handle())->level == 0);
}

static void ender(void)
{
	while (!sh_record_move(&rt, next_handle(), SH_RECORD_RUNNING, SH_RECORD_FINISHING))
		client_relax();
	client_assert(sh_record_at(&rt, next_handle())->start_ns == 6);
}

/* --- holders: a strand's list and a completion queue beside the user; the last one frees it, once */

/* Pops the job from its strand: runs it, or drops it if it was cancelled. */
static void unlinker(void)
{
	bool run = sh_record_claim(&rt, handle);

	client_assert(sh_record_unhold(&rt, NULL, handle, SH_RECORD_LINKED));
	if (!run)
		return;
	client_assert(finishing(handle));
	finish(0, 7, SH_RECORD_DONE);
}

/* The reader of a completion queue, which has the entry when the job is terminal. */
static sh_a32 told;

static void canceller_tells(void)
{
	canceller();
	sh_a32_store_rel(&told, 1 + ended[1]); /* mo client.1 -> client.1@model/clients/record.c: the entry. */
}

static void reader(void)
{
	struct shunt_completion c;
	uint32_t n;

	while ((n = sh_a32_load_acq(&told)) == 0) /* mo client.1 <- client.1@model/clients/record.c: the entry. */
		client_relax();
	if (n == 1) { /* the worker ended it, or does later */
		while ((sh_record_flags(&rt, handle) & SH_RECORD_STATUS) < SH_RECORD_DONE)
			client_relax();
	}
	sh_record_completion(&rt, handle, &c);
	client_assert(c.arg == &rt && (c.id.v == handle || c.id.v == 0) && c.result.code == (n == 1 ? 7 : 8));
	client_assert(sh_record_unhold(&rt, NULL, handle, SH_RECORD_UNREAD));
}

static void setup_reader(void)
{
	setup_keyed_unread();
	sh_a32_init(&told, 0);
}

/* --- a record whose handle nobody has: its item alone names it */

static sh_a64 queue;

static void setup_owned(void)
{
	setup_next();
	sh_a64_init(&queue, 0);
}

static void owned_push(void)
{
	uint64_t h = sh_record_open(&rt, NULL);

	client_assert(h == next_handle());
	sh_record_at(&rt, h)->arg = &argument;
	sh_a64_store_rel(&queue, h); /* mo client.2 -> client.2@model/clients/record.c: as the push of its item. */
}

static void owned_pop(void)
{
	uint64_t h;

	while ((h = sh_a64_load_acq(&queue)) == 0) /* mo client.2 <- client.2@model/clients/record.c: as the pop. */
		client_relax();
	client_assert(!sh_record_claim(&rt, handle) && sh_record_claim(&rt, h));
	client_assert(sh_record_at(&rt, h)->arg == &argument);
	sh_record_free(&rt, NULL, h);
}

/* Handles of the jobs before and of this one, from a user who should not have them: none acts. */
static void owned_stale(void)
{
	struct shunt_job_id before = { handle }, guessed = { next_handle() };

	client_assert(shunt_detach(&rt, before) == SHUNT_ESTALE && shunt_cancel(&rt, before) == SHUNT_ESTALE);
	client_assert(shunt_poll(&rt, guessed, NULL) == SHUNT_ESTALE && shunt_detach(&rt, guessed) == SHUNT_ESTALE);
	client_assert(!sh_record_move(&rt, guessed.v, SH_RECORD_QUEUED, SH_RECORD_FINISHING));
	client_assert(!sh_record_claim(&rt, before.v));
}

static void check_owned(void)
{
	client_assert(sh_record_open(&rt, NULL) == next_handle() + (UINT64_C(1) << SH_RECORD_GEN_SHIFT));
}

static void check_ended(void)
{
	client_assert(ended[0] + ended[1] == 1);
}

static void check_joined(void)
{
	check_ended();
	client_assert(joined[0] + joined[1] == 1);
	client_assert((sh_a64_load_rlx(&sh_record_at(&rt, handle)->state) & SH_RECORD_STATUS) == SH_RECORD_FREE);
}

/* Freed once: the one record there is can be opened once. */
static void check_freed(void)
{
	check_ended();
	client_assert((sh_a64_load_rlx(&sh_record_at(&rt, handle)->state) & SH_RECORD_STATUS) == SH_RECORD_FREE);
	client_assert(sh_record_open(&rt, NULL) == next_handle() && sh_record_open(&rt, NULL) == 0);
}

static void check_called(void)
{
	check_joined();
	client_assert(called == 1);
}

#define CLIENT(n, s, set, chk) .name = "record." n, .shows = s, .setup = set, .check = chk, .teardown = teardown

const struct client clients[] = {
	{ CLIENT("end_wait", "the end against a waiter: it wakes and sees what the job left", setup, check_joined),
	  .thread = { worker, waiter }, .bound = 4, .bound_long = 8 },
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
	  .thread = { publisher_async, runner, ender }, .bound = 1, .bound_long = 3 },
	{ CLIENT("stop", "a stopping pool against the worker: one of them ends the job", setup_done, check_called),
	  .thread = { worker, stopper, waiter }, .bound = 3, .bound_long = 5 },
	{ CLIENT("linked", "a cancelled job in a strand's list: the last of user and list frees it", setup_keyed, check_freed),
	  .thread = { canceller, unlinker, detacher }, .bound = 4, .bound_long = 6 },
	{ CLIENT("linked_reuse", "the same with a later job in the record", setup_keyed, check_ended),
	  .thread = { canceller, unlinker, detacher, reuser }, .bound = 2, .bound_long = 3 },
	{ CLIENT("unread", "the same where a completion queue holds it too", setup_reader, check_freed),
	  .thread = { canceller_tells, unlinker, reader, detacher }, .bound = 2, .bound_long = 3 },
	{ CLIENT("owned", "a record without a handle: its item alone acts on it", setup_owned, check_owned),
	  .thread = { owned_push, owned_pop, owned_stale }, .bound = 3, .bound_long = 5 },
	{ CLIENT("stale", "a canceller with a handle that goes stale: no second end", setup, check_ended),
	  .thread = { worker, waiter, stale, reuser }, .bound = 2, .bound_long = 3 },
	{ 0 },
};
