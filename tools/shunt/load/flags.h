/*
 * shunt/load/flags.h - the shape of a load as the user asked for it: the flags that `shunt load`
 * and `shunt advise` share.
 * Called by cmd_load.c and cmd_advise.c; load/run.c makes a plan of it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_LOAD_FLAGS_H
#define SHUNT_LOAD_FLAGS_H

#include "load/dist.h"
#include "load/trace.h"

#define LOAD_SUBMITTERS_MAX 64u

struct load_share {
	char name[SHUNT_NAME_MAX];
	double share;
};

struct load_flags {
	struct load_service service;
	struct load_arrivals arrivals;
	struct load_trace trace;
	struct load_share level[SHUNT_LEVELS_MAX];
	uint32_t levels;
	double rate_per_s;  /* 0 = not given */
	double utilisation; /* 0 = not given */
	uint64_t warmup_ns;
	uint64_t seed;
	uint32_t submitters;
	bool warmup_given;
	const char *service_text, *arrivals_text, *trace_path; /* NULL = not given */
};

enum load_option {
	LOAD_OPT_RATE = 2000,
	LOAD_OPT_UTILISATION,
	LOAD_OPT_ARRIVALS,
	LOAD_OPT_SERVICE,
	LOAD_OPT_TRACE,
	LOAD_OPT_LEVELS,
	LOAD_OPT_WARMUP,
	LOAD_OPT_SUBMITTERS,
	LOAD_OPT_SEED
};
#define LOAD_OPTIONS \
	{ "rate", required_argument, NULL, LOAD_OPT_RATE }, \
		{ "utilisation", required_argument, NULL, LOAD_OPT_UTILISATION }, \
		{ "arrivals", required_argument, NULL, LOAD_OPT_ARRIVALS }, \
		{ "service", required_argument, NULL, LOAD_OPT_SERVICE }, \
		{ "trace", required_argument, NULL, LOAD_OPT_TRACE }, \
		{ "levels", required_argument, NULL, LOAD_OPT_LEVELS }, \
		{ "warmup", required_argument, NULL, LOAD_OPT_WARMUP }, \
		{ "submitters", required_argument, NULL, LOAD_OPT_SUBMITTERS }, \
		{ "seed", required_argument, NULL, LOAD_OPT_SEED }
/* `share`: the default of --utilisation. */
#define LOAD_HELP(share) \
	"  --rate N           jobs a second, such as 50k\n" \
	"  --utilisation P    or a share of what the workers can do (default " share ")\n" \
	"  --arrivals KIND    poisson (default), constant, burst:N (N at one instant, then an exponential gap)\n" \
	"  --service DIST     fixed:5us, exp:10us (default), bimodal:1us,100us,0.5% (the second with that share),\n" \
	"                     file:PATH (one duration a line, drawn with equal chances), hlog:PATH (the run times\n" \
	"                     of an interval log: its series run.*, or the lines without a tag)\n" \
	"  --trace FILE       or a recorded load, one job a line: arrival_ns,service_ns[,level]; at its end it\n" \
	"                     starts over; --rate or --utilisation plays it faster or slower\n" \
	"  --levels LIST      levels and their shares, most urgent first (default high=10%,normal=60%,low=30%);\n" \
	"                     with --config the names must be levels of the file\n" \
	"  --submitters N     generator threads (default 1)\n" \
	"  --seed N           of everything drawn (default: from the clock)\n"

/* Defaults. CLI_GO_ON or CLI_FAILED. */
int load_flags_init(struct load_flags *f);
/* Takes optarg if `option` is one of load_option: CLI_GO_ON, or CLI_USAGE after a message. */
int load_flags_take(struct load_flags *f, int option);
/* After the last option: checks, trace, default utilisation. CLI_GO_ON or CLI_USAGE. */
int load_flags_finish(struct load_flags *f, double utilisation);
void load_flags_fini(struct load_flags *f);

#endif
