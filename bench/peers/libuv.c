/*
 * bench/peers/libuv.c - libuv: a loop in a thread of its own for each worker. uv_async_send is the one call that
 * other threads may make, and it carries no data, so a job goes into a list of the loop under a mutex, in turn to
 * each loop, and the loop is woken; the callback takes the whole list. uv_queue_work would be slower here: only a
 * loop's own thread may call it, so a job would go through a loop first, then to a thread behind a mutex, and come
 * back.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <uv.h>

#include "harness/subject.h"
#include "harness/sys.h"

#define ITEMS_FIRST 256u

struct item {
	bench_fn fn;
	void *arg;
};

struct list {
	struct item *item;
	size_t n, room;
};

struct loop {
	uv_loop_t uv;
	uv_async_t bell;
	pthread_mutex_t lock;
	struct list in;  /* lock */
	struct list now; /* the loop's thread: what it works at */
	bool quit;       /* lock */
	int cpu;
	pthread_t thread;
};

struct pool {
	unsigned workers;
	struct loop **loop;
};

/* The next loop of each thread that submits: in turn. */
static _Thread_local unsigned turn;
/* The loop whose thread this is. */
static _Thread_local struct loop *mine;

static const char *version(void) { return uv_version_string(); }

static void put(struct list *l, struct item item)
{
	if (l->n == l->room) {
		size_t room = l->room ? 2 * l->room : ITEMS_FIRST;
		struct item *wider = realloc(l->item, room * sizeof(*wider));

		if (!wider)
			bench_die("out of memory");
		l->item = wider;
		l->room = room;
	}
	l->item[l->n++] = item;
}

static void rung(uv_async_t *bell)
{
	struct loop *l = bell->data;
	bool quit;

	for (;;) { /* bound: what is submitted */
		struct list taken;

		(void)pthread_mutex_lock(&l->lock);
		taken = l->in;
		l->in = l->now;
		l->in.n = 0;
		quit = l->quit;
		(void)pthread_mutex_unlock(&l->lock);
		l->now = taken;
		if (taken.n == 0)
			break;
		for (size_t i = 0; i < taken.n; i++)
			taken.item[i].fn(taken.item[i].arg);
	}
	if (quit)
		uv_close((uv_handle_t *)bell, NULL);
}

static void *loop_main(void *arg)
{
	struct loop *l = arg;

	(void)bench_pin(&l->cpu, 1);
	mine = l;
	(void)uv_run(&l->uv, UV_RUN_DEFAULT);
	return NULL;
}

static void *pool_open(const struct bench_setup *setup)
{
	struct pool *p = bench_alloc(1, sizeof(*p));

	p->workers = setup->workers;
	p->loop = bench_alloc(p->workers, sizeof(struct loop *));
	for (unsigned i = 0; i < p->workers; i++) {
		struct loop *l = bench_alloc(1, sizeof(*l));

		p->loop[i] = l;
		l->cpu = setup->cpus[i];
		(void)pthread_mutex_init(&l->lock, NULL);
		if (uv_loop_init(&l->uv) != 0 || uv_async_init(&l->uv, &l->bell, rung) != 0)
			bench_die("no loop for worker %u", i);
		l->bell.data = l;
		if (pthread_create(&l->thread, NULL, loop_main, l) != 0)
			bench_die("no thread for worker %u", i);
	}
	return p;
}

/* One of a loop's own jobs needs no bell: the callback looks again before it ends. */
static void give(struct loop *l, bench_fn fn, void *const *args, unsigned n)
{
	(void)pthread_mutex_lock(&l->lock);
	for (unsigned i = 0; i < n; i++)
		put(&l->in, (struct item){ fn, args[i] });
	(void)pthread_mutex_unlock(&l->lock);
	if (l != mine)
		(void)uv_async_send(&l->bell);
}

static void pool_submit_batch(void *self, bench_fn fn, void *const *args, unsigned n)
{
	struct pool *p = self;

	give(p->loop[turn++ % p->workers], fn, args, n);
}

static void pool_submit(void *self, bench_fn fn, void *arg) { pool_submit_batch(self, fn, &arg, 1); }

static void pool_close(void *self)
{
	struct pool *p = self;

	for (unsigned i = 0; i < p->workers; i++) {
		struct loop *l = p->loop[i];

		(void)pthread_mutex_lock(&l->lock);
		l->quit = true;
		(void)pthread_mutex_unlock(&l->lock);
		(void)uv_async_send(&l->bell);
		(void)pthread_join(l->thread, NULL);
		(void)uv_loop_close(&l->uv);
		(void)pthread_mutex_destroy(&l->lock);
		free(l->in.item);
		free(l->now.item);
		free(l);
	}
	free(p->loop);
	free(p);
}

static const char *const idle_modes[] = { "default", NULL };

const struct bench_subject bench_subject = {
	.name = "libuv",
	.version = version,
	.idle_policy = "each worker is a thread with a loop, asleep in epoll_wait at once, woken by uv_async_send",
	.idle_modes = idle_modes,
	.open = pool_open,
	.submit = pool_submit,
	.submit_batch = pool_submit_batch,
	.close = pool_close,
};
