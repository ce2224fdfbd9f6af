/*
 * lockfree/ring: full and empty at every capacity and over many laps, prefixes for thieves, and under threads: every
 * item comes out once and whole, and the items of one producer come out in the order in which it pushed them.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include "base/inject.h"
#include "base/rng.h"
#include "item_util.h"
#include "lockfree/ring.h"

#define CAPACITY_TOP 8u
#define SLOTS 1024u
#define LAPS (1u << SH_LAP_BITS) /* after so many a slot has the same lap again */
#define THREADS 3u

struct box {
	struct sh_ring ring;
	sh_a128 slots[SLOTS];
};

static void box_init(struct box *b, uint64_t capacity)
{
	memset(b, 0, sizeof(*b));
	assert_true(capacity <= SLOTS);
	sh_ring_init(&b->ring, b->slots, capacity);
}

/* The same, at a position that the ring reached by use: all before is consumed. */
static void box_init_at(struct box *b, uint64_t capacity, uint64_t position)
{
	uint64_t i;

	box_init(b, capacity);
	sh_a64_init(&b->ring.head, position);
	sh_a64_init(&b->ring.tail, position);
	sh_a64_init(&b->ring.head_seen, position);
	for (i = 0; i < capacity; i++) {
		uint64_t lap = (sh_ring_lap(&b->ring.out, position + i) - 1u) & SH_LAP_MASK;

		sh_a64_init(&sh_ring_slot(&b->ring.out, position + i)->lo, lap << SH_LAP_SHIFT | iu_meta(i));
		sh_a64_init(&sh_ring_slot(&b->ring.out, position + i)->hi, i);
	}
}

static bool push(struct box *b, uint64_t value)
{
	return sh_ring_push(&b->ring, iu_item(value));
}

static bool pop(struct box *b, uint64_t *value)
{
	struct sh_item item;

	if (!sh_ring_pop(&b->ring, &item))
		return false;
	*value = iu_value(item);
	return true;
}

static void check_full_empty(uint64_t cap, uint32_t laps)
{
	static struct box b;
	uint64_t got = 0, next = 0;
	uint32_t lap, i;

	box_init(&b, cap);
	assert_false(pop(&b, &got));
	assert_false(sh_ring_has(&b.ring));
	for (lap = 0; lap < laps; lap++) {
		for (i = 0; i < cap; i++) {
			assert_int_equal(sh_ring_count(&b.ring), i);
			assert_true(push(&b, next + i));
			assert_true(sh_ring_peek(&b.ring));
			assert_true(sh_ring_has(&b.ring));
		}
		assert_false(push(&b, 7));
		assert_false(push(&b, 7));
		for (i = 0; i < cap; i++) {
			assert_true(pop(&b, &got));
			assert_int_equal(got, next + i);
		}
		next += cap;
		assert_false(pop(&b, &got));
		assert_false(sh_ring_peek(&b.ring));
		assert_false(sh_ring_has(&b.ring));
	}
	assert_int_equal(sh_ring_head(&b.ring), next);
}

static void test_full_empty(void **state)
{
	uint64_t cap;

	(void)state;
	for (cap = 2; cap <= CAPACITY_TOP; cap *= 2)
		check_full_empty(cap, 4 * LAPS);
	check_full_empty(SLOTS, LAPS + 2);
}

/* One queue kept at every fill level while it turns round. */
static void test_wrap(void **state)
{
	static struct box b;
	uint64_t cap, fill;

	(void)state;
	for (cap = 2; cap <= CAPACITY_TOP; cap *= 2)
		for (fill = 1; fill <= cap; fill++) {
			uint64_t in = 0, out = 0, got = 0;

			box_init(&b, cap);
			while (in < fill)
				assert_true(push(&b, in++));
			for (; out < 2 * LAPS * cap; out++) {
				assert_true(pop(&b, &got));
				assert_int_equal(got, out);
				assert_true(push(&b, in++));
			}
			assert_int_equal(sh_ring_count(&b.ring), fill);
		}
}

