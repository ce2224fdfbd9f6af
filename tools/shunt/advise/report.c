/* shunt/advise/report.c - see advise/report.h. SPDX-License-Identifier: MIT */
#include "advise/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <shunt/version.h>

#include "common/cli.h"
#include "common/fmt.h"

#define FEW_JOBS 2000.0 /* a run: with fewer, p99.9 is the longest one or two */

static const struct {
	const char *name, *key;
} metrics[ADVISE_METRICS] = {
	[ADVISE_QUEUE_P50] = { "p50 of queue delay", "queue_p50_ns" },
	[ADVISE_QUEUE_P99] = { "p99 of queue delay", "queue_p99_ns" },
	[ADVISE_QUEUE_P999] = { "p99.9 of queue delay", "queue_p99_9_ns" },
	[ADVISE_TOTAL_P50] = { "p50 of total time", "total_p50_ns" },
	[ADVISE_TOTAL_P99] = { "p99 of total time", "total_p99_ns" },
	[ADVISE_TOTAL_P999] = { "p99.9 of total time", "total_p99_9_ns" },
	[ADVISE_CPU] = { "cpu use of the workers", "cpu_percent" },
	[ADVISE_LATE] = { "p99 of the generators' lateness", "late_p99_ns" },
};

const char *advise_idle_name(enum advise_idle idle)
{
	static const char *const names[ADVISE_IDLES] = { "poll", "adaptive", "park" };

	return names[idle];
}

static const char *plural(uint32_t n)
{
	return n == 1 ? "" : "s";
}

/* A figure of a row in its unit. */
static struct fmt_text value(enum advise_metric m, double v)
{
	return m == ADVISE_CPU ? fmt_permille(v, 1.0) : fmt_ns(v);
}

struct advise_name advise_row_name(const struct advise_row *row)
{
	struct advise_name t;

	(void)snprintf(t.s, sizeof(t.s), "%" PRIu32 " worker%s, %s, %s", row->workers, plural(row->workers),
		       advise_idle_name(row->idle), row->pinned ? "pinned" : "unpinned");
	return t;
}

/* "35% less": the smaller of two values against the larger. */
static struct fmt_text less(double a, double b)
{
	struct fmt_text t;

	(void)snprintf(t.s, sizeof(t.s), "%.0f%% less", b > 0 ? 100.0 * (b - a) / b : 0.0);
	return t;
}

/* ---- the table ---- */

static void print_load(const struct advise_result *r, FILE *f)
{
	(void)fprintf(f, "%s jobs a second, %s arrivals, service ", fmt_count((uint64_t)r->rate_per_s).s, r->arrivals);
	fmt_print_path(f, r->service);
}

static void print_shared(const struct advise_result *r, FILE *f)
{
	(void)fprintf(f, "  note: up to %" PRIu32 " worker%s and %" PRIu32 " generator%s", r->workers,
		      plural(r->workers), r->submitters, plural(r->submitters));
	(void)fprintf(f, " share %" PRIu32 " cpu%s: the delays include waiting for a cpu\n", r->cpus, plural(r->cpus));
}

static void print_head(const struct advise_result *r, FILE *f)
{
	double jobs = r->rate_per_s * (double)r->duration_ns / 1e9;
	const char *s = plural(r->workers);
	size_t run = 0;

	(void)fputs("shunt advise: ", f);
	print_load(r, f);
	if (r->signal)
		(void)fprintf(f, ": stopped by signal (%s)", cli_signal_name(r->signal));
	(void)fprintf(f, "\n  mean service %s: %s of what %" PRIu32 " worker%s on %" PRIu32 " cpu%s can do; "
			 "seed %" PRIu64,
		      fmt_ns(r->mean_ns).s, fmt_permille(r->rate_per_s, r->capacity_per_s).s, r->workers, s, r->cpus,
		      plural(r->cpus), r->seed);
	for (size_t i = 0; i < r->rows; i++)
		run += r->row[i].rounds > 0;
	(void)fprintf(f, "\n  %" PRIu32 " rounds of %zu configurations, each time %s measured after %s of warm-up\n",
		      r->rounds, run, fmt_ns((double)r->duration_ns).s, fmt_ns((double)r->warmup_ns).s);
	if (r->workers + r->submitters > r->cpus)
		print_shared(r, f);
	if (jobs < FEW_JOBS)
		(void)fprintf(f, "  note: about %.0f jobs a run: high percentiles are those of single jobs; "
				 "give it more --duration\n",
			      jobs);
}

struct sort_key {
	const struct advise_row *row;
	double value;
};

