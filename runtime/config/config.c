/* config/config.c - see config.h. SPDX-License-Identifier: MIT */
#include "config/config.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/inject.h"
#include "base/mem.h"

#define NAMES_TEXT_MAX (SHUNT_LEVELS_MAX * SHUNT_NAME_MAX)

/* ---- memory ---- */

void *sh_config_alloc(size_t size)
{
	return SH_FAIL("config.alloc") ? NULL : sh_heap_alloc(1, size);
}

char *sh_config_strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = sh_config_alloc(n);

	if (p)
		memcpy(p, s, n);
	return p;
}

int sh_config_reserve(void **array, uint32_t count, uint32_t *capacity, size_t size)
{
	uint32_t n = *capacity ? *capacity * 2u : 8u;
	void *p = NULL;

	if (count < *capacity)
		return 0;
	p = SH_FAIL("config.alloc") ? NULL : sh_heap_resize(*array, n, size);
	if (!p)
		return SHUNT_ENOMEM;
	*array = p;
	*capacity = n;
	return 0;
}

const char *sh_config_source(struct shunt_config *c, const char *name)
{
	void *array = c->sources;
	uint32_t i;
	char *copy = NULL;

	for (i = 0; i < c->sources_count; i++)
		if (strcmp(c->sources[i], name) == 0)
			return c->sources[i];
	if (sh_config_reserve(&array, c->sources_count, &c->sources_capacity, sizeof(*c->sources)))
		return NULL;
	c->sources = array;
	copy = sh_config_strdup(name);
	if (copy)
		c->sources[c->sources_count++] = copy;
	return copy;
}

static struct sh_named *item_create(enum sh_section section, const char *name)
{
	struct sh_named *item = sh_config_alloc(sizeof(*item));
	size_t n = 0;

	if (!item)
		return NULL;
	(void)sh_section_keys(section, &n);
	item->set = sh_config_alloc(n * sizeof(*item->set));
	if (!item->set) {
		sh_heap_free(item);
		return NULL;
	}
	(void)snprintf(item->name, sizeof(item->name), "%s", name);
	return item;
}

static void item_destroy(enum sh_section section, struct sh_named *item)
{
	size_t n = 0;
	size_t i;

	(void)sh_section_keys(section, &n);
	for (i = 0; i < n; i++)
		sh_heap_free(item->set[i].text);
	for (i = 0; i < SH_COUNT(item->levels); i++)
		sh_heap_free(item->levels[i]);
	sh_heap_free(item->set);
	sh_heap_free(item);
}

/* Creates an item at the end of its section; NULL when out of memory. */
static struct sh_named *item_append(struct shunt_config *c, enum sh_section section, const char *name)
{
	struct sh_items *items = &c->items[section];
	void *array = items->item;
	struct sh_named *item = NULL;

	if (sh_config_reserve(&array, items->count, &items->capacity, sizeof(*items->item)))
		return NULL;
	items->item = array;
	item = item_create(section, name);
	if (item)
		items->item[items->count++] = item;
	return item;
}

int shunt_config_create(struct shunt_config **out)
{
	struct shunt_config *c = NULL;

	sh_error_detail_clear();
	if (!out)
		return sh_error_set(SHUNT_EINVAL, "config: " SH_NO_ARGUMENT);
	*out = NULL;
	c = sh_config_alloc(sizeof(*c));
	if (!c)
		return SHUNT_ENOMEM;
	if (!item_append(c, SH_RUNTIME, "") || !item_append(c, SH_LOG, "") || !item_append(c, SH_POOLS, SH_POOL_DEFAULT)) {
		shunt_config_destroy(c);
		return SHUNT_ENOMEM;
	}
	*out = c;
	return 0;
}

void shunt_config_destroy(struct shunt_config *c)
{
	uint32_t s;
	uint32_t i;

	if (!c)
		return;
	for (s = 0; s < SH_SECTIONS; s++) {
		for (i = 0; i < c->items[s].count; i++)
			item_destroy((enum sh_section)s, c->items[s].item[i]);
		sh_heap_free(c->items[s].item);
	}
	for (i = 0; i < c->problems_count; i++)
		sh_heap_free(c->problems[i].text);
	for (i = 0; i < c->sources_count; i++)
		sh_heap_free(c->sources[i]);
	for (i = 0; i < c->bindings_count; i++)
		sh_heap_free(c->bindings[i].name);
	sh_heap_free(c->sources);
	sh_heap_free(c->bindings);
	sh_heap_free(c->report);
	sh_heap_free(c->links);
	sh_heap_free(c);
}

