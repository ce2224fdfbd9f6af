/*
 * stress/chaos_scen_ends.c - scenarios in which the process or its threads end in the middle of the work, or memory
 * does. See chaos_scenarios.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "chaos_load.h"
#include "chaos_scenarios.h"
#include "chaos_threads.h"

#define SHORT_LIVED 16u /* at a time */

/* ---- the process ends ---- */

static pthread_key_t main_key;
static sh_a32 main_ended;

static void note_end(void *arg)
{
	sh_a32_store_sc(arg, 1);
}

static _Noreturn void *finish_without_main(void *arg)
{
	(void)arg;
	while (sh_a32_load_sc(&main_ended) == 0)
		stress_pause_ns(50000);
	chaos_load_until_moved(50, "the main thread has ended; jobs go on");
	chaos_load_finish();
	exit(0);
}

/* The main thread ends in mid work; another one quiesces everything. */
static _Noreturn void end_main(struct chaos_submitter *own)
{
	pthread_t finisher;

	chaos_submitter_fini(own, false);
	STRESS_CHECK(pthread_key_create(&main_key, note_end) == 0, "key");
	STRESS_CHECK(pthread_setspecific(main_key, &main_ended) == 0, "key");
	STRESS_CHECK(pthread_create(&finisher, NULL, finish_without_main, NULL) == 0, "thread create");
	(void)pthread_detach(finisher);
	pthread_exit(NULL);
}

void chaos_inside_exit(struct chaos_child *c)
{
	struct chaos_submitter own;
	struct chaos_load_opts o;
	uint32_t turns = 200 + sh_rng_below(&c->rng, 2000);

	chaos_load_defaults(&o, &c->rng, c->seed, c->duration_ns);
	if (c->variant != 3)
		o.jobs_max = 16384; /* more queued than can run at once */
	chaos_load_start(&o);
	chaos_submitter_init(&own, CHAOS_SUBMITTERS_MAX, sh_rng_next(&c->rng));
	while (turns-- > 0)
		chaos_submitter_turn(&own);
	stress_pause_ns(sh_rng_below(&c->rng, (uint32_t)c->duration_ns));
	(void)sh_a64_add_rlx(&chaos_ledger->acts, 1);
	chaos_at("the process ends in mid work");
	switch (c->variant) {
	case 0:
		exit(0);
	case 1:
		_exit(0);
	case 2:
		for (;;) /* the parent kills us, at an instant of its own */
			chaos_load_until_moved(20, "to be killed; jobs go on");
	default:
		end_main(&own);
	}
}

/* ---- threads end ---- */

static sh_a32 short_lived;
static pthread_key_t late_key; /* made after the library's own: its destructor runs after the library's thread-end hook */

static void late_submit(void *arg)
{
	struct chaos_submitter s;
	uint32_t turns = 4;

	chaos_submitter_init(&s, CHAOS_SUBMITTERS_MAX, (uint64_t)(uintptr_t)arg);
	while (turns-- > 0)
		chaos_submitter_turn(&s);
	chaos_submitter_fini(&s, false);
	(void)sh_a32_sub_sc(&short_lived, 1);
}

static _Noreturn SH_NOINLINE void end_here(void)
{
	pthread_exit(NULL);
}

static void *short_lived_main(void *arg)
{
	struct chaos_submitter s;
	uint32_t turns;

	(void)pthread_setspecific(late_key, arg);
	chaos_submitter_init(&s, CHAOS_SUBMITTERS_MAX, (uint64_t)(uintptr_t)arg);
	for (turns = sh_rng_below(&s.rng, 40); turns > 0; turns--)
		chaos_submitter_turn(&s);
	chaos_submitter_fini(&s, sh_rng_below(&s.rng, 4) == 0);
	if (sh_rng_below(&s.rng, 2))
		end_here();
	return NULL;
}

static void start_short_lived(struct chaos_child *c)
{
	pthread_t t;

	(void)sh_a32_add_sc(&short_lived, 1);
	STRESS_CHECK(pthread_create(&t, NULL, short_lived_main, (void *)(uintptr_t)(sh_rng_next(&c->rng) | 1u)) == 0,
		     "thread create");
	(void)pthread_detach(t);
	(void)sh_a64_add_rlx(&chaos_ledger->acts, 1);
}

