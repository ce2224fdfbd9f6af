/*
 * Memory of a burst: after a drain the descriptors' pages are the system's again, no free item is lost or handed out
 * twice by that, no item in use is touched, and a refusal of the system only means that less is given back.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/inject.h"
#include "base/mem.h"
#include "base/rng.h"
#include "core/runtime.h"
#include "lockfree/slab.h"

#define CAPACITY 60000u
#define THREADS 2u

static struct sh_mem mem;

static int setup(void **state)
{
	(void)state;
	return sh_mem_init(&mem);
}

static int teardown(void **state)
{
	(void)state;
	sh_mem_fini(&mem);
	return 0;
}

/* Resident bytes of a slab's items. */
static size_t resident(const struct sh_slab *s)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t pages = (s->bytes + page - 1) / page;
	unsigned char *in = calloc(pages, 1);
	size_t n = 0;
	size_t i;

	assert_non_null(in);
	assert_int_equal(mincore(s->base, s->bytes, in), 0);
	for (i = 0; i < pages; i++)
		n += in[i] & 1u;
	free(in);
	return n * page;
}

static uint32_t take_all(struct sh_slab *s, uint32_t *got)
{
	uint8_t *seen = calloc(1, CAPACITY + 65);
	uint32_t n = 0;
	uint32_t idx;

	assert_non_null(seen);
	while ((idx = sh_slab_alloc(s, NULL, n % s->nodes)) != 0) {
		assert_true(n < CAPACITY && idx <= CAPACITY + 64);
		assert_int_equal(seen[idx], 0);
		seen[idx] = 1;
		memset(sh_slab_at(s, idx), 0xa5, 64);
		got[n++] = idx;
	}
	free(seen);
	return n;
}

static bool untouched(const struct sh_slab *s, uint32_t idx)
{
	const unsigned char *p = sh_slab_at(s, idx);
	unsigned i;

	for (i = 0; i < 64; i++)
		if (p[i] != 0xa5)
			return false;
	return true;
}

/* All free: nearly all of it goes, and all of it is there again afterwards, as often as one likes. */
static void all_free(uint32_t nodes)
{
	static uint32_t got[CAPACITY];
	struct sh_slab s = { 0 };
	unsigned round;

	assert_int_equal(sh_slab_init(&s, &mem, CAPACITY, 64, nodes), 0);
	for (round = 0; round < 4; round++) {
		uint32_t n = take_all(&s, got);

		assert_int_equal(n, CAPACITY);
		assert_true(resident(&s) >= CAPACITY * 64u);
		assert_int_equal(sh_slab_trim(&s), 0); /* nothing is free */
		while (n > 0)
			sh_slab_free(&s, NULL, got[--n]);
		assert_true(sh_slab_trim(&s) > CAPACITY * 64u * 9u / 10u);
		assert_true(resident(&s) < CAPACITY * 64u / 10u);
		if (round % 2 == 1) { /* again, of what is runs already */
			(void)sh_slab_trim(&s);
			assert_true(resident(&s) < CAPACITY * 64u / 10u);
		}
	}
	assert_int_equal(take_all(&s, got), CAPACITY);
	sh_slab_fini(&s);
	assert_int_equal(sh_a64_load_rlx(&mem.mapped), 0);
}

static void test_all_free(void **state)
{
	(void)state;
	all_free(1);
	all_free(3);
}

/* Items in use, here and there, at both ends, and whole neighbourhoods: neither touched nor handed out. */
static void test_holes(void **state)
{
	static uint32_t got[CAPACITY], rest[CAPACITY];
	static bool kept[CAPACITY + 65];
	struct sh_slab s = { 0 };
	struct sh_rng rng;
	uint32_t keep = 0;
	uint32_t i, n;

	(void)state;
	sh_rng_init(&rng, tu_seed());
	memset(kept, 0, sizeof(kept));
	assert_int_equal(sh_slab_init(&s, &mem, CAPACITY, 64, 2), 0);
	assert_int_equal(take_all(&s, got), CAPACITY);
	for (i = 0; i < CAPACITY; i++) {
		uint32_t idx = got[i];
		bool dense = idx > 20000 && idx < 23000;

		kept[idx] = idx == 1 || idx == CAPACITY || sh_rng_below(&rng, dense ? 3 : 2000) == 0;
		keep += kept[idx];
		if (!kept[idx])
			sh_slab_free(&s, NULL, idx);
	}
	assert_true(sh_slab_trim(&s) > CAPACITY * 64u / 2u);
	for (i = 1; i <= CAPACITY; i++)
		if (kept[i])
			assert_true(untouched(&s, i));
	n = take_all(&s, rest);
	assert_int_equal(n, CAPACITY - keep);
	for (i = 0; i < n; i++)
		assert_false(kept[rest[i]]);
	sh_slab_fini(&s);
}

/* ---- beside others ---- */

struct crowd {
	struct sh_slab slab;
	_Atomic uint8_t owned[CAPACITY + 65];
	atomic_bool twice, stop;
};

static void *trader(void *arg)
{
	struct crowd *c = arg;
	struct sh_slab_cache cache;
	uint32_t held[200];
	struct sh_rng rng;

	memset(&cache, 0, sizeof(cache));
	sh_rng_init(&rng, tu_seed() + (uint64_t)(uintptr_t)&cache);
	while (!atomic_load(&c->stop)) {
		uint32_t n = sh_rng_below(&rng, 200);
		uint32_t k = 0;

		while (k < n && (held[k] = sh_slab_alloc(&c->slab, &cache, 0)) != 0) {
			if (atomic_exchange(&c->owned[held[k]], 1))
				atomic_store(&c->twice, true);
			memset((char *)sh_slab_at(&c->slab, held[k]) + 16, (int)k, 48); /* all but the link */
			k++;
		}
		while (k > 0) {
			const char *p = sh_slab_at(&c->slab, held[--k]);

			if (p[16] != (char)k || p[63] != (char)k)
				atomic_store(&c->twice, true);
			atomic_store(&c->owned[held[k]], 0);
			sh_slab_free(&c->slab, &cache, held[k]);
		}
	}
	sh_slab_flush(&c->slab, &cache);
	return NULL;
}

