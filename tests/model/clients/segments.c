/*
 * model/clients/segments.c - clients of lockfree/backlog.[ch] alone: producers and consumers across a segment's end,
 * the race to install a segment, a consumer that stops before it gives one back, producers that come late to a segment
 * that serves other positions, places of the directory that are used again, a store without segments, and a sleeper's
 * scan. A segment has two items in the explorer. Run by the explorer and by native.c.
 *
 * As in ring.c, what an item names is plain memory, and each item's words are different from all others'.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "lockfree/backlog.h"

#include "client.h"

#define S ((uint64_t)SH_SEG_ITEMS)
#define PLACES 4u
#define ITEMS 24u
#define FILLER (ITEMS - 1)

static struct sh_mem mem;
static struct sh_segments store;
static struct sh_backlog backlog;
static sh_a64 dir[PLACES];
static uint32_t data[ITEMS];     /* plain: what the items name; 0 = nobody's */
static bool pushed[ITEMS];       /* plain: written by the item's producer */
static uint32_t taken[ITEMS];    /* plain: written by the item's taker */
static uint32_t order[3][ITEMS]; /* plain: what consumer i took, in its order */
static uint32_t orders[3];
static sh_a32 asleep;
static sh_a32 notified; /* a producer tells another one that its push is over */
static bool slept;
static bool woken[2];
static uint32_t before_pop; /* plain: read before a pop, written after the push that needed its segment */

static struct sh_item item_of(uint32_t i)
{
	struct sh_item item = { i, i * 100u };

	return item;
}

/* Items first..first+n-1 in one call. */
static uint32_t give_many(uint32_t first, uint32_t n)
{
	struct sh_item items[4];
	uint32_t got, i;

	for (i = 0; i < n; i++) {
		items[i] = item_of(first + i);
		data[first + i] = (first + i) * 10u;
	}
	got = sh_backlog_push_many(&backlog, items, n);
	client_assert(got <= n);
	for (i = 0; i < got; i++)
		pushed[first + i] = true;
	return got;
}

static bool give(uint32_t item)
{
	return give_many(item, 1) == 1;
}

static void took(unsigned consumer, struct sh_item got)
{
	uint32_t item = (uint32_t)got.meta;

	client_assert(got.meta != 0 && got.meta < FILLER && got.arg == item_of(item).arg);
	client_assert(data[item] == item * 10u); /* else: never published, or somebody else's */
	data[item] = 0;
	taken[item]++;
	order[consumer][orders[consumer]++] = item;
}

static uint32_t take_batch(unsigned consumer, uint32_t n)
{
	struct sh_item items[4];
	uint32_t got = sh_backlog_steal(&backlog, items, n);
	uint32_t i;

	client_assert(got <= n);
	for (i = 0; i < got; i++)
		took(consumer, items[i]);
	return got;
}

static bool take(unsigned consumer)
{
	return take_batch(consumer, 1) == 1;
}

/* An empty backlog of `segments` whose next position is `pos` (1 or later), then items 1..prefilled. */
static void backlog_at(uint32_t segments, uint64_t pos, uint32_t prefilled)
{
	struct sh_item filler = item_of(FILLER), out;
	uint32_t i;

	client_assert(segments < PLACES && sh_segments_init(&store, &mem, segments) == 0);
	for (i = 0; i < PLACES; i++)
		sh_a64_init(&dir[i], 0);
	sh_backlog_init(&backlog, &store, dir, PLACES);
	while (pos-- > 1) {
		client_assert(sh_backlog_push_many(&backlog, &filler, 1) == 1);
		client_assert(sh_backlog_steal(&backlog, &out, 1) == 1 && out.meta == FILLER);
	}
	memset(data, 0, sizeof(data));
	memset(pushed, 0, sizeof(pushed));
	memset(taken, 0, sizeof(taken));
	memset(orders, 0, sizeof(orders));
	for (i = 1; i <= prefilled; i++)
		client_assert(give(i));
	sh_a32_init(&asleep, 0);
	sh_a32_init(&notified, 0);
	slept = woken[0] = woken[1] = false;
	before_pop = 0;
}

static void teardown(void)
{
	sh_segments_fini(&store);
}

/* No segment is lost: as many items fit into an empty backlog as its store has. */
static void no_segment_lost(void)
{
	struct sh_item filler = item_of(FILLER);
	uint64_t head = sh_a64_load_rlx(&backlog.head), n = 0;
	uint64_t fit = head % S == 0 ? store.count * S : (store.count - 1) * S + (S - head % S);

	while (n <= fit && sh_backlog_push_many(&backlog, &filler, 1) == 1)
		n++;
	client_assert(n == fit);
}

