/*
 * model/clients/submitter.c - clients of the submitter slots: threads that submit for the first time and end, with slots
 * for all of them and with one. Run by the explorer and natively.
 *
 * What must hold: a slot has one owner at a time, who finds what the last one left; who gets none submits all the same;
 * nothing that was counted in a slot is forgotten.
 *
 * SPDX-License-Identifier: MIT
 */
#include "clients/world.h"

static void setup_with(uint32_t submitters)
{
	struct shunt_pool_opts o;

	world_pool_opts(&o, 1);
	world_runtime(1, submitters);
	world_must(shunt_pool_create(world.rt, &o, &world.pool));
	world.type = world_type("t", world_job, 0);
}

static void setup_one(void)
{
	setup_with(1);
}

static void setup_two(void)
{
	setup_with(2);
}

static void submit_first(void)
{
	world_submit(0);
}

static void submit_second(void)
{
	world_submit(1);
}

static void submit_third(void)
{
	world_submit(2);
}

/* Waits until both jobs have ended by what the slots say. */
static void quiesce(void)
{
	flag_await(&world.ran[0], 1);
	flag_await(&world.ran[1], 1);
	world_must(shunt_runtime_drain(world.rt, SHUNT_FOREVER, NULL));
	world_is_done(0);
	world_is_done(1);
}

static void quiesce_three(void)
{
	flag_await(&world.ran[2], 1);
	quiesce();
	world_is_done(2);
}

#define CLIENT(n, s, set) .name = "submitter." n, .shows = s, .setup = set, .teardown = world_close

const struct client clients[] = {
	{ CLIENT("one_slot", "two threads that submit and end, one slot: handed on, or not had", setup_one),
	  .thread = { submit_first, submit_second, quiesce }, .bound = 1, .bound_long = 2 },
	{ CLIENT("two_slots", "two first submits at once: a slot each, both counted", setup_two),
	  .thread = { submit_first, submit_second, quiesce }, .bound = 1, .bound_long = 2 },
	{ CLIENT("three", "three threads, two slots", setup_two),
	  .thread = { submit_first, submit_second, submit_third, quiesce_three }, .bound = 1, .bound_long = 1, .random_only = true },
	{ 0 },
};
