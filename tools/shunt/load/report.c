/* shunt/load/report.c - see load/report.h. SPDX-License-Identifier: MIT */
#include "load/report.h"

#include <inttypes.h>

#include <shunt/version.h>

#include "common/cli.h"
#include "common/fmt.h"
#include "common/report.h"

static double offered(const struct load_result *r)
{
	return r->plan->rate_per_s / r->capacity_per_s;
}

static const char *plural(uint32_t n)
{
	return n == 1 ? "" : "s";
}

static void print_lag(const struct shunt_hist *h, FILE *f)
{
	static const double at[] = { 50.0, 90.0, 99.0, 99.9 };
	uint64_t p[SH_COUNT(at)];

	shunt_hist_percentiles(h, at, p, SH_COUNT(at));
	(void)fprintf(f, "  generator late by: p50 %s, p90 %s, p99 %s, p99.9 %s, max %s\n", fmt_ns((double)p[0]).s,
		      fmt_ns((double)p[1]).s, fmt_ns((double)p[2]).s, fmt_ns((double)p[3]).s,
		      fmt_ns((double)shunt_hist_max(h)).s);
}

static void print_head(const struct load_result *r, FILE *f)
{
	const struct load_plan *p = r->plan;
	double s = (double)(p->end_ns - p->measure_ns) / 1e9;

	(void)fprintf(f, "shunt load: %s jobs a second, %s arrivals, service ", fmt_count((uint64_t)p->rate_per_s).s,
		      r->arrivals);
	fmt_print_path(f, r->service);
	if (r->signal)
		(void)fprintf(f, ": stopped by signal (%s)", cli_signal_name(r->signal));
	(void)fprintf(f, "\n  mean service %s: %s of what %" PRIu32 " worker%s on %" PRIu32 " cpu%s can do (%s jobs/s); seed %" PRIu64
		      "\n", fmt_ns(p->mean_ns).s, fmt_permille(offered(r), 1.0).s, r->workers, plural(r->workers), r->cpus,
		      plural(r->cpus), fmt_count((uint64_t)r->capacity_per_s).s, p->seed);
	(void)fprintf(f, "  %s submitted", fmt_count(r->submitted).s);
	if (!r->signal)
		(void)fprintf(f, " (%s/s)", fmt_count((uint64_t)((double)r->submitted / s)).s);
	(void)fprintf(f, " after %s of warm-up", fmt_ns((double)(p->measure_ns - p->start_ns)).s);
	if (r->refused)
		(void)fprintf(f, ", %s refused as full", fmt_count(r->refused).s);
	if (r->unfinished)
		(void)fprintf(f, ", %s cancelled at the end", fmt_count(r->unfinished).s);
	(void)fprintf(f, "; the last job ended %s after it\n", fmt_ns((double)r->elapsed_ns).s);
	print_lag(r->lag, f);
	if (r->generator_cpus)
		(void)fprintf(f, "  generator on %" PRIu32 " cpu%s of its own; --workers or --place chooses otherwise\n",
			      r->generator_cpus, plural(r->generator_cpus));
	else if (r->workers + p->submitters > r->cpus)
		(void)fprintf(f, "  note: %" PRIu32 " worker%s and %" PRIu32 " generator%s share %" PRIu32 " cpu%s: the delays "
			      "include waiting for a cpu\n", r->workers, plural(r->workers), p->submitters, plural(p->submitters),
			      r->cpus, plural(r->cpus));
}

static void limit_cells(struct fmt_table *t, const struct limits_value *v)
{
	fmt_table_cell(t, "%s", v->samples ? fmt_ns(v->min_ns).s : "-");
	fmt_table_cell(t, "%s", v->samples ? fmt_ns(v->p50_ns).s : "-");
	fmt_table_cell(t, "%s", v->samples ? fmt_ns(v->p99_ns).s : "-");
}

