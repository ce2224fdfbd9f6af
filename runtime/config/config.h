/*
 * config/config.h - the configuration object: the settings of every section with their origin, and
 * the list of problems.
 * Called by file.c, env.c, check.c, explain.c and apply.c, which implement the rest of
 * shunt/config.h.
 *
 * A section has items: runtime and log have one without a name, pools and types one per name. An
 * item has one setting per key of its section; for keys per level, one per level named. A setting
 * keeps the value of the strongest source; of equal sources the last one wins. The text of a name
 * is checked when it is set, references between keys in shunt_config_check.
 *
 * Thread: one at a time per object. Blocks: in the allocator only.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CONFIG_CONFIG_H
#define SH_CONFIG_CONFIG_H

#include <shunt/config.h>

#include "base/options.h"

/* Weak to strong. */
enum sh_rank {
	SH_RANK_DEFAULT,
	SH_RANK_ENV_ALL,   /* a variable that is the default of every pool: WORKER_CONCURRENCY */
	SH_RANK_FILE,
	SH_RANK_ENV_ALIAS, /* LOG_LEVEL */
	SH_RANK_ENV,       /* SHUNT_LOG_LEVEL */
	SH_RANK_FLAG
};

/* Origin of a value. */
struct sh_where {
	enum sh_rank rank;
	unsigned line;      /* of a file, else 0 */
	const char *source; /* file name, variable or flag; owned by the config (sh_config_source) or constant */
};

struct sh_setting {
	struct sh_where where;
	uint64_t num;
	char *text; /* of texts and references; "a,b,c" of a list; NULL for numbers */
};

struct sh_level_setting {
	char level[SHUNT_NAME_MAX];
	struct sh_setting set;
};

struct sh_named {
	char name[SHUNT_NAME_MAX];
	struct sh_where where;     /* first mention by a file or flag; rank default if only the environment names it */
	struct sh_where mentioned; /* first mention of all */
	struct sh_setting *set;    /* one per key of the section */
	struct sh_level_setting *levels[2]; /* of the per-level keys, in the order of the table */
	uint32_t levels_count[2];
};

struct sh_items {
	struct sh_named **item;
	uint32_t count, capacity;
};

struct sh_problem {
	struct sh_where where;
	uint32_t order;
	bool from_check; /* removed before the check runs again */
	char *text;      /* "key: what; what would be right" */
};

struct sh_binding {
	char *name;
	shunt_handler_fn fn;
};

#define SH_PROBLEMS_MAX 100u
#define SH_LEVEL_KEYS_MAX 2u
#define SH_POOL_DEFAULT "main" /* the pool of a configuration that declares none; always among the items */

struct shunt_config {
	struct sh_items items[SH_SECTIONS];
	struct sh_setting workers_all; /* WORKER_CONCURRENCY */
	struct sh_problem problems[SH_PROBLEMS_MAX];
	uint32_t problems_count;
	uint32_t problems_dropped;
	uint32_t order;
	bool in_check;
	bool no_memory;   /* a problem could not be kept */
	char *report;     /* the text of shunt_config_errors */
	/* Kubernetes' variables of the last load that were passed over, "A, B"; NULL = none */
	char *links;
	char **sources;
	uint32_t sources_count, sources_capacity;
	struct sh_binding *bindings;
	uint32_t bindings_count, bindings_capacity;
	char level_text[SHUNT_LEVELS_MAX][SHUNT_NAME_MAX]; /* sh_config_levels: the effective names */
	const char *level_names[SHUNT_LEVELS_MAX];
};

/* sh_heap_alloc with a failure point: zeroed, freed by sh_heap_free. */
void *sh_config_alloc(size_t size) SH_MUST_USE;
char *sh_config_strdup(const char *s) SH_MUST_USE;
/* Ensures capacity for one more entry of `size` bytes in *array. 0 or SHUNT_ENOMEM. */
int sh_config_reserve(void **array, uint32_t count, uint32_t *capacity, size_t size) SH_MUST_USE;
/* A copy of `name` that lives as long as c; equal names share one. NULL when out of memory. */
const char *sh_config_source(struct shunt_config *c, const char *name) SH_MUST_USE;

/* Adds "key: message" to the problems. `key` may be NULL. */
void sh_config_problem(struct shunt_config *c, const struct sh_where *where, const char *key, const char *fmt, ...)
	SH_PRINTF(4, 5);
/*
 * Rebuilds the report; every public call that may add problems ends with it. SHUNT_ECONFIG if there
 * are more than `before`, else 0; SHUNT_ENOMEM.
 */
int sh_config_report(struct shunt_config *c, uint32_t before) SH_MUST_USE;
uint32_t sh_config_problems(const struct shunt_config *c);
/* Makes the list of problems the error's detail: whole lines, as many as it holds, and how many more there are. */
void sh_config_detail(const struct shunt_config *c);
/* "file:12", "env LOG_LEVEL", "--set", "default". Returns buf. */
char *sh_config_origin(char *buf, size_t size, const struct sh_where *where);

/* The only item of runtime or log. */
struct sh_named *sh_config_single(const struct shunt_config *c, enum sh_section section);
/* Finds or adds an item. NULL after a problem (bad name, too many) or when out of memory (*rc). */
struct sh_named *sh_config_item_add(struct shunt_config *c, enum sh_section section, const char *name,
				   const struct sh_where *where, int *rc);
/* True if a and b differ only in '-', '_' and capitals: then one variable names both. */
bool sh_config_same_folded(const char *a, const char *b);
/*
 * Checks one value and stores it unless a stronger source has set it. A bad value is a problem.
 * `level` is the name for keys per level, else NULL. 0 or SHUNT_ENOMEM.
 */
int sh_config_put(struct shunt_config *c, const struct sh_where *where, const struct sh_key *key, struct sh_named *item,
		  const char *level, const char *text) SH_MUST_USE;

/* True for an item that a file or flag declared. The environment changes only declared items. */
static inline bool sh_config_declared(const struct sh_named *item)
{
	return item->where.rank != SH_RANK_DEFAULT;
}

/* The items in use: the declared ones, for pools the default one if there are none. */
uint32_t sh_config_used_count(const struct shunt_config *c, enum sh_section section);
struct sh_named *sh_config_used_at(const struct shunt_config *c, enum sh_section section, uint32_t i);
/* Index of a pool in use, or UINT32_MAX. */
uint32_t sh_config_pool_index(const struct shunt_config *c, const char *name);
/* Splits the effective level names into c->level_names; their number. */
uint32_t sh_config_levels(struct shunt_config *c);
/* Index of a level after sh_config_levels, or UINT32_MAX. */
uint32_t sh_config_level_index(const struct shunt_config *c, uint32_t levels, const char *name);

/* The effective value of a key. */
struct sh_effective {
	struct sh_where where; /* rank default if nothing has set it */
	uint64_t num;
	const char *text;      /* of texts; NULL when the default depends on other keys */
};

/* `level` (a name) and its index for keys per level, else NULL and 0. */
void sh_config_effective(const struct shunt_config *c, const struct sh_named *item, const struct sh_key *key,
			 const char *level, uint32_t level_index, struct sh_effective *out);
/* The same by name of the field. */
void sh_config_get(const struct shunt_config *c, const struct sh_named *item, enum sh_section section, const char *field,
		   struct sh_effective *out);
/* Which of item->levels a key per level uses. */
uint32_t sh_config_level_slot(const struct sh_key *key);

#endif
