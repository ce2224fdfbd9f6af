/*
 * model/clients/ring.c - clients of lockfree/ring.[ch]: producers, the owner's pop, batch steals and a sleeper's scan
 * on a ring of two slots, at positions where the lap changes or wraps inside the run (the explorer's laps have two
 * bits), and on one of four, where producers walk from the hint, which moves once in four pushes. Run by the explorer
 * and by native.c.
 *
 * What a producer writes to an item's data before its push, and what a consumer reads and overwrites after its pop,
 * are plain fields here as what an item names in the runtime: a missing edge is a data race, a second owner a wrong
 * value. Each item's two words are different from all others': half of one with half of another is a wrong value.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lockfree/ring.h"

#include "client.h"

#define CAPACITY 2u
#define CAPACITY_MAX 4u
#define ITEMS 24u

static struct sh_ring ring;
static sh_a128 slots[CAPACITY_MAX];
static uint32_t capacity;
static uint32_t data[ITEMS];     /* plain: what the items name; 0 = nobody's */
static bool pushed[ITEMS];       /* plain: written by the item's producer */
static uint32_t taken[ITEMS];    /* plain: written by the item's taker */
static uint32_t order[3][ITEMS]; /* plain: what consumer i took, in its order */
static uint32_t orders[3];
static sh_a32 asleep;
static sh_a32 notified; /* a producer tells another one that its push is over */
static bool slept;
static bool woken[2];
static uint32_t before_pop; /* plain: read before a pop, written after the push that needed its slot */

static struct sh_item item_of(uint32_t i)
{
	struct sh_item item = { i, i * 100u };

	return item;
}

static bool give(uint32_t item)
{
	data[item] = item * 10u;
	pushed[item] = sh_ring_push(&ring, item_of(item));
	return pushed[item];
}

/* Items first..first+n-1 in one call. */
static uint32_t give_many(uint32_t first, uint32_t n)
{
	struct sh_item items[ITEMS];
	uint32_t got, i;

	for (i = 0; i < n; i++) {
		items[i] = item_of(first + i);
		data[first + i] = (first + i) * 10u;
	}
	got = sh_ring_push_many(&ring, items, n);
	client_assert(got <= n);
	for (i = 0; i < got; i++)
		pushed[first + i] = true;
	return got;
}

static void took(unsigned consumer, struct sh_item got)
{
	uint32_t item = (uint32_t)got.meta;

	client_assert(got.meta != 0 && got.meta < ITEMS && got.arg == item_of(item).arg);
	client_assert(data[item] == item * 10u); /* else: never published, or somebody else's */
	data[item] = 0;
	taken[item]++;
	order[consumer][orders[consumer]++] = item;
}

static bool take(unsigned consumer)
{
	struct sh_item item = { 0, 0 };

	if (!sh_ring_pop(&ring, &item))
		return false;
	took(consumer, item);
	return true;
}

static uint32_t take_batch(unsigned consumer, uint32_t n)
{
	struct sh_item items[CAPACITY_MAX] = { { 0, 0 } };
	uint32_t got = sh_ring_steal(&ring, items, n);
	uint32_t i;

	client_assert(got <= n);
	for (i = 0; i < got; i++)
		took(consumer, items[i]);
	return got;
}

/* An empty ring whose next position is `pos`, then items 1..prefilled. */
static void ring_of(uint32_t slots_n, uint32_t pos, uint32_t prefilled)
{
	struct sh_item item;
	uint32_t i;

	capacity = slots_n;
	for (i = 0; i < capacity; i++) {
		sh_a64_init(&slots[i].lo, 0);
		sh_a64_init(&slots[i].hi, 0);
	}
	sh_ring_init(&ring, slots, capacity);
	for (i = 0; i < pos; i++) {
		client_assert(sh_ring_push(&ring, item_of(ITEMS - 1)));
		client_assert(sh_ring_pop(&ring, &item));
	}
	for (i = 0; i < ITEMS; i++) {
		data[i] = 0;
		pushed[i] = false;
		taken[i] = 0;
	}
	for (i = 0; i < 3; i++)
		orders[i] = 0;
	for (i = 1; i <= prefilled; i++)
		client_assert(give(i));
	sh_a32_init(&asleep, 0);
	slept = false;
	woken[0] = false;
	woken[1] = false;
	sh_a32_init(&notified, 0);
	before_pop = 0;
}

