/*
 * shunt/common/limits.c - see limits.h. The waker (side A) keeps all samples; side B only answers.
 * Both sides stop after TIME_LIMIT_NS, so that a machine which runs them one after the other costs
 * time but does not hang.
 *
 * SPDX-License-Identifier: MIT
 */
#include "common/limits.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <shunt/error.h>
#include <shunt/job.h>
#include <shunt/topo.h>

#include "base/atomic.h"
#include "base/compiler.h"

#define CLOCK_BATCH 1000u
#define CLOCK_SAMPLES 50u
#define LINE_BATCH 200u
#define LINE_SAMPLES 200u
#define WAKE_SAMPLES 300u
#define SAMPLES_MAX 512u
/* after this the other side most likely sleeps; samples in which it did not are dropped */
#define ASLEEP_NS 60000
#define TIME_LIMIT_NS UINT64_C(1000000000)
#define QUIT UINT32_MAX

static const struct {
	const char *name, *key;
} names[LIMITS_COUNT] = {
	[LIMITS_CLOCK] = { "read the runtime's clock", "clock" },
	[LIMITS_CLOCK_KERNEL] = { "read CLOCK_MONOTONIC", "clock_monotonic" },
	[LIMITS_LINE] = { "cache line to another cpu, one way", "line_one_way" },
	[LIMITS_WAKE_CALL] = { "futex wake, the caller's cost", "wake_call" },
	[LIMITS_WAKE_RUN] = { "futex wake until the sleeper runs", "wake_run" },
};

struct pair {
	sh_a32 ball SH_ALIGNED(SH_CACHELINE); /* sync: atomic; odd = side A's turn is over */
	sh_a32 bed SH_ALIGNED(SH_CACHELINE);  /* sync: atomic; futex word, the number of the wake */
	sh_a64 woke_ns SH_ALIGNED(SH_CACHELINE); /* sync: atomic; 0 = B has not run yet */
	int cpu_a, cpu_b;
	struct limits *out;
	double line[SAMPLES_MAX], call[SAMPLES_MAX], run[SAMPLES_MAX];
	size_t lines, calls;
};

const char *limits_name(enum limits_what what)
{
	return names[what].name;
}

const char *limits_key(enum limits_what what)
{
	return names[what].key;
}

static int ascending(const void *a, const void *b)
{
	const double *x = a;
	const double *y = b;

	return (*x > *y) - (*x < *y);
}

static void sum_up(struct limits_value *v, double *sample, size_t n)
{
	(void)memset(v, 0, sizeof(*v));
	v->samples = n;
	if (n == 0)
		return;
	qsort(sample, n, sizeof(*sample), ascending);
	v->min_ns = sample[0];
	v->p50_ns = sample[n / 2];
	v->p99_ns = sample[n * 99 / 100];
}

