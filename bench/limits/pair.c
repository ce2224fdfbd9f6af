/*
 * bench/limits/pair.c - the limits between two cpus; see limits.h. Side A, the calling thread on the run's first
 * cpu, drives and keeps the time; side B, a thread on the second, only answers, and ends when A says so.
 *
 * SPDX-License-Identifier: MIT
 */
#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "limits.h"
#include "rings.h"

#define SAMPLES_MAX 20000u
#define ITEMS_BATCH 20000u
#define ADDS_BATCH 10000u
#define ONE_WAY_GAP_NS 20000.0
#define STUCK_NS 1000000000u

struct pair {
	struct raw_spsc spsc;
	struct raw_mpmc mpmc;
	bool many;                             /* which ring */
	alignas(64) _Atomic bool quit;         /* A -> B */
	alignas(64) _Atomic uint32_t bed;      /* futex word: number of the wake */
	alignas(64) _Atomic uint64_t answered; /* B -> A: when it had the wake or item, 0 = not yet; or how many */
	alignas(64) _Atomic uint64_t shared;   /* both add to it */
	int cpu_b;
	double sample[SAMPLES_MAX];
	struct limit_value out;
};

typedef void (*side_fn)(struct pair *p, const struct bench_run *r);

struct side {
	struct pair *pair;
	side_fn fn;
};

static void *side_b(void *arg)
{
	struct side *s = arg;

	(void)bench_pin(&s->pair->cpu_b, 1);
	s->fn(s->pair, NULL);
	return NULL;
}

static struct limit_value together(const struct bench_run *r, bool many, side_fn a, side_fn b)
{
	struct pair *p;
	struct side side;
	struct limit_value v = { 0, 0 };
	pthread_t thread;

