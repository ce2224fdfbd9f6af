/*
 * lockfree/backlog: order over many segments and uses of a small directory, the bound of the store, memory that is used
 * again, and threads that stop in the middle of a call for however long: nothing is lost, doubled, torn or moved to
 * another backlog of the store.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/error.h>

#include "base/inject.h"
#include "base/rng.h"
#include "item_util.h"
#include "lockfree/backlog.h"

#define PLACES 4u
#define BACKLOGS 2u
#define SEGMENTS_MAX (PLACES - 1u)
#define FIRST_N (SH_SEG_ITEMS - 1u) /* position 0 is not used */
#define THREADS 2u

static struct sh_mem mem;

struct box {
	struct sh_segments store;
	struct sh_backlog q[BACKLOGS];
	sh_a64 dir[BACKLOGS][PLACES];
};

static int setup(void **state)
{
	(void)state;
	return sh_mem_init(&mem);
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(sh_a64_load_rlx(&mem.mapped), 0);
	sh_mem_fini(&mem);
	return 0;
}

static void box_open(struct box *b, uint32_t segments)
{
	uint32_t i;

	assert_true(segments < PLACES);
	memset(b, 0, sizeof(*b));
	assert_int_equal(sh_segments_init(&b->store, &mem, segments), 0);
	for (i = 0; i < BACKLOGS; i++)
		sh_backlog_init(&b->q[i], &b->store, b->dir[i], PLACES);
}

static void box_close(struct box *b)
{
	sh_segments_fini(&b->store);
}

/* Pushes the values from..from+n-1; returns how many went in. */
static uint32_t push_n(struct sh_backlog *q, uint64_t from, uint32_t n)
{
	struct sh_item items[SH_SEG_ITEMS];
	uint32_t done = 0;

	while (done < n) {
		uint32_t k = n - done < SH_SEG_ITEMS ? n - done : SH_SEG_ITEMS, i, got;

		for (i = 0; i < k; i++)
			items[i] = iu_item(from + done + i);
		got = sh_backlog_push_many(q, items, k);
		done += got;
		if (got < k)
			break;
	}
	return done;
}

/* Takes n items, which are the values from..from+n-1; or fewer if there are fewer. Returns how many. */
static uint32_t take_n(struct sh_backlog *q, uint64_t from, uint32_t n)
{
	struct sh_item items[SH_SEG_ITEMS];
	uint32_t done = 0;

	while (done < n) {
		uint32_t k = sh_backlog_steal(q, items, n - done < SH_SEG_ITEMS ? n - done : SH_SEG_ITEMS), i;

		if (k == 0)
			break;
		for (i = 0; i < k; i++)
			assert_int_equal(iu_value(items[i]), from + done + i);
		done += k;
	}
	return done;
}

/* No segment was lost or doubled: of an empty store exactly so many items fit. Position p is the next one. */
static void check_capacity(struct box *b, struct sh_backlog *q, uint64_t position)
{
	uint32_t fits = b->store.count * SH_SEG_ITEMS - (uint32_t)(position % SH_SEG_ITEMS);

	assert_false(sh_backlog_has(q));
	assert_int_equal(push_n(q, 5000, 2 * PLACES * SH_SEG_ITEMS), fits);
	assert_int_equal(push_n(q, 1, 1), 0);
	assert_int_equal(take_n(q, 5000, fits), fits);
	assert_false(sh_backlog_has(q));
}

/* ---- one thread ---- */

static void test_order(void **state)
{
	static struct box b;
	struct sh_rng rng;
	uint64_t in = 0, out = 0;

	(void)state;
	sh_rng_init(&rng, tu_seed());
	box_open(&b, SEGMENTS_MAX);
	assert_false(sh_backlog_has(&b.q[0]));
	assert_int_equal(sh_backlog_count(&b.q[0]), 0);
	while (out < 40 * PLACES * SH_SEG_ITEMS) { /* the directory wraps often */
		uint32_t room = SEGMENTS_MAX * SH_SEG_ITEMS - SH_SEG_ITEMS - (uint32_t)(in - out);
		uint32_t n = sh_rng_below(&rng, 300);

		n = n < room ? n : room;
		assert_int_equal(push_n(&b.q[0], in, n), n);
		in += n;
		assert_true(sh_backlog_count(&b.q[0]) + 4 >= in - out && sh_backlog_count(&b.q[0]) <= in - out + 4);
		assert_int_equal(sh_backlog_has(&b.q[0]), in != out);
		out += take_n(&b.q[0], out, sh_rng_below(&rng, 300));
		assert_int_equal(sh_backlog_has(&b.q[0]), in != out);
		assert_false(sh_backlog_has(&b.q[1]));
	}
	assert_int_equal(take_n(&b.q[0], out, 5000), in - out);
	box_close(&b);
}

