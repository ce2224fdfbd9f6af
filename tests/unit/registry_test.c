/*
 * registry_test.c - the name registry: results, growth, sweeping, failing
 * allocations, fork, and readers beside a writer (run it under the sanitizers).
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <shunt/error.h>

#include "base/inject.h"
#include "base/rng.h"
#include "lockfree/registry.h"

#define NAMES 300u
#define READERS 3
#define ROUNDS 400u

static uint64_t seed;

static const char *name_of(char buf[32], unsigned i)
{
	(void)snprintf(buf, 32, "name-%u", i);
	return buf;
}

static void test_results(void **state)
{
	struct sh_registry *r = NULL;
	char name_long[SH_REGISTRY_NAME_MAX + 2];
	uint32_t id = 77;

	(void)state;
	assert_int_equal(sh_registry_create(NULL), SHUNT_EINVAL);
	assert_int_equal(sh_registry_create(&r), 0);
	assert_int_equal(sh_registry_count(r), 0);
	assert_false(sh_registry_find(r, "a", &id));
	assert_int_equal(id, 77);
	assert_int_equal(sh_registry_remove(r, "a"), SHUNT_ENOENT);
	assert_int_equal(sh_registry_put(r, "a", 5), 0);
	assert_int_equal(sh_registry_put(r, "a", 6), SHUNT_EEXIST);
	assert_true(sh_registry_find(r, "a", &id));
	assert_int_equal(id, 5);
	assert_true(sh_registry_find(r, "a", NULL));
	assert_int_equal(sh_registry_count(r), 1);
	assert_int_equal(sh_registry_remove(r, "a"), 0);
	assert_int_equal(sh_registry_count(r), 0);
	assert_int_equal(sh_registry_put(r, "a", UINT32_MAX), 0);
	assert_true(sh_registry_find(r, "a", &id));
	assert_int_equal(id, UINT32_MAX);

	memset(name_long, 'x', sizeof(name_long));
	name_long[sizeof(name_long) - 1] = 0;
	assert_int_equal(sh_registry_put(r, name_long, 1), SHUNT_EINVAL);
	assert_false(sh_registry_find(r, name_long, NULL));
	name_long[SH_REGISTRY_NAME_MAX] = 0;
	assert_int_equal(sh_registry_put(r, name_long, 1), 0);
	assert_true(sh_registry_find(r, name_long, NULL));
	assert_int_equal(sh_registry_put(r, "", 1), SHUNT_EINVAL);
	assert_int_equal(sh_registry_put(r, NULL, 1), SHUNT_EINVAL);
	assert_int_equal(sh_registry_remove(r, NULL), SHUNT_EINVAL);
	assert_false(sh_registry_find(r, NULL, NULL));
	assert_false(sh_registry_find(NULL, "a", NULL));
	sh_registry_destroy(r);
	sh_registry_destroy(NULL);
}

/* Grows several times, and is swept several times, against a plain table as model. */
static void test_model(void **state)
{
	struct sh_registry *r = NULL;
	uint32_t model[NAMES] = { 0 }; /* id + 1, 0 = absent */
	struct sh_rng rng;
	size_t count = 0;
	char buf[32];

	(void)state;
	sh_rng_init(&rng, seed);
	assert_int_equal(sh_registry_create(&r), 0);
	for (unsigned step = 1; step <= 6000; step++) {
		unsigned i = sh_rng_below(&rng, NAMES);
		uint32_t id = 0;

		name_of(buf, i);
		if (sh_rng_below(&rng, 2) != 0) {
			assert_int_equal(sh_registry_put(r, buf, step), model[i] != 0 ? SHUNT_EEXIST : 0);
			count += model[i] == 0;
			model[i] = model[i] != 0 ? model[i] : step + 1;
		} else {
			assert_int_equal(sh_registry_remove(r, buf), model[i] != 0 ? 0 : SHUNT_ENOENT);
			if (step % 2) /* else with the registry */
				sh_registry_free_retired(sh_registry_take_retired(r));
			count -= model[i] != 0;
			model[i] = 0;
		}
		i = sh_rng_below(&rng, NAMES);
		assert_int_equal(sh_registry_find(r, name_of(buf, i), &id), model[i] != 0);
		if (model[i] != 0)
			assert_int_equal(id + 1, model[i]);
		assert_int_equal(sh_registry_count(r), count);
	}
	sh_registry_destroy(r);
}

