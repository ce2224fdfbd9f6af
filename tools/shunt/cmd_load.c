/*
 * shunt/cmd_load.c - see cmd_load.h. Order: arguments, limits of the machine, runtime, sanity of the load, generators,
 * drain, report, limits again. The main thread only watches: progress line, interval log, end of the warm-up.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cmd_load.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <shunt/error.h>

#include "cli.h"
#include "fmt.h"
#include "interval.h"
#include "load_report.h"
#include "setup.h"

#define LEAD_NS UINT64_C(20000000)       /* from now to the first arrival */
#define TICK_NS 50000000L
#define DRAIN_LIMIT_NS UINT64_C(30000000000)
#define DRAIN_STEP_NS UINT64_C(100000000)
#define OVERLOAD_DRAIN_NS UINT64_C(2000000000)

static const char load_help[] =
	"usage: shunt load [options]\n"
	"\n"
	"Open-loop load: jobs arrive when they arrive, whatever became of those before, and every delay counts from the\n"
	"intended start. A job spins for its service time (wall clock). Prints percentiles per level, how late the\n"
	"generator itself was, and the machine's own limits, measured before and after.\n"
	"\n"
	"  --rate N           jobs a second, such as 50k\n"
	"  --utilisation P    or a share of what the workers can do (default 50%)\n"
	"  --arrivals KIND    poisson (default), constant, burst:N (N at one instant, exponential gaps between bursts)\n"
	"  --service DIST     fixed:5us, exp:10us (default), bimodal:1us,100us,0.5% (the second one with that share),\n"
	"                     file:PATH (one duration a line, drawn with equal chances)\n"
	"  --levels LIST      levels and their shares, most urgent first (default high=10%,normal=60%,low=30%);\n"
	"                     with --config the names must be levels of the file\n"
	"  --duration T       measured time (default 5s)      --warmup T   before it (default 500ms)\n"
	"  --submitters N     generator threads (default 1)   --seed N     of everything drawn (default: from the clock)\n"
	"  --overload         allow more load than the workers can do; the queue then grows to the end\n"
	"  --no-limits        do not measure the machine's limits\n"
	"  --json FILE        the report as JSON ('-' = standard output, in place of the text)\n"
	"  --hist FILE.hlog   HdrHistogram interval log, one interval a second, the warm-up included\n"
	"  --quiet            no report on standard output\n"
	"  --no-progress      no progress line (there is none unless standard error is a terminal)\n"
	SETUP_HELP
	"  --help             this text\n"
	"\n"
	"Exit code: 0 ok, 1 failed, 2 bad usage, 130 stopped by SIGINT or SIGTERM.\n";

enum {
	OPT_RATE = 1, OPT_UTILISATION, OPT_ARRIVALS, OPT_SERVICE, OPT_LEVELS, OPT_DURATION, OPT_WARMUP, OPT_SUBMITTERS,
	OPT_SEED, OPT_OVERLOAD, OPT_NO_LIMITS, OPT_JSON, OPT_HIST, OPT_QUIET, OPT_NO_PROGRESS, OPT_HELP
};

static const struct option load_options[] = {
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "utilisation", required_argument, NULL, OPT_UTILISATION },
	{ "arrivals", required_argument, NULL, OPT_ARRIVALS },
	{ "service", required_argument, NULL, OPT_SERVICE },
	{ "levels", required_argument, NULL, OPT_LEVELS },
	{ "duration", required_argument, NULL, OPT_DURATION },
	{ "warmup", required_argument, NULL, OPT_WARMUP },
	{ "submitters", required_argument, NULL, OPT_SUBMITTERS },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "overload", no_argument, NULL, OPT_OVERLOAD },
	{ "no-limits", no_argument, NULL, OPT_NO_LIMITS },
	{ "json", required_argument, NULL, OPT_JSON },
	{ "hist", required_argument, NULL, OPT_HIST },
	{ "quiet", no_argument, NULL, OPT_QUIET },
	{ "no-progress", no_argument, NULL, OPT_NO_PROGRESS },
	{ "help", no_argument, NULL, OPT_HELP },
	SETUP_OPTIONS,
	{ NULL, 0, NULL, 0 },
};

struct named_share {
	char name[SHUNT_NAME_MAX];
	double share;
};