/* All bits that are the user's come back, whatever they are. */
static void test_any_value(void **state)
{
	static const uint64_t halves[] = { 0, 1, UINT64_C(1) << 58, SH_ITEM_META, UINT64_MAX };
	static struct box b;
	uint32_t i, k;

	(void)state;
	box_open(&b, 1);
	for (i = 0; i < 4; i++)
		for (k = 0; k < 5; k++) {
			struct sh_item in = { halves[i], halves[k] }, out = { 9, 9 };

			assert_int_equal(sh_backlog_push_many(&b.q[0], &in, 1), 1);
			assert_int_equal(sh_backlog_steal(&b.q[0], &out, 1), 1);
			assert_true(out.meta == in.meta && out.arg == in.arg);
		}
	box_close(&b);
}

static void test_steal_ends_at_segment(void **state)
{
	static struct box b;
	struct sh_item items[4 * SH_SEG_ITEMS];

	(void)state;
	box_open(&b, SEGMENTS_MAX);
	assert_int_equal(push_n(&b.q[0], 0, FIRST_N + SH_SEG_ITEMS + 7), FIRST_N + SH_SEG_ITEMS + 7);
	memset(items, 0xee, sizeof(items));
	assert_int_equal(sh_backlog_steal(&b.q[0], items, 4 * SH_SEG_ITEMS), FIRST_N);
	assert_int_equal(items[FIRST_N].arg, UINT64_C(0xeeeeeeeeeeeeeeee));
	assert_int_equal(sh_backlog_steal(&b.q[0], items, 5), 5);
	assert_int_equal(iu_value(items[0]), FIRST_N);
	assert_int_equal(sh_backlog_steal(&b.q[0], items, 4 * SH_SEG_ITEMS), SH_SEG_ITEMS - 5);
	assert_int_equal(sh_backlog_steal(&b.q[0], items, 4 * SH_SEG_ITEMS), 7);
	assert_int_equal(sh_backlog_steal(&b.q[0], items, 4 * SH_SEG_ITEMS), 0);
	box_close(&b);
}

/* A store is shared: what one backlog holds the other lacks. Full is an ordinary result, and says how many went in. */
static void test_full(void **state)
{
	static struct box b;
	struct sh_item items[10];
	uint32_t i;

	(void)state;
	for (i = 0; i < 10; i++)
		items[i] = iu_item(9000 + i);
	box_open(&b, 3);
	assert_int_equal(push_n(&b.q[0], 0, FIRST_N + SH_SEG_ITEMS), FIRST_N + SH_SEG_ITEMS);
	assert_int_equal(push_n(&b.q[1], 0, FIRST_N - 3), FIRST_N - 3);
	assert_int_equal(sh_backlog_push_many(&b.q[0], items, 10), 0);
	assert_int_equal(sh_backlog_push_many(&b.q[1], items, 10), 3);
	assert_int_equal(sh_backlog_push_many(&b.q[1], items, 10), 0);
	assert_int_equal(take_n(&b.q[0], 0, FIRST_N - 1), FIRST_N - 1);
	assert_int_equal(sh_backlog_push_many(&b.q[1], items, 10), 0); /* the last one is still there */
	assert_int_equal(take_n(&b.q[0], FIRST_N - 1, 1), 1);
	assert_int_equal(sh_backlog_push_many(&b.q[1], items, 10), 10);
	assert_int_equal(take_n(&b.q[1], 0, FIRST_N - 3), FIRST_N - 3);
	assert_int_equal(take_n(&b.q[1], 9000, 3), 3);
	assert_int_equal(take_n(&b.q[1], 9000, 20), 10);
	assert_int_equal(take_n(&b.q[0], FIRST_N, 5000), SH_SEG_ITEMS);
	box_close(&b);
}

static uint64_t segment_at(const struct box *b, uint32_t q, uint64_t position)
{
	return sh_a64_load_rlx(&b->dir[q][position / SH_SEG_ITEMS % PLACES]) & 0xffffffu;
}

