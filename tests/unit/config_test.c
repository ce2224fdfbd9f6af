/*
 * tests/unit/config_test.c - the configuration object: precedence and origin, that every key of the table changes a
 * field of the options through every source, environment names, all problems in one go, failing allocations, and a
 * runtime made from a file.
 *
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <inttypes.h>

#include "base/inject.h"
#include "config/apply.h"

#define TEXT_MAX 16384u

static struct shunt_config *config_new(void)
{
	struct shunt_config *c = NULL;

	assert_int_equal(shunt_config_create(&c), 0);
	return c;
}

static int load(struct shunt_config *c, const char *text)
{
	return shunt_config_load_text(c, "f.yaml", text, strlen(text));
}

static struct shunt_config *config_of(const char *text)
{
	struct shunt_config *c = config_new();

	if (load(c, text) || shunt_config_check(c))
		fail_msg("%s", shunt_config_errors(c));
	return c;
}

struct lookup {
	const char *key;
	char value[128], origin[128];
	unsigned seen;
};

static int on_key(void *arg, const char *key, const char *value, const char *origin, const char *help)
{
	struct lookup *l = arg;

	assert_true(help[0] != '\0');
	if (strcmp(key, l->key) == 0) {
		l->seen++;
		(void)snprintf(l->value, sizeof(l->value), "%s", value);
		(void)snprintf(l->origin, sizeof(l->origin), "%s", origin);
	}
	return 0;
}

static void expect(const struct shunt_config *c, const char *key, const char *value, const char *origin)
{
	struct lookup l = { .key = key };

	assert_int_equal(shunt_config_visit(c, on_key, &l), 0);
	if (l.seen != 1 || strcmp(l.value, value) != 0 || strcmp(l.origin, origin) != 0)
		fail_msg("%s: want '%s' from '%s', got %u times '%s' from '%s'", key, value, origin, l.seen, l.value, l.origin);
}

/* ---- precedence ---- */

enum { FROM_FILE = 1, FROM_ALIAS = 2, FROM_ENV = 4, FROM_FLAG = 8, FROM_ALL = 16 };

static void load_one(struct shunt_config *c, unsigned source)
{
	static const char *const alias[] = { "LOG_LEVEL=error", NULL };
	static const char *const full[] = { "SHUNT_LOG_LEVEL=info", NULL };

	if (source == FROM_FILE)
		assert_int_equal(load(c, "log:\n  level: debug\n"), 0);
	else if (source == FROM_ALIAS)
		assert_int_equal(shunt_config_load_env(c, alias), 0);
	else if (source == FROM_ENV)
		assert_int_equal(shunt_config_load_env(c, full), 0);
	else
		assert_int_equal(shunt_config_set(c, "--log", "log.level=warn"), 0);
}

/* Every subset of the sources, in both orders: the strongest wins. */
static void precedence(void **state)
{
	static const char *const value[] = { "debug", "error", "info", "warn" };
	static const char *const origin[] = { "f.yaml:2", "env LOG_LEVEL", "env SHUNT_LOG_LEVEL", "--log" };

	(void)state;
	for (unsigned set = 0; set < 2 * FROM_ALL; set++) {
		struct shunt_config *c = config_new();
		int best = -1;

		for (unsigned i = 0; i < 4; i++) {
			unsigned at = set & FROM_ALL ? 3 - i : i;

			if (!(set & 1u << at))
				continue;
			load_one(c, 1u << at);
			best = (int)at > best ? (int)at : best;
		}
		assert_int_equal(shunt_config_check(c), 0);
		expect(c, "log.level", best < 0 ? "warn" : value[best], best < 0 ? "default" : origin[best]);
		shunt_config_destroy(c);
	}
}

static void precedence_of_concurrency(void **state)
{
	static const char *const env[] = { "WORKER_CONCURRENCY=20", NULL };
	static const char *const both[] = { "WORKER_CONCURRENCY=20", "SHUNT_POOLS_B_WORKERS=30", NULL };
	struct shunt_config *c = config_new();
	struct shunt_pool_opts o;

	(void)state;
	/* Without any pool the default one takes it. */
	assert_int_equal(shunt_config_load_env(c, env), 0);
	assert_int_equal(shunt_config_check(c), 0);
	expect(c, "pools.main.workers", "20", "env WORKER_CONCURRENCY");
	/* It is weaker than a pool's own number, whatever said it. */
	assert_int_equal(load(c, "pools:\n  a:\n    workers: 3\n  b:\n  c:\n"), 0);
	assert_int_equal(shunt_config_load_env(c, both), 0);
	assert_int_equal(shunt_config_check(c), 0);
	expect(c, "pools.a.workers", "3", "f.yaml:3");
	expect(c, "pools.b.workers", "30", "env SHUNT_POOLS_B_WORKERS");
	expect(c, "pools.c.workers", "20", "env WORKER_CONCURRENCY");
	assert_int_equal(sh_config_used_count(c, SH_POOLS), 3);
	sh_config_pool_opts(c, 2, &o);
	assert_int_equal(o.workers, 20);
	assert_string_equal(o.name, "c");
	shunt_config_destroy(c);
}