struct load {
	struct setup_flags flags;
	struct setup setup;
	struct load_plan plan;
	struct load_gen gen;
	struct load_result result;
	struct interval_log hist;
	struct named_share level[SHUNT_LEVELS_MAX];
	uint32_t levels;
	uint64_t duration_ns, warmup_ns;
	double utilisation; /* 0 = --rate was given */
	const char *json_path, *hist_path;
	FILE *json;
	bool overload, quiet, progress, seeded;
	struct shunt_snapshot *warm, *end, *measured;
};

/* ---- arguments ---- */

static bool level_name_good(const char *s, size_t n)
{
	return n > 0 && n < SHUNT_NAME_MAX && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") >= n;
}

/* "high=10%,low=90%": names and shares; the shares are made to add up to 1. */
static int parse_levels(struct load *l, const char *text)
{
	const char *p = text;
	double sum = 0;

	l->levels = 0;
	for (;;) { /* bound: SHUNT_LEVELS_MAX */
		struct named_share *s = &l->level[l->levels];
		size_t n = strcspn(p, "=,");
		char share[32];
		size_t m;

		if (l->levels == SHUNT_LEVELS_MAX || p[n] != '=' || !level_name_good(p, n))
			break;
		(void)memcpy(s->name, p, n);
		s->name[n] = '\0';
		p += n + 1;
		m = strcspn(p, ",");
		if (m == 0 || m >= sizeof(share))
			break;
		(void)memcpy(share, p, m);
		share[m] = '\0';
		if (!cli_parse_share("--levels", share, 0.0, 1.0, &s->share))
			return CLI_USAGE;
		for (uint32_t i = 0; i < l->levels; i++)
			if (strcmp(l->level[i].name, s->name) == 0) {
				cli_error("--levels: '%s': '%s' is there twice", text, s->name);
				return CLI_USAGE;
			}
		sum += s->share;
		l->levels++;
		p += m;
		if (*p == '\0' && sum > 0.99 && sum < 1.01)
			return CLI_GO_ON;
		if (*p == '\0') {
			cli_error("--levels: '%s': the shares add up to %g%%; want 100%%", text, sum * 100);
			return CLI_USAGE;
		}
		p++;
	}
	cli_error("--levels: '%s': want up to %u of name=share, such as high=10%%,low=90%%", text, SHUNT_LEVELS_MAX);
	return CLI_USAGE;
}

static int good(bool parsed)
{
	return parsed ? CLI_GO_ON : CLI_USAGE;
}

static int parse_count32(const char *opt, uint64_t max, uint32_t *out)
{
	uint64_t v = 0;

	if (!cli_parse_count(opt, optarg, 1, max, &v))
		return CLI_USAGE;
	*out = (uint32_t)v;
	return CLI_GO_ON;
}

static int parse_rate(struct load *l)
{
	uint64_t v = 0;

	if (!cli_parse_count("--rate", optarg, 1, 1000000000, &v))
		return CLI_USAGE;
	l->plan.rate_per_s = (double)v;
	return CLI_GO_ON;
}

static int parse_output(struct load *l, int c)
{
	switch (c) {
	case OPT_JSON:
		l->json_path = optarg;
		return CLI_GO_ON;
	case OPT_HIST:
		l->hist_path = optarg;
		return CLI_GO_ON;
	case OPT_OVERLOAD:
		l->overload = true;
		return CLI_GO_ON;
	case OPT_NO_LIMITS:
		l->result.limits = false;
		return CLI_GO_ON;
	case OPT_QUIET:
		l->quiet = true;
		return CLI_GO_ON;
	case OPT_NO_PROGRESS:
		l->progress = false;
		return CLI_GO_ON;
	default:
		return CLI_USAGE;
	}
}