/* The segment that was freed last is used next; a backlog that does not grow touches no more memory. */
static void test_newest_first(void **state)
{
	static struct box b;
	uint64_t at = 1, last;
	uint32_t i;

	(void)state;
	box_open(&b, SEGMENTS_MAX);
	assert_int_equal(push_n(&b.q[0], 0, FIRST_N + SH_SEG_ITEMS), FIRST_N + SH_SEG_ITEMS);
	at += FIRST_N + SH_SEG_ITEMS;
	last = segment_at(&b, 0, at - 1);
	assert_true(last != segment_at(&b, 0, 1));
	assert_int_equal(take_n(&b.q[0], 0, 5000), FIRST_N + SH_SEG_ITEMS);
	for (i = 0; i < 3 * PLACES; i++) {
		struct sh_backlog *q = &b.q[i % 2];
		uint32_t n = i == 1 ? FIRST_N : SH_SEG_ITEMS;

		assert_int_equal(push_n(q, i, 1), 1);
		assert_int_equal(segment_at(&b, i % 2, sh_a64_load_rlx(&q->head)), last);
		assert_int_equal(push_n(q, i + 1, n - 1), n - 1);
		assert_int_equal(take_n(q, i, n), n);
	}
	assert_int_equal(sh_a32_load_rlx(&b.store.fresh), 2);
	box_close(&b);
}

/* ---- a thread that stops in the middle of a call, while others use the backlog ---- */

struct stop {
	struct box *b;
	const char *point;
	bool armed;
	uint64_t next;     /* value of the next item that others push to q[0] */
	uint32_t left;     /* items in q[0] when the thread stops, values next - left.. */
	uint64_t segments; /* so many others push and take meanwhile */
	void (*others)(struct stop *s);
};

static int on_point(void *arg, const char *point)
{
	struct stop *s = arg;

	if (!s->armed || strcmp(point, s->point) != 0)
		return 0;
	s->armed = false;
	s->others(s);
	return 0;
}

static void stop_at(struct stop *s, const char *point)
{
	s->point = point;
	s->armed = true;
	sh_inject_set(on_point, s);
}

static void stopped(const struct stop *s)
{
	sh_inject_set(NULL, NULL);
	assert_false(s->armed); /* it was there */
}

/* Others take what is there, and push and take as many items as the segments have. */
static void turn(struct stop *s)
{
	uint64_t n = s->segments * SH_SEG_ITEMS;

	assert_int_equal(take_n(&s->b->q[0], s->next - s->left, s->left), s->left);
	while (n > 0) {
		uint32_t k = n < 300 ? (uint32_t)n : 300;

		assert_int_equal(push_n(&s->b->q[0], s->next, k), k);
		assert_int_equal(take_n(&s->b->q[0], s->next, k), k);
		s->next += k;
		n -= k;
	}
	assert_false(sh_backlog_has(&s->b->q[0]));
	s->left = 0;
}

/* A producer before its exchange: the slot's segment has served other positions since, and perhaps this place again. */
static void test_producer_stops(void **state)
{
	static struct box b;
	uint64_t segments, before;

	(void)state;
	for (before = 0; before < 2 * SH_SEG_ITEMS; before += 101)
		for (segments = 1; segments <= 3 * PLACES; segments++) {
			struct stop s = { .b = &b, .segments = segments, .others = turn, .left = 10 };

			box_open(&b, SEGMENTS_MAX);
			assert_int_equal(push_n(&b.q[0], 0, (uint32_t)before), before);
			assert_int_equal(take_n(&b.q[0], 0, (uint32_t)before), before);
			assert_int_equal(push_n(&b.q[0], before, 10), 10);
			s.next = before + 10;
			stop_at(&s, "backlog.push.before_cas");
			assert_int_equal(push_n(&b.q[0], 777777, 1), 1);
			stopped(&s);
			assert_int_equal(take_n(&b.q[0], 777777, 5), 1);
			check_capacity(&b, &b.q[0], sh_a64_load_rlx(&b.q[0].head));
			box_close(&b);
		}
}

/*
 * The thread that works at `point` stops there while others fill and empty 0 .. 3 turns of the directory. A producer
 * stops in a push to an empty backlog, a consumer when it takes the last item of the first segment.
 */
static void stop_for_turns(const char *point, bool producer)
{
	static struct box b;
	uint64_t segments;

	for (segments = 0; segments <= 3 * PLACES; segments++) {
		struct stop s = { .b = &b, .segments = segments, .others = turn, .next = FIRST_N };

		box_open(&b, SEGMENTS_MAX);
		assert_int_equal(push_n(&b.q[0], 0, FIRST_N), FIRST_N);
		if (!producer)
			stop_at(&s, point);
		assert_int_equal(take_n(&b.q[0], 0, FIRST_N), FIRST_N);
		if (producer) {
			stop_at(&s, point);
			assert_int_equal(push_n(&b.q[0], 777777, 1), 1);
		}
		stopped(&s);
		if (producer)
			assert_int_equal(take_n(&b.q[0], 777777, 5), 1);
		check_capacity(&b, &b.q[0], sh_a64_load_rlx(&b.q[0].head));
		box_close(&b);
	}
}