/* Rows with figures first, by the criterion. */
static int compare_rows(const void *a, const void *b)
{
	const struct sort_key *x = a;
	const struct sort_key *y = b;

	if (advise_judged(x->row) != advise_judged(y->row))
		return advise_judged(x->row) ? -1 : 1;
	if (x->value < y->value || x->value > y->value)
		return x->value < y->value ? -1 : 1;
	return x->row < y->row ? -1 : x->row > y->row;
}

static void table_row(struct fmt_table *t, const struct advise_row *row, enum advise_metric by)
{
	const struct advise_figure *f = row->figure;

	fmt_table_cell(t, "%s", advise_row_name(row).s);
	for (int m = ADVISE_QUEUE_P50; m <= ADVISE_CPU; m++)
		fmt_table_cell(t, "%s", row->rounds ? value((enum advise_metric)m, f[m].median).s : "-");
	if (row->rounds && row->carried)
		fmt_table_cell(t, "%s to %s", value(by, f[by].low).s, value(by, f[by].high).s);
	else
		fmt_table_cell(t, "%s", row->carried ? "not run" : "too much load for it");
}

static void print_table(const struct advise_result *r, FILE *f)
{
	static const char *const head[] = { "configuration", "queue p50", "p99", "p99.9",
					    "total p50", "p99", "p99.9", "cpu" };
	static const char *const spread[ADVISE_METRICS] = { [ADVISE_QUEUE_P50] = "p50",
							    [ADVISE_QUEUE_P99] = "p99",
							    [ADVISE_QUEUE_P999] = "p99.9",
							    [ADVISE_CPU] = "cpu" };
	struct sort_key *key = calloc(r->rows, sizeof(*key));
	struct fmt_table t;

	if (!key)
		return;
	for (size_t i = 0; i < r->rows; i++)
		key[i] = (struct sort_key){ &r->row[i], r->row[i].rounds ? r->row[i].figure[r->by].median : 0 };
	qsort(key, r->rows, sizeof(*key), compare_rows);
	(void)fprintf(f, "\nmedians of the rounds, best first by %s; cpu: 100%% is one cpu\n", metrics[r->by].name);
	fmt_table_init(&t, "lrrrrrrrl");
	for (size_t i = 0; i < SH_COUNT(head); i++)
		fmt_table_cell(&t, "%s", head[i]);
	fmt_table_cell(&t, "spread of %s%s", r->by == ADVISE_CPU ? "" : "queue ", spread[r->by]);
	for (size_t i = 0; i < r->rows; i++)
		table_row(&t, key[i].row, r->by);
	fmt_table_print(&t, f, 2);
	free(key);
}

/* ---- the verdict ---- */

/* The median of a row by the criterion. */
static double median(const struct advise_result *r, size_t i)
{
	return r->row[i].figure[r->by].median;
}

static void print_tied(const struct advise_result *r, FILE *f)
{
	const struct advise_verdict *v = &r->verdict;
	const struct advise_figure *best = &r->row[v->best].figure[r->by];
	const char *why = r->by == ADVISE_CPU ? "has the shortest queue" : "uses the least cpu";

	(void)fprintf(f, "no clear winner: within the noise of %s (%s to %s), the best by %s, are\n",
		      value(r->by, best->median).s, value(r->by, best->low).s, value(r->by, best->high).s,
		      metrics[r->by].name);
	for (size_t i = 0; i < r->rows; i++) {
		const struct advise_row *row = &r->row[i];

		if (!advise_judged(row) || advise_compare(row, &r->row[v->best], r->by) > 0)
			continue;
		(void)fprintf(f, "  %s: %s, cpu %s%s\n", advise_row_name(row).s, value(r->by, median(r, i)).s,
			      value(ADVISE_CPU, row->figure[ADVISE_CPU].median).s,
			      i == v->chosen ? "  <- chosen" : "");
	}
	(void)fprintf(f, "of these the chosen one %s, or else the fewest workers\n", why);
}

static void print_best(const struct advise_result *r, FILE *f)
{
	const struct advise_verdict *v = &r->verdict;
	const struct advise_figure *best = &r->row[v->best].figure[r->by];

	(void)fprintf(f, "best here by %s: %s: %s (%s to %s)", metrics[r->by].name, advise_row_name(&r->row[v->best]).s,
		      value(r->by, best->median).s, value(r->by, best->low).s, value(r->by, best->high).s);
	if (v->next == ADVISE_NONE)
		(void)fputs("; no other one carries the load\n", f);
	else
		(void)fprintf(f, ", %s than the next, %s (%s)\n", less(best->median, median(r, v->next)).s,
			      advise_row_name(&r->row[v->next]).s, value(r->by, median(r, v->next)).s);
}