static void ring_at(uint32_t pos, uint32_t prefilled)
{
	ring_of(CAPACITY, pos, prefilled);
}

/* Takes the rest, then: each pushed item was taken once, no other ever. */
static void all_once(void)
{
	uint32_t left = 0, i;

	while (left <= capacity && take(2))
		left++;
	client_assert(left <= capacity);
	for (i = 1; i < ITEMS; i++)
		client_assert(taken[i] == (pushed[i] ? 1u : 0u));
}

static bool ascending(unsigned consumer)
{
	uint32_t i;

	for (i = 1; i < orders[consumer]; i++)
		if (order[consumer][i] <= order[consumer][i - 1])
			return false;
	return true;
}

static void setup_0_2(void) { ring_at(0, 2); }
static void setup_1_0(void) { ring_at(1, 0); }
static void setup_1_1(void) { ring_at(1, 1); }
static void setup_1_2(void) { ring_at(1, 2); }
static void setup_2_0(void) { ring_at(2, 0); }
static void setup_3_0(void) { ring_at(3, 0); }
/* From position 6 on a lap of two bits is 0, from 8 on 1 again. */
static void setup_5_0(void) { ring_at(5, 0); }
static void setup_5_1(void) { ring_at(5, 1); }
static void setup_5_2(void) { ring_at(5, 2); }
static void setup_6_2(void) { ring_at(6, 2); }
static void setup_7_0(void) { ring_at(7, 0); }
static void setup_7_1(void) { ring_at(7, 1); }

static void push_2(void) { (void)give(2); }
static void push_3(void) { (void)give(3); }
static void pop_0(void) { (void)take(0); }
static void steal_two_1(void) { (void)take_batch(1, 2); }

/* --- two producers, one slot left: one of them gets "full", and rightly */

static void push_push_check(void)
{
	client_assert(pushed[2] != pushed[3]);
	all_once();
	client_assert(order[2][0] == 1);
}

/* --- two producers, two slots left, the second one in the next lap: neither gets "full" */

static void push_must_2(void) { client_assert(give(2)); }
static void push_must_3(void) { client_assert(give(3)); }

/* --- one producer, one consumer: item 1 is there, so the first pop finds it; a slot is free, so the first push fits */

static void push_two(void)
{
	client_assert(give(2));
	(void)give(3);
}

static void pop_two(void)
{
	client_assert(take(0));
	(void)take(0);
}

static void fifo_check(void)
{
	all_once();
	client_assert(ascending(0) && ascending(1));
}

/* --- two producers and a consumer */

static void pop_two_maybe(void)
{
	(void)take(0);
	(void)take(0);
}

/* --- a producer stopped with an old tail while others use its slot for the next lap */

static void push_9th(void) { (void)give(6); }

static void turn_a_lap(void)
{
	(void)give(1);
	(void)give(2);
	(void)take(0);
	(void)give(3);
}

static void stale_check(void)
{
	client_assert(pushed[1]);
	all_once();
}

/* The same for four laps, five or nine: a distance of laps modulo 4, or 8, reads as none. */
static void turn(uint32_t laps)
{
	uint32_t item = 1, i;

	for (i = 0; i < laps * CAPACITY; i++, item++) {
		item += item == 6; /* the other producer's */
		(void)give(item);
		(void)take(0);
	}
}

static void turn_four_laps(void) { turn(4); }
static void turn_five(void) { turn(5); }
static void turn_nine(void) { turn(9); }

/* --- a consumer that has seen nothing for four laps and more: a slot as it was then has the lap of now */

static void late_pop(void) { (void)take(1); }
static void late_steal(void) { (void)take_batch(1, 2); }

/* Two items are always there, and after four laps some that were there before. */
static void turn_full(void)
{
	uint32_t i;

	for (i = 3; i < 13; i++) {
		(void)take(0);
		(void)give(i);
	}
}

