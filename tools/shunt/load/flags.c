/* shunt/load/flags.c - see load/flags.h. SPDX-License-Identifier: MIT */
#include "load/flags.h"

#include <string.h>
#include <time.h>

#include "common/cli.h"

static bool level_name_good(const char *s, size_t n)
{
	return n > 0 && n < SHUNT_NAME_MAX && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") >= n;
}

/* Parses one "name=share" at *p and moves *p behind it; CLI_FAILED = it is none. */
static int take_level(struct load_flags *f, const char *text, const char **p)
{
	struct load_share *s = &f->level[f->levels];
	size_t n = strcspn(*p, "=,");
	const char *value = *p + n + 1;
	char share[32];
	size_t m;

	if (f->levels == SHUNT_LEVELS_MAX || (*p)[n] != '=' || !level_name_good(*p, n))
		return CLI_FAILED;
	(void)memcpy(s->name, *p, n);
	s->name[n] = '\0';
	m = strcspn(value, ",");
	if (m == 0 || m >= sizeof(share))
		return CLI_FAILED;
	(void)memcpy(share, value, m);
	share[m] = '\0';
	if (!cli_parse_share("--levels", share, 0.0, 1.0, &s->share))
		return CLI_USAGE;
	for (uint32_t i = 0; i < f->levels; i++)
		if (strcmp(f->level[i].name, s->name) == 0) {
			cli_error("--levels: '%s': '%s' is there twice", text, s->name);
			return CLI_USAGE;
		}
	f->levels++;
	*p = value + m;
	return CLI_GO_ON;
}

/* "high=10%,low=90%": names and shares that add up to 1. */
static int take_levels(struct load_flags *f, const char *text)
{
	const char *p = text;
	double sum = 0;
	int code;

	f->levels = 0;
	for (;;) { /* bound: SHUNT_LEVELS_MAX */
		code = take_level(f, text, &p);
		if (code != CLI_GO_ON)
			break;
		sum += f->level[f->levels - 1].share;
		if (*p == '\0')
			break;
		p++;
	}
	if (code == CLI_GO_ON && (sum <= 0.99 || sum >= 1.01)) {
		cli_error("--levels: '%s': the shares add up to %g%%; want 100%%", text, sum * 100);
		return CLI_USAGE;
	}
	if (code == CLI_FAILED) {
		cli_error("--levels: '%s': want up to %u of name=share, such as high=10%%,low=90%%", text,
			  SHUNT_LEVELS_MAX);
		return CLI_USAGE;
	}
	return code;
}

static int good(bool parsed)
{
	return parsed ? CLI_GO_ON : CLI_USAGE;
}

static int take_rate(struct load_flags *f)
{
	uint64_t v = 0;

	if (!cli_parse_count("--rate", optarg, 1, 1000000000, &v))
		return CLI_USAGE;
	f->rate_per_s = (double)v;
	return CLI_GO_ON;
}

int load_flags_take(struct load_flags *f, int option)
{
	switch (option) {
	case LOAD_OPT_RATE:
		return take_rate(f);
	case LOAD_OPT_UTILISATION:
		return good(cli_parse_share("--utilisation", optarg, 0.0001, 100.0, &f->utilisation));
	case LOAD_OPT_ARRIVALS:
		f->arrivals_text = optarg;
		return good(load_arrivals_parse(optarg, &f->arrivals));
	case LOAD_OPT_SERVICE:
		f->service_text = optarg;
		return good(load_service_parse(optarg, &f->service));
	case LOAD_OPT_TRACE:
		f->trace_path = optarg;
		return CLI_GO_ON;
	case LOAD_OPT_LEVELS:
		return take_levels(f, optarg);
	case LOAD_OPT_WARMUP:
		f->warmup_given = true;
		return good(cli_parse_duration("--warmup", optarg, 0, UINT64_C(3600000000000), &f->warmup_ns));
	case LOAD_OPT_SUBMITTERS:
		return good(cli_parse_count32("--submitters", optarg, 1, LOAD_SUBMITTERS_MAX, &f->submitters));
	case LOAD_OPT_SEED:
		return good(cli_parse_count("--seed", optarg, 0, UINT64_C(1) << 53, &f->seed));
	default:
		return CLI_USAGE;
	}
}

int load_flags_init(struct load_flags *f)
{
	struct timespec ts = { 0, 0 };

	(void)memset(f, 0, sizeof(*f));
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	f->seed = ((uint64_t)ts.tv_sec * 1000003u + (uint64_t)ts.tv_nsec) & 0xffffffffu;
	f->submitters = 1;
	f->warmup_ns = 500000000;
	if (!load_service_parse("exp:10us", &f->service) || !load_arrivals_parse("poisson", &f->arrivals))
		return CLI_FAILED;
	return take_levels(f, "high=10%,normal=60%,low=30%");
}

int load_flags_finish(struct load_flags *f, double utilisation)
{
	if (f->rate_per_s > 0 && f->utilisation > 0) {
		cli_error("--rate and --utilisation: want one of them");
		return CLI_USAGE;
	}
	if (f->trace_path && (f->arrivals_text || f->service_text)) {
		cli_error("--trace and --%s: want one of them; the trace has arrivals and service times",
			  f->arrivals_text ? "arrivals" : "service");
		return CLI_USAGE;
	}
	if (f->trace_path && !load_trace_read(f->trace_path, &f->trace))
		return CLI_USAGE;
	if (f->rate_per_s <= 0 && f->utilisation <= 0 && !f->trace_path)
		f->utilisation = utilisation;
	return CLI_GO_ON;
}

void load_flags_fini(struct load_flags *f)
{
	load_service_fini(&f->service);
	load_trace_fini(&f->trace);
}
