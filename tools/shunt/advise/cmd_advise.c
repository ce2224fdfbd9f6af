/*
 * shunt/advise/cmd_advise.c - see cmd_advise.h. Order: arguments, a probe (a runtime made from the
 * flags, which gives the number of workers and fixes the rate), the rows, rounds over all rows,
 * verdict, report.
 *
 * Every round runs every row once. Every other round runs them in reverse order, so that a drift of
 * the machine affects all alike. All rows of a round draw the same jobs.
 *
 * SPDX-License-Identifier: MIT
 */
#include "advise/cmd_advise.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <shunt/error.h>

#include "advise/file.h"
#include "advise/report.h"
#include "common/cli.h"
#include "common/fmt.h"
#include "load/run.h"

#define COUNTS_MAX 24u /* most numbers of workers that are tried */
#define ROWS_MAX (COUNTS_MAX * ADVISE_IDLES * 2u)
/* tries every number of workers up to here, beyond about every third more */
#define ALL_UP_TO 8u
#define BUDGET_NS_MIN UINT64_C(100000000)
#define BUDGET_NS_MAX UINT64_C(86400000000000)
/* of a run: creating and destroying the runtime, the lead of the generators */
#define OVERHEAD_NS UINT64_C(40000000)
#define MEASURE_NS_MIN UINT64_C(20000000)
#define WARMUP_NS_MAX UINT64_C(500000000)
#define DRAIN_NS_MIN UINT64_C(1000000000)

static const char advise_help[] =
	"usage: shunt advise [options]\n"
	"\n"
	"Runs your load on this machine pinned and unpinned, with each idle mode and 1 to n workers (the cpu budget),\n"
	"in several interleaved rounds. Says which configuration is best, by how much, and whether that is more than\n"
	"noise, and prints it as YAML. The load is that of `shunt load`: open loop, delays from the intended start.\n"
	"\n"
	"  --optimise WHAT    p50, p99 (default), p999: of the queue delay; cpu: what the workers use\n"
	"  --duration T       all runs together, about (default 60s, with --quick 15s)\n"
	"  --rounds N         3 to 25 (default 5, with --quick 3)\n"
	"  --quick            short and rough\n"
	"  --write FILE       write the configuration to FILE too, which must not exist\n"
	"  --force            with --write: replace it\n"
	LOAD_HELP("30%")
	"                     the share counts for n workers; every row gets the same rate\n"
	"  --warmup T         before each measurement (default: a fifth of the run, at most 500ms)\n"
	SETUP_REPORT_HELP
	SETUP_POOL_HELP
	"  --workers and --idle leave only that value, --pin none only unpinned; another --pin is what \"pinned\"\n"
	"  means (default: that of the file, or compact)\n"
	"  --help             this text\n"
	"\n"
	"Exit code: 0 ok, 1 failed or no configuration carries the load, 2 bad usage, 130 stopped by a signal.\n";

enum advise_option {
	OPT_OPTIMISE = 1,
	OPT_DURATION,
	OPT_ROUNDS,
	OPT_QUICK,
	OPT_WRITE,
	OPT_FORCE
};

static const struct option advise_options[] = {
	{ "optimise", required_argument, NULL, OPT_OPTIMISE },
	{ "duration", required_argument, NULL, OPT_DURATION },
	{ "rounds", required_argument, NULL, OPT_ROUNDS },
	{ "quick", no_argument, NULL, OPT_QUICK },
	{ "write", required_argument, NULL, OPT_WRITE },
	{ "force", no_argument, NULL, OPT_FORCE },
	{ "help", no_argument, NULL, CLI_HELP },
	LOAD_OPTIONS,
	SETUP_REPORT_OPTIONS,
	SETUP_POOL_OPTIONS,
	{ NULL, 0, NULL, 0 },
};

struct advise {
	struct load_flags shape;
	struct setup_flags flags;
	struct load_run run;
	struct advise_result result;
	struct advise_row row[ROWS_MAX];
	struct setup setup; /* of the probe: names only, its runtime is destroyed */
	struct advise_file file;
	FILE *json;
	uint64_t budget_ns; /* 0 = not given */
	uint32_t rounds;    /* 0 = not given */
	uint32_t round;     /* the current one */
	uint64_t begun_ns;
	uint64_t runs, runs_done; /* of all rounds */
	const struct advise_row *running;
	const char *write_path;
	bool quick, force;
};

/* ---- arguments ---- */

static int take_optimise(struct advise *a)
{
	static const char *const names[] = { "p50", "p99", "p999", "cpu", NULL };
	static const enum advise_metric metric[] = { ADVISE_QUEUE_P50, ADVISE_QUEUE_P99, ADVISE_QUEUE_P999,
						     ADVISE_CPU };

	for (size_t i = 0; names[i]; i++)
		if (strcmp(optarg, names[i]) == 0) {
			a->result.by = metric[i];
			return CLI_GO_ON;
		}
	cli_error("--optimise: '%s': want p50, p99, p999 or cpu", optarg);
	return CLI_USAGE;
}