static void print_pinning(const struct advise_result *r, FILE *f)
{
	const struct advise_verdict *v = &r->verdict;
	bool pinned = v->pinning == ADVISE_PINNED_BETTER;
	double a, b;

	if (v->pinning == ADVISE_PINNING_UNKNOWN)
		return;
	a = median(r, pinned ? v->pinned : v->unpinned);
	b = median(r, pinned ? v->unpinned : v->pinned);
	if (v->pinning == ADVISE_PINNING_NOISE)
		(void)fprintf(f, "pinned or unpinned: no clear difference, within the noise "
				 "(at best %s unpinned, %s pinned)\n",
			      value(r->by, a).s, value(r->by, b).s);
	else
		(void)fprintf(f, "%s is better here: %s at best, against %s, %s\n", pinned ? "pinned" : "unpinned",
			      value(r->by, a).s, value(r->by, b).s, less(a, b).s);
}

/* The row that a pool is without any setting, or ADVISE_NONE. */
static size_t find_defaults(const struct advise_result *r)
{
	size_t found = ADVISE_NONE;

	for (size_t i = 0; i < r->rows; i++)
		if (r->row[i].workers == r->workers && r->row[i].idle == ADVISE_ADAPTIVE && r->row[i].pinned == r->pins)
			found = i;
	return !r->pins || strcmp(r->pin, "compact") == 0 ? found : ADVISE_NONE;
}

static void print_defaults(const struct advise_result *r, FILE *f)
{
	size_t chosen = r->verdict.chosen, def = find_defaults(r);
	struct advise_name name;
	double a, b;

	if (def == ADVISE_NONE)
		return;
	name = advise_row_name(&r->row[def]);
	a = median(r, chosen);
	b = median(r, def);
	if (def == chosen)
		(void)fputs("the chosen one is what a pool does by default\n", f);
	else if (!advise_judged(&r->row[def]))
		(void)fprintf(f, "the defaults (%s) do not carry this load\n", name.s);
	else if (advise_compare(&r->row[def], &r->row[chosen], r->by) == 0)
		(void)fprintf(f, "against the defaults (%s): %s, no clear difference\n", name.s, value(r->by, b).s);
	else
		(void)fprintf(f, "against the defaults (%s): %s in place of %s, %s\n", name.s, value(r->by, a).s,
			      value(r->by, b).s, less(a, b).s);
}

static void print_late(const struct advise_result *r, FILE *f)
{
	const struct advise_figure *figure = r->row[r->verdict.chosen].figure;

	if (figure[ADVISE_LATE].median > figure[ADVISE_QUEUE_P99].median / 2)
		(void)fprintf(f, "note: the generators themselves were late by %s at p99, which is in these delays: "
				 "they did not get their cpu\n",
			      fmt_ns(figure[ADVISE_LATE].median).s);
}

void advise_report_print(const struct advise_result *r, FILE *f)
{
	print_head(r, f);
	print_table(r, f);
	if (!r->judged)
		return;
	(void)fputc('\n', f);
	if (r->verdict.tied > 1)
		print_tied(r, f);
	else
		print_best(r, f);
	print_pinning(r, f);
	print_defaults(r, f);
	print_late(r, f);
	if (r->yaml)
		(void)fprintf(f, "\nconfiguration to paste:\n\n%s", r->yaml);
}

/* ---- the configuration ---- */

static void yaml_body(const struct advise_result *r, FILE *f)
{
	const struct advise_row *row = &r->row[r->verdict.chosen];
	const struct setup_flags *flags = r->flags;

	if (!flags->config || flags->jobs_max)
		(void)fputs("runtime:\n", f);
	if (flags->jobs_max)
		(void)fprintf(f, "  jobs_max: %s\n", flags->jobs_max);
	if (!flags->config) {
		(void)fputs("  levels: [", f);
		for (uint32_t i = 0; i < r->levels; i++)
			(void)fprintf(f, "%s\"%s\"", i ? ", " : "", r->level_name[i]);
		(void)fputs("]\n", f);
	}
	(void)fprintf(f, "pools:\n  %s:\n    workers: %" PRIu32 "\n    pin: %s\n    idle: %s\n", r->pool, row->workers,
		      row->pinned ? r->pin : "none", advise_idle_name(row->idle));
	if (flags->place)
		(void)fprintf(f, "    place: \"%s\"\n", flags->place);
	if (flags->strategy)
		(void)fprintf(f, "    strategy: %s\n", flags->strategy);
}

