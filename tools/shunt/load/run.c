/*
 * shunt/load/run.c - see load/run.h. The calling thread only watches the generators.
 *
 * SPDX-License-Identifier: MIT
 */
#include "load/run.h"

#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <shunt/error.h>

#include "common/cli.h"
#include "common/fmt.h"

#define LEAD_NS UINT64_C(20000000) /* from now to the first arrival */
#define TICK_NS UINT64_C(50000000)
#define GENERATOR_CPUS_MAX 16u
#define DRAIN_STEP_NS UINT64_C(100000000)

void load_run_init(struct load_run *r, const struct load_flags *flags)
{
	(void)memset(r, 0, sizeof(*r));
	r->flags = flags;
	r->hint = "";
}

/* ---- the plan ---- */

/* Does a flag or the environment say which cpus the workers get? */
static bool workers_placed(const struct setup_flags *flags)
{
	static const char *const env[] = { "SHUNT_POOLS_MAIN_WORKERS", "SHUNT_POOLS_MAIN_PLACE",
					   "SHUNT_POOLS_MAIN_PIN" };

	for (size_t i = 0; i < SH_COUNT(env); i++)
		if (getenv(env[i]))
			return true;
	return flags->config || flags->workers || flags->place || flags->pin || flags->sets_count;
}

/* Takes the last allowed cpus for the generators, one each, but leaves one for the workers. */
static void take_cpus(struct load_run *r)
{
	struct load_plan *p = &r->plan;
	cpu_set_t allowed;
	int left;

	CPU_ZERO(&p->cpus);
	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		return; /* more cpus than the set holds: nothing is kept apart */
	left = CPU_COUNT(&allowed) - 1;
	for (size_t cpu = CPU_SETSIZE; cpu-- > 0 && left > 0;) {
		if (!CPU_ISSET(cpu, &allowed) || r->result.generator_cpus == p->submitters ||
		    r->result.generator_cpus == GENERATOR_CPUS_MAX)
			continue;
		CPU_SET(cpu, &p->cpus);
		r->result.generator_cpus++;
		left--;
	}
}

static void builtin_config(const struct load_run *r, char *buf, size_t size)
{
	const struct load_flags *f = r->flags;
	int n = snprintf(buf, size, "runtime: {name: shunt-load, levels: [");

	for (uint32_t i = 0; i < f->levels && n > 0 && (size_t)n < size; i++)
		n += snprintf(buf + n, size - (size_t)n, "%s%s", i ? ", " : "", f->level[i].name);
	if (n > 0 && (size_t)n < size)
		n += snprintf(buf + n, size - (size_t)n, "]}\npools:\n  main:\n    on_full: error\n");
	if (r->result.generator_cpus == 0)
		return;
	if (n > 0 && (size_t)n < size)
		n += snprintf(buf + n, size - (size_t)n, "    place: \"all");
	for (size_t cpu = 0; cpu < CPU_SETSIZE && n > 0 && (size_t)n < size; cpu++)
		if (CPU_ISSET(cpu, &r->plan.cpus))
			n += snprintf(buf + n, size - (size_t)n, ",!cpus:%zu", cpu);
	if (n > 0 && (size_t)n < size)
		(void)snprintf(buf + n, size - (size_t)n, "\"\n");
}

/* Index of a level, or s->levels. */
static uint32_t level_find(const struct setup *s, const char *name)
{
	uint32_t k = 0;

	while (k < s->levels && strcmp(s->level_name[k], name) != 0)
		k++;
	return k;
}

/* Indexes of the level names of a trace: a level's name, else a number. */
static int plan_trace(struct load_run *r)
{
	const struct load_trace *t = &r->flags->trace;

	r->plan.trace = t;
	for (uint32_t i = 0; i < t->names; i++) {
		const char *name = t->name[i].text;
		uint32_t k = level_find(&r->setup, name);

		if (k == r->setup.levels && strspn(name, "0123456789") == strlen(name) && strlen(name) < 4)
			k = (uint32_t)strtoul(name, NULL, 10);
		if (k >= r->setup.levels) {
			cli_error("--trace: %s:%zu: '%s': no such level; want a number below %u or a level's name; "
				  "the first is '%s'; --levels or --config set them",
				  r->flags->trace_path, t->name[i].line, name,
				  (unsigned)r->setup.levels, r->setup.level_name[0]);
			return CLI_USAGE;
		}
		r->plan.trace_level[i] = k;
	}
	return CLI_OK;
}

/* Only a trace with a level in every line needs no shares, whatever the defaults are. */
static bool shares_needed(const struct load_run *r)
{
	const struct load_trace *t = &r->flags->trace;

	for (size_t i = 0; i < t->jobs; i++)
		if (t->job[i].level == LOAD_TRACE_NO_LEVEL)
			return true;
	return t->jobs == 0;
}

