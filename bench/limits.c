/*
 * bench/limits.c - prints what this machine can do at best, the floor beside which every other figure is to be read:
 * cache-line transfer between two cpus, futex wake, clock read. The measuring is tools/shunt/limits.c.
 *
 * usage: limits [--cpus A,B] [--repeat N] [--json]
 *
 * SPDX-License-Identifier: MIT
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include <shunt/error.h>

#include "../tools/shunt/limits.h"

#ifndef SHUNT_GIT_COMMIT
#define SHUNT_GIT_COMMIT "unknown"
#endif
#define REPEAT_MAX 1000u

static const char help[] = "usage: limits [--cpus A,B] [--repeat N] [--json]\n"
			   "Measures cache-line transfer between two cpus, futex wake and clock read; N times (default 3).\n";

struct args {
	struct limits_opts opts;
	unsigned repeat;
	bool json;
};

/* "model name" of /proc/cpuinfo, without quotes or backslashes. */
static void cpu_model(char *buf, size_t size)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[256];

	(void)snprintf(buf, size, "unknown");
	while (f && fgets(line, sizeof(line), f)) {
		const char *value = strchr(line, ':');

		if (strncmp(line, "model name", 10) != 0 || !value)
			continue;
		value += strspn(value, ": \t");
		(void)snprintf(buf, size, "%.*s", (int)strcspn(value, "\n\"\\"), value);
		break;
	}
	if (f)
		(void)fclose(f);
}

static void print_text(const struct limits *l)
{
	(void)printf("%-36s %8s %10s %10s %10s   (cpus %d and %d)\n", "ns", "samples", "min", "p50", "p99", l->cpu_a, l->cpu_b);
	for (int i = 0; i < (int)LIMITS_COUNT; i++) {
		const struct limits_value *v = &l->value[i];

		if (v->samples)
			(void)printf("%-36s %8zu %10.1f %10.1f %10.1f\n", limits_name((enum limits_what)i), v->samples, v->min_ns,
				     v->p50_ns, v->p99_ns);
		else
			(void)printf("%-36s %8s\n", limits_name((enum limits_what)i), "not measured");
	}
}

static void print_json(const struct limits *l, bool last)
{
	(void)printf("    {\"cpu_a\": %d, \"cpu_b\": %d", l->cpu_a, l->cpu_b);
	for (int i = 0; i < (int)LIMITS_COUNT; i++) {
		const struct limits_value *v = &l->value[i];

		(void)printf(",\n     \"%s\": {\"samples\": %zu, \"min_ns\": %.1f, \"p50_ns\": %.1f, \"p99_ns\": %.1f}",
			     limits_key((enum limits_what)i), v->samples, v->min_ns, v->p50_ns, v->p99_ns);
	}
	(void)printf("}%s\n", last ? "" : ",");
}

/* -1 to go on, else the exit code. */
static int parse(struct args *a, int argc, char **argv)
{
	static const struct option options[] = {
		{ "cpus", required_argument, NULL, 'c' }, { "repeat", required_argument, NULL, 'r' },
		{ "json", no_argument, NULL, 'j' },       { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	char extra = 0;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'c' && (sscanf(optarg, "%d,%d%c", &a->opts.cpu_a, &a->opts.cpu_b, &extra) != 2 || a->opts.cpu_a < 0 ||
				 a->opts.cpu_b < 0)) {
			(void)fprintf(stderr, "limits: --cpus: '%s': want two cpu numbers, such as 0,1\n", optarg);
			return 2;
		}
		if (c == 'r' && (sscanf(optarg, "%u%c", &a->repeat, &extra) != 1 || a->repeat < 1 || a->repeat > REPEAT_MAX)) {
			(void)fprintf(stderr, "limits: --repeat: '%s': want a number from 1 to %u\n", optarg, REPEAT_MAX);
			return 2;
		}
		if (c == 'j')
			a->json = true;
		if (c == 'h' || c == '?') {
			(void)fputs(help, c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : 2;
		}
	}
	if (optind < argc) {
		(void)fputs(help, stderr);
		return 2;
	}
	return -1;
}

int main(int argc, char **argv)
{
	struct args a = { { -1, -1 }, 3, false };
	struct utsname host;
	struct limits l;
	char model[128];
	int rc = parse(&a, argc, argv);

	if (rc >= 0)
		return rc;
	(void)memset(&host, 0, sizeof(host));
	(void)uname(&host);
	cpu_model(model, sizeof(model));
	if (a.json)
		(void)printf("{\"bench\": \"limits\", \"cpu\": \"%s\", \"kernel\": \"%s\", \"commit\": \"%s\",\n  \"runs\": [\n", model,
			     host.release, SHUNT_GIT_COMMIT);
	else
		(void)printf("limits: %s, kernel %s, commit %s\n", model, host.release, SHUNT_GIT_COMMIT);
	for (unsigned i = 0; i < a.repeat; i++) {
		rc = limits_measure(&l, &a.opts);
		if (rc != 0) {
			(void)fprintf(stderr, "limits: %s\n", rc == SHUNT_EINVAL ? "--cpus: this process may not run there"
				      : shunt_strerror(rc));
			return rc == SHUNT_EINVAL ? 2 : 1;
		}
		if (a.json)
			print_json(&l, i + 1 == a.repeat);
		else
			print_text(&l);
	}
	if (a.json)
		(void)printf("  ]}\n");
	return fflush(stdout) == 0 ? 0 : 1;
}