static int parse_one(struct load *l, int c)
{
	switch (c) {
	case OPT_RATE:
		return parse_rate(l);
	case OPT_UTILISATION:
		return good(cli_parse_share("--utilisation", optarg, 0.0001, 100.0, &l->utilisation));
	case OPT_ARRIVALS:
		l->result.arrivals = optarg;
		return good(load_arrivals_parse(optarg, &l->plan.arrivals));
	case OPT_SERVICE:
		l->result.service = optarg;
		return good(load_service_parse(optarg, &l->plan.service));
	case OPT_LEVELS:
		return parse_levels(l, optarg);
	case OPT_DURATION:
		return good(cli_parse_duration("--duration", optarg, 10000000, UINT64_C(86400000000000), &l->duration_ns));
	case OPT_WARMUP:
		return good(cli_parse_duration("--warmup", optarg, 0, UINT64_C(3600000000000), &l->warmup_ns));
	case OPT_SUBMITTERS:
		return parse_count32("--submitters", LOAD_SUBMITTERS_MAX, &l->plan.submitters);
	case OPT_SEED:
		l->seeded = true;
		return good(cli_parse_count("--seed", optarg, 0, UINT64_C(1) << 53, &l->plan.seed));
	default:
		return parse_output(l, c);
	}
}

static int set_defaults(struct load *l)
{
	struct timespec ts = { 0, 0 };

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	l->plan.seed = ((uint64_t)ts.tv_sec * 1000003u + (uint64_t)ts.tv_nsec) & 0xffffffffu;
	l->plan.submitters = 1;
	l->duration_ns = UINT64_C(5000000000);
	l->warmup_ns = 500000000;
	l->progress = true;
	l->result.limits = true;
	l->result.arrivals = "poisson";
	l->result.service = "exp:10us";
	if (!load_service_parse("exp:10us", &l->plan.service) || !load_arrivals_parse("poisson", &l->plan.arrivals))
		return CLI_FAILED;
	return parse_levels(l, "high=10%,normal=60%,low=30%");
}

static int parse_args(struct load *l, int argc, char **argv)
{
	int code = set_defaults(l);
	int c;

	optind = 0; /* getopt starts afresh */
	opterr = 0;
	while (code == CLI_GO_ON && (c = getopt_long(argc, argv, ":", load_options, NULL)) != -1) {
		if (c == OPT_HELP) {
			(void)fputs(load_help, stdout);
			return cli_stdout_flush();
		}
		if (c == '?' || c == ':')
			return cli_bad_option(argv, c, load_options);
		if (!setup_flag(&l->flags, c, optarg))
			code = parse_one(l, c);
	}
	if (code == CLI_GO_ON)
		code = cli_no_arguments(argc, argv);
	if (code == CLI_GO_ON && l->plan.rate_per_s > 0 && l->utilisation > 0) {
		cli_error("--rate and --utilisation: want one of them");
		return CLI_USAGE;
	}
	if (l->plan.rate_per_s <= 0 && l->utilisation <= 0)
		l->utilisation = 0.5;
	return code;
}

/* ---- the plan ---- */

static void builtin_config(const struct load *l, char *buf, size_t size)
{
	int n = snprintf(buf, size, "runtime: {name: shunt-load, levels: [");

	for (uint32_t i = 0; i < l->levels && n > 0 && (size_t)n < size; i++)
		n += snprintf(buf + n, size - (size_t)n, "%s%s", i ? ", " : "", l->level[i].name);
	if (n > 0 && (size_t)n < size)
		(void)snprintf(buf + n, size - (size_t)n, "]}\npools:\n  main: {full: error}\n");
}

/* Names to numbers. */
static int plan_levels(struct load *l)
{
	double at = 0;

	for (uint32_t i = 0; i < l->levels; i++) {
		uint32_t k = 0;

		while (k < l->setup.levels && strcmp(l->setup.level_name[k], l->level[i].name) != 0)
			k++;
		if (k == l->setup.levels) {
			cli_error("--levels: '%s': the configuration has no such level; it has %u, the first is '%s'",
				  l->level[i].name, (unsigned)l->setup.levels, l->setup.level_name[0]);
			return CLI_USAGE;
		}
		at += l->level[i].share;
		l->plan.level[i].level = k;
		l->plan.level[i].up_to = at;
	}
	l->plan.levels = l->levels;
	return CLI_OK;
}

