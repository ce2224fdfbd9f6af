/* shunt/common/report.c - see report.h. SPDX-License-Identifier: MIT */
#include "common/report.h"

#include <inttypes.h>

#include <shunt/error.h>
#include <shunt/hist.h>

#include "common/fmt.h"

enum { P50, P90, P99, P999, PERCENTILES };
static const double percentiles[PERCENTILES] = { 50.0, 90.0, 99.0, 99.9 };
static const char *const percentile_keys[PERCENTILES] = { "p50_ns", "p90_ns", "p99_ns", "p99_9_ns" };

/* A percentile is the upper border of a bucket, the maximum is exact: it limits the former. */
static void read_percentiles(const struct shunt_hist *h, uint64_t p[PERCENTILES])
{
	uint64_t max = shunt_hist_max(h);

	shunt_hist_percentiles(h, percentiles, p, PERCENTILES);
	for (size_t i = 0; i < PERCENTILES; i++)
		p[i] = p[i] > max ? max : p[i];
}

static void hist_cells(struct fmt_table *t, const char *what, const struct shunt_hist *h)
{
	uint64_t p[PERCENTILES] = { 0 };

	fmt_table_cell(t, "%s", what);
	if (!h || shunt_hist_count(h) == 0) {
		for (size_t i = 0; i < PERCENTILES + 1u; i++)
			fmt_table_cell(t, "-");
		return;
	}
	read_percentiles(h, p);
	for (size_t i = 0; i < PERCENTILES; i++)
		fmt_table_cell(t, "%s", fmt_ns((double)p[i]).s);
	fmt_table_cell(t, "%s", fmt_ns((double)shunt_hist_max(h)).s);
}

void report_series(const struct shunt_snapshot *s, FILE *f)
{
	static const char *const head[] = { "type", "level", "jobs", "", "p50", "p90", "p99", "p99.9", "max" };
	struct fmt_table t;

	fmt_table_init(&t, "llrlrrrrr");
	t.keys = 4;
	for (size_t i = 0; i < SH_COUNT(head); i++)
		fmt_table_cell(&t, "%s", head[i]);
	for (size_t i = 0; i < shunt_snapshot_series_count(s); i++) {
		const struct shunt_series *x = shunt_snapshot_series_at(s, i);

		if (x->done + x->failed + x->cancelled == 0) /* no job in this interval */
			continue;
		fmt_table_cell(&t, "%s", x->type);
		fmt_table_cell(&t, "%s", x->level_name);
		fmt_table_cell(&t, "%s", fmt_count(x->done + x->failed).s);
		hist_cells(&t, "queue", x->queue);
		for (size_t k = 0; k < 3; k++)
			fmt_table_cell(&t, "%s", "");
		hist_cells(&t, "run", x->run);
		for (size_t k = 0; k < 3; k++)
			fmt_table_cell(&t, "%s", "");
		hist_cells(&t, "total", x->total);
	}
	fmt_table_print(&t, f, 2);
}

static void cpu_cell(struct fmt_table *t, int32_t cpu, const char *none)
{
	if (cpu < 0)
		fmt_table_cell(t, "%s", none);
	else
		fmt_table_cell(t, "%" PRId32, cpu);
}

/* A job counts where it ends, so the one that was running at the start may add more than there was time. */
static double used_ns(const struct shunt_worker_info *w, uint64_t elapsed_ns)
{
	return (double)(w->busy_ns < elapsed_ns ? w->busy_ns : elapsed_ns);
}

/* "held" is what the kernel says at the end; "lost": it said so once, or never, and gives no reason. */
static const char *pin_word(const struct shunt_worker_info *w)
{
	if (w->cpu_planned < 0)
		return "-";
	if (w->pin_error)
		return shunt_error_name(w->pin_error);
	return w->pin_verified ? "held" : "lost";
}

