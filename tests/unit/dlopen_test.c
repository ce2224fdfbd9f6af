/*
 * The shared library comes and goes: loaded, used, unloaded, twenty times, while one thread lives through all of it.
 * LIBSHUNT names the library; without it the test is skipped.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <dlfcn.h>

#include <shunt/error.h>

#define ROUNDS 20u

/* The calls, by name; a data pointer is copied into each because ISO C knows no conversion. */
struct api {
	void *so;
	int (*runtime_create)(struct shunt_runtime **, const struct shunt_runtime_opts *);
	int (*pool_create)(struct shunt_runtime *, const struct shunt_pool_opts *, struct shunt_pool_id *);
	int (*type_create)(struct shunt_runtime *, const struct shunt_type_opts *, struct shunt_type_id *);
	int (*submit)(struct shunt_runtime *, const struct shunt_job_spec *, struct shunt_job_id *);
	int (*wait)(struct shunt_runtime *, struct shunt_job_id, uint64_t, struct shunt_result *);
	int (*drain)(struct shunt_runtime *, uint64_t, uint64_t *);
	int (*destroy)(struct shunt_runtime *, uint64_t *);
};

static void load_one(const struct api *api, const char *name, void *slot)
{
	void *p = dlsym(api->so, name);

	assert_non_null(p);
	memcpy(slot, &p, sizeof(p));
}

static void load(struct api *api, const char *path)
{
	api->so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!api->so)
		fail_msg("dlopen: %s", dlerror());
	load_one(api, "shunt_runtime_create", &api->runtime_create);
	load_one(api, "shunt_pool_create", &api->pool_create);
	load_one(api, "shunt_type_create", &api->type_create);
	load_one(api, "shunt_submit", &api->submit);
	load_one(api, "shunt_wait", &api->wait);
	load_one(api, "shunt_runtime_drain", &api->drain);
	load_one(api, "shunt_runtime_destroy", &api->destroy);
}

struct turn { /* what the long-lived thread does each round; number counts up */
	atomic_uint asked, answered;
	struct api *api;
	struct shunt_runtime *rt;
	struct shunt_type_id type;
	atomic_uint n;
	atomic_uint bad;
};

static void work(struct turn *t)
{
	struct shunt_job_spec s = tu_spec(t->type, &t->n);
	struct shunt_job_id id;
	uint32_t i;

	for (i = 0; i < 20; i++)
		if (t->api->submit(t->rt, &s, NULL) != 0)
			(void)atomic_fetch_add(&t->bad, 1);
	if (t->api->submit(t->rt, &s, &id) != 0 || t->api->wait(t->rt, id, TU_LONG_NS, NULL) != 0)
		(void)atomic_fetch_add(&t->bad, 1);
}

static void *long_lived(void *arg)
{
	struct turn *t = arg;
	uint32_t round;

	for (round = 1; round <= ROUNDS; round++) {
		if (!tu_until(atomic_load(&t->asked) >= round))
			break;
		work(t);
		atomic_store(&t->answered, round);
	}
	return NULL;
}

static void *short_lived(void *arg)
{
	work(arg);
	return NULL;
}

static void test_come_and_go(void **state)
{
	const char *path = getenv("LIBSHUNT");
	static struct turn t;
	static struct api api;
	pthread_t thread, brief;
	uint32_t round;

	(void)state;
	t.api = &api;
	assert_int_equal(pthread_create(&thread, NULL, long_lived, &t), 0);
	for (round = 1; round <= ROUNDS; round++) {
		struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
		struct shunt_pool_opts po = tu_pool_opts("main", 2);
		struct shunt_type_opts to = SHUNT_TYPE_OPTS_INIT;

		load(&api, path);
		ro.jobs_max = 1024;
		assert_int_equal(api.runtime_create(&t.rt, &ro), 0);
		assert_int_equal(api.pool_create(t.rt, &po, &to.pool), 0);
		to.name = "count";
		to.handler = tu_count_job;
		assert_int_equal(api.type_create(t.rt, &to, &t.type), 0);
		atomic_store(&t.n, 0);
		atomic_store(&t.asked, round);
		assert_int_equal(pthread_create(&brief, NULL, short_lived, &t), 0);
		work(&t);
		(void)pthread_join(brief, NULL);
		tu_wait_until(atomic_load(&t.answered) == round);
		assert_int_equal(api.drain(t.rt, TU_LONG_NS, NULL), 0);
		assert_int_equal(atomic_load(&t.n), 63);
		assert_int_equal(api.destroy(t.rt, NULL), 0);
		assert_int_equal(dlclose(api.so), 0);
	}
	(void)pthread_join(thread, NULL); /* its end must not run into the unloaded library */
	assert_int_equal(atomic_load(&t.bad), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_come_and_go),
	};

	if (!getenv("LIBSHUNT")) {
		(void)printf("skipped: LIBSHUNT does not name the shared library\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
