/* shunt/run/report.c - see run/report.h. SPDX-License-Identifier: MIT */
#include "run/report.h"

#include <inttypes.h>
#include <string.h>

#include <shunt/hist.h>
#include <shunt/version.h>

#include "common/cli.h"
#include "common/fmt.h"
#include "common/report.h"
#include "run/file.h"

static const struct {
	const char *key, *text;
} errors[WALK_ERRORS] = {
	[WALK_E_DENIED] = { "denied", "permission denied" },
	[WALK_E_VANISHED] = { "vanished", "vanished before they were read" },
	[WALK_E_CHANGED] = { "changed", "changed while they were read (no digest)" },
	[WALK_E_READ] = { "read", "read error" },
	[WALK_E_NAME] = { "name", "name too long, or a symbolic link by now" },
	[WALK_E_MEMORY] = { "memory", "out of memory" },
};

static const char *const count_keys[WALK_COUNTS] = {
	[WALK_DIRS] = "directories",
	[WALK_DIRS_FAILED] = "directories_failed",
	[WALK_DIRS_CUT] = "directories_not_finished",
	[WALK_DIRS_IN_PLACE] = "directories_scanned_in_place",
	[WALK_FILES] = "files_found",
	[WALK_HASHED] = "files_hashed",
	[WALK_EMPTY] = "files_empty",
	[WALK_FAILED] = "files_failed",
	[WALK_SKIPPED] = "files_skipped",
	[WALK_CUT] = "files_not_finished",
	[WALK_CANCELLED] = "files_cancelled",
	[WALK_BYTES] = "bytes_hashed",
	[WALK_SAMPLED] = "files_compressed",
	[WALK_UNSAMPLED] = "files_not_compressed",
	[WALK_SAMPLE_IN] = "bytes_before_compression",
	[WALK_SAMPLE_OUT] = "bytes_after_compression",
	[WALK_PACKS_WELL] = "files_below_half",
	[WALK_PACKS_SOME] = "files_half_to_nine_tenths",
	[WALK_PACKS_NOT] = "files_above_nine_tenths",
	[WALK_SYMLINKS] = "symlinks",
	[WALK_SPECIAL] = "special_files",
	[WALK_OTHER_FS] = "other_filesystems",
};

/* ---- progress ---- */

static uint64_t files_ended(const struct walk_totals *t)
{
	return t->n[WALK_HASHED] + t->n[WALK_EMPTY] + t->n[WALK_FAILED] + t->n[WALK_SKIPPED] + t->n[WALK_CUT] +
	       t->n[WALK_CANCELLED];
}

static uint64_t dirs_ended(const struct walk_totals *t)
{
	return t->n[WALK_DIRS] + t->n[WALK_DIRS_FAILED] + t->n[WALK_DIRS_CUT];
}

static uint64_t compress_ended(const struct walk_totals *t)
{
	return t->n[WALK_SAMPLED] + t->n[WALK_UNSAMPLED];
}

void run_progress_start(struct run_progress *p)
{
	(void)memset(p, 0, sizeof(*p));
	p->at_ns = shunt_now_ns();
	p->started_ns = p->at_ns;
}

static void follow(double *rate, double now)
{
	*rate = *rate > 0 ? 0.8 * *rate + 0.2 * now : now;
}

void run_progress_show(struct run_progress *p, struct walk *w)
{
	struct walk_totals t;
	uint64_t now = shunt_now_ns();
	double seconds = (double)(now - p->at_ns) / 1e9;
	uint64_t jobs, files, left;

	if (!cli_progress_on() || seconds < 0.1)
		return;
	walk_totals(w, &t);
	files = files_ended(&t);
	jobs = dirs_ended(&t) + files + compress_ended(&t);
	follow(&p->jobs_per_s, (double)(jobs - p->jobs) / seconds);
	follow(&p->bytes_per_s, (double)(t.n[WALK_BYTES] - p->bytes) / seconds);
	p->jobs = jobs;
	p->bytes = t.n[WALK_BYTES];
	p->at_ns = now;
	/* Each unhashed file adds a compress job; what directories add is unknown. */
	left = t.unfinished + (t.n[WALK_FILES] > files ? t.n[WALK_FILES] - files : 0);
	cli_progress("%s%s/%s files, %s queued, %s done at %s, %s/s, ETA %s", cli_stopped() ? "stopping: " : "",
		     fmt_count(files).s, fmt_count(t.n[WALK_FILES]).s, fmt_count(t.unfinished).s, fmt_count(jobs).s,
		     fmt_rate(p->jobs_per_s).s, fmt_bytes(p->bytes_per_s).s,
		     p->jobs_per_s > 0 ? fmt_eta((double)left / p->jobs_per_s).s : "?");
}

