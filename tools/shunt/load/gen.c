/* shunt/load/gen.c - see load/gen.h. SPDX-License-Identifier: MIT */
#include "load/gen.h"

#include <string.h>
#include <time.h>

#include <shunt/error.h>

#include "common/cli.h"

/* Spins through the end of a wait: a sleep ends about this late. */
#define SPIN_NS 80000u
#define SLEEP_STEP_NS 50000000u   /* longest delay until a signal is seen */

int load_handler(struct shunt_job_ctx *ctx, void *arg)
{
	uint64_t end = shunt_now_ns() + (uint64_t)(uintptr_t)arg;

	(void)ctx;
	while (shunt_now_ns() < end) /* bound: the service time */
		sh_cpu_relax();
	return SHUNT_DONE;
}

/* Waits until t; false when the generators must end. */
static bool wait_until(const struct load_gen *g, uint64_t t)
{
	for (;;) { /* bound: t */
		uint64_t now = shunt_now_ns();
		uint64_t left;

		if (cli_stopped() || sh_a32_load_rlx(&g->quit)) /* mo rlx: a flag. */
			return false;
		if (now >= t)
			return true;
		left = t - now;
		if (left > SPIN_NS) {
			uint64_t ns = left - SPIN_NS < SLEEP_STEP_NS ? left - SPIN_NS : SLEEP_STEP_NS;
			struct timespec ts = { 0, (long)ns };

			(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
		} else {
			sh_cpu_relax();
		}
	}
}

static uint32_t draw_level(const struct load_plan *p, struct sh_rng *rng)
{
	double u = (double)(sh_rng_next(rng) >> 11) * 0x1.0p-53;
	uint32_t i = 0;

	while (i + 1 < p->levels && u >= p->level[i].up_to)
		i++;
	return p->level[i].level;
}

static void submit_one(struct load_submitter *s, uint64_t start_ns, uint32_t level, uint64_t service_ns)
{
	const struct load_plan *p = s->plan;
	struct shunt_job_spec spec;
	bool measured = start_ns >= p->measure_ns;
	uint64_t now;
	int rc;

	(void)memset(&spec, 0, sizeof(spec));
	spec.type = p->type;
	spec.level = SHUNT_LEVEL(level);
	/* open loop: what exceeds the capacity is refused and counted */
	spec.on_full = SHUNT_ON_FULL_ERROR;
	spec.arg = (void *)(uintptr_t)service_ns;
	spec.arrival_ns = start_ns;
	now = shunt_now_ns();
	rc = shunt_submit(p->rt, &spec, NULL);
	s->all++;
	if (rc != 0 && rc != SHUNT_EFULL)
		s->error = rc;
	if (!measured)
		return;
	shunt_hist_record(s->lag, now > start_ns ? now - start_ns : 0);
	if (rc == 0)
		s->submitted++;
	else
		s->refused++;
}

static void draw_one(struct load_submitter *s, struct sh_rng *rng, uint64_t start_ns)
{
	uint32_t level = draw_level(s->plan, rng);

	submit_one(s, start_ns, level, load_service_draw(&s->plan->service, rng));
}

/* Submits every n-th job of the trace, stretched to the rate of the plan, again and again. */
static void play_trace(struct load_submitter *s)
{
	const struct load_plan *p = s->plan;
	const struct load_trace *trace = p->trace;
	double stretch = load_trace_rate(trace) / p->rate_per_s;
	double began = 0; /* start of this pass, ns after start_ns, not stretched */
	size_t i = s->index;
	struct sh_rng rng;

	sh_rng_init(&rng, p->seed + s->index);
	while (s->error == 0) { /* bound: end_ns */
		const struct load_trace_job *job;
		uint64_t t;

		for (; i >= trace->jobs; i -= trace->jobs) /* bound: submitters / jobs */
			began += (double)trace->period_ns;
		job = &trace->job[i];
		t = p->start_ns + (uint64_t)((began + (double)job->arrival_ns) * stretch);
		if (t >= p->end_ns || !wait_until(s->gen, t))
			break;
		submit_one(s, t, job->level == LOAD_TRACE_NO_LEVEL ? draw_level(p, &rng) : p->trace_level[job->level],
			   job->service_ns);
		i += p->submitters;
	}
}

static void draw_arrivals(struct load_submitter *s)
{
	const struct load_plan *p = s->plan;
	double rate = p->rate_per_s / (double)p->submitters;
	double at = 0; /* ns after start_ns; a double keeps 1 ns for 100 days */
	struct sh_rng rng;

	sh_rng_init(&rng, p->seed + s->index);
	if (p->arrivals.kind == LOAD_CONSTANT) /* generators take turns */
		at = 1e9 / rate * (double)s->index / (double)p->submitters;
	else
		at = load_arrivals_draw(&p->arrivals, rate, &rng);
	while (s->error == 0) { /* bound: end_ns */
		uint64_t t = p->start_ns + (uint64_t)at;

		if (t >= p->end_ns || !wait_until(s->gen, t))
			break;
		for (uint32_t i = 0; i < p->arrivals.burst; i++)
			draw_one(s, &rng, t);
		at += load_arrivals_draw(&p->arrivals, rate, &rng);
	}
}

static void *submitter_main(void *arg)
{
	struct load_submitter *s = arg;
	struct timespec ts = { 0, 0 };

	if (s->plan->trace)
		play_trace(s);
	else
		draw_arrivals(s);
	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	s->cpu_ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	return NULL;
}

/* Starts one generator on the cpus of the plan. 0 or SHUNT_ESYS. */
static int start_one(struct load_submitter *s)
{
	const cpu_set_t *cpus = &s->plan->cpus;
	pthread_attr_t attr;
	int rc;

	if (pthread_attr_init(&attr) != 0)
		return SHUNT_ESYS;
	rc = CPU_COUNT(cpus) ? pthread_attr_setaffinity_np(&attr, sizeof(*cpus), cpus) : 0;
	if (rc == 0)
		rc = pthread_create(&s->thread, &attr, submitter_main, s);
	(void)pthread_attr_destroy(&attr);
	return rc == 0 ? 0 : SHUNT_ESYS;
}

int load_gen_start(struct load_gen *g, const struct load_plan *plan)
{
	int rc = 0;

	g->plan = plan;
	sh_a32_init(&g->quit, 0);
	for (uint32_t i = 0; i < plan->submitters && rc == 0; i++) {
		struct load_submitter *s = &g->submitter[i];

		s->plan = plan;
		s->gen = g;
		s->index = i;
		rc = shunt_hist_create(&s->lag);
	}
	for (uint32_t i = 0; i < plan->submitters && rc == 0; i++) {
		rc = start_one(&g->submitter[i]);
		g->running += rc == 0;
	}
	if (rc != 0) {
		sh_a32_store_rlx(&g->quit, 1); /* mo rlx: a flag. */
		load_gen_join(g);
		load_gen_fini(g);
	}
	return rc;
}

void load_gen_join(struct load_gen *g)
{
	for (uint32_t i = 0; i < g->running; i++)
		(void)pthread_join(g->submitter[i].thread, NULL);
	g->running = 0;
}

void load_gen_fini(struct load_gen *g)
{
	for (uint32_t i = 0; i < LOAD_SUBMITTERS_MAX; i++) {
		shunt_hist_destroy(g->submitter[i].lag);
		g->submitter[i].lag = NULL;
	}
}
