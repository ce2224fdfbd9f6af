/*
 * shunt/load/cmd_load.c - see cmd_load.h. Order: arguments, limits of the machine, runtime, checks
 * of the load, generators, drain, report, limits again. The main thread only watches: progress
 * line, interval log, end of the warm-up.
 *
 * SPDX-License-Identifier: MIT
 */
#include "load/cmd_load.h"

#include <stdlib.h>

#include <shunt/error.h>

#include "common/cli.h"
#include "common/fmt.h"
#include "common/interval.h"
#include "load/run.h"

#define DRAIN_LIMIT_NS UINT64_C(30000000000)
#define OVERLOAD_DRAIN_NS UINT64_C(2000000000)

static const char load_help[] =
	"usage: shunt load [options]\n"
	"\n"
	"Open-loop load: jobs arrive when they arrive, whatever became of those before, and every delay counts from the\n"
	"intended start. A job spins for its service time (wall clock). Prints percentiles per level, how late the\n"
	"generator itself was, and the machine's own limits, measured before and after.\n"
	"\n" LOAD_HELP("50%") "  --duration T       measured time (default 5s)\n"
			      "  --warmup T         time before it (default 500ms); the interval log has it too\n"
			      "  --overload         allow more load than the workers can do; the queue then grows to the end\n"
			      "  --no-limits        do not measure the machine's limits\n" SETUP_HELP
				      SETUP_SET_HELP
			      "  Without --config, --workers, --place, --pin and --set the generators get cpus of their own, one each, where\n"
			      "  there is more than one cpu; the workers run on the others.\n"
			      "  --help             this text\n"
			      "\n"
			      "Exit code: 0 ok, 1 failed, 2 bad usage, 130 stopped by SIGINT or SIGTERM.\n";

enum { OPT_DURATION = 1, OPT_OVERLOAD, OPT_NO_LIMITS };

static const struct option load_options[] = {
	LOAD_OPTIONS,
	{ "duration", required_argument, NULL, OPT_DURATION },
	{ "overload", no_argument, NULL, OPT_OVERLOAD },
	{ "no-limits", no_argument, NULL, OPT_NO_LIMITS },
	{ "help", no_argument, NULL, CLI_HELP },
	SETUP_OPTIONS,
	SETUP_SET_OPTION,
	{ NULL, 0, NULL, 0 },
};

struct load {
	struct load_flags shape;
	struct setup_flags flags;
	struct load_run run;
	struct interval_log hist;
	uint64_t duration_ns;
	FILE *json;
	bool overload, no_limits;
};

static int take_option(void *arg, int option)
{
	struct load *l = arg;

	if (setup_flag(&l->flags, option, optarg))
		return CLI_GO_ON;
	switch (option) {
	case OPT_DURATION:
		return cli_parse_duration("--duration", optarg, 10000000, UINT64_C(86400000000000), &l->duration_ns) ? CLI_GO_ON :
														       CLI_USAGE;
	case OPT_OVERLOAD:
		l->overload = true;
		return CLI_GO_ON;
	case OPT_NO_LIMITS:
		l->no_limits = true;
		return CLI_GO_ON;
	default:
		return load_flags_take(&l->shape, option);
	}
}

static int parse_args(struct load *l, int argc, char **argv)
{
	int code = load_flags_init(&l->shape);

	l->duration_ns = UINT64_C(5000000000);
	if (code == CLI_GO_ON)
		code = cli_options(argc, argv, ":", load_options, load_help, take_option, l);
	if (code == CLI_GO_ON)
		code = cli_no_arguments(argc, argv);
	if (code == CLI_GO_ON)
		code = load_flags_finish(&l->shape, 0.5);
	return code;
}

/* While the load runs: progress line and interval log. */
static int tick(void *arg, const struct load_run *run, bool draining)
{
	struct load *l = arg;
	const struct load_plan *p = &run->plan;
	uint64_t now = shunt_now_ns();
	double left = now < p->end_ns ? (double)(p->end_ns - now) / 1e9 : 0;

	if (draining) {
		cli_progress("waiting for the last jobs, %s", fmt_eta(now > p->end_ns ? (double)(now - p->end_ns) / 1e9 : 0).s);
		return CLI_OK;
	}
	cli_progress("%s: %s jobs/s offered, %s left", cli_stopped() ? "stopping" : now < p->measure_ns ? "warming up" : "measuring",
		     fmt_count((uint64_t)p->rate_per_s).s, fmt_eta(left).s);
	return interval_tick(&l->hist, run->setup.rt, 0);
}

static void measure_limits(struct load *l, struct limits *out)
{
	int rc;

	if (l->no_limits)
		return;
	cli_progress("measuring the machine's own limits");
	rc = limits_measure(out, NULL);
	cli_progress_clear();
	if (rc != 0) {
		cli_error("warning: the machine's limits could not be measured: %s", shunt_strerror(rc));
		l->no_limits = true;
	}
}

static int report(struct load *l)
{
	struct load_result *r = &l->run.result;
	int code = CLI_OK;

	r->limits = !l->no_limits;
	if (l->json && !load_report_json(r, l->json)) {
		cli_error("--json: out of memory");
		code = CLI_FAILED;
	}
	if (!l->flags.quiet) {
		load_report_print(r, stdout);
		if (cli_stdout_flush() != CLI_OK)
			code = CLI_FAILED;
	}
	return code;
}

static int generate(struct load *l)
{
	int code = load_run_generate(&l->run);

	return code == CLI_OK ? interval_tick(&l->hist, l->run.setup.rt, 1) : code;
}

static int run(struct load *l)
{
	struct load_run *r = &l->run;
	int code;

	r->duration_ns = l->duration_ns;
	r->warmup_ns = l->shape.warmup_ns;
	r->overload = l->overload;
	r->own_cpus = true;
	r->drain_ns_max = l->overload ? OVERLOAD_DRAIN_NS : DRAIN_LIMIT_NS;
	r->hint = ", or say --overload";
	r->tick = tick;
	r->tick_arg = l;
	code = load_run_open(r, &l->flags);
	if (code == CLI_OK)
		code = setup_json_open(&l->flags, &l->json);
	if (code == CLI_OK)
		code = cli_signals_catch();
	if (code == CLI_OK) {
		cli_progress_init(!l->flags.no_progress);
		measure_limits(l, &r->result.before);
		code = interval_open(&l->hist, l->flags.hist_path, r->setup.rt);
	}
	if (code == CLI_OK)
		code = generate(l);
	load_run_close(r);
	if (l->hist.log && interval_close(&l->hist) != CLI_OK)
		code = CLI_FAILED;
	if (code == CLI_OK) {
		if (!cli_stopped())
			measure_limits(l, &r->result.after);
		code = report(l);
		if (code == CLI_OK && r->result.signal)
			code = CLI_STOPPED;
	}
	if (!cli_output_close("--json", l->flags.json_path, l->json))
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
	load_run_init(&l->run, &l->shape);
	code = parse_args(l, argc, argv);
	if (code == CLI_GO_ON)
		code = run(l);
	load_run_fini(&l->run);
	load_flags_fini(&l->shape);
	free(l);
	return code;
}
