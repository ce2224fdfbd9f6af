/*
 * shunt/run/cmd_run.c - see cmd_run.h. The main thread submits the root, then watches: progress
 * line, interval log, signals. Start-up order: arguments, output files, runtime, walk; the end is
 * the reverse.
 *
 * After the first signal nothing new is submitted, queued jobs are cancelled, and running ones stop
 * at the next piece of their file; the report says how far they came. Another signal, a second
 * later or more, ends the process at once.
 *
 * SPDX-License-Identifier: MIT
 */
#include "run/cmd_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <shunt/error.h>

#include "common/cli.h"
#include "common/interval.h"
#include "run/report.h"
#include "run/walk.h"
#include "common/setup.h"

#define TICK_NS UINT64_C(10000000) /* also from probe to probe */
/* for the runtime's statistics, after the last job has ended */
#define QUIESCE_NS UINT64_C(1000000000)
#define STOP_LIMIT_NS UINT64_C(10000000000) /* how long running jobs may take to notice a signal */

static const char run_help[] =
	"usage: shunt run [options]\n"
	"\n"
	"Walks a directory tree by jobs that spawn jobs: directories at the first level, the SHA-256 of each file at\n"
	"the middle one, how well its beginning compresses at the last one. Then reports files, bytes and errors, how\n"
	"long jobs waited and ran, and how long an urgent job waited among them.\n"
	"\n"
	"  --tree DIR         the tree (default /usr/share); symbolic links below it are counted, not followed\n"
	"  --one-file-system  do not enter other filesystems\n"
	"  --sample SIZE      compress at most so much of each file (default 1MiB)\n"
	"  --digests FILE     digests in sha256sum's format, sorted by path; `sha256sum -c FILE` accepts it\n" SETUP_HELP
		SETUP_SET_HELP
	"  --help             this text\n"
	"\n"
	"Files that cannot be read are counted and named; they are no failure. Exit code: 0 ok, 1 failed, 2 bad usage or\n"
	"no such tree, 130 stopped by SIGINT or SIGTERM (another one, a second\n"
	"later or more, ends the command at once).\n";

static const char run_config[] =
	"runtime: {name: shunt-run, levels: [high, normal, low], jobs_max: 262144, handles_max: 262144}\n"
	"pools:\n"
	"  main: {on_full: error}\n";

enum { OPT_TREE = 1, OPT_ONE_FS, OPT_SAMPLE, OPT_DIGESTS };

static const struct option run_options[] = {
	{ "tree", required_argument, NULL, OPT_TREE },
	{ "one-file-system", no_argument, NULL, OPT_ONE_FS },
	{ "sample", required_argument, NULL, OPT_SAMPLE },
	{ "digests", required_argument, NULL, OPT_DIGESTS },
	{ "help", no_argument, NULL, CLI_HELP },
	SETUP_OPTIONS,
	SETUP_SET_OPTION,
	{ NULL, 0, NULL, 0 },
};

struct run {
	struct setup_flags flags;
	struct setup setup;
	struct walk walk;
	struct interval_log hist;
	const char *digests_path;
	FILE *digests, *json;
	char *tree; /* without slashes at its end */
};

static int set_tree(struct run *r, const char *path)
{
	size_t n = strlen(path);

	if (n == 0) {
		cli_error("--tree: '': want a directory");
		return CLI_USAGE;
	}
	while (n > 1 && path[n - 1] == '/')
		n--;
	free(r->tree);
	r->tree = strndup(path, n);
	if (!r->tree) {
		cli_error("%s", shunt_strerror(SHUNT_ENOMEM));
		return CLI_FAILED;
	}
	r->walk.tree = r->tree;
	return CLI_GO_ON;
}

static int take_option(void *arg, int option)
{
	struct run *r = arg;

	if (setup_flag(&r->flags, option, optarg))
		return CLI_GO_ON;
	switch (option) {
	case OPT_TREE:
		return set_tree(r, optarg);
	case OPT_ONE_FS:
		r->walk.one_fs = true;
		return CLI_GO_ON;
	case OPT_SAMPLE:
		return cli_parse_size("--sample", optarg, 1, UINT64_C(1) << 40, &r->walk.sample_max) ? CLI_GO_ON : CLI_USAGE;
	case OPT_DIGESTS:
		r->digests_path = optarg;
		return CLI_GO_ON;
	default:
		return CLI_USAGE;
	}
}

static int parse_args(struct run *r, int argc, char **argv)
{
	int code = set_tree(r, "/usr/share");

	if (code == CLI_GO_ON)
		code = cli_options(argc, argv, ":", run_options, run_help, take_option, r);
	if (code == CLI_GO_ON)
		code = cli_no_arguments(argc, argv);
	if (code == CLI_GO_ON && r->flags.json_path && r->digests_path && strcmp(r->flags.json_path, "-") == 0 &&
	    strcmp(r->digests_path, "-") == 0) {
		cli_error("--json and --digests: both want standard output");
		return CLI_USAGE;
	}
	return code;
}

static int check_tree(const char *tree)
{
	struct stat st;

	if (stat(tree, &st) != 0) {
		cli_error("--tree: '%s': %s", tree, strerror(errno));
		return CLI_USAGE;
	}
	if (!S_ISDIR(st.st_mode)) {
		cli_error("--tree: '%s': not a directory", tree);
		return CLI_USAGE;
	}
	return CLI_OK;
}