/* ---- problems ---- */

char *sh_config_origin(char *buf, size_t size, const struct sh_where *where)
{
	switch (where->rank) {
	case SH_RANK_DEFAULT:
		(void)snprintf(buf, size, "default");
		break;
	case SH_RANK_FILE:
		if (where->line)
			(void)snprintf(buf, size, "%s:%u", where->source, where->line);
		else
			(void)snprintf(buf, size, "%s", where->source);
		break;
	case SH_RANK_ENV_ALL:
	case SH_RANK_ENV_ALIAS:
	case SH_RANK_ENV:
		(void)snprintf(buf, size, "env %s", where->source);
		break;
	case SH_RANK_FLAG:
		(void)snprintf(buf, size, "%s", where->source);
		break;
	}
	sh_value_clean(buf); /* the name of a file or a variable may hold any byte */
	return buf;
}

void sh_config_problem(struct shunt_config *c, const struct sh_where *where, const char *key, const char *fmt, ...)
{
	struct sh_problem *p = &c->problems[c->problems_count];
	char text[1024];
	size_t used = 0;
	va_list ap;

	if (c->problems_count == SH_PROBLEMS_MAX) {
		c->problems_dropped++;
		return;
	}
	if (key)
		used = (size_t)snprintf(text, sizeof(text), "%s: ", key);
	assert(used < sizeof(text));
	va_start(ap, fmt);
	(void)vsnprintf(text + used, sizeof(text) - used, fmt, ap);
	va_end(ap);
	p->text = sh_config_strdup(text);
	if (!p->text) {
		c->no_memory = true;
		return;
	}
	p->where = *where;
	p->order = c->order++;
	p->from_check = c->in_check;
	c->problems_count++;
}

uint32_t sh_config_problems(const struct shunt_config *c)
{
	return c->problems_count + c->problems_dropped;
}

/* Files first, then the environment, then flags, then what no source sets. */
static int rank_class(enum sh_rank rank)
{
	return rank == SH_RANK_FILE ? 0 : rank == SH_RANK_FLAG ? 2 : rank == SH_RANK_DEFAULT ? 3 : 1;
}

