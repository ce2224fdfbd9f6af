/* shunt/common/setup.c - see setup.h. SPDX-License-Identifier: MIT */
#include "common/setup.h"

#include <stdlib.h>
#include <string.h>

#include <shunt/config.h>
#include <shunt/error.h>

#include "common/cli.h"

int setup_flag(struct setup_flags *flags, int option, const char *value)
{
	switch (option) {
	case SETUP_CONFIG:
		flags->config = value;
		return 1;
	case SETUP_WORKERS:
		flags->workers = value;
		return 1;
	case SETUP_PLACE:
		flags->place = value;
		return 1;
	case SETUP_PIN:
		flags->pin = value;
		return 1;
	case SETUP_IDLE:
		flags->idle = value;
		return 1;
	case SETUP_STRATEGY:
		flags->strategy = value;
		return 1;
	case SETUP_JOBS_MAX:
		flags->jobs_max = value;
		return 1;
	case SETUP_POOL:
		flags->pool = value;
		return 1;
	case SETUP_JSON:
		flags->json_path = value;
		return 1;
	case SETUP_HIST:
		flags->hist_path = value;
		return 1;
	case CLI_SET:
		if (flags->sets_count < SETUP_SETS_MAX)
			flags->sets[flags->sets_count] = value;
		flags->sets_count++;
		return 1;
	case SETUP_QUIET:
		flags->quiet = true;
		return 1;
	case SETUP_NO_PROGRESS:
		flags->no_progress = true;
		return 1;
	default:
		return 0;
	}
}

/* Prints every problem of the configuration. Returns the exit code. */
static int config_failed(const struct shunt_config *c, int rc)
{
	const char *line = shunt_config_errors(c);

	if (line[0] == '\0' && rc != SHUNT_ENOENT) /* already reported */
		cli_error("%s", shunt_strerror(rc));
	while (line[0] != '\0') {
		size_t n = strcspn(line, "\n");

		cli_error("%.*s", (int)n, line);
		line += n + (line[n] == '\n');
	}
	return rc == SHUNT_ENOMEM || rc == SHUNT_ESYS || rc == SHUNT_EPERM ? CLI_FAILED : CLI_USAGE;
}

/* "high, normal,low" into s. The checks of the configuration exclude what does not fit. */
static void split_levels(struct setup *s, const char *list)
{
	static const char separators[] = "[], ";

	s->levels = 0;
	for (list += strspn(list, separators); *list; list += strspn(list, separators)) {
		size_t n = strcspn(list, separators);

		if (s->levels == SHUNT_LEVELS_MAX || n >= SHUNT_NAME_MAX)
			return;
		(void)memcpy(s->level_name[s->levels], list, n);
		s->level_name[s->levels++][n] = '\0';
		list += n;
	}
}

struct look {
	struct setup *setup;
	const char *pool; /* the requested one, or NULL */
	bool found;       /* it exists */
	char pools[256];  /* all of them, for a message */
};

static void look_at_pool(struct look *l, const char *name, size_t n)
{
	size_t used = strlen(l->pools);
	bool wanted = l->pool && strlen(l->pool) == n && strncmp(l->pool, name, n) == 0;

	if (n >= SHUNT_NAME_MAX)
		return;
	if (wanted ? !l->found : l->setup->pool[0] == '\0')
		(void)snprintf(l->setup->pool, sizeof(l->setup->pool), "%.*s", (int)n, name);
	l->found = l->found || wanted;
	if (used >= n && strncmp(l->pools + used - n, name, n) == 0)
		return; /* another key of the same pool */
	(void)snprintf(l->pools + used, sizeof(l->pools) - used, "%s%.*s", used ? ", " : "", (int)n, name);
}

/* A visitor: finds the levels, the pools, and how the chosen pool is pinned. */
static int look(void *arg, const char *key, const char *value, const char *origin, const char *help)
{
	struct look *l = arg;

	(void)origin;
	(void)help;
	if (strcmp(key, "runtime.levels") == 0)
		split_levels(l->setup, value);
	if (strncmp(key, "pools.", 6) == 0) {
		size_t n = strcspn(key + 6, ".");
		struct setup *s = l->setup;

		look_at_pool(l, key + 6, n);
		if (strcmp(key + 6 + n, ".pin") == 0 && strlen(s->pool) == n && memcmp(key + 6, s->pool, n) == 0)
			(void)snprintf(s->pin, sizeof(s->pin), "%s", value);
	}
	return 0;
}

/* Sets one key; the keys of --set may not repeat it. `text` is KEY=VALUE. */
static int set_one(struct shunt_config *c, const struct setup_flags *f, const char *origin, const char *text)
{
	if (cli_set_repeated(origin, text, f->sets, f->sets_count))
		return SHUNT_ENOENT; /* reported, as config_failed understands it */
	return shunt_config_set(c, origin, text);
}

static int set_sets(struct shunt_config *c, const struct setup_flags *f)
{
	int result = 0;

	if (f->sets_count > SETUP_SETS_MAX) {
		cli_error("--set: want at most %u of them", SETUP_SETS_MAX);
		return SHUNT_ENOENT;
	}
	for (size_t i = 0; i < f->sets_count; i++) {
		int rc = cli_set_repeated("--set", f->sets[i], f->sets, i) ? SHUNT_ENOENT
									   : shunt_config_set(c, "--set", f->sets[i]);

		result = result ? result : rc;
	}
	return result;
}

