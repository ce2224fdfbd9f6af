/* stress/churn.c - see churn.h. SPDX-License-Identifier: MIT */
#include "churn.h"

#include <string.h>

#include "stress_util.h"

static struct churn *churn; /* sync: const while its threads run */

static void side_submit(uint64_t number)
{
	struct shunt_job_spec spec = { 0 };
	int rc;

	spec.type = churn->bulk;
	spec.arg = (void *)(uintptr_t)number;
	rc = shunt_submit(churn->rt, &spec, NULL);
	STRESS_CHECK(rc == 0 || rc == SHUNT_EFULL || rc == SHUNT_ESTOPPED || rc == SHUNT_ETIMEDOUT, "submit: %d", rc);
	if (rc != 0)
		return;
	(void)sh_a64_add_sc(&churn->accepted, 1);
	(void)sh_a64_add_sc(&churn->hash, sh_mix64(number));
}

static pthread_key_t late_key; /* made after the library's own key: its destructor runs after the library's */
static bool late_key_made;

static void late_submit(void *arg)
{
	uint32_t i;

	for (i = 0; i < 16; i++)
		side_submit((uint64_t)(uintptr_t)arg + i);
}

static void *short_lived(void *arg)
{
	uint64_t base = (uint64_t)(uintptr_t)arg;
	uint32_t i;

	(void)pthread_setspecific(late_key, (void *)(uintptr_t)(base + 1000));
	for (i = 0; i < 20; i++)
		side_submit(base + i);
	return NULL;
}

/* Threads that come, submit and go, so that submitter slots change hands; also from their thread-end hooks. */
static void *thread_churn(void *arg)
{
	uint64_t n = (uint64_t)(uintptr_t)arg;

	while (!sh_a32_load_sc(&churn->stop)) {
		pthread_t t[4];
		uint32_t made = 0;

		while (made < 4 && pthread_create(&t[made], NULL, short_lived, (void *)(uintptr_t)(++n * 65536u)) == 0)
			made++;
		while (made > 0)
			(void)pthread_join(t[--made], NULL);
		stress_pause_ns(500000);
	}
	return NULL;
}

static int run_churned(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	(void)sh_a64_add_sc(&churn->pool_ran, 1);
	return SHUNT_DONE;
}

static sh_a32 churn_type; /* what the other thread submits to, 0 = none */

static void *churn_submitter(void *arg)
{
	(void)arg;
	while (!sh_a32_load_sc(&churn->stop)) {
		struct shunt_job_spec spec = { 0 };
		int rc;

		spec.type.v = sh_a32_load_sc(&churn_type);
		rc = spec.type.v ? shunt_submit(churn->rt, &spec, NULL) : SHUNT_ENOENT;
		STRESS_CHECK(rc == 0 || rc == SHUNT_ENOENT || rc == SHUNT_EFULL || rc == SHUNT_ESTOPPED,
			"submit to a closing type: %d", rc);
		if (rc == 0)
			(void)sh_a64_add_sc(&churn->pool_accepted, 1);
		else
			stress_pause_ns(20000);
	}
	return NULL;
}

/* Pools and types that come and go while another thread submits to them. */
static void *pool_churn(void *arg)
{
	uint32_t n = 0;

	(void)arg;
	while (!sh_a32_load_sc(&churn->stop)) {
		struct shunt_pool_opts po = SHUNT_POOL_OPTS_INIT;
		struct shunt_type_opts to = SHUNT_TYPE_OPTS_INIT;
		struct shunt_pool_id pool;
		struct shunt_type_id type;
		int rc;

		po.name = "churn";
		po.workers = 1 + n % 2;
		po.pin = SHUNT_PIN_NONE;
		po.idle = SHUNT_IDLE_PARK;
		po.ring_capacity = 2;
		rc = shunt_pool_create(churn->rt, &po, &pool);
		STRESS_CHECK(rc == 0, "pool create: %d", rc);
		to.name = "churned";
		to.pool = pool;
		to.handler = run_churned;
		rc = shunt_type_create(churn->rt, &to, &type);
		STRESS_CHECK(rc == 0, "type create: %d", rc);
		STRESS_CHECK(shunt_pool_destroy(churn->rt, pool) == SHUNT_EBUSY, "a pool with a type was removed");
		sh_a32_store_sc(&churn_type, type.v);
		stress_pause_ns(300000u * (1 + n % 5));
		rc = shunt_type_destroy(churn->rt, type, SHUNT_FOREVER);
		STRESS_CHECK(rc == 0, "type destroy: %d", rc);
		rc = shunt_pool_destroy(churn->rt, pool);
		STRESS_CHECK(rc == 0, "pool destroy: %d", rc);
		n++;
	}
	return NULL;
}

static void *drain_churn(void *arg)
{
	struct sh_rng rng;

	sh_rng_init(&rng, (uint64_t)(uintptr_t)arg);
	while (!sh_a32_load_sc(&churn->stop)) {
		int rc;

		stress_pause_ns(1000000u * (1 + sh_rng_below(&rng, 10)));
		rc = shunt_runtime_drain(churn->rt, 1000000u * sh_rng_below(&rng, 20), NULL);
		STRESS_CHECK(rc == 0 || rc == SHUNT_ETIMEDOUT, "drain: %d", rc);
		STRESS_CHECK(shunt_runtime_resume(churn->rt) == 0, "resume");
	}
	return NULL;
}

static void *snapshot_churn(void *arg)
{
	(void)arg;
	while (!sh_a32_load_sc(&churn->stop)) {
		struct shunt_snapshot *s = NULL;
		size_t i;
		int rc = shunt_snapshot_create(churn->rt, &s);

		STRESS_CHECK(rc == 0, "snapshot: %d", rc);
		for (i = 0; i < shunt_snapshot_pool_count(s); i++)
			STRESS_CHECK(shunt_snapshot_pool_at(s, i)->finished <= shunt_snapshot_pool_at(s, i)->submitted,
				"more jobs finished than were submitted");
		shunt_snapshot_destroy(s);
		stress_pause_ns(3000000);
	}
	return NULL;
}

static const struct {
	void *(*main)(void *arg);
	const char *part;
} parts[CHURN_THREADS] = {
	{ thread_churn, "threads" },
	{ pool_churn, "pools" },
	{ churn_submitter, "pools" },
	{ drain_churn, "drain" },
	{ snapshot_churn, "snapshots" },
};

void churn_start(struct churn *c, struct sh_rng *rng)
{
	uint32_t i;

	churn = c;
	sh_a32_store_sc(&churn_type, 0);
	if (!late_key_made) /* now, after the library made its own */
		STRESS_CHECK(pthread_key_create(&late_key, late_submit) == 0, "key");
	late_key_made = true;
	for (i = 0; i < CHURN_THREADS; i++) {
		uint32_t salt = (uint32_t)sh_rng_next(rng) | 1u;

		c->made[i] = !stress_skip(parts[i].part) && (parts[i].main != drain_churn || c->drains);
		if (c->made[i])
			STRESS_CHECK(pthread_create(&c->thread[i], NULL, parts[i].main, (void *)(uintptr_t)salt) == 0,
				"thread create");
	}
}

void churn_stop(struct churn *c)
{
	uint32_t i;

	sh_a32_store_sc(&c->stop, 1);
	for (i = 0; i < CHURN_THREADS; i++)
		if (c->made[i])
			(void)pthread_join(c->thread[i], NULL);
}
