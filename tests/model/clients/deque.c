/*
 * model/clients/deque.c - clients of lockfree/deque.h: the owner's push and pop against one and two thieves, on two
 * slots, at positions where the array wraps inside the run. Run by the explorer and by native.c.
 *
 * As in ring.c, what an item names is plain memory: written before the push, read and cleared by the thread
 * that takes it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lockfree/deque.h"

#include "client.h"

#define CAPACITY 2u
#define ITEMS 8u
#define OWNER 0u

static struct sh_deque deque;
static sh_a128 slots[CAPACITY];
static uint32_t data[ITEMS];  /* plain: what the items name; 0 = nobody's */
static bool pushed[ITEMS];    /* plain: the owner's */
static uint32_t taken[ITEMS]; /* plain: written by the item's taker */
static uint32_t order[4][ITEMS];
static uint32_t orders[4];
static sh_a32 asleep;
static bool slept;
static bool woken;
static uint32_t before_take; /* plain: read before a take, written after the push that needed its slot */

static struct sh_item item_of(uint32_t i)
{
	struct sh_item item = { i, i * 100u };

	return item;
}

static bool give(uint32_t item)
{
	data[item] = item * 10u;
	pushed[item] = sh_deque_push(&deque, item_of(item));
	return pushed[item];
}

static void took(unsigned who, struct sh_item got)
{
	uint32_t item = (uint32_t)got.meta;

	client_assert(got.meta != 0 && got.meta < ITEMS && got.arg == item_of(item).arg);
	client_assert(data[item] == item * 10u); /* else: never published, or somebody else's */
	data[item] = 0;
	taken[item]++;
	order[who][orders[who]++] = item;
}

static bool pop(void)
{
	struct sh_item item = { 0, 0 };

	if (!sh_deque_pop(&deque, &item))
		return false;
	took(OWNER, item);
	return true;
}

static bool take(unsigned who)
{
	struct sh_item item = { 0, 0 };

	if (!sh_deque_take(&deque, &item))
		return false;
	took(who, item);
	return true;
}

/* An empty deque whose next position is `pos`, then items 1..prefilled. */
static void deque_at(uint32_t pos, uint32_t prefilled)
{
	struct sh_item item;
	uint32_t i;

	for (i = 0; i < CAPACITY; i++) {
		sh_a64_init(&slots[i].lo, 0);
		sh_a64_init(&slots[i].hi, 0);
	}
	sh_deque_init(&deque, slots, CAPACITY);
	for (i = 0; i < pos; i++) {
		client_assert(sh_deque_push(&deque, item_of(ITEMS - 1)));
		client_assert(sh_deque_take(&deque, &item));
	}
	for (i = 0; i < ITEMS; i++) {
		data[i] = 0;
		pushed[i] = false;
		taken[i] = 0;
	}
	for (i = 0; i < 4; i++)
		orders[i] = 0;
	for (i = 1; i <= prefilled; i++)
		client_assert(give(i));
	sh_a32_init(&asleep, 0);
	slept = false;
	woken = false;
	before_take = 0;
}

/* Takes the rest, then: each pushed item was taken once, no other ever. */
static void all_once(void)
{
	uint32_t left = 0, i;

	while (left <= CAPACITY && take(3))
		left++;
	client_assert(left <= CAPACITY);
	client_assert(sh_deque_count(&deque) == 0 && !sh_deque_has(&deque));
	for (i = 1; i < ITEMS; i++)
		client_assert(taken[i] == (pushed[i] ? 1u : 0u));
}

static void check_thieves_fifo(void)
{
	unsigned who;
	uint32_t i;

	all_once();
	for (who = 1; who < 3; who++)
		for (i = 1; i < orders[who]; i++)
			client_assert(order[who][i] > order[who][i - 1]);
}

static void setup_0_1(void) { deque_at(0, 1); }
static void setup_0_2(void) { deque_at(0, 2); }
static void setup_1_0(void) { deque_at(1, 0); }
static void setup_1_1(void) { deque_at(1, 1); }
static void setup_1_2(void) { deque_at(1, 2); }

static void owner_pop(void) { (void)pop(); }
static void thief_1(void) { (void)take(1); }
static void thief_2(void) { (void)take(2); }

static void owner_pop_two(void)
{
	(void)pop();
	(void)pop();
}

static void thief_1_two(void)
{
	(void)take(1);
	(void)take(1);
}

/* --- the last item: it has exactly one winner, nobody leaves it lying */

static void last_check(void)
{
	client_assert(orders[0] + orders[1] + orders[2] == 1);
	all_once();
}

/* --- the owner makes all of it: publishes, wraps, meets its own last item */

static void owner_push_two(void)
{
	client_assert(give(1));
	client_assert(give(2));
}

static void owner_push_pop_push(void)
{
	client_assert(give(2));
	(void)pop();
	client_assert(give(3));
}

static void owner_pop_push_pop(void)
{
	(void)pop();
	client_assert(give(3)); /* at most one is left */
	(void)pop();
}

