/*
 * policy/balancer.c - shunt/balancer.h: the selection strategies for programs that have their own
 * workers. Called by such programs only; no pool uses it. The public header is the interface, there
 * is no internal one.
 *
 * Algorithm: one cache line of atomics per worker.
 * - start chooses with policy/strategy, then reserves by a CAS that does not raise the in-flight
 *   count above the capacity. So the capacity is never exceeded, however stale the choice was.
 * - If others took the worker's last slot meanwhile, start chooses again, 8 times, then tries every
 *   worker once. A user strategy has the final word: no worker is tried beyond its choices.
 * - complete releases the slot by CAS, then learns.
 *
 * Which calls may run together: all, from any thread, except create and destroy.
 * Linearization: start, start_on and complete at their successful CAS of in_flight; a refusal at
 * the load that found the worker full.
 * Progress: lock-free. A repeat of a CAS means that another call on that worker succeeded.
 *
 * Many threads learn at once: run time and failures are updated by CAS, 4 tries, then the sample is
 * dropped. An average of many samples does not suffer. The sum of all averages is exact except for
 * updates in progress.
 *
 * What was learned of a worker without a job in flight ages: it halves with each AGE_JOBS to 2 x AGE_JOBS
 * jobs a worker (in all a power of two) that the others complete. So one sample does not keep a worker out
 * for long, and a slow one is tried again as a share of the jobs, at any rate. While nothing completes
 * nothing is forgotten; no clock is read.
 *
 * USER with more than SHUNT_WORKERS_MAX workers needs more than a stack should provide: create
 * allocates 16 buffers, each claimed by a flag. A 17th thread inside a user strategy at the same
 * time gets SHUNT_EAGAIN.
 *
 * fork(): everything here is plain memory without threads, so a child continues with its own copy.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include <shunt/balancer.h>
#include <shunt/error.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/inject.h"
#include "base/mem.h"
#include "base/opts.h"
#include "policy/ewma.h"
#include "policy/strategy.h"

#define WORKERS_LIMIT 4096u
#define EXPECTED_DEFAULT_NS UINT64_C(1000000)
#define DURATION_MAX_NS (UINT64_C(1) << 50) /* 13 days; the sum has room for 4096 of them */
#define CHOICES_MAX 8u
#define LEARN_TRIES 4u
#define BUFFERS 16u
#define AGE_JOBS 16u      /* in which a time that was learned halves, a worker */
#define AGE_FAIL_SHIFT 3u /* failures take 8 times as long: who fails fast gets many jobs when trusted again */

struct worker {
	sh_a32 in_flight;     /* sync: atomic; 0..capacity */
	sh_a32 usable;        /* sync: atomic */
	sh_a32 fail_permille; /* sync: atomic */
	uint32_t capacity;    /* sync: const */
	uint32_t node;        /* sync: const */
	sh_a64 ewma_ns;       /* sync: atomic; of successes, and of failures that were slower */
	sh_a64 completed_at;  /* sync: atomic; the balancer's `completed` at its last one */
} SH_ALIGNED(SH_CACHELINE);

_Static_assert(sizeof(struct worker) == SH_CACHELINE, "one line a worker");

struct buffer {
	sh_a32 taken; /* sync: atomic */
	struct shunt_worker_load *loads; /* sync: owner of taken */
};

struct shunt_balancer {
	/* constants */
	struct worker *workers; /* sync: const */
	uint32_t n;             /* sync: const */
	enum shunt_strategy strategy; /* sync: const */
	shunt_select_fn select; /* sync: const */
	void *select_arg;       /* sync: const */
	uint64_t seed;          /* sync: const */
	uint32_t age_shift;           /* sync: const; log2 of the jobs in which a time halves */
	struct shunt_worker_load *loads; /* sync: const; BUFFERS x n, or NULL */
	/* written by every start */
	sh_a32 ticket SH_ALIGNED(SH_CACHELINE); /* sync: atomic */
	/* written by every complete */
	sh_a64 ewma_sum_ns SH_ALIGNED(SH_CACHELINE); /* sync: atomic; of all workers */
	sh_a64 completed;                            /* sync: atomic; jobs of all workers */
	struct buffer buffers[BUFFERS] SH_ALIGNED(SH_CACHELINE);
};

static uint64_t mean_ns(const struct shunt_balancer *b)
{
	/* mo rlx: statistic. */
	uint64_t mean = sh_a64_load_rlx(&b->ewma_sum_ns) / b->n;

	return mean == 0 ? 1 : mean;
}

