/* bench/harness/sys.c - see sys.h, and the helpers for subjects of subject.h. SPDX-License-Identifier: MIT */
#include "sys.h"

#include <pthread.h>
#include <sched.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "stats.h"
#include "subject.h"

#define LINE 64u
#define BALL_SAMPLES 40u
#define BALL_ROUNDS 200u
#define BALL_LIMIT_NS 500000000u
#define BALL_QUIT UINT32_MAX

const char *bench_name = "bench";

static cpu_set_t allowed;

void bench_sys_setup(void)
{
	CPU_ZERO(&allowed);
	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		CPU_SET(0, &allowed);
}

unsigned bench_cpus(int cpus[BENCH_CPUS_MAX])
{
	unsigned n = 0;

	for (unsigned i = 0; i < CPU_SETSIZE && n < BENCH_CPUS_MAX; i++)
		if (CPU_ISSET(i, &allowed))
			cpus[n++] = (int)i;
	return n;
}

int bench_pin(const int *cpus, unsigned n)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (unsigned i = 0; i < n; i++)
		CPU_SET((size_t)cpus[i], &set);
	return pthread_setaffinity_np(pthread_self(), sizeof(set), &set) == 0 ? 0 : -1;
}

void bench_unpin(void) { (void)pthread_setaffinity_np(pthread_self(), sizeof(allowed), &allowed); }

void bench_die(const char *format, ...)
{
	va_list args;

	(void)fprintf(stderr, "%s: ", bench_name);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
	_Exit(1); /* threads of the subject may be in any state */
}

void bench_nap(uint64_t ns)
{
	struct timespec ts = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };

	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

void *bench_alloc(size_t n, size_t size)
{
	size_t bytes = (n * size + LINE - 1) / LINE * LINE;
	void *p = n < SIZE_MAX / size ? aligned_alloc(LINE, bytes ? bytes : LINE) : NULL;

	if (!p)
		bench_die("out of memory: %zu x %zu bytes", n, size);
	(void)memset(p, 0, bytes);
	return p;
}

static uint64_t cpu_ns(clockid_t id)
{
	struct timespec ts = { 0, 0 };

	(void)clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t bench_cpu_process_ns(void) { return cpu_ns(CLOCK_PROCESS_CPUTIME_ID); }

uint64_t bench_cpu_thread_ns(void) { return cpu_ns(CLOCK_THREAD_CPUTIME_ID); }

struct court {
	alignas(LINE) _Atomic uint32_t ball; /* odd = side A's turn is over */
	alignas(LINE) int cpu_b;
	uint64_t until_ns;
};

/* Until the ball is `want`; false when the other side quit or time is over. */
static bool await_ball(struct court *c, uint32_t want)
{
	for (uint32_t i = 1;; i++) { /* bound: until_ns */
		uint32_t v = atomic_load_explicit(&c->ball, memory_order_acquire);

		if (v == want)
			return true;
		if (v == BALL_QUIT || (i % 4096 == 0 && bench_mono_ns() > c->until_ns))
			return false;
	}
}

static void *side_b(void *arg)
{
	struct court *c = arg;

	(void)bench_pin(&c->cpu_b, 1);
	for (uint32_t turn = 0; await_ball(c, turn + 1); turn += 2) { /* bound: side A's samples */
		uint32_t seen = turn + 1;

		if (!atomic_compare_exchange_strong(&c->ball, &seen, turn + 2))
			break; /* side A quit meanwhile */
	}
	return NULL;
}

static size_t side_a(struct court *c, double *sample)
{
	uint32_t turn = 0;
	size_t n = 0;

	while (n < BALL_SAMPLES) {
		uint64_t start = bench_ticks();

		for (uint32_t i = 0; i < BALL_ROUNDS; i++, turn += 2) {
			atomic_store_explicit(&c->ball, turn + 1, memory_order_release);
			if (!await_ball(c, turn + 2))
				goto out;
		}
		sample[n++] = bench_ns(bench_ticks() - start) / (2.0 * BALL_ROUNDS);
	}
out:
	atomic_store_explicit(&c->ball, BALL_QUIT, memory_order_release);
	return n;
}

double bench_pingpong_ns(int cpu_a, int cpu_b)
{
	struct court court = { 0 };
	double sample[BALL_SAMPLES];
	pthread_t b;
	size_t n;

	if (cpu_a == cpu_b)
		return 0;
	court.cpu_b = cpu_b;
	court.until_ns = bench_mono_ns() + BALL_LIMIT_NS;
	if (pthread_create(&b, NULL, side_b, &court) != 0)
		return 0;
	(void)bench_pin(&cpu_a, 1);
	n = side_a(&court, sample);
	(void)pthread_join(b, NULL);
	bench_unpin();
	bench_sort(sample, n);
	return bench_quantile(sample, n, 0.5);
}
