/*
 * config/check.c - shunt_config_check of shunt/config.h: the checks that need more than one value.
 * References to pools and levels, sums over levels, names known only from the environment, and
 * settings without effect.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "config/check.h"

/* Names of the used items, or of the levels, for "did you mean" and "want one of". */
struct names {
	const char *name[SHUNT_TYPES_MAX];
	size_t count;
};

static void names_fill(const struct shunt_config *c, enum sh_section section, struct names *out)
{
	uint32_t i;

	out->count = sh_config_used_count(c, section);
	assert(out->count <= SH_COUNT(out->name));
	for (i = 0; i < out->count; i++)
		out->name[i] = sh_config_used_at(c, section, i)->name;
}

static void unknown_name(struct shunt_config *c, const struct sh_where *where, const char *path, const char *what,
			 const char *name, const char *const *known, size_t n)
{
	char why[SHUNT_LEVELS_MAX * (SHUNT_NAME_MAX + 2) + 128];

	sh_config_problem(c, where, path, "%s", sh_unknown_say(why, sizeof(why), what, name, known, n));
}

/* Variables for pools and types that no file and no flag declares. */
static void check_undeclared(struct shunt_config *c, enum sh_section section, struct names *names)
{
	uint32_t i;

	names_fill(c, section, names);
	for (i = 0; i < c->items[section].count; i++) {
		const struct sh_named *item = c->items[section].item[i];

		if (sh_config_declared(item) || item->mentioned.rank == SH_RANK_DEFAULT)
			continue;
		if (section == SH_POOLS && sh_config_pool_index(c, item->name) != UINT32_MAX)
			continue;
		unknown_name(c, &item->mentioned, NULL, section == SH_POOLS ? "pool" : "type", item->name, names->name, names->count);
	}
}

static void check_type(struct shunt_config *c, const struct sh_named *item, uint32_t levels, const struct names *pools)
{
	const struct sh_key *pool_key = sh_key_find(SH_TYPES, "pool");
	const struct sh_key *level_key = sh_key_find(SH_TYPES, "level");
	struct sh_effective v;
	char path[SH_KEY_PATH_MAX];
	char list[SHUNT_LEVELS_MAX * (SHUNT_NAME_MAX + 2) + 32];

	sh_config_effective(c, item, pool_key, NULL, 0, &v);
	(void)sh_key_path(path, pool_key, item->name, NULL);
	if (v.text && sh_config_pool_index(c, v.text) == UINT32_MAX) {
		unknown_name(c, &v.where, path, "pool", v.text, pools->name, pools->count);
	} else if (!v.text && pools->count > 1) {
		sh_config_problem(c, &item->where, path, "is not set and there are %zu pools; want one of %s", pools->count,
				  sh_names_join(list, sizeof(list), pools->name, pools->count));
	}
	sh_config_effective(c, item, level_key, NULL, 0, &v);
	(void)sh_key_path(path, level_key, item->name, NULL);
	if (v.text && sh_config_level_index(c, levels, v.text) == UINT32_MAX)
		unknown_name(c, &v.where, path, "level", v.text, c->level_names, levels);
}

/*
 * Is the key set to more than what 0 says in an options struct, the default? Then *where is its origin. A struct cannot
 * tell such a value from one that is not set, so in a file it is no setting without effect either.
 */
static bool says_more(struct shunt_config *c, const struct sh_named *item, const struct sh_key *key,
		      struct sh_where *where)
{
	struct sh_effective v;
	uint32_t slot, i;

	if (!key->per_level) {
		sh_config_effective(c, item, key, NULL, 0, &v);
		*where = v.where;
		return v.where.rank != SH_RANK_DEFAULT && (v.num != 0 || v.text);
	}
	slot = sh_config_level_slot(key);
	for (i = 0; i < item->levels_count[slot]; i++) {
		*where = item->levels[slot][i].set.where;
		if (item->levels[slot][i].set.num != 0)
			return true;
	}
	return false;
}