/* How old is what was learned of w, in completed jobs? 0 while it has a job. */
static uint64_t age(const struct shunt_balancer *b, const struct worker *w)
{
	/* mo rlx: statistics. */
	uint64_t all = sh_a64_load_rlx(&b->completed), last = sh_a64_load_rlx(&w->completed_at);

	return sh_a32_load_rlx(&w->in_flight) == 0 && all > last ? all - last : 0; /* mo rlx: as above. */
}

static uint64_t time_aged(const struct shunt_balancer *b, uint64_t ewma_ns, uint64_t jobs)
{
	return sh_ewma_aged(ewma_ns, jobs, b->age_shift);
}

static uint32_t fail_aged(const struct shunt_balancer *b, uint32_t permille, uint64_t jobs)
{
	return (uint32_t)sh_ewma_aged(permille, jobs, b->age_shift + AGE_FAIL_SHIFT);
}

/*
 * Maps the state to the terms of sh_select. Work is counted in mean jobs of all workers, and the
 * speed is this worker's EWMA by that mean, so work left x speed = in_flight x EWMA of this worker:
 * slowness counts once.
 */
static void load_of(const void *obj, uint32_t i, struct shunt_worker_load *out)
{
	const struct shunt_balancer *b = obj;
	const struct worker *w = &b->workers[i];
	uint64_t mean = mean_ns(b), jobs = age(b, w), speed;

	/* mo rlx: recent values suffice; the reservation decides. */
	out->ewma_ns = time_aged(b, sh_a64_load_rlx(&w->ewma_ns), jobs);
	out->in_flight = sh_a32_load_rlx(&w->in_flight);
	out->fail_permille = fail_aged(b, sh_a32_load_rlx(&w->fail_permille), jobs);
	out->usable = sh_a32_load_rlx(&w->usable) != 0 && out->in_flight < w->capacity;
	out->capacity = w->capacity;
	out->node = w->node;
	speed = out->ewma_ns * 1000 / mean; /* < 2^60 */
	out->speed_permille = speed < 1 ? 1 : speed > UINT32_MAX ? UINT32_MAX : (uint32_t)speed;
	out->work_left_ns = mean > UINT64_MAX / ((uint64_t)out->in_flight + 1) ? UINT64_MAX : mean * out->in_flight;
}

static bool reserve(struct worker *w)
{
	/* mo rlx: initial guess; the exchange checks it. */
	uint32_t have = sh_a32_load_rlx(&w->in_flight);

	while (have < w->capacity) {
		SH_POINT("balancer_reserve");
		/* mo balancer.2 <- balancer.1@policy/balancer.c: its last holder is done. Bound: lock-free. */
		if (sh_a32_cas_acq(&w->in_flight, &have, have + 1))
			return true;
	}
	return false;
}

/* Every choice lost its slot to others: any worker with a free slot, each tried once. */
static int reserve_any(struct shunt_balancer *b, struct sh_rng *rng)
{
	uint32_t from = sh_rng_below(rng, b->n);

	for (uint32_t k = 0; k < b->n; k++) {
		uint32_t i = (from + k) % b->n;

		/* mo rlx: a hint of the owner, publishes no data. */
		if (sh_a32_load_rlx(&b->workers[i].usable) != 0 && reserve(&b->workers[i]))
			return (int)i;
	}
	return SHUNT_EAGAIN;
}

static struct buffer *buffer_take(struct shunt_balancer *b)
{
	for (uint32_t k = 0; k < BUFFERS; k++) {
		uint32_t none = 0;

		/* mo balancer.4 <- balancer.3@policy/balancer.c: its last user has finished reading it. */
		if (sh_a32_cas_acq(&b->buffers[k].taken, &none, 1))
			return &b->buffers[k];
	}
	return NULL;
}

static void buffer_give(struct buffer *buf)
{
	if (buf != NULL) {
		/* mo balancer.3 -> balancer.4@policy/balancer.c: this use ends before the next begins. */
		sh_a32_store_rel(&buf->taken, 0);
	}
}

int shunt_balancer_start(struct shunt_balancer *b, uint64_t key, uint32_t home_node)
{
	struct sh_select_view v = { .load = load_of };
	struct sh_select_state st;
	struct buffer *buf = NULL;
	int rc = SHUNT_EAGAIN;
	uint32_t t;

	if (b == NULL)
		return SHUNT_EINVAL;
	if (b->loads != NULL) {
		buf = buffer_take(b);
		if (buf == NULL)
			return SHUNT_EAGAIN;
		v.scratch = buf->loads;
	}
	/* mo rlx: only a distinct number per call. */
	t = sh_a32_add_rlx(&b->ticket, 1);
	sh_rng_init(&st.rng, b->seed ^ sh_mix64(t));
	st.next = t;
	st.seed_key = 0;
	v.obj = b;
	v.n = b->n;
	v.user = b->select;
	v.user_arg = b->select_arg;
	for (uint32_t k = 0; k < CHOICES_MAX; k++) {
		int i = sh_select(b->strategy, &v, &st, key, true, home_node);

		if (i < 0)
			goto out;
		if (reserve(&b->workers[i])) {
			rc = i;
			goto out;
		}
	}
	if (b->strategy != SHUNT_SELECT_USER)
		rc = reserve_any(b, &st.rng);
out:
	buffer_give(buf);
	return rc;
}