#ifdef SHUNT_INJECT
static int fail_nth(void *arg, const char *point)
{
	int *left = arg;

	return strcmp(point, "registry_alloc") == 0 && (*left)-- == 0;
}

/* Every allocation fails once, in turn: an error changes nothing, and nothing leaks (address sanitizer). */
static void test_no_memory(void **state)
{
	char buf[32];

	(void)state;
	for (int n = 0; n < 140; n++) {
		struct sh_registry *r = NULL;
		int left = n, rc;

		sh_inject_set(fail_nth, &left);
		rc = sh_registry_create(&r);
		if (n < 2)
			assert_int_equal(rc, SHUNT_ENOMEM);
		for (unsigned i = 0; rc == 0 && i < 150; i++) {
			int put = sh_registry_put(r, name_of(buf, i), i);

			assert_true(put == 0 || put == SHUNT_ENOMEM);
			assert_int_equal(sh_registry_find(r, buf, NULL), put == 0);
			if (put != 0)
				assert_int_equal(sh_registry_put(r, buf, i), 0);
		}
		sh_inject_set(NULL, NULL);
		for (unsigned i = 0; rc == 0 && i < 150; i++)
			assert_true(sh_registry_find(r, name_of(buf, i), NULL));
		sh_registry_destroy(r);
	}
}
#else
static void test_no_memory(void **state)
{
	(void)state;
	skip();
}
#endif

struct shared {
	struct sh_registry *r;
	sh_a32 stop;    /* sync: atomic */
	sh_a32 started; /* sync: atomic */
};

static void *reader(void *arg)
{
	struct shared *s = arg;
	struct sh_rng rng;
	uintptr_t bad = 0;
	char buf[32];

	sh_rng_init(&rng, seed ^ (uintptr_t)&rng);
	/* mo rlx: counts only. */
	(void)sh_a32_add_rlx(&s->started, 1);
	/* mo rlx: stop flag; join orders the rest. */
	while (sh_a32_load_rlx(&s->stop) == 0) {
		unsigned i = sh_rng_below(&rng, NAMES);
		uint32_t id = 0;
		bool there = sh_registry_find(s->r, name_of(buf, i), &id);

		/* Even names stay for ever, odd ones come and go; an id belongs to its name. */
		bad += (!there && i % 2 == 0) || (there && id % NAMES != i);
	}
	return (void *)bad;
}

static void test_threads(void **state)
{
	static struct shared s;
	pthread_t readers[READERS];
	struct sh_rng rng;
	char buf[32];

	(void)state;
	sh_rng_init(&rng, seed);
	assert_int_equal(sh_registry_create(&s.r), 0);
	for (unsigned i = 0; i < NAMES; i += 2)
		assert_int_equal(sh_registry_put(s.r, name_of(buf, i), i), 0);
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, reader, &s), 0);
	/* mo rlx: waits until all read. */
	while (sh_a32_load_rlx(&s.started) < READERS)
		sched_yield();
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		unsigned i = sh_rng_below(&rng, NAMES / 2) * 2 + 1;
		int rc = sh_registry_put(s.r, name_of(buf, i), round * NAMES + i);

		if (rc == SHUNT_EEXIST)
			rc = sh_registry_remove(s.r, buf);
		assert_int_equal(rc, 0);
		sh_registry_free_retired(sh_registry_take_retired(s.r));
	}
	/* mo rlx: stop flag. */
	sh_a32_store_rlx(&s.stop, 1);
	for (int i = 0; i < READERS; i++) {
		void *bad;

		assert_int_equal(pthread_join(readers[i], &bad), 0);
		assert_int_equal((uintptr_t)bad, 0);
	}
	sh_registry_destroy(s.r);
}

#ifdef SHUNT_INJECT
enum { IDLE, HOLD, HELD, REMOVED, DONE };

/* The reader stops with the entry in its hand. */
static int hold(void *arg, const char *point)
{
	struct shared *s = arg;

	/* mo rlx: flags of the test; the edges under test are those of the registry. */
	if (strcmp(point, "registry_found") == 0 && sh_a32_load_rlx(&s->started) == HOLD) {
		sh_a32_store_rlx(&s->started, HELD);
		while (sh_a32_load_rlx(&s->stop) == 0)
			sched_yield();
	}
	return 0;
}

static void *held_reader(void *arg)
{
	struct shared *s = arg;
	uint32_t id = 0;

	return (void *)(uintptr_t)(sh_registry_find(s->r, "held", &id) && id == 4711);
}