/* Resolves level names. */
static int plan_levels(struct load_run *r)
{
	const struct load_flags *f = r->flags;
	double at = 0;

	for (uint32_t i = 0; i < f->levels; i++) {
		uint32_t k = level_find(&r->setup, f->level[i].name);

		if (k == r->setup.levels && !shares_needed(r))
			continue;
		if (k == r->setup.levels) {
			cli_error("--levels: '%s': the configuration has no such level; it has %u, the first is '%s'",
				  f->level[i].name, (unsigned)r->setup.levels, r->setup.level_name[0]);
			return CLI_USAGE;
		}
		at += f->level[i].share;
		r->plan.level[r->plan.levels].level = k;
		r->plan.level[r->plan.levels++].up_to = at;
	}
	return f->trace.jobs ? plan_trace(r) : CLI_OK;
}

double load_run_capacity(const struct load_run *r, uint32_t workers)
{
	return (double)(workers < r->result.cpus ? workers : r->result.cpus) * 1e9 / r->plan.mean_ns;
}

/* Rate and capacity. Refuses a load beyond the capacity. */
static int plan_rate(struct load_run *r)
{
	const struct load_flags *f = r->flags;
	struct load_result *result = &r->result;
	struct load_plan *p = &r->plan;
	struct shunt_snapshot *s = NULL;
	const char *flag = f->rate_per_s > 0 ? "rate" : "trace";
	int rc = shunt_snapshot_create(r->setup.rt, &s);

	if (rc != 0) {
		cli_error("%s", shunt_strerror(rc));
		return CLI_FAILED;
	}
	for (size_t i = 0; i < shunt_snapshot_pool_count(s); i++) {
		const struct shunt_pool_info *pool = shunt_snapshot_pool_at(s, i);

		if (strcmp(pool->name, r->setup.pool) == 0)
			result->workers = pool->workers;
	}
	result->cpus = shunt_snapshot_budget(s)->budget ? shunt_snapshot_budget(s)->budget : 1;
	shunt_snapshot_destroy(s);
	result->capacity_per_s = load_run_capacity(r, result->workers);
	p->rate_per_s = f->rate_per_s > 0 ? f->rate_per_s : load_trace_rate(&f->trace);
	if (f->utilisation > 0) {
		flag = "utilisation";
		p->rate_per_s = f->utilisation * result->capacity_per_s;
	}
	if (p->rate_per_s < result->capacity_per_s || r->overload)
		return CLI_OK;
	cli_error("--%s: %.0f jobs/s of %s each are %s of what %" PRIu32 " workers on %" PRIu32 " cpus can do "
		  "(%.0f jobs/s); the queue would only grow; ask for less%s",
		  flag, p->rate_per_s,
		  fmt_ns(p->mean_ns).s, fmt_permille(p->rate_per_s, result->capacity_per_s).s, result->workers,
		  result->cpus, result->capacity_per_s, r->hint);
	return CLI_USAGE;
}

int load_run_open(struct load_run *r, const struct setup_flags *flags)
{
	const struct load_flags *f = r->flags;
	struct setup_type type = { "load", load_handler, 1, 0 };
	struct load_plan *p = &r->plan;
	char text[2048];
	int code;

	p->service = f->service;
	p->arrivals = f->arrivals;
	p->mean_ns = f->trace.jobs ? f->trace.mean_ns : f->service.mean_ns;
	p->seed = f->seed;
	p->submitters = f->submitters;
	r->result.plan = p;
	r->result.service = f->trace.jobs ? f->trace_path : f->service_text ? f->service_text
									    : "exp:10us";
	r->result.arrivals = f->trace.jobs ? "recorded" : f->arrivals_text ? f->arrivals_text
									   : "poisson";
	type.expected_ns = (uint64_t)p->mean_ns;
	if (r->own_cpus && !workers_placed(flags))
		take_cpus(r);
	builtin_config(r, text, sizeof(text));
	code = setup_create(&r->setup, flags, text, &type, 1);
	if (code == CLI_OK)
		code = plan_levels(r);
	if (code == CLI_OK)
		code = plan_rate(r);
	return code;
}

/* ---- the run ---- */

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts = { 0, 0 };

	(void)clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Cpu time of the workers and the runtime: the process without generators and this thread. */
static uint64_t worker_cpu_ns(const struct load_run *r)
{
	uint64_t others = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	uint64_t all;

	for (uint32_t i = 0; i < r->plan.submitters; i++) {
		const struct load_submitter *s = &r->gen.submitter[i];
		clockid_t id;

		if (i >= r->gen.running) /* joined, or not started */
			others += s->cpu_ns;
		else if (pthread_getcpuclockid(s->thread, &id) == 0)
			others += clock_ns(id);
	}
	all = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	return all > others ? all - others : 0;
}

struct cpu_mark {
	uint64_t cpu_ns, at_ns;
};