/* A producer before it installs the segment that it took: others did, and perhaps used the place up. */
static void test_installer_stops(void **state)
{
	(void)state;
	stop_for_turns("backlog.install", true);
}

/*
 * A consumer before it gives back the segment whose last item it took. The place is needed after a whole turn of the
 * directory: the producer that needs it gives the segment back instead.
 */
static void test_consumer_stops(void **state)
{
	(void)state;
	stop_for_turns("backlog.retire", false);
}

/* The same, and both backlogs' producers fill the store meanwhile: its segment is all that they lack. */
static void fill(struct stop *s)
{
	assert_int_equal(push_n(&s->b->q[0], 0, SH_SEG_ITEMS), SH_SEG_ITEMS);
	assert_int_equal(push_n(&s->b->q[1], 0, FIRST_N), FIRST_N);
	assert_int_equal(push_n(&s->b->q[1], 0, 1), 0);
}

static void test_consumer_stops_full(void **state)
{
	static struct box b;
	struct stop s = { .b = &b, .others = fill };

	(void)state;
	box_open(&b, SEGMENTS_MAX);
	assert_int_equal(push_n(&b.q[0], 0, FIRST_N), FIRST_N);
	stop_at(&s, "backlog.retire");
	assert_int_equal(take_n(&b.q[0], 0, FIRST_N), FIRST_N);
	stopped(&s);
	assert_int_equal(push_n(&b.q[1], FIRST_N, 1), 1); /* it is back */
	assert_int_equal(take_n(&b.q[0], 0, 5000), SH_SEG_ITEMS);
	assert_int_equal(take_n(&b.q[1], 0, 5000), SH_SEG_ITEMS);
	box_close(&b);
}

/*
 * A producer of one backlog before its exchange, while its segment goes to the other backlog of the store, for the same
 * positions: the slot is free there too, but it is not this producer's.
 */
static void move_segment(struct stop *s)
{
	assert_int_equal(push_n(&s->b->q[0], s->next, FIRST_N - s->left), FIRST_N - s->left);
	assert_int_equal(take_n(&s->b->q[0], 0, FIRST_N), FIRST_N);
	assert_int_equal(push_n(&s->b->q[1], 0, 1), 1);
	assert_int_equal(segment_at(s->b, 1, 1), 1); /* it is the one */
}

static void test_other_backlog(void **state)
{
	static struct box b;
	uint32_t left;

	(void)state;
	for (left = 0; left < FIRST_N; left += 7) {
		struct stop s = { .b = &b, .others = move_segment, .next = left, .left = left };

		box_open(&b, SEGMENTS_MAX);
		assert_int_equal(push_n(&b.q[0], 0, left), left);
		stop_at(&s, "backlog.push.before_cas");
		assert_int_equal(push_n(&b.q[0], 777777, 1), 1);
		stopped(&s);
		assert_int_equal(take_n(&b.q[0], 777777, 5), 1);
		assert_int_equal(take_n(&b.q[1], 0, 5), 1);
		assert_false(sh_backlog_has(&b.q[1]));
		assert_int_equal(push_n(&b.q[1], 0, FIRST_N - 1), FIRST_N - 1);
		assert_int_equal(take_n(&b.q[1], 0, 5000), FIRST_N - 1);
		box_close(&b);
	}
}

/* ---- threads ---- */

struct crowd {
	struct box b;
	uint32_t each; /* items of a producer, and of each backlog */
	uint8_t *seen; /* [BACKLOGS * THREADS * each] */
	atomic_uint taken, go;
	atomic_bool disorder, twice, torn;
};

struct member {
	struct crowd *crowd;
	uint32_t index;
};

static void *producer(void *arg)
{
	struct member *m = arg;
	struct crowd *c = m->crowd;
	uint32_t at[BACKLOGS] = { 0 };
	struct sh_item items[40];
	struct sh_rng rng;

	sh_rng_init(&rng, tu_seed() + 100 + m->index);
	while (!atomic_load(&c->go))
		(void)sched_yield();
	while (at[0] < c->each || at[1] < c->each) {
		uint32_t q = sh_rng_below(&rng, BACKLOGS), n = 1 + sh_rng_below(&rng, 40), i;

		n = n < c->each - at[q] ? n : c->each - at[q];
		for (i = 0; i < n; i++)
			items[i] = iu_item((uint64_t)q << 40 | (uint64_t)m->index << 32 | (at[q] + i));
		i = sh_backlog_push_many(&c->b.q[q], items, n);
		at[q] += i;
		if (i < n)
			(void)sched_yield(); /* the store is full */
	}
	return NULL;
}

