/*
 * Control calls beside each other: what one of them waits for holds up no other.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/error.h>
#include <shunt/snapshot.h>

#include "base/inject.h"
#include "sched/world.h"

#ifdef SHUNT_INJECT
/* One thread stands at a point inside the library, a second one destroys what that may still use, a third one calls. */
struct standing {
	const char *point; /* where; NULL = in a hook of the pool */
	struct tu_gate gate;
	struct shunt_runtime *rt;
	struct shunt_pool_id keep, gone;
	struct shunt_type_id used, unused;
	bool pool; /* `gone` is destroyed, else `unused` */
	atomic_uint ran;
	atomic_int rc, destroyed, called; /* 1 = done */
};

static int stand_at(void *arg, const char *point)
{
	struct standing *s = arg;

	if (s->point && strcmp(point, s->point) == 0 && atomic_load(&s->gate.arrived) == 0)
		tu_gate_pass(&s->gate);
	return 0;
}

static void stand_in_hook(void *arg, uint32_t worker)
{
	(void)worker;
	tu_gate_pass(arg);
}

static void *stander(void *arg)
{
	struct standing *s = arg;
	struct shunt_job_spec spec = tu_spec(s->used, &s->ran);
	struct shunt_type_id id;

	if (strcmp(s->point, "registry_found") == 0)
		atomic_store(&s->rc, shunt_type_find(s->rt, "used", &id));
	else
		atomic_store(&s->rc, shunt_submit(s->rt, &spec, NULL));
	return NULL;
}

static void *destroyer(void *arg)
{
	struct standing *s = arg;
	int rc = s->pool ? shunt_pool_destroy(s->rt, s->gone) : shunt_type_destroy(s->rt, s->unused, TU_LONG_NS);

	atomic_store(&s->destroyed, rc == 0 ? 1 : rc);
	return NULL;
}

static void *caller(void *arg)
{
	struct standing *s = arg;
	struct shunt_pool_opts po = tu_pool_opts("more", 1);
	struct shunt_snapshot *snap = NULL;
	struct shunt_pool_id more = { 0 };
	int rc = shunt_pool_create(s->rt, &po, &more);

	/* the entry of a pool that is not freed yet is nobody else's */
	if (rc == 0 && s->pool && sh_id_index(more.v) == sh_id_index(s->gone.v))
		rc = -1;
	if (rc == 0)
		rc = shunt_snapshot_create(s->rt, &snap);
	shunt_snapshot_destroy(snap);
	atomic_store(&s->called, rc == 0 ? 1 : rc);
	return NULL;
}

static void destroy_beside(const char *point, bool pool)
{
	struct standing s = { .point = point, .pool = pool };
	struct shunt_pool_opts po = tu_pool_opts("gone", 1);
	pthread_t thread[3];
	struct shunt_pool_id id;
	struct shunt_type_id type;

	s.rt = tu_runtime();
	s.keep = tu_pool(s.rt, "keep", 1);
	if (!point) {
		po.on_stop = stand_in_hook;
		po.hook_arg = &s.gate;
	}
	s.gone = tu_pool_with(s.rt, &po);
	s.used = tu_type(s.rt, s.keep, "used", tu_count_job);
	s.unused = tu_type(s.rt, s.keep, "unused", tu_count_job);
	sh_inject_set(stand_at, &s);
	if (point) {
		assert_int_equal(pthread_create(&thread[0], NULL, stander, &s), 0);
		tu_wait_until(atomic_load(&s.gate.arrived) == 1);
	}
	assert_int_equal(pthread_create(&thread[1], NULL, destroyer, &s), 0);
	tu_wait_until(pool ? shunt_pool_find(s.rt, "gone", &id) != 0 : shunt_type_find(s.rt, "unused", &type) != 0);
	assert_int_equal(pthread_create(&thread[2], NULL, caller, &s), 0);
	(void)tu_until(atomic_load(&s.called) != 0);
	assert_int_equal(atomic_load(&s.called), 1);
	assert_int_equal(atomic_load(&s.destroyed), 0);
	atomic_store(&s.gate.open, 1);
	for (uint32_t i = point ? 0 : 1; i < 3; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	sh_inject_set(NULL, NULL);
	assert_int_equal(atomic_load(&s.destroyed), 1);
	assert_int_equal(atomic_load(&s.rc), 0);
	assert_int_equal(shunt_pool_find(s.rt, "more", &id), 0);
	assert_int_equal(shunt_pool_destroy(s.rt, id), 0);
	tu_close(s.rt);
}

/* A call that waits for readers, submitters or a pool's threads holds up no other. */
static void test_destroy_holds_up_nobody(void **state)
{
	(void)state;
	destroy_beside("registry_found", false);
	destroy_beside("submit.before_enqueue", true);
	destroy_beside(NULL, true);
}
#else
static void test_destroy_holds_up_nobody(void **state)
{
	(void)state;
	skip();
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_destroy_holds_up_nobody),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