static void last_of_equals(void **state)
{
	struct shunt_config *c = config_new();

	(void)state;
	assert_int_equal(shunt_config_load_text(c, "a", "log: { level: info }", 20), 0);
	assert_int_equal(shunt_config_load_text(c, "b", "log: { level: debug }", 21), 0);
	expect(c, "log.level", "debug", "b:1");
	assert_int_equal(shunt_config_set(c, "--x", "log.level=warn"), 0);
	assert_int_equal(shunt_config_set(c, "--y", "log.level=error"), 0);
	expect(c, "log.level", "error", "--y");
	shunt_config_destroy(c);
}

/* ---- every key ---- */

static const char base_text[] = "runtime:\n  levels: [l0, l1, l2]\npools:\n  p:\n  q:\n"
				"types:\n  t:\n    pool: p\n";

static size_t add(char *buf, size_t used, const char *fmt, ...) SH_PRINTF(3, 4);

static size_t add(char *buf, size_t used, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf + used, TEXT_MAX - used, fmt, ap);
	va_end(ap);
	assert_true(n >= 0 && used + (size_t)n < TEXT_MAX);
	return used + (size_t)n;
}

/* All options structs as text, by value: pointers would differ without any effect. */
static void dump(struct shunt_config *c, char buf[TEXT_MAX])
{
	struct shunt_runtime_opts r;
	size_t n = 0;

	sh_config_runtime_opts(c, &r);
	n = add(buf, n, "%s %u %u %u %u %u %d %d %" PRIu64 ":", r.name, r.jobs_max, r.handles_max, r.groups_max,
		r.submitters_max, r.cpu_budget, (int)r.cpu_mask, (int)r.log_level, r.trim_after_ns);
	for (uint32_t i = 0; i < r.levels; i++)
		n = add(buf, n, " %s", r.level_names[i]);
	for (uint32_t i = 0; i < sh_config_used_count(c, SH_POOLS); i++) {
		struct shunt_pool_opts p;

		sh_config_pool_opts(c, i, &p);
		n = add(buf, n, "\n%s %u %u %s %d %u %d %" PRIu64 " %d %u %d %u %d %u %u %u %u", p.name, p.workers, p.spares_max,
			p.place ? p.place : "-", (int)p.pin, p.pin_required, (int)p.idle, p.spin_ns, (int)p.level_mode, p.guard_every,
			(int)p.strategy, p.queue_max, (int)p.on_full, p.async_max, p.async_pool_max, p.key_slots, p.ring_capacity);
		n = add(buf, n, " %u %" PRIu64 " %d %s", p.pinned_capacity, p.stack_bytes, p.nice, p.signals);
		for (uint32_t k = 0; k < SHUNT_LEVELS_MAX; k++)
			n = add(buf, n, " %u/%u", p.weights[k], p.reserved[k]);
	}
	for (uint32_t i = 0; i < sh_config_used_count(c, SH_TYPES); i++) {
		struct shunt_type_opts t;
		const char *handler = NULL;
		uint32_t pool = 0;

		sh_config_type_opts(c, i, &t, &pool, &handler);
		n = add(buf, n, "\n%s %u %s %u %u %" PRIu64, t.name, pool, handler, t.level, t.flags, t.expected_ns);
	}
}

/* A valid value of the key that is not its default. */
static void other_value(const struct sh_key *key, char buf[SH_VALUE_TEXT])
{
	uint64_t def = 0;
	char why[512];

	switch (key->type) {
	case SH_KEY_NAME:
	case SH_KEY_STRING:
		(void)strcpy(buf, "other");
		return;
	case SH_KEY_PLACE:
		(void)strcpy(buf, "0-3");
		return;
	case SH_KEY_SIGNALS:
		(void)strcpy(buf, "usr1");
		return;
	case SH_KEY_NAMES:
		(void)strcpy(buf, "l0,l1,l2,l3");
		return;
	case SH_KEY_POOL:
		(void)strcpy(buf, "q");
		return;
	case SH_KEY_LEVEL:
		(void)strcpy(buf, "l2");
		return;
	case SH_KEY_BOOL:
		(void)strcpy(buf, strcmp(key->def, "true") == 0 ? "false" : "true");
		return;
	case SH_KEY_ENUM:
		(void)strcpy(buf, strcmp(key->def, key->words[0]) == 0 ? key->words[1] : key->words[0]);
		return;
	default:
		if (key->def[0] != '(')
			assert_int_equal(sh_key_parse(key, key->def, &def, why, sizeof(why)), 0);
		(void)snprintf(buf, SH_VALUE_TEXT, "%s", sh_key_print(why, key, def == key->max ? key->min : key->max));
	}
}