/* From an empty ring. Leaves the head at another slot than the one where it began. */
static void turn_full_take(void)
{
	(void)give(1);
	(void)give(2);
	turn_full();
	(void)take(0);
}

static void late_push(void) { (void)give(20); }

/* Ends where the slot that a producer found free at first has its lap again, and is filled. */
static void turn_to_lap(void)
{
	uint32_t i;

	for (i = 3; i < 11; i++) {
		(void)take(0);
		(void)give(i);
	}
}

/* --- a tail behind the head: the full test must not take the negative distance for a large one */

static void push_must_1(void) { client_assert(give(1)); }

/* --- the owner and a thief that takes batches */

static void pop_steal_check(void)
{
	client_assert(orders[0] + orders[1] >= 2); /* two were there from the start, and two places to take them */
	all_once();
	client_assert(ascending(1));
}

static void push_two_maybe(void)
{
	(void)give(2);
	(void)give(3);
}

static void steal_twice_1(void)
{
	(void)take_batch(1, 2);
	(void)take_batch(1, 2);
}

/*
 * --- two items were there, two consumers each take one, whatever a producer puts into the freed slot: neither may get
 * "empty". The second one learns from the new lap in the slot that the head has moved (ring.6: consumer's CAS of the
 * head -> producer's load of it -> slot -> consumer).
 */
static void pop_must_0(void) { client_assert(take(0)); }
static void pop_must_1(void) { client_assert(take(1)); }
static void steal_must_0(void) { client_assert(take_batch(0, 1) == 1); }

static void two_taken_check(void)
{
	client_assert(orders[0] + orders[1] == 2);
	all_once();
}

/* --- the same edges as a plain field sees them: what came before a pop is over when its slot is used again */

static void look_pop(void)
{
	client_assert(before_pop == 0);
	(void)take(0);
}

static void look_steal(void)
{
	client_assert(before_pop == 0);
	(void)take_batch(0, 1);
}

static void look_pop_two(void)
{
	client_assert(before_pop == 0);
	(void)take(0);
	(void)take(0);
}

static void push_3_write(void)
{
	if (give(3))
		before_pop = 1;
}

static void push_4_write(void)
{
	if (give(4))
		before_pop = 1;
}

/* --- the sleeper's scan: it sees the item or the producer sees the sleeper (ring.1) */

static void push_wake(uint32_t item, unsigned producer)
{
	client_assert(give(item));
	/* mo client.1 <> client.1@model/clients/ring.c: published, then the look for sleepers. */
	woken[producer] = sh_a32_load_sc(&asleep) != 0;
}

static void push_wake_2(void) { push_wake(2, 0); }
static void push_wake_3(void) { push_wake(3, 1); }

static void sleeper(void)
{
	/* mo client.1 <> client.1@model/clients/ring.c: asleep, then the scan. */
	sh_a32_store_sc(&asleep, 1);
	slept = !sh_ring_has(&ring);
}

static void sleep_check(void)
{
	if (slept && !woken[0] && !woken[1])
		client_assert(!sh_ring_peek(&ring));
	all_once();
}

/* --- a ring that is never empty: the scan says so, also while head and slots move under it */

static void pop_push(void)
{
	client_assert(take(0));
	client_assert(give(3));
}

static void has_must(void) { client_assert(sh_ring_has(&ring)); }

/* --- empty: what the scan has seen, the only consumer finds; what a producer has published, its own scan sees */

static void seen_pop(void)
{
	if (sh_ring_has(&ring))
		client_assert(take(0));
}

static void push_seen(void)
{
	client_assert(give(3));
	client_assert(sh_ring_has(&ring));
}

static void push_5_maybe(void) { (void)give(5); }
static void push_2_maybe(void) { (void)give(2); }

static void push_seen_maybe(void)
{
	if (give(4))
		client_assert(sh_ring_has(&ring));
}

/* --- the walk: four slots, the hint is up to three pushes behind */

