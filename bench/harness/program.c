/*
 * bench/harness/program.c - bench_main of harness.h: options, the layout of cpus, the ping-pong before the work,
 * and the rows, which are printed only when the whole run went well.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

#define SECONDS_MAX 3600.0
#define JOBS_MAX UINT64_C(1000000000)
#define WORKERS_MAX 256u
#define EXIT_USAGE 2
#define EXIT_CANNOT 77

struct args {
	const char *work, *idle, *cpus;
	double seconds, patience_s;
	uint64_t jobs, workers, seed;
	bool describe, periodic;
};

enum option_code {
	OPT_WORK = 256,
	OPT_IDLE,
	OPT_CPUS,
	OPT_SECONDS,
	OPT_JOBS,
	OPT_WORKERS,
	OPT_SEED,
	OPT_PATIENCE,
	OPT_PERIODIC,
	OPT_DESCRIBE,
	OPT_HELP
};

static const struct option options[] = {
	{ "work", required_argument, NULL, OPT_WORK },
	{ "idle", required_argument, NULL, OPT_IDLE },
	{ "cpus", required_argument, NULL, OPT_CPUS },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "jobs", required_argument, NULL, OPT_JOBS },
	{ "workers", required_argument, NULL, OPT_WORKERS },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "patience", required_argument, NULL, OPT_PATIENCE },
	{ "periodic", no_argument, NULL, OPT_PERIODIC },
	{ "describe", no_argument, NULL, OPT_DESCRIBE },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static const char usage[] =
	" --work ID [options], or --describe; prints one JSON object a line\n"
	"  --work ID        what to do (below)\n"
	"  --idle MODE      how the workers wait (below)\n"
	"  --cpus A,B,...   where to run; default: every cpu that this process may use\n"
	"  --seconds S      how long to measure; works that count jobs do as many as fit into it\n"
	"  --jobs N         how many jobs, in works that count them\n"
	"  --workers N      instead of the work's own number\n"
	"  --seed N         of the random arrivals and service times, default 1\n"
	"  --patience S     so long without any progress means that a job is lost, default 20\n"
	"  --periodic       with B1b: the same as --work B1b-periodic\n"
	"  --describe       what this program is and can, as JSON\n"
	"Exit code: 0 done, 1 failed, 2 usage, 77 this program cannot do that work or mode.\n";

/* Prints to stderr what is wrong with the command line; the exit code. */
static int __attribute__((format(printf, 1, 2))) refuse(const char *format, ...)
{
	va_list args;

	(void)fprintf(stderr, "%s: ", bench_name);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
	return EXIT_USAGE;
}

static int number(const char *option, const char *text, double low, double high, bool whole, double *out)
{
	char *end = NULL;
	double v;

	errno = 0;
	v = strtod(text, &end);
	if (errno || end == text || *end || !(v >= low) || !(v <= high) || (whole && v != floor(v)))
		return refuse("--%s: '%s': want a %snumber from %g to %g", option, text, whole ? "whole " : "", low,
			      high);
	*out = v;
	return 0;
}

static int whole(const char *option, const char *text, double low, double high, uint64_t *out)
{
	double v = 0;
	int rc = number(option, text, low, high, true, &v);

	*out = (uint64_t)v;
	return rc;
}

static void help(const struct bench_program *p)
{
	(void)printf("usage: %s%s\nworks:\n", bench_name, usage);
	for (const struct bench_work *w = p->works; w->id; w++)
		(void)printf("  %-14s %s\n", w->id, w->what);
	(void)printf("idle modes:");
	for (unsigned i = 0; p->idle_modes[i]; i++)
		(void)printf(" %s", p->idle_modes[i]);
	(void)printf("   (%s)\n", p->idle_policy);
}

