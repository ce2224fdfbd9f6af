/*
 * model/clients/credit.c - clients of sched/credit.[ch] alone: threads with and without a cache of credits that take and
 * give back. Run by the explorer and natively.
 *
 * What must hold: never more credits are out than there are, none is lost, and a thread that is refused was refused
 * while others had all of them, in their hands or in their caches.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "model/client.h"
#include "sched/credit.h"

static struct shunt_runtime rt; /* no more of it than the counter */
static struct sh_submitter sub[2];
static uint32_t all;     /* credits there are */
static uint32_t held[3]; /* plain: thread i has them */
static uint32_t before_give; /* plain: read by who gives, before; written by who takes what was given */

static void setup_with(uint32_t credits, uint32_t cache)
{
	memset(&rt, 0, sizeof(rt));
	memset(sub, 0, sizeof(sub));
	memset(held, 0, sizeof(held));
	before_give = 0;
	all = credits;
	rt.credit_cache = cache;
	sh_a64_init(&rt.credits, credits);
}

static uint32_t take(uint32_t i, struct sh_submitter *s, uint32_t n)
{
	uint32_t got = sh_credit_take(&rt, s, n);

	client_assert(got <= n);
	held[i] += got;
	return got;
}

static void give(uint32_t i, struct sh_submitter *s, uint32_t n)
{
	client_assert(held[i] >= n);
	held[i] -= n;
	sh_credit_give(&rt, s, n);
	client_assert(!s || s->credits <= 2 * rt.credit_cache);
}

static void setup_two(void) { setup_with(2, 0); }
static void setup_three(void) { setup_with(3, 0); }
static void setup_cached(void) { setup_with(6, 2); }

/* The first thread has the only one. */
static void setup_out(void)
{
	setup_with(1, 0);
	client_assert(take(0, NULL, 1) == 1);
}

/* Nothing is lost: in hands, in caches, in the counter. */
static void none_lost(void)
{
	uint32_t i, out = held[0] + held[1] + held[2];

	for (i = 0; i < 2; i++) {
		out += sub[i].credits;
		client_assert(sub[i].credits <= 2 * rt.credit_cache);
	}
	client_assert(sh_a64_load_rlx(&rt.credits) + out == all);
	for (i = 0; i < 2; i++)
		sh_credit_flush(&rt, &sub[i]);
	client_assert(sh_a64_load_rlx(&rt.credits) + held[0] + held[1] + held[2] == all);
}

static void take_two_0(void) { (void)take(0, NULL, 2); }
static void take_two_1(void) { (void)take(1, NULL, 2); }

/* Between them they take all, and no more. */
static void check_all_taken(void)
{
	client_assert(held[0] + held[1] == all);
	none_lost();
}

static void take_give_0(void)
{
	uint32_t got = take(0, NULL, 1);

	give(0, NULL, got);
	(void)take(0, NULL, 2);
}

static void take_give_1(void)
{
	uint32_t got = take(1, NULL, 2);

	give(1, NULL, got);
	(void)take(1, NULL, 1);
}

static void cached(uint32_t i)
{
	uint32_t got = take(i, &sub[i], 1);

	got += take(i, &sub[i], 3);
	give(i, &sub[i], got);
	if (take(i, &sub[i], 1) == 1)
		give(i, &sub[i], 1);
}

static void cached_0(void) { cached(0); }
static void cached_1(void) { cached(1); }

static void cached_flush_0(void)
{
	cached(0);
	sh_credit_flush(&rt, &sub[0]);
	client_assert(sub[0].credits == 0);
}

static void uncached_2(void)
{
	uint32_t got = take(2, NULL, 3);

	give(2, NULL, got);
}

/* What was done before a credit was given is seen by who takes it. */
static void look_give(void)
{
	client_assert(before_give == 0);
	give(0, NULL, 1);
}

static void take_write(void)
{
	if (take(1, NULL, 1) == 1)
		before_give = 1;
}

static void take_write_twice(void)
{
	if (take(1, NULL, 1) == 1 || take(1, NULL, 1) == 1)
		before_give = 1;
}

static void look_flush(void)
{
	client_assert(before_give == 0);
	sub[0].credits = held[0];
	held[0] = 0;
	sh_credit_flush(&rt, &sub[0]);
}

/* ---- items that are left behind ---- */

static sh_a32 job[2]; /* 0 = queued; the thread that sets it has won the job */

static void setup_left(void)
{
	setup_with(2, 0);
	rt.left_max = 1;
	for (uint32_t i = 0; i < 2; i++) {
		sh_a32_init(&job[i], 0);
		client_assert(sh_credit_take(&rt, NULL, 1) == 1);
	}
}

static bool win(uint32_t i)
{
	uint32_t queued = 0;

	return sh_a32_cas_acq_rel_acq(&job[i], &queued, 1); /* as claim() in sched/record.c */
}

static void cancel(uint32_t i)
{
	bool counted = sh_credit_leave(&rt), won = win(i);

	client_assert(sh_a64_load_rlx(&rt.left_behind) <= rt.left_max);
	if (won && counted)
		sh_credit_give(&rt, NULL, 1);
	else if (counted)
		sh_credit_left(&rt, NULL);
}

static void cancel_first(void) { cancel(0); }
static void cancel_both(void) { cancel(1), cancel(0); }

/* Takes both items out of the queue. */
static void pop_both(void)
{
	for (uint32_t i = 0; i < 2; i++) {
		if (win(i))
			sh_credit_give(&rt, NULL, 1);
		else
			sh_credit_left(&rt, NULL);
	}
}

/* Each place is there once again, whatever was cancelled when. */
static void check_left(void)
{
	client_assert(sh_a64_load_rlx(&rt.left_behind) == 0);
	client_assert(sh_a64_load_rlx(&rt.credits) == all);
}

#define CLIENT(n, s, set, chk) .name = "credit." n, .shows = s, .setup = set, .check = chk

const struct client clients[] = {
	{ CLIENT("take_take", "three credits, two threads that want two: they get three", setup_three, check_all_taken),
	  .thread = { take_two_0, take_two_1 } },
	{ CLIENT("take_give", "two threads take and give: never more than there are, none is lost", setup_two, none_lost),
	  .thread = { take_give_0, take_give_1 } },
	{ CLIENT("cached", "the same with caches, and a thread that has none", setup_cached, none_lost),
	  .thread = { cached_0, cached_1, uncached_2 }, .bound = 3, .bound_long = 5 },
	{ CLIENT("flush", "a cache is given back while another thread takes", setup_cached, none_lost),
	  .thread = { cached_flush_0, cached_1 }, .bound = 4, .bound_long = 6 },
	{ CLIENT("order", "who takes a credit comes after who gave it", setup_out, none_lost), .thread = { look_give, take_write } },
	{ CLIENT("order_twice", "the same where the first attempt finds none", setup_out, none_lost),
	  .thread = { look_give, take_write_twice } },
	{ CLIENT("order_flush", "the same where a cache is given back", setup_out, none_lost), .thread = { look_flush, take_write } },
	{ CLIENT("left", "two threads cancel jobs while a third takes their items: no place is lost, none comes twice",
		 setup_left, check_left),
	  .thread = { cancel_first, cancel_both, pop_both }, .bound = 3, .bound_long = 5 },
	{ 0 },
};