void chaos_inside_thread_ends(struct chaos_child *c)
{
	uint64_t end = shunt_now_ns() + c->duration_ns;
	struct chaos_load_opts o;

	chaos_load_defaults(&o, &c->rng, c->seed, c->duration_ns);
	o.submitters_max = 1 + sh_rng_below(&c->rng, 6); /* most of them find no slot, or another's */
	o.submitters = 2;
	chaos_load_start(&o);
	STRESS_CHECK(pthread_key_create(&late_key, late_submit) == 0, "key");
	while (shunt_now_ns() < end) {
		while (sh_a32_load_sc(&short_lived) < SHORT_LIVED)
			start_short_lived(c);
		chaos_load_until_moved(10, "threads come and go; jobs go on");
		stress_pause_ns(200000);
	}
	chaos_at("the last short-lived threads end");
	while (sh_a32_load_sc(&short_lived) != 0)
		stress_pause_ns(100000);
	chaos_load_finish();
}

/* ---- memory ends ---- */

const char *chaos_memory_unfit(void)
{
	return CHAOS_SANITIZED ? "a sanitizer needs the address space itself" : NULL;
}

/* Address space in use, without allocating. */
static uint64_t address_space(void)
{
	char text[64] = "";
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	STRESS_CHECK(n > 0, "/proc/self/statm");
	(void)close(fd);
	return strtoull(text, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void limit_set(uint64_t bytes)
{
	struct rlimit limit;

	STRESS_CHECK(getrlimit(RLIMIT_AS, &limit) == 0, "getrlimit");
	limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
	STRESS_CHECK(setrlimit(RLIMIT_AS, &limit) == 0, "setrlimit");
}

static void *nothing(void *arg)
{
	return arg;
}

/* Calls that need memory: all right, or the documented error. */
static void memory_calls(bool limited)
{
	struct shunt_pool_opts po = SHUNT_POOL_OPTS_INIT;
	struct shunt_runtime *other = NULL;
	struct shunt_snapshot *s = NULL;
	struct shunt_pool_id pool;
	pthread_t t;
	int rc;

	po.name = "guest";
	po.workers = 2;
	po.pin = SHUNT_PIN_NONE;
	rc = shunt_pool_create(chaos_load.rt, &po, &pool);
	STRESS_CHECK(rc == 0 || (limited && (rc == SHUNT_ENOMEM || rc == SHUNT_ESYS)), "pool create: %s",
		     shunt_error_name(rc));
	if (rc == 0)
		STRESS_CHECK(shunt_pool_destroy(chaos_load.rt, pool) == 0, "pool destroy");
	rc = shunt_snapshot_create(chaos_load.rt, &s);
	STRESS_CHECK(rc == 0 || (limited && rc == SHUNT_ENOMEM), "snapshot: %s", shunt_error_name(rc));
	if (rc == 0)
		shunt_snapshot_destroy(s);
	rc = shunt_runtime_create(&other, NULL);
	STRESS_CHECK(rc == 0 || (limited && (rc == SHUNT_ENOMEM || rc == SHUNT_ESYS)), "runtime create: %s",
		     shunt_error_name(rc));
	if (rc == 0)
		STRESS_CHECK(shunt_runtime_destroy(other, NULL) == 0, "runtime destroy");
	if (pthread_create(&t, NULL, nothing, NULL) == 0)
		(void)pthread_join(t, NULL);
}

void chaos_inside_memory(struct chaos_child *c)
{
	uint64_t end = shunt_now_ns() + c->duration_ns;
	struct chaos_load_opts o;

	chaos_load_defaults(&o, &c->rng, c->seed, c->duration_ns);
	o.cells_may_lack = true;
	o.jobs_max = sh_rng_below(&c->rng, 2) ? 64 : 512; /* the arena's limit is hit as well */
	chaos_load_start(&o);
	while (shunt_now_ns() < end) {
		uint64_t more = sh_rng_below(&c->rng, 4) == 0 ? 0 : sh_rng_below(&c->rng, 16u << 20);

		chaos_at("no memory beyond %llu more bytes", (unsigned long long)more);
		limit_set(address_space() + more);
		memory_calls(true);
		chaos_load_until_moved(20, "no more memory; jobs go on");
		limit_set(RLIM_INFINITY);
		chaos_at("memory is back");
		memory_calls(false);
		(void)sh_a64_add_rlx(&chaos_ledger->acts, 1);
	}
	chaos_load_finish();
}