	if (r->ncpus < 2)
		return v;
	p = bench_alloc(1, sizeof(*p));
	raw_mpmc_init(&p->mpmc);
	p->many = many;
	p->cpu_b = r->cpus[1];
	side = (struct side){ p, b };
	if (pthread_create(&thread, NULL, side_b, &side) != 0)
		bench_die("no thread for the other cpu");
	(void)bench_pin(&r->cpus[0], 1);
	a(p, r);
	atomic_store(&p->quit, true);
	(void)atomic_fetch_add(&p->bed, 1);
	(void)syscall(SYS_futex, &p->bed, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	(void)pthread_join(thread, NULL);
	bench_unpin();
	bench_sort(p->sample, p->out.n);
	v = p->out;
	v.ns = bench_quantile(p->sample, v.n, 0.5);
	free(p);
	return v;
}

static bool more(const struct pair *p, uint64_t end_ns) { return p->out.n < SAMPLES_MAX && bench_mono_ns() < end_ns; }

static uint64_t end_of(const struct bench_run *r) { return bench_mono_ns() + (uint64_t)(r->seconds * 1e9); }

static void spin_ns(double ns)
{
	uint64_t end = bench_ticks() + bench_to_ticks(ns);

	while (bench_ticks() < end) /* bound: ns */
		bench_relax();
}

/* What side B answered; 0 when it did not for a second. */
static uint64_t answer(struct pair *p)
{
	uint64_t since = bench_mono_ns(), v = 0;

	while (v == 0 && bench_mono_ns() - since < STUCK_NS) /* bound: STUCK_NS */
		v = atomic_load_explicit(&p->answered, memory_order_acquire);
	return v;
}

/* ---- futex ---- */

static void sleeper(struct pair *p, const struct bench_run *r)
{
	uint32_t seen = 0;

	(void)r;
	while (!atomic_load(&p->quit)) { /* bound: side A */
		uint32_t now = atomic_load(&p->bed);

		if (now == seen) {
			(void)syscall(SYS_futex, &p->bed, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
			continue;
		}
		atomic_store(&p->answered, bench_ticks_ordered());
		seen = now;
	}
}

/* Samples count only where somebody slept. */
static void wake(struct pair *p, const struct bench_run *r, double gap_ns, bool call)
{
	uint64_t end = end_of(r);

	while (more(p, end)) {
		uint64_t start, after, ran;
		long woken;

		spin_ns(gap_ns);
		atomic_store(&p->answered, 0);
		start = bench_ticks_ordered();
		(void)atomic_fetch_add(&p->bed, 1);
		woken = syscall(SYS_futex, &p->bed, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
		after = bench_ticks_ordered();
		ran = answer(p);
		if (ran == 0)
			return;
		if (woken == 1 && ran > start)
			p->sample[p->out.n++] = bench_ns((call ? after : ran) - start);
	}
}

static void wake_call_20us(struct pair *p, const struct bench_run *r) { wake(p, r, 20e3, true); }
static void wake_run_20us(struct pair *p, const struct bench_run *r) { wake(p, r, 20e3, false); }
static void wake_call_1ms(struct pair *p, const struct bench_run *r) { wake(p, r, 1e6, true); }
static void wake_run_1ms(struct pair *p, const struct bench_run *r) { wake(p, r, 1e6, false); }

struct limit_value limit_wake_call_20us(const struct bench_run *r)
{
	return together(r, false, wake_call_20us, sleeper);
}

struct limit_value limit_wake_run_20us(const struct bench_run *r)
{
	return together(r, false, wake_run_20us, sleeper);
}

struct limit_value limit_wake_call_1ms(const struct bench_run *r)
{
	return together(r, false, wake_call_1ms, sleeper);
}

struct limit_value limit_wake_run_1ms(const struct bench_run *r)
{
	return together(r, false, wake_run_1ms, sleeper);
}

/* ---- one line ---- */

struct limit_value limit_line(const struct bench_run *r)
{
	struct limit_value v = { 0, 0 };
	double sample[64];
	uint64_t end = end_of(r);

	while (r->ncpus > 1 && v.n < 64 && (v.n == 0 || bench_mono_ns() < end)) {
		sample[v.n] = bench_pingpong_ns(r->cpus[0], r->cpus[1]);
		if (sample[v.n] <= 0)
			break;
		v.n++;
	}
	bench_sort(sample, v.n);
	v.ns = bench_quantile(sample, v.n, 0.5);
	return v;
}

static void adder(struct pair *p, const struct bench_run *r)
{
	(void)r;
	atomic_store(&p->answered, 1);
	while (!atomic_load_explicit(&p->quit, memory_order_relaxed)) /* bound: side A */
		(void)atomic_fetch_add(&p->shared, 1);
}

static void add(struct pair *p, const struct bench_run *r)
{
	uint64_t end = end_of(r);

	if (answer(p) == 0)
		return;
	while (more(p, end)) {
		uint64_t start = bench_ticks();

		for (unsigned i = 0; i < ADDS_BATCH; i++)
			(void)atomic_fetch_add(&p->shared, 1);
		p->sample[p->out.n++] = bench_ns(bench_ticks() - start) / ADDS_BATCH;
	}
}

struct limit_value limit_fetch_add_contended(const struct bench_run *r)
{
	return together(r, false, add, adder);
}

/* ---- rings ---- */

static bool push(struct pair *p)
{
	const struct raw_item item = { NULL, p };

	return p->many ? raw_mpmc_push(&p->mpmc, item) : raw_spsc_push(&p->spsc, item);
}

static bool pop(struct pair *p)
{
	struct raw_item item;

	return p->many ? raw_mpmc_pop(&p->mpmc, &item) : raw_spsc_pop(&p->spsc, &item);
}

static void counting_consumer(struct pair *p, const struct bench_run *r)
{
	uint64_t got = 0;

	(void)r;
	while (!atomic_load_explicit(&p->quit, memory_order_relaxed)) /* bound: side A */
		if (pop(p) && ++got % ITEMS_BATCH == 0)
			atomic_store_explicit(&p->answered, got, memory_order_release);
}

static void full_speed(struct pair *p, const struct bench_run *r)
{
	uint64_t end = end_of(r);

	for (uint64_t sent = 0; more(p, end);) {
		uint64_t start = bench_ticks(), since = bench_mono_ns();

		for (unsigned i = 0; i < ITEMS_BATCH; i++)
			while (!push(p)) /* bound: the consumer frees a slot */
				bench_relax();
		sent += ITEMS_BATCH;
		while (atomic_load_explicit(&p->answered, memory_order_acquire) != sent) /* bound: STUCK_NS */
			if (bench_mono_ns() - since > STUCK_NS)
				return;
		p->sample[p->out.n++] = bench_ns(bench_ticks() - start) / ITEMS_BATCH;
	}
}

static void stamping_consumer(struct pair *p, const struct bench_run *r)
{
	(void)r;
	while (!atomic_load_explicit(&p->quit, memory_order_relaxed)) /* bound: side A */
		if (pop(p))
			atomic_store_explicit(&p->answered, bench_ticks_ordered(), memory_order_release);
}

static void one_way(struct pair *p, const struct bench_run *r)
{
	uint64_t end = end_of(r);

	while (more(p, end)) {
		uint64_t start, got;

		spin_ns(ONE_WAY_GAP_NS);
		atomic_store(&p->answered, 0);
		spin_ns(1000); /* the store is out of the way */
		start = bench_ticks();
		(void)push(p);
		got = answer(p);
		if (got == 0)
			return;
		if (got > start)
			p->sample[p->out.n++] = bench_ns(got - start);
	}
}

struct limit_value limit_spsc_item(const struct bench_run *r)
{
	return together(r, false, full_speed, counting_consumer);
}

struct limit_value limit_spsc_one_way(const struct bench_run *r)
{
	return together(r, false, one_way, stamping_consumer);
}

struct limit_value limit_mpmc_item(const struct bench_run *r)
{
	return together(r, true, full_speed, counting_consumer);
}

struct limit_value limit_mpmc_one_way(const struct bench_run *r)
{
	return together(r, true, one_way, stamping_consumer);
}
