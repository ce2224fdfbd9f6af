/*
 * model/clients/cq.c - clients of completion queues (job/cq.c) alone: threads that end jobs against the reader, one that
 * stops before it writes to the descriptor, the queue's end, and the others who hold a record or its place in a list.
 * The explorer's eventfd is virtual and orders nothing; natively it is the kernel's. Run by both.
 *
 * What must hold: each end is taken once, with its result; a reader that sleeps on the descriptor is woken, and has
 * nothing to wake for once all was taken; nobody touches a record or the queue after it was given back.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "clients/flag.h"
#include "job/cq.h"
#include "job/handle.h"
#include "job/parts.h"
#include "model/client.h"
#include "sched/strand.h"

#define JOBS 4u

static struct shunt_runtime rt; /* no more of it than the slab of records, the parts, and the list of queues */
static struct sh_pool pool; /* no more of it than its id */
static struct shunt_cq *cq;
static struct sh_strand strand;
static uint64_t handle[JOBS]; /* of job 1 and so on */
static uint32_t left[JOBS];   /* plain: what a job leaves for the reader */
static uint32_t taken[JOBS];  /* plain: the reader's */
static uint32_t takes;        /* plain: the reader's */
static uint32_t order[JOBS];  /* plain: the jobs as they were taken */
static bool destroyed;

/* Submits job i to the queue. 0 = it is full. */
static bool submit(uint32_t i, uint32_t more)
{
	const struct shunt_job_spec spec = { .done_arg = &left[i] };
	const struct shunt_job_opts opts = { .size = sizeof(opts), .cq = cq };
	struct sh_submit s = { .rt = &rt, .pool = &pool, .spec = &spec, .opts = &opts, .parts = SH_PART(HANDLE) | SH_PART(CQ), .wants_id = true };
	int rc;

	s.handle = sh_record_open(&rt, NULL);
	if (s.handle == 0)
		return false;
	s.record = sh_record_at(&rt, s.handle);
	s.record->parts = (uint16_t)(s.parts | more);
	s.record->type_id = i;
	rc = sh_part_cq.admit(&s);
	client_assert(rc == 0 || rc == SHUNT_EFULL);
	if (rc != 0) {
		sh_record_free(&rt, NULL, s.handle);
		return false;
	}
	client_assert(sh_part_handle.admit(&s) == 0);
	s.parts |= more;
	sh_part_handle.commit(&s);
	handle[i] = s.handle;
	return true;
}

/* Ends job i, which this thread won: its result, then its entry, as the parts are released. */
static void end_won(uint32_t i)
{
	struct sh_end e = { .rt = &rt, .record = sh_record_at(&rt, handle[i]), .handle = handle[i], .cq = cq,
			    .status = SH_RECORD_DONE, .code = (int)i + 10, .worker = SHUNT_ANY, .run_ns = i };

	left[i] = i;
	sh_part_handle.release(&e);
	sh_part_cq.release(&e);
}

static void end(uint32_t i)
{
	client_assert(sh_record_claim_end(&rt, handle[i]));
	end_won(i);
}

static void took(const struct shunt_completion *c)
{
	uint32_t i = (uint32_t)((uint32_t *)c->arg - left);

	client_assert(i >= 1 && i < JOBS && taken[i]++ == 0);
	client_assert(left[i] == i && c->type.v == i && c->result.status == SHUNT_JOB_DONE);
	client_assert(c->result.code == (int)i + 10 && c->result.run_ns == i);
	client_assert(c->id.v == 0 || c->id.v == handle[i]);
	order[takes++] = i;
}

/* An event loop: sleeps on the descriptor, takes all there is, until n were taken. */
static void read_all(uint32_t n)
{
	struct shunt_completion c[JOBS];

	while (takes < n) {
		size_t got, i;

		client_assert(shunt_cq_wait(cq, SHUNT_FOREVER) == 0);
		do {
			got = shunt_cq_take(cq, c, 2);
			for (i = 0; i < got; i++)
				took(&c[i]);
		} while (got == 2);
		client_relax();
	}
}