/* Takes the rest, then: each pushed item was taken once, no other ever. */
static void all_once(void)
{
	uint32_t left = 0, i;

	while (left <= ITEMS && take(2))
		left++;
	client_assert(left <= ITEMS);
	for (i = 1; i < ITEMS; i++)
		client_assert(taken[i] == (pushed[i] ? 1u : 0u));
	client_assert(!sh_backlog_has(&backlog) && sh_backlog_count(&backlog) == 0);
	no_segment_lost();
}

static bool ascending(unsigned consumer)
{
	uint32_t i;

	for (i = 1; i < orders[consumer]; i++)
		if (order[consumer][i] <= order[consumer][i - 1])
			return false;
	return true;
}

static void fifo_check(void)
{
	all_once();
	client_assert(ascending(0) && ascending(1));
}

/* The last position of a segment, or the first one of the next, which is not there yet. */
static void last_0(void) { backlog_at(3, 2 * S - 1, 0); }
static void last_1(void) { backlog_at(3, 2 * S - 1, 1); }
static void last_2(void) { backlog_at(3, 2 * S - 1, 2); }
static void first_0(void) { backlog_at(3, 2 * S, 0); }
static void first_1(void) { backlog_at(3, 2 * S, 1); }
static void first_2(void) { backlog_at(3, 2 * S, 2); }
/* The same where the directory's places have been used before. */
static void again_last_0(void) { backlog_at(3, (PLACES + 2) * S - 1, 0); }
static void again_first_0(void) { backlog_at(3, PLACES * S, 0); }

static void push_2(void) { (void)give(2); }
static void push_must_2(void) { client_assert(give(2)); }
static void push_must_3(void) { client_assert(give(3)); }
static void pop_0(void) { (void)take(0); }
static void pop_must_0(void) { client_assert(take(0)); }
static void pop_must_1(void) { client_assert(take(1)); }
static void steal_two_1(void) { (void)take_batch(1, 2); }

static void push_two(void)
{
	client_assert(give(2));
	client_assert(give(3));
}

static void push_two_more(void)
{
	client_assert(give(4));
	client_assert(give(5));
}

static void pop_two(void)
{
	(void)take(0);
	(void)take(0);
}

static void pop_two_1(void)
{
	(void)take(1);
	(void)take(1);
}

/* --- several in one call, across the end */

static void many_2_3(void) { (void)give_many(2, 3); } /* fewer while the other one has a segment in hand */
static void many_5_2(void) { (void)give_many(5, 2); }

static void steal_three_twice(void)
{
	(void)take_batch(0, 3);
	(void)take_batch(0, 3);
}

/* Each producer's items in their order, whichever consumers took them: one consumer took all that were taken before. */
static void many_check(void)
{
	uint32_t last[2] = { 0, 0 }, i;

	all_once();
	for (i = 0; i < orders[0] + orders[2]; i++) {
		uint32_t item = i < orders[0] ? order[0][i] : order[2][i - orders[0]];
		uint32_t who = item >= 5;

		client_assert(item > last[who]);
		last[who] = item;
	}
}

/* --- two items were there: two consumers each take one, in whichever segment */

static void two_taken_check(void)
{
	client_assert(orders[0] + orders[1] == 2);
	all_once();
}

/* --- one segment in the store, its last item in it: a push is refused until the segment was given back */

static void one_full(void) { backlog_at(1, 2 * S - 1, 1); }

static void refused_check(void)
{
	client_assert(orders[0] == 1); /* the item was there */
	all_once();
}

static void pop_then_push(void)
{
	client_assert(take(0));
	(void)give(3); /* this thread gave the segment back, but the other one may have it, not installed yet */
}

static void one_two_check(void)
{
	client_assert(pushed[2] || pushed[3]);
	all_once();
}

/* What came before a pop is over when its segment is used again. */
static void look_pop(void)
{
	client_assert(before_pop == 0);
	(void)take(0);
}

static void push_write(void)
{
	if (give(3))
		before_pop = 1;
}

/* The same where another consumer takes the segment's last item. */
static void one_full_two(void) { backlog_at(1, 2 * S - 2, 2); }

static void pop_other(void) { (void)take(1); }

/* --- a round of the directory and more beside a thread that is stopped somewhere */

/* n items, one at a time. */
static void turn(uint32_t n)
{
	uint32_t i;

	for (i = 2; i < 2 + n; i++) {
		client_assert(give(i));
		(void)take(1);
	}
}

#ifdef MODEL_DO_CAS_PAIR
#define ROUND ((uint32_t)((PLACES + 1) * S + 1))
#else
#define ROUND 11u /* native segments are longer than the table of items */
#endif

static void turn_round(void) { turn(ROUND); }
static void turn_short(void) { turn((uint32_t)(S < 8 ? 2 * S + 1 : 5)); }
static void push_must_20(void) { client_assert(give(20)); }

/* The late one's segment is in the hands of a producer who comes second with it. */
static void give_take_give(void)
{
	client_assert(give(2));
	(void)take(0);
	(void)give(3);
}