enum source { FILE_SOURCE, ENV_SOURCE, FLAG_SOURCE, SOURCES };

/* Sets one key through a source; per-level keys need their mode. */
static void set_by(struct shunt_config *c, enum source source, const struct sh_key *key, const char *value)
{
	const char *item = key->section == SH_POOLS ? "p" : key->section == SH_TYPES ? "t" : NULL;
	char path[SH_KEY_PATH_MAX];
	char text[SH_KEY_PATH_MAX + 80];
	const char *env[2] = { text, NULL };
	size_t i;

	(void)sh_key_path(path, key, item, key->per_level ? "l1" : NULL);
	if (source == FLAG_SOURCE) {
		(void)snprintf(text, sizeof(text), "%s=%s", path, value);
		assert_int_equal(shunt_config_set(c, "--flag", text), 0);
	} else if (source == ENV_SOURCE) {
		(void)snprintf(text, sizeof(text), "SHUNT_%s=%s", path, value);
		for (i = 0; text[i] != '='; i++)
			text[i] = (char)(text[i] == '.' ? '_' : text[i] >= 'a' && text[i] <= 'z' ? text[i] - 32 : text[i]);
		assert_int_equal(shunt_config_load_env(c, env), 0);
	} else {
		size_t used = 0;
		unsigned depth = 0;

		/* "a.b.c" becomes "{a: {b: {c: value}}}" */
		text[used++] = '{';
		for (i = 0; path[i]; i++) {
			if (path[i] != '.') {
				text[used++] = path[i];
				continue;
			}
			memcpy(text + used, ": {", 3);
			used += 3;
			depth++;
		}
		used += (size_t)snprintf(text + used, sizeof(text) - used, key->type == SH_KEY_NAMES ? ": [%s]" : ": %s", value);
		for (; depth > 0; depth--)
			text[used++] = '}';
		(void)strcpy(text + used, "}");
		if (load(c, text))
			fail_msg("%s: %s", text, shunt_config_errors(c));
	}
}

/* A flag switches off what a key of the file needs: no problem, and the struct does not have it either. */
static void flags_excuse_the_file(void **state)
{
	struct shunt_config *c = config_new();
	struct shunt_pool_opts p;

	(void)state;
	assert_int_equal(load(c, "pools:\n  a: {place: \"0\", workers: 2, async_max: 4, async_pool_max: 8}\n"), 0);
	assert_int_equal(shunt_config_check(c), 0);
	assert_int_equal(shunt_config_set(c, "--pin", "pools.a.pin=none"), 0);
	assert_int_equal(shunt_config_set(c, "--workers", "pools.a.workers=1"), 0);
	assert_int_equal(shunt_config_check(c), 0);
	sh_config_pool_opts(c, 0, &p);
	assert_null(p.place);
	assert_int_equal(p.async_pool_max, 0);
	assert_int_equal(p.async_max, 4);
	shunt_config_destroy(c);
}

static void every_key_has_an_effect(void **state)
{
	char before[TEXT_MAX];
	char after[TEXT_MAX];

	(void)state;
	for (size_t k = 0; k < sh_keys_count; k++) {
		const struct sh_key *key = &sh_keys[k];

		for (unsigned source = 0; source < SOURCES; source++) {
			struct shunt_config *c = config_of(base_text);
			static const char *const origins[] = { "f.yaml:1", "env SHUNT_", "--flag" };
			char path[SH_KEY_PATH_MAX];
			char value[SH_VALUE_TEXT];
			struct lookup l = { .key = path };

			if (key->per_level) {
				assert_int_equal(shunt_config_set(c, "--mode", "pools.p.workers=1024"), 0);
				assert_int_equal(shunt_config_set(c, "--mode", strcmp(key->field, "weights") == 0 ?
					"pools.p.level_mode=weighted" : "pools.p.level_mode=reserved"), 0);
			}
			dump(c, before);
			other_value(key, value);
			set_by(c, (enum source)source, key, value);
			if (shunt_config_check(c))
				fail_msg("%s: %s", key->field, shunt_config_errors(c));
			dump(c, after);
			if (strcmp(before, after) == 0)
				fail_msg("%s.%s = %s changes nothing", sh_section_name(key->section), key->field, value);
			(void)sh_key_path(path, key, key->section == SH_POOLS ? "p" : key->section == SH_TYPES ? "t" : NULL,
					  key->per_level ? "l1" : NULL);
			assert_int_equal(shunt_config_visit(c, on_key, &l), 0);
			assert_int_equal(l.seen, 1);
			assert_string_equal(l.value, value);
			assert_int_equal(strncmp(l.origin, origins[source], strlen(origins[source])), 0);
			shunt_config_destroy(c);
		}
	}
}

