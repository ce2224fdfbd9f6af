/* shunt/load/trace.c - see load/trace.h. SPDX-License-Identifier: MIT */
#include "load/trace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "load/dist.h"

#define ARRIVAL_MAX_NS (UINT64_C(1) << 62)
#define SHOWN_MAX 60 /* characters of a line in a message */

struct reader {
	struct load_trace *trace;
	const char *path;
	size_t line;
	size_t capacity;
};

static bool bad_line(const struct reader *r, const char *text)
{
	cli_error("--trace: %s:%zu: '%.*s': want arrival_ns,service_ns[,level], such as 12500,800,high; at most 60s of "
		  "service",
		  r->path, r->line, SHOWN_MAX, text);
	return false;
}

/* Reads the digits at *p and the separator after them; sets *last at the end of the line. */
static bool read_number(const char **p, uint64_t max, uint64_t *out, bool *last)
{
	const char *s = *p;
	uint64_t v = 0;

	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		v = v * 10 + (uint64_t)(*s - '0');
		if (v > max)
			return false;
	}
	*last = *s == '\0';
	if (!*last && *s != ',' && *s != ' ' && *s != '\t')
		return false;
	s += strspn(s, " \t");
	s += *s == ',';
	s += strspn(s, " \t");
	*p = s;
	*out = v;
	return true;
}

/* Index of a level's name, added if it is new; LOAD_TRACE_NO_LEVEL on failure. */
static uint32_t level_index(const struct reader *r, const char *text)
{
	struct load_trace *t = r->trace;
	size_t n = strlen(text);

	if (n >= SHUNT_NAME_MAX || strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-") < n)
		return LOAD_TRACE_NO_LEVEL;
	for (uint32_t i = 0; i < t->names; i++)
		if (strcmp(t->name[i].text, text) == 0)
			return i;
	if (t->names == SHUNT_LEVELS_MAX)
		return LOAD_TRACE_NO_LEVEL;
	(void)memcpy(t->name[t->names].text, text, n + 1);
	t->name[t->names].line = r->line;
	return t->names++;
}

static bool add_job(struct reader *r, const struct load_trace_job *job)
{
	struct load_trace *t = r->trace;

	if (t->jobs == r->capacity) {
		size_t more = r->capacity ? r->capacity * 2 : 4096;
		struct load_trace_job *p = realloc(t->job, more * sizeof(*p));

		if (!p) {
			cli_error("--trace: '%s': out of memory", r->path);
			return false;
		}
		t->job = p;
		r->capacity = more;
	}
	t->job[t->jobs++] = *job;
	return true;
}

static bool read_line(struct reader *r, char *line)
{
	struct load_trace_job job = { 0, 0, LOAD_TRACE_NO_LEVEL };
	size_t n = strcspn(line, "\r\n");
	const char *p = line;
	bool last = false;

	while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
		n--;
	line[n] = '\0';
	p += strspn(p, " \t");
	if (*p == '\0' || *p == '#' || (r->trace->jobs == 0 && strncmp(p, "arrival_ns", 10) == 0))
		return true;
	if (!read_number(&p, ARRIVAL_MAX_NS, &job.arrival_ns, &last) || last)
		return bad_line(r, line);
	if (!read_number(&p, (uint64_t)LOAD_SERVICE_MAX_NS, &job.service_ns, &last))
		return bad_line(r, line);
	if (*p) {
		job.level = level_index(r, p);
		if (job.level == LOAD_TRACE_NO_LEVEL)
			return bad_line(r, line);
	}
	return add_job(r, &job);
}

static int by_arrival(const void *a, const void *b)
{
	uint64_t x = ((const struct load_trace_job *)a)->arrival_ns;
	uint64_t y = ((const struct load_trace_job *)b)->arrival_ns;

	return x < y ? -1 : x > y;
}

/* Sorts the jobs and computes length and mean. False after a message. */
static bool finish(const struct reader *r)
{
	struct load_trace *t = r->trace;
	uint64_t first;
	double sum = 0;

	if (t->jobs == 0) {
		cli_error("--trace: '%s': no jobs in it", r->path);
		return false;
	}
	qsort(t->job, t->jobs, sizeof(*t->job), by_arrival);
	first = t->job[0].arrival_ns;
	for (size_t i = 0; i < t->jobs; i++) {
		t->job[i].arrival_ns -= first;
		sum += (double)t->job[i].service_ns;
	}
	t->mean_ns = sum / (double)t->jobs;
	if (t->job[t->jobs - 1].arrival_ns == 0) {
		cli_error("--trace: '%s': all jobs come at one instant; want at least two different arrivals", r->path);
		return false;
	}
	t->period_ns = t->job[t->jobs - 1].arrival_ns / (t->jobs - 1) + t->job[t->jobs - 1].arrival_ns;
	if (t->mean_ns >= 1.0)
		return true;
	cli_error("--trace: '%s': the mean service time must be at least 1ns", r->path);
	return false;
}

bool load_trace_read(const char *path, struct load_trace *out)
{
	struct reader r = { out, path, 0, 0 };
	char why[SH_FILE_WHY_MAX];
	FILE *f = sh_file_open(path, LOAD_FILE_BYTES_MAX, why);
	char line[256];
	bool good = true;

	load_trace_fini(out);
	if (!f) {
		cli_error("--trace: '%s': %s", path, why);
		return false;
	}
	errno = 0;
	while (good && fgets(line, sizeof(line), f)) { /* bound: LOAD_FILE_MAX */
		r.line++;
		if (r.line > LOAD_FILE_MAX) {
			cli_error("--trace: '%s': want at most %u lines", path, LOAD_FILE_MAX);
			good = false;
		} else if (!strchr(line, '\n') && !feof(f))
			good = bad_line(&r, line);
		else
			good = read_line(&r, line);
	}
	if (good && ferror(f)) {
		cli_error("--trace: '%s': %s", path, strerror(errno));
		good = false;
	}
	(void)fclose(f);
	good = good && finish(&r);
	if (!good)
		load_trace_fini(out);
	return good;
}

void load_trace_fini(struct load_trace *t)
{
	free(t->job);
	(void)memset(t, 0, sizeof(*t));
}

double load_trace_rate(const struct load_trace *t)
{
	return (double)t->jobs * 1e9 / (double)t->period_ns;
}