static void check_need(struct shunt_config *c, const struct sh_named *item, const struct sh_key *key)
{
	struct sh_effective mode;
	struct sh_where where;
	char path[SH_KEY_PATH_MAX];
	char why[SH_KEY_WHY_MAX];

	if (!key->need.field)
		return;
	sh_config_get(c, item, key->section, key->need.field, &mode);
	if (sh_need_met(&key->need, mode.num))
		return;
	if (!says_more(c, item, key, &where))
		return;
	/* A stronger source may have switched off the mode, with the file unchanged. */
	if (mode.where.rank > where.rank)
		return;
	sh_config_problem(c, &where, sh_key_path(path, key, item->name, NULL), "%s",
			  sh_need_say(why, sizeof(why), key, mode.num));
}

static void check_levels(struct shunt_config *c, const struct sh_named *item, const struct sh_key *key, uint32_t levels)
{
	uint32_t slot = sh_config_level_slot(key);
	uint32_t i;

	for (i = 0; i < item->levels_count[slot]; i++) {
		const struct sh_level_setting *s = &item->levels[slot][i];
		char path[SH_KEY_PATH_MAX];

		if (sh_config_level_index(c, levels, s->level) == UINT32_MAX)
			unknown_name(c, &s->set.where, sh_key_path(path, key, item->name, NULL), "level", s->level, c->level_names, levels);
	}
}

/* At least one worker must be left for the last level. */
static void check_reserved_sum(struct shunt_config *c, const struct sh_named *item, uint32_t levels)
{
	const struct sh_key *key = sh_key_find(SH_POOLS, "reserved");
	struct sh_effective workers;
	struct sh_effective mode;
	struct sh_where where = { .rank = SH_RANK_DEFAULT };
	char path[SH_KEY_PATH_MAX];
	char why[SH_KEY_WHY_MAX];
	uint64_t sum = 0;
	uint32_t i;

	sh_config_get(c, item, SH_POOLS, "workers", &workers);
	sh_config_get(c, item, SH_POOLS, "level_mode", &mode);
	if (mode.num != SHUNT_LEVELS_RESERVED)
		return;
	for (i = 0; i < levels; i++) {
		struct sh_effective v;

		sh_config_effective(c, item, key, c->level_names[i], i, &v);
		sum += v.num;
		if (v.where.rank != SH_RANK_DEFAULT)
			where = v.where;
	}
	if (workers.num != 0 && sh_reserved_say(why, sizeof(why), sum, workers.num))
		sh_config_problem(c, &where, sh_key_path(path, key, item->name, NULL), "%s", why);
}

/* Worker threads are limited in all pools together. What is automatic is known at start-up only, and is one at least. */
static void check_workers_sum(struct shunt_config *c)
{
	const struct sh_key *key = sh_key_find(SH_POOLS, "workers");
	const uint32_t n = sh_config_used_count(c, SH_POOLS);
	const uint32_t most = SH_WORKERS_TOTAL_MAX;
	uint64_t sum = 0;
	uint32_t i;

	for (i = 0; i < n && sum <= most; i++) {
		const struct sh_named *item = sh_config_used_at(c, SH_POOLS, i);
		struct sh_effective v;
		char path[SH_KEY_PATH_MAX];

		sh_config_effective(c, item, key, NULL, 0, &v);
		sum += v.num ? v.num : 1u;
		if (sum > most)
			sh_config_problem(c, &v.where, sh_key_path(path, key, item->name, NULL),
					  "the sum is %" PRIu64 " with the pools before it; want at most %" PRIu32 " in all pools", sum, most);
	}
}

static void facts_fill(struct shunt_config *c, const struct sh_named *item, struct sh_pool_facts *f)
{
	const struct {
		const char *field;
		uint64_t *to;
	} numbers[] = {
		{ "workers", &f->workers },
		{ "level_mode", &f->level_mode },
		{ "pin", &f->pin },
		{ "async_max", &f->async_max },
		{ "async_pool_max", &f->async_pool_max },
	};
	struct sh_effective v;
	struct sh_where where;

	memset(f, 0, sizeof(*f));
	f->levels = sh_config_levels(c);
	for (size_t i = 0; i < SH_COUNT(numbers); i++) {
		sh_config_get(c, item, SH_POOLS, numbers[i].field, &v);
		*numbers[i].to = v.num;
	}
	for (uint32_t i = 0; i < f->levels; i++) {
		sh_config_effective(c, item, sh_key_find(SH_POOLS, "reserved"), c->level_names[i], i, &v);
		f->reserved_sum += v.num;
		f->reserved_last = v.num;
	}
	f->guard_every = says_more(c, item, sh_key_find(SH_POOLS, "guard_every"), &where);
	f->weights = says_more(c, item, sh_key_find(SH_POOLS, "weights"), &where);
	f->place = says_more(c, item, sh_key_find(SH_POOLS, "place"), &where);
}