/* What the table says is the default is what a runtime gets, and what the table says is allowed is. */
static void table_is_sound(void **state)
{
	(void)state;
	for (size_t k = 0; k < sh_keys_count; k++) {
		const struct sh_key *key = &sh_keys[k];
		char why[512];
		uint64_t v = 0;

		assert_true(key->help[0] && key->help[strlen(key->help) - 1] != '.');
		assert_ptr_equal(sh_key_find(key->section, key->field), key);
		assert_true(key->store == SH_STORE_OTHER || key->width > 0);
		if (key->def[0] == '(')
			assert_true(key->def[strlen(key->def) - 1] == ')');
		else if (key->type != SH_KEY_NAMES)
			assert_int_equal(sh_key_parse(key, key->def, &v, why, sizeof(why)), 0);
		if (key->type == SH_KEY_SIGNED)
			assert_true((int64_t)key->min < (int64_t)key->max && !key->word);
		else if (key->type <= SH_KEY_PERCENT)
			assert_true(key->min < key->max && (!key->word || key->word_value < key->min || key->word_value > key->max));
	}
}

/* ---- exact values ---- */

static void values_reach_the_fields(void **state)
{
	struct shunt_config *c = config_of(
		"runtime: { name: gw, levels: [a, b, c], jobs_max: 4096, cpu_budget: 3 }\n"
		"pools:\n"
		"  x: { workers: 8, spares_max: none, place: 'numa:0', pin: scatter, idle: adaptive, spin: 5us, queue_max: 100 }\n"
		"  y: { workers: 6, level_mode: reserved, reserved: { a: 2, b: 1 }, idle: park, on_full: block }\n"
		"  z: { level_mode: weighted, weights: { c: 3 }, pin: none, strategy: locality }\n"
		"types:\n"
		"  t: { pool: y, level: c, async: true, expected: 2ms, handler: h }\n"
		"  u: { pool: x }\n"
		"log: { level: debug }\n");
	struct shunt_runtime_opts r;
	struct shunt_pool_opts p;
	struct shunt_type_opts t;
	const char *handler = NULL;
	uint32_t pool = 0;

	(void)state;
	sh_config_runtime_opts(c, &r);
	assert_int_equal(r.size, sizeof(r));
	assert_string_equal(r.name, "gw");
	assert_int_equal(r.levels, 3);
	assert_string_equal(r.level_names[2], "c");
	assert_int_equal(r.jobs_max, 4096);
	assert_int_equal(r.groups_max, 4096);
	assert_int_equal(r.cpu_budget, 3);
	assert_int_equal(r.log_level, SHUNT_LOG_DEBUG);
	sh_config_pool_opts(c, 0, &p);
	assert_int_equal(p.size, sizeof(p));
	assert_int_equal(p.workers, 8);
	assert_int_equal(p.spares_max, SHUNT_ANY);
	assert_string_equal(p.place, "numa:0");
	assert_int_equal(p.pin, SHUNT_PIN_SCATTER);
	assert_int_equal(p.idle, SHUNT_IDLE_ADAPTIVE);
	assert_int_equal(p.spin_ns, 5000);
	assert_int_equal(p.queue_max, 100);
	sh_config_pool_opts(c, 1, &p);
	assert_int_equal(p.level_mode, SHUNT_LEVELS_RESERVED);
	assert_int_equal(p.reserved[0], 2);
	assert_int_equal(p.reserved[1], 1);
	assert_int_equal(p.reserved[2], 0);
	assert_int_equal(p.idle, SHUNT_IDLE_PARK);
	assert_int_equal(p.on_full, SHUNT_ON_FULL_BLOCK);
	assert_null(p.place);
	sh_config_pool_opts(c, 2, &p);
	assert_int_equal(p.workers, 0);
	assert_int_equal(p.weights[0], 8);
	assert_int_equal(p.weights[1], 4);
	assert_int_equal(p.weights[2], 3);
	assert_int_equal(p.weights[3], 0); /* no such level */
	assert_int_equal(p.pin, SHUNT_PIN_NONE);
	assert_int_equal(p.strategy, SHUNT_SELECT_LOCALITY);
	sh_config_type_opts(c, 0, &t, &pool, &handler);
	assert_int_equal(t.level, SHUNT_LEVEL(2));
	assert_int_equal(t.flags, SHUNT_TYPE_ASYNC);
	assert_int_equal(t.expected_ns, 2000000);
	assert_int_equal(pool, 1);
	assert_string_equal(handler, "h");
	sh_config_type_opts(c, 1, &t, &pool, &handler);
	assert_int_equal(t.level, SHUNT_LEVEL(1));
	assert_int_equal(t.flags, 0);
	assert_int_equal(t.expected_ns, 1000);
	assert_string_equal(handler, "u");
	shunt_config_destroy(c);
}