static int problem_compare(const void *pa, const void *pb)
{
	const struct sh_problem *a = pa;
	const struct sh_problem *b = pb;
	int d = rank_class(a->where.rank) - rank_class(b->where.rank);

	if (d)
		return d;
	if (a->where.source != b->where.source && rank_class(a->where.rank) == 1)
		d = strcmp(a->where.source, b->where.source);
	if (d)
		return d;
	if (a->where.source == b->where.source && a->where.line != b->where.line)
		return a->where.line < b->where.line ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

/* A problem as a line of the report. */
static void problem_line(const struct shunt_config *c, uint32_t i, char *line, size_t size)
{
	char origin[512];

	(void)snprintf(line, size, "%s: %s\n", sh_config_origin(origin, sizeof(origin), &c->problems[i].where),
		       c->problems[i].text);
}

/* Writes the report into `room` bytes. Returns its length without the NUL, as snprintf does. */
static size_t report_write(const struct shunt_config *c, char *text, size_t room)
{
	size_t at = 0;
	uint32_t i;

	for (i = 0; i < c->problems_count; i++) {
		char line[2048];

		problem_line(c, i, line, sizeof(line));
		at += (size_t)snprintf(at < room ? text + at : NULL, at < room ? room - at : 0, "%s", line);
	}
	if (c->problems_dropped)
		at += (size_t)snprintf(at < room ? text + at : NULL, at < room ? room - at : 0, "and %u more\n", c->problems_dropped);
	return at;
}

void sh_config_detail(const struct shunt_config *c)
{
	char line[2048];
	size_t used = 0;
	uint32_t i;

	sh_error_detail_clear();
	for (i = 0; i < c->problems_count; i++) {
		problem_line(c, i, line, sizeof(line));
		used += strlen(line);
		if (used + sizeof("and 4294967295 more\n") > SH_ERROR_DETAIL_BYTES)
			break;
		if (!sh_error_detail_append("%s", line))
			break;
	}
	if (i < c->problems_count || c->problems_dropped)
		(void)sh_error_detail_append("and %u more\n", c->problems_count - i + c->problems_dropped);
}

int sh_config_report(struct shunt_config *c, uint32_t before)
{
	char *text = NULL;
	size_t room = 0;

	if (c->no_memory) {
		c->no_memory = false;
		return SHUNT_ENOMEM;
	}
	qsort(c->problems, c->problems_count, sizeof(c->problems[0]), problem_compare);
	room = report_write(c, NULL, 0) + 1;
	text = sh_config_alloc(room);
	if (!text)
		return SHUNT_ENOMEM;
	(void)report_write(c, text, room);
	sh_heap_free(c->report);
	c->report = text;
	if (sh_config_problems(c) <= before)
		return 0;
	sh_config_detail(c);
	return SHUNT_ECONFIG;
}

const char *shunt_config_errors(const struct shunt_config *c)
{
	return c && c->report ? c->report : "";
}

/* ---- items ---- */

struct sh_named *sh_config_single(const struct shunt_config *c, enum sh_section section)
{
	assert(!sh_section_named(section) && c->items[section].count == 1);
	return c->items[section].item[0];
}

/* The item of that name, or NULL. */
static struct sh_named *config_item(const struct shunt_config *c, enum sh_section section, const char *name)
{
	uint32_t i;

	for (i = 0; i < c->items[section].count; i++)
		if (strcmp(c->items[section].item[i]->name, name) == 0)
			return c->items[section].item[i];
	return NULL;
}

bool sh_config_same_folded(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		char x = *a == '-' ? '_' : (char)tolower((unsigned char)*a);
		char y = *b == '-' ? '_' : (char)tolower((unsigned char)*b);

		if (x != y)
			return false;
	}
	return *a == *b;
}

static uint32_t declared_count(const struct shunt_config *c, enum sh_section section)
{
	uint32_t n = 0;
	uint32_t i;

	for (i = 0; i < c->items[section].count; i++)
		n += sh_config_declared(c->items[section].item[i]);
	return n;
}

/* Moves an item to the end of the declaration order. */
static void item_move_last(struct sh_items *items, const struct sh_named *item)
{
	uint32_t i = 0;

	while (items->item[i] != item)
		i++;
	for (; i + 1 < items->count; i++) {
		struct sh_named *next = items->item[i + 1];

		items->item[i + 1] = items->item[i];
		items->item[i] = next;
	}
}

/* An item known only from the environment so far that may mean `name`. */
static struct sh_named *item_undeclared(const struct shunt_config *c, enum sh_section section, const char *name)
{
	uint32_t i;

	for (i = 0; i < c->items[section].count; i++) {
		struct sh_named *item = c->items[section].item[i];

		if (!sh_config_declared(item) && sh_config_same_folded(item->name, name))
			return item;
	}
	return NULL;
}

struct sh_named *sh_config_item_add(struct shunt_config *c, enum sh_section section, const char *name,
				   const struct sh_where *where, int *rc)
{
	const bool declares = where->rank == SH_RANK_FILE || where->rank == SH_RANK_FLAG;
	const uint32_t limit = section == SH_POOLS ? SHUNT_POOLS_MAX : SHUNT_TYPES_MAX;
	const char *wrong = sh_value_name(name);
	struct sh_named *item = NULL;
	char why[SH_KEY_WHY_MAX];

	*rc = 0;
	if (wrong) {
		sh_config_problem(c, where, sh_section_name(section), "%s", sh_name_say(why, sizeof(why), name, wrong));
		return NULL;
	}
	item = config_item(c, section, name);
	if (!item && declares)
		item = item_undeclared(c, section, name);
	if (declares && (!item || !sh_config_declared(item)) && declared_count(c, section) == limit) {
		sh_config_problem(c, where, sh_section_name(section), "'%s' is one too many; want at most %u", name, limit);
		return NULL;
	}
	if (!item)
		item = item_append(c, section, name);
	if (!item) {
		*rc = SHUNT_ENOMEM;
		return NULL;
	}
	if (declares && !sh_config_declared(item)) {
		memcpy(item->name, name, strlen(name) + 1);
		item->where = *where;
		item_move_last(&c->items[section], item);
	}
	if (item->mentioned.rank == SH_RANK_DEFAULT)
		item->mentioned = *where;
	return item;
}

