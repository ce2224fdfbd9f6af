/*
 * model/main.c - the command of one explorer program: which clients, how far, what to print.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"

#define RANDOM_DEFAULT 20000u
#define RANDOM_LONG 20u /* times as many with --long */
#define DEPTH_DEFAULT 3u
#define RUNS_SECONDS 1.0
#define USAGE_ERROR 2

struct options {
	const char *client, *replay, *weaken;
	long bound;      /* -1 = the client's */
	uint64_t random; /* executions; 0 = as the client says */
	uint64_t seed;
	unsigned depth;
	double seconds;
	bool list, sites, runs, quiet, is_long;
};

static const char usage[] =
	"usage: model_X [OPTION]...\n"
	"explores the clients of this program; prints one line each\n"
	"  --list             names of the clients\n"
	"  --client NAME      only this one\n"
	"  --bound N          at most N deviations; 0 = no bound (default: the client's own)\n"
	"  --random N         N random executions instead\n"
	"  --seed S           of the random executions (default: SHUNT_SEED, else 1)\n"
	"  --depth D          change points of a random execution (default 3)\n"
	"  --seconds S        gives up a search after S seconds, and says so\n"
	"  --long             the long bounds\n"
	"  --replay LIST      one execution, as printed with a failure, with its trace\n"
	"  --weaken SITE      this operation is relaxed: FILE:LINE:OP as --sites prints it\n"
	"  --sites            prints the ordered operations of the runtime\n"
	"  --runs             prints which of them each client runs\n"
	"  --quiet            no traces\n";

static size_t sites(void)
{
	return (size_t)(__stop_model_sites - __start_model_sites);
}

/* A fault or a failed assertion in the code under test fails the execution. */
static void on_signal(int number)
{
	model_fail(number == SIGABRT ? "assertion failed in the runtime, or abort()" : "signal %d (%s)", number,
		   number == SIGSEGV ? "invalid address" : "fault");
}

static void catch_signals(void)
{
	static char stack[64 * 1024];
	stack_t s = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction a = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_NODEFER };

	(void)sigaltstack(&s, NULL);
	(void)sigaction(SIGSEGV, &a, NULL);
	(void)sigaction(SIGBUS, &a, NULL);
	(void)sigaction(SIGFPE, &a, NULL);
	(void)sigaction(SIGILL, &a, NULL);
	(void)sigaction(SIGABRT, &a, NULL);
}

static struct limits limits_of(const struct client *c, const struct options *o)
{
	struct limits l = { .seed = o->seed, .depth = o->depth, .seconds_max = o->seconds };
	unsigned bound = o->is_long && c->bound_long ? c->bound_long : c->bound;

	if (o->bound >= 0)
		bound = (unsigned)o->bound;
	l.bound = bound;
	l.search = bound == 0 ? MODEL_ALL : MODEL_BOUNDED;
	if (o->random || (c->random_only && o->bound < 0)) {
		l.search = MODEL_RANDOM;
		l.executions_max = o->random ? o->random : RANDOM_DEFAULT * (o->is_long ? RANDOM_LONG : 1u);
	}
	return l;
}

static void bound_text(const struct limits *l, char *out, size_t bytes)
{
	if (l->search == MODEL_ALL)
		(void)snprintf(out, bytes, "all");
	else if (l->search == MODEL_BOUNDED)
		(void)snprintf(out, bytes, "<= %u deviations", l->bound);
	else
		(void)snprintf(out, bytes, "random, depth %u", l->depth);
}

static const char *verdict(const struct client *c, const struct options *o, bool ok)
{
	if (c->fails)
		return ok ? "FAILED: nothing found" : "found, as it should be";
	return !ok ? "FAILED" : E->stats.finished || o->replay ? "ok"
							       : "STOPPED (time)";
}

static bool explore(const struct client *c, const struct options *o)
{
	struct limits l = limits_of(c, o);
	const struct stats *s = &E->stats;
	char bound[40];
	bool ok = run_client(c, &l, o->replay);

	bound_text(&l, bound, sizeof(bound));
	printf("%-28s %-17s %9" PRIu64 " executions %9" PRIu64 " pruned %6" PRIu64 " cut %7.1f s  %s\n", c->name, bound,
	       s->executions, s->pruned, s->cut, s->seconds, verdict(c, o, ok));
	if (c->fails && !o->replay) { /* a test of the explorer itself */
		printf("  %s\n", ok ? "the failing execution was not found" : E->failure);
		(void)fflush(stdout);
		return !ok;
	}
	if (!ok) {
		printf("  shows: %s\n  %s\n", c->shows, E->failure);
		if (!o->quiet)
			report_trace();
		printf("  repeat: --client %s --bound %u%s --replay %s\n", c->name, l.bound,
		       l.search == MODEL_RANDOM ? " --random 1" : "", run_choices());
	} else if (o->replay) {
		report_trace();
	}
	if (ok && s->executions == 0) {
		printf("  no execution came to its end: nothing was shown\n");
		ok = false;
	}
	(void)fflush(stdout);
	return ok;
}

/* ---- edges ---- */

