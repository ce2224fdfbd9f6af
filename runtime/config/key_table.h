/*
 * config/key_table.h - the one table of configuration keys. The parser, the environment, the checks, the explain
 * call, docs/CONFIG.md and the options structs all come from it: a key that is not here does not exist, and a key
 * that is here names the field it sets. Called by the rest of runtime/config, by `shunt config` and by tests.
 *
 * Thread: any; everything here is constant. Blocks: never.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CONFIG_KEY_TABLE_H
#define SH_CONFIG_KEY_TABLE_H

#include "base/compiler.h"
#include "config/value.h"

enum sh_section { SH_RUNTIME, SH_POOLS, SH_TYPES, SH_LOG, SH_SECTIONS };

enum sh_key_type {
	SH_KEY_INT,
	SH_KEY_POW2,
	SH_KEY_SIZE,
	SH_KEY_DURATION,
	SH_KEY_PERCENT,
	SH_KEY_BOOL,
	SH_KEY_ENUM,  /* the first word is the value 1 */
	SH_KEY_STRING,
	SH_KEY_PLACE,
	SH_KEY_NAME,
	SH_KEY_NAMES, /* a list of names */
	SH_KEY_POOL,  /* the name of a pool */
	SH_KEY_LEVEL  /* the name of a level */
};

/* What apply.c stores the value into. */
enum sh_store {
	SH_STORE_NUMBER, /* an integer or enum of `width` bytes at `offset` */
	SH_STORE_TEXT,   /* a const char * at `offset` */
	SH_STORE_FLAG,   /* sets `bit` in the uint32_t at `offset` */
	SH_STORE_LEVEL,  /* SHUNT_LEVEL(n) in the uint8_t at `offset` */
	SH_STORE_ARRAY,  /* uint32_t [SHUNT_LEVELS_MAX] at `offset`: one key per level */
	SH_STORE_OTHER   /* by hand in apply.c */
};

struct sh_key {
	enum sh_section section;
	const char *field;        /* "workers" */
	enum sh_key_type type;
	bool per_level;           /* the key is a mapping of level name to value */
	const char *unit;         /* what is counted, for the documentation; NULL = none */
	uint64_t min, max;        /* of numbers; bytes of a string; entries of a list */
	const char *def;          /* as in a file; "(...)" = described: it depends on other keys */
	const char *word;         /* a word allowed instead of a number, or NULL */
	uint64_t word_value;
	const char *const *words; /* of an enum, NULL-terminated */
	const char *env;          /* a second variable beside SHUNT_<PATH>, or NULL */
	enum sh_store store;
	uint16_t offset, width;
	uint32_t bit;
	const char *help;
};

extern const struct sh_key sh_keys[];
extern const size_t sh_keys_count;

#define SH_KEY_PATH_MAX 160u

const char *sh_section_name(enum sh_section section);
/* True for sections that map names to their keys (pools, types). */
bool sh_section_named(enum sh_section section);
/* First key of a section and how many there are; keys of a section are neighbours. */
const struct sh_key *sh_section_keys(enum sh_section section, size_t *count);
/* The key called `field`, or NULL. */
const struct sh_key *sh_key_find(enum sh_section section, const char *field);
/* "pools.io.weights.high"; item or level NULL where the key has none; "*" makes a pattern. Returns buf[SH_KEY_PATH_MAX]. */
char *sh_key_path(char *buf, const struct sh_key *key, const char *item, const char *level);
/* "an integer from 1 to 256, or auto": the end of every message about a value of this key. Returns buf. */
char *sh_key_expect(char *buf, size_t size, const struct sh_key *key);
/*
 * Checks one scalar. 0 and *num (numbers, enums, booleans) or nothing (texts), or SHUNT_ECONFIG and a message
 * "what; what would be right" in why.
 */
int sh_key_parse(const struct sh_key *key, const char *text, uint64_t *num, char *why, size_t size) SH_MUST_USE;
/* The text of a number of this key. buf has SH_VALUE_TEXT bytes; returns it or a constant. */
const char *sh_key_print(char *buf, const struct sh_key *key, uint64_t num);

#endif
