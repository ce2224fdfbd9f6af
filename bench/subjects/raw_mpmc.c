/*
 * bench/subjects/raw_mpmc.c - no scheduler at all: one bounded many-to-many ring (bench/limits/rings.h), spinning
 * consumers. What any dispatch through shared memory costs on this machine. It cannot spawn without end into a
 * bounded ring.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "harness/clock.h"
#include "harness/subject.h"
#include "harness/sys.h"
#include "limits/rings.h"

#define WORKERS_MAX 256u

struct pool {
	struct raw_mpmc ring;
	alignas(64) _Atomic bool quit;
	unsigned workers;
	pthread_t thread[WORKERS_MAX];
};

struct start {
	struct pool *pool;
	int cpu;
};

static const char *version(void) { return "1"; }

static void *worker_main(void *arg)
{
	struct start *s = arg;
	struct pool *p = s->pool;
	struct raw_item item;

	(void)bench_pin(&s->cpu, 1);
	free(s);
	while (!atomic_load_explicit(&p->quit, memory_order_relaxed)) { /* bound: close */
		if (raw_mpmc_pop(&p->ring, &item))
			item.fn(item.arg);
	}
	return NULL;
}

static void *raw_open(const struct bench_setup *setup)
{
	struct pool *p = bench_alloc(1, sizeof(*p));

	raw_mpmc_init(&p->ring);
	for (p->workers = 0; p->workers < setup->workers; p->workers++) {
		struct start *s = bench_alloc(1, sizeof(*s));

		*s = (struct start){ p, setup->cpus[p->workers] };
		if (pthread_create(&p->thread[p->workers], NULL, worker_main, s) != 0)
			bench_die("no thread for worker %u", p->workers);
	}
	return p;
}

static void raw_submit(void *self, bench_fn fn, void *arg)
{
	struct pool *p = self;
	const struct raw_item item = { fn, arg };

	for (unsigned i = 1; !raw_mpmc_push(&p->ring, item); i++) /* bound: consumers free a slot */
		if (i % 1000 == 0)
			(void)sched_yield();
}

static void raw_close(void *self)
{
	struct pool *p = self;

	atomic_store(&p->quit, true);
	for (unsigned i = 0; i < p->workers; i++)
		(void)pthread_join(p->thread[i], NULL);
	free(p);
}

static const char *const idle_modes[] = { "poll", NULL };
const char *const bench_cannot[] = { "B4", NULL };

const struct bench_subject bench_subject = {
	.name = "raw_mpmc",
	.version = version,
	.idle_policy = "consumers spin without a pause",
	.idle_modes = idle_modes,
	.open = raw_open,
	.submit = raw_submit,
	.close = raw_close,
};