static bool ordered(const struct model_site *s)
{
	return (s->order != MODEL_RLX || s->fail_order != MODEL_RLX) && strstr(s->file, "runtime/");
}

static void site_name(const struct model_site *s, char *out, size_t bytes)
{
	char where[160];

	report_where(s, where, sizeof(where));
	(void)snprintf(out, bytes, "%s:%s", where, s->op);
}

/* "site FILE:LINE:OP" for each ordered operation of the runtime in this program. */
static void print_sites(void)
{
	for (size_t i = 0; i < sites(); i++) {
		char name[200];

		site_name(&__start_model_sites[i], name, sizeof(name));
		if (ordered(&__start_model_sites[i]))
			printf("site %s\n", name);
	}
}

/* "runs CLIENT FILE:LINE:OP" for each ordered operation that a client runs within its limits. */
static void print_runs(const struct client *c, const struct options *o)
{
	struct limits l = limits_of(c, o);

	if (l.seconds_max <= 0)
		l.seconds_max = RUNS_SECONDS;
	memset(E->seen_site, 0, sites() * sizeof(bool));
	(void)run_client(c, &l, NULL);
	for (size_t i = 0; i < sites(); i++) {
		char name[200];

		site_name(&__start_model_sites[i], name, sizeof(name));
		if (E->seen_site[i] && ordered(&__start_model_sites[i]))
			printf("runs %s %s\n", c->name, name);
	}
	(void)fflush(stdout);
}

/* ---- options ---- */

static void bad(const char *option, const char *value, const char *want)
{
	(void)fprintf(stderr, "explorer: --%s: '%s': want %s\n", option, value, want);
	exit(USAGE_ERROR);
}

static uint64_t number(const char *option, const char *text)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-')
		bad(option, text, "a number");
	return v;
}

static void parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = { { "list", 0, NULL, 'l' }, { "client", 1, NULL, 'c' }, { "bound", 1, NULL, 'b' }, { "random", 1, NULL, 'r' }, { "seed", 1, NULL, 's' }, { "depth", 1, NULL, 'd' }, { "seconds", 1, NULL, 't' }, { "long", 0, NULL, 'L' }, { "replay", 1, NULL, 'p' }, { "weaken", 1, NULL, 'w' }, { "sites", 0, NULL, 'S' }, { "runs", 0, NULL, 'R' }, { "quiet", 0, NULL, 'q' }, { "help", 0, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	const char *seed = getenv("SHUNT_SEED"), *is_long = getenv("SHUNT_LONG");
	int c;

	*o = (struct options){ .bound = -1, .depth = DEPTH_DEFAULT, .seed = seed ? number("seed", seed) : 1 };
	o->is_long = is_long && strcmp(is_long, "1") == 0;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		switch (c) {
		case 'l': o->list = true; break;
		case 'c': o->client = optarg; break;
		case 'b': o->bound = (long)number("bound", optarg); break;
		case 'r': o->random = number("random", optarg); break;
		case 's': o->seed = number("seed", optarg); break;
		case 'd': o->depth = (unsigned)number("depth", optarg); break;
		case 't': o->seconds = (double)number("seconds", optarg); break;
		case 'L': o->is_long = true; break;
		case 'p': o->replay = optarg; break;
		case 'w': o->weaken = optarg; break;
		case 'S': o->sites = true; break;
		case 'R': o->runs = true; break;
		case 'q': o->quiet = true; break;
		case 'h': (void)fputs(usage, stdout); exit(0);
		default: (void)fputs(usage, stderr); exit(USAGE_ERROR);
		}
	if (optind < argc)
		bad("", argv[optind], "no arguments");
	if (o->depth > 16)
		bad("depth", "more than 16", "0 to 16");
}

static void weaken(const char *which)
{
	bool found = false;

	for (size_t i = 0; i < sites(); i++) {
		char name[200];

		site_name(&__start_model_sites[i], name, sizeof(name));
		if (strcmp(name, which) == 0) {
			E->weak[i] = 1;
			found = true;
		}
	}
	if (!found)
		bad("weaken", which, "FILE:LINE:OP of an atomic operation in this program, as --sites prints it");
}

int main(int argc, char **argv)
{
	struct options o;
	unsigned failed = 0, run = 0;

	parse(argc, argv, &o);
	E = calloc(1, sizeof(*E));
	if (!E)
		abort();
	E->weak = calloc(sites(), 1);
	E->seen_site = calloc(sites(), sizeof(bool));
	arena_open();
	catch_signals();
	if (o.sites)
		print_sites();
	if (o.sites)
		return 0;
	if (o.weaken)
		weaken(o.weaken);
	for (const struct client *c = clients; c->name; c++) {
		if (o.list)
			printf("%-28s %s\n", c->name, c->shows);
		if (o.list || (o.client && strcmp(o.client, c->name) != 0))
			continue;
		run++;
		if (o.runs)
			print_runs(c, &o);
		else
			failed += !explore(c, &o);
	}
	if (!o.list && run == 0)
		bad("client", o.client, "a name that --list prints");
	return failed != 0;
}
