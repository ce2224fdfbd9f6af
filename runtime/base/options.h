/*
 * base/options.h - the one table of options. A row is a key of the configuration and the field of an options struct
 * that it sets, with unit, range, default and help. From it come the parser, the environment, the explain call and
 * docs/CONFIG.md, and the check and the defaults of what the C API is given (life/options.c). A rule about a value is
 * here once, with its words, so that a file and a struct get one verdict. Called by runtime/config, runtime/life,
 * `shunt config` and tests.
 *
 * Thread: any; everything here is constant. Blocks: never. A function that writes a message returns its buf.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_BASE_OPTIONS_H
#define SH_BASE_OPTIONS_H

#include <shunt/job.h>

#include "base/compiler.h"
#include "base/value.h"

enum sh_section { SH_RUNTIME, SH_POOLS, SH_TYPES, SH_LOG, SH_SECTIONS };

enum sh_key_type {
	SH_KEY_INT,
	SH_KEY_SIGNED, /* the same in two's complement, 0 = the default 0 */
	SH_KEY_POW2,
	SH_KEY_SIZE,
	SH_KEY_DURATION,
	SH_KEY_PERCENT,
	SH_KEY_BOOL,
	SH_KEY_ENUM,  /* the first word is the value 1 */
	SH_KEY_STRING,
	SH_KEY_PLACE,
	SH_KEY_SIGNALS, /* base/signals.h */
	SH_KEY_NAME,
	SH_KEY_NAMES, /* a list of names */
	SH_KEY_POOL,  /* the name of a pool */
	SH_KEY_LEVEL  /* the name of a level */
};

/* The field of the options struct. In a field, 0 is the default. */
enum sh_store {
	SH_STORE_NUMBER, /* an integer or enum of `width` bytes at `offset` */
	SH_STORE_TEXT,   /* a const char * at `offset` */
	SH_STORE_FLAG,   /* sets `bit` in the uint32_t at `offset` */
	SH_STORE_LEVEL,  /* SHUNT_LEVEL(n) in the uint8_t at `offset` */
	SH_STORE_ARRAY,  /* uint32_t [SHUNT_LEVELS_MAX] at `offset`: one key per level */
	SH_STORE_OTHER   /* no single field: by hand in config/apply.c and life/options.c */
};

/* A key that counts only with some values of another one of its section. */
struct sh_need {
	const char *field; /* the enum key that decides */
	uint32_t values;   /* bit per value of it */
	const char *want;  /* "level_mode weighted" */
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
	uint64_t api_value;       /* of an enum: a value without a word, which only a program can give; 0 = none */
	struct sh_need need;      /* field NULL = none */
	const char *env;          /* a second variable beside SHUNT_<PATH>, or NULL */
	enum sh_store store;
	uint16_t offset, width;
	uint32_t bit;
	const char *help;
};

extern const struct sh_key sh_keys[];
extern const size_t sh_keys_count;

#define SH_KEY_PATH_MAX 160u
#define SH_KEY_WHY_MAX 512u /* bytes for any message below */
#define SH_NAME_WANT "a name of 1 to 31 characters a-z 0-9 _ -"
_Static_assert(SHUNT_NAME_MAX == 32, "SH_NAME_WANT");

const char *sh_section_name(enum sh_section section);
/* True for sections that map names to their keys (pools, types). */
bool sh_section_named(enum sh_section section);
/* First key of a section and how many there are; keys of a section are neighbours. */
const struct sh_key *sh_section_keys(enum sh_section section, size_t *count);
/* The key called `field`, or NULL. */
const struct sh_key *sh_key_find(enum sh_section section, const char *field);
/* "pools.io.weights.high"; item or level NULL where the key has none. Returns buf[SH_KEY_PATH_MAX]. */
char *sh_key_path(char *buf, const struct sh_key *key, const char *item, const char *level);
/* "an integer from 1 to 256, or auto": the end of every message about a value of this key. */
char *sh_key_expect(char *buf, size_t size, const struct sh_key *key);
/* The text of a number of this key. buf has SH_VALUE_TEXT bytes; returns it or a constant. */
const char *sh_key_print(char *buf, const struct sh_key *key, uint64_t num);
/* The number that a key has when nobody sets it; 0 for texts. `level` is an index for keys per level, else 0. */
uint64_t sh_key_default(const struct sh_key *key, uint32_t level);
/* Splits the list of names that sh_names_wrong has passed; returns how many. */
uint32_t sh_names_split(const char *list, char name[SHUNT_LEVELS_MAX][SHUNT_NAME_MAX]);

/* The number in the key's field of the struct at `opts`; `level` counts for an SH_STORE_ARRAY only. */
uint64_t sh_key_load(const struct sh_key *key, const void *opts, uint32_t level);
void sh_key_store(const struct sh_key *key, void *opts, uint32_t level, uint64_t num);

/* ---- rules: each returns NULL or says what is wrong, in words that continue "'250' ..." ---- */

/* A number, enum or boolean, which is not the special word's. */
const char *sh_key_wrong(const struct sh_key *key, uint64_t num);
/* A text, name or place. */
const char *sh_key_text_wrong(const struct sh_key *key, const char *text);
/* The next name of a list of `n` good ones, for a key of type SH_KEY_NAMES. */
const char *sh_names_wrong(const struct sh_key *key, const char *next, char have[][SHUNT_NAME_MAX], uint32_t n);
/* Does the key count while the key that it needs has this value? */
bool sh_need_met(const struct sh_need *need, uint64_t value);

/* ---- messages: "what; what would be right" ---- */

/* "'257' is out of range; want an integer from 1 to 256, or auto". */
char *sh_key_say(char *buf, size_t size, const struct sh_key *key, const char *value, const char *wrong);
/* Of a key whose need is not met: "has no effect with idle park; want idle adaptive, or not this key". */
char *sh_need_say(char *buf, size_t size, const struct sh_key *key, uint64_t value);
/* Of the name of a pool or type. */
char *sh_name_say(char *buf, size_t size, const char *name, const char *wrong);
/* "no level 'hihg'; did you mean 'high'?" `what` is the kind of thing of which there are the `n` names `known`. */
char *sh_unknown_say(char *buf, size_t size, const char *what, const char *name, const char *const *known, size_t n);
/* "io, cpu": at most 16 of them. */
char *sh_names_join(char *buf, size_t size, const char *const *name, size_t n);
/* A worker must be left for the last level: NULL, or the message about pools.NAME.reserved. */
char *sh_reserved_say(char *buf, size_t size, uint64_t sum, uint64_t workers);

/* ---- settings of a pool without effect, by what else is set: one table for a file and a struct ---- */

#define SH_POOL_RULES 7u

/* What the rules ask about a pool; 0 is automatic, or not set. */
struct sh_pool_facts {
	uint64_t levels, workers, level_mode, pin, guard_every, async_max, async_pool_max;
	uint64_t reserved_sum, reserved_last; /* of all levels, of the last one */
	bool place, weights;                  /* set */
};

/* The key that rule `rule` is about, and the keys that decide with it: NULL-terminated, of the pool but "levels". */
const char *const *sh_pool_rule_keys(uint32_t rule);
/* NULL if the rule is kept, else why the key has no effect. */
char *sh_pool_rule_say(char *buf, size_t size, uint32_t rule, const struct sh_pool_facts *f);

/*
 * Checks one scalar of a file. 0 and *num (numbers, enums, booleans) or nothing (texts), or SHUNT_ECONFIG and a message
 * "what; what would be right" in why.
 */
int sh_key_parse(const struct sh_key *key, const char *text, uint64_t *num, char *why, size_t size) SH_MUST_USE;

#endif
