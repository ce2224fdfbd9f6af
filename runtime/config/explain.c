/*
 * config/explain.c - every effective key and the origin of its value: shunt_config_visit of
 * shunt/config.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "config/config.h"

struct visit {
	const struct shunt_config *c;
	shunt_config_visit_fn fn;
	void *arg;
	char level[SHUNT_LEVELS_MAX][SHUNT_NAME_MAX];
	uint32_t levels;
};

/* The value of a text whose default is described, not given. */
static const char *described(const struct visit *v, const struct sh_named *item, const struct sh_key *key)
{
	if (key->type == SH_KEY_LEVEL)
		return v->level[v->levels > 1 ? 1 : 0];
	if (key->type == SH_KEY_POOL)
		return sh_config_used_count(v->c, SH_POOLS) == 1 ? sh_config_used_at(v->c, SH_POOLS, 0)->name : "(not set)";
	if (key->section == SH_TYPES && strcmp(key->field, "handler") == 0)
		return item->name;
	return key->def;
}

static int visit_one(const struct visit *v, const struct sh_named *item, const struct sh_key *key, const char *level, uint32_t i)
{
	struct sh_effective e;
	char path[SH_KEY_PATH_MAX];
	char origin[512];
	char number[SH_VALUE_TEXT];
	const char *value = NULL;

	sh_config_effective(v->c, item, key, level, i, &e);
	if (key->type < SH_KEY_STRING)
		value = sh_key_print(number, key, e.num);
	else
		value = e.text ? e.text : described(v, item, key);
	return v->fn(v->arg, sh_key_path(path, key, item->name[0] ? item->name : NULL, level), value,
		     sh_config_origin(origin, sizeof(origin), &e.where), key->help);
}

/* Keys per level are shown only in the mode in which they have an effect. */
static bool shown(const struct shunt_config *c, const struct sh_named *item, const struct sh_key *key)
{
	struct sh_effective mode;

	if (!key->per_level || !key->need.field)
		return true;
	sh_config_get(c, item, key->section, key->need.field, &mode);
	return sh_need_met(&key->need, mode.num);
}

static int visit_item(const struct visit *v, const struct sh_named *item, enum sh_section section)
{
	size_t n = 0;
	const struct sh_key *keys = sh_section_keys(section, &n);
	size_t k;
	uint32_t i;
	int rc = 0;

	for (k = 0; k < n && rc == 0; k++) {
		if (!shown(v->c, item, &keys[k]))
			continue;
		if (!keys[k].per_level)
			rc = visit_one(v, item, &keys[k], NULL, 0);
		for (i = 0; keys[k].per_level && i < v->levels && rc == 0; i++)
			rc = visit_one(v, item, &keys[k], v->level[i], i);
	}
	return rc;
}

int shunt_config_visit(const struct shunt_config *c, shunt_config_visit_fn fn, void *arg)
{
	struct visit v = { .c = c, .fn = fn, .arg = arg };
	struct sh_effective names;
	uint32_t s;
	uint32_t i;
	int rc = 0;

	sh_error_detail_clear();
	if (!c || !fn)
		return sh_error_set(SHUNT_EINVAL, "config: " SH_NO_ARGUMENT);
	sh_config_get(c, sh_config_single(c, SH_RUNTIME), SH_RUNTIME, "levels", &names);
	v.levels = sh_names_split(names.text, v.level);
	for (s = 0; s < SH_SECTIONS; s++)
		for (i = 0; i < sh_config_used_count(c, (enum sh_section)s) && rc == 0; i++)
			rc = visit_item(&v, sh_config_used_at(c, (enum sh_section)s, i), (enum sh_section)s);
	return rc;
}