/* 0 to go on, -1 after --help, else the exit code. */
static int parse(struct args *a, int argc, char **argv, const struct bench_program *p)
{
	int rc = 0, c;

	opterr = 0;
	while (rc == 0 && (c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		switch (c) {
		case OPT_WORK: a->work = optarg; break;
		case OPT_IDLE: a->idle = optarg; break;
		case OPT_CPUS: a->cpus = optarg; break;
		case OPT_SECONDS: rc = number("seconds", optarg, 1e-3, SECONDS_MAX, false, &a->seconds); break;
		case OPT_JOBS: rc = whole("jobs", optarg, 1, (double)JOBS_MAX, &a->jobs); break;
		case OPT_WORKERS: rc = whole("workers", optarg, 1, WORKERS_MAX, &a->workers); break;
		case OPT_SEED: rc = whole("seed", optarg, 0, 1e15, &a->seed); break;
		case OPT_PATIENCE: rc = number("patience", optarg, 0.1, SECONDS_MAX, false, &a->patience_s); break;
		case OPT_PERIODIC: a->periodic = true; break;
		case OPT_DESCRIBE: a->describe = true; break;
		case 'h':
		case OPT_HELP: help(p); return -1;
		case ':': return refuse("%s: needs a value", argv[optind - 1]);
		default: return refuse("%s: no such option; see --help", argv[optind - 1]);
		}
	}
	if (rc == 0 && optind < argc)
		return refuse("'%s': no argument is expected here", argv[optind]);
	return rc;
}

static bool listed(const char *const *list, const char *name)
{
	for (; list && *list; list++)
		if (strcmp(*list, name) == 0)
			return true;
	return false;
}

/* A string of ours in JSON: no control characters come up, quotes might. */
static void put_string(const char *s)
{
	(void)putchar('"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			(void)putchar('\\');
		if ((unsigned char)*s >= ' ')
			(void)putchar(*s);
	}
	(void)putchar('"');
}

static void put_field(const char *before, const char *value)
{
	(void)printf("%s: ", before);
	put_string(value);
}

static int describe(const struct bench_program *p)
{
	const char *between = "";

	put_field("{\"subject\"", p->subject);
	put_field(", \"version\"", p->version());
	put_field(", \"idle_policy\"", p->idle_policy);
	(void)printf(", \"idle_modes\": [");
	for (unsigned i = 0; p->idle_modes[i]; i++) {
		(void)printf("%s", i ? ", " : "");
		put_string(p->idle_modes[i]);
	}
	(void)printf("], \"works\": [");
	for (const struct bench_work *w = p->works; w->id; w++) {
		if (listed(p->cannot, w->id))
			continue;
		(void)printf("%s", between);
		put_string(w->id);
		between = ", ";
	}
	(void)printf("], \"titles\": {");
	for (const struct bench_work *w = p->works; w->id; w++) {
		(void)printf("%s", w == p->works ? "" : ", ");
		put_string(w->id);
		put_field("", w->what);
	}
	(void)printf("}}\n");
	return fflush(stdout) == 0 ? 0 : 1;
}

static int parse_cpus(struct bench_run *r, const char *text)
{
	int allowed[BENCH_CPUS_MAX];
	unsigned n = bench_cpus(allowed);

	if (!text) {
		(void)memcpy(r->cpus, allowed, sizeof(allowed));
		r->ncpus = n;
		return 0;
	}
	for (const char *s = text; r->ncpus < BENCH_CPUS_MAX;) {
		char *end = NULL;
		long cpu = strtol(s, &end, 10);
		bool found = false;

		for (unsigned i = 0; i < n; i++)
			found = found || allowed[i] == cpu;
		if (end == s || (*end && *end != ','))
			return refuse("--cpus: '%s': want cpu numbers, such as 0,1", text);
		if (!found)
			return refuse("--cpus: '%s': this process may not run on cpu %ld", text, cpu);
		r->cpus[r->ncpus++] = (int)cpu;
		if (!*end)
			return 0;
		s = end + 1;
	}
	return refuse("--cpus: '%s': at most %u", text, BENCH_CPUS_MAX);
}

/* Producers first, then workers, each on a cpu of its own; where there are too few, workers share out all. */
static void lay_out(struct bench_run *r)
{
	bool room = r->producers + r->workers <= r->ncpus;

	for (unsigned i = 0; i < r->workers; i++)
		r->worker_cpu[i] = room ? r->cpus[r->producers + i] : r->cpus[(i + (r->workers == 1)) % r->ncpus];
	for (unsigned i = 0; i < r->producers; i++)
		r->producer_cpu[i] = room || r->workers < r->ncpus ? r->cpus[i % r->ncpus] : -1;
}

static int fill(struct bench_run *r, const struct args *a)
{
	const struct bench_program *p = r->program;
	const char *id = a->work;

	if (!id)
		return refuse("--work: which? See --help");
	if (a->periodic && strcmp(id, "B1b") == 0)
		id = "B1b-periodic";
	else if (a->periodic)
		return refuse("--periodic: only with --work B1b");
	for (r->work = p->works; r->work->id && strcmp(r->work->id, id) != 0;)
		r->work++;
	if (!r->work->id)
		return refuse("--work: '%s': no such work; see --help", id);
	r->idle = a->idle ? a->idle : p->idle_modes[0];
	r->workers = a->workers ? (unsigned)a->workers : r->work->workers;
	r->producers = r->work->producers ? r->work->producers : 1;
	r->seconds = a->seconds > 0 ? a->seconds : a->jobs ? 0
							   : r->work->seconds;
	r->jobs = a->jobs ? a->jobs : a->seconds > 0 ? 0
						     : r->work->jobs;
	r->seed = a->seed;
	r->patience_s = a->patience_s;
	if (listed(p->cannot, r->work->id) || !listed(p->idle_modes, r->idle)) {
		(void)refuse("%s in mode %s: cannot do that", r->work->id, r->idle);
		return EXIT_CANNOT;
	}
	return parse_cpus(r, a->cpus);
}

static int print_rows(const struct bench_run *r)
{
	for (unsigned i = 0; i < r->rows; i++) {
		const struct bench_row *row = &r->row[i];

		put_field("{\"id\"", row->id);
		put_field(", \"subject\"", r->program->subject);
		put_field(", \"version\"", r->program->version());
		put_field(", \"idle_mode\"", r->idle);
		put_field(", \"metric\"", row->metric);
		put_field(", \"unit\"", row->unit);
		(void)printf(", \"value\": %.4f, \"n\": %llu", row->value, (unsigned long long)row->n);
		(void)printf(", \"pingpong_ns\": %.1f, \"pingpong_after_ns\": %.1f}\n", r->pingpong_ns, r->pingpong_after_ns);
	}
	if (fflush(stdout) != 0 || ferror(stdout)) {
		(void)refuse("standard output: %s", strerror(errno));
		return 1;
	}
	return 0;
}

static double pingpong_ns(const struct bench_run *r)
{
	return bench_pingpong_ns(r->producer_cpu[0] < 0 ? r->cpus[0] : r->producer_cpu[0], r->worker_cpu[r->workers - 1]);
}

int bench_main(int argc, char **argv, const struct bench_program *program)
{
	struct args a = { .patience_s = 20, .seed = 1 };
	struct bench_run *r;
	const char *slash = strrchr(argv[0], '/');
	int rc;

	bench_name = slash ? slash + 1 : argv[0];
	bench_sys_setup();
	rc = parse(&a, argc, argv, program);
	if (rc != 0)
		return rc < 0 ? 0 : rc;
	if (a.describe)
		return describe(program);
	r = bench_alloc(1, sizeof(*r));
	r->program = program;
	rc = fill(r, &a);
	if (rc == 0) {
		lay_out(r);
		bench_clock_setup();
		r->pingpong_ns = pingpong_ns(r);
		rc = r->work->run(r);
		r->pingpong_after_ns = pingpong_ns(r);
	}
	if (rc == 0)
		rc = print_rows(r);
	free(r);
	return rc;
}

void bench_add_as(struct bench_run *r, const char *id, const char *metric, const char *unit, double value, uint64_t n)
{
	if (r->rows == BENCH_ROWS_MAX)
		bench_die("more than %u rows", BENCH_ROWS_MAX);
	r->row[r->rows] = (struct bench_row){ id, "", unit, value, n };
	(void)snprintf(r->row[r->rows].metric, sizeof(r->row[r->rows].metric), "%s", metric);
	r->rows++;
}

void bench_add(struct bench_run *r, const char *metric, const char *unit, double value, uint64_t n)
{
	bench_add_as(r, r->work->id, metric, unit, value, n);
}
