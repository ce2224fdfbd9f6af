/*
 * config/check.c - what a single value cannot show: shunt_config_check of shunt/config.h. References to pools and
 * levels, sums over levels, names that only the environment knows, and settings that would have no effect.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

/* A setting that counts only in some modes. */
struct need {
	const char *field;
	const char *mode;   /* the enum key that decides */
	unsigned modes;     /* bit per value of it */
	const char *want;
};

static const struct need needs[] = {
	{ "weights", "level_mode", 1u << SHUNT_LEVELS_WEIGHTED, "level_mode weighted" },
	{ "reserved", "level_mode", 1u << SHUNT_LEVELS_RESERVED, "level_mode reserved" },
	{ "guard_every", "level_mode", 1u << SHUNT_LEVELS_STRICT | 1u << SHUNT_LEVELS_RESERVED,
	  "level_mode strict or reserved" },
	{ "spin", "idle", 1u << SHUNT_IDLE_ADAPTIVE, "idle adaptive" },
	{ "pin_required", "pin", ~(1u << SHUNT_PIN_NONE), "another pin" },
};

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

static void names_list(char *buf, size_t size, const char *const *name, size_t n)
{
	const size_t shown_max = 16;
	size_t used = 0;
	size_t i;

	buf[0] = '\0';
	for (i = 0; i < n && i < shown_max && used < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s", i ? ", " : "", name[i]);
	if (n > shown_max && used < size)
		(void)snprintf(buf + used, size - used, " and %zu more", n - shown_max);
}

static void unknown_name(struct shunt_config *c, const struct sh_where *where, const char *path, const char *what,
			 const char *name, const char *const *known, size_t n)
{
	const char *meant = sh_value_nearest(name, known, n);
	char list[SHUNT_LEVELS_MAX * (SHUNT_NAME_MAX + 2) + 32];

	names_list(list, sizeof(list), known, n);
	if (meant)
		sh_config_problem(c, where, path, "no %s '%s'; did you mean '%s'?", what, name, meant);
	else if (n == 0)
		sh_config_problem(c, where, path, "no %s '%s'; there are none", what, name);
	else
		sh_config_problem(c, where, path, "no %s '%s'; want one of %s", what, name, list);
}

/* Variables for pools and types that no file and no flag declares. */
static void check_undeclared(struct shunt_config *c, enum sh_section section, struct names *names)
{
	uint32_t i;

	names_fill(c, section, names);
	for (i = 0; i < c->items[section].count; i++) {
		const struct sh_item *item = c->items[section].item[i];

		if (sh_config_declared(item) || item->mentioned.rank == SH_RANK_DEFAULT)
			continue;
		if (section == SH_POOLS && sh_config_pool_index(c, item->name) != UINT32_MAX)
			continue;
		unknown_name(c, &item->mentioned, NULL, section == SH_POOLS ? "pool" : "type", item->name, names->name, names->count);
	}
}

static void check_type(struct shunt_config *c, const struct sh_item *item, uint32_t levels, const struct names *pools)
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
		names_list(list, sizeof(list), pools->name, pools->count);
		sh_config_problem(c, &item->where, path, "is not set and there are %zu pools; want one of %s", pools->count, list);
	}
	sh_config_effective(c, item, level_key, NULL, 0, &v);
	(void)sh_key_path(path, level_key, item->name, NULL);
	if (v.text && sh_config_level_index(c, levels, v.text) == UINT32_MAX)
		unknown_name(c, &v.where, path, "level", v.text, c->level_names, levels);
}

static void check_need(struct shunt_config *c, const struct sh_item *item, const struct need *need)
{
	const struct sh_key *key = sh_key_find(SH_POOLS, need->field);
	const struct sh_key *mode_key = sh_key_find(SH_POOLS, need->mode);
	struct sh_effective mode;
	struct sh_effective v;
	char path[SH_KEY_PATH_MAX];
	char text[SH_VALUE_TEXT];

	assert(key && mode_key);
	sh_config_effective(c, item, mode_key, NULL, 0, &mode);
	if (need->modes & (1u << mode.num))
		return;
	if (key->per_level) {
		uint32_t slot = sh_config_level_slot(key);

		if (item->levels_count[slot] == 0)
			return;
		v.where = item->levels[slot][0].set.where;
	} else {
		sh_config_effective(c, item, key, NULL, 0, &v);
		if (v.where.rank == SH_RANK_DEFAULT || (key->type == SH_KEY_BOOL && v.num == 0))
			return;
	}
	/* A stronger source may switch the mode off without an edit of the file. */
	if (mode.where.rank > v.where.rank)
		return;
	sh_config_problem(c, &v.where, sh_key_path(path, key, item->name, NULL), "has no effect with %s %s; want %s, or not this key",
			  need->mode, sh_key_print(text, mode_key, mode.num), need->want);
}

static void check_levels(struct shunt_config *c, const struct sh_item *item, const struct sh_key *key, uint32_t levels)
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

/* Somebody must be left for the last level. */
static void check_reserved_sum(struct shunt_config *c, const struct sh_item *item, uint32_t levels)
{
	const struct sh_key *key = sh_key_find(SH_POOLS, "reserved");
	struct sh_effective workers;
	struct sh_effective mode;
	struct sh_where where = { .rank = SH_RANK_DEFAULT };
	char path[SH_KEY_PATH_MAX];
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
	if (workers.num != 0 && sum >= workers.num)
		sh_config_problem(c, &where, sh_key_path(path, key, item->name, NULL),
				  "the sum is %" PRIu64 " of %" PRIu64 " workers; want at most %" PRIu64, sum, workers.num, workers.num - 1);
}

static void check_pool(struct shunt_config *c, const struct sh_item *item, uint32_t levels)
{
	size_t i;
	size_t n = 0;
	const struct sh_key *keys = sh_section_keys(SH_POOLS, &n);

	for (i = 0; i < SH_COUNT(needs); i++)
		check_need(c, item, &needs[i]);
	for (i = 0; i < n; i++)
		if (keys[i].per_level)
			check_levels(c, item, &keys[i], levels);
	check_reserved_sum(c, item, levels);
}

/* The problems of an earlier check are found again if they are still there. */
static void forget_checks(struct shunt_config *c)
{
	uint32_t kept = 0;
	uint32_t i;

	for (i = 0; i < c->problems_count; i++) {
		if (c->problems[i].from_check)
			free(c->problems[i].text);
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

	if (!c)
		return SHUNT_EINVAL;
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
	for (i = 0; i < pools[1].count; i++)
		check_type(c, sh_config_used_at(c, SH_TYPES, i), levels, &pools[0]);
	c->in_check = false;
	free(pools);
	rc = sh_config_report(c, before);
	return rc;
}