static struct cpu_mark cpu_mark(const struct load_run *r)
{
	struct cpu_mark m = { worker_cpu_ns(r), shunt_now_ns() };

	return m;
}

static void nap(uint64_t ns)
{
	const struct timespec ts = { 0, (long)ns };

	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

static int watch_generators(struct load_run *r, struct cpu_mark *mark)
{
	const struct load_plan *p = &r->plan;
	int code = CLI_OK;

	while (!cli_stopped()) { /* bound: end_ns */
		uint64_t now = shunt_now_ns();
		uint64_t step = TICK_NS;

		if (now >= p->end_ns)
			break;
		if (!r->warm && r->warmup_ns > 0 && now >= p->measure_ns) {
			int rc = shunt_snapshot_create(r->setup.rt, &r->warm);

			if (rc != 0) {
				cli_error("%s", shunt_strerror(rc));
				return CLI_FAILED;
			}
			*mark = cpu_mark(r);
		}
		if (code == CLI_OK && r->tick)
			code = r->tick(r->tick_arg, r, false);
		if (!r->warm && now < p->measure_ns && p->measure_ns - now < step)
			step = p->measure_ns - now;
		else if (p->end_ns - now < step)
			step = p->end_ns - now;
		nap(step);
	}
	return code;
}

/* Waits until the queues are empty; after a signal only shortly. */
static void drain(struct load_run *r)
{
	uint64_t start = shunt_now_ns();

	for (;;) { /* bound: drain_ns_max */
		int rc = shunt_runtime_drain(r->setup.rt, DRAIN_STEP_NS, NULL);
		uint64_t waited = shunt_now_ns() - start;

		if (rc != SHUNT_ETIMEDOUT || waited > r->drain_ns_max || (cli_stopped() && waited > DRAIN_STEP_NS * 5))
			return;
		if (r->tick && r->tick(r->tick_arg, r, true) != CLI_OK)
			return;
	}
}

static int collect(struct load_run *r)
{
	struct load_result *result = &r->result;
	int rc = shunt_snapshot_create(r->setup.rt, &r->end);

	if (rc == 0 && r->warm)
		rc = shunt_snapshot_diff(r->end, r->warm, &r->measured);
	if (rc == 0)
		rc = shunt_hist_create(&result->lag);
	for (uint32_t i = 0; rc == 0 && i < r->plan.submitters; i++) {
		const struct load_submitter *s = &r->gen.submitter[i];

		rc = s->error ? s->error : shunt_hist_add(result->lag, s->lag);
		result->submitted += s->submitted;
		result->refused += s->refused;
	}
	if (rc != 0) {
		cli_error("%s", shunt_strerror(rc));
		return CLI_FAILED;
	}
	result->span_ns = shunt_snapshot_runtime(r->end)->taken_ns -
			  (r->warm ? shunt_snapshot_runtime(r->warm)->taken_ns : r->plan.start_ns);
	/* no warm-up, or a signal during it */
	result->measured = r->measured ? r->measured : r->end;
	for (size_t i = 0; i < shunt_snapshot_pool_count(r->end); i++) {
		const struct shunt_pool_info *p = shunt_snapshot_pool_at(r->end, i);

		result->unfinished += p->submitted - p->finished;
	}
	return CLI_OK;
}

int load_run_generate(struct load_run *r)
{
	struct load_plan *p = &r->plan;
	struct cpu_mark from, to;
	int code, rc;

	p->rt = r->setup.rt;
	p->type = r->setup.type[0];
	p->start_ns = shunt_now_ns() + LEAD_NS;
	p->measure_ns = p->start_ns + r->warmup_ns;
	p->end_ns = p->measure_ns + r->duration_ns;
	from = cpu_mark(r);
	rc = load_gen_start(&r->gen, p);
	if (rc != 0) {
		cli_error("generators: %s", shunt_strerror(rc));
		return CLI_FAILED;
	}
	code = watch_generators(r, &from);
	load_gen_join(&r->gen);
	to = cpu_mark(r);
	if (to.at_ns > from.at_ns && to.cpu_ns > from.cpu_ns)
		r->result.worker_cpus = (double)(to.cpu_ns - from.cpu_ns) / (double)(to.at_ns - from.at_ns);
	drain(r);
	cli_progress_clear();
	r->result.elapsed_ns = shunt_now_ns() - (r->warm ? p->measure_ns : p->start_ns);
	r->result.signal = cli_stopped();
	return code == CLI_OK ? collect(r) : code;
}

void load_run_close(struct load_run *r)
{
	setup_destroy(&r->setup);
}

void load_run_fini(struct load_run *r)
{
	shunt_snapshot_destroy(r->measured);
	shunt_snapshot_destroy(r->end);
	shunt_snapshot_destroy(r->warm);
	shunt_hist_destroy(r->result.lag);
	load_gen_fini(&r->gen);
	load_run_init(r, r->flags);
}