static void *remover(void *arg)
{
	struct shared *s = arg;
	int rc = sh_registry_remove(s->r, "held");
	void *retired = sh_registry_take_retired(s->r);

	sh_a32_store_rlx(&s->started, REMOVED);
	sh_registry_free_retired(retired);
	sh_a32_store_rlx(&s->started, DONE);
	return (void *)(uintptr_t)(rc == 0 && retired && !sh_registry_take_retired(s->r));
}

/* remove waits for nobody; nothing is freed while a reader may still look at the entry. */
static void test_grace(void **state)
{
	static struct shared s;
	pthread_t reading, removing;
	void *ok;

	(void)state;
	assert_int_equal(sh_registry_create(&s.r), 0);
	assert_int_equal(sh_registry_put(s.r, "held", 4711), 0);
	sh_inject_set(hold, &s);
	sh_a32_store_rlx(&s.started, HOLD);
	assert_int_equal(pthread_create(&reading, NULL, held_reader, &s), 0);
	while (sh_a32_load_rlx(&s.started) != HELD)
		sched_yield();
	assert_int_equal(pthread_create(&removing, NULL, remover, &s), 0);
	while (sh_a32_load_rlx(&s.started) < REMOVED)
		sched_yield();
	assert_false(sh_registry_find(s.r, "held", NULL)); /* gone for who comes now */
	for (int i = 0; i < 2000; i++) {
		sched_yield();
		assert_int_equal(sh_a32_load_rlx(&s.started), REMOVED);
	}
	sh_a32_store_rlx(&s.stop, 1);
	assert_int_equal(pthread_join(reading, &ok), 0);
	assert_true((uintptr_t)ok);
	assert_int_equal(pthread_join(removing, &ok), 0);
	assert_true((uintptr_t)ok);
	sh_inject_set(NULL, NULL);
	sh_registry_destroy(s.r);
}
#else
static void test_grace(void **state)
{
	(void)state;
	skip();
}
#endif

/* What a child may do; 0 or the line that failed. */
static int child(struct sh_registry *inherited)
{
	struct sh_registry *r;
	char buf[32];

	if (sh_registry_find(inherited, "here", NULL))
		return 1;
	if (sh_registry_put(inherited, "more", 1) != SHUNT_EFORKED ||
	    sh_registry_remove(inherited, "here") != SHUNT_EFORKED)
		return 2;
	if (sh_registry_create(&r) != 0)
		return 4;
	for (unsigned i = 0; i < NAMES; i++) /* grows: retires tables */
		if (sh_registry_put(r, name_of(buf, i), i) != 0 || !sh_registry_find(r, buf, NULL))
			return 5;
	for (unsigned i = 0; i < NAMES; i++)
		if (sh_registry_remove(r, name_of(buf, i)) != 0 || sh_registry_find(r, buf, NULL))
			return 6;
	sh_registry_destroy(inherited);
	sh_registry_destroy(r);
	return 0;
}

#ifdef SHUNT_INJECT
/* Forks while another thread sits inside a read section: the worst that a child can inherit. */
static void test_fork(void **state)
{
	static struct shared s;
	pthread_t holder;
	int status = -1;
	void *ok;
	pid_t pid;

	(void)state;
	assert_int_equal(sh_registry_create(&s.r), 0);
	assert_int_equal(sh_registry_put(s.r, "here", 1), 0);
	assert_int_equal(sh_registry_put(s.r, "held", 4711), 0);
	sh_inject_set(hold, &s);
	sh_a32_store_rlx(&s.started, HOLD);
	assert_int_equal(pthread_create(&holder, NULL, held_reader, &s), 0);
	while (sh_a32_load_rlx(&s.started) != HELD)
		sched_yield();
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0) {
		(void)alarm(60); /* a hang is a failure */
		_exit(child(s.r));
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	sh_a32_store_rlx(&s.stop, 1);
	assert_int_equal(pthread_join(holder, &ok), 0);
	assert_true((uintptr_t)ok);
	sh_inject_set(NULL, NULL);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_true(sh_registry_find(s.r, "here", NULL));
	assert_int_equal(sh_registry_remove(s.r, "here"), 0);
	sh_registry_destroy(s.r);
}

#else
static void test_fork(void **state)
{
	(void)state;
	skip();
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_grace),
		cmocka_unit_test(test_fork),
	};
	const char *env = getenv("SHUNT_SEED");

	seed = env != NULL ? strtoull(env, NULL, 0) : 1;
	printf("seed %llu (SHUNT_SEED)\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
