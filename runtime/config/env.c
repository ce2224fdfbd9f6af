/*
 * config/env.c - environment variables and flags into settings: shunt_config_load_env and
 * shunt_config_set of shunt/config.h.
 *
 * SHUNT_<PATH> sets the key of that path: capitals for letters, '_' for '.' and '-'. A variable
 * that begins with SHUNT_ and names no key is a problem, so that a typing error is not ignored. What
 * Kubernetes puts into every pod for a service whose name begins with "shunt" is passed over, and the
 * log of the runtime says so. The table of options also has a few variables that other programs use
 * (WORKER_CONCURRENCY, WORKER_PRIORITIES, LOG_LEVEL). An empty variable counts as not set.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/inject.h"
#include "base/mem.h"
#include "config/config.h"

#define PREFIX "SHUNT_"
#define CONCURRENCY_MAX 1000u

/* Variables with the same prefix that control the test suite. Ignored here. */
static const char *const not_ours[] = { "SHUNT_SEED", "SHUNT_LONG", "SHUNT_SANITIZE" };

/* The key that a variable name means. */
struct target {
	const struct sh_key *key;
	struct sh_named *item;        /* NULL: does not exist yet */
	char name[SHUNT_NAME_MAX];   /* of the item */
	char level[SHUNT_NAME_MAX];  /* of a key per level, else "" */
};

/* "level_mode" -> "LEVEL_MODE" */
static void upper(char *buf, size_t size, const char *s)
{
	size_t i;

	for (i = 0; s[i] && i + 1 < size; i++)
		buf[i] = s[i] == '-' ? '_' : (char)toupper((unsigned char)s[i]);
	buf[i] = '\0';
}

/* Copies `len` bytes in lower case. False if the result is no name. */
static bool lower(char out[SHUNT_NAME_MAX], const char *s, size_t len)
{
	size_t i;

	if (len == 0 || len >= SHUNT_NAME_MAX)
		return false;
	for (i = 0; i < len; i++)
		out[i] = (char)tolower((unsigned char)s[i]);
	out[len] = '\0';
	return sh_value_name(out) == NULL;
}

/* The existing item that a name may mean ("pool_a": pool-a). *matches = how many there are. */
static struct sh_named *item_folded(const struct shunt_config *c, enum sh_section section, const char *name, unsigned *matches)
{
	struct sh_named *found = NULL;
	uint32_t i;

	*matches = 0;
	for (i = 0; i < c->items[section].count; i++) {
		if (!sh_config_same_folded(c->items[section].item[i]->name, name))
			continue;
		if (!found || sh_config_declared(c->items[section].item[i]))
			found = c->items[section].item[i];
		*matches += sh_config_declared(c->items[section].item[i]);
	}
	return found;
}

static void level_folded(const struct shunt_config *c, uint32_t levels, char level[SHUNT_NAME_MAX])
{
	uint32_t i;

	for (i = 0; i < levels; i++) {
		if (sh_config_same_folded(c->level_names[i], level)) {
			memcpy(level, c->level_names[i], strlen(c->level_names[i]) + 1);
			return;
		}
	}
}

/* Splits "IO_WEIGHTS_HIGH" for one key: the name before the key and the level behind it. */
static bool split(const struct shunt_config *c, uint32_t levels, const struct sh_key *key, const char *rest,
		  struct target *t)
{
	char field[64];
	const char *at = rest;
	size_t n = 0;

	field[0] = '_';
	upper(field + 1, sizeof(field) - 1, key->field);
	n = strlen(field);
	memset(t, 0, sizeof(*t));
	t->key = key;
	if (!key->per_level) {
		size_t len = strlen(rest);

		return len > n && strcmp(rest + len - n, field) == 0 && lower(t->name, rest, len - n);
	}
	for (at = strstr(rest, field); at; at = strstr(at + 1, field)) {
		if (at[n] == '_' && lower(t->name, rest, (size_t)(at - rest)) && lower(t->level, at + n + 1, strlen(at + n + 1))) {
			level_folded(c, levels, t->level);
			return true;
		}
	}
	return false;
}