static void test_threads(void **state)
{
	static uint32_t got[CAPACITY];
	static struct crowd c;
	pthread_t t[THREADS];
	uint32_t i, n;

	(void)state;
	memset(&c, 0, sizeof(c));
	assert_int_equal(sh_slab_init(&c.slab, &mem, CAPACITY, 64, 1), 0);
	n = take_all(&c.slab, got);
	while (n > 0)
		sh_slab_free(&c.slab, NULL, got[--n]);
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, trader, &c), 0);
	for (i = 0; i < TU_TSAN_SCALE(300u, 30u); i++)
		(void)sh_slab_trim(&c.slab);
	atomic_store(&c.stop, true);
	for (i = 0; i < THREADS; i++)
		(void)pthread_join(t[i], NULL);
	assert_false(atomic_load(&c.twice));
	assert_int_equal(take_all(&c.slab, got), CAPACITY);
	sh_slab_fini(&c.slab);
}

/* A thread that is stopped in an alloc after a trim keeps a part of the items from the others, not all of them. */
struct stopped {
	struct sh_slab slab;
	pthread_t thread;
	atomic_int in, go;
	uint32_t got;
};

static int stop_splitter(void *arg, const char *point)
{
	struct stopped *st = arg;

	if (strcmp(point, "slab.push.before_cas") != 0 || !pthread_equal(pthread_self(), st->thread) || atomic_load(&st->in))
		return 0;
	atomic_store(&st->in, 1);
	(void)tu_until(atomic_load(&st->go));
	return 0;
}

static void *one_alloc(void *arg)
{
	struct stopped *st = arg;

	st->thread = pthread_self();
	sh_inject_set(stop_splitter, st);
	st->got = sh_slab_alloc(&st->slab, NULL, 0);
	return NULL;
}

static void test_stopped(void **state)
{
	static uint32_t got[CAPACITY];
	static struct stopped st;
	pthread_t t;
	uint32_t n;

	(void)state;
	assert_int_equal(sh_slab_init(&st.slab, &mem, CAPACITY, 64, 1), 0);
	n = take_all(&st.slab, got);
	while (n > 0)
		sh_slab_free(&st.slab, NULL, got[--n]);
	assert_true(sh_slab_trim(&st.slab) > 0);
	assert_int_equal(pthread_create(&t, NULL, one_alloc, &st), 0);
	tu_wait_until(atomic_load(&st.in));
	n = take_all(&st.slab, got);
	atomic_store(&st.go, 1);
	(void)pthread_join(t, NULL);
	sh_inject_set(NULL, NULL);
	assert_true(n >= CAPACITY - CAPACITY / 16u);
	assert_true(st.got != 0);
	assert_int_equal(n + 1 + take_all(&st.slab, got), CAPACITY);
	sh_slab_fini(&st.slab);
}

/* ---- refused ---- */

static int fail_point(void *arg, const char *point)
{
	return strcmp(point, arg) == 0;
}

static void test_refused(void **state)
{
	static char drop[] = "mem.drop", map[] = "mem.map";
	static uint32_t got[CAPACITY];
	char *points[] = { drop, map };
	struct sh_slab s = { 0 };
	unsigned i;

	(void)state;
	assert_int_equal(sh_slab_init(&s, &mem, CAPACITY, 64, 1), 0);
	for (i = 0; i < 2; i++) {
		uint32_t n = take_all(&s, got);

		assert_int_equal(n, CAPACITY);
		while (n > 0)
			sh_slab_free(&s, NULL, got[--n]);
		sh_inject_set(fail_point, points[i]);
		assert_int_equal(sh_slab_trim(&s), 0);
		sh_inject_set(NULL, NULL);
	}
	assert_int_equal(take_all(&s, got), CAPACITY);
	sh_slab_fini(&s);
}

/* ---- the drain ---- */

static void burst(struct tu_fixture *f, uint32_t jobs)
{
	struct shunt_job_spec spec = tu_spec(f->count, NULL);
	atomic_uint ran = 0;
	struct tu_gate g = { 0, 0 };
	struct shunt_job_id held = tu_hold(f->rt, f->gate, &g);
	uint32_t i;

	spec.arg = &ran;
	for (i = 0; i < jobs; i++)
		assert_int_equal(shunt_submit(f->rt, &spec, NULL), SHUNT_OK);
	assert_true(resident(&f->rt->jobs) >= jobs * 64u);
	atomic_store(&g.open, 1);
	tu_join(f->rt, held, SHUNT_JOB_DONE);
	assert_int_equal(shunt_drain(f->rt, TU_LONG_NS), SHUNT_OK);
	assert_int_equal(atomic_load(&ran), jobs);
	assert_true(resident(&f->rt->jobs) < jobs * 64u / 10u);
	assert_int_equal(shunt_resume(f->rt), SHUNT_OK);
}

static void test_drain(void **state)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("pool", 1);
	struct tu_fixture f;

	(void)state;
	ro.jobs_max = 100000;
	tu_fixture_open(&f, &ro, &po);
	burst(&f, 60000);
	burst(&f, 90000);
	burst(&f, 60000);
	tu_close(f.rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_free),
		cmocka_unit_test(test_holes),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_drain),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, setup, teardown);
}
