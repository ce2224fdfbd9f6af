/*
 * model/native.c - runs a client file as an ordinary program: real threads, real atomics, no explorer. Linked with one
 * file of model/clients/ and the runtime files that it needs; started by the test suite, also under sanitizers, and the
 * shape in which another model checker can take the same clients (MODEL_ROUNDS=1: no barrier, no delays).
 *
 * usage: PROGRAM [--client NAME] [--rounds N]      also MODEL_ROUNDS, SHUNT_SEED (of the small random delays)
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client.h"

#define ROUNDS_DEFAULT 1000ul
#define ROUNDS_MS 5000ul /* rounds that were not asked for end after this */
#define BLOCKS_MAX 256u
#define DELAY_MAX 256u

struct start {
	void (*fn)(void);
	pthread_barrier_t *barrier; /* NULL = start at once */
	unsigned delay;             /* idle turns after the barrier */
};

static const char *current = "none";
static unsigned long current_round;
static void *blocks[BLOCKS_MAX];
static size_t blocks_n;
static pthread_mutex_t blocks_lock = PTHREAD_MUTEX_INITIALIZER;
static bool verbose;

void client_fail(const char *what, const char *file, int line)
{
	(void)fflush(stdout);
	(void)fprintf(stderr, "FAIL %s round %lu: %s:%d: %s\n", current, current_round, file, line, what);
	_Exit(1);
}

void client_relax(void)
{
	(void)sched_yield();
}

void *client_alloc(unsigned long bytes)
{
	size_t size = (bytes + 63u) / 64u * 64u;
	void *p = aligned_alloc(64, size == 0 ? 64 : size);

	client_assert(p != NULL);
	memset(p, 0, size);
	(void)pthread_mutex_lock(&blocks_lock);
	client_assert(blocks_n < BLOCKS_MAX);
	blocks[blocks_n++] = p;
	(void)pthread_mutex_unlock(&blocks_lock);
	return p;
}

void client_note(const char *format, ...)
{
	va_list args;

	if (!verbose)
		return;
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
}

static void *run_thread(void *arg)
{
	const struct start *s = arg;
	unsigned i;

	if (s->barrier != NULL)
		(void)pthread_barrier_wait(s->barrier);
	for (i = 0; i < s->delay; i++)
		__asm__ __volatile__("" ::
					     : "memory");
	s->fn();
	return NULL;
}

static void run_round(const struct client *c, bool alone, unsigned *seed)
{
	struct start starts[CLIENT_THREADS_MAX];
	pthread_t threads[CLIENT_THREADS_MAX];
	pthread_barrier_t barrier;
	unsigned n = 0, i;

	c->setup();
	for (i = 0; i < CLIENT_THREADS_MAX; i++) {
		if (c->thread[i] == NULL)
			continue;
		starts[n].fn = c->thread[i];
		starts[n].barrier = alone ? NULL : &barrier;
		starts[n].delay = alone ? 0 : (unsigned)rand_r(seed) % DELAY_MAX;
		n++;
	}
	client_assert(n > 0);
	if (!alone)
		client_assert(pthread_barrier_init(&barrier, NULL, n) == 0);
	for (i = 0; i < n; i++)
		client_assert(pthread_create(&threads[i], NULL, run_thread, &starts[i]) == 0);
	for (i = 0; i < n; i++)
		client_assert(pthread_join(threads[i], NULL) == 0);
	if (!alone)
		(void)pthread_barrier_destroy(&barrier);
	if (c->check != NULL)
		c->check();
	if (c->teardown != NULL)
		c->teardown();
	while (blocks_n > 0)
		free(blocks[--blocks_n]);
}

static unsigned long number(const char *text, unsigned long otherwise)
{
	char *end = NULL;
	unsigned long n = text == NULL ? 0 : strtoul(text, &end, 10);

	return text == NULL || *text == 0 || *end != 0 ? otherwise : n;
}

static unsigned long elapsed_ms(const struct timespec *since)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (unsigned long)((now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000);
}

int main(int argc, char **argv)
{
	unsigned long rounds = number(getenv("MODEL_ROUNDS"), 0);
	unsigned seed = (unsigned)number(getenv("SHUNT_SEED"), 1);
	const char *only = NULL;
	unsigned ran = 0;
	bool asked;
	int i;

	for (i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--client") == 0)
			only = argv[i + 1];
		else if (strcmp(argv[i], "--rounds") == 0 && number(argv[i + 1], 0) != 0)
			rounds = number(argv[i + 1], 0);
		else
			break;
	}
	asked = rounds != 0;
	rounds = asked ? rounds : ROUNDS_DEFAULT;
	if (i < argc) {
		(void)fprintf(stderr, "usage: %s [--client NAME] [--rounds N]\n", argv[0]);
		return 2;
	}
	verbose = rounds == 1;
	for (i = 0; clients[i].name != NULL; i++) {
		struct timespec since;

		if (clients[i].fails || (only != NULL && strcmp(only, clients[i].name) != 0))
			continue;
		current = clients[i].name;
		(void)clock_gettime(CLOCK_MONOTONIC, &since);
		for (current_round = 1; current_round <= rounds; current_round++) {
			run_round(&clients[i], rounds == 1, &seed);
			if (!asked && elapsed_ms(&since) > ROUNDS_MS)
				break;
		}
		if (current_round > rounds)
			current_round = rounds;
		(void)printf("ok %-24s %lu rounds %lu ms: %s\n", current, current_round, elapsed_ms(&since),
			     clients[i].shows);
		ran++;
	}
	if (ran == 0) {
		(void)fprintf(stderr, "no such client\n");
		return 2;
	}
	return 0;
}