/* Rate and capacity; refuses a load that cannot be carried. */
static int plan_rate(struct load *l)
{
	struct load_result *r = &l->result;
	struct shunt_snapshot *s = NULL;
	int rc = shunt_snapshot_take(l->setup.rt, &s);

	if (rc != 0) {
		cli_error("%s", shunt_strerror(rc));
		return CLI_FAILED;
	}
	for (size_t i = 0; i < s->n_pools; i++)
		if (strcmp(s->pools[i].name, l->setup.pool) == 0)
			r->workers = s->pools[i].workers;
	r->cpus = s->budget.budget ? s->budget.budget : 1;
	shunt_snapshot_free(s);
	r->capacity_per_s = (double)(r->workers < r->cpus ? r->workers : r->cpus) * 1e9 / l->plan.service.mean_ns;
	if (l->utilisation > 0)
		l->plan.rate_per_s = l->utilisation * r->capacity_per_s;
	if (l->plan.rate_per_s < r->capacity_per_s || l->overload)
		return CLI_OK;
	cli_error("--%s: %.0f jobs/s of %s each are %s of what %" PRIu32 " workers on %" PRIu32 " cpus can do (%.0f jobs/s); the "
		  "queue would only grow; ask for less, or say --overload", l->utilisation > 0 ? "utilisation" : "rate",
		  l->plan.rate_per_s, fmt_ns(l->plan.service.mean_ns).s, fmt_permille(l->plan.rate_per_s, r->capacity_per_s).s,
		  r->workers, r->cpus, r->capacity_per_s);
	return CLI_USAGE;
}

/* ---- the run ---- */

