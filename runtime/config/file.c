/*
 * config/file.c - YAML files into settings: shunt_config_load_file and shunt_config_load_text of
 * shunt/config.h. Walks the tree of yaml_load.c along the table of options. Continues after each problem,
 * so that one run reports all.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/thread.h"
#include "config/config.h"
#include "config/yaml_load.h"

struct walk {
	struct shunt_config *c;
	struct sh_yaml y;
	const char *name; /* of the file */
};

static struct sh_where where_at(const struct walk *w, unsigned line)
{
	return (struct sh_where){ .rank = SH_RANK_FILE, .line = line, .source = w->name };
}

static void on_yaml_problem(void *arg, unsigned line, const char *message)
{
	const struct walk *w = arg;
	struct sh_where where = where_at(w, line);

	sh_config_problem(w->c, &where, NULL, "%s", message);
}

static const char *kind_name(const struct walk *w, uint32_t node)
{
	static const char *const names[] = { "is a single value", "is a list", "is a mapping" };

	return sh_yaml_is_null(&w->y, node) ? "has no value" : names[w->y.nodes[node].kind];
}

/* "pools.io" + "." + a quoted key of the file. */
static void path_join(char *buf, const char *up, const char *key)
{
	char quoted[64];
	int n = snprintf(buf, SH_KEY_PATH_MAX, "%s%s%s", up, up[0] ? "." : "", sh_value_quote(quoted, sizeof(quoted), key));

	if (n < 0 || (size_t)n >= SH_KEY_PATH_MAX) /* only in a message about a key that is far too long */
		memcpy(buf + SH_KEY_PATH_MAX - sizeof("..."), "...", sizeof("..."));
}

/*
 * Iterates over the pairs of mapping `map`: *key and *value, false at the end. Reports and skips
 * keys that are no text or are repeated.
 */
static bool pair_next(struct walk *w, uint32_t map, const char *up, uint32_t *key, uint32_t *value)
{
	const struct sh_yaml_node *nodes = w->y.nodes;
	uint32_t at = *key == SH_YAML_NONE ? nodes[map].first : nodes[*value].next;

	for (; at != SH_YAML_NONE; at = nodes[nodes[at].next].next) {
		struct sh_where where = where_at(w, nodes[at].line);
		uint32_t old = nodes[map].first;
		char path[SH_KEY_PATH_MAX];

		if (nodes[at].refused)
			continue;
		if (nodes[at].kind != SH_YAML_SCALAR) {
			sh_config_problem(w->c, &where, up[0] ? up : NULL, "a key %s; want a name", kind_name(w, at));
			continue;
		}
		path_join(path, up, sh_yaml_text(&w->y, at));
		while (old != at && (nodes[old].kind != SH_YAML_SCALAR || nodes[old].refused ||
				     strcmp(sh_yaml_text(&w->y, old), sh_yaml_text(&w->y, at)) != 0))
			old = nodes[nodes[old].next].next;
		if (old != at) {
			sh_config_problem(w->c, &where, path, "duplicate key, first on line %u; want it once", nodes[old].line);
			continue;
		}
		*key = at;
		*value = nodes[at].next;
		return true;
	}
	return false;
}

/* True if `node` is a mapping to walk; an empty node counts as one. Reports anything else. */
static bool want_map(struct walk *w, uint32_t node, const char *path, const char *want)
{
	struct sh_where where = where_at(w, w->y.nodes[node].line);

	if (w->y.nodes[node].refused || sh_yaml_is_null(&w->y, node))
		return false;
	if (w->y.nodes[node].kind == SH_YAML_MAP)
		return true;
	sh_config_problem(w->c, &where, path, "%s; want %s", kind_name(w, node), want);
	return false;
}

