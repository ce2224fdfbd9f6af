/*
 * config/yaml_load.h - a YAML text as a tree of nodes with line numbers; the only user of libyaml.
 * Called by file.c.
 *
 * One document of mappings, lists and scalars. Anchors, aliases, tags and complex keys are refused:
 * with them a reader of the file could not see what a key is set to. SH_YAML_BYTES_MAX,
 * SH_YAML_DEPTH_MAX and SH_YAML_ENTRIES_MAX bound the cost of a hostile file. Thread: any, one at a
 * time per tree. Blocks: never.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CONFIG_YAML_LOAD_H
#define SH_CONFIG_YAML_LOAD_H

#include "base/compiler.h"

#define SH_YAML_BYTES_MAX (1u << 20)
#define SH_YAML_DEPTH_MAX 8u
#define SH_YAML_ENTRIES_MAX 2048u /* of one mapping or list */
#define SH_YAML_NONE UINT32_MAX

enum sh_yaml_kind { SH_YAML_SCALAR, SH_YAML_LIST, SH_YAML_MAP };

struct sh_yaml_node {
	enum sh_yaml_kind kind;
	unsigned line;      /* from 1 */
	bool plain;         /* a scalar without quotes */
	bool refused;       /* reported already (an alias, a tag): take no value from it */
	uint32_t text;      /* offset in sh_yaml.text, NUL-terminated */
	uint32_t first;     /* first child, or SH_YAML_NONE; a mapping's children are key, value, key, value */
	uint32_t next;      /* next sibling, or SH_YAML_NONE */
};

/* Node 0 is the document; count 0 = the document is empty. */
struct sh_yaml {
	struct sh_yaml_node *nodes;
	uint32_t count, capacity;
	char *text;
	uint32_t text_used, text_capacity;
};

/* Called for each problem, "what is wrong; what would be right". */
typedef void (*sh_yaml_problem_fn)(void *arg, unsigned line, const char *message);

/*
 * Fills *out; the caller frees it with sh_yaml_free after every return. 0, SHUNT_ENOMEM, or
 * SHUNT_ECONFIG when the text is no YAML or exceeds a bound: then *out is empty. Refused nodes are
 * problems too, but the rest is loaded.
 */
int sh_yaml_load(struct sh_yaml *out, const char *text, size_t len, sh_yaml_problem_fn problem, void *arg) SH_MUST_USE;
void sh_yaml_free(struct sh_yaml *y);

/* The text of a scalar. */
const char *sh_yaml_text(const struct sh_yaml *y, uint32_t node);
/* True for a plain scalar that stands for nothing: empty, ~ or null. */
bool sh_yaml_is_null(const struct sh_yaml *y, uint32_t node);

#endif