/* A flag that switches the mode off also silences what the file reserved; the other way round it is an error. */
static void stronger_mode(void **state)
{
	struct shunt_config *c = config_of("pools: { p: { workers: 4, level_mode: reserved, reserved: { high: 1 }, spin: 5us } }");
	struct shunt_pool_opts o;

	(void)state;
	assert_int_equal(shunt_config_set(c, "--set", "pools.p.level_mode=strict"), 0);
	assert_int_equal(shunt_config_set(c, "--set", "pools.p.idle=park"), 0);
	assert_int_equal(shunt_config_check(c), 0);
	sh_config_pool_opts(c, 0, &o);
	assert_int_equal(o.reserved[0], 0);
	assert_int_equal(shunt_config_set(c, "--set", "pools.p.spin=6us"), 0);
	assert_int_equal(shunt_config_check(c), SHUNT_ECONFIG);
	assert_string_equal(shunt_config_errors(c),
			    "--set: pools.p.spin: has no effect with idle park; want idle adaptive, or not this key\n");
	/* What a check found is forgotten when it is mended. */
	assert_int_equal(shunt_config_set(c, "--set", "pools.p.idle=adaptive"), 0);
	assert_int_equal(shunt_config_check(c), 0);
	assert_string_equal(shunt_config_errors(c), "");
	shunt_config_destroy(c);
}

/* ---- environment names ---- */

static void env_names(void **state)
{
	static const char *const env[] = {
		"SHUNT_POOLS_IO_2_QUEUE_MAX=5", "SHUNT_POOLS_A_WEIGHTS_PIN_WORKERS=7", "SHUNT_POOLS_IO_2_WEIGHTS_VERY_LOW=9",
		"SHUNT_RUNTIME_LEVELS=top, very-low", "SHUNT_TYPES_T_LEVEL=very-low", "SHUNT_POOLS_IO_2_PIN_REQUIRED=yes", "LOG_LEVEL=",
		"SHUNT_SEED=1", "OTHER=1", "SHUNTED=1", "BROKEN", NULL,
	};
	static const char *const text = "pools: { io-2: { level_mode: weighted }, a_weights_pin: {} }\ntypes: { t: { pool: io-2 } }";

	(void)state;
	for (int file_first = 0; file_first < 2; file_first++) {
		struct shunt_config *c = config_new();

		if (file_first)
			assert_int_equal(load(c, text), 0);
		if (shunt_config_load_env(c, env))
			fail_msg("%s", shunt_config_errors(c));
		if (!file_first)
			assert_int_equal(load(c, text), 0);
		if (shunt_config_check(c))
			fail_msg("%s", shunt_config_errors(c));
		assert_int_equal(sh_config_used_count(c, SH_POOLS), 2);
		expect(c, "pools.io-2.queue_max", "5", "env SHUNT_POOLS_IO_2_QUEUE_MAX");
		expect(c, "pools.io-2.weights.very-low", "9", "env SHUNT_POOLS_IO_2_WEIGHTS_VERY_LOW");
		expect(c, "pools.io-2.weights.top", "8", "default");
		expect(c, "pools.io-2.pin_required", "true", "env SHUNT_POOLS_IO_2_PIN_REQUIRED");
		expect(c, "pools.a_weights_pin.workers", "7", "env SHUNT_POOLS_A_WEIGHTS_PIN_WORKERS");
		expect(c, "runtime.levels", "top,very-low", "env SHUNT_RUNTIME_LEVELS");
		expect(c, "types.t.level", "very-low", "env SHUNT_TYPES_T_LEVEL");
		expect(c, "log.level", "warn", "default");
		shunt_config_destroy(c);
	}
}

static void env_problems(void **state)
{
	static const struct {
		const char *variable, *want;
	} rows[] = {
		{ "SHUNT_RUNTIME_JOB_MAX=9", "env SHUNT_RUNTIME_JOB_MAX: unknown variable; did you mean SHUNT_RUNTIME_JOBS_MAX?\n" },
		{ "SHUNT_FOO=1", "env SHUNT_FOO: unknown variable; want SHUNT_ and the path of a key, such as SHUNT_RUNTIME_JOBS_MAX\n" },
		{ "SHUNT_POOLS_IO_WORKER=4", "env SHUNT_POOLS_IO_WORKER: unknown variable; did you mean SHUNT_POOLS_IO_WORKERS?\n" },
		{ "SHUNT_POOLS_IOO_WORKERS=4", "env SHUNT_POOLS_IOO_WORKERS: no pool 'ioo'; did you mean 'io'?\n" },
		{ "SHUNT_POOLS_WORKERS=4", "env SHUNT_POOLS_WORKERS: unknown variable; did you mean SHUNT_POOLS_IO_WORKERS?\n" },
		{ "SHUNT_TYPES_T_LEVEL=high", "env SHUNT_TYPES_T_LEVEL: no type 't'; there are none\n" },
		{ "SHUNT_POOLS_IO_WORKERS=0",
		  "env SHUNT_POOLS_IO_WORKERS: pools.io.workers: '0' is out of range; want an integer from 1 to 1024, or auto\n" },
		{ "SHUNT_POOLS_A_B_WORKERS=2", "env SHUNT_POOLS_A_B_WORKERS: fits 2 names of 'pools' that differ only in - and _; "
					       "want it in the file\n" },
		{ "WORKER_CONCURRENCY=1001", "env WORKER_CONCURRENCY: '1001' is out of range; want an integer from 1 to 1000\n" },
		{ "WORKER_PRIORITIES=high,,low", "env WORKER_PRIORITIES: runtime.levels: '' is empty; want a list of 1 to 16 different "
						 "names of 1 to 31 characters a-z 0-9 _ -\n" },
		{ "LOG_LEVEL=loud", "env LOG_LEVEL: log.level: 'loud' is not a known word; want one of error, warn, info, debug\n" },
	};

	(void)state;
	for (size_t i = 0; i < SH_COUNT(rows); i++) {
		struct shunt_config *c = config_of("pools: { io: {}, a-b: {}, a_b: {} }");
		const char *const env[] = { rows[i].variable, NULL };
		int rc = shunt_config_load_env(c, env);
		int checked = shunt_config_check(c);

		assert_true(rc == SHUNT_ECONFIG || checked == SHUNT_ECONFIG);
		assert_string_equal(shunt_config_errors(c), rows[i].want);
		shunt_config_destroy(c);
	}
}