static void test_steal_prefix(void **state)
{
	static struct box b;
	struct sh_item items[16];
	uint64_t next = 0, expect = 0, got;
	uint32_t want, fill;

	(void)state;
	box_init(&b, 8);
	assert_int_equal(sh_ring_steal(&b.ring, items, 4), 0);
	for (fill = 0; fill <= 8; fill++)
		for (want = 1; want <= 10; want++) {
			uint32_t n, i;

			for (i = 0; i < fill; i++)
				assert_true(push(&b, next++));
			memset(items, 0xee, sizeof(items));
			n = sh_ring_steal(&b.ring, items, want);
			assert_int_equal(n, want < fill ? want : fill);
			for (i = 0; i < n; i++)
				assert_int_equal(iu_value(items[i]), expect++);
			for (i = n; i < 16; i++)
				assert_true(items[i].meta == UINT64_C(0xeeeeeeeeeeeeeeee) && items[i].arg == items[i].meta);
			while (pop(&b, &got))
				assert_int_equal(got, expect++);
		}
	assert_int_equal(expect, next);
}

/* All bits that are the user's come back, whatever they are; the lap's do not. */
static void test_any_value(void **state)
{
	static const uint64_t halves[] = { 0, 1, UINT64_C(1) << 31, UINT64_C(1) << 58, SH_ITEM_META, SH_ITEM_META - 1 };
	static struct box b;
	uint32_t i, k;

	(void)state;
	box_init(&b, 2);
	for (i = 0; i < 6; i++)
		for (k = 0; k < 6; k++) {
			struct sh_item in = { halves[i], k == 5 ? UINT64_MAX : halves[k] }, out = { 9, 9 };

			assert_true(sh_ring_push(&b.ring, in));
			assert_true(sh_ring_pop(&b.ring, &out));
			assert_true(out.meta == in.meta && out.arg == in.arg);
			assert_true(sh_ring_push(&b.ring, in));
			assert_int_equal(sh_ring_steal(&b.ring, &out, 1), 1);
			assert_true(out.meta == in.meta && out.arg == in.arg);
		}
}

/* Several at once from every position: as many as fit, the first ones, and in order. */
static void test_push_many(void **state)
{
	static struct box b;
	struct sh_item items[12];
	uint32_t at, fill, n, i;
	uint64_t got;

	(void)state;
	for (i = 0; i < 12; i++)
		items[i] = iu_item(100 + i);
	for (at = 0; at < 16; at++)
		for (fill = 0; fill <= 8; fill++)
			for (n = 0; n <= 12; n++) {
				uint32_t want = n < 8 - fill ? n : 8 - fill;

				box_init(&b, 8);
				for (i = 0; i < at; i++) {
					assert_true(push(&b, 7));
					assert_true(pop(&b, &got));
				}
				for (i = 0; i < fill; i++)
					assert_true(push(&b, i));
				assert_int_equal(sh_ring_push_many(&b.ring, items, n), want);
				assert_int_equal(sh_ring_count(&b.ring), fill + want);
				for (i = 0; i < fill + want; i++) {
					assert_true(pop(&b, &got));
					assert_int_equal(got, i < fill ? i : 100 + i - fill);
				}
				assert_false(pop(&b, &got));
			}
}

/* What the only consumer sees of the items before it takes them, at every fill level and place. */
static void test_look_ahead(void **state)
{
	static struct box b;
	struct sh_item front = { 0, 0 };
	uint64_t cap, fill, from, i, got;

	(void)state;
	for (cap = 2; cap <= 16; cap *= 2)
		for (fill = 0; fill <= cap; fill++)
			for (from = 0; from < 2 * cap; from++) {
				box_init(&b, cap);
				for (i = 0; i < from; i++)
					assert_true(push(&b, 1) && pop(&b, &got));
				for (i = 0; i < fill; i++)
					assert_true(sh_ring_push(&b.ring, (struct sh_item){ 100 + i, i }));
				assert_true(sh_ring_front(&b.ring, &front) == (fill > 0));
				assert_true(fill == 0 || (front.meta == 100 && front.arg == 0));
				for (i = 0; i < cap + 1; i++)
					assert_true(sh_ring_finds(&b.ring, UINT32_MAX, 100 + i) == (i < fill));
				assert_false(sh_ring_finds(&b.ring, UINT32_MAX, iu_item(1).meta & UINT32_MAX));
				assert_int_equal(sh_ring_count(&b.ring), fill);
			}
}

/* From every lap on, over the end of the lap's bits and of the position's low half. */
static void test_lap_wraps(void **state)
{
	static struct box b;
	uint64_t start, got = 0;
	uint32_t lap, i;

	(void)state;
	for (lap = 0; lap < 2 * LAPS; lap++) {
		start = (UINT64_C(1) << 32) - LAPS * 2u + lap * 2u;
		box_init_at(&b, 2, start);
		assert_false(pop(&b, &got));
		for (i = 0; i < 2 * LAPS; i++) {
			assert_true(push(&b, 2 * i));
			assert_true(push(&b, 2 * i + 1));
			assert_false(push(&b, 9));
			assert_true(sh_ring_has(&b.ring));
			assert_true(pop(&b, &got));
			assert_int_equal(got, 2 * i);
			assert_true(pop(&b, &got));
			assert_int_equal(got, 2 * i + 1);
			assert_false(pop(&b, &got));
			assert_false(sh_ring_has(&b.ring));
		}
	}
}