void report_workers(const struct shunt_snapshot *s, uint64_t elapsed_ns, FILE *f)
{
	static const char *const head[] = { "pool", "worker", "cpu", "seen", "pin", "node", "jobs", "stolen", "parks", "EWMA",
					    "used" };
	struct fmt_table t;

	fmt_table_init(&t, "lrrrlrrrrrr");
	t.keys = 2;
	for (size_t i = 0; i < SH_COUNT(head); i++)
		fmt_table_cell(&t, "%s", head[i]);
	for (size_t i = 0; i < shunt_snapshot_worker_count(s); i++) {
		const struct shunt_worker_info *w = shunt_snapshot_worker_at(s, i);

		if (w->spare && w->jobs == 0)
			continue;
		fmt_table_cell(&t, "%s", w->pool);
		fmt_table_cell(&t, "%" PRIu32 "%s", w->index, w->spare ? " spare" : "");
		cpu_cell(&t, w->cpu_planned, "any");
		cpu_cell(&t, w->cpu_seen, "?");
		fmt_table_cell(&t, "%s", pin_word(w));
		cpu_cell(&t, w->node, "?");
		fmt_table_cell(&t, "%s", fmt_count(w->jobs).s);
		fmt_table_cell(&t, "%s", fmt_count(w->stolen).s);
		fmt_table_cell(&t, "%s", fmt_count(w->parks).s);
		fmt_table_cell(&t, "%s", fmt_ns((double)w->ewma_ns).s);
		fmt_table_cell(&t, "%s", fmt_permille(used_ns(w, elapsed_ns), (double)elapsed_ns).s);
	}
	fmt_table_print(&t, f, 2);
	for (size_t i = 0; i < shunt_snapshot_worker_count(s); i++) {
		const struct shunt_worker_info *w = shunt_snapshot_worker_at(s, i);

		if (w->nice_error != 0)
			(void)fprintf(f, "  %s worker %" PRIu32 ": nice is %" PRId32 ", the pool's was refused: %s\n", w->pool,
				      w->index, w->nice, shunt_error_name(w->nice_error));
		if (w->replaced != 0)
			(void)fprintf(f, "  %s worker %" PRIu32 ": %" PRIu64 " threads ended by handlers\n",
				      w->pool, w->index, w->replaced);
	}
}

void report_pools(const struct shunt_snapshot *s, FILE *f)
{
	for (size_t i = 0; i < shunt_snapshot_pool_count(s); i++) {
		const struct shunt_pool_info *p = shunt_snapshot_pool_at(s, i);

		(void)fprintf(f, "  pool %s: %" PRIu32 " workers, %s submitted, %s finished", p->name, p->workers,
			      fmt_count(p->submitted).s, fmt_count(p->finished).s);
		if (p->finished > p->submitted) /* in an interval */
			(void)fprintf(f, " (at least %s of them submitted before)",
				      fmt_count(p->finished - p->submitted).s);
		(void)fprintf(f, ", %s of memory\n", fmt_bytes((double)p->bytes + (double)p->bytes_mapped).s);
		if (p->ran_inline || p->rejected_full)
			(void)fprintf(f, "    when full: %s run in their submitter, %s submits refused\n", fmt_count(p->ran_inline).s,
				      fmt_count(p->rejected_full).s);
	}
	(void)fputs("  cpus: ", f);
	fmt_print_path(f, shunt_snapshot_budget(s)->why);
	(void)fprintf(f, "%s\n",
		      shunt_snapshot_runtime(s)->over_budget ? "; more threads than cpus" : "");
}

json_t *report_hist_json(const struct shunt_hist *h)
{
	json_t *o = json_object();
	uint64_t p[PERCENTILES] = { 0 };
	bool bad = !o;

	if (h)
		read_percentiles(h, p);
	fmt_json_set_u64(o, "count", h ? shunt_hist_count(h) : 0, &bad);
	fmt_json_set_real(o, "mean_ns", h ? shunt_hist_mean(h) : 0, &bad);
	for (size_t k = 0; k < PERCENTILES; k++)
		fmt_json_set_u64(o, percentile_keys[k], p[k], &bad);
	fmt_json_set_u64(o, "max_ns", h ? shunt_hist_max(h) : 0, &bad);
	if (!bad)
		return o;
	json_decref(o);
	return NULL;
}

static json_t *series_json(const struct shunt_series *x, bool *bad)
{
	json_t *o = json_object();

	fmt_json_set(o, "pool", fmt_json_text(x->pool), bad);
	fmt_json_set(o, "type", fmt_json_text(x->type), bad);
	fmt_json_set(o, "level", fmt_json_text(x->level_name), bad);
	fmt_json_set_u64(o, "done", x->done, bad);
	fmt_json_set_u64(o, "failed", x->failed, bad);
	fmt_json_set_u64(o, "cancelled", x->cancelled, bad);
	fmt_json_set(o, "queue", report_hist_json(x->queue), bad);
	fmt_json_set(o, "run", report_hist_json(x->run), bad);
	fmt_json_set(o, "total", report_hist_json(x->total), bad);
	return o;
}