static void setup_with(uint32_t records, uint32_t capacity, uint32_t jobs)
{
	const struct shunt_cq_opts opts = { sizeof(opts), capacity };
	uint32_t i;

	memset(&rt, 0, sizeof(rt));
	sh_a32_init(&rt.accepting, SH_ACCEPT_ALL);
	memset(&strand, 0, sizeof(strand));
	memset(handle, 0, sizeof(handle));
	memset(left, 0, sizeof(left));
	memset(taken, 0, sizeof(taken));
	memset(order, 0, sizeof(order));
	takes = 0;
	destroyed = false;
	rt.fork_gen = sh_fork_generation;
	rt.parts = sh_parts;
	client_assert(sh_slab_init(&rt.records, &rt.mem, records, sizeof(struct sh_record), 1) == 0);
	client_assert(shunt_cq_create(&rt, &opts, &cq) == 0);
	for (i = 1; i <= jobs; i++)
		client_assert(submit(i, 0));
}

static void setup_none(void) { setup_with(2, 1, 0); }
static void setup_one(void) { setup_with(1, JOBS, 1); }
static void setup_two(void) { setup_with(JOBS, JOBS, 2); }
static void setup_three(void) { setup_with(JOBS, JOBS, 3); }

static void teardown(void)
{
	sh_cq_close_all(&rt);
	sh_slab_fini(&rt.records);
}

static void end_1(void) { end(1); }
static void end_2(void) { end(2); }
static void end_3(void) { end(3); }

static void end_two(void)
{
	end(1);
	end(2);
}

static void read_one(void) { read_all(1); }
static void read_two(void) { read_all(2); }
static void read_three(void) { read_all(3); }

/* Takes what is there without sleeping, as a loop does that is awake for something else. */
static void read_some(void)
{
	struct shunt_completion c[JOBS];
	size_t got = shunt_cq_take(cq, c, 1), i;

	for (i = 0; i < got; i++)
		took(&c[i]);
}

/* Nothing is left to take, nothing to wake for, and the next end wakes again. */
static void quiet(void)
{
	struct shunt_completion c;
	uint32_t n;

	while (shunt_cq_take(cq, &c, 1) == 1)
		took(&c);
	client_assert(shunt_cq_pending(cq) == 0 && shunt_cq_wait(cq, 0) == SHUNT_ETIMEDOUT);
	for (n = 0; n < 2; n++) {
		uint32_t i = JOBS - 1;

		(void)shunt_detach(&rt, (struct shunt_job_id){ handle[i] });
		client_assert(submit(i, 0));
		end(i);
		client_assert(shunt_cq_wait(cq, 0) == 0 && shunt_cq_take(cq, &c, 1) == 1 && c.id.v == handle[i]);
		client_assert(shunt_cq_take(cq, &c, 1) == 0 && shunt_cq_wait(cq, 0) == SHUNT_ETIMEDOUT);
	}
}

static void check_two(void)
{
	quiet();
	client_assert(taken[1] == 1 && taken[2] == 1);
}

static void check_order(void)
{
	check_two();
	client_assert(order[0] == 1 && order[1] == 2);
}

static void check_three(void)
{
	quiet();
	client_assert(taken[1] == 1 && taken[2] == 1 && taken[3] == 1);
}

/* --- a thread that stops for good between the state WRITING and its write: written out here */

static void stopped_pusher(void)
{
	struct sh_record *t = sh_record_at(&rt, handle[1]);
	uint64_t top, idle;
	struct sh_end e = { .rt = &rt, .record = t, .handle = handle[1], .status = SH_RECORD_DONE, .code = 11,
			    .worker = SHUNT_ANY, .run_ns = 1 };

	client_assert(sh_record_claim_end(&rt, handle[1]));
	left[1] = 1;
	sh_part_handle.release(&e);
	top = sh_a64_load_rlx(&cq->list);
	do
		sh_a32_store_rlx(&t->cq_next, (uint32_t)top);
	while (!sh_a64_cas_sc(&cq->list, &top, sh_record_index(handle[1])));
	idle = sh_a64_load_sc(&cq->signal);
	if ((idle & 3u) == 0)
		(void)sh_a64_cas_sc(&cq->signal, &idle, idle + 1);
	(void)sh_a64_add_rlx(&cq->writes, 1);
}