/* ---- laps: a call that was stopped in its middle for whole laps, any number of them ---- */

struct sleeper {
	struct box *box;
	uint64_t pushes; /* meanwhile; 0 = none */
	uint64_t left;   /* of the last lap, so many stay */
};

/*
 * The pusher has seen its slot free and stands before its exchange: others turn the ring. No two items are alike, as
 * with jobs, which have their submit time.
 */
static int turn_laps(void *arg, const char *point)
{
	struct sleeper *s = arg;
	uint64_t pushes = s->pushes, got = 0;

	if (pushes == 0 || strcmp(point, "ring.push.before_cas") != 0)
		return 0;
	s->pushes = 0;
	for (; pushes > 0; pushes--) {
		assert_true(push(s->box, 1000 + pushes));
		if (pushes <= s->left)
			continue;
		assert_true(pop(s->box, &got));
		assert_int_equal(got, 1000 + pushes);
	}
	return 0;
}

/* The ring is at its start, or was used before; behind the laps it is empty, or but one short of full. */
static void push_slept(uint64_t cap, uint64_t pushes, uint64_t start, uint64_t left)
{
	static struct box b;
	struct sleeper s = { &b, pushes, left };
	uint64_t got = 0, i;

	if (start == 0)
		box_init(&b, cap);
	else
		box_init_at(&b, cap, start);
	sh_inject_set(turn_laps, &s);
	assert_true(push(&b, 5));
	sh_inject_set(NULL, NULL);
	assert_int_equal(s.pushes, 0);
	assert_int_equal(sh_ring_count(&b.ring), left + 1);
	for (i = left; i > 0; i--) {
		assert_true(pop(&b, &got));
		assert_int_equal(got, 1000 + i);
	}
	assert_true(pop(&b, &got));
	assert_int_equal(got, 5);
	assert_false(pop(&b, &got));
}

static void test_push_slept_laps(void **state)
{
	uint64_t cap, laps;

	(void)state;
	for (cap = 2; cap <= CAPACITY_TOP; cap *= 2)
		for (laps = 1; laps <= 4 * LAPS; laps++) {
			push_slept(cap, laps * cap, 0, 0);
			push_slept(cap, laps * cap, 3, 0);
			push_slept(cap, laps * cap, cap * (LAPS - 1), 0);
			push_slept(cap, laps * cap + 1, 0, cap - 1);
			push_slept(cap, laps * cap + 1, 3, cap - 1);
		}
}

/* The slot of the head is filled for another lap than the head's: nothing to take or to see, whatever the distance. */
static void check_other_lap(uint64_t head, uint32_t distance)
{
	static struct box b;
	struct sh_item items[2];
	uint64_t other, got;
	uint32_t i;

	box_init_at(&b, 2, head);
	other = ((uint64_t)sh_ring_lap(&b.ring.out, head) + distance) & SH_LAP_MASK;
	for (i = 0; i < 2; i++)
		sh_a64_init(&b.slots[i].lo, other << SH_LAP_SHIFT | 9u);
	assert_false(pop(&b, &got));
	assert_int_equal(sh_ring_steal(&b.ring, items, 2), 0);
	assert_false(sh_ring_peek(&b.ring));
	assert_false(sh_ring_has(&b.ring));
	assert_int_equal(sh_ring_count(&b.ring), 0);
}

static void test_other_laps(void **state)
{
	uint64_t head;
	uint32_t k;

	(void)state;
	for (head = 0; head <= 4 * LAPS; head++)
		for (k = 1; k < LAPS; k++)
			check_other_lap(head, k);
}

/* ---- threads ---- */

struct crowd {
	struct box box;
	uint32_t each;
	atomic_uint producers_left;
	atomic_uint taken;
	atomic_uint go;
	uint8_t *seen; /* [THREADS * each] */
	atomic_bool disorder;
	atomic_bool twice;
	atomic_bool torn;
};

struct member {
	struct crowd *crowd;
	uint32_t index;
};