static int good(bool parsed)
{
	return parsed ? CLI_GO_ON : CLI_USAGE;
}

static int take_option(void *arg, int option)
{
	struct advise *a = arg;

	if (setup_flag(&a->flags, option, optarg))
		return CLI_GO_ON;
	switch (option) {
	case OPT_OPTIMISE:
		return take_optimise(a);
	case OPT_DURATION:
		return good(cli_parse_duration("--duration", optarg, BUDGET_NS_MIN, BUDGET_NS_MAX, &a->budget_ns));
	case OPT_ROUNDS:
		return good(cli_parse_count32("--rounds", optarg, 3, ADVISE_ROUNDS_MAX, &a->rounds));
	case OPT_QUICK:
		a->quick = true;
		return CLI_GO_ON;
	case OPT_WRITE:
		a->write_path = optarg;
		return CLI_GO_ON;
	case OPT_FORCE:
		a->force = true;
		return CLI_GO_ON;
	default:
		return load_flags_take(&a->shape, option);
	}
}

static int parse_args(struct advise *a, int argc, char **argv)
{
	int code = load_flags_init(&a->shape);

	a->result.by = ADVISE_QUEUE_P99;
	if (code == CLI_GO_ON)
		code = cli_options(argc, argv, ":", advise_options, advise_help, take_option, a);
	if (code == CLI_GO_ON)
		code = cli_no_arguments(argc, argv);
	if (code == CLI_GO_ON && a->force && !a->write_path) {
		cli_error("--force: means nothing without --write");
		return CLI_USAGE;
	}
	if (code == CLI_GO_ON)
		code = load_flags_finish(&a->shape, 0.3);
	if (a->budget_ns == 0)
		a->budget_ns = a->quick ? UINT64_C(15000000000) : UINT64_C(60000000000);
	if (a->rounds == 0)
		a->rounds = a->quick ? 3 : 5;
	return code;
}

/* ---- what is run ---- */

/* Does a pool pin its workers here if nothing is said? What the probe's pool does, if nothing was said to it. */
static bool pins_by_default(const struct advise *a)
{
	struct shunt_snapshot *s = NULL;
	bool pins = true;

	if (a->flags.pin || strcmp(a->run.setup.pin, "auto") != 0 || shunt_snapshot_create(a->run.setup.rt, &s) != 0)
		return true;
	for (size_t i = 0; i < shunt_snapshot_worker_count(s); i++)
		pins = pins && shunt_snapshot_worker_at(s, i)->cpu_planned >= 0;
	shunt_snapshot_destroy(s);
	return pins;
}

/* Creates the runtime that the flags ask for: checks them all, gets n, fixes the rate. */
static int probe(struct advise *a)
{
	struct advise_result *r = &a->result;
	int code;

	load_run_init(&a->run, &a->shape);
	code = load_run_open(&a->run, &a->flags);
	if (code == CLI_OK) {
		a->setup = a->run.setup;
		r->workers = a->run.result.workers;
		r->cpus = a->run.result.cpus;
		r->capacity_per_s = a->run.result.capacity_per_s;
		r->rate_per_s = a->run.plan.rate_per_s;
		r->mean_ns = a->run.plan.mean_ns;
		r->arrivals = a->run.result.arrivals;
		r->service = a->run.result.service;
		r->pins = pins_by_default(a);
	}
	load_run_close(&a->run);
	load_run_fini(&a->run);
	a->setup.rt = NULL;
	r->pool = a->setup.pool;
	r->level_name = (const char(*)[SHUNT_NAME_MAX])a->setup.level_name;
	r->levels = a->setup.levels;
	r->pin = a->flags.pin ? a->flags.pin : a->setup.pin;
	if (strcmp(r->pin, "auto") == 0 || (!a->flags.pin && strcmp(r->pin, "none") == 0))
		/* the file does not say how, or does not pin: measure what pinning would gain */
		r->pin = "compact";
	r->flags = &a->flags;
	r->submitters = a->shape.submitters;
	r->seed = a->shape.seed;
	r->rounds = a->rounds;
	return code;
}

static void add_row(struct advise *a, uint32_t workers, enum advise_idle idle, bool pinned)
{
	struct advise_row *row = &a->row[a->result.rows++];
	uint32_t cpus = a->result.cpus;

	assert(a->result.rows <= ROWS_MAX);
	row->workers = workers;
	row->idle = idle;
	row->pinned = pinned;
	row->carried = a->result.rate_per_s < (workers < cpus ? workers : cpus) * 1e9 / a->result.mean_ns;
	a->runs += row->carried ? a->rounds : 0;
}