/* Finds the key of "POOLS_IO_WORKERS". Existing items win over new ones, then longer keys. */
static bool target_find(struct shunt_config *c, uint32_t levels, const char *path, struct target *best, unsigned *matches)
{
	size_t best_len = 0;
	size_t i;

	memset(best, 0, sizeof(*best));
	*matches = 0;
	for (i = 0; i < sh_keys_count; i++) {
		const struct sh_key *key = &sh_keys[i];
		char section[32];
		char field[64];
		struct target t;
		unsigned m = 0;
		size_t len = strlen(key->field);

		upper(section, sizeof(section), sh_section_name(key->section));
		upper(field, sizeof(field), key->field);
		if (strncmp(path, section, strlen(section)) != 0 || path[strlen(section)] != '_')
			continue;
		if (!sh_section_named(key->section)) {
			if (strcmp(path + strlen(section) + 1, field) != 0)
				continue;
			*best = (struct target){ .key = key, .item = sh_config_single(c, key->section) };
			return true;
		}
		if (!split(c, levels, key, path + strlen(section) + 1, &t))
			continue;
		t.item = item_folded(c, key->section, t.name, &m);
		if (best->key && ((best->item && !t.item) || (!best->item == !t.item && len <= best_len)))
			continue;
		*best = t;
		*matches = m;
		best_len = len;
	}
	return best->key != NULL;
}

/* Reports an unknown variable, with the nearest one that would be valid. */
static void unknown_variable(struct shunt_config *c, const struct sh_where *where, const char *name)
{
	char best[SH_KEY_PATH_MAX + 16] = "";
	size_t i;

	for (i = 0; i < sh_keys_count; i++) {
		const struct sh_key *key = &sh_keys[i];
		uint32_t n = key->per_level ? 0 : sh_config_used_count(c, key->section);
		uint32_t k;

		for (k = 0; k < n; k++) {
			const struct sh_named *item = sh_config_used_at(c, key->section, k);
			char path[SH_KEY_PATH_MAX];
			char variable[SH_KEY_PATH_MAX + 16];
			const char *both[2] = { best, variable };
			char *p = NULL;

			(void)sh_key_path(path, key, item->name[0] ? item->name : NULL, NULL);
			for (p = path; *p; p++)
				*p = *p == '.' ? '_' : *p;
			(void)snprintf(variable, sizeof(variable), PREFIX);
			upper(variable + strlen(PREFIX), sizeof(variable) - strlen(PREFIX), path);
			if (sh_value_nearest(name, both, 2) == variable)
				memcpy(best, variable, sizeof(best));
		}
	}
	if (best[0])
		sh_config_problem(c, where, NULL, "unknown variable; did you mean %s?", best);
	else
		sh_config_problem(c, where, NULL,
				  "unknown variable; want SHUNT_ and the path of a key, such as SHUNT_RUNTIME_JOBS_MAX");
}

/* Behind a digit string: "80_TCP" -> "_TCP". NULL = there is none. */
static const char *behind_digits(const char *s)
{
	size_t n = strspn(s, "0123456789");

	return n > 0 ? s + n : NULL;
}

/* "_TCP", and what may follow it in the name of a service link. */
static bool link_protocol(const char *s)
{
	static const char *const protocols[] = { "_TCP", "_UDP", "_SCTP" };
	static const char *const fields[] = { "", "_PROTO", "_PORT", "_ADDR" };
	size_t i, k;

	for (i = 0; i < SH_COUNT(protocols); i++)
		for (k = 0; strncmp(s, protocols[i], strlen(protocols[i])) == 0 && k < SH_COUNT(fields); k++)
			if (strcmp(s + strlen(protocols[i]), fields[k]) == 0)
				return true;
	return false;
}

/*
 * Is it a variable that Kubernetes makes of a service (SERVICE_HOST, SERVICE_PORT and _PORT_NAME, PORT=tcp://...,
 * PORT_80_TCP and its fields)? A service called "shunt" puts them into every pod of its namespace.
 */
static bool service_link(const char *name, const char *value)
{
	const char *at = strstr(name, "_SERVICE_PORT");
	const char *last = strstr(name, "_SERVICE_HOST");
	const char *rest;

	if (last && strcmp(last, "_SERVICE_HOST") == 0)
		return true;
	if (at && (at[13] == '\0' || at[13] == '_'))
		return behind_digits(value) && *behind_digits(value) == '\0';
	for (at = strstr(name, "_PORT"); at; at = strstr(at + 1, "_PORT")) {
		if (at[5] == '\0')
			return strstr(value, "://") != NULL;
		rest = at[5] == '_' ? behind_digits(at + 6) : NULL;
		if (rest && link_protocol(rest))
			return true;
	}
	return false;
}