/* ---- the report ---- */

static void print_line(FILE *f, uint64_t n, const char *text)
{
	if (n)
		(void)fprintf(f, "  %14s  %s\n", fmt_count(n).s, text);
}

static void print_head(const struct run_result *r, FILE *f)
{
	const struct walk_totals *t = &r->totals;
	double s = (double)(r->elapsed_ns ? r->elapsed_ns : 1) / 1e9;
	uint64_t hashed = t->n[WALK_HASHED] + t->n[WALK_EMPTY];

	(void)fputs("shunt run: ", f);
	fmt_print_path(f, r->walk->tree);
	if (r->signal)
		(void)fprintf(f, ": stopped by signal (%s)", cli_signal_name(r->signal));
	(void)fprintf(f, "\n  %s file%s hashed (%s) in %s director%s; %s, %s files/s, %s/s\n", fmt_count(hashed).s,
		      hashed == 1 ? "" : "s", fmt_bytes((double)t->n[WALK_BYTES]).s, fmt_count(t->n[WALK_DIRS]).s,
		      t->n[WALK_DIRS] == 1 ? "y" : "ies", fmt_ns((double)r->elapsed_ns).s,
		      fmt_count((uint64_t)((double)hashed / s)).s, fmt_bytes((double)t->n[WALK_BYTES] / s).s);
}

static void print_stopped(const struct run_result *r, FILE *f)
{
	const struct walk_totals *t = &r->totals;
	uint64_t ended = files_ended(t);

	print_line(f, t->n[WALK_CANCELLED], "files cancelled before they were read");
	print_line(f, t->n[WALK_CUT], "files given up half way");
	print_line(f, t->n[WALK_DIRS_CUT], "directories not scanned to the end");
	print_line(f, t->n[WALK_FILES] > ended ? t->n[WALK_FILES] - ended : 0, "files still in work when the report was made");
	print_line(f, r->unfinished, "jobs did not end in time");
}

static void print_counts(const struct run_result *r, FILE *f)
{
	const struct walk_totals *t = &r->totals;

	print_line(f, t->n[WALK_EMPTY], "empty files");
	print_line(f, t->n[WALK_SYMLINKS], "symbolic links, not followed");
	print_line(f, t->n[WALK_SPECIAL], "fifos, sockets and devices, not opened");
	print_line(f, t->n[WALK_OTHER_FS], "directories on other filesystems, not entered");
	print_line(f, t->n[WALK_SKIPPED], "files skipped (our own output, or replaced)");
	print_line(f, t->n[WALK_DIRS_IN_PLACE], "directories scanned without a job of their own (runtime full)");
	if (r->signal)
		print_stopped(r, f);
	for (size_t i = 0; i < WALK_ERRORS; i++) {
		if (!t->error[i])
			continue;
		print_line(f, t->error[i], errors[i].text);
		for (size_t k = 0; k < WALK_SAMPLES_MAX && r->walk->example[i][k]; k++) {
			(void)fprintf(f, "  %14s  %s ", "", k ? "    " : "e.g.");
			fmt_print_path(f, r->walk->example[i][k]);
			(void)fputc('\n', f);
		}
	}
}

static void print_compression(const struct run_result *r, FILE *f)
{
	const struct walk_totals *t = &r->totals;

	if (t->n[WALK_SAMPLED] == 0)
		return;
	(void)fprintf(f, "  deflate level 1 on the first %s of each file: %s to %s (%s)\n",
		      fmt_bytes((double)r->walk->sample_max).s, fmt_bytes((double)t->n[WALK_SAMPLE_IN]).s,
		      fmt_bytes((double)t->n[WALK_SAMPLE_OUT]).s,
		      fmt_permille((double)t->n[WALK_SAMPLE_OUT], (double)t->n[WALK_SAMPLE_IN]).s);
	(void)fprintf(f, "  %14s  files below 50 %%, %s at 50-90 %%, %s above 90 %%\n", fmt_count(t->n[WALK_PACKS_WELL]).s,
		      fmt_count(t->n[WALK_PACKS_SOME]).s, fmt_count(t->n[WALK_PACKS_NOT]).s);
	print_line(f, t->n[WALK_UNSAMPLED], "files hashed but not compressed");
}