static void push_must_4(void) { client_assert(give(4)); }

static void pop_late(void) { (void)take(0); }

/* A consumer stopped between the head and the place: done here by hand, until the place is needed again. */
static void stopped_setup(void)
{
	struct sh_item filler = item_of(FILLER), out;
	uint64_t i, h = 2 * S - 1;

	backlog_at(2, 2 * S - 1, 1);
	data[1] = 0;
	pushed[1] = false; /* by the stopped one */
	client_assert(sh_a64_cas_acq_rel(&backlog.head, &h, 2 * S));
	for (i = 0; i < (PLACES - 1) * S; i++) {
		client_assert(sh_backlog_push_many(&backlog, &filler, 1) == 1);
		client_assert(sh_backlog_steal(&backlog, &out, 1) == 1);
	}
	client_assert((sh_a64_load_rlx(&dir[1]) & 0xffffffu) != 0); /* it still names the stopped one's segment */
}

/* --- the store's stack: one thread is about to take the newest, another takes two and gives the first one back */

static void aba_setup(void)
{
	struct sh_item filler = item_of(FILLER), out;
	uint64_t i;

	backlog_at(3, 2 * S, 0);
	for (i = 0; i < 3 * S; i++)
		client_assert(sh_backlog_push_many(&backlog, &filler, 1) == 1);
	for (i = 0; i < 3 * S; i++)
		client_assert(sh_backlog_steal(&backlog, &out, 1) == 1);
}

static void take_two_give_one(void)
{
	client_assert(give_many(2, 3) == 3);
	client_assert(take_batch(1, 2) == 2);
	(void)give_many(5, 3);
}

/* --- a sleeper's scan: it sees the item or the producer sees the sleeper */

static void push_wake(uint32_t item, unsigned producer)
{
	client_assert(give(item));
	/* mo client.1 <> client.1@model/clients/segments.c: published, then the look for sleepers. */
	woken[producer] |= sh_a32_load_sc(&asleep) != 0;
}

static void push_wake_2(void) { push_wake(2, 0); }
static void push_wake_3(void) { push_wake(3, 1); }

static void sleeper(void)
{
	/* mo client.1 <> client.1@model/clients/segments.c: asleep, then the scan. */
	sh_a32_store_sc(&asleep, 1);
	slept = !sh_backlog_has(&backlog);
}

static void sleep_check(void)
{
	if (slept && !woken[0] && !woken[1])
		client_assert(!sh_backlog_has(&backlog));
	all_once();
}

/* A consumer empties the segment that an old head names, and fills it for other positions. */
static void recycle_wake(void)
{
	client_assert(take(0));
	push_wake(3, 1);
	push_wake(4, 1);
}

/* --- never empty: the scan says so, whatever moves under it */

static void pop_push(void)
{
	client_assert(take(0));
	client_assert(give(3));
}

static void has_must(void) { client_assert(sh_backlog_has(&backlog)); }

static void seen_pop(void)
{
	if (sh_backlog_has(&backlog))
		client_assert(take(0));
}

static void push_seen(void)
{
	client_assert(give(3));
	client_assert(sh_backlog_has(&backlog));
}

/* --- a push, then word to another producer outside the backlog; his push comes behind it */

static void push_tell(void)
{
	client_assert(give(4));
	sh_a32_store_rel(&notified, 1); /* mo client.2 -> client.2@model/clients/segments.c: after our push. */
}