/* Keeps the name for the log of the runtime that is made of c. */
static int note_link(struct shunt_config *c, const char *name)
{
	size_t used = c->links ? strlen(c->links) : 0;
	size_t more = strlen(name) + sizeof(", ");
	char *grown;

	grown = SH_FAIL("config.alloc") ? NULL : sh_heap_resize(c->links, used + more, 1);
	if (!grown)
		return SHUNT_ENOMEM;
	(void)snprintf(grown + used, more, "%s%s", used ? ", " : "", name);
	c->links = grown;
	return 0;
}

static int set_variable(struct shunt_config *c, uint32_t levels, const char *name, const char *value, bool single)
{
	struct sh_where where = { .rank = SH_RANK_ENV };
	struct target t;
	unsigned matches = 0;
	bool found = target_find(c, levels, name + strlen(PREFIX), &t, &matches);
	int rc = 0;

	if (single != (found && !sh_section_named(t.key->section)))
		return 0;
	where.source = sh_config_source(c, name);
	if (!where.source)
		return SHUNT_ENOMEM;
	if (!found) {
		if (service_link(name, value))
			return note_link(c, name);
		unknown_variable(c, &where, name);
		return 0;
	}
	if (matches > 1) {
		sh_config_problem(c, &where, NULL, "fits %u names of '%s' that differ only in - and _; want it in the file",
				  matches, sh_section_name(t.key->section));
		return 0;
	}
	if (!single)
		t.item = sh_config_item_add(c, t.key->section, t.item ? t.item->name : t.name, &where, &rc);
	if (!t.item)
		return rc;
	return sh_config_put(c, &where, t.key, t.item, t.key->per_level ? t.level : NULL, value);
}

/* WORKER_CONCURRENCY: the workers of every pool that does not set its own. */
static void set_concurrency(struct shunt_config *c, const struct sh_where *where, const char *value)
{
	uint64_t n = 0;
	char quoted[64];
	const char *wrong = sh_value_int(value, &n);

	if (!wrong && (n < 1 || n > CONCURRENCY_MAX))
		wrong = "is out of range";
	if (wrong)
		sh_config_problem(c, where, NULL, "'%s' %s; want an integer from 1 to %u",
				  sh_value_quote(quoted, sizeof(quoted), value), wrong, CONCURRENCY_MAX);
	else
		c->workers_all = (struct sh_setting){ .where = *where, .num = n };
}

static int set_alias(struct shunt_config *c, const char *name, const char *value)
{
	size_t i;

	for (i = 0; i < sh_keys_count; i++) {
		struct sh_where where = { .rank = SH_RANK_ENV_ALIAS };

		if (!sh_keys[i].env || strcmp(sh_keys[i].env, name) != 0)
			continue;
		where.source = sh_config_source(c, name);
		if (!where.source)
			return SHUNT_ENOMEM;
		if (!sh_section_named(sh_keys[i].section))
			return sh_config_put(c, &where, &sh_keys[i], sh_config_single(c, sh_keys[i].section), NULL, value);
		where.rank = SH_RANK_ENV_ALL;
		set_concurrency(c, &where, value);
	}
	return 0;
}

static bool ours(const char *name)
{
	size_t i;

	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
		return false;
	for (i = 0; i < SH_COUNT(not_ours); i++)
		if (strcmp(name, not_ours[i]) == 0)
			return false;
	return true;
}

/* One pass over the environment. First variables without item names: they may define levels. */
static int env_pass(struct shunt_config *c, const char *const *env, bool single)
{
	uint32_t levels = sh_config_levels(c);
	int rc = 0;

	for (; *env && rc == 0; env++) {
		const char *value = strchr(*env, '=');
		char name[256];

		if (!value || !value[1] || (size_t)(value - *env) >= sizeof(name))
			continue;
		memcpy(name, *env, (size_t)(value - *env));
		name[value - *env] = '\0';
		if (ours(name))
			rc = set_variable(c, levels, name, value + 1, single);
		else if (single)
			rc = set_alias(c, name, value + 1);
	}
	return rc;
}

int shunt_config_load_env(struct shunt_config *c, const char *const *env)
{
	uint32_t before = 0;
	int rc = 0;
	int report = 0;

	sh_error_detail_clear();
	if (!c)
		return sh_error_set(SHUNT_EINVAL, "config: " SH_NO_ARGUMENT);
	if (!env)
		env = (const char *const *)environ;
	before = sh_config_problems(c);
	sh_heap_free(c->links);
	c->links = NULL;
	if (env) {
		rc = env_pass(c, env, true);
		if (rc == 0)
			rc = env_pass(c, env, false);
	}
	report = sh_config_report(c, before);
	return rc ? rc : report;
}