static void print_limits(const struct load_result *r, FILE *f)
{
	static const char *const head[] = { "", "before: min", "p50", "p99", "after: min", "p50", "p99" };
	struct fmt_table t;

	(void)fprintf(f, "\nthe machine's own limits, measured before and after (cpus %d and %d)\n", r->before.cpu_a,
		      r->before.cpu_b);
	fmt_table_init(&t, "lrrrrrr");
	for (size_t i = 0; i < SH_COUNT(head); i++)
		fmt_table_cell(&t, "%s", head[i]);
	for (size_t i = 0; i < LIMITS_COUNT; i++) {
		fmt_table_cell(&t, "%s", limits_name((enum limits_what)i));
		limit_cells(&t, &r->before.value[i]);
		limit_cells(&t, &r->after.value[i]);
	}
	fmt_table_print(&t, f, 2);
}

void load_report_print(const struct load_result *r, FILE *f)
{
	print_head(r, f);
	(void)fputs("\njobs (queue: from the intended start to the handler; run: the handler; total: both)\n", f);
	report_series(r->measured, f);
	(void)fputs("\nworkers (used: busy time of the measured time)\n", f);
	report_workers(r->measured, r->span_ns, f);
	(void)fputc('\n', f);
	report_pools(r->measured, f);
	if (r->limits)
		print_limits(r, f);
}

static json_t *limits_json(const struct limits *l, bool *bad)
{
	json_t *o = json_object();

	fmt_json_set(o, "cpu_a", json_integer(l->cpu_a), bad);
	fmt_json_set(o, "cpu_b", json_integer(l->cpu_b), bad);
	for (size_t i = 0; i < LIMITS_COUNT; i++) {
		const struct limits_value *v = &l->value[i];
		json_t *x = json_object();

		fmt_json_set_u64(x, "samples", v->samples, bad);
		fmt_json_set_real(x, "min_ns", v->min_ns, bad);
		fmt_json_set_real(x, "p50_ns", v->p50_ns, bad);
		fmt_json_set_real(x, "p99_ns", v->p99_ns, bad);
		fmt_json_set(o, limits_key((enum limits_what)i), x, bad);
	}
	return o;
}

bool load_report_json(const struct load_result *r, FILE *f)
{
	const struct load_plan *p = r->plan;
	json_t *root = json_object();
	bool bad = !root;

	fmt_json_set(root, "command", fmt_json_text("load"), &bad);
	fmt_json_set(root, "version", fmt_json_text(shunt_version()), &bad);
	fmt_json_set(root, "stopped_by", r->signal ? fmt_json_text(cli_signal_name(r->signal)) : json_null(), &bad);
	fmt_json_set(root, "service", fmt_json_text(r->service), &bad);
	fmt_json_set(root, "arrivals", fmt_json_text(r->arrivals), &bad);
	fmt_json_set_real(root, "service_mean_ns", p->mean_ns, &bad);
	fmt_json_set_real(root, "rate_per_s", p->rate_per_s, &bad);
	fmt_json_set_real(root, "capacity_per_s", r->capacity_per_s, &bad);
	fmt_json_set_real(root, "utilisation_offered", offered(r), &bad);
	fmt_json_set_u64(root, "seed", p->seed, &bad);
	fmt_json_set_u64(root, "submitters", p->submitters, &bad);
	fmt_json_set_u64(root, "generator_cpus", r->generator_cpus, &bad);
	fmt_json_set_u64(root, "warmup_ns", p->measure_ns - p->start_ns, &bad);
	fmt_json_set_u64(root, "elapsed_ns", r->elapsed_ns, &bad);
	fmt_json_set_u64(root, "submitted", r->submitted, &bad);
	fmt_json_set_u64(root, "refused", r->refused, &bad);
	fmt_json_set_u64(root, "unfinished", r->unfinished, &bad);
	fmt_json_set_real(root, "worker_cpus", r->worker_cpus, &bad);
	fmt_json_set(root, "generator_lag", report_hist_json(r->lag), &bad);
	if (r->limits) {
		fmt_json_set(root, "limits_before", limits_json(&r->before, &bad), &bad);
		fmt_json_set(root, "limits_after", limits_json(&r->after, &bad), &bad);
	}
	report_snapshot_json(r->measured, r->span_ns, root, &bad);
	if (!bad)
		bad = !fmt_json_write(root, f);
	json_decref(root);
	return !bad;
}