static json_t *worker_json(const struct shunt_worker_info *w, uint64_t elapsed_ns, bool *bad)
{
	json_t *o = json_object();

	fmt_json_set(o, "pool", fmt_json_text(w->pool), bad);
	fmt_json_set_u64(o, "worker", w->index, bad);
	fmt_json_set(o, "spare", json_boolean(w->spare), bad);
	fmt_json_set(o, "cpu_planned", json_integer(w->cpu_planned), bad);
	fmt_json_set(o, "cpu_seen", json_integer(w->cpu_seen), bad);
	fmt_json_set(o, "pin_verified", json_boolean(w->pin_verified), bad);
	fmt_json_set(o, "pin_error", json_integer(w->pin_error), bad);
	fmt_json_set(o, "cpu_mask", fmt_json_text(w->cpu_mask), bad);
	fmt_json_set(o, "node", json_integer(w->node), bad);
	fmt_json_set_u64(o, "stack_bytes", w->stack_bytes, bad);
	fmt_json_set_u64(o, "signal_mask", w->signal_mask, bad);
	fmt_json_set(o, "nice", json_integer(w->nice), bad);
	fmt_json_set(o, "nice_error", json_integer(w->nice_error), bad);
	fmt_json_set_u64(o, "replaced", w->replaced, bad);
	fmt_json_set_u64(o, "jobs", w->jobs, bad);
	fmt_json_set_u64(o, "stolen", w->stolen, bad);
	fmt_json_set_u64(o, "parks", w->parks, bad);
	fmt_json_set_u64(o, "wakes", w->wakes, bad);
	fmt_json_set_u64(o, "busy_ns", w->busy_ns, bad);
	fmt_json_set_u64(o, "ewma_ns", w->ewma_ns, bad);
	fmt_json_set_u64(o, "speed_permille", w->speed_permille, bad);
	fmt_json_set_real(o, "utilisation", elapsed_ns ? used_ns(w, elapsed_ns) / (double)elapsed_ns : 0, bad);
	return o;
}

static json_t *pool_json(const struct shunt_pool_info *p, bool *bad)
{
	json_t *o = json_object();

	fmt_json_set(o, "pool", fmt_json_text(p->name), bad);
	fmt_json_set_u64(o, "workers", p->workers, bad);
	fmt_json_set_u64(o, "submitted", p->submitted, bad);
	fmt_json_set_u64(o, "finished", p->finished, bad);
	fmt_json_set_u64(o, "rejected_full", p->rejected_full, bad);
	fmt_json_set_u64(o, "ran_inline", p->ran_inline, bad);
	fmt_json_set_u64(o, "bytes", p->bytes, bad);
	fmt_json_set_u64(o, "bytes_mapped", p->bytes_mapped, bad);
	return o;
}

static json_t *budget_json(const struct shunt_cpu_budget *b, bool *bad)
{
	json_t *o = json_object();

	fmt_json_set_u64(o, "cpus", b->budget, bad);
	fmt_json_set_u64(o, "affinity", b->affinity, bad);
	fmt_json_set_u64(o, "cpuset", b->cpuset, bad);
	fmt_json_set_u64(o, "quota_milli", b->quota_milli, bad);
	fmt_json_set(o, "why", fmt_json_text(b->why), bad);
	return o;
}

static void append(json_t *list, json_t *value, bool *bad)
{
	if (json_array_append_new(list, value) != 0)
		*bad = true;
}

void report_snapshot_json(const struct shunt_snapshot *s, uint64_t elapsed_ns, json_t *root, bool *bad)
{
	json_t *series = json_array();
	json_t *workers = json_array();
	json_t *pools = json_array();

	for (size_t i = 0; i < shunt_snapshot_series_count(s); i++)
		append(series, series_json(shunt_snapshot_series_at(s, i), bad), bad);
	for (size_t i = 0; i < shunt_snapshot_worker_count(s); i++)
		append(workers, worker_json(shunt_snapshot_worker_at(s, i), elapsed_ns, bad), bad);
	for (size_t i = 0; i < shunt_snapshot_pool_count(s); i++)
		append(pools, pool_json(shunt_snapshot_pool_at(s, i), bad), bad);
	fmt_json_set(root, "series", series, bad);
	fmt_json_set(root, "workers", workers, bad);
	fmt_json_set(root, "pools", pools, bad);
	fmt_json_set(root, "budget", budget_json(shunt_snapshot_budget(s), bad), bad);
}