static void *producer(void *arg)
{
	struct member *m = arg;
	struct crowd *c = m->crowd;
	struct sh_rng rng;
	struct sh_item items[7];
	uint32_t i, n;

	sh_rng_init(&rng, tu_seed() + 100 + m->index);
	while (!atomic_load(&c->go))
		(void)sched_yield();
	for (i = 0; i < c->each; i += n) {
		uint32_t k;

		n = sh_rng_below(&rng, 2) ? 1 : 1 + sh_rng_below(&rng, 7);
		n = n < c->each - i ? n : c->each - i;
		for (k = 0; k < n; k++)
			items[k] = iu_item((uint64_t)m->index << 24 | (i + k));
		n = n == 1 ? sh_ring_push(&c->box.ring, items[0]) : sh_ring_push_many(&c->box.ring, items, n);
		if (n == 0)
			(void)sched_yield();
	}
	(void)atomic_fetch_sub(&c->producers_left, 1);
	return NULL;
}

static void *consumer(void *arg)
{
	struct member *m = arg;
	struct crowd *c = m->crowd;
	uint32_t last[THREADS];
	struct sh_item items[4];
	struct sh_rng rng;
	uint32_t i;

	sh_rng_init(&rng, tu_seed() + m->index);
	memset(last, 0xff, sizeof(last));
	while (!atomic_load(&c->go))
		(void)sched_yield();
	while (atomic_load(&c->taken) < THREADS * c->each) {
		struct sh_ring *r = &c->box.ring;
		uint32_t n = sh_rng_below(&rng, 2) ? sh_ring_pop(r, items) : sh_ring_steal(r, items, 4);

		if (n == 0)
			(void)sched_yield();
		for (i = 0; i < n; i++) {
			uint64_t value = iu_value(items[i]);
			uint32_t p = (uint32_t)(value >> 24);
			uint32_t k = value & 0xffffffu;

			if (value == IU_TORN || p >= THREADS || k >= c->each) {
				atomic_store(&c->torn, true);
				continue;
			}
			if (last[p] != UINT32_MAX && k <= last[p]) /* one consumer sees a producer's items in order */
				atomic_store(&c->disorder, true);
			last[p] = k;
			if (__atomic_exchange_n(&c->seen[p * c->each + k], 1, __ATOMIC_RELAXED))
				atomic_store(&c->twice, true);
		}
		(void)atomic_fetch_add(&c->taken, n);
	}
	return NULL;
}

static void crowd_run(uint64_t capacity, uint32_t each, uint32_t consumers)
{
	static struct crowd c;
	struct member m[2 * THREADS];
	pthread_t t[2 * THREADS];
	uint64_t got;
	uint32_t i;

	box_init(&c.box, capacity);
	c.each = each;
	atomic_store(&c.producers_left, THREADS);
	atomic_store(&c.taken, 0);
	atomic_store(&c.go, 0);
	atomic_store(&c.disorder, false);
	atomic_store(&c.twice, false);
	atomic_store(&c.torn, false);
	c.seen = calloc(THREADS, each);
	assert_non_null(c.seen);
	for (i = 0; i < THREADS + consumers; i++) {
		m[i] = (struct member){ &c, i < THREADS ? i : i - THREADS };
		assert_int_equal(pthread_create(&t[i], NULL, i < THREADS ? producer : consumer, &m[i]), 0);
	}
	atomic_store(&c.go, 1);
	for (i = 0; i < THREADS + consumers; i++)
		(void)pthread_join(t[i], NULL);
	assert_false(atomic_load(&c.disorder));
	assert_false(atomic_load(&c.twice));
	assert_false(atomic_load(&c.torn));
	for (i = 0; i < THREADS * each; i++)
		assert_int_equal(c.seen[i], 1);
	assert_false(pop(&c.box, &got));
	free(c.seen);
}

static void test_threads(void **state)
{
	uint32_t each = TU_TSAN_SCALE(20000u, 3000u);
	uint64_t cap;

	(void)state;
	for (cap = 2; cap <= CAPACITY_TOP; cap *= 2)
		crowd_run(cap, each, THREADS);
	crowd_run(64, each, 1); /* one consumer: the order of every producer is total */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_empty),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_steal_prefix),
		cmocka_unit_test(test_any_value),
		cmocka_unit_test(test_push_many),
		cmocka_unit_test(test_look_ahead),
		cmocka_unit_test(test_lap_wraps),
		cmocka_unit_test(test_push_slept_laps),
		cmocka_unit_test(test_other_laps),
		cmocka_unit_test(test_threads),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
