/*
 * model/clients/group.c - clients of the group counter (job/group.c) alone: jobs that enter and leave against waiters,
 * cancel, destroy and a later group in the same place. Run by the explorer and natively.
 *
 * What must hold: a wait returns when the count is 0, and then sees what every job of the group left; nobody sleeps on.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "clients/flag.h"
#include "job/group.h"
#include "model/client.h"

static struct shunt_runtime rt; /* no more of it than the slab of groups */
static struct sh_pool pool;
static struct shunt_group_id group;
static uint32_t left[3]; /* plain: what job i leaves */
static sh_a32 waited;    /* waits that returned */

/* As the submit of a job of the group, and its end. */
static bool enter(struct shunt_group_id id)
{
	struct sh_record record = { 0 };
	const struct shunt_job_spec spec = { .group = id };
	struct sh_submit s = { .rt = &rt, .spec = &spec, .pool = &pool, .record = &record };
	int rc = sh_part_group.admit(&s);

	client_assert((rc == 0 && record.group == sh_group_index(id)) || rc == SHUNT_ENOENT);
	return rc == 0;
}

static void leave(struct shunt_group_id id)
{
	struct sh_end e = { .rt = &rt, .group = sh_group_index(id) };

	sh_part_group.release(&e);
}

static void setup_n(uint32_t entered)
{
	uint32_t i;

	memset(&rt, 0, sizeof(rt));
	sh_a32_init(&rt.accepting, SH_ACCEPT_ALL);
	memset(left, 0, sizeof(left));
	sh_a32_init(&waited, 0);
	rt.fork_gen = sh_fork_generation;
	client_assert(sh_slab_init(&rt.groups, &rt.mem, 1, sizeof(struct sh_group), 1) == 0);
	client_assert(shunt_group_create(&rt, &group) == 0);
	for (i = 0; i < entered; i++)
		client_assert(enter(group));
}

static void setup_none(void)
{
	setup_n(0);
}

static void setup_one(void)
{
	setup_n(1);
}

static void setup_two(void)
{
	setup_n(2);
}

static void teardown(void)
{
	sh_slab_fini(&rt.groups);
}

static void leave_first(void)
{
	left[0] = 1;
	leave(group);
}

static void leave_second(void)
{
	left[1] = 1;
	leave(group);
}

/* A job that submits another to its own group before it ends; the other is ended by a second thread. */
static sh_a32 entered;

static void enter_and_leave(void)
{
	client_assert(enter(group));
	flag_raise(&entered);
	leave_first();
}

static void leave_when_entered(void)
{
	flag_await(&entered, 1);
	leave_second();
}

static void setup_entering(void)
{
	setup_n(1);
	sh_a32_init(&entered, 0);
}

static void wait_two(void)
{
	client_assert(shunt_group_wait(&rt, group, SHUNT_FOREVER) == 0);
	client_assert(left[0] == 1 && left[1] == 1);
	flag_raise(&waited);
}

static void wait_one(void)
{
	client_assert(shunt_group_wait(&rt, group, SHUNT_FOREVER) == 0);
	client_assert(left[0] == 1);
}

/* Destroys the group when it is idle; the next one in its place has another name. */
static void replace(void)
{
	struct shunt_group_id next = { 0 };

	while (shunt_group_destroy(&rt, group) == SHUNT_EBUSY)
		client_relax();
	client_assert(left[0] == 1);
	while (shunt_group_create(&rt, &next) != 0)
		client_relax();
	client_assert(next.v != group.v && shunt_group_pending(&rt, group) == SHUNT_ESTALE);
	client_assert(!enter(group) && enter(next));
	leave(next);
	client_assert(shunt_group_wait(&rt, next, SHUNT_FOREVER) == 0);
}

/* A waiter whose group may be gone: it returns all the same. */
static void wait_or_stale(void)
{
	int rc = shunt_group_wait(&rt, group, SHUNT_FOREVER);

	client_assert(rc == 0 || rc == SHUNT_ESTALE);
	if (rc == 0)
		client_assert(left[0] == 1);
}

static void canceller(void)
{
	int rc = shunt_group_cancel(&rt, group);

	client_assert(rc == 0 || rc == SHUNT_ESTALE);
}

/* Submits to a group that may be destroyed meanwhile: counted in, or refused. */
static void enter_late(void)
{
	if (enter(group))
		leave(group);
}

static void destroy_when_idle(void)
{
	while (shunt_group_destroy(&rt, group) == SHUNT_EBUSY)
		client_relax();
}

static void check(void)
{
	client_assert((sh_a64_load_rlx(&((struct sh_group *)sh_slab_at(&rt.groups, sh_group_index(group)))->state) & (SH_GROUP_PENDING | SH_GROUP_WAITER)) == 0);
}

#define CLIENT(n, s, set, chk) .name = "group." n, .shows = s, .setup = set, .check = chk, .teardown = teardown

const struct client clients[] = {
	{ CLIENT("leave_wait", "two jobs end against a waiter: it wakes at 0 and sees what both left", setup_two, check),
	  .thread = { leave_first, leave_second, wait_two }, .bound = 4, .bound_long = 6 },
	{ CLIENT("leave_wait_wait", "one job ends against two waiters: both wake", setup_one, check),
	  .thread = { leave_first, wait_one, wait_one }, .bound = 4, .bound_long = 6 },
	{ CLIENT("enter_wait", "a job enters another before it ends: the waiter waits for both", setup_entering, check),
	  .thread = { enter_and_leave, leave_when_entered, wait_two }, .bound = 3, .bound_long = 5 },
	{ CLIENT("replace", "the group is destroyed and its place reused under a waiter: it returns", setup_one, check),
	  .thread = { leave_first, wait_or_stale, replace }, .bound = 3, .bound_long = 5 },
	{ CLIENT("cancel", "cancel, the last end and a waiter on one word: nothing is lost", setup_one, check),
	  .thread = { leave_first, wait_one, canceller }, .bound = 4, .bound_long = 6 },
	{ CLIENT("enter_destroy", "a submit to the group against its destruction: counted in or refused", setup_none, check),
	  .thread = { enter_late, destroy_when_idle } },
	{ 0 },
};
