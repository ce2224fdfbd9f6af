/*
 * bench/own/levels.c - own_levels, B6: nearly full load, a tenth of the jobs urgent, a few jobs long. How long urgent
 * jobs wait, beside what an ideal scheduler that does not preempt makes of the same trace; and how long the others
 * wait, beside the bound that docs/CONCURRENCY.md promises them: counted in picks, so that no disturbance of the
 * machine counts. And B5's load once more, with all short jobs urgent and checkpoints in the long ones.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ideal.h"
#include "levels_shim.h"
#include "own.h"

#define UTILISATION 0.95 /* B6 */
#define UTILISATION_B5 0.7
#define HIGH_SHARE 0.1
#define SHORT_NS 1e3
#define LONG_NS 100e3
#define LONG_SHARE 0.005
#define LEVELS 4u /* the default */
#define SLICE_NS 1e3
#define JOBS_MIN 200u
#define JOBS_MAX (UINT64_C(1) << 21) /* all may wait at once */

struct job {
	uint64_t due, queued; /* ticks; queued: after the submit had returned */
	uint64_t plan_ticks;  /* how long it works; written before the run */
	uint64_t start, end;  /* ticks, written by the job, as what follows */
	uint64_t worked;      /* what it worked itself, without jobs that ran nested in it */
	uint8_t level;
};

struct trace {
	struct job *job;
	uint64_t jobs;
	uint64_t zero;
};

static bool with_checkpoints;
static bool short_first; /* B5: short jobs one level above long ones, not a tenth of all */
static uint64_t slice_ticks;

/* Whether there is a job that a checkpoint would let in is shunt's business; here is only when it is asked. */
static void checkpoint(struct shunt_job_ctx *ctx)
{
#ifdef OWN_HAVE_CHECKPOINT
	if (with_checkpoints)
		(void)shunt_checkpoint(ctx);
#else
	(void)ctx;
#endif
}

static int work(struct shunt_job_ctx *ctx, void *arg)
{
	struct job *j = arg;
	uint64_t slice = with_checkpoints ? slice_ticks : j->plan_ticks;
	uint64_t begin = bench_ticks_ordered();
	uint64_t now = begin, worked = 0;

	j->start = begin;
	for (;;) { /* bound: plan_ticks */
		uint64_t left = j->plan_ticks - worked;

		if (left > slice)
			left = slice;
		while (now - begin < left) /* bound: left */
			now = bench_ticks();
		worked += now - begin;
		if (worked >= j->plan_ticks)
			break;
		checkpoint(ctx);
		now = begin = bench_ticks();
	}
	j->worked = worked;
	j->end = now;
	bench_count();
	return SHUNT_DONE;
}

static void plan(struct trace *t, const struct bench_run *r)
{
	double mean = (1 - LONG_SHARE) * SHORT_NS + LONG_SHARE * LONG_NS;
	double gap = mean / ((short_first ? UTILISATION_B5 : UTILISATION) * (double)r->workers);
	struct bench_rng rng = { r->seed };
	double at = 0;

	t->jobs = r->jobs ? r->jobs : (uint64_t)(r->seconds * 1e9 / gap);
	if (t->jobs < JOBS_MIN)
		t->jobs = JOBS_MIN;
	if (t->jobs > JOBS_MAX - 1024)
		t->jobs = JOBS_MAX - 1024;
	t->job = bench_alloc(t->jobs, sizeof(*t->job));
	for (uint64_t i = 0; i < t->jobs; i++) {
		at += bench_rng_exp(&rng, gap);
		t->job[i].due = bench_to_ticks(at);
		bool is_long = bench_rng_unit(&rng) <= LONG_SHARE;
		bool is_low = bench_rng_unit(&rng) > HIGH_SHARE;

		t->job[i].plan_ticks = bench_to_ticks(is_long ? LONG_NS : SHORT_NS);
		t->job[i].level = short_first ? is_long : is_low;
	}
}

/* ---- what became of it ---- */

/* How many of the sorted values are not above x. */
static size_t up_to(const double *sorted, size_t n, double x)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (sorted[mid] <= x)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static double since(const struct trace *t, uint64_t tick) { return tick > t->zero ? bench_ns(tick - t->zero) : 0; }

static int copies(const double *const from[], double *const to[], const struct trace *t, uint64_t first, unsigned level)
{
	uint64_t n = 0;

	for (uint64_t i = first; i < t->jobs; i++) {
		if (t->job[i].level != level)
			continue;
		for (unsigned k = 0; from[k]; k++)
			to[k][n] = from[k][i];
		n++;
	}
	return (int)n;
}

