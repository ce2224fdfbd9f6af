/*
 * model/clients/strand.c - clients of sched/strand.c alone: jobs of one strand pushed by several threads, tokens in a
 * queue that orders nothing, and poppers that run what they claim. Run by the explorer and natively.
 *
 * What must hold: a strand that has jobs has a token that finds them (else the poppers sleep for ever), one thread at a
 * time runs them (the plain words below), each submitter's jobs run in its order, and the strand ends IDLE.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "clients/flag.h"
#include "sched/strand.h"
#include "model/client.h"

#define JOBS 4u

static struct shunt_runtime rt; /* no more of it than the slab of records */
static struct sh_record jobs[JOBS + 1] SH_ALIGNED(SH_CACHELINE);
static struct sh_strand strand;
static sh_a32 queue;   /* tokens to pop */
static sh_a32 running; /* jobs that have not ended; 0 = the poppers may leave */

static uint32_t seen[3]; /* of each submitter: its newest job that ran; plain: the claim's */
static uint32_t runs[JOBS + 1];

/* The newest value: a load could return an old one, and the popper would take the last wake-up for a token. */
static bool all_ended(void)
{
	return sh_a32_add_rlx(&running, 0) == 0; /* mo rlx: must not order anything. */
}

static void setup_n(uint32_t n)
{
	memset(&rt, 0, sizeof(rt));
	memset(jobs, 0, sizeof(jobs));
	memset(&strand, 0, sizeof(strand));
	memset(seen, 0, sizeof(seen));
	memset(runs, 0, sizeof(runs));
	rt.records.base = (char *)jobs;
	rt.records.item_size = sizeof(struct sh_record);
	sh_a32_init(&queue, 0);
	sh_a32_init(&running, n);
}

static void setup_two(void)
{
	setup_n(2);
}

static void setup_three(void)
{
	setup_n(3);
}

/* The token is in the queue before it is counted, as submit does it. */
static void token_push(void)
{
	flag_raise(&queue);
	sh_strand_pushed(&strand);
}

static void submit(uint32_t item, uint32_t who, uint32_t order)
{
	sh_a32_store_rlx(&jobs[item].kind, who); /* mo rlx: published by the push. */
	jobs[item].arg = (void *)(uintptr_t)order;
	jobs[item].level = 1;
	if (sh_strand_push(&rt, &strand, item))
		token_push();
}

static void run(uint32_t item)
{
	const struct sh_record *job = &jobs[item];
	uint32_t order = (uint32_t)(uintptr_t)job->arg, who = sh_a32_load_rlx(&job->kind); /* mo rlx: as order. */

	client_assert(runs[item]++ == 0);
	client_assert(order == seen[who] + 1);
	seen[who] = order;
	(void)sh_a32_sub_rlx(&running, 1); /* mo rlx: must not order anything. */
}

/* Takes a token, or learns that all jobs have ended. */
static bool token_pop(void)
{
	for (;;) {
		uint32_t n = sh_a32_load_rlx(&queue); /* mo rlx: must not order anything. */

		while (n != 0)
			if (sh_a32_cas_rlx(&queue, &n, n - 1)) /* mo rlx: as above. */
				return !all_ended();
		(void)sh_futex_wait(&queue, 0, SH_FOREVER);
	}
}

static void popper(void)
{
	uint32_t level = 0;

	while (token_pop()) {
		if (!sh_strand_claim(&rt, &strand))
			continue;
		run(sh_strand_next(&rt, &strand));
		if (sh_strand_release(&rt, &strand, &level)) {
			client_assert(level == 1);
			token_push();
		}
		if (all_ended())
			break;
	}
	flag_raise(&queue); /* the other popper may sleep: let it see that all have ended */
}

static void submit_one(void)
{
	submit(1, 0, 1);
}

static void submit_other(void)
{
	submit(2, 1, 1);
}

static void submit_two(void)
{
	submit(1, 0, 1);
	submit(2, 0, 2);
}

static void submit_third(void)
{
	submit(3, 1, 1);
}

static void check(void)
{
	uint32_t i;

	client_assert(sh_a32_load_rlx(&running) == 0);
	client_assert(sh_a64_load_rlx(&strand.word) == 0);
	client_assert(strand.first == 0 && strand.last == 0);
	for (i = 0; i < SH_COUNT(runs); i++)
		client_assert(runs[i] <= 1);
}

const struct client clients[] = {
	{ .name = "strand.one", .shows = "two jobs of one submitter and a popper: both run, in order", .setup = setup_two, .thread = { submit_two, popper }, .check = check, .bound = 4, .bound_long = 6 },
	{ .name = "strand.push_push", .shows = "two submitters and a popper: no job is left without a token", .setup = setup_two, .thread = { submit_one, submit_other, popper }, .check = check, .bound = 3, .bound_long = 5 },
	{ .name = "strand.pop_pop", .shows = "one submitter, two poppers: one runs at a time, in order", .setup = setup_two, .thread = { submit_two, popper, popper }, .check = check, .bound = 2, .bound_long = 4 },
	{ .name = "strand.two_by_two", .shows = "two submitters, two poppers: order within a submitter, each job once", .setup = setup_three, .thread = { submit_two, submit_third, popper, popper }, .check = check, .bound = 1, .bound_long = 3 },
	{ 0 },
};
