/*
 * config/apply.c - see apply.h; also shunt_config_bind and shunt_config_runtime of shunt/config.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config/apply.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/thread.h"
#include "config/check.h"

#define PLACE_MARK ".place: " /* in the detail of a pool that was refused for its place */

/* SHUNT_LEVEL of the level called `name`, or of the default one. */
static uint64_t level_number(const struct shunt_config *c, uint32_t levels, const char *name)
{
	uint32_t index = levels > 1 ? 1u : 0u;

	if (name)
		index = sh_config_level_index(c, levels, name);
	assert(index < levels);
	return SHUNT_LEVEL(index);
}

/* Does the key count? If not, a stronger source switched its mode off, or it has its default. */
static bool counts(const struct shunt_config *c, const struct sh_named *item, const struct sh_key *key)
{
	struct sh_effective mode;

	if (!key->need.field)
		return true;
	sh_config_get(c, item, key->section, key->need.field, &mode);
	return sh_need_met(&key->need, mode.num);
}

/* Stores every key of a section's item that names a field, and that counts, into the options struct at `opts`. */
static void item_store(struct shunt_config *c, enum sh_section section, const struct sh_named *item, void *opts)
{
	uint32_t levels = sh_config_levels(c);
	size_t n = 0;
	const struct sh_key *key = sh_section_keys(section, &n);
	const struct sh_key *end = key + n;
	uint32_t i;

	for (; key < end; key++) {
		struct sh_effective v;

		if (!counts(c, item, key))
			continue;
		for (i = 0; key->per_level && i < levels; i++) {
			sh_config_effective(c, item, key, c->level_names[i], i, &v);
			sh_key_store(key, opts, i, v.num);
		}
		if (key->per_level)
			continue;
		sh_config_effective(c, item, key, NULL, 0, &v);
		if (key->store == SH_STORE_LEVEL)
			v.num = level_number(c, levels, v.text);
		if (key->store == SH_STORE_TEXT)
			memcpy((char *)opts + key->offset, &v.text, sizeof(v.text));
		else
			sh_key_store(key, opts, 0, v.num);
	}
}

void sh_config_runtime_opts(struct shunt_config *c, struct shunt_runtime_opts *out)
{
	*out = (struct shunt_runtime_opts)SHUNT_RUNTIME_OPTS_INIT;
	item_store(c, SH_RUNTIME, sh_config_single(c, SH_RUNTIME), out);
	item_store(c, SH_LOG, sh_config_single(c, SH_LOG), out);
	out->levels = sh_config_levels(c);
	out->level_names = c->level_names;
}

/*
 * A key without effect that the check excused, or that nobody gave, is not passed on: the struct's own check, which
 * cannot tell a default from a wish, would refuse it.
 */
static void excused_drop(struct shunt_config *c, const struct sh_named *item, struct shunt_pool_opts *out)
{
	uint32_t levels = sh_config_levels(c);

	for (uint32_t rule = 0; rule < SH_POOL_RULES; rule++) {
		const struct sh_key *key = sh_key_find(SH_POOLS, sh_pool_rule_keys(rule)[0]);
		const char *none = NULL;
		char why[SH_KEY_WHY_MAX];
		struct sh_where where;
		bool excused = false;

		if (!sh_config_pool_rule(c, item, rule, why, sizeof(why), &where, &excused))
			continue;
		if (key->store == SH_STORE_TEXT)
			memcpy((char *)out + key->offset, &none, sizeof(none));
		for (uint32_t i = 0; i < (key->per_level ? levels : 1u); i++)
			sh_key_store(key, out, i, 0);
	}
	if (levels == 1) {
		out->guard_every = 0;
		out->weights[0] = 0;
	}
}

void sh_config_pool_opts(struct shunt_config *c, uint32_t i, struct shunt_pool_opts *out)
{
	const struct sh_named *item = sh_config_used_at(c, SH_POOLS, i);

	*out = (struct shunt_pool_opts)SHUNT_POOL_OPTS_INIT;
	out->name = item->name;
	item_store(c, SH_POOLS, item, out);
	excused_drop(c, item, out);
}