char *advise_report_yaml(const struct advise_result *r)
{
	const struct advise_row *row = &r->row[r->verdict.chosen];
	const struct advise_figure *figure = &row->figure[r->by];
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	(void)fprintf(f, "# shunt advise: %s: %s %s (%s to %s) in %" PRIu32 " rounds\n", advise_row_name(row).s,
		      metrics[r->by].name, value(r->by, figure->median).s, value(r->by, figure->low).s,
		      value(r->by, figure->high).s, row->rounds);
	(void)fputs("# load: ", f);
	print_load(r, f);
	(void)fprintf(f, ", %" PRIu32 " cpu%s\n", r->cpus, plural(r->cpus));
	if (r->flags->config) {
		(void)fputs("# only what changes; the rest is in ", f);
		fmt_print_path(f, r->flags->config);
		(void)fputc('\n', f);
	}
	yaml_body(r, f);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

/* ---- JSON ---- */

static json_t *row_json(const struct advise_row *row, bool *bad)
{
	json_t *o = json_object();

	fmt_json_set_u64(o, "workers", row->workers, bad);
	fmt_json_set(o, "idle", fmt_json_text(advise_idle_name(row->idle)), bad);
	fmt_json_set(o, "pinned", json_boolean(row->pinned), bad);
	fmt_json_set(o, "carried", json_boolean(row->carried), bad);
	fmt_json_set_u64(o, "rounds", row->rounds, bad);
	for (int m = 0; row->rounds && m < ADVISE_METRICS; m++) {
		double unit = m == ADVISE_CPU ? 100 : 1;
		json_t *x = json_object();

		fmt_json_set_real(x, "median", row->figure[m].median * unit, bad);
		fmt_json_set_real(x, "low", row->figure[m].low * unit, bad);
		fmt_json_set_real(x, "high", row->figure[m].high * unit, bad);
		fmt_json_set(o, metrics[m].key, x, bad);
	}
	return o;
}

static json_t *index_json(size_t i)
{
	return i == ADVISE_NONE ? json_null() : json_integer((json_int_t)i);
}

static json_t *verdict_json(const struct advise_verdict *v, bool *bad)
{
	static const char *const pinning[] = {
		[ADVISE_PINNING_UNKNOWN] = "unknown",
		[ADVISE_PINNED_BETTER] = "pinned",
		[ADVISE_UNPINNED_BETTER] = "unpinned",
		[ADVISE_PINNING_NOISE] = "noise",
	};
	json_t *o = json_object();

	fmt_json_set(o, "clear", json_boolean(v->tied == 1), bad);
	fmt_json_set_u64(o, "tied", v->tied, bad);
	fmt_json_set(o, "best", index_json(v->best), bad);
	fmt_json_set(o, "next", index_json(v->next), bad);
	fmt_json_set(o, "chosen", index_json(v->chosen), bad);
	fmt_json_set(o, "best_pinned", index_json(v->pinned), bad);
	fmt_json_set(o, "best_unpinned", index_json(v->unpinned), bad);
	fmt_json_set(o, "pinning", fmt_json_text(pinning[v->pinning]), bad);
	return o;
}

bool advise_report_json(const struct advise_result *r, FILE *f)
{
	json_t *root = json_object();
	json_t *rows = json_array();
	bool bad = !root || !rows;

	for (size_t i = 0; i < r->rows; i++)
		bad = json_array_append_new(rows, row_json(&r->row[i], &bad)) < 0 || bad;
	fmt_json_set(root, "command", fmt_json_text("advise"), &bad);
	fmt_json_set(root, "version", fmt_json_text(shunt_version()), &bad);
	fmt_json_set(root, "stopped_by", r->signal ? fmt_json_text(cli_signal_name(r->signal)) : json_null(), &bad);
	fmt_json_set(root, "criterion", fmt_json_text(metrics[r->by].key), &bad);
	fmt_json_set(root, "service", fmt_json_text(r->service), &bad);
	fmt_json_set(root, "arrivals", fmt_json_text(r->arrivals), &bad);
	fmt_json_set_real(root, "service_mean_ns", r->mean_ns, &bad);
	fmt_json_set_real(root, "rate_per_s", r->rate_per_s, &bad);
	fmt_json_set_real(root, "capacity_per_s", r->capacity_per_s, &bad);
	fmt_json_set_u64(root, "seed", r->seed, &bad);
	fmt_json_set_u64(root, "submitters", r->submitters, &bad);
	fmt_json_set_u64(root, "cpus", r->cpus, &bad);
	fmt_json_set_u64(root, "rounds", r->rounds, &bad);
	fmt_json_set_u64(root, "run_ns", r->duration_ns, &bad);
	fmt_json_set_u64(root, "warmup_ns", r->warmup_ns, &bad);
	fmt_json_set(root, "pin", fmt_json_text(r->pin), &bad);
	fmt_json_set(root, "rows", rows, &bad);
	fmt_json_set(root, "verdict", r->judged ? verdict_json(&r->verdict, &bad) : json_null(), &bad);
	fmt_json_set(root, "config", r->yaml ? fmt_json_text(r->yaml) : json_null(), &bad);
	if (!bad)
		bad = !fmt_json_write(root, f);
	json_decref(root);
	return !bad;
}