static uint64_t kernel_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void measure_clock(struct limits_value *v, uint64_t (*read)(void))
{
	double sample[CLOCK_SAMPLES];

	for (size_t i = 0; i < CLOCK_SAMPLES; i++) {
		uint64_t start = kernel_ns();

		for (size_t k = 0; k < CLOCK_BATCH; k++)
			(void)read();
		sample[i] = (double)(kernel_ns() - start) / CLOCK_BATCH;
	}
	sum_up(v, sample, CLOCK_SAMPLES);
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	/* if refused, measures unpinned */
	(void)pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static void futex_sleep(sh_a32 *word, uint32_t seen)
{
	const struct timespec limit = { 0, 100000000 };

	(void)syscall(SYS_futex, (void *)&word->v, FUTEX_WAIT_PRIVATE, seen, &limit, NULL, 0);
}

/* Returns how many threads were woken. */
static long futex_wake(sh_a32 *word)
{
	return syscall(SYS_futex, (void *)&word->v, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Waits until the ball is `want`; false when the other side quit or time is over. */
static bool await_ball(struct pair *p, uint32_t want, uint64_t limit_ns)
{
	for (uint32_t i = 1;; i++) { /* bound: limit_ns */
		/* mo B1 <- B1@shunt/limits.c: the other side's turn. */
		uint32_t v = sh_a32_load_acq(&p->ball);

		if (v == want)
			return true;
		if (v == QUIT || (i % 4096 == 0 && shunt_now_ns() > limit_ns))
			return false;
	}
}

static void line_a(struct pair *p, uint64_t limit_ns)
{
	uint32_t turn = 0;

	while (p->lines < LINE_SAMPLES && shunt_now_ns() < limit_ns) {
		uint64_t start = shunt_now_ns();

		for (uint32_t i = 0; i < LINE_BATCH; i++, turn += 2) {
			/* mo B1 -> B1@shunt/limits.c: A's turn. */
			sh_a32_store_rel(&p->ball, turn + 1);
			if (!await_ball(p, turn + 2, limit_ns))
				goto out;
		}
		p->line[p->lines++] = (double)(shunt_now_ns() - start) / (2.0 * LINE_BATCH);
	}
out:
	sh_a32_store_rel(&p->ball, QUIT); /* mo B1 -> B1@shunt/limits.c: the end. */
}

static void line_b(struct pair *p, uint64_t limit_ns)
{
	/* bound: side A's samples */
	for (uint32_t turn = 0; await_ball(p, turn + 1, limit_ns); turn += 2) {
		uint32_t seen = turn + 1;

		/* mo B1 -> B1@shunt/limits.c: B's turn; side A may have quit meanwhile. */
		if (!sh_a32_cas_acq_rel(&p->ball, &seen, turn + 2))
			return;
	}
}

static void nap(long ns)
{
	struct timespec ts = { 0, ns };

	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

static void wake_a(struct pair *p, uint64_t limit_ns)
{
	for (uint32_t n = 1; n <= WAKE_SAMPLES && shunt_now_ns() < limit_ns; n++) {
		uint64_t start, end, woke;
		long woken;

		nap(ASLEEP_NS);
		/* mo rlx: side B writes only after it saw `bed`. */
		sh_a64_store_rlx(&p->woke_ns, 0);
		start = shunt_now_ns();
		sh_a32_store_rel(&p->bed, n); /* mo B2 -> B2@shunt/limits.c: woke_ns is cleared. */
		woken = futex_wake(&p->bed);
		end = shunt_now_ns();
		do { /* bound: limit_ns */
			woke = sh_a64_load_rlx(&p->woke_ns); /* mo rlx: one value. */
			if (woke == 0)
				nap(10000);
		} while (woke == 0 && shunt_now_ns() < limit_ns);
		if (woken == 1 && woke > start) {
			p->call[p->calls] = (double)(end - start);
			p->run[p->calls++] = (double)(woke - start);
		}
	}
	sh_a32_store_rel(&p->bed, QUIT); /* mo B2 -> B2@shunt/limits.c: the end. */
	(void)futex_wake(&p->bed);
}

static void wake_b(struct pair *p)
{
	uint32_t seen = 0;

	for (;;) { /* bound: side A's samples */
		/* mo B2 <- B2@shunt/limits.c: woke_ns was cleared. */
		uint32_t v = sh_a32_load_acq(&p->bed);

		if (v == QUIT)
			return;
		if (v == seen) {
			futex_sleep(&p->bed, seen);
			continue;
		}
		sh_a64_store_rlx(&p->woke_ns, shunt_now_ns()); /* mo rlx: one value. */
		seen = v;
	}
}

static void *side_a(void *arg)
{
	struct pair *p = arg;

	pin(p->cpu_a);
	measure_clock(&p->out->value[LIMITS_CLOCK], shunt_now_ns);
	measure_clock(&p->out->value[LIMITS_CLOCK_KERNEL], kernel_ns);
	if (p->cpu_a != p->cpu_b)
		line_a(p, shunt_now_ns() + TIME_LIMIT_NS);
	wake_a(p, shunt_now_ns() + TIME_LIMIT_NS);
	return NULL;
}

static void *side_b(void *arg)
{
	struct pair *p = arg;

	pin(p->cpu_b);
	if (p->cpu_a != p->cpu_b)
		line_b(p, shunt_now_ns() + 2 * TIME_LIMIT_NS);
	wake_b(p);
	return NULL;
}

/* Two allowed cpus, on different cores if possible; -1 where the topology is unknown. */
static int choose(struct limits *out, const struct limits_opts *opts)
{
	struct shunt_topo *topo = NULL;
	const struct shunt_topo_pu *pu, *first = NULL, *second = NULL;
	int rc = shunt_topo_open(&topo, NULL);

	if (rc != 0)
		return rc;
	for (uint32_t i = 0; (pu = shunt_topo_pu_at(topo, i)) != NULL; i++) {
		if (!pu->allowed || !pu->online)
			continue;
		if (opts->cpu_a >= 0 ? (int)pu->os_cpu == opts->cpu_a : !first && (int)pu->os_cpu != opts->cpu_b)
			first = pu;
	}
	for (uint32_t i = 0; first && (pu = shunt_topo_pu_at(topo, i)) != NULL; i++) {
		if (!pu->allowed || !pu->online)
			continue;
		if (opts->cpu_b >= 0) {
			if ((int)pu->os_cpu == opts->cpu_b)
				second = pu;
		} else if (pu != first && (!second || (second->core == first->core && pu->core != first->core))) {
			second = pu;
		}
	}
	if (!first || (opts->cpu_b >= 0 && !second)) {
		rc = SHUNT_EINVAL;
	} else {
		out->cpu_a = (int)first->os_cpu;
		out->cpu_b = second ? (int)second->os_cpu : out->cpu_a;
	}
	shunt_topo_close(topo);
	return rc;
}

int limits_measure(struct limits *out, const struct limits_opts *opts)
{
	const struct limits_opts any = { -1, -1 };
	struct pair *p = aligned_alloc(SH_CACHELINE, (sizeof(*p) + SH_CACHELINE - 1) / SH_CACHELINE * SH_CACHELINE);
	pthread_t a, b;
	int rc;

	if (!p)
		return SHUNT_ENOMEM;
	(void)memset(p, 0, sizeof(*p));
	(void)memset(out, 0, sizeof(*out));
	sh_a32_init(&p->ball, 0);
	sh_a32_init(&p->bed, 0);
	sh_a64_init(&p->woke_ns, 0);
	rc = choose(out, opts ? opts : &any);
	if (rc != 0)
		goto out_free;
	p->cpu_a = out->cpu_a;
	p->cpu_b = out->cpu_b;
	p->out = out;
	rc = SHUNT_ESYS;
	if (pthread_create(&b, NULL, side_b, p) != 0)
		goto out_free;
	if (pthread_create(&a, NULL, side_a, p) == 0) {
		(void)pthread_join(a, NULL);
		rc = 0;
	} else {
		/* mo B1 -> B1@shunt/limits.c: there is no side A. */
		sh_a32_store_rel(&p->ball, QUIT);
		sh_a32_store_rel(&p->bed, QUIT);  /* mo B2 -> B2@shunt/limits.c: likewise. */
		(void)futex_wake(&p->bed);
	}
	(void)pthread_join(b, NULL);
	sum_up(&out->value[LIMITS_LINE], p->line, p->lines);
	sum_up(&out->value[LIMITS_WAKE_CALL], p->call, p->calls);
	sum_up(&out->value[LIMITS_WAKE_RUN], p->run, p->calls);
out_free:
	free(p);
	return rc;
}