/* The rows of one level: its waits, and the ideal's. */
static void report_level(const struct trace *t, struct bench_run *r, const double *at, const double *wait,
			 const double *ideal, unsigned level)
{
	const char *name = level == 0 ? "high" : "low";
	double *a = bench_alloc(t->jobs, sizeof(*a)), *w = bench_alloc(t->jobs, sizeof(*w));
	double *f = bench_alloc(t->jobs, sizeof(*f)), *scratch = bench_alloc(t->jobs, sizeof(*scratch));
	const double *const from[] = { at, wait, ideal, NULL };
	double *const to[] = { a, w, f };
	size_t n = (size_t)copies(from, to, t, t->jobs / 10, level);
	double w99 = bench_windowed(a, w, n, 0.99, scratch), ideal_w99 = bench_windowed(a, f, n, 0.99, scratch);
	double p99, ideal_p99;
	char metric[32];

	(void)snprintf(metric, sizeof(metric), "%s_", name);
	bench_add_latency(r, metric, a, w, n);
	bench_sort(w, n);
	bench_sort(f, n);
	p99 = bench_quantile(w, n, 0.99);
	ideal_p99 = bench_quantile(f, n, 0.99);
	(void)snprintf(metric, sizeof(metric), "%s_ideal_w99", name);
	bench_add(r, metric, "ns", ideal_w99, n);
	(void)snprintf(metric, sizeof(metric), "%s_ideal_p99", name);
	bench_add(r, metric, "ns", ideal_p99, n);
	(void)snprintf(metric, sizeof(metric), "%s_w99_ratio", name);
	bench_add(r, metric, "ratio", ideal_w99 > 0 ? w99 / ideal_w99 : 0, n);
	(void)snprintf(metric, sizeof(metric), "%s_p99_ratio", name);
	bench_add(r, metric, "ratio", ideal_p99 > 0 ? p99 / ideal_p99 : 0, n);
	free(a);
	free(w);
	free(f);
	free(scratch);
}

struct low_bound {
	double longest_wait_ns, its_bound_ns, longest_job_ns;
	double picks, its_bound; /* of the job that used up most of its bound */
	double share;
};

/*
 * Every low job: how many jobs were started from when its submit had returned until it was; and how many it may cost,
 * by its place among the low jobs that waited when its submit began. With several workers the picks of all are
 * counted, against the bound of one times their number.
 */
static void find_bound(const struct trace *t, const struct bench_run *r, struct low_bound *b)
{
	double *starts = bench_alloc(t->jobs, sizeof(*starts)), *low = bench_alloc(t->jobs, sizeof(*low));
	size_t n = 0, rank = 0;

	for (uint64_t i = 0; i < t->jobs; i++) {
		double length = bench_ns(t->job[i].end - t->job[i].start);

		starts[i] = since(t, t->job[i].start);
		if (t->job[i].level == 1)
			low[n++] = starts[i];
		b->longest_job_ns = length > b->longest_job_ns ? length : b->longest_job_ns;
	}
	bench_sort(starts, t->jobs);
	bench_sort(low, n);
	for (uint64_t i = 0; i < t->jobs; i++) {
		const struct job *j = &t->job[i];
		double start = since(t, j->start), queued = since(t, j->queued), picks, bound;
		size_t before;

		if (j->level != 1)
			continue;
		before = up_to(low, n, since(t, j->due));
		rank++;
		bound = (double)own_levels_bound(LEVELS, 1, rank > before ? rank - before : 1);
		picks = start > queued ? (double)(up_to(starts, t->jobs, start) - up_to(starts, t->jobs, queued)) : 0;
		if (start - queued > b->longest_wait_ns) {
			b->longest_wait_ns = start - queued;
			b->its_bound_ns = bound * b->longest_job_ns;
		}
		if (picks / (bound * (double)r->workers) > b->share) {
			b->share = picks / (bound * (double)r->workers);
			b->picks = picks;
			b->its_bound = bound * (double)r->workers;
		}
	}
	free(starts);
	free(low);
}