/* The second one found the first one's state, or made its own. */
static void read_stopped(void)
{
	struct shunt_completion c[JOBS];

	while (taken[2] == 0) {
		size_t got, i;

		client_assert(shunt_cq_wait(cq, SHUNT_FOREVER) == 0);
		got = shunt_cq_take(cq, c, JOBS);
		for (i = 0; i < got; i++)
			took(&c[i]);
		client_relax();
	}
}

/* A thread that has written, and has not said so, while the other one stops. */
static void end_3_then_2(void)
{
	end(3);
	end(2);
}

static void check_stopped(void)
{
	client_assert(taken[2] == 1);
}

/* --- the queue's end against the thread that pushed the last entry */

static void read_destroy(void)
{
	read_all(1);
	client_assert(shunt_cq_destroy(cq) == 0);
	destroyed = true;
}

static void read_two_destroy(void)
{
	read_all(2);
	client_assert(shunt_cq_destroy(cq) == 0);
	destroyed = true;
}

static void check_destroyed(void)
{
	client_assert(destroyed && rt.cqs == NULL);
}

/* --- the record: held by the user and for the queue; a later job has it when both are through */

static void detacher(void)
{
	client_assert(shunt_detach(&rt, (struct shunt_job_id){ handle[1] }) == 0);
}

static void waiter(void)
{
	struct shunt_result r = { 0 };

	client_assert(shunt_wait(&rt, (struct shunt_job_id){ handle[1] }, SHUNT_FOREVER, &r) == 0);
	client_assert(r.code == 11 && left[1] == 1);
}

static void reuser(void)
{
	uint64_t h;

	while ((h = sh_record_open(&rt, NULL)) == 0)
		client_relax();
	sh_record_at(&rt, h)->done_arg = NULL; /* plain: nobody reads the old one any more */
	sh_record_at(&rt, h)->type_id = 0;
	sh_a32_store_rlx(&sh_record_at(&rt, h)->cq_next, 0);
	client_assert(h != handle[1]);
	sh_record_free(&rt, NULL, h);
}

static void check_freed(void)
{
	client_assert(taken[1] == 1 && sh_record_open(&rt, NULL) != 0);
}

/* --- places: a submit is refused until the reader has taken one */

static void submit_two(void)
{
	while (!submit(1, 0))
		client_relax();
	end(1);
	while (!submit(2, 0))
		client_relax();
	client_assert(shunt_cq_pending(cq) == 1);
	(void)shunt_detach(&rt, (struct shunt_job_id){ handle[1] });
	end(2);
}

/* What the reader did before a take is over when the place is used again. */
static uint32_t before_take; /* plain */

static void setup_order(void)
{
	setup_none();
	before_take = 0;
}

static void submit_two_write(void)
{
	client_assert(submit(1, 0));
	end(1);
	while (!submit(2, 0))
		client_relax();
	before_take = 1;
}

static void look_read(void)
{
	client_assert(before_take == 0);
	read_all(1);
}

static void check_order_places(void)
{
	client_assert(taken[1] == 1 && before_take == 1);
}

static void check_places(void)
{
	client_assert(taken[1] == 1 && taken[2] == 1 && order[0] == 1 && shunt_cq_pending(cq) == 0);
}

/* --- a keyed job that was cancelled while it is in its strand's list is in two lists at once */

static void setup_linked(void)
{
	uint32_t i;

	setup_with(JOBS, JOBS, 0);
	for (i = 1; i <= 3; i++)
		client_assert(submit(i, i < 3 ? SH_PART(KEY) : 0));
	end(3); /* its entry is in the queue */
	for (i = 1; i <= 2; i++)
		(void)sh_strand_push(&rt, &strand, sh_record_index(handle[i]));
	sh_strand_pushed(&strand);
}