static int set_flags(struct shunt_config *c, const struct setup *s, const struct setup_flags *f)
{
	const struct {
		const char *origin, *field, *value;
	} pool[] = { { "--workers", "workers", f->workers },
		     { "--place", "place", f->place },
		     { "--pin", "pin", f->pin },
		     { "--idle", "idle", f->idle },
		     { "--strategy", "strategy", f->strategy } };
	char text[1024];
	int result = set_sets(c, f);

	if (f->sets_count > SETUP_SETS_MAX)
		return result;
	for (size_t i = 0; i < SH_COUNT(pool); i++) {
		int rc;

		if (!pool[i].value)
			continue;
		(void)snprintf(text, sizeof(text), "pools.%s.%s=%s", s->pool, pool[i].field, pool[i].value);
		rc = set_one(c, f, pool[i].origin, text);
		result = result ? result : rc;
	}
	if (f->jobs_max) {
		int rc;

		(void)snprintf(text, sizeof(text), "runtime.jobs_max=%s", f->jobs_max);
		rc = set_one(c, f, "--jobs-max", text);
		result = result ? result : rc;
	}
	return result;
}

static int load(struct shunt_config *c, struct setup *s, const struct setup_flags *flags, const char *builtin)
{
	struct look l = { s, flags->pool, false, "" };
	int rc;
	int other;

	if (flags->config)
		rc = shunt_config_load_file(c, flags->config);
	else
		rc = shunt_config_load_text(c, "built-in", builtin, strlen(builtin));
	if (rc != 0)
		return rc;
	rc = shunt_config_load_env(c, NULL);
	(void)shunt_config_visit(c, look, &l);
	if (flags->pool && !l.found) {
		cli_error("--pool: '%s': no such pool; available: %s", flags->pool, l.pools[0] ? l.pools : "none");
		return rc ? rc : SHUNT_ENOENT;
	}
	if (s->pool[0] == '\0') { /* a file without pools */
		(void)snprintf(s->pool, sizeof(s->pool), "main");
		other = shunt_config_set(c, "built-in", "pools.main.on_full=error");
		rc = rc ? rc : other;
	}
	other = set_flags(c, s, flags);
	rc = rc ? rc : other;
	other = shunt_config_check(c);
	return rc ? rc : other;
}

/* Adds the types that the file does not mention. */
static int add_types(struct setup *s, const struct setup_type *types, size_t n)
{
	struct shunt_pool_id pool = { 0 };

	for (size_t i = 0; i < n; i++) {
		struct shunt_type_opts opts = SHUNT_TYPE_OPTS_INIT;
		int rc = shunt_type_find(s->rt, types[i].name, &s->type[i]);

		if (rc == 0)
			continue;
		rc = shunt_pool_find(s->rt, s->pool, &pool);
		if (rc != 0)
			return rc;
		opts.name = types[i].name;
		opts.pool = pool;
		opts.handler = types[i].handler;
		opts.expected_ns = types[i].expected_ns;
		opts.level = SHUNT_LEVEL(types[i].rank * (s->levels - 1) / 2);
		rc = shunt_type_create(s->rt, &opts, &s->type[i]);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static void log_nothing(void *unused, enum shunt_log_level level, const char *text)
{
	(void)unused;
	(void)level;
	(void)text;
}

/* What refuses the start is in the error of the call, and said once. */
static void log_started(void *setup, enum shunt_log_level level, const char *text)
{
	const struct setup *s = setup;

	if (level != SHUNT_LOG_ERROR || sh_a32_load_rlx(&s->started) != 0) /* mo rlx: which lines are shown. */
		cli_log(NULL, level, text);
}

int setup_create(struct setup *s, const struct setup_flags *flags, const char *builtin, const struct setup_type *types,
		 size_t n_types)
{
	struct shunt_config *c = NULL;
	int rc = shunt_config_create(&c);
	int code = CLI_FAILED;

	assert(n_types <= SETUP_TYPES_MAX);
	(void)memset(s, 0, sizeof(*s));
	if (rc != 0) {
		cli_error("%s", shunt_strerror(rc));
		return CLI_FAILED;
	}
	rc = load(c, s, flags, builtin);
	for (size_t i = 0; rc == 0 && i < n_types; i++)
		rc = shunt_config_bind(c, types[i].name, types[i].handler);
	if (rc == 0)
		rc = shunt_config_runtime(c, flags->no_log ? log_nothing : log_started, s, &s->rt);
	if (rc != 0) {
		code = config_failed(c, rc);
		goto out;
	}
	sh_a32_store_rlx(&s->started, 1); /* mo rlx: as above. */
	rc = s->levels ? add_types(s, types, n_types) : SHUNT_ECONFIG;
	if (rc != 0) {
		cli_error("job types: %s: %s", shunt_strerror(rc), shunt_error_detail());
		setup_destroy(s);
		goto out;
	}
	code = CLI_OK;
out:
	shunt_config_destroy(c);
	return code;
}

void setup_destroy(struct setup *s)
{
	if (s->rt)
		(void)shunt_runtime_destroy(s->rt, NULL);
	s->rt = NULL;
}

int setup_json_open(struct setup_flags *flags, FILE **out)
{
	*out = NULL;
	if (!flags->json_path)
		return CLI_OK;
	*out = cli_output_open("--json", flags->json_path);
	flags->quiet = flags->quiet || *out == stdout;
	return *out ? CLI_OK : CLI_FAILED;
}
