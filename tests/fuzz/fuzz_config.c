/*
 * tests/fuzz/fuzz_config.c - any bytes as a configuration: as a file, and line by line as flags and as variables.
 * Invariants: no crash, no leak; the return value and the list of problems agree; a problem is one line; what passes
 * the check becomes options structs, and every effective value, set again by its printed text, is the same value.
 * sources: runtime/config/ runtime/base/options.c
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz.h"

#include "config/apply.h"

static int on_key(void *arg, const char *key, const char *value, const char *origin, const char *help)
{
	size_t *sum = arg;

	*sum += strlen(key) + strlen(value) + strlen(origin) + strlen(help);
	return 0;
}

/* Each line "source: message", without control characters. */
static void check_lines(const char *errors)
{
	const char *s = errors;

	REQUIRE(!*s || s[strlen(s) - 1] == '\n');
	while (*s) {
		size_t len = strcspn(s, "\n");

		REQUIRE(len > 4 && (memchr(s, ':', len) || strncmp(s, "and ", 4) == 0));
		for (size_t i = 0; i < len; i++)
			REQUIRE((unsigned char)s[i] >= 0x20 && s[i] != 0x7f);
		s += len + 1;
	}
}

static int load_lines(struct shunt_config *c, const uint8_t *data, size_t size)
{
	const char *env[65];
	char *text = fuzz_text(data, size);
	char *save = NULL;
	char *line = NULL;
	size_t n = 0;
	int bad = 0;

	for (line = strtok_r(text, "\n", &save); line && n < 64; line = strtok_r(NULL, "\n", &save)) {
		bad |= shunt_config_set(c, "--set", line) != 0;
		env[n++] = line;
	}
	env[n] = NULL;
	bad |= shunt_config_load_env(c, env) != 0;
	free(text);
	return bad;
}

static void produce(struct shunt_config *c)
{
	struct shunt_runtime_opts r;
	uint32_t i;

	sh_config_runtime_opts(c, &r);
	REQUIRE(r.levels >= 1 && r.levels <= SHUNT_LEVELS_MAX && r.jobs_max >= 64);
	for (i = 0; i < sh_config_used_count(c, SH_POOLS); i++) {
		struct shunt_pool_opts p;

		sh_config_pool_opts(c, i, &p);
		REQUIRE(p.workers <= SHUNT_WORKERS_MAX && p.pin <= SHUNT_PIN_EXPLICIT);
		REQUIRE(p.idle && p.level_mode && p.strategy && p.on_full);
	}
	for (i = 0; i < sh_config_used_count(c, SH_TYPES); i++) {
		struct shunt_type_opts t;
		const char *handler = NULL;
		uint32_t pool = 0;

		sh_config_type_opts(c, i, &t, &pool, &handler);
		REQUIRE(pool < sh_config_used_count(c, SH_POOLS) && t.level >= 1 && t.level <= r.levels && handler[0]);
	}
}

/* Sets the printed value in the other configuration; only what a default describes in words may be no value. */
static int set_again(void *arg, const char *key, const char *value, const char *origin, const char *help)
{
	size_t len = strlen(key) + strlen(value) + 2;
	char *assignment = malloc(len);

	(void)help;
	REQUIRE(assignment);
	(void)snprintf(assignment, len, "%s=%s", key, value);
	REQUIRE(shunt_config_set(arg, "again", assignment) == 0 || strcmp(origin, "default") == 0);
	free(assignment);
	return 0;
}

static int write_down(void *arg, const char *key, const char *value, const char *origin, const char *help)
{
	(void)origin;
	(void)help;
	return fprintf(arg, "%s=%s\n", key, value) < 0;
}

static char *written(const struct shunt_config *c)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	REQUIRE(f && shunt_config_visit(c, write_down, f) == 0 && fclose(f) == 0);
	return text;
}

static void check_again(const struct shunt_config *c)
{
	struct shunt_config *again = NULL;
	char *first = written(c);
	char *second;

	REQUIRE(shunt_config_create(&again) == 0);
	REQUIRE(shunt_config_visit(c, set_again, again) == 0);
	second = written(again);
	if (strcmp(first, second) != 0)
		(void)fprintf(stderr, "first:\n%ssecond:\n%s", first, second);
	REQUIRE(strcmp(first, second) == 0);
	free(second);
	free(first);
	shunt_config_destroy(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shunt_config *c = NULL;
	size_t sum = 0;
	int bad = 0;

	REQUIRE(shunt_config_create(&c) == 0);
	/* The first byte chooses: '=' lines of assignments, else a file. */
	if (size > 0 && data[0] == '=')
		bad = load_lines(c, data + 1, size - 1);
	else
		bad = shunt_config_load_text(c, "f", (const char *)data, size) != 0;
	REQUIRE(bad == (shunt_config_errors(c)[0] != '\0'));
	bad |= shunt_config_check(c) != 0;
	REQUIRE(bad == (shunt_config_errors(c)[0] != '\0'));
	check_lines(shunt_config_errors(c));
	REQUIRE(shunt_config_visit(c, on_key, &sum) == 0 && sum > 0);
	if (!bad) {
		produce(c);
		check_again(c);
	}
	shunt_config_destroy(c);
	return 0;
}