/* ---- the probes ---- */

/* Their series, NULL = none ran. */
static const struct shunt_series *probes(const struct run_result *r)
{
	for (size_t i = 0; i < shunt_snapshot_series_count(r->snapshot); i++) {
		const struct shunt_series *x = shunt_snapshot_series_at(r->snapshot, i);

		if (strcmp(x->type, walk_types[WALK_PROBE].name) == 0 && x->queue && shunt_hist_count(x->queue) > 0)
			return x;
	}
	return NULL;
}

static void print_probes(const struct run_result *r, FILE *f)
{
	const struct shunt_series *x = probes(r);
	uint64_t max = x ? shunt_hist_max(x->queue) : 0;
	uint64_t p[2] = { 0, 0 };

	if (x)
		shunt_hist_percentiles(x->queue, (const double[]){ 50, 99 }, p, 2);
	if (x)
		(void)fprintf(f, "  an urgent job waited p50 %s, p99 %s, max %s\n    (%s probe%s at level %s)\n",
			      fmt_ns((double)(p[0] < max ? p[0] : max)).s, fmt_ns((double)(p[1] < max ? p[1] : max)).s,
			      fmt_ns((double)max).s, fmt_count(shunt_hist_count(x->queue)).s,
			      shunt_hist_count(x->queue) == 1 ? "" : "s", x->level_name);
	if (r->walk->probes_refused)
		(void)fprintf(f, "  %s urgent job%s refused, because the runtime was full\n",
			      fmt_count(r->walk->probes_refused).s, r->walk->probes_refused == 1 ? " was" : "s were");
	(void)fprintf(f, "  levels order what waits; what runs goes on to its next checkpoint:\n    here each %s\n",
		      fmt_bytes(RUN_PIECE).s);
}

void run_report_print(const struct run_result *r, FILE *f)
{
	print_head(r, f);
	print_counts(r, f);
	print_compression(r, f);
	(void)fputs("\njobs (queue: from submit to start; run: the handler; total: both)\n", f);
	report_series(r->snapshot, f);
	print_probes(r, f);
	(void)fputs("\nworkers (used: busy time of the run's time)\n", f);
	report_workers(r->snapshot, r->elapsed_ns, f);
	(void)fputc('\n', f);
	report_pools(r->snapshot, f);
}

bool run_report_json(const struct run_result *r, FILE *f)
{
	json_t *root = json_object();
	json_t *counts = json_object();
	json_t *errs = json_object();
	const struct shunt_series *probed = probes(r);
	json_t *probe = report_hist_json(probed ? probed->queue : NULL);
	bool bad = !root || !probe;

	fmt_json_set(root, "command", fmt_json_text("run"), &bad);
	fmt_json_set(root, "version", fmt_json_text(shunt_version()), &bad);
	fmt_json_set(root, "tree", fmt_json_text(r->walk->tree), &bad);
	fmt_json_set(root, "stopped_by", r->signal ? fmt_json_text(cli_signal_name(r->signal)) : json_null(), &bad);
	fmt_json_set_u64(root, "elapsed_ns", r->elapsed_ns, &bad);
	fmt_json_set_u64(root, "unfinished_jobs", r->unfinished, &bad);
	fmt_json_set_u64(root, "sample_bytes_max", r->walk->sample_max, &bad);
	for (size_t i = 0; i < WALK_COUNTS; i++)
		fmt_json_set_u64(counts, count_keys[i], r->totals.n[i], &bad);
	fmt_json_set(root, "counts", counts, &bad);
	for (size_t i = 0; i < WALK_ERRORS; i++)
		fmt_json_set_u64(errs, errors[i].key, r->totals.error[i], &bad);
	fmt_json_set(root, "errors", errs, &bad);
	fmt_json_set_u64(probe, "refused", r->walk->probes_refused, &bad);
	fmt_json_set(root, "urgent_job_wait", probe, &bad);
	fmt_json_set_u64(root, "files_in_work_max", r->walk->files_peak, &bad);
	report_snapshot_json(r->snapshot, r->elapsed_ns, root, &bad);
	if (!bad)
		bad = !fmt_json_write(root, f);
	json_decref(root);
	return !bad;
}