uint32_t sh_config_used_count(const struct shunt_config *c, enum sh_section section)
{
	uint32_t n = declared_count(c, section);

	if (!sh_section_named(section))
		return 1;
	return n == 0 && section == SH_POOLS ? 1u : n;
}

struct sh_named *sh_config_used_at(const struct shunt_config *c, enum sh_section section, uint32_t i)
{
	uint32_t k;

	assert(i < sh_config_used_count(c, section));
	if (!sh_section_named(section))
		return sh_config_single(c, section);
	if (section == SH_POOLS && declared_count(c, section) == 0)
		return config_item(c, SH_POOLS, SH_POOL_DEFAULT);
	for (k = 0; k < c->items[section].count; k++)
		if (sh_config_declared(c->items[section].item[k]) && i-- == 0)
			break;
	return c->items[section].item[k];
}

uint32_t sh_config_pool_index(const struct shunt_config *c, const char *name)
{
	uint32_t n = sh_config_used_count(c, SH_POOLS);
	uint32_t i;

	for (i = 0; i < n; i++) {
		const char *have = sh_config_used_at(c, SH_POOLS, i)->name;

		if (have && strcmp(have, name) == 0)
			return i;
	}
	return UINT32_MAX;
}

/* ---- settings ---- */

static size_t key_index(const struct sh_key *key)
{
	size_t n = 0;

	return (size_t)(key - sh_section_keys(key->section, &n));
}

uint32_t sh_config_level_slot(const struct sh_key *key)
{
	size_t n = 0;
	const struct sh_key *first = sh_section_keys(key->section, &n);
	uint32_t slot = 0;

	assert(key->per_level);
	for (; first < key; first++)
		slot += first->per_level;
	assert(slot < SH_LEVEL_KEYS_MAX);
	return slot;
}

/* Checks "a, b,c" and writes "a,b,c" to out; false after a problem. */
static bool names_check(struct shunt_config *c, const struct sh_where *where, const struct sh_key *key, const char *path,
			const char *text, char *out)
{
	char name[SHUNT_LEVELS_MAX][SHUNT_NAME_MAX];
	uint32_t n = 0;
	char why[SH_KEY_WHY_MAX];
	const char *wrong = NULL;

	out[0] = '\0';
	while (!wrong) {
		size_t len = strcspn(text, ",");
		const char *next = text[len] ? text + len + 1 : NULL;
		char one[64];

		while (len && *text == ' ')
			text++, len--;
		while (len && text[len - 1] == ' ')
			len--;
		(void)snprintf(one, sizeof(one), "%.*s", (int)(len < 60 ? len : 60), text);
		wrong = sh_names_wrong(key, one, name, n);
		if (wrong) {
			sh_config_problem(c, where, path, "%s", sh_key_say(why, sizeof(why), key, one, wrong));
			return false;
		}
		memcpy(name[n++], one, strlen(one) + 1);
		(void)strcat(strcat(out, n > 1 ? "," : ""), one);
		if (!next)
			break;
		text = next;
	}
	return true;
}

/* The setting of a key per level, added if there is none; NULL when out of memory. */
static struct sh_setting *level_setting(struct sh_named *item, const struct sh_key *key, const char *level)
{
	uint32_t slot = sh_config_level_slot(key);
	uint32_t n = item->levels_count[slot];
	struct sh_level_setting *list = item->levels[slot];
	struct sh_level_setting *grown;
	uint32_t i;

