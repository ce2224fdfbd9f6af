/*
 * shunt/common/setup.h - the flags that `shunt run`, `load` and `advise` share, and the runtime
 * made from them: a built-in configuration or the user's file, then the environment, then flags.
 * Types that the file does not have are added to its first pool. Called by cmd_run.c, cmd_load.c,
 * cmd_advise.c and load/run.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_SETUP_H
#define SHUNT_SETUP_H

#include <stdbool.h>
#include <stdio.h>

#include <shunt/runtime.h>

#include "base/atomic.h"

#define SETUP_TYPES_MAX 8u
#define SETUP_SETS_MAX 64u

/* Values of flags as the user wrote them; NULL = not given. The configuration checks them. */
struct setup_flags {
	const char *config;
	const char *workers, *place, *pin, *idle, *strategy; /* of the pool */
	const char *jobs_max;                                /* of the runtime */
	const char *pool;                                    /* which pool; NULL = the first */
	const char *json_path, *hist_path;                   /* NULL = not wanted */
	const char *sets[SETUP_SETS_MAX];                    /* KEY=VALUE of each --set */
	size_t sets_count;                                   /* above SETUP_SETS_MAX: too many were given */
	bool quiet, no_progress;
	/* not a flag: the runtime's warnings were reported before */
	bool no_log;
};

/* The options of these flags for getopt_long; the values lie above all letters. */
enum setup_option {
	SETUP_CONFIG = 1000,
	SETUP_WORKERS,
	SETUP_PLACE,
	SETUP_PIN,
	SETUP_IDLE,
	SETUP_STRATEGY,
	SETUP_JOBS_MAX,
	SETUP_POOL,
	SETUP_JSON,
	SETUP_HIST,
	SETUP_QUIET,
	SETUP_NO_PROGRESS
};
#define SETUP_OPTIONS SETUP_POOL_OPTIONS, SETUP_REPORT_OPTIONS, { "hist", required_argument, NULL, SETUP_HIST }
#define SETUP_REPORT_OPTIONS \
	{ "json", required_argument, NULL, SETUP_JSON }, { "quiet", no_argument, NULL, SETUP_QUIET }, \
	{ "no-progress", no_argument, NULL, SETUP_NO_PROGRESS }
#define SETUP_POOL_OPTIONS \
	{ "config", required_argument, NULL, SETUP_CONFIG }, { "workers", required_argument, NULL, SETUP_WORKERS }, \
	{ "place", required_argument, NULL, SETUP_PLACE }, { "pin", required_argument, NULL, SETUP_PIN }, \
	{ "idle", required_argument, NULL, SETUP_IDLE }, { "strategy", required_argument, NULL, SETUP_STRATEGY }, \
	{ "jobs-max", required_argument, NULL, SETUP_JOBS_MAX }, { "pool", required_argument, NULL, SETUP_POOL }
/* Only where the key has an effect: advise sets the keys of its rows itself. */
#define SETUP_SET_OPTION \
	{ \
		"set", required_argument, NULL, CLI_SET \
	}
#define SETUP_SET_HELP \
	"  --set KEY=VALUE    any key of the configuration, such as pools.main.queue_max=1000; may be repeated\n"
#define SETUP_HELP \
	"  --hist FILE.hlog   HdrHistogram interval log, one interval a second\n" \
	SETUP_REPORT_HELP \
	SETUP_POOL_HELP
#define SETUP_REPORT_HELP \
	"  --json FILE        the report as JSON ('-' = standard output, in place of the text)\n" \
	"  --quiet            no report on standard output\n" \
	"  --no-progress      no progress line (there is none unless standard error is a terminal)\n"
#define SETUP_POOL_HELP \
	"  --config FILE      runtime, pool and types from a YAML file (docs/CONFIG.md)\n" \
	"  --workers N        worker threads (default: the cpu budget)\n" \
	"  --place EXPR       cpus the workers may use, such as 0-3, numa:0 or l3:0 (default: all allowed)\n" \
	"  --pin POLICY       auto, compact, scatter, one-per-core, avoid-cpu0, none, explicit\n" \
	"  --idle MODE        poll, adaptive, park\n" \
	"  --strategy NAME    how a job finds its worker: least-work, peak-ewma, least-loaded, ...\n" \
	"  --pool NAME        with --config: the pool that the flags above mean and that gets types which the file does\n" \
	"                     not mention (default: the first)\n" \
	"  --jobs-max N       unfinished jobs that the runtime holds\n"

struct setup_type {
	const char *name;
	shunt_handler_fn handler;
	/* if the file has no level: 0 = the first, 1 = the middle, 2 = the last one */
	unsigned rank;
	uint64_t expected_ns;
};

struct setup {
	struct shunt_runtime *rt;
	sh_a32 started; /* sync: atomic; its log is shown from then on; before, errors are what setup_create says */
	struct shunt_type_id type[SETUP_TYPES_MAX];
	char pool[SHUNT_NAME_MAX];
	char pin[16];          /* of the pool, without the flags */
	uint32_t levels;
	char level_name[SHUNT_LEVELS_MAX][SHUNT_NAME_MAX];
};

/* Stores optarg if `option` is a setup_option. Returns 1 if it is. */
int setup_flag(struct setup_flags *flags, int option, const char *value);
/* 0, or the exit code after messages, with nothing left behind. setup_destroy frees the runtime. */
int setup_create(struct setup *s, const struct setup_flags *flags, const char *builtin, const struct setup_type *types,
		 size_t n_types);
/* Cancels queued jobs, joins the workers, frees. */
void setup_destroy(struct setup *s);
/* Opens the file of --json (*out NULL = none; "-" implies --quiet). CLI_OK, or CLI_FAILED. */
int setup_json_open(struct setup_flags *flags, FILE **out);

#endif