int shunt_balancer_start_on(struct shunt_balancer *b, uint32_t worker)
{
	if (b == NULL)
		return SHUNT_EINVAL;
	if (worker >= b->n)
		return SHUNT_ENOENT;
	return reserve(&b->workers[worker]) ? 0 : SHUNT_EAGAIN;
}

static void learn_failure(const struct shunt_balancer *b, struct worker *w, uint64_t old_age, bool failed)
{
	/* mo rlx: statistic, one word. */
	uint32_t old = sh_a32_load_rlx(&w->fail_permille);

	for (uint32_t k = 0; k < LEARN_TRIES; k++) {
		uint32_t next = sh_ewma_fail_next(failed ? old : fail_aged(b, old, old_age), failed);

		/* mo rlx: as above. The usual worker never fails: nothing to write. */
		if (next == old || sh_a32_cas_rlx(&w->fail_permille, &old, next))
			return;
	}
}

/* A failure faster than the successes is no measure of speed; a slower one is. */
static void learn_duration(struct shunt_balancer *b, struct worker *w, uint64_t old_age, uint64_t duration_ns,
			   bool failed)
{
	uint64_t sample = duration_ns > DURATION_MAX_NS ? DURATION_MAX_NS : duration_ns;
	/* mo rlx: statistic, one word. */
	uint64_t old = sh_a64_load_rlx(&w->ewma_ns);

	for (uint32_t k = 0; k < LEARN_TRIES; k++) {
		uint64_t base = time_aged(b, old, old_age), next;

		/* a sample that says again what had aged: not as if it were new */
		if (sample > base)
			base = sample < old ? sample : old;
		next = b->strategy == SHUNT_SELECT_PEAK_EWMA ? sh_ewma_peak_next(base, sample) : sh_ewma_next(base, sample);
		if (next == old || (failed && sample < old))
			return;
		/* mo rlx: as above. */
		if (sh_a64_cas_rlx(&w->ewma_ns, &old, next)) {
			/* mo rlx: statistic; a negative difference wraps the sum back. */
			(void)sh_a64_add_rlx(&b->ewma_sum_ns, next - old);
			return;
		}
	}
}

int shunt_balancer_complete(struct shunt_balancer *b, uint32_t worker, uint64_t duration_ns, int failed)
{
	struct worker *w;
	uint64_t old_age;
	uint32_t have;

	if (b == NULL)
		return SHUNT_EINVAL;
	if (worker >= b->n)
		return SHUNT_ENOENT;
	w = &b->workers[worker];
	/* mo rlx: initial guess; the exchange checks it. */
	have = sh_a32_load_rlx(&w->in_flight);
	do {
		if (have == 0)
			return SHUNT_EINVAL;
		/* mo balancer.1 -> balancer.2@policy/balancer.c: this use ends here. Bound: lock-free. */
	} while (!sh_a32_cas_rel(&w->in_flight, &have, have - 1));
	/* without the job that it had until now */
	old_age = have == 1 ? age(b, w) : 0;
	learn_failure(b, w, old_age, failed != 0);
	learn_duration(b, w, old_age, duration_ns, failed != 0);
	/* mo rlx: statistics. */
	sh_a64_store_rlx(&w->completed_at, sh_a64_add_rlx(&b->completed, 1) + 1);
	return 0;
}

int shunt_balancer_set_usable(struct shunt_balancer *b, uint32_t worker, int usable)
{
	if (b == NULL)
		return SHUNT_EINVAL;
	if (worker >= b->n)
		return SHUNT_ENOENT;
	/* mo rlx: a hint for later choices. */
	sh_a32_store_rlx(&b->workers[worker].usable, usable != 0);
	return 0;
}

int shunt_balancer_load(struct shunt_balancer *b, uint32_t worker, struct shunt_worker_load *out, size_t size)
{
	struct shunt_worker_load l;

	if (b == NULL || out == NULL || !sh_opts_size_valid(size))
		return SHUNT_EINVAL;
	if (worker >= b->n)
		return SHUNT_ENOENT;
	load_of(b, worker, &l);
	sh_opts_give(out, size, &l, sizeof(l));
	return 0;
}