static void flag_problems(void **state)
{
	static const struct {
		const char *flag, *want;
	} rows[] = {
		{ "pools", "--set: 'pools' is no assignment; want KEY=VALUE, such as pools.io.workers=4\n" },
		{ "pool.io.workers=4", "--set: pool.io.workers: unknown key; did you mean 'pools'?\n" },
		{ "pools.io.wrokers=4", "--set: pools.io.wrokers: unknown key; did you mean 'workers'?\n" },
		{ "pools.io.workers=", "--set: pools.io.workers: '' is not a number; want an integer from 1 to 1024, or auto\n" },
		{ "pools.io.idle=pll", "--set: pools.io.idle: 'pll' is not a known word; did you mean 'poll'? "
				       "want one of poll, adaptive, park\n" },
		{ "pools.IO.workers=4", "--set: pools: 'IO' is not a valid name; want a name of 1 to 31 characters a-z 0-9 _ -\n" },
		{ "pools.io.weights.High=4", "--set: pools.io.weights: 'High' is not a valid name; want the name of a level\n" },
		{ "runtime.levels=a,b,a", "--set: runtime.levels: 'a' is there twice; want a list of 1 to 16 different names of "
					  "1 to 31 characters a-z 0-9 _ -\n" },
	};
	static const char *const lost[] = { "pools.io=4", "pools=4", "=4", "runtime.jobs_max.x=4", "pools.io.weights=4",
					    "pools.io.workers.x=4", "a.b.c.d.e.f=1", "...=1", "." };

	(void)state;
	for (size_t i = 0; i < SH_COUNT(rows) + SH_COUNT(lost); i++) {
		struct shunt_config *c = config_of("pools: { io: {} }");

		assert_int_equal(shunt_config_set(c, "--set", i < SH_COUNT(rows) ? rows[i].flag : lost[i - SH_COUNT(rows)]),
				 SHUNT_ECONFIG);
		if (i < SH_COUNT(rows))
			assert_string_equal(shunt_config_errors(c), rows[i].want);
		shunt_config_destroy(c);
	}
}

/* ---- many problems ---- */

static void problems_are_bounded(void **state)
{
	struct shunt_config *c = config_new();
	char *text = malloc(64 * 1024);
	size_t n = 0;
	size_t lines = 0;

	(void)state;
	assert_non_null(text);
	n = (size_t)sprintf(text, "runtime:\n");
	for (int i = 0; i < 1500; i++)
		n += (size_t)sprintf(text + n, "  wrong%d: 1\n", i);
	assert_int_equal(shunt_config_load_text(c, "f.yaml", text, n), SHUNT_ECONFIG);
	for (const char *s = shunt_config_errors(c); *s; s++)
		lines += *s == '\n';
	assert_int_equal(lines, SH_PROBLEMS_MAX + 1);
	assert_non_null(strstr(shunt_config_errors(c), "and 1400 more\n"));
	shunt_config_destroy(c);
	free(text);
}

static void sizes_are_bounded(void **state)
{
	struct shunt_config *c = config_new();
	size_t n = (1u << 20) + 1;
	char *text = malloc(n);

	(void)state;
	assert_non_null(text);
	memset(text, '#', n);
	assert_int_equal(shunt_config_load_text(c, "f", text, n - 1), 0); /* one long comment */
	assert_int_equal(shunt_config_load_text(c, "f", text, n), SHUNT_ECONFIG);
	assert_string_equal(shunt_config_errors(c), "f:1: larger than 1048576 bytes; want a smaller file\n");
	memset(text, '[', n);
	assert_int_equal(shunt_config_load_text(c, "g", text, n - 1), SHUNT_ECONFIG);
	shunt_config_destroy(c);
	free(text);
}