static void unknown_key(struct walk *w, unsigned line, const char *path, const char *key, const char *const *known, size_t n)
{
	struct sh_where where = where_at(w, line);
	const char *meant = sh_value_nearest(key, known, n);
	char list[400];
	size_t used = 0;
	size_t i;

	list[0] = '\0';
	if (strcmp(key, "<<") == 0) {
		sh_config_problem(w->c, &where, path, "merge keys (<<) are not supported; write the keys out");
		return;
	}
	for (i = 0; i < n && used < sizeof(list); i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", known[i]);
	if (meant)
		sh_config_problem(w->c, &where, path, "unknown key; did you mean '%s'?", meant);
	else
		sh_config_problem(w->c, &where, path, "unknown key; want one of %s", list);
}

/* A list of names. Each element is checked at its own line, then the whole list is set. */
static int walk_list(struct walk *w, const struct sh_key *key, struct sh_named *item, uint32_t node, const char *path)
{
	const struct sh_yaml_node *nodes = w->y.nodes;
	struct sh_where where = where_at(w, nodes[node].line);
	char text[2 * SHUNT_LEVELS_MAX * SHUNT_NAME_MAX];
	char expect[160];
	uint32_t at;
	size_t used = 0;
	bool bad = false;

	(void)sh_key_expect(expect, sizeof(expect), key);
	if (nodes[node].kind != SH_YAML_LIST || nodes[node].first == SH_YAML_NONE) {
		sh_config_problem(w->c, &where, path, "%s; want %s",
				  nodes[node].kind == SH_YAML_LIST ? "is an empty list" : kind_name(w, node), expect);
		return 0;
	}
	text[0] = '\0';
	for (at = nodes[node].first; at != SH_YAML_NONE; at = nodes[at].next) {
		struct sh_where here = where_at(w, nodes[at].line);
		const char *s = sh_yaml_text(&w->y, at);
		const char *wrong = sh_value_name(s);
		char quoted[64];

		if (nodes[at].refused) {
			bad = true;
		} else if (nodes[at].kind != SH_YAML_SCALAR) {
			sh_config_problem(w->c, &here, path, "an entry %s; want %s", kind_name(w, at), expect);
			bad = true;
		} else if (wrong) {
			sh_config_problem(w->c, &here, path, "'%s' %s; want %s", sh_value_quote(quoted, sizeof(quoted), s), wrong, expect);
			bad = true;
		} else if (used + SHUNT_NAME_MAX < sizeof(text)) {
			/* A list that does not fit is also longer than allowed: reported below. */
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", used ? "," : "", s);
		}
	}
	return bad ? 0 : sh_config_put(w->c, &where, key, item, NULL, text);
}

static int walk_value(struct walk *w, const struct sh_key *key, struct sh_named *item, const char *level, uint32_t node,
		      const char *path)
{
	struct sh_where where = where_at(w, w->y.nodes[node].line);
	char expect[256];

	if (w->y.nodes[node].refused)
		return 0;
	if (key->type == SH_KEY_NAMES)
		return walk_list(w, key, item, node, path);
	if (w->y.nodes[node].kind != SH_YAML_SCALAR || sh_yaml_is_null(&w->y, node)) {
		sh_config_problem(w->c, &where, path, "%s; want %s", kind_name(w, node),
				  sh_key_expect(expect, sizeof(expect), key));
		return 0;
	}
	return sh_config_put(w->c, &where, key, item, level, sh_yaml_text(&w->y, node));
}

static int walk_levels(struct walk *w, const struct sh_key *field, struct sh_named *item, uint32_t node, const char *path)
{
	uint32_t key = SH_YAML_NONE;
	uint32_t value = SH_YAML_NONE;
	int rc = 0;

	if (!want_map(w, node, path, "a mapping of level names to values"))
		return 0;
	while (rc == 0 && pair_next(w, node, path, &key, &value)) {
		char sub[SH_KEY_PATH_MAX];

		path_join(sub, path, sh_yaml_text(&w->y, key));
		rc = walk_value(w, field, item, sh_yaml_text(&w->y, key), value, sub);
	}
	return rc;
}

static int walk_item(struct walk *w, enum sh_section section, struct sh_named *item, uint32_t node, const char *path)
{
	uint32_t key = SH_YAML_NONE;
	uint32_t value = SH_YAML_NONE;
	const char *known[32];
	size_t n = 0;
	const struct sh_key *keys = sh_section_keys(section, &n);
	size_t i;
	int rc = 0;

	assert(n <= SH_COUNT(known));
	for (i = 0; i < n; i++)
		known[i] = keys[i].field;
	if (!want_map(w, node, path, "a mapping of keys to values"))
		return 0;
	while (rc == 0 && pair_next(w, node, path, &key, &value)) {
		const char *text = sh_yaml_text(&w->y, key);
		const struct sh_key *found = sh_key_find(section, text);
		char sub[SH_KEY_PATH_MAX];

		path_join(sub, path, text);
		if (!found)
			unknown_key(w, w->y.nodes[key].line, sub, text, known, n);
		else if (found->per_level)
			rc = walk_levels(w, found, item, value, sub);
		else
			rc = walk_value(w, found, item, NULL, value, sub);
	}
	return rc;
}

static int walk_section(struct walk *w, enum sh_section section, uint32_t node)
{
	const char *path = sh_section_name(section);
	uint32_t key = SH_YAML_NONE;
	uint32_t value = SH_YAML_NONE;
	int rc = 0;

	if (!sh_section_named(section))
		return walk_item(w, section, sh_config_single(w->c, section), node, path);
	if (!want_map(w, node, path, "a mapping of names to their keys"))
		return 0;
	while (rc == 0 && pair_next(w, node, path, &key, &value)) {
		struct sh_where where = where_at(w, w->y.nodes[key].line);
		char sub[SH_KEY_PATH_MAX];
		struct sh_named *item = sh_config_item_add(w->c, section, sh_yaml_text(&w->y, key), &where, &rc);

		path_join(sub, path, sh_yaml_text(&w->y, key));
		if (item)
			rc = walk_item(w, section, item, value, sub);
	}
	return rc;
}

static int walk_document(struct walk *w)
{
	uint32_t key = SH_YAML_NONE;
	uint32_t value = SH_YAML_NONE;
	const char *known[SH_SECTIONS];
	uint32_t s;
	int rc = 0;

	for (s = 0; s < SH_SECTIONS; s++)
		known[s] = sh_section_name((enum sh_section)s);
	if (w->y.count == 0 || !want_map(w, 0, NULL, "a mapping of sections: runtime, pools, types, log"))
		return 0;
	while (rc == 0 && pair_next(w, 0, "", &key, &value)) {
		const char *text = sh_yaml_text(&w->y, key);
		char path[SH_KEY_PATH_MAX];

		for (s = 0; s < SH_SECTIONS && strcmp(text, known[s]) != 0; s++)
			;
		path_join(path, "", text);
		if (s == SH_SECTIONS)
			unknown_key(w, w->y.nodes[key].line, path, text, known, SH_SECTIONS);
		else
			rc = walk_section(w, (enum sh_section)s, value);
	}
	return rc;
}

int shunt_config_load_text(struct shunt_config *c, const char *name, const char *text, size_t len)
{
	struct walk w = { .c = c };
	uint32_t before = 0;
	int rc = 0;
	int report = 0;

	sh_error_detail_clear();
	if (!c || !name || (!text && len))
		return sh_error_set(SHUNT_EINVAL, "config: " SH_NO_ARGUMENT);
	before = sh_config_problems(c);
	w.name = sh_config_source(c, name);
	if (!w.name)
		return SHUNT_ENOMEM;
	rc = sh_yaml_load(&w.y, text ? text : "", len, on_yaml_problem, &w);
	if (rc == 0)
		rc = walk_document(&w);
	sh_yaml_free(&w.y);
	report = sh_config_report(c, before);
	return rc == SHUNT_ENOMEM ? rc : report;
}

int shunt_config_load_file(struct shunt_config *c, const char *path)
{
	SH_NO_CANCEL;
	char why[SH_FILE_WHY_MAX];
	char *buf = NULL;
	size_t len = 0;
	int rc = 0;

	sh_error_detail_clear();
	if (!c || !path)
		return sh_error_set(SHUNT_EINVAL, "config: " SH_NO_ARGUMENT);
	rc = sh_file_read(path, SH_YAML_BYTES_MAX, &buf, &len, why);
	if (rc == SHUNT_EIO) {
		struct sh_where where = { .rank = SH_RANK_FILE, .source = sh_config_source(c, path) };

		if (where.source)
			sh_config_problem(c, &where, NULL, "cannot be read: %s%s", why,
					  strstr(why, "want") ? "" : "; want a readable file");
		rc = sh_config_report(c, sh_config_problems(c));
		if (rc == 0)
			sh_config_detail(c);
		rc = rc || !where.source ? SHUNT_ENOMEM : SHUNT_EIO;
	} else if (rc == SHUNT_OK) {
		rc = shunt_config_load_text(c, path, buf, len);
	}
	sh_heap_free(buf);
	return rc;
}