static void nap(void)
{
	const struct timespec ts = { 0, TICK_NS };

	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

static void show(const struct load *l, uint64_t now)
{
	const struct load_plan *p = &l->plan;
	double left = now < p->end_ns ? (double)(p->end_ns - now) / 1e9 : 0;

	cli_progress("%s: %s jobs/s offered, %s left", cli_stopped() ? "stopping" : now < p->measure_ns ? "warming up" : "measuring",
		     fmt_count((uint64_t)p->rate_per_s).s, fmt_eta(left).s);
}

static int watch_generators(struct load *l)
{
	const struct load_plan *p = &l->plan;
	int code = CLI_OK;

	while (!cli_stopped() && shunt_now_ns() < p->end_ns) { /* bound: end_ns */
		uint64_t now = shunt_now_ns();

		if (!l->warm && l->warmup_ns > 0 && now >= p->measure_ns) {
			int rc = shunt_snapshot_take(l->setup.rt, &l->warm);

			if (rc != 0) {
				cli_error("%s", shunt_strerror(rc));
				return CLI_FAILED;
			}
		}
		if (code == CLI_OK)
			code = interval_tick(&l->hist, l->setup.rt, 0);
		show(l, now);
		if (!l->warm && now < p->measure_ns && p->measure_ns - now < (uint64_t)TICK_NS) {
			const struct timespec ts = { 0, (long)(p->measure_ns - now) };

			(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
		} else {
			nap();
		}
	}
	return code;
}

/* Lets the queue empty itself; after a signal or under overload not for long. */
static void drain(struct load *l)
{
	uint64_t start = shunt_now_ns();
	uint64_t limit = l->overload ? OVERLOAD_DRAIN_NS : DRAIN_LIMIT_NS;

	for (;;) { /* bound: limit */
		int rc = shunt_drain(l->setup.rt, DRAIN_STEP_NS);
		uint64_t waited = shunt_now_ns() - start;

		if (rc != SHUNT_ETIMEDOUT || waited > limit || (cli_stopped() && waited > DRAIN_STEP_NS * 5))
			return;
		cli_progress("waiting for the last jobs, %s", fmt_eta((double)waited / 1e9).s);
	}
}

static int collect(struct load *l)
{
	struct load_result *r = &l->result;
	int rc = shunt_snapshot_take(l->setup.rt, &l->end);

	if (rc == 0 && l->warm)
		rc = shunt_snapshot_diff(l->end, l->warm, &l->measured);
	if (rc == 0)
		rc = shunt_hist_create(&r->lag);
	for (uint32_t i = 0; rc == 0 && i < l->plan.submitters; i++) {
		const struct load_submitter *s = &l->gen.submitter[i];

		rc = s->error ? s->error : shunt_hist_add(r->lag, s->lag);
		r->submitted += s->submitted;
		r->refused += s->refused;
	}
	if (rc != 0) {
		cli_error("%s", shunt_strerror(rc));
		return CLI_FAILED;
	}
	r->measured = l->measured ? l->measured : l->end; /* no warm-up, or a signal in it */
	for (size_t i = 0; i < l->end->n_pools; i++)
		r->unfinished += l->end->pools[i].submitted - l->end->pools[i].finished;
	return CLI_OK;
}

/* Plan times, generate, drain, collect. */
static int generate(struct load *l)
{
	struct load_plan *p = &l->plan;
	int code, rc;

	p->rt = l->setup.rt;
	p->type = l->setup.type[0];
	p->start_ns = shunt_now_ns() + LEAD_NS;
	p->measure_ns = p->start_ns + l->warmup_ns;
	p->end_ns = p->measure_ns + l->duration_ns;
	rc = load_gen_start(&l->gen, p);
	if (rc != 0) {
		cli_error("generators: %s", shunt_strerror(rc));
		return CLI_FAILED;
	}
	code = watch_generators(l);
	load_gen_join(&l->gen);
	drain(l);
	cli_progress_clear();
	l->result.elapsed_ns = shunt_now_ns() - (l->warm ? p->measure_ns : p->start_ns);
	if (code == CLI_OK)
		code = interval_tick(&l->hist, l->setup.rt, 1);
	return code == CLI_OK ? collect(l) : code;
}

static void measure_limits(struct load *l, struct limits *out)
{
	int rc;

	if (!l->result.limits)
		return;
	cli_progress("measuring the machine's own limits");
	rc = limits_measure(out, NULL);
	cli_progress_clear();
	if (rc != 0) {
		cli_error("warning: the machine's limits could not be measured: %s", shunt_strerror(rc));
		l->result.limits = false;
	}
}

static int report(struct load *l)
{
	int code = CLI_OK;

	l->result.plan = &l->plan;
	l->result.signal = cli_stopped();
	if (l->json && !load_report_json(&l->result, l->json))
		code = CLI_FAILED; /* cli_output_close says why */
	if (!l->quiet) {
		load_report_print(&l->result, stdout);
		if (cli_stdout_flush() != CLI_OK)
			code = CLI_FAILED;
	}
	return code;
}

static int create_runtime(struct load *l)
{
	const struct setup_type type = { "load", load_handler, 1, (uint64_t)l->plan.service.mean_ns };
	char text[1024];
	int code;

	builtin_config(l, text, sizeof(text));
	code = setup_create(&l->setup, &l->flags, text, &type, 1);
	if (code == CLI_OK)
		code = plan_levels(l);
	if (code == CLI_OK)
		code = plan_rate(l);
	return code;
}

static int run(struct load *l)
{
	int code = create_runtime(l);

	if (code == CLI_OK && l->json_path) {
		l->json = cli_output_open("--json", l->json_path);
		l->quiet = l->quiet || l->json == stdout;
		code = l->json ? CLI_OK : CLI_FAILED;
	}
	if (code == CLI_OK)
		code = cli_signals_catch();
	if (code == CLI_OK) {
		cli_progress_init(l->progress);
		measure_limits(l, &l->result.before);
		code = interval_open(&l->hist, l->hist_path, l->setup.rt);
	}
	if (code == CLI_OK)
		code = generate(l);
	setup_destroy(&l->setup);
	if (l->hist.log && interval_close(&l->hist) != CLI_OK)
		code = CLI_FAILED;
	if (code == CLI_OK) {
		if (!cli_stopped())
			measure_limits(l, &l->result.after);
		code = report(l);
		if (code == CLI_OK && l->result.signal)
			code = CLI_STOPPED;
	}
	if (!cli_output_close("--json", l->json_path, l->json))
		code = CLI_FAILED;
	return code;
}

int cmd_load(int argc, char **argv)
{
	struct load *l = calloc(1, sizeof(*l));
	int code;

	cli_begin("load");
	if (!l) {
		cli_error("%s", shunt_strerror(SHUNT_ENOMEM));
		return CLI_FAILED;
	}
	code = parse_args(l, argc, argv);
	if (code == CLI_GO_ON)
		code = run(l);
	shunt_snapshot_free(l->measured);
	shunt_snapshot_free(l->end);
	shunt_snapshot_free(l->warm);
	shunt_hist_destroy(l->result.lag);
	load_gen_fini(&l->gen);
	load_service_fini(&l->plan.service);
	free(l);
	return code;
}