/* The hint is at 0; the next position is the third, or the second. */
static void walk_0_2(void) { ring_of(4, 0, 2); }
static void walk_0_1(void) { ring_of(4, 0, 1); }
/* The hint is at 0, one slot is left; or at 4, none is left, and the first free place would be two further on. */
static void walk_0_3(void) { ring_of(4, 0, 3); }
static void walk_2_4(void) { ring_of(4, 2, 4); }
/* The hint is at 0 and is moved by the next push but one, which is in this lap's last slot. */
static void walk_2_0(void) { ring_of(4, 2, 0); }
static void walk_2_1(void) { ring_of(4, 2, 1); }

static void push_must_4(void) { client_assert(give(4)); }
static void push_must_5(void) { client_assert(give(5)); }
static void push_5(void) { (void)give(5); }
static void push_6(void) { (void)give(6); }
static void push_must_6(void) { client_assert(give(6)); }

/* One of two got the last slot, the other got "full", and rightly: no thread pops. */
static void walk_full_check(void)
{
	client_assert(pushed[5] != pushed[6]);
	all_once();
	client_assert(order[2][0] == 1 && order[2][3] >= 5);
}

static void push_5_write(void)
{
	if (give(5))
		before_pop = 1;
}

static void push_6_write(void)
{
	if (give(6))
		before_pop = 1;
}

/* A push, then word to another producer outside the ring; his push comes behind it. */
static void push_tell(void)
{
	client_assert(give(4));
	sh_a32_store_rel(&notified, 1); /* mo client.2 -> client.2@model/clients/ring.c: after our push. */
}

static void notified_push(void)
{
	if (sh_a32_load_acq(&notified) == 0) /* mo client.2 <- client.2@model/clients/ring.c: then ours. */
		return;
	client_assert(give(5));
}

static void notified_check(void)
{
	uint32_t i, at[2] = { 0, 0 };

	all_once();
	for (i = 0; i < orders[0] + orders[2]; i++) {
		uint32_t item = i < orders[0] ? order[0][i] : order[2][i - orders[0]];

		if (item == 4 || item == 5)
			at[item - 4] = i + 1;
	}
	client_assert(at[0] != 0 && (!pushed[5] || at[0] < at[1]));
}

static void push_six(void)
{
	client_assert(give(6));
	client_assert(give(7));
}

/* A lap and more: the slot that another producer is about to fill is filled, emptied and filled for the next lap. */
static void turn_four(void)
{
	uint32_t i;

	for (i = 2; i < 7; i++) {
		(void)give(i);
		if (i < 6)
			(void)take(0);
	}
}

/* A push that was never refused a slot is there; the first item that was pushed comes first. */
static void push_seen_6(void)
{
	client_assert(give(6));
	client_assert(sh_ring_has(&ring));
	client_assert(sh_ring_count(&ring) >= 1);
}

static void steal_three_1(void) { (void)take_batch(1, 3); }

/* Full but for one, and the only consumer takes one: two more fit, whichever hint a producer reads. */
static void take_then_push(void)
{
	client_assert(take(0));
	client_assert(give(5));
}

/* --- several in one call: a prefix of them, in their order, between which others' may come */

static void many_2_2(void) { (void)give_many(2, 2); }
static void many_6_3(void) { (void)give_many(6, 3); }
static void many_must_6_2(void) { client_assert(give_many(6, 2) == 2); }
static void many_must_9_2(void) { client_assert(give_many(9, 2) == 2); }

static void many_check(void)
{
	uint32_t last = 0, i;

	all_once();
	for (i = 0; i < orders[0] + orders[2]; i++) {
		uint32_t item = i < orders[0] ? order[0][i] : order[2][i - orders[0]];

		if (item < 6 || item > 8)
			continue;
		client_assert(item > last);
		last = item;
	}
	client_assert((pushed[6] || !pushed[7]) && (pushed[7] || !pushed[8]));
}

static void many_6_write(void)
{
	if (give_many(6, 2) == 2)
		before_pop = 1;
}

/* As take_then_push and push_must_6. */
static void take_then_many(void)
{
	client_assert(take(0));
	client_assert(give_many(5, 1) == 1);
}

