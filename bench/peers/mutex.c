/*
 * bench/peers/mutex.c - the pool that everybody writes: one queue, one mutex, one condition variable, pinned
 * threads. The queue grows when it is full; a submit signals only when somebody sleeps.
 *
 * SPDX-License-Identifier: MIT
 */
#include <gnu/libc-version.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness/subject.h"
#include "harness/sys.h"

#define WORKERS_MAX 256u
#define ROOM_FIRST 1024u /* power of two */

struct item {
	bench_fn fn;
	void *arg;
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct item *item; /* lock: room is a power of two, head and tail count on for ever */
	size_t room, head, tail;
	unsigned sleepers;
	bool quit;
	unsigned workers;
	pthread_t thread[WORKERS_MAX];
	int cpu[WORKERS_MAX];
	unsigned started;
};

static const char *version(void)
{
	static char text[64];

	(void)snprintf(text, sizeof(text), "glibc %s", gnu_get_libc_version());
	return text;
}

static void *worker_main(void *arg)
{
	struct pool *p = arg;

	(void)pthread_mutex_lock(&p->lock);
	(void)bench_pin(&p->cpu[p->started++], 1);
	for (;;) { /* bound: close */
		while (p->head == p->tail && !p->quit) {
			p->sleepers++;
			(void)pthread_cond_wait(&p->more, &p->lock);
			p->sleepers--;
		}
		if (p->head == p->tail)
			break;

		struct item job = p->item[p->head++ & (p->room - 1)];

		(void)pthread_mutex_unlock(&p->lock);
		job.fn(job.arg);
		(void)pthread_mutex_lock(&p->lock);
	}
	(void)pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void *pool_open(const struct bench_setup *setup)
{
	struct pool *p = bench_alloc(1, sizeof(*p));

	p->room = ROOM_FIRST;
	p->item = bench_alloc(p->room, sizeof(*p->item));
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_cond_init(&p->more, NULL);
	for (; p->workers < setup->workers; p->workers++)
		p->cpu[p->workers] = setup->cpus[p->workers];
	for (unsigned i = 0; i < p->workers; i++)
		if (pthread_create(&p->thread[i], NULL, worker_main, p) != 0)
			bench_die("no thread for worker %u", i);
	return p;
}

static void grow(struct pool *p)
{
	struct item *wider = bench_alloc(2 * p->room, sizeof(*wider));

	for (size_t i = p->head; i != p->tail; i++)
		wider[i & (2 * p->room - 1)] = p->item[i & (p->room - 1)];
	free(p->item);
	p->item = wider;
	p->room *= 2;
}

static void put(struct pool *p, bench_fn fn, void *arg)
{
	if (p->tail - p->head == p->room)
		grow(p);
	p->item[p->tail++ & (p->room - 1)] = (struct item){ fn, arg };
}

static void pool_submit(void *self, bench_fn fn, void *arg)
{
	struct pool *p = self;
	bool wake;

	(void)pthread_mutex_lock(&p->lock);
	put(p, fn, arg);
	wake = p->sleepers > 0;
	(void)pthread_mutex_unlock(&p->lock);
	if (wake)
		(void)pthread_cond_signal(&p->more);
}

static void pool_submit_batch(void *self, bench_fn fn, void *const *args, unsigned n)
{
	struct pool *p = self;
	bool wake;

	(void)pthread_mutex_lock(&p->lock);
	for (unsigned i = 0; i < n; i++)
		put(p, fn, args[i]);
	wake = p->sleepers > 0;
	(void)pthread_mutex_unlock(&p->lock);
	if (wake)
		(void)pthread_cond_broadcast(&p->more);
}

static void pool_close(void *self)
{
	struct pool *p = self;

	(void)pthread_mutex_lock(&p->lock);
	p->quit = true;
	(void)pthread_cond_broadcast(&p->more);
	(void)pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->workers; i++)
		(void)pthread_join(p->thread[i], NULL);
	(void)pthread_cond_destroy(&p->more);
	(void)pthread_mutex_destroy(&p->lock);
	free(p->item);
	free(p);
}

static const char *const idle_modes[] = { "default", NULL };

const struct bench_subject bench_subject = {
	.name = "mutex",
	.version = version,
	.idle_policy = "sleeps on the condition variable at once",
	.idle_modes = idle_modes,
	.open = pool_open,
	.submit = pool_submit,
	.submit_batch = pool_submit_batch,
	.close = pool_close,
};