void sh_config_type_opts(struct shunt_config *c, uint32_t i, struct shunt_type_opts *out, uint32_t *pool,
			 const char **handler)
{
	const struct sh_named *item = sh_config_used_at(c, SH_TYPES, i);
	struct sh_effective v;

	*out = (struct shunt_type_opts)SHUNT_TYPE_OPTS_INIT;
	out->name = item->name;
	item_store(c, SH_TYPES, item, out);
	sh_config_get(c, item, SH_TYPES, "pool", &v);
	*pool = v.text ? sh_config_pool_index(c, v.text) : 0;
	sh_config_get(c, item, SH_TYPES, "handler", &v);
	*handler = v.text ? v.text : item->name;
}

int shunt_config_bind(struct shunt_config *c, const char *handler_name, shunt_handler_fn handler)
{
	void *array = NULL;
	char *name = NULL;
	uint32_t i;

	sh_error_detail_clear();
	if (!c || !handler_name || !handler)
		return sh_error_set(SHUNT_EINVAL, "config: " SH_NO_ARGUMENT);
	for (i = 0; i < c->bindings_count; i++) {
		if (strcmp(c->bindings[i].name, handler_name) == 0) {
			c->bindings[i].fn = handler;
			return 0;
		}
	}
	array = c->bindings;
	if (sh_config_reserve(&array, c->bindings_count, &c->bindings_capacity, sizeof(*c->bindings)))
		return SHUNT_ENOMEM;
	c->bindings = array;
	name = sh_config_strdup(handler_name);
	if (!name)
		return SHUNT_ENOMEM;
	c->bindings[c->bindings_count++] = (struct sh_binding){ .name = name, .fn = handler };
	return 0;
}

static shunt_handler_fn bound(const struct shunt_config *c, const char *name)
{
	uint32_t i;

	for (i = 0; i < c->bindings_count; i++)
		if (strcmp(c->bindings[i].name, name) == 0)
			return c->bindings[i].fn;
	return NULL;
}

/* Every type needs a handler: reports all that have none. */
static void check_handlers(struct shunt_config *c)
{
	uint32_t n = sh_config_used_count(c, SH_TYPES);
	const struct sh_key *key = sh_key_find(SH_TYPES, "handler");
	uint32_t i;

	for (i = 0; i < n; i++) {
		const struct sh_named *item = sh_config_used_at(c, SH_TYPES, i);
		struct sh_effective v;
		char path[SH_KEY_PATH_MAX];
		const char *name = NULL;

		sh_config_effective(c, item, key, NULL, 0, &v);
		name = v.text ? v.text : item->name;
		if (!bound(c, name))
			sh_config_problem(c, v.text ? &v.where : &item->where, sh_key_path(path, key, item->name, NULL),
					  "no handler '%s' is bound; want the name of one that the program binds", name);
	}
}

/* Reports why a pool cannot start, by the error's detail: the problem is its place, or the pool. */
static void pool_problem(struct shunt_config *c, const struct sh_named *item, int rc)
{
	const char *why = shunt_error_detail();
	const char *place_why = strstr(why, PLACE_MARK);
	const struct sh_key *key = sh_key_find(SH_POOLS, "place");
	struct sh_effective place;
	char path[SH_KEY_PATH_MAX];

	if (rc != SHUNT_EPLACE || !place_why) {
		(void)snprintf(path, sizeof(path), "pools.%s", item->name);
		sh_config_problem(c, &item->where, path, "the pool cannot start: %s", why);
		return;
	}
	sh_config_get(c, item, SH_POOLS, "place", &place);
	sh_config_problem(c, place.text ? &place.where : &item->where, sh_key_path(path, key, item->name, NULL), "%s",
			  place_why + sizeof(PLACE_MARK) - 1);
}