bool sh_config_pool_rule(struct shunt_config *c, const struct sh_named *item, uint32_t rule, char *why, size_t size,
			 struct sh_where *where, bool *excused)
{
	const char *const *keys = sh_pool_rule_keys(rule);
	struct sh_pool_facts f;
	struct sh_effective v;

	facts_fill(c, item, &f);
	if (!sh_pool_rule_say(why, size, rule, &f))
		return false;
	(void)says_more(c, item, sh_key_find(SH_POOLS, keys[0]), where);
	*excused = false;
	for (uint32_t i = 1; keys[i]; i++) {
		const struct sh_key *key = sh_key_find(SH_POOLS, keys[i]);

		if (key && key->per_level)
			continue; /* not set at all */
		if (key)
			sh_config_get(c, item, SH_POOLS, keys[i], &v);
		else
			sh_config_get(c, sh_config_single(c, SH_RUNTIME), SH_RUNTIME, keys[i], &v);
		*excused = *excused || v.where.rank > where->rank;
	}
	return true;
}

static void check_rules(struct shunt_config *c, const struct sh_named *item)
{
	for (uint32_t rule = 0; rule < SH_POOL_RULES; rule++) {
		const struct sh_key *key = sh_key_find(SH_POOLS, sh_pool_rule_keys(rule)[0]);
		char why[SH_KEY_WHY_MAX], path[SH_KEY_PATH_MAX];
		struct sh_where where;
		bool excused = false;

		if (sh_config_pool_rule(c, item, rule, why, sizeof(why), &where, &excused) && !excused)
			sh_config_problem(c, &where, sh_key_path(path, key, item->name, NULL), "%s", why);
	}
}

static void check_pool(struct shunt_config *c, const struct sh_named *item, uint32_t levels)
{
	size_t i;
	size_t n = 0;
	const struct sh_key *keys = sh_section_keys(SH_POOLS, &n);

	for (i = 0; i < n; i++) {
		check_need(c, item, &keys[i]);
		if (keys[i].per_level)
			check_levels(c, item, &keys[i], levels);
	}
	check_reserved_sum(c, item, levels);
	check_rules(c, item);
}

/* Forgets the problems of an earlier check: this one finds those that remain. */
static void forget_checks(struct shunt_config *c)
{
	uint32_t kept = 0;
	uint32_t i;

	for (i = 0; i < c->problems_count; i++) {
		if (c->problems[i].from_check)
			sh_heap_free(c->problems[i].text);
		else
			c->problems[kept++] = c->problems[i];
	}
	if (kept < c->problems_count)
		c->problems_dropped = 0;
	c->problems_count = kept;
}

int shunt_config_check(struct shunt_config *c)
{
	struct names *pools = NULL;
	uint32_t before = 0;
	uint32_t levels = 0;
	uint32_t i;
	int rc = 0;

	sh_error_detail_clear();
	if (!c)
		return sh_error_set(SHUNT_EINVAL, "config: " SH_NO_ARGUMENT);
	pools = sh_config_alloc(2 * sizeof(*pools));
	if (!pools)
		return SHUNT_ENOMEM;
	forget_checks(c);
	before = sh_config_problems(c);
	c->in_check = true;
	levels = sh_config_levels(c);
	check_undeclared(c, SH_POOLS, &pools[0]);
	check_undeclared(c, SH_TYPES, &pools[1]);
	for (i = 0; i < pools[0].count; i++)
		check_pool(c, sh_config_used_at(c, SH_POOLS, i), levels);
	check_workers_sum(c);
	for (i = 0; i < pools[1].count; i++)
		check_type(c, sh_config_used_at(c, SH_TYPES, i), levels, &pools[0]);
	c->in_check = false;
	sh_heap_free(pools);
	rc = sh_config_report(c, before);
	return rc;
}
