/* shunt/load/dist.c - see load/dist.h. SPDX-License-Identifier: MIT */
#include "load/dist.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "load/hlog.h"

/* Uniform in (0, 1]. */
static double uniform(struct sh_rng *rng)
{
	return ((double)(sh_rng_next(rng) >> 11) + 1.0) * 0x1.0p-53;
}

static double exponential(struct sh_rng *rng, double mean)
{
	return -log(uniform(rng)) * mean;
}

static bool bad_service(const char *text)
{
	cli_error("--service: '%s': want fixed:5us, exp:10us, bimodal:1us,100us,0.5%%, file:PATH or hlog:PATH", text);
	return false;
}

/* One duration out of `text`, which is copied up to `len`. */
static bool part(const char *text, size_t len, double *out_ns)
{
	char word[32];

	if (len == 0 || len >= sizeof(word))
		return false;
	(void)memcpy(word, text, len);
	word[len] = '\0';
	return cli_duration_value(word, out_ns) && *out_ns <= LOAD_SERVICE_MAX_NS;
}

static bool parse_bimodal(const char *text, const char *rest, struct load_service *s)
{
	size_t n = strcspn(rest, ",");
	size_t m;

	if (rest[n] != ',' || !part(rest, n, &s->a_ns))
		return bad_service(text);
	rest += n + 1;
	m = strcspn(rest, ",");
	if (rest[m] != ',' || !part(rest, m, &s->b_ns))
		return bad_service(text);
	if (!cli_parse_share("--service", rest + m + 1, 0.0, 1.0, &s->share_b))
		return false;
	s->kind = LOAD_BIMODAL;
	s->mean_ns = s->a_ns * (1.0 - s->share_b) + s->b_ns * s->share_b;
	return true;
}

static bool add_value(struct load_service *s, size_t *capacity, double v)
{
	if (s->values == *capacity) {
		size_t more = *capacity ? *capacity * 2 : 1024;
		double *p = realloc(s->value_ns, more * sizeof(*p));

		if (!p)
			return false;
		s->value_ns = p;
		*capacity = more;
	}
	s->value_ns[s->values++] = v;
	s->mean_ns += v;
	return true;
}

/* Reads one duration per line ("12us", or bare nanoseconds). Skips empty lines and those with #. */
static bool read_file(const char *path, struct load_service *s)
{
	char why[SH_FILE_WHY_MAX];
	FILE *f = sh_file_open(path, LOAD_FILE_BYTES_MAX, why);
	char line[128];
	size_t capacity = 0;
	size_t number = 0;
	bool good = false;

	if (!f) {
		cli_error("--service: '%s': %s", path, why);
		return false;
	}
	while (fgets(line, sizeof(line), f)) { /* bound: LOAD_FILE_MAX */
		char *word = line + strspn(line, " \t");
		char *end = NULL;
		double v;

		if (++number > LOAD_FILE_MAX) {
			cli_error("--service: '%s': want at most %u lines", path, LOAD_FILE_MAX);
			goto out;
		}
		word[strcspn(word, " \t\r\n#")] = '\0';
		if (word[0] == '\0')
			continue;
		v = strtod(word, &end);
		if ((*end != '\0' || end == word || !(v >= 0)) && !cli_duration_value(word, &v))
			v = -1;
		if (!(v >= 0 && v <= LOAD_SERVICE_MAX_NS)) {
			cli_error("--service: %s:%zu: '%s': want one duration a line, such as 12us, at most 60s", path, number,
				  word);
			goto out;
		}
		if (!add_value(s, &capacity, v)) {
			cli_error("--service: '%s': out of memory", path);
			goto out;
		}
	}
	if (ferror(f))
		cli_error("--service: '%s': %s", path, strerror(errno));
	else if (s->values == 0)
		cli_error("--service: '%s': no durations in it", path);
	else
		good = true;
out:
	(void)fclose(f);
	if (good)
		s->mean_ns /= (double)s->values;
	else
		load_service_fini(s);
	return good;
}

bool load_service_parse(const char *text, struct load_service *out)
{
	load_service_fini(out);
	(void)memset(out, 0, sizeof(*out));
	if (strncmp(text, "bimodal:", 8) == 0) {
		if (!parse_bimodal(text, text + 8, out))
			return false;
	} else if (strncmp(text, "file:", 5) == 0) {
		out->kind = LOAD_FILE;
		if (!read_file(text + 5, out))
			return false;
	} else if (strncmp(text, "hlog:", 5) == 0) {
		out->kind = LOAD_HLOG;
		if (!load_hlog_read(text + 5, out))
			return false;
	} else {
		size_t skip = strncmp(text, "fixed:", 6) == 0 ? 6 : strncmp(text, "exp:", 4) == 0 ? 4 : 0;

		if (skip == 0 || !part(text + skip, strlen(text + skip), &out->a_ns))
			return bad_service(text);
		out->kind = skip == 6 ? LOAD_FIXED : LOAD_EXP;
		out->mean_ns = out->a_ns;
	}
	if (out->mean_ns >= 1.0)
		return true;
	cli_error("--service: '%s': the mean must be at least 1ns", text);
	load_service_fini(out);
	return false;
}

void load_service_fini(struct load_service *s)
{
	free(s->value_ns);
	free(s->up_to);
	s->value_ns = NULL;
	s->up_to = NULL;
	s->values = 0;
}

/* A random value of a log, weighted by how often each occurred. */
static double draw_counted(const struct load_service *s, struct sh_rng *rng)
{
	uint64_t nth = (uint64_t)(uniform(rng) * (double)s->up_to[s->values - 1]);
	size_t low = 0, high = s->values - 1;

	while (low < high) { /* bound: log2 of the values */
		size_t middle = low + (high - low) / 2;

		if (s->up_to[middle] < nth)
			low = middle + 1;
		else
			high = middle;
	}
	return s->value_ns[low];
}

uint64_t load_service_draw(const struct load_service *s, struct sh_rng *rng)
{
	double v = s->a_ns;

	switch (s->kind) {
	case LOAD_FIXED:
		break;
	case LOAD_EXP:
		v = exponential(rng, s->a_ns);
		break;
	case LOAD_BIMODAL:
		v = uniform(rng) <= s->share_b ? s->b_ns : s->a_ns;
		break;
	case LOAD_FILE:
		v = s->value_ns[sh_rng_below(rng, (uint32_t)s->values)];
		break;
	case LOAD_HLOG:
		v = draw_counted(s, rng);
		break;
	}
	return (uint64_t)(v < LOAD_SERVICE_MAX_NS ? v : LOAD_SERVICE_MAX_NS);
}

bool load_arrivals_parse(const char *text, struct load_arrivals *out)
{
	uint64_t n = 0;

	out->burst = 1;
	if (strcmp(text, "poisson") == 0) {
		out->kind = LOAD_POISSON;
		return true;
	}
	if (strcmp(text, "constant") == 0) {
		out->kind = LOAD_CONSTANT;
		return true;
	}
	if (strncmp(text, "burst:", 6) != 0) {
		cli_error("--arrivals: '%s': want poisson, constant or burst:N", text);
		return false;
	}
	if (!cli_parse_count("--arrivals: burst", text + 6, 1, 1000000, &n))
		return false;
	out->kind = LOAD_BURST;
	out->burst = (uint32_t)n;
	return true;
}

double load_arrivals_draw(const struct load_arrivals *a, double rate_per_s, struct sh_rng *rng)
{
	double mean = 1e9 / rate_per_s * (double)a->burst;

	return a->kind == LOAD_CONSTANT ? mean : exponential(rng, mean);
}
