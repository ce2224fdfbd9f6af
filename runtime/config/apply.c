/* config/apply.c - see apply.h; also shunt_config_bind and shunt_config_runtime of shunt/config.h. SPDX-License-Identifier: MIT */
#include "config/apply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shunt/topo.h>

static void number_store(void *at, uint16_t width, uint64_t num)
{
	uint32_t v32 = (uint32_t)num;

	assert(width == sizeof(uint32_t) || width == sizeof(uint64_t));
	if (width == sizeof(v32))
		memcpy(at, &v32, sizeof(v32));
	else
		memcpy(at, &num, sizeof(num));
}

static void level_store(const struct shunt_config *c, uint32_t levels, const char *name, void *at)
{
	uint32_t index = name ? sh_config_level_index(c, levels, name) : 1u;
	uint8_t v = SHUNT_LEVEL(name ? index : (levels > 1 ? 1u : 0u));

	assert(!name || index < levels);
	memcpy(at, &v, sizeof(v));
}

/* Stores every key of a section's item that names a field into the options struct at `base`. */
static void item_store(struct shunt_config *c, enum sh_section section, const struct sh_item *item, void *base)
{
	uint32_t levels = sh_config_levels(c);
	size_t n = 0;
	const struct sh_key *key = sh_section_keys(section, &n);
	const struct sh_key *end = key + n;
	uint32_t i;

	for (; key < end; key++) {
		char *at = (char *)base + key->offset;
		struct sh_effective v = { 0 };
		uint32_t flags = 0;

		if (!key->per_level)
			sh_config_effective(c, item, key, NULL, 0, &v);
		switch (key->store) {
		case SH_STORE_NUMBER:
			number_store(at, key->width, v.num);
			break;
		case SH_STORE_TEXT:
			memcpy(at, &v.text, sizeof(v.text));
			break;
		case SH_STORE_FLAG:
			memcpy(&flags, at, sizeof(flags));
			flags = v.num ? flags | key->bit : flags & ~key->bit;
			memcpy(at, &flags, sizeof(flags));
			break;
		case SH_STORE_LEVEL:
			level_store(c, levels, v.text, at);
			break;
		case SH_STORE_ARRAY:
			for (i = 0; i < levels; i++) {
				sh_config_effective(c, item, key, c->level_names[i], i, &v);
				number_store(at + i * sizeof(uint32_t), sizeof(uint32_t), v.num);
			}
			break;
		case SH_STORE_OTHER:
			break;
		}
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

void sh_config_pool_opts(struct shunt_config *c, uint32_t i, struct shunt_pool_opts *out)
{
	const struct sh_item *item = sh_config_used_at(c, SH_POOLS, i);

	*out = (struct shunt_pool_opts)SHUNT_POOL_OPTS_INIT;
	out->name = item->name;
	item_store(c, SH_POOLS, item, out);
	/* A stronger source may have switched the mode off that a weaker one reserved workers for. */
	if (out->level_mode != SHUNT_LEVELS_RESERVED)
		memset(out->reserved, 0, sizeof(out->reserved));
}

void sh_config_type_opts(struct shunt_config *c, uint32_t i, struct shunt_type_opts *out, uint32_t *pool,
			 const char **handler)
{
	const struct sh_item *item = sh_config_used_at(c, SH_TYPES, i);
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

	if (!c || !handler_name || !handler)
		return SHUNT_EINVAL;
	for (i = 0; i < c->bindings_count; i++) {
		if (strcmp(c->bindings[i].name, handler_name) == 0) {
			c->bindings[i].fn = handler;
			return 0;
		}
	}
	array = c->bindings;
	if (sh_config_room(&array, c->bindings_count, &c->bindings_capacity, sizeof(*c->bindings)))
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

/* Every type needs a handler; names all that have none. */
static void check_handlers(struct shunt_config *c)
{
	uint32_t n = sh_config_used_count(c, SH_TYPES);
	const struct sh_key *key = sh_key_find(SH_TYPES, "handler");
	uint32_t i;

	for (i = 0; i < n; i++) {
		const struct sh_item *item = sh_config_used_at(c, SH_TYPES, i);
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

/* Why a place was refused, in the words of the topology. */
static void place_problem(struct shunt_config *c, const struct shunt_pool_opts *opts, const struct sh_where *where)
{
	const struct sh_key *key = sh_key_find(SH_POOLS, "place");
	struct shunt_topo *topo = NULL;
	struct shunt_plan *plan = NULL;
	struct shunt_plan_opts plan_opts = SHUNT_PLAN_OPTS_INIT;
	char path[SH_KEY_PATH_MAX];
	char why[512] = "";

	plan_opts.place = opts->place;
	plan_opts.policy = opts->pin;
	plan_opts.workers = opts->workers;
	if (shunt_topo_open(&topo, NULL) == 0)
		(void)shunt_plan_build(topo, &plan_opts, &plan, why, sizeof(why));
	shunt_plan_destroy(plan);
	shunt_topo_close(topo);
	sh_config_problem(c, where, sh_key_path(path, key, opts->name, NULL), "%s",
			  why[0] ? why : shunt_strerror(SHUNT_EPLACE));
}

static int pools_create(struct shunt_config *c, struct shunt_runtime *rt, struct shunt_pool_id *ids)
{
	uint32_t n = sh_config_used_count(c, SH_POOLS);
	uint32_t i;

	for (i = 0; i < n; i++) {
		const struct sh_item *item = sh_config_used_at(c, SH_POOLS, i);
		struct shunt_pool_opts opts;
		struct sh_effective place;
		char path[SH_KEY_PATH_MAX];
		int rc = 0;

		sh_config_pool_opts(c, i, &opts);
		rc = shunt_pool_create(rt, &opts, &ids[i]);
		if (!rc)
			continue;
		sh_config_get(c, item, SH_POOLS, "place", &place);
		(void)snprintf(path, sizeof(path), "pools.%s", item->name);
		if (rc == SHUNT_EPLACE)
			place_problem(c, &opts, place.text ? &place.where : &item->where);
		else
			sh_config_problem(c, &item->where, path, "the pool cannot start: %s; the log has the details", shunt_strerror(rc));
		return rc;
	}
	return 0;
}

static int types_register(struct shunt_config *c, struct shunt_runtime *rt, const struct shunt_pool_id *ids)
{
	uint32_t n = sh_config_used_count(c, SH_TYPES);
	uint32_t i;

	for (i = 0; i < n; i++) {
		const struct sh_item *item = sh_config_used_at(c, SH_TYPES, i);
		struct shunt_type_opts opts;
		struct shunt_type_id id;
		const char *handler = NULL;
		char path[SH_KEY_PATH_MAX];
		uint32_t pool = 0;
		int rc = 0;

		sh_config_type_opts(c, i, &opts, &pool, &handler);
		opts.pool = ids[pool];
		opts.handler = bound(c, handler);
		rc = shunt_type_register(rt, &opts, &id);
		if (rc) {
			(void)snprintf(path, sizeof(path), "types.%s", item->name);
			sh_config_problem(c, &item->where, path, "the type cannot be registered: %s; the log has the details", shunt_strerror(rc));
			return rc;
		}
	}
	return 0;
}

/* Runtime, pools, types; nothing is left behind on error. */
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
		sh_config_problem(c, &nowhere, "runtime", "the runtime cannot start: %s; the log has the details", shunt_strerror(rc));
		return rc;
	}
	rc = pools_create(c, rt, ids);
	if (rc == 0)
		rc = types_register(c, rt, ids);
	if (rc) {
		(void)shunt_runtime_destroy(rt);
		return rc;
	}
	*out = rt;
	return 0;
}

int shunt_config_runtime(struct shunt_config *c, shunt_log_fn log, void *log_arg, struct shunt_runtime **out)
{
	int rc = 0;
	int report = 0;

	if (!c || !out)
		return SHUNT_EINVAL;
	*out = NULL;
	rc = shunt_config_check(c);
	if (rc == SHUNT_ENOMEM)
		return rc;
	c->in_check = true; /* what is found from here on is found again by the next call */
	check_handlers(c);
	if (sh_config_problems(c) == 0)
		rc = runtime_build(c, log, log_arg, out);
	else
		rc = SHUNT_ECONFIG;
	c->in_check = false;
	report = sh_config_report(c, UINT32_MAX);
	if (report && *out) {
		(void)shunt_runtime_destroy(*out);
		*out = NULL;
	}
	return report ? report : rc;
}