	for (i = 0; i < n; i++)
		if (strcmp(list[i].level, level) == 0)
			return &list[i].set;
	if (SH_FAIL("config.alloc"))
		return NULL;
	if ((n & (n - 1)) == 0) { /* full at every power of two */
		grown = sh_heap_resize(list, n ? n * 2u : 1u, sizeof(*list));
		if (!grown)
			return NULL;
		list = grown;
	}
	item->levels[slot] = list;
	memset(&list[n], 0, sizeof(list[n]));
	(void)snprintf(list[n].level, sizeof(list[n].level), "%s", level);
	item->levels_count[slot]++;
	return &list[n].set;
}

int sh_config_put(struct shunt_config *c, const struct sh_where *where, const struct sh_key *key, struct sh_named *item,
		  const char *level, const char *text)
{
	char path[SH_KEY_PATH_MAX];
	char why[SH_KEY_WHY_MAX];
	char names[NAMES_TEXT_MAX + 1];
	struct sh_setting *set = NULL;
	char *copy = NULL;
	uint64_t num = 0;

	assert(key->per_level == (level != NULL));
	if (level && sh_value_name(level)) {
		char quoted[64];

		(void)sh_key_path(path, key, item->name, NULL);
		sh_config_problem(c, where, path, "'%s' is not a valid name; want the name of a level",
				  sh_value_quote(quoted, sizeof(quoted), level));
		return 0;
	}
	(void)sh_key_path(path, key, item->name[0] ? item->name : NULL, level);
	if (key->type == SH_KEY_NAMES) {
		if (!names_check(c, where, key, path, text, names))
			return 0;
		text = names;
	} else if (sh_key_parse(key, text, &num, why, sizeof(why))) {
		sh_config_problem(c, where, path, "%s", why);
		return 0;
	}
	set = level ? level_setting(item, key, level) : &item->set[key_index(key)];
	if (!set)
		return SHUNT_ENOMEM;
	if (set->where.rank > where->rank)
		return 0;
	if (key->type >= SH_KEY_STRING) {
		copy = sh_config_strdup(text);
		if (!copy)
			return SHUNT_ENOMEM;
	}
	sh_heap_free(set->text);
	*set = (struct sh_setting){ .where = *where, .num = num, .text = copy };
	return 0;
}

void sh_config_effective(const struct shunt_config *c, const struct sh_named *item, const struct sh_key *key,
			 const char *level, uint32_t level_index, struct sh_effective *out)
{
	const struct sh_setting *set = NULL;
	uint32_t i;

	if (key->per_level) {
		uint32_t slot = sh_config_level_slot(key);

		assert(level);
		for (i = 0; i < item->levels_count[slot] && !set; i++)
			if (strcmp(item->levels[slot][i].level, level) == 0)
				set = &item->levels[slot][i].set;
	} else {
		set = &item->set[key_index(key)];
	}
	if (key->section == SH_POOLS && key->env && (!set || set->where.rank < c->workers_all.where.rank))
		set = &c->workers_all;
	memset(out, 0, sizeof(*out));
	if (set && set->where.rank != SH_RANK_DEFAULT) {
		out->where = set->where;
		out->num = set->num;
		out->text = set->text;
		return;
	}
	out->num = sh_key_default(key, level_index);
	if (key->type >= SH_KEY_STRING && key->def[0] != '(')
		out->text = key->def;
}

void sh_config_get(const struct shunt_config *c, const struct sh_named *item, enum sh_section section, const char *field,
		   struct sh_effective *out)
{
	const struct sh_key *key = sh_key_find(section, field);

	assert(key && !key->per_level);
	sh_config_effective(c, item, key, NULL, 0, out);
}

uint32_t sh_config_levels(struct shunt_config *c)
{
	struct sh_effective names;
	uint32_t n = 0;
	uint32_t i;

	sh_config_get(c, sh_config_single(c, SH_RUNTIME), SH_RUNTIME, "levels", &names);
	n = sh_names_split(names.text, c->level_text);
	for (i = 0; i < n; i++)
		c->level_names[i] = c->level_text[i];
	return n;
}

uint32_t sh_config_level_index(const struct shunt_config *c, uint32_t levels, const char *name)
{
	uint32_t i;

	for (i = 0; i < levels; i++)
		if (strcmp(c->level_names[i], name) == 0)
			return i;
	return UINT32_MAX;
}