static int report(const struct trace *t, struct bench_run *r)
{
	double *at = bench_alloc(t->jobs, sizeof(*at)), *wait = bench_alloc(t->jobs, sizeof(*wait));
	double *service = bench_alloc(t->jobs, sizeof(*service)), *ideal = bench_alloc(t->jobs, sizeof(*ideal));
	uint8_t *level = bench_alloc(t->jobs, sizeof(*level));
	struct low_bound b = { 0 };
	double busy = 0;

	for (uint64_t i = 0; i < t->jobs; i++) {
		const struct job *j = &t->job[i];

		at[i] = since(t, j->due);
		wait[i] = j->start > j->due ? bench_ns(j->start - j->due) : 0;
		service[i] = bench_ns(j->worked);
		level[i] = j->level;
		busy += service[i];
	}
	own_ideal_levels(at, service, level, t->jobs, r->workers, ideal);
	report_level(t, r, at, wait, ideal, 0);
	report_level(t, r, at, wait, ideal, 1);
	if (!short_first) { /* there most jobs run inside long ones: these are no picks, and cannot be separated here */
		find_bound(t, r, &b);
		bench_add(r, "low_wait_max", "ns", b.longest_wait_ns, t->jobs);
		bench_add(r, "low_wait_bound", "ns", b.its_bound_ns, t->jobs);
		bench_add(r, "low_picks_worst", "picks", b.picks, t->jobs);
		bench_add(r, "low_picks_bound", "picks", b.its_bound, t->jobs);
		bench_add(r, "low_bound_used", "percent", 100 * b.share, t->jobs);
	}
	bench_add(r, "offered_load", "percent", 100 * busy / (at[t->jobs - 1] * (double)r->workers), t->jobs);
	free(at);
	free(wait);
	free(service);
	free(ideal);
	free(level);
	if (b.share <= 1 || r->workers > 1)
		return 0;
	(void)fprintf(stderr, "%s: a low job was started after %.0f picks, the bound is %.0f\n", bench_name, b.picks,
		      b.its_bound);
	return 1;
}

static uint64_t spin_until(uint64_t due)
{
	uint64_t now = bench_ticks();

	while (now < due) /* bound: due */
		now = bench_ticks();
	return now;
}

static int run(struct bench_run *r)
{
	struct own_wish wish = { .handler = work, .levels = LEVELS, .jobs_max = (uint32_t)JOBS_MAX };
	struct shunt_job_spec spec;
	struct trace t = { 0 };
	struct own o;
	int rc;

	with_checkpoints = strstr(r->work->id, "checkpoints") != NULL;
	short_first = strncmp(r->work->id, "B5", 2) == 0;
	slice_ticks = bench_to_ticks(SLICE_NS);
	if (r->producers + r->workers > r->ncpus) {
		(void)fprintf(stderr, "%s: %s: %u workers at such a load and their producer need %u cpus, here are %u\n",
			      bench_name, r->work->id, r->workers, r->producers + r->workers, r->ncpus);
		return 77;
	}
	plan(&t, r);
	own_open(&o, r, &wish);
	spec = o.spec;
	t.zero = bench_ticks() + bench_to_ticks(100e3);
	for (uint64_t i = 0; i < t.jobs; i++) {
		struct job *j = &t.job[i];

		j->due += t.zero;
		spec.level = SHUNT_LEVEL(j->level);
		spec.arg = j;
		(void)spin_until(j->due);
		own_submit(&o, &spec);
		j->queued = bench_ticks();
	}
	rc = bench_wait_counted(r, t.jobs);
	if (rc != 0)
		bench_die("the runtime is left as it is");
	own_close(&o);
	rc = report(&t, r);
	free(t.job);
	return rc;
}

int main(int argc, char **argv)
{
	static const char *const idle_modes[] = { "adaptive", "poll", NULL };
	static const struct bench_work works[] = {
		{ "B6", "95 % load, a tenth of it urgent: 99.5 % x 1 us, 0.5 % x 100 us, one worker",
		  1, 1, 0, 2, 0, run },
		{ "B6-2w", "the same with two workers", 2, 1, 0, 2, 0, run },
#ifdef OWN_HAVE_CHECKPOINT
		{ "B5-checkpoints", "B5's mix, 70 %: short jobs one level up, a checkpoint each 1 us in the long ones",
		  1, 1, 0, 2, 0, run },
		{ "B6-checkpoints", "one worker, a checkpoint each 1 us in the long jobs", 1, 1, 0, 2, 0, run },
		{ "B6-checkpoints-2w", "the same with two workers", 2, 1, 0, 2, 0, run },
#endif
		{ 0 },
	};

	return own_main(argc, argv, works, idle_modes);
}