/* All rows of one number of workers. */
static void add_rows(struct advise *a, uint32_t workers)
{
	bool no_pin = a->flags.pin && strcmp(a->flags.pin, "none") == 0;

	for (int idle = 0; idle < ADVISE_IDLES; idle++) {
		if (a->flags.idle && strcmp(a->flags.idle, advise_idle_name((enum advise_idle)idle)) != 0)
			continue;
		if (!no_pin)
			add_row(a, workers, (enum advise_idle)idle, true);
		add_row(a, workers, (enum advise_idle)idle, false);
	}
}

static void make_rows(struct advise *a)
{
	uint32_t n = a->result.workers;
	uint32_t w = a->flags.workers ? n : 1;

	while (w < n) { /* bound: COUNTS_MAX */
		add_rows(a, w);
		w += w < ALL_UP_TO ? 1 : w / 3;
	}
	add_rows(a, n);
	a->result.row = a->row;
}

/* Duration of each run, from the budget. */
static int share_time(struct advise *a)
{
	struct advise_result *r = &a->result;
	uint64_t slot, least;

	if (a->runs == 0) {
		cli_error("no configuration carries %.0f jobs/s; ask for less", r->rate_per_s);
		return CLI_USAGE;
	}
	slot = a->budget_ns / a->runs;
	r->warmup_ns = a->shape.warmup_given ? a->shape.warmup_ns : slot / 5 < WARMUP_NS_MAX ? slot / 5
											     : WARMUP_NS_MAX;
	if (slot >= r->warmup_ns + OVERHEAD_NS + MEASURE_NS_MIN) {
		r->duration_ns = slot - r->warmup_ns - OVERHEAD_NS;
		return CLI_OK;
	}
	least = OVERHEAD_NS + MEASURE_NS_MIN;
	least = a->shape.warmup_given ? least + r->warmup_ns : least * 5 / 4;
	cli_error("--duration: too short for %" PRIu64 " runs (%" PRIu64 " configurations in %" PRIu32 " rounds); "
		  "want at least %.1fs",
		  a->runs, a->runs / a->rounds, a->rounds, (double)(least * a->runs) / 1e9 + 0.1);
	return CLI_USAGE;
}

/* ---- runs ---- */

static int tick(void *arg, const struct load_run *run, bool draining)
{
	struct advise *a = arg;
	double done = (double)(shunt_now_ns() - a->begun_ns) / 1e9;
	double all = (double)a->budget_ns / 1e9;

	(void)run;
	(void)draining;
	cli_progress("round %" PRIu32 " of %" PRIu32 ", run %" PRIu64 " of %" PRIu64 ": %s; %s left", a->round + 1,
		     a->rounds, a->runs_done + 1, a->runs, advise_row_name(a->running).s,
		     fmt_eta(done < all ? all - done : 0).s);
	return CLI_OK;
}

/* Percentiles of all series together, queue or total, into three samples. False if no job ran. */
static int sample_series(const struct shunt_snapshot *s, bool queue, struct advise_row *out, uint32_t round)
{
	static const double at[] = { 50.0, 99.0, 99.9 };
	struct shunt_hist *h = NULL;
	uint64_t p[SH_COUNT(at)];
	int rc = shunt_hist_create(&h);

	for (size_t i = 0; rc == 0 && i < shunt_snapshot_series_count(s); i++) {
		const struct shunt_series *x = shunt_snapshot_series_at(s, i);

		rc = shunt_hist_add(h, queue ? x->queue : x->total);
	}
	if (rc == 0) {
		shunt_hist_percentiles(h, at, p, SH_COUNT(at));
		for (size_t i = 0; i < SH_COUNT(at); i++)
			out->value[(queue ? ADVISE_QUEUE_P50 : ADVISE_TOTAL_P50) + i][round] = (double)p[i];
		rc = shunt_hist_count(h) > 0;
	}
	shunt_hist_destroy(h);
	return rc;
}

/* Stores the figures of a run. A run without a job does not count. */
static int sample(const struct load_result *result, struct advise_row *row, uint32_t round)
{
	int rc = sample_series(result->measured, true, row, round);

	if (rc >= 0)
		rc = sample_series(result->measured, false, row, round);
	if (rc < 0) {
		cli_error("%s", shunt_strerror(rc));
		return CLI_FAILED;
	}
	row->value[ADVISE_CPU][round] = result->worker_cpus;
	row->value[ADVISE_LATE][round] = (double)shunt_hist_value_at_percentile(result->lag, 99.0);
	if (rc > 0) {
		row->rounds++;
		row->ran |= 1u << round;
	}
	row->carried = row->carried && result->unfinished == 0 && result->refused == 0;
	return CLI_OK;
}