static void bad_arguments(void **state)
{
	struct shunt_config *c = config_new();
	struct shunt_runtime *rt = NULL;

	(void)state;
	assert_int_equal(shunt_config_create(NULL), SHUNT_EINVAL);
	assert_int_equal(shunt_config_load_text(c, NULL, "", 0), SHUNT_EINVAL);
	assert_int_equal(shunt_config_load_text(NULL, "f", "", 0), SHUNT_EINVAL);
	assert_int_equal(shunt_config_load_text(c, "f", NULL, 1), SHUNT_EINVAL);
	assert_int_equal(shunt_config_load_file(c, NULL), SHUNT_EINVAL);
	assert_int_equal(shunt_config_load_file(c, "/no/such/file"), SHUNT_EIO);
	assert_int_equal(shunt_config_load_file(c, "/"), SHUNT_EIO);
	assert_string_equal(shunt_config_errors(c), "/no/such/file: cannot be read: No such file or directory; want a readable file\n"
						    "/: cannot be read: is a directory; want a regular file or a pipe\n");
	assert_int_equal(shunt_config_set(c, NULL, "a=1"), SHUNT_EINVAL);
	assert_int_equal(shunt_config_set(c, "--set", NULL), SHUNT_EINVAL);
	assert_int_equal(shunt_config_check(NULL), SHUNT_EINVAL);
	assert_int_equal(shunt_config_visit(c, NULL, NULL), SHUNT_EINVAL);
	assert_int_equal(shunt_config_bind(c, NULL, NULL), SHUNT_EINVAL);
	assert_int_equal(shunt_config_runtime(c, NULL, NULL, NULL), SHUNT_EINVAL);
	assert_int_equal(shunt_config_runtime(c, NULL, NULL, &rt), SHUNT_ECONFIG); /* what could not be read counts */
	assert_string_equal(shunt_config_errors(NULL), "");
	shunt_config_destroy(NULL);
	shunt_config_destroy(c);
}

/* ---- failing allocations ---- */

static int fail_at;
static int allocations;

static int on_point(void *arg, const char *point)
{
	(void)arg;
	if (strcmp(point, "config.alloc") != 0)
		return 0;
	return ++allocations == fail_at;
}

/* Everything once; every step either works or says that memory is short. */
static bool scenario(void)
{
	static const char *const env[] = { "SHUNT_POOLS_IO_WORKERS=3", "LOG_LEVEL=info", "SHUNT_NOPE=1", NULL };
	static const char text[] = "runtime: { levels: [a, b] }\npools: { io: { level_mode: weighted, weights: { a: 1, b: 2 } } }\n"
				   "types: { t: { pool: oi, expected: fast } }\n";
	struct shunt_config *c = NULL;
	int rc = shunt_config_create(&c);

	if (rc == 0)
		rc = load(c, text);
	if (rc == SHUNT_ECONFIG)
		rc = shunt_config_load_env(c, env);
	if (rc == SHUNT_ECONFIG)
		rc = shunt_config_set(c, "--set", "pools.io.place=0-3");
	if (rc == 0)
		rc = shunt_config_bind(c, "t", (shunt_handler_fn)(uintptr_t)1);
	if (rc == 0)
		rc = shunt_config_check(c);
	if (rc == SHUNT_ECONFIG) {
		assert_string_equal(shunt_config_errors(c),
				    "f.yaml:3: types.t.expected: 'fast' is not a number; want a duration from 1ns to 24h (units ns, us, ms, "
				    "s, min, h)\n"
				    "f.yaml:3: types.t.pool: no pool 'oi'; did you mean 'io'?\n"
				    "env SHUNT_NOPE: unknown variable; want SHUNT_ and the path of a key, such as SHUNT_RUNTIME_JOBS_MAX\n");
	} else {
		assert_int_equal(rc, SHUNT_ENOMEM);
	}
	shunt_config_destroy(c);
	return rc == SHUNT_ECONFIG;
}

static void allocations_fail(void **state)
{
	(void)state;
	sh_inject_set(on_point, NULL);
	for (fail_at = 1; fail_at < 1000; fail_at++) {
		allocations = 0;
		if (scenario())
			break;
	}
	sh_inject_set(NULL, NULL);
	assert_true(fail_at > 20 && fail_at == allocations + 1);
}

/* ---- a runtime from a file ---- */

static int handler(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	*(int *)arg += 1;
	return SHUNT_DONE;
}