static void strand_runs(void)
{
	uint32_t i;

	client_assert(sh_strand_claim(&rt, &strand));
	for (i = 1; i <= 2; i++) {
		client_assert(sh_strand_next(&rt, &strand) == sh_record_index(handle[i]));
		if (sh_record_claim(&rt, handle[i])) {
			client_assert(sh_record_move(&rt, handle[i], SH_RECORD_RUNNING, SH_RECORD_FINISHING));
			client_assert(sh_record_unhold(&rt, NULL, handle[i], SH_RECORD_LINKED));
			end_won(i);
		} else {
			client_assert(sh_record_unhold(&rt, NULL, handle[i], SH_RECORD_LINKED));
		}
	}
	client_assert(sh_strand_next(&rt, &strand) == 0);
}

static void cancel_1(void)
{
	if (sh_record_claim_end(&rt, handle[1]))
		end_won(1);
}

#define CLIENT(n, s, set, chk) .name = "cq." n, .shows = s, .setup = set, .check = chk, .teardown = teardown

const struct client clients[] = {
	{ CLIENT("push_take", "two ends of one thread: the reader wakes, takes both, in order", setup_two, check_order),
	  .thread = { end_two, read_two }, .bound = 3, .bound_long = 4 },
	{ CLIENT("push_push", "two threads end jobs: both are taken, and then nothing wakes the reader", setup_two, check_two),
	  .thread = { end_1, end_2, read_two }, .bound = 2, .bound_long = 3 },
	{ CLIENT("push_push_awake", "the same where the reader looks on its own, too", setup_two, check_two),
	  .thread = { end_1, end_2, read_some }, .bound = 2, .bound_long = 3 },
	{ CLIENT("push_three", "three threads end jobs", setup_three, check_three), .thread = { end_1, end_2, end_3, read_three },
	  .bound = 1, .bound_long = 2 },
	{ CLIENT("stopped", "a thread stopped before its write: the next end wakes the reader", setup_two, check_stopped),
	  .thread = { stopped_pusher, end_2, read_stopped }, .bound = 2, .bound_long = 3 },
	{ CLIENT("stopped_late", "the same beside a thread that wrote for a look before", setup_three, check_stopped),
	  .thread = { stopped_pusher, end_3_then_2, read_stopped }, .bound = 2, .bound_long = 3 },
	{ CLIENT("destroy", "the queue's end against the thread that pushed the last entry", setup_one, check_destroyed),
	  .thread = { end_1, read_destroy }, .bound = 4, .bound_long = 6 },
	{ CLIENT("destroy_two", "the same with two of them", setup_two, check_destroyed),
	  .thread = { end_1, end_2, read_two_destroy }, .bound = 2, .bound_long = 3 },
	{ CLIENT("detach", "the user and the queue hold the record: a later job has it when both are through", setup_one, check_freed),
	  .thread = { end_1, read_one, detacher, reuser }, .bound = 2, .bound_long = 3 },
	{ CLIENT("wait", "a user that waits for the job, too", setup_one, check_freed), .thread = { end_1, read_one, waiter },
	  .bound = 2, .bound_long = 3 },
	{ CLIENT("places", "one place: the second submit comes when the first completion was taken", setup_none, check_places),
	  .thread = { submit_two, read_two }, .bound = 2, .bound_long = 4 },
	{ CLIENT("places_order", "a submit that needed a place comes after the take that made it", setup_order, check_order_places),
	  .thread = { submit_two_write, look_read }, .bound = 2, .bound_long = 4 },
	{ CLIENT("linked", "a job cancelled in its strand's list is in the queue's list, too", setup_linked, check_three),
	  .thread = { cancel_1, strand_runs, read_three }, .bound = 2, .bound_long = 3 },
	{ 0 },
};