static int opts_read(struct shunt_balancer_opts *o, const struct shunt_balancer_opts *given)
{
	if (given == NULL)
		return sh_error_set(SHUNT_EINVAL, "balancer: " SH_NO_ARGUMENT);
	if (sh_opts_take(o, sizeof(*o), given, given->size) != 0)
		return sh_error_set(SHUNT_EINVAL, "balancer: " SH_OPTS_WRONG);
	if (o->workers == 0 || o->workers > WORKERS_LIMIT)
		return sh_error_set(SHUNT_EINVAL, "balancer: workers: %u; want 1 to %u", o->workers, WORKERS_LIMIT);
	if (o->strategy < SHUNT_SELECT_DEFAULT || o->strategy > SHUNT_SELECT_USER)
		return sh_error_set(SHUNT_EINVAL, "balancer: strategy: %d; want one of the enum", (int)o->strategy);
	if (o->strategy == SHUNT_SELECT_USER && o->select == NULL)
		return sh_error_set(SHUNT_EINVAL, "balancer: select: NULL; want a function with strategy user");
	for (uint32_t i = 0; o->capacities != NULL && i < o->workers; i++)
		if (o->capacities[i] == 0)
			return sh_error_set(SHUNT_EINVAL, "balancer: capacities: 0 of worker %u; want at least 1", i);
	if (o->expected_ns > DURATION_MAX_NS)
		return sh_error_set(SHUNT_EINVAL, "balancer: expected_ns: %llu; want at most %llu",
				    (unsigned long long)o->expected_ns, (unsigned long long)DURATION_MAX_NS);
	if (o->capacity == 0)
		o->capacity = 1;
	if (o->expected_ns == 0)
		o->expected_ns = EXPECTED_DEFAULT_NS;
	if (o->seed == 0)
		o->seed = sh_clock_monotonic_ns();
	return 0;
}

static void *zeroed(size_t size)
{
	return SH_FAIL("balancer_alloc") ? NULL : sh_block_alloc(size, SH_CACHELINE);
}

static size_t loads_bytes(const struct shunt_balancer *b)
{
	return (size_t)BUFFERS * b->n * sizeof(*b->loads);
}

int shunt_balancer_create(struct shunt_balancer **out, const struct shunt_balancer_opts *opts)
{
	struct shunt_balancer_opts o = SHUNT_BALANCER_OPTS_INIT;
	struct shunt_balancer *b;
	int rc;

	sh_error_detail_clear();
	if (out == NULL)
		return sh_error_set(SHUNT_EINVAL, "balancer: " SH_NO_ARGUMENT);
	*out = NULL;
	rc = opts_read(&o, opts);
	if (rc != 0)
		return rc;
	b = zeroed(sizeof(*b));
	if (b == NULL)
		return SHUNT_ENOMEM;
	b->n = o.workers;
	b->strategy = o.strategy;
	b->select = o.select;
	b->select_arg = o.select_arg;
	b->seed = o.seed;
	while ((1u << b->age_shift) < o.workers * AGE_JOBS)
		b->age_shift++;
	rc = SHUNT_ENOMEM;
	b->workers = zeroed(o.workers * sizeof(*b->workers));
	if (b->workers == NULL)
		goto out;
	if (o.strategy == SHUNT_SELECT_USER && o.workers > SHUNT_WORKERS_MAX) {
		b->loads = zeroed(loads_bytes(b));
		if (b->loads == NULL)
			goto out;
		for (uint32_t k = 0; k < BUFFERS; k++)
			b->buffers[k].loads = b->loads + (size_t)k * o.workers;
	}
	for (uint32_t i = 0; i < o.workers; i++) {
		struct worker *w = &b->workers[i];

		w->capacity = o.capacities != NULL ? o.capacities[i] : o.capacity;
		w->node = o.nodes != NULL ? o.nodes[i] : SHUNT_ANY;
		sh_a32_init(&w->usable, 1);
		sh_a64_init(&w->ewma_ns, o.expected_ns);
	}
	sh_a64_init(&b->ewma_sum_ns, o.expected_ns * o.workers);
	*out = b;
	return 0;
out:
	shunt_balancer_destroy(b);
	return rc;
}

void shunt_balancer_destroy(struct shunt_balancer *b)
{
	if (b == NULL)
		return;
	sh_block_free(b->loads, loads_bytes(b), SH_CACHELINE);
	sh_block_free(b->workers, b->n * sizeof(*b->workers), SH_CACHELINE);
	sh_block_free(b, sizeof(*b), SH_CACHELINE);
}