static int run_row(struct advise *a, size_t i)
{
	const struct advise_result *r = &a->result;
	struct advise_row *row = &a->row[i];
	struct load_flags shape = a->shape;
	struct setup_flags flags = a->flags;
	char workers[16];
	int code;

	(void)snprintf(workers, sizeof(workers), "%" PRIu32, row->workers);
	flags.workers = workers;
	flags.idle = advise_idle_name(row->idle);
	flags.pin = row->pinned ? r->pin : "none";
	flags.no_log = true;
	shape.rate_per_s = r->rate_per_s;
	shape.utilisation = 0;
	shape.seed += (uint64_t)a->round * 1000;
	a->running = row;
	load_run_init(&a->run, &shape);
	a->run.duration_ns = r->duration_ns;
	a->run.warmup_ns = r->warmup_ns;
	a->run.overload = true; /* a rate that fits exactly must still fit */
	a->run.drain_ns_max = r->duration_ns > DRAIN_NS_MIN ? r->duration_ns : DRAIN_NS_MIN;
	a->run.tick = tick;
	a->run.tick_arg = a;
	code = load_run_open(&a->run, &flags);
	if (code == CLI_OK)
		code = load_run_generate(&a->run);
	load_run_close(&a->run);
	if (code == CLI_OK && !cli_stopped())
		code = sample(&a->run.result, row, a->round);
	load_run_fini(&a->run);
	a->runs_done++;
	return code;
}

/* One round over all rows that can carry the load, every other round in reverse. */
static int run_round(struct advise *a)
{
	int code = CLI_OK;

	for (size_t k = 0; k < a->result.rows && code == CLI_OK && !cli_stopped(); k++) {
		size_t i = a->round % 2 ? a->result.rows - 1 - k : k;
		const struct advise_row *row = &a->row[i];

		if (row->carried || row->rounds > 0)
			code = run_row(a, i);
	}
	return code;
}

/* From the samples to the verdict. */
static int judge(struct advise *a)
{
	struct advise_result *r = &a->result;

	for (size_t i = 0; i < r->rows; i++)
		if (a->row[i].rounds)
			advise_figures(&a->row[i]);
	r->signal = cli_stopped();
	if (r->signal)
		return CLI_OK;
	advise_judge(a->row, r->rows, r->by, &r->verdict);
	/* the table shows why; report() ends with the error */
	if (r->verdict.best == ADVISE_NONE) {
		cli_error("no configuration carried the load: queues grew, or no job came in the time; ask for less, "
			  "or give it more --duration");
		return CLI_OK;
	}
	r->judged = true;
	r->yaml = advise_report_yaml(r);
	if (r->yaml)
		return CLI_OK;
	cli_error("%s", shunt_strerror(SHUNT_ENOMEM));
	return CLI_FAILED;
}

static int report(struct advise *a)
{
	const struct advise_result *r = &a->result;
	int code = CLI_OK;

	if (a->json && !advise_report_json(r, a->json)) {
		cli_error("--json: out of memory");
		code = CLI_FAILED;
	}
	if (!a->flags.quiet) {
		advise_report_print(r, stdout);
		if (cli_stdout_flush() != CLI_OK)
			code = CLI_FAILED;
	}
	if (r->yaml && !advise_file_write(&a->file, r->yaml))
		code = CLI_FAILED;
	if (code == CLI_OK && r->signal)
		return CLI_STOPPED;
	return r->judged ? code : CLI_FAILED;
}

static int run(struct advise *a)
{
	int code = probe(a);

	if (code == CLI_OK) {
		make_rows(a);
		code = share_time(a);
	}
	if (code == CLI_OK && a->write_path)
		code = advise_file_open(&a->file, a->write_path, a->force);
	if (code == CLI_OK)
		code = setup_json_open(&a->flags, &a->json);
	if (code == CLI_OK)
		code = cli_signals_catch();
	cli_progress_init(!a->flags.no_progress);
	a->begun_ns = shunt_now_ns();
	for (a->round = 0; a->round < a->rounds && code == CLI_OK && !cli_stopped(); a->round++)
		code = run_round(a);
	cli_progress_clear();
	if (code == CLI_OK)
		code = judge(a);
	if (code == CLI_OK)
		code = report(a);
	if (!cli_output_close("--json", a->flags.json_path, a->json))
		code = CLI_FAILED;
	advise_file_close(&a->file);
	return code;
}

int cmd_advise(int argc, char **argv)
{
	struct advise *a = calloc(1, sizeof(*a));
	int code;

	cli_begin("advise");
	if (!a) {
		cli_error("%s", shunt_strerror(SHUNT_ENOMEM));
		return CLI_FAILED;
	}
	code = parse_args(a, argc, argv);
	if (code == CLI_GO_ON)
		code = run(a);
	load_flags_fini(&a->shape);
	free((void *)(uintptr_t)a->result.yaml);
	free(a);
	return code;
}