static int open_outputs(struct run *r)
{
	if (r->digests_path) {
		r->digests = cli_output_open("--digests", r->digests_path);
		if (!r->digests)
			return CLI_FAILED;
		walk_output(&r->walk, fileno(r->digests));
		r->walk.keep_digests = true;
	}
	if (setup_json_open(&r->flags, &r->json) != CLI_OK)
		return CLI_FAILED;
	if (r->json)
		walk_output(&r->walk, fileno(r->json));
	if (r->digests == stdout)
		r->flags.quiet = true;
	return CLI_OK;
}

/* The interval log opens its file itself. This lets the walk skip that file. */
static void note_hist_file(struct run *r)
{
	FILE *f = r->flags.hist_path ? fopen(r->flags.hist_path, "re") : NULL;

	if (!f)
		return;
	walk_output(&r->walk, fileno(f));
	(void)fclose(f);
}

/* Waits for the last job. Returns the number that did not end: 0 except after a signal. */
static uint64_t watch(struct run *r, int *code)
{
	struct run_progress progress;
	uint64_t stop_ns = 0;
	int64_t left;

	run_progress_start(&progress);
	walk_probe(&r->walk);
	for (;;) { /* bound: the walk's end, or STOP_LIMIT_NS after a signal */
		int rc = shunt_group_wait(r->setup.rt, r->walk.group, TICK_NS);

		if (rc != SHUNT_ETIMEDOUT)
			break;
		if (cli_stopped() && stop_ns == 0) {
			stop_ns = shunt_now_ns();
			(void)shunt_group_cancel(r->setup.rt, r->walk.group);
		}
		if (stop_ns == 0)
			walk_probe(&r->walk);
		if (stop_ns && shunt_now_ns() - stop_ns > STOP_LIMIT_NS)
			break;
		run_progress_show(&progress, &r->walk);
		if (*code == CLI_OK)
			*code = interval_tick(&r->hist, r->setup.rt, 0);
	}
	cli_progress_clear();
	/* a group is empty a moment before its last job is counted */
	(void)shunt_runtime_drain(r->setup.rt, QUIESCE_NS, NULL);
	if (*code == CLI_OK)
		*code = interval_tick(&r->hist, r->setup.rt, 1);
	left = shunt_group_pending(r->setup.rt, r->walk.group);
	return left > 0 ? (uint64_t)left : 0;
}

static int write_results(struct run *r, const struct run_result *result)
{
	uint64_t lines = 0;
	int code = CLI_OK;

	if (r->digests && result->unfinished == 0)
		code = walk_write_digests(&r->walk, r->digests, &lines);
	if (r->json && !run_report_json(result, r->json)) {
		cli_error("--json: out of memory");
		code = CLI_FAILED;
	}
	if (!r->flags.quiet) {
		run_report_print(result, stdout);
		if (r->digests)
			(void)printf("  %llu digests in %s\n", (unsigned long long)lines, r->digests_path);
		if (r->hist.log)
			(void)printf("  %llu lines of histograms in %s\n", (unsigned long long)r->hist.lines, r->flags.hist_path);
		if (cli_stdout_flush() != CLI_OK)
			code = CLI_FAILED;
	}
	return code;
}

/* From the running runtime to the report. */
static int walk_and_report(struct run *r)
{
	struct run_result result;
	struct shunt_snapshot *snapshot = NULL;
	uint64_t start = shunt_now_ns();
	int code = walk_start(&r->walk, &r->setup);
	int other;
	int rc;

	if (code != CLI_OK)
		return code;
	(void)memset(&result, 0, sizeof(result));
	result.unfinished = watch(r, &code);
	result.elapsed_ns = shunt_now_ns() - start;
	result.signal = cli_stopped();
	rc = shunt_snapshot_create(r->setup.rt, &snapshot);
	if (rc != 0) {
		cli_error("%s", shunt_strerror(rc));
		return CLI_FAILED;
	}
	if (result.signal)
		walk_give_up(&r->walk);
	walk_totals(&r->walk, &result.totals);
	result.walk = &r->walk;
	result.snapshot = snapshot;
	other = write_results(r, &result);
	shunt_snapshot_destroy(snapshot);
	code = code ? code : other;
	return code ? code : result.signal ? CLI_STOPPED : CLI_OK;
}

static int run(struct run *r)
{
	int code = check_tree(r->tree);

	if (code == CLI_OK)
		code = setup_create(&r->setup, &r->flags, run_config, walk_types, SH_COUNT(walk_types));
	if (code == CLI_OK)
		code = open_outputs(r);
	if (code == CLI_OK)
		code = cli_signals_catch();
	if (code == CLI_OK)
		code = interval_open(&r->hist, r->flags.hist_path, r->setup.rt);
	if (code == CLI_OK) {
		note_hist_file(r);
		cli_progress_init(!r->flags.no_progress);
		code = walk_and_report(r);
	}
	setup_destroy(&r->setup);
	if (r->hist.log && interval_close(&r->hist) != CLI_OK)
		code = CLI_FAILED;
	if (!cli_output_close("--digests", r->digests_path, r->digests))
		code = CLI_FAILED;
	if (!cli_output_close("--json", r->flags.json_path, r->json))
		code = CLI_FAILED;
	return code;
}

int cmd_run(int argc, char **argv)
{
	struct run *r = calloc(1, sizeof(*r));
	int code;

	cli_begin("run");
	if (!r) {
		cli_error("%s", shunt_strerror(SHUNT_ENOMEM));
		return CLI_FAILED;
	}
	walk_init(&r->walk);
	r->walk.sample_max = UINT64_C(1) << 20;
	code = parse_args(r, argc, argv);
	if (code == CLI_GO_ON)
		code = run(r);
	walk_fini(&r->walk);
	free(r->tree);
	free(r);
	return code;
}