static void runtime_from_text(void **state)
{
	struct shunt_config *c = config_of("runtime: { name: test, jobs_max: 1024, handles_max: 64, groups_max: 16, submitters_max: 8 }\n"
					   "pools:\n  a: { workers: 1, pin: none, idle: park, ring_capacity: 16, key_slots: 16 }\n"
					   "  b: { workers: 2, pin: none, idle: park, level_mode: reserved, reserved: { high: 1 } }\n"
					   "types:\n  one: { pool: a, handler: count }\n  two: { pool: b, level: batch, handler: count }\n");
	struct shunt_runtime *rt = NULL;
	struct shunt_pool_id pool;
	struct shunt_job_spec spec;
	struct shunt_job_id id;
	struct shunt_result result;
	int count = 0;

	(void)state;
	/* Types without a handler: each is named, and nothing is left behind. */
	assert_int_equal(shunt_config_runtime(c, NULL, NULL, &rt), SHUNT_ECONFIG);
	assert_null(rt);
	assert_string_equal(shunt_config_errors(c),
			    "f.yaml:6: types.one.handler: no handler 'count' is bound; want the name of one that the program binds\n"
			    "f.yaml:7: types.two.handler: no handler 'count' is bound; want the name of one that the program binds\n");
	assert_int_equal(shunt_config_bind(c, "count", handler), 0);
	if (shunt_config_runtime(c, NULL, NULL, &rt))
		fail_msg("%s", shunt_config_errors(c));
	assert_int_equal(shunt_pool_find(rt, "b", &pool), 0);
	assert_int_equal(shunt_pool_find(rt, "main", &pool), SHUNT_ENOENT);
	memset(&spec, 0, sizeof(spec));
	assert_int_equal(shunt_type_find(rt, "two", &spec.type), 0);
	spec.arg = &count;
	assert_int_equal(shunt_submit(rt, &spec, &id), 0);
	assert_int_equal(shunt_wait(rt, id, TU_LONG_NS, &result), 0);
	assert_int_equal(result.status, SHUNT_JOB_DONE);
	assert_int_equal(count, 1);
	/* The runtime does not need the configuration any more. */
	shunt_config_destroy(c);
	assert_int_equal(shunt_type_find(rt, "one", &spec.type), 0);
	assert_int_equal(shunt_submit(rt, &spec, &id), 0);
	assert_int_equal(shunt_wait(rt, id, TU_LONG_NS, &result), 0);
	assert_int_equal(count, 2);
	tu_destroy(rt, 0);
}

static void runtime_of_defaults(void **state)
{
	struct shunt_config *c = config_of("runtime: { jobs_max: 64 }");
	struct shunt_runtime *rt = NULL;
	struct shunt_pool_id pool;

	(void)state;
	assert_int_equal(shunt_config_set(c, "--set", "pools.main.pin=none"), 0);
	assert_int_equal(shunt_config_set(c, "--set", "pools.main.workers=1"), 0);
	if (shunt_config_runtime(c, NULL, NULL, &rt))
		fail_msg("%s", shunt_config_errors(c));
	assert_int_equal(shunt_pool_find(rt, SH_POOL_DEFAULT, &pool), 0);
	tu_destroy(rt, 0);
	shunt_config_destroy(c);
}

/* A place that this machine does not have: the message names the line and what there is. */
static void runtime_bad_place(void **state)
{
	struct shunt_config *c = config_of("runtime: { jobs_max: 64 }\npools:\n  ok: { workers: 1, pin: none }\n"
					   "  io:\n    workers: 1\n    place: 'numa:4000'\n");
	struct shunt_runtime *rt = NULL;
	static const char start[] = "f.yaml:6: pools.io.place: 'numa:4000': ";

	(void)state;
	assert_int_equal(shunt_config_runtime(c, NULL, NULL, &rt), SHUNT_EPLACE);
	assert_null(rt);
	if (strncmp(shunt_config_errors(c), start, strlen(start)) != 0 || !strstr(shunt_config_errors(c), "available: "))
		fail_msg("%s", shunt_config_errors(c));
	/* Once more: the old message is not there twice. */
	assert_int_equal(shunt_config_runtime(c, NULL, NULL, &rt), SHUNT_EPLACE);
	assert_ptr_equal(strchr(shunt_config_errors(c), '\n'), strrchr(shunt_config_errors(c), '\n'));
	shunt_config_destroy(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(precedence),
		cmocka_unit_test(precedence_of_concurrency),
		cmocka_unit_test(last_of_equals),
		cmocka_unit_test(every_key_has_an_effect),
		cmocka_unit_test(flags_excuse_the_file),
		cmocka_unit_test(table_is_sound),
		cmocka_unit_test(values_reach_the_fields),
		cmocka_unit_test(stronger_mode),
		cmocka_unit_test(env_names),
		cmocka_unit_test(env_problems),
		cmocka_unit_test(flag_problems),
		cmocka_unit_test(problems_are_bounded),
		cmocka_unit_test(sizes_are_bounded),
		cmocka_unit_test(bad_arguments),
		cmocka_unit_test(allocations_fail),
		cmocka_unit_test(runtime_from_text),
		cmocka_unit_test(runtime_of_defaults),
		cmocka_unit_test(runtime_bad_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