static void many_must_6(void) { client_assert(give_many(6, 1) == 1); }

static void many_seen(void)
{
	client_assert(give_many(6, 2) == 2);
	client_assert(sh_ring_has(&ring));
}

#define CLIENT(n, s, set, chk) .name = "ring." n, .shows = s, .setup = set, .check = chk

const struct client clients[] = {
	{ .name = "ring.push_push", .shows = "one slot left: one of two producers gets it", .setup = setup_1_1, .thread = { push_2, push_3 }, .check = push_push_check },
	{ .name = "ring.push_push_wrap", .shows = "two slots left, one in the next lap: both get one", .setup = setup_3_0, .thread = { push_must_2, push_must_3 }, .check = all_once },
	{ .name = "ring.push_pop", .shows = "published descriptors, FIFO, no false full or empty", .setup = setup_1_1, .thread = { push_two, pop_two }, .check = fifo_check },
	{ .name = "ring.push_push_pop", .shows = "two producers, one consumer, empty at first", .setup = setup_1_0, .thread = { push_2, push_3, pop_two_maybe }, .check = all_once },
	{ .name = "ring.stale", .shows = "a producer that slept for a lap overwrites nothing", .setup = setup_1_0, .thread = { push_9th, turn_a_lap }, .check = stale_check, .bound = 4, .bound_long = 6 },
	{ CLIENT("stale_five", "the same after five laps", setup_1_0, all_once),
	  .thread = { push_9th, turn_five }, .bound = 2, .bound_long = 3 },
	{ CLIENT("stale_nine", "the same after nine", setup_1_0, all_once),
	  .thread = { push_9th, turn_nine }, .bound = 2, .bound_long = 3 },
	{ CLIENT("stale_four", "the same after four laps: its slot has its own lap again", setup_1_0, all_once),
	  .thread = { push_9th, turn_four_laps }, .bound = 2, .bound_long = 3 },
	{ CLIENT("late_pop", "a consumer that slept for laps takes no item of a lap before", setup_1_2, all_once),
	  .thread = { late_pop, turn_full }, .bound = 2, .bound_long = 3 },
	{ CLIENT("late_steal", "the same with a thief", setup_1_2, all_once),
	  .thread = { late_steal, turn_full }, .bound = 2, .bound_long = 3 },
	{ CLIENT("late_pop_again", "the same where its second look at the head finds another slot", setup_1_0, all_once),
	  .thread = { late_pop, turn_full_take }, .bound = 2, .bound_long = 3 },
	{ CLIENT("late_steal_again", "the same with a thief", setup_1_0, all_once),
	  .thread = { late_steal, turn_full_take }, .bound = 2, .bound_long = 3 },
	{ CLIENT("late_push", "a producer that slept for laps beside a ring that is always full", setup_1_2, all_once),
	  .thread = { late_push, turn_full }, .bound = 2, .bound_long = 3 },
	{ CLIENT("late_room", "the same where its slot has its lap again at the end", setup_1_2, all_once),
	  .thread = { late_push, turn_to_lap }, .bound = 2, .bound_long = 3 },
	{ CLIENT("lap_push_push", "two producers where the lap is 0 and 1 again: both get a place", setup_7_0, all_once),
	  .thread = { push_must_2, push_must_3 } },
	{ CLIENT("lap_push_pop", "one producer and one consumer where the lap becomes 0", setup_5_1, fifo_check),
	  .thread = { push_two, pop_two } },
	{ CLIENT("lap_push_push_pop", "two producers and a consumer there, empty at first", setup_5_0, all_once),
	  .thread = { push_2, push_3, pop_two_maybe } },
	{ CLIENT("lap_pop_steal", "owner, batch thief and producer there", setup_5_2, pop_steal_check),
	  .thread = { pop_0, steal_two_1, push_3 } },
	{ CLIENT("lap_full_pop", "two items, two pops there: neither says empty", setup_6_2, two_taken_check),
	  .thread = { pop_must_0, pop_must_1, push_3 } },
	{ CLIENT("lap_sleep_pop", "the sleeper sees the item or the producer the sleeper, where the lap is 1 again", setup_7_1, sleep_check),
	  .thread = { push_wake_2, sleeper, pop_0 } },
	{ CLIENT("lap_has", "a ring that is never empty never looks empty there", setup_5_2, all_once),
	  .thread = { pop_push, has_must } },
	{ .name = "ring.stale_full", .shows = "a tail behind the head is not taken for a full ring", .setup = setup_2_0, .thread = { push_must_1, push_must_2, pop_0 }, .check = all_once },
	{ .name = "ring.pop_steal", .shows = "owner and batch thief never share an item, while a producer refills", .setup = setup_1_2, .thread = { pop_0, steal_two_1, push_3 }, .check = pop_steal_check },
	{ .name = "ring.push_steal", .shows = "stolen batches are published and in order", .setup = setup_1_0, .thread = { push_two_maybe, steal_twice_1 }, .check = fifo_check },
	{ .name = "ring.crowd", .shows = "two producers, the owner and a batch thief", .setup = setup_1_1, .thread = { push_2, push_3, pop_0, steal_two_1 }, .check = all_once, .bound = 2, .bound_long = 3 },
	{ .name = "ring.full_pop", .shows = "two items, two pops: neither says empty while a producer reuses the slot", .setup = setup_0_2, .thread = { pop_must_0, pop_must_1, push_3 }, .check = two_taken_check },
	{ .name = "ring.full_steal", .shows = "the same with a thief", .setup = setup_0_2, .thread = { steal_must_0, pop_must_1, push_3 }, .check = two_taken_check },
	{ .name = "ring.slot_pop", .shows = "a push into a full ring comes after the pop that freed a slot", .setup = setup_0_2, .thread = { look_pop, push_3_write }, .check = all_once },
	{ .name = "ring.slot_steal", .shows = "the same after a steal", .setup = setup_0_2, .thread = { look_steal, push_3_write }, .check = all_once },
	{ .name = "ring.slot_handed", .shows = "the same when another producer saw the free slot first", .setup = setup_0_2, .thread = { look_pop_two, push_3, push_4_write }, .check = all_once },
	{ .name = "ring.sleep", .shows = "the sleeper sees the item or the producer the sleeper", .setup = setup_1_0, .thread = { push_wake_2, sleeper }, .check = sleep_check },
	{ .name = "ring.sleep_pop", .shows = "the same while a consumer moves the head", .setup = setup_1_1, .thread = { push_wake_2, sleeper, pop_0 }, .check = sleep_check },
	{ .name = "ring.sleep_two", .shows = "the same with two producers that help each other", .setup = setup_1_0, .thread = { push_wake_2, push_wake_3, sleeper }, .check = sleep_check },
	{ .name = "ring.sleep_crowd", .shows = "the same with two producers and a thief", .setup = setup_1_0, .thread = { push_wake_2, push_wake_3, sleeper, pop_0 }, .check = sleep_check },
	{ .name = "ring.has", .shows = "a ring that is never empty never looks empty", .setup = setup_1_2, .thread = { pop_push, has_must }, .check = all_once },
	{ .name = "ring.seen_pop", .shows = "an item that the scan saw is found by the pop", .setup = setup_1_0, .thread = { push_2, seen_pop }, .check = all_once },
	{ .name = "ring.own_push_helped", .shows = "the same when a third producer moved the tail on", .setup = setup_1_0, .thread = { push_5_maybe, push_2_maybe, push_seen_maybe }, .check = all_once, .bound = 3, .bound_long = 5 },
	{ .name = "ring.own_push", .shows = "a finished push is not hidden behind an unfinished one", .setup = setup_1_0, .thread = { push_2, push_seen }, .check = all_once },
	{ .name = "ring.walk_push_push", .shows = "two producers behind an old hint, the second one moves it: both get a place", .setup = walk_0_2, .thread = { push_must_4, push_must_5 }, .check = all_once },
	{ .name = "ring.walk_two_two", .shows = "the same with two pushes of one of them, and a consumer", .setup = walk_0_1, .thread = { push_must_4, push_six, pop_0 }, .check = all_once, .bound = 3, .bound_long = 5 },
	{ .name = "ring.walk_full", .shows = "one slot left behind an old hint: one of two producers gets it", .setup = walk_0_3, .thread = { push_5, push_6 }, .check = walk_full_check },
	{ .name = "ring.walk_slot", .shows = "a free slot behind an old hint: who takes and pushes is not refused beside another one", .setup = walk_0_3, .thread = { take_then_push, push_must_6 }, .check = all_once },
	{ .name = "ring.walk_slot_pop", .shows = "a push behind an old hint into a full ring comes after the pop that freed a slot", .setup = walk_2_4, .thread = { look_pop, push_5_write }, .check = all_once },
	{ .name = "ring.walk_slot_steal", .shows = "the same after a steal", .setup = walk_2_4, .thread = { look_steal, push_5_write }, .check = all_once },
	{ .name = "ring.walk_slot_handed", .shows = "the same when another producer saw the free slot first", .setup = walk_2_4, .thread = { look_pop_two, push_5, push_6_write }, .check = all_once, .bound = 3, .bound_long = 5 },
	{ .name = "ring.walk_notified", .shows = "a producer that was notified of a push outside the ring comes behind it, old hint or not", .setup = walk_0_1, .thread = { push_tell, notified_push, pop_two_maybe }, .check = notified_check, .bound = 4, .bound_long = 6 },
	{ .name = "ring.walk_notified_moved", .shows = "the same where the first of them moves the hint into the next lap", .setup = walk_2_1, .thread = { push_tell, notified_push, pop_two_maybe }, .check = notified_check, .bound = 4, .bound_long = 6 },
	{ .name = "ring.walk_overtaken", .shows = "a producer whose place serves the next lap meanwhile finds another one", .setup = walk_2_0, .thread = { push_must_1, turn_four }, .check = all_once, .bound = 3, .bound_long = 5 },
	{ .name = "ring.walk_steal", .shows = "owner, thief and a producer behind an old hint", .setup = walk_0_2, .thread = { pop_0, steal_three_1, push_six }, .check = all_once, .bound = 4, .bound_long = 6 },
	{ .name = "ring.walk_own_push", .shows = "a push behind an old hint is seen by its own scan beside others", .setup = walk_0_1, .thread = { push_must_4, push_must_5, push_seen_6 }, .check = all_once, .bound = 4, .bound_long = 6 },
	{ .name = "ring.many_full", .shows = "of several that do not all fit the first ones are in, in order", .setup = setup_1_1, .thread = { many_2_2, pop_two_maybe }, .check = fifo_check },
	{ .name = "ring.many_refused", .shows = "the same where the first one finds no slot and a later one would", .setup = walk_2_4, .thread = { many_6_3, pop_two_maybe }, .check = many_check },
	{ .name = "ring.many_push", .shows = "several behind an old hint, another producer and a consumer", .setup = walk_0_1, .thread = { many_6_3, push_5, pop_two_maybe }, .check = many_check, .bound = 3, .bound_long = 5 },
	{ .name = "ring.many_many", .shows = "two producers with two each: all have a place, one of them moves the hint", .setup = walk_2_0, .thread = { many_must_6_2, many_must_9_2 }, .check = many_check },
	{ .name = "ring.many_stale", .shows = "one that slept for a lap between its items overwrites nothing", .setup = setup_1_0, .thread = { many_6_3, turn_a_lap }, .check = many_check, .bound = 3, .bound_long = 5 },
	{ .name = "ring.many_walk_slot", .shows = "a free slot behind an old hint: who takes and pushes is not refused beside another one", .setup = walk_0_3, .thread = { take_then_many, many_must_6 }, .check = all_once },
	{ .name = "ring.many_slot", .shows = "several into a full ring come after the pops that freed slots", .setup = walk_2_4, .thread = { look_pop_two, many_6_write }, .check = all_once },
	{ .name = "ring.many_seen", .shows = "several are seen by the own scan beside another producer", .setup = walk_0_1, .thread = { many_seen, push_must_4 }, .check = all_once },
	{ 0 },
};