static int pools_create(struct shunt_config *c, struct shunt_runtime *rt, struct shunt_pool_id *ids)
{
	uint32_t n = sh_config_used_count(c, SH_POOLS);
	uint32_t i;

	for (i = 0; i < n; i++) {
		const struct sh_named *item = sh_config_used_at(c, SH_POOLS, i);
		struct shunt_pool_opts opts;
		int rc = 0;

		sh_config_pool_opts(c, i, &opts);
		rc = shunt_pool_create(rt, &opts, &ids[i]);
		if (rc == 0)
			continue;
		pool_problem(c, item, rc);
		return rc;
	}
	return 0;
}

static int types_create(struct shunt_config *c, struct shunt_runtime *rt, const struct shunt_pool_id *ids)
{
	uint32_t n = sh_config_used_count(c, SH_TYPES);
	uint32_t i;

	for (i = 0; i < n; i++) {
		const struct sh_named *item = sh_config_used_at(c, SH_TYPES, i);
		struct shunt_type_opts opts;
		struct shunt_type_id id;
		const char *handler = NULL;
		char path[SH_KEY_PATH_MAX];
		uint32_t pool = 0;
		int rc = 0;

		sh_config_type_opts(c, i, &opts, &pool, &handler);
		opts.pool = ids[pool];
		opts.handler = bound(c, handler);
		rc = shunt_type_create(rt, &opts, &id);
		if (rc) {
			(void)snprintf(path, sizeof(path), "types.%s", item->name);
			sh_config_problem(c, &item->where, path, "the type cannot be created: %s",
					  shunt_error_detail());
			return rc;
		}
	}
	return 0;
}

/* Creates the runtime, its pools and its types. An error leaves nothing behind. */
static int runtime_build(struct shunt_config *c, shunt_log_fn log, void *log_arg, struct shunt_runtime **out)
{
	static const struct sh_where nowhere = { .rank = SH_RANK_DEFAULT };
	struct shunt_runtime_opts opts;
	struct shunt_pool_id ids[SHUNT_POOLS_MAX];
	struct shunt_runtime *rt = NULL;
	int rc = 0;

	memset(ids, 0, sizeof(ids));
	sh_config_runtime_opts(c, &opts);
	opts.log = log;
	opts.log_arg = log_arg;
	rc = shunt_runtime_create(&rt, &opts);
	if (rc) {
		sh_config_problem(c, &nowhere, "runtime", "the runtime cannot start: %s", shunt_error_detail());
		return rc;
	}
	if (c->links) {
		const struct sh_log to = { .fn = log, .arg = log_arg, .level = opts.log_level };

		sh_log_write(&to, SHUNT_LOG_WARN,
			     "runtime %s: passed over, as the variables of a Kubernetes service: %s; a service of"
			     " another name, or enableServiceLinks: false, keeps them away",
			     opts.name, c->links);
	}
	rc = pools_create(c, rt, ids);
	if (rc == 0)
		rc = types_create(c, rt, ids);
	if (rc) {
		(void)shunt_runtime_destroy(rt, NULL);
		return rc;
	}
	*out = rt;
	return 0;
}

int shunt_config_runtime(struct shunt_config *c, shunt_log_fn log, void *log_arg, struct shunt_runtime **out)
{
	SH_NO_CANCEL;
	int rc = 0;
	int report = 0;

	sh_error_detail_clear();
	if (!c || !out)
		return sh_error_set(SHUNT_EINVAL, "config: " SH_NO_ARGUMENT);
	*out = NULL;
	rc = shunt_config_check(c);
	if (rc == SHUNT_ENOMEM)
		return rc;
	c->in_check = true; /* the next call finds again what is found from here on */
	check_handlers(c);
	if (sh_config_problems(c) == 0)
		rc = runtime_build(c, log, log_arg, out);
	else
		rc = SHUNT_ECONFIG;
	c->in_check = false;
	report = sh_config_report(c, UINT32_MAX);
	if (report && *out) {
		(void)shunt_runtime_destroy(*out, NULL);
		*out = NULL;
	}
	if (report == 0 && rc != 0)
		sh_config_detail(c);
	return report ? report : rc;
}