/* Several in one call, of which the first is the next to pop; the room was asked for before. */
static void owner_push_many_pop(void)
{
	struct sh_item items[2] = { item_of(3), item_of(2) };
	uint64_t room = sh_deque_room(&deque);
	uint32_t n = room < 2 ? (uint32_t)room : 2;

	client_assert(n >= 1);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t item = (uint32_t)items[i + 2 - n].meta;

		data[item] = item * 10u;
		pushed[item] = true;
	}
	sh_deque_push_many(&deque, &items[2 - n], n);
	if (pop() && n == 2)
		client_assert(order[OWNER][orders[OWNER] - 1] == 3);
}

static void owner_push_many_full(void)
{
	struct sh_item item = item_of(3);

	if (sh_deque_room(&deque) == 0)
		return;
	data[3] = 30;
	pushed[3] = true;
	sh_deque_push_many(&deque, &item, 1);
	before_take = 1;
}

/* --- the oldest own item: the owner takes at the top, like a thief, then pops */

static void owner_take_pop(void)
{
	(void)take(OWNER);
	(void)pop();
}

/* --- full: the push that reuses a slot comes after the take that freed it (deque.2, deque.3) */

static void owner_push_full(void)
{
	if (give(3))
		before_take = 1;
}

static void look_take(void)
{
	client_assert(before_take == 0);
	(void)take(1);
}

static void full_check(void)
{
	client_assert(orders[1] == 0 || order[1][0] == 1);
	all_once();
}

/* --- the sleeper's scan (deque.1) */

static void owner_push_wake(void)
{
	client_assert(give(2));
	/* mo client.1 <> client.1@model/clients/deque.c: published, then the look for sleepers. */
	woken = sh_a32_load_sc(&asleep) != 0;
}

static void sleeper(void)
{
	/* mo client.1 <> client.1@model/clients/deque.c: asleep, then the scan. */
	sh_a32_store_sc(&asleep, 1);
	slept = !sh_deque_has(&deque);
}

static void sleep_check(void)
{
	client_assert(!slept || woken || taken[2] == 1);
	all_once();
}

const struct client clients[] = {
	{ .name = "deque.last", .shows = "owner and thief: the last item has one winner", .setup = setup_0_1, .thread = { owner_pop, thief_1 }, .check = last_check },
	{ .name = "deque.last_two", .shows = "the same with two thieves", .setup = setup_0_1, .thread = { owner_pop, thief_1, thief_2 }, .check = last_check },
	{ .name = "deque.pop_take_two", .shows = "one thief takes both items while the owner pops one", .setup = setup_1_2, .thread = { owner_pop, thief_1_two }, .check = check_thieves_fifo },
	{ .name = "deque.pop_two_take", .shows = "the owner pops both while a thief takes one", .setup = setup_1_2, .thread = { owner_pop_two, thief_1 }, .check = all_once },
	{ .name = "deque.pop_take_take", .shows = "two items, the owner and two thieves", .setup = setup_1_2, .thread = { owner_pop, thief_1, thief_2 }, .check = all_once },
	{ .name = "deque.push_take", .shows = "stolen items are published, oldest first", .setup = setup_1_0, .thread = { owner_push_two, thief_1_two }, .check = check_thieves_fifo },
	{ .name = "deque.push_pop_take", .shows = "push, pop and push again over the wrap against a thief", .setup = setup_1_0, .thread = { owner_push_pop_push, thief_1_two }, .check = check_thieves_fifo },
	{ .name = "deque.pop_push_take", .shows = "pop, push and pop again against a thief of two", .setup = setup_1_2, .thread = { owner_pop_push_pop, thief_1_two }, .check = all_once },
	{ .name = "deque.crowd", .shows = "push, pop and push again against two thieves", .setup = setup_1_1, .thread = { owner_push_pop_push, thief_1, thief_2 }, .check = all_once },
	{ .name = "deque.own_oldest", .shows = "the owner takes its oldest, then its newest, against a thief", .setup = setup_0_2, .thread = { owner_take_pop, thief_1 }, .check = all_once },
	{ .name = "deque.full", .shows = "a push into a full deque comes after the take that freed a slot", .setup = setup_0_2, .thread = { owner_push_full, look_take }, .check = full_check },
	{ .name = "deque.push_many", .shows = "several at once over the wrap: published, oldest first", .setup = setup_1_0, .thread = { owner_push_many_pop, thief_1_two }, .check = check_thieves_fifo },
	{ .name = "deque.push_many_full", .shows = "several into a full deque come after the take that freed a slot", .setup = setup_0_2, .thread = { owner_push_many_full, look_take }, .check = full_check },
	{ .name = "deque.sleep", .shows = "the sleeper sees the item or the owner sees the sleeper", .setup = setup_1_0, .thread = { owner_push_wake, sleeper }, .check = sleep_check },
	{ .name = "deque.sleep_take", .shows = "the same while a thief moves the top", .setup = setup_1_1, .thread = { owner_push_wake, sleeper, thief_1_two }, .check = sleep_check },
	{ 0 },
};
