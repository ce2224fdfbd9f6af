/*
 * model/clients/balancer.c - clients of policy/balancer.c: reservations and their end from two threads, the hand-over of
 * a place, and the buffers of a user strategy. Run by the explorer and by native.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include <shunt/balancer.h>
#include <shunt/error.h>

#include "client.h"

#define MANY (SHUNT_WORKERS_MAX + 1u) /* workers from which on a user strategy needs a buffer */

static struct shunt_balancer *balancer;
static uint32_t place[2];   /* plain: written by the thread that has the one place of that worker */
static uint32_t started[3]; /* plain: places that thread i got */

static void create(uint32_t workers, uint32_t capacity, enum shunt_strategy strategy, shunt_select_fn select)
{
	struct shunt_balancer_opts o = SHUNT_BALANCER_OPTS_INIT;

	o.workers = workers;
	o.capacity = capacity;
	o.strategy = strategy;
	o.select = select;
	o.seed = 1;
	client_assert(shunt_balancer_create(&balancer, &o) == 0);
	place[0] = 0;
	place[1] = 0;
	started[0] = 0;
	started[1] = 0;
	started[2] = 0;
}

static void destroy(void)
{
	shunt_balancer_destroy(balancer);
}

static uint32_t in_flight(uint32_t worker)
{
	struct shunt_worker_load l;

	client_assert(shunt_balancer_load(balancer, worker, &l, sizeof(l)) == 0);
	return l.in_flight;
}

/* --- one place: two threads take it in turn or are refused; what is done in it is ordered */

static void one_setup(void) { create(1, 1, SHUNT_SELECT_ROUND_ROBIN, 0); }

static void use_place(unsigned t)
{
	int rc = shunt_balancer_start_on(balancer, 0);

	client_assert(rc == 0 || rc == SHUNT_EAGAIN);
	if (rc != 0)
		return;
	started[t]++;
	place[0]++;
	client_assert(in_flight(0) == 1);
	client_assert(shunt_balancer_complete(balancer, 0, 1000, 0) == 0);
}

static void use_0(void) { use_place(0); }
static void use_1(void) { use_place(1); }

static void one_check(void)
{
	client_assert(started[0] + started[1] + started[2] >= 1);
	client_assert(place[0] == started[0] + started[1] + started[2]);
	client_assert(in_flight(0) == 0);
	client_assert(shunt_balancer_complete(balancer, 0, 1000, 0) == SHUNT_EINVAL);
}

/* --- two places on one worker, three that want one: two get it */

static void two_setup(void) { create(1, 2, SHUNT_SELECT_ROUND_ROBIN, 0); }
static void start_0(void) { started[0] += shunt_balancer_start_on(balancer, 0) == 0; }
static void start_1(void) { started[1] += shunt_balancer_start_on(balancer, 0) == 0; }
static void start_2(void) { started[2] += shunt_balancer_start_on(balancer, 0) == 0; }

static void two_check(void)
{
	client_assert(started[0] + started[1] + started[2] == 2);
	client_assert(in_flight(0) == 2);
}

/* --- a start and an end at once: neither change of the count is lost */

static void start_end_setup(void)
{
	two_setup();
	client_assert(shunt_balancer_start_on(balancer, 0) == 0);
}

static void end_one(void) { client_assert(shunt_balancer_complete(balancer, 0, 1000, 1) == 0); }
static void start_must(void) { client_assert(shunt_balancer_start_on(balancer, 0) == 0); }
static void start_end_check(void) { client_assert(in_flight(0) == 1); }

/* --- the choice: two workers with one place each, two starts: each gets one, whichever was chosen first */

static void choose_setup(void) { create(2, 1, SHUNT_SELECT_LEAST_LOADED, 0); }

static void choose(unsigned t)
{
	int worker = shunt_balancer_start(balancer, 0, SHUNT_ANY);

	client_assert(worker == 0 || worker == 1);
	place[worker] += 1 + t;
}

static void choose_0(void) { choose(0); }
static void choose_1(void) { choose(1); }

static void choose_check(void)
{
	client_assert(in_flight(0) == 1 && in_flight(1) == 1);
	client_assert(place[0] + place[1] == 3 && place[0] != 0 && place[1] != 0);
}

/* --- a user strategy with more workers than a stack should hold: one buffer after the other, each with one user */

static int user_first(void *arg, const struct shunt_loads *loads, uint64_t key, uint32_t home)
{
	(void)arg;
	(void)key;
	(void)home;
	client_assert(loads->n == MANY && shunt_loads_at(loads, 0)->capacity == 4);
	client_assert(shunt_loads_at(loads, MANY - 1)->capacity == 4);
	return 0;
}

static void user_setup(void) { create(MANY, 4, SHUNT_SELECT_USER, user_first); }
static void user_start(void) { client_assert(shunt_balancer_start(balancer, 0, SHUNT_ANY) == 0); }
static void user_check(void) { client_assert(in_flight(0) == 2); }

const struct client clients[] = {
	{ .name = "balancer.place", .shows = "one place, two threads: what is done in it is ordered", .setup = one_setup, .thread = { use_0, use_1 }, .check = one_check, .teardown = destroy },
	{ .name = "balancer.full", .shows = "two places, three starts: two get one", .setup = two_setup, .thread = { start_0, start_1, start_2 }, .check = two_check, .teardown = destroy },
	{ .name = "balancer.start_end", .shows = "a start and an end at once: the count holds", .setup = start_end_setup, .thread = { start_must, end_one }, .check = start_end_check, .teardown = destroy },
	{ .name = "balancer.choose", .shows = "two workers, one place each: both starts get one", .setup = choose_setup, .thread = { choose_0, choose_1 }, .check = choose_check, .teardown = destroy },
	{ .name = "balancer.user", .shows = "buffers of a user strategy have one user at a time", .setup = user_setup, .thread = { user_start, user_start }, .check = user_check, .bound = 1, .steps_max = 20000, .teardown = destroy },
	{ 0 },
};