/* ---- flags ---- */

#define PARTS_MAX 4u

/* Cuts "a.b.c" in place. The number of parts, PARTS_MAX + 1 if there are more. */
static unsigned path_split(char *path, char *part[PARTS_MAX])
{
	unsigned n = 0;

	for (;;) {
		char *dot = strchr(path, '.');

		if (n == PARTS_MAX)
			return PARTS_MAX + 1u;
		part[n++] = path;
		if (!dot)
			return n;
		*dot = '\0';
		path = dot + 1;
	}
}

/* The section and key of a path; NULL after a problem. */
static const struct sh_key *flag_key(struct shunt_config *c, const struct sh_where *where, const char *path, char **part,
				     unsigned n, enum sh_section *section)
{
	const char *known[32];
	const struct sh_key *keys = NULL;
	const struct sh_key *key = NULL;
	const char *meant = NULL;
	const char *field = NULL;
	unsigned field_at = 0;
	size_t count = 0;
	uint32_t s = 0;
	size_t i;

	while (s < SH_SECTIONS && strcmp(part[0], sh_section_name((enum sh_section)s)) != 0)
		s++;
	if (s < SH_SECTIONS) {
		field_at = sh_section_named((enum sh_section)s) ? 2u : 1u;
		keys = sh_section_keys((enum sh_section)s, &count);
		field = n > field_at ? part[field_at] : "";
		key = sh_key_find((enum sh_section)s, field);
		for (i = 0; i < count; i++)
			known[i] = keys[i].field;
	} else {
		field = part[0];
		for (i = 0; i < SH_SECTIONS; i++)
			known[i] = sh_section_name((enum sh_section)i);
		count = SH_SECTIONS;
	}
	*section = (enum sh_section)s;
	if (key && n == field_at + (key->per_level ? 2u : 1u))
		return key;
	meant = key ? NULL : sh_value_nearest(field, known, count);
	if (meant)
		sh_config_problem(c, where, path, "unknown key; did you mean '%s'?", meant);
	else
		sh_config_problem(c, where, path, "unknown key; want a path such as runtime.jobs_max, pools.NAME.workers, "
				  "pools.NAME.weights.LEVEL, types.NAME.level or log.level");
	return NULL;
}

static int flag_apply(struct shunt_config *c, const struct sh_where *where, char *path, const char *value)
{
	char shown[SH_KEY_PATH_MAX];
	char *part[PARTS_MAX] = { NULL };
	const struct sh_key *key = NULL;
	struct sh_named *item = NULL;
	enum sh_section section = SH_RUNTIME;
	unsigned n = 0;
	int rc = 0;

	(void)sh_value_quote(shown, sizeof(shown), path);
	n = path_split(path, part);
	key = flag_key(c, where, shown, part, n, &section);
	if (!key)
		return 0;
	if (sh_section_named(section))
		item = sh_config_item_add(c, section, part[1], where, &rc);
	else
		item = sh_config_single(c, section);
	if (!item)
		return rc;
	return sh_config_put(c, where, key, item, key->per_level ? part[n - 1] : NULL, value);
}

int shunt_config_set(struct shunt_config *c, const char *origin, const char *assignment)
{
	struct sh_where where = { .rank = SH_RANK_FLAG };
	const char *equals = NULL;
	char path[512];
	char quoted[64];
	uint32_t before = 0;
	int rc = 0;
	int report = 0;

	sh_error_detail_clear();
	if (!c || !origin || !assignment)
		return sh_error_set(SHUNT_EINVAL, "config: " SH_NO_ARGUMENT);
	before = sh_config_problems(c);
	where.source = sh_config_source(c, origin);
	if (!where.source)
		return SHUNT_ENOMEM;
	equals = strchr(assignment, '=');
	if (!equals || (size_t)(equals - assignment) >= sizeof(path)) {
		sh_config_problem(c, &where, NULL, "'%s' is no assignment; want KEY=VALUE, such as pools.io.workers=4",
				  sh_value_quote(quoted, sizeof(quoted), assignment));
	} else {
		memcpy(path, assignment, (size_t)(equals - assignment));
		path[equals - assignment] = '\0';
		rc = flag_apply(c, &where, path, equals + 1);
	}
	report = sh_config_report(c, before);
	return rc ? rc : report;
}