static void notified_push(void)
{
	if (sh_a32_load_acq(&notified) == 0) /* mo client.2 <- client.2@model/clients/segments.c: then ours. */
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

#define CLIENT(n, s, set, chk) .name = "segments." n, .shows = s, .setup = set, .check = chk, .teardown = teardown

const struct client clients[] = {
	{ CLIENT("push_push", "two producers at a segment's end: both get a place, one of them in a new segment", last_0, all_once),
	  .thread = { push_must_2, push_must_3 } },
	{ CLIENT("install", "two producers install the same segment: one wins, the other one's is not lost", first_0, all_once),
	  .thread = { push_must_2, push_must_3 } },
	{ CLIENT("install_again", "the same in a place of the directory that was used before", again_first_0, all_once),
	  .thread = { push_must_2, push_must_3 } },
	{ CLIENT("push_pop", "published items across a segment's end, in order", last_1, fifo_check), .thread = { push_two, pop_two } },
	{ CLIENT("push_push_pop", "two producers and a consumer there, empty at first", last_0, all_once),
	  .thread = { push_must_2, push_must_3, pop_two }, .bound = 3, .bound_long = 5 },
	{ CLIENT("two_two", "two producers and two consumers across the end", last_1, all_once),
	  .thread = { push_must_2, push_two_more, pop_two, pop_two_1 }, .bound = 2, .bound_long = 3 },
	{ CLIENT("two_two_again", "the same where the directory's places were used before", again_last_0, all_once),
	  .thread = { push_must_2, push_two_more, pop_two, pop_two_1 }, .bound = 2, .bound_long = 3 },
	{ CLIENT("taken", "two items in two segments, two pops: neither says empty", last_2, two_taken_check),
	  .thread = { pop_must_0, pop_must_1, push_must_3 }, .bound = 4, .bound_long = 6 },
	{ CLIENT("taken_one", "the same in one segment, which one of them gives back", first_2, two_taken_check),
	  .thread = { pop_must_0, pop_must_1, push_must_3 }, .bound = 4, .bound_long = 6 },
	{ CLIENT("many", "several in one call of two producers across the end, taken in batches", last_0, many_check),
	  .thread = { many_2_3, many_5_2, steal_three_twice }, .bound = 2, .bound_long = 3 },
	{ CLIENT("steal", "a batch ends at the segment's end; another consumer and a producer", first_2, all_once),
	  .thread = { steal_two_1, pop_0, push_two_more }, .bound = 3, .bound_long = 4 },
	{ CLIENT("empty_store", "no segment is left: a push is refused, or comes after the segment was given back", one_full, refused_check),
	  .thread = { push_2, pop_0 } },
	{ CLIENT("one_segment", "two producers, one segment: not both are refused after it was given back", one_full, one_two_check),
	  .thread = { push_2, pop_then_push } },
	{ CLIENT("room_pop", "a push that needed a segment comes after the pop that gave it back", one_full, all_once),
	  .thread = { look_pop, push_write } },
	{ CLIENT("room_two", "the same where the pop before the last one was another's", one_full_two, all_once),
	  .thread = { look_pop, pop_other, push_write }, .bound = 4, .bound_long = 6 },
	{ CLIENT("late_push", "a producer that sleeps while its segment serves other positions overwrites nothing", last_0, all_once),
	  .thread = { push_must_20, turn_short }, .bound = 3, .bound_long = 4 },
	{ CLIENT("late_push_round", "the same while the directory goes round", last_0, all_once),
	  .thread = { push_must_20, turn_round }, .bound = 2, .bound_long = 3 },
	{ CLIENT("late_lost", "the same where its segment is marked for other positions and not installed", last_0, all_once),
	  .thread = { push_must_20, give_take_give, push_must_4 }, .bound = 2, .bound_long = 3 },
	{ CLIENT("late_pop", "a consumer that sleeps meanwhile, or stops before it gives its segment back", last_1, all_once),
	  .thread = { pop_late, turn_short }, .bound = 3, .bound_long = 4 },
	{ CLIENT("late_pop_round", "the same while the directory goes round", last_1, all_once),
	  .thread = { pop_late, turn_round }, .bound = 2, .bound_long = 3 },
	{ CLIENT("stopped", "a consumer stopped before it gave its segment back: producers that need the place do", stopped_setup, all_once),
	  .thread = { push_must_2, push_must_3 }, .bound = 4, .bound_long = 6 },
	{ CLIENT("store_aba", "two threads take segments, one gives one back: each has one owner", aba_setup, all_once),
	  .thread = { push_must_20, take_two_give_one }, .bound = 3, .bound_long = 4 },
	{ CLIENT("sleep", "the sleeper sees the item or the producer the sleeper, in a new segment", first_0, sleep_check),
	  .thread = { push_wake_2, sleeper } },
	{ CLIENT("sleep_old", "the same in a segment that is there", last_0, sleep_check), .thread = { push_wake_2, sleeper } },
	{ CLIENT("sleep_pop", "the same while a consumer gives the segment back", last_1, sleep_check),
	  .thread = { push_wake_2, sleeper, pop_0 } },
	{ CLIENT("sleep_two", "the same with two producers", last_0, sleep_check), .thread = { push_wake_2, push_wake_3, sleeper },
	  .bound = 4, .bound_long = 6 },
	{ CLIENT("sleep_recycled", "the same where the segment of an old head serves other positions", last_1, sleep_check),
	  .thread = { push_wake_2, recycle_wake, sleeper }, .bound = 3, .bound_long = 4 },
	{ CLIENT("has", "a backlog that is never empty never looks empty", last_2, all_once), .thread = { pop_push, has_must } },
	{ CLIENT("seen_pop", "an item that the scan saw is found by the pop", first_0, all_once), .thread = { push_2, seen_pop } },
	{ CLIENT("own_push", "a finished push is not hidden behind an unfinished one", last_0, all_once),
	  .thread = { push_2, push_seen } },
	{ CLIENT("notified", "who was notified of a push outside the backlog comes behind it", first_1, notified_check),
	  .thread = { push_tell, notified_push, pop_two }, .bound = 4, .bound_long = 6 },
	{ 0 },
};