static void *consumer(void *arg)
{
	struct member *m = arg;
	struct crowd *c = m->crowd;
	int64_t last[BACKLOGS][THREADS];
	struct sh_item items[40];
	struct sh_rng rng;

	sh_rng_init(&rng, tu_seed() + m->index);
	memset(last, 0xff, sizeof(last));
	while (!atomic_load(&c->go))
		(void)sched_yield();
	while (atomic_load(&c->taken) < BACKLOGS * THREADS * c->each && !atomic_load(&c->torn)) {
		uint32_t q = sh_rng_below(&rng, BACKLOGS);
		uint32_t n = sh_backlog_steal(&c->b.q[q], items, 1 + sh_rng_below(&rng, 40)), i;

		if (n == 0)
			(void)sched_yield();
		for (i = 0; i < n; i++) {
			uint64_t value = iu_value(items[i]);
			uint32_t p = value >> 32 & 0xffu, k = (uint32_t)value;

			if (value == IU_TORN || value >> 40 != q || p >= THREADS || k >= c->each) {
				atomic_store(&c->torn, true);
				break;
			}
			if (last[q][p] >= (int64_t)k) /* one consumer sees a producer's items in order */
				atomic_store(&c->disorder, true);
			last[q][p] = (int64_t)k;
			if (__atomic_exchange_n(&c->seen[(q * THREADS + p) * c->each + k], 1, __ATOMIC_RELAXED))
				atomic_store(&c->twice, true);
		}
		(void)atomic_fetch_add(&c->taken, n);
	}
	return NULL;
}

static void crowd_run(uint32_t segments, uint32_t consumers)
{
	static struct crowd c;
	struct member m[2 * THREADS];
	pthread_t t[2 * THREADS];
	uint32_t i, all;

	memset(&c, 0, sizeof(c));
	box_open(&c.b, segments);
	c.each = TU_TSAN_SCALE(100000u, 20000u);
	all = BACKLOGS * THREADS * c.each;
	c.seen = calloc(all, 1);
	assert_non_null(c.seen);
	for (i = 0; i < THREADS + consumers; i++) {
		m[i] = (struct member){ &c, i < THREADS ? i : i - THREADS };
		assert_int_equal(pthread_create(&t[i], NULL, i < THREADS ? producer : consumer, &m[i]), 0);
	}
	atomic_store(&c.go, 1);
	for (i = 0; i < THREADS + consumers; i++)
		(void)pthread_join(t[i], NULL);
	assert_false(atomic_load(&c.torn));
	assert_false(atomic_load(&c.disorder));
	assert_false(atomic_load(&c.twice));
	for (i = 0; i < all; i++)
		assert_int_equal(c.seen[i], 1);
	for (i = 0; i < BACKLOGS; i++)
		assert_false(sh_backlog_has(&c.b.q[i]));
	free(c.seen);
	box_close(&c.b);
}

static void test_threads(void **state)
{
	(void)state;
	crowd_run(SEGMENTS_MAX, THREADS);
	crowd_run(SEGMENTS_MAX, 1); /* the order of every producer is total */
}

/* ---- failing memory ---- */

struct fail {
	unsigned left;
};

static int fail_hook(void *arg, const char *point)
{
	struct fail *f = arg;

	return strcmp(point, "mem.map") == 0 && f->left-- == 0;
}

static void test_no_memory(void **state)
{
	struct sh_segments s;
	unsigned i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct fail f = { i };

		memset(&s, 0, sizeof(s));
		sh_inject_set(fail_hook, &f);
		assert_int_equal(sh_segments_init(&s, &mem, 100), SHUNT_ENOMEM);
		sh_inject_set(NULL, NULL);
		sh_segments_fini(&s);
		assert_int_equal(sh_a64_load_rlx(&mem.mapped), 0);
	}
	memset(&s, 0, sizeof(s));
	sh_segments_fini(&s); /* of one that never came to be */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_any_value),
		cmocka_unit_test(test_steal_ends_at_segment),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_newest_first),
		cmocka_unit_test(test_producer_stops),
		cmocka_unit_test(test_installer_stops),
		cmocka_unit_test(test_consumer_stops),
		cmocka_unit_test(test_consumer_stops_full),
		cmocka_unit_test(test_other_backlog),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_no_memory),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, setup, teardown);
}
