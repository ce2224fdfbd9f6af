/*
 * tests/unit/options_test.c - the table of options and its two users: a file and a struct get one verdict on every
 * value, in the same words; all that is invalid is one message; a struct of an older or newer caller is taken or
 * refused.
 *
 * SPDX-License-Identifier: MIT
 */
#include "options_util.h"

#define TEXT_NUMBER_MAX UINT64_C(999999999999999999)

/* ---- one verdict ---- */

/* What the library says to the struct; a runtime that only its options were taken of stands for a real one. */
static int struct_verdict(struct structs *s, enum sh_section section)
{
	static struct shunt_runtime rt;
	struct shunt_runtime_opts plain = runtime_opts();
	struct shunt_pool_opts pool;
	struct shunt_type_opts type;

	memset(&rt, 0, sizeof(rt));
	if (section == SH_RUNTIME || section == SH_LOG)
		return sh_opts_runtime(&rt, &s->runtime);
	assert_int_equal(sh_opts_runtime(&rt, &plain), 0);
	return section == SH_POOLS ? sh_opts_pool(&rt, &s->pool, &pool) : sh_opts_type(&rt, &s->type, &type);
}

/* What the configuration says to the text; its message without the origin is left in `said`. */
static int text_verdict(const char *const *assignments)
{
	struct shunt_config *c = NULL;
	const char *errors;
	int rc = 0;

	forget();
	assert_int_equal(shunt_config_create(&c), 0);
	for (; *assignments; assignments++)
		rc = shunt_config_set(c, "f", *assignments) ? SHUNT_ECONFIG : rc;
	if (shunt_config_check(c))
		rc = SHUNT_ECONFIG;
	for (errors = shunt_config_errors(c); *errors; errors += strcspn(errors, "\n") + 1) {
		char line[1024];

		assert_true(strncmp(errors, "f: ", 3) == 0);
		(void)snprintf(line, sizeof(line), "%.*s", (int)strcspn(errors, "\n") - 3, errors + 3);
		on_log(NULL, SHUNT_LOG_ERROR, line);
	}
	shunt_config_destroy(c);
	return rc;
}

static unsigned compared;

static void compare_one(const struct sh_key *key, uint64_t v, const char *value)
{
	const char *item = key->section == SH_POOLS ? "p" : key->section == SH_TYPES ? "t"
										     : NULL;
	char path[SH_KEY_PATH_MAX];
	char mode[SH_KEY_PATH_MAX];
	char text[2 * SH_KEY_PATH_MAX];
	char type[] = "types.t.pool=main";
	const char *set[5] = { text, NULL, NULL, NULL, NULL };
	struct structs s;
	char by_text[sizeof(said.text)];
	int a, b;

	structs_init(&s);
	need_set(key, &s, mode);
	(void)sh_key_path(path, key, item, key->per_level ? "high" : NULL);
	(void)snprintf(text, sizeof(text), "%s=%s", path, value);
	set[1] = mode[0] ? mode : NULL;
	if (key->section == SH_TYPES)
		set[1] = type;
	if (strcmp(key->field, "reserved") == 0) { /* its mode wants one at least, which a bad value is not */
		set[2] = "pools.p.reserved.normal=1";
		s.pool.reserved[1] = 1;
	}
	a = text_verdict(set);
	memcpy(by_text, said.text, sizeof(by_text));
	sh_key_store(key, structs_of(&s, key->section), 0, v);
	forget();
	b = struct_verdict(&s, key->section);
	if ((a == 0) != (b == 0) || strcmp(by_text, said.text) != 0)
		fail_msg("%s: file: %d '%s'; struct: %d '%s'", text, a, by_text, b, said.text);
	compared++;
}

/* May a text and a field of `width` bytes have this value? A text has 18 digits at most. */
static bool can_be(const struct sh_key *key, uint64_t v)
{
	if (key->type == SH_KEY_SIGNED)
		return (int64_t)v >= INT32_MIN && (int64_t)v <= INT32_MAX;
	return v <= (key->width == sizeof(uint32_t) ? UINT32_MAX : UINT64_MAX) && v <= TEXT_NUMBER_MAX;
}

static bool is_good(const struct sh_key *key, uint64_t v)
{
	if (key->type == SH_KEY_SIGNED)
		return (int64_t)v >= (int64_t)key->min && (int64_t)v <= (int64_t)key->max;
	return v >= key->min && v <= key->max && (key->type != SH_KEY_POW2 || (v & (v - 1)) == 0);
}

/* Values at and over both ends of each number, words that there are not, powers of two that are none. */
static void file_and_struct_agree(void **state)
{
	unsigned refused = 0;

	(void)state;
	compared = 0;
	for (size_t k = 0; k < sh_keys_count; k++) {
		const struct sh_key *key = &sh_keys[k];
		uint64_t top = key->width == sizeof(uint32_t) ? UINT32_MAX : UINT64_MAX;
		const uint64_t tried[] = {
			key->min - 1,
			key->min,
			key->min + 1,
			3 * key->min,
			key->max - 1,
			key->max,
			key->max + 1,
			2 * key->max,
			top,
		};

		if (key->store != SH_STORE_NUMBER && key->store != SH_STORE_ARRAY)
			continue;
		for (size_t i = 0; i < SH_COUNT(tried) && key->type <= SH_KEY_PERCENT; i++) {
			uint64_t v = tried[i];
			char value[SH_VALUE_TEXT];
			bool good;

			/* 0 and a special word's value mean something else in a struct */
			if (v == 0 || !can_be(key, v) || (key->word && v == key->word_value))
				continue;
			compare_one(key, v, sh_key_print(value, key, v));
			good = is_good(key, v);
			if (good != (said.text[0] == '\0'))
				fail_msg("%s: %s is %s", key->field, value, good ? said.text : "taken");
			refused += !good;
		}
		for (size_t i = 0; key->type == SH_KEY_ENUM && key->words[i]; i++)
			compare_one(key, i + 1, key->words[i]);
		if (key->type == SH_KEY_ENUM)
			compare_one(key, 99, "99");
		if (key->type == SH_KEY_BOOL)
			compare_one(key, 2, "2");
	}
	assert_true(compared > 120 && refused > 50);
}

/* ---- rules between fields, names, several at once ---- */

static void set_weights(struct structs *s)
{
	s->pool.weights[0] = 2;
}

static void set_reserved(struct structs *s)
{
	s->pool.level_mode = SHUNT_LEVELS_WEIGHTED;
	s->pool.reserved[1] = 1;
}

static void set_sum(struct structs *s)
{
	s->pool.workers = 4;
	s->pool.level_mode = SHUNT_LEVELS_RESERVED;
	s->pool.reserved[0] = 3;
	s->pool.reserved[2] = 1;
}

static void set_no_reserved(struct structs *s)
{
	s->pool.level_mode = SHUNT_LEVELS_RESERVED;
}

static void set_reserved_last(struct structs *s)
{
	s->pool.level_mode = SHUNT_LEVELS_RESERVED;
	s->pool.reserved[0] = 1;
	s->pool.reserved[3] = 1;
}

static void set_place_unpinned(struct structs *s)
{
	s->pool.pin = SHUNT_PIN_NONE;
	s->pool.workers = 2;
	s->pool.place = "0";
}

static void set_async_sum(struct structs *s)
{
	s->pool.workers = 2;
	s->pool.async_max = 4;
	s->pool.async_pool_max = 9;
}

static void set_guard(struct structs *s)
{
	s->pool.level_mode = SHUNT_LEVELS_WEIGHTED;
	s->pool.guard_every = 8;
}

static void set_spin(struct structs *s)
{
	s->pool.idle = SHUNT_IDLE_PARK;
	s->pool.spin_ns = 5000;
}

static void set_pin(struct structs *s)
{
	s->pool.pin = SHUNT_PIN_NONE;
	s->pool.pin_required = 1;
}

static void set_place(struct structs *s)
{
	s->pool.place = "0\t";
}

static void set_runtime_name(struct structs *s)
{
	s->runtime.name = "My Runtime";
}

static void set_pool_name(struct structs *s)
{
	s->pool.name = "io pool";
}

static void set_type_name(struct structs *s)
{
	s->type.name = "abcdefghijklmnopqrstuvwxyz0123456789";
}

static void set_twice(struct structs *s)
{
	static const char *const names[] = { "a", "b", "a" };

	s->runtime.levels = 3;
	s->runtime.level_names = names;
}

static void set_level_name(struct structs *s)
{
	static const char *const names[] = { "a", "Very Low" };

	s->runtime.levels = 2;
	s->runtime.level_names = names;
}

static void set_level(struct structs *s)
{
	s->type.level = SHUNT_LEVEL(7);
}

static void set_many(struct structs *s)
{
	s->pool.workers = 3000;
	s->pool.idle = SHUNT_IDLE_PARK;
	s->pool.spin_ns = 2000000000;
	s->pool.key_slots = 1000;
	s->pool.weights[3] = 101;
	s->pool.level_mode = SHUNT_LEVELS_WEIGHTED;
}

/* A rule between fields has the words of the file; what stands here is said by both. */
static const struct {
	enum sh_section section;
	void (*set)(struct structs *s);
	const char *text[6];
	const char *want;
} rules[] = {
	{
		SH_POOLS,
		set_weights,
		{ "pools.p.weights.high=2" },
		"pools.p.weights: has no effect with level_mode strict; want level_mode weighted, or not "
		"this key",
	},
	{
		SH_POOLS,
		set_reserved,
		{ "pools.p.level_mode=weighted", "pools.p.reserved.normal=1" },
		"pools.p.reserved: has no effect with level_mode weighted; want level_mode reserved, or "
		"not this key",
	},
	{
		SH_POOLS,
		set_sum,
		{ "pools.p.workers=4", "pools.p.level_mode=reserved", "pools.p.reserved.high=3",
		  "pools.p.reserved.low=1" },
		"pools.p.reserved: the sum is 4 of 4 workers; want at most 3",
	},
	{
		SH_POOLS,
		set_guard,
		{ "pools.p.level_mode=weighted", "pools.p.guard_every=8" },
		"pools.p.guard_every: has no effect with level_mode weighted; want level_mode strict or "
		"reserved, or not this key",
	},
	{
		SH_POOLS,
		set_no_reserved,
		{ "pools.p.level_mode=reserved" },
		"pools.p.level_mode: reserved has no effect without reserved workers; want some in reserved, or "
		"another level_mode",
	},
	{
		SH_POOLS,
		set_reserved_last,
		{ "pools.p.level_mode=reserved", "pools.p.reserved.high=1", "pools.p.reserved.batch=1" },
		"pools.p.reserved: has no effect at the last level, which every worker serves; want workers for a "
		"level above it",
	},
	{
		SH_POOLS,
		set_place_unpinned,
		{ "pools.p.pin=none", "pools.p.workers=2", "pools.p.place=0" },
		"pools.p.place: has no effect with pin none and workers; want another pin, or not this key",
	},
	{
		SH_POOLS,
		set_async_sum,
		{ "pools.p.workers=2", "pools.p.async_max=4", "pools.p.async_pool_max=9" },
		"pools.p.async_pool_max: '9' is more than 2 workers have; want at most 8, or auto",
	},
	{
		SH_POOLS,
		set_spin,
		{ "pools.p.idle=park", "pools.p.spin=5us" },
		"pools.p.spin: has no effect with idle park; want idle adaptive, or not this key",
	},
	{
		SH_POOLS,
		set_pin,
		{ "pools.p.pin=none", "pools.p.pin_required=true" },
		"pools.p.pin_required: has no effect with pin none; want another pin, or not this key",
	},
	{
		SH_POOLS,
		set_place,
		{ "pools.p.place=0\t" },
		"pools.p.place: '0?' has a control character or is not UTF-8; want a place of 1 to 255 "
		"bytes, such as 0-3 or numa:0",
	},
	{
		SH_RUNTIME,
		set_runtime_name,
		{ "runtime.name=My Runtime" },
		"runtime.name: 'My Runtime' is not a valid name; want a name of 1 to 31 characters a-z "
		"0-9 _ -",
	},
	{
		SH_RUNTIME,
		set_twice,
		{ "runtime.levels=a,b,a" },
		"runtime.levels: 'a' is there twice; want a list of 1 to 16 different names of 1 to 31 "
		"characters a-z 0-9 _ -",
	},
	{
		SH_RUNTIME,
		set_level_name,
		{ "runtime.levels=a,Very Low" },
		"runtime.levels: 'Very Low' is not a valid name; want a list of 1 to 16 different names "
		"of 1 to 31 characters a-z 0-9 _ -",
	},
	{
		SH_TYPES,
		set_level,
		{ "types.t.level=7" },
		"types.t.level: no level '7'; want one of high, normal, low, batch",
	},
};

static void rules_agree(void **state)
{
	(void)state;
	for (size_t i = 0; i < SH_COUNT(rules); i++) {
		struct structs s;

		assert_int_equal(text_verdict(rules[i].text), SHUNT_ECONFIG);
		expect_said(rules[i].want);
		structs_init(&s);
		rules[i].set(&s);
		forget();
		assert_int_equal(struct_verdict(&s, rules[i].section), SHUNT_EINVAL);
		expect_said(rules[i].want);
	}
}

/* A key whose value is the 0 of a struct, the default, is no setting without effect: a struct cannot even tell. */
static void defaults_need_no_mode(void **state)
{
	static const char *const text[][4] = {
		{ "pools.p.idle=park", "pools.p.spin=auto" },
		{ "pools.p.reserved.high=0" },
		{ "pools.p.level_mode=weighted", "pools.p.reserved.high=0", "pools.p.reserved.low=0" },
		{ "pools.p.pin=none", "pools.p.pin_required=false" },
	};
	static const char *const one[] = { "pools.p.reserved.high=0", "pools.p.reserved.low=1", NULL };
	struct structs s;

	(void)state;
	for (size_t i = 0; i < SH_COUNT(text); i++) {
		assert_int_equal(text_verdict(text[i]), 0);
		expect_said("");
	}
	structs_init(&s);
	s.pool.idle = SHUNT_IDLE_PARK;
	s.pool.spin_ns = 0;
	s.pool.pin = SHUNT_PIN_NONE;
	s.pool.pin_required = 0;
	assert_int_equal(struct_verdict(&s, SH_POOLS), 0);
	assert_int_equal(text_verdict(one), SHUNT_ECONFIG);
	expect_said("pools.p.reserved: has no effect with level_mode strict; want level_mode reserved, or not "
		    "this key");
}

static void hook(void *arg, uint32_t worker)
{
	(void)arg;
	(void)worker;
}

/* What only a struct can say: the file has no such pair of fields. */
static void only_in_structs(void **state)
{
	static const char *const two[] = { "a", "b" };
	static int anything;
	struct structs s;

	(void)state;
	structs_init(&s);
	s.runtime.level_names = two;
	forget();
	assert_int_equal(struct_verdict(&s, SH_RUNTIME), SHUNT_EINVAL);
	expect_said("runtime.levels: level_names is set and levels is not; want the number of names");
	structs_init(&s);
	s.runtime.topo = (const struct shunt_topo *)(const void *)&anything; /* is not looked at */
	s.runtime.cpu_budget = 1;
	forget();
	assert_int_equal(struct_verdict(&s, SH_RUNTIME), SHUNT_EINVAL);
	expect_said("runtime.cpu_budget: has no effect beside topo; want it in cpu_budget_config of the topology's options");
	structs_init(&s);
	s.pool.select_arg = &anything;
	forget();
	assert_int_equal(struct_verdict(&s, SH_POOLS), SHUNT_EINVAL);
	expect_said("pools.p.strategy: a select function has no effect with this strategy; want SHUNT_SELECT_USER");
	structs_init(&s);
	s.pool.hook_arg = &anything;
	forget();
	assert_int_equal(struct_verdict(&s, SH_POOLS), SHUNT_EINVAL);
	expect_said("pools.p.hook_arg: has no effect without on_start and on_stop; want one of them, or NULL here");
	s.pool.on_stop = hook;
	assert_int_equal(struct_verdict(&s, SH_POOLS), 0);
	structs_init(&s);
	s.runtime.log = NULL;
	s.runtime.log_arg = &anything;
	assert_int_equal(struct_verdict(&s, SH_RUNTIME), SHUNT_EINVAL);
	assert_string_equal(shunt_error_detail(),
			    "runtime.log_arg: has no effect without log; want a function there, or NULL here");
}

static void names_of_items(void **state)
{
	struct structs s;

	(void)state;
	structs_init(&s);
	set_pool_name(&s);
	assert_int_equal(struct_verdict(&s, SH_POOLS), SHUNT_EINVAL);
	expect_said("pools: 'io pool' is not a valid name; want a name of 1 to 31 characters a-z 0-9 _ -");
	s.pool.name = NULL;
	assert_int_equal(struct_verdict(&s, SH_POOLS), SHUNT_EINVAL);
	expect_said("pools: '' is empty; want a name of 1 to 31 characters a-z 0-9 _ -");
	set_type_name(&s);
	s.type.handler = NULL;
	s.type.flags = 6;
	assert_int_equal(struct_verdict(&s, SH_TYPES), SHUNT_EINVAL);
	expect_said("types: 'abcdefghijklmnopqrstuvwxyz0123456789' is too long for a name; "
		    "want a name of 1 to 31 characters "
		    "a-z 0-9 _ - | "
		    "types.abcdefghijklmnopqrstuvwxyz0123456789.handler: is NULL; want a function | "
		    "types.abcdefghijklmnopqrstuvwxyz0123456789.async: flags 0x6 has unknown bits; "
		    "want SHUNT_TYPE_ASYNC or 0");
}

/* What only a struct can say wrong. */
static void only_in_a_struct(void **state)
{
	static const char *const one[] = { NULL };
	struct structs s;

	(void)state;
	structs_init(&s);
	s.pool.strategy = SHUNT_SELECT_USER;
	assert_int_equal(struct_verdict(&s, SH_POOLS), SHUNT_EINVAL);
	expect_said("pools.p.strategy: SHUNT_SELECT_USER has no select function; want one in select");
	s.pool.select = tu_select_first;
	assert_int_equal(struct_verdict(&s, SH_POOLS), 0);
	s.pool.level_mode = SHUNT_LEVELS_WEIGHTED;
	s.pool.weights[7] = 2;
	assert_int_equal(struct_verdict(&s, SH_POOLS), SHUNT_EINVAL);
	expect_said("pools.p.weights: no level '7'; want one of high, normal, low, batch");
	s.runtime.levels = 17;
	assert_int_equal(struct_verdict(&s, SH_RUNTIME), SHUNT_EINVAL);
	assert_true(strncmp(said.text, "runtime.levels: '17' is out of range; want a list of 1 to 16", 60) == 0);
	forget();
	s.runtime.levels = 5;
	assert_int_equal(struct_verdict(&s, SH_RUNTIME), SHUNT_EINVAL);
	assert_true(strncmp(said.text, "runtime.levels: '5' needs level_names; want a list", 50) == 0);
	forget();
	s.runtime.levels = 1;
	s.runtime.level_names = one;
	assert_int_equal(struct_verdict(&s, SH_RUNTIME), SHUNT_EINVAL);
	assert_true(strncmp(said.text, "runtime.levels: '' is empty; want a list", 40) == 0);
}

/* All that is wrong is one message, in the order of the table. */
static void all_in_one_message(void **state)
{
	struct structs s;

	(void)state;
	structs_init(&s);
	set_many(&s);
	assert_int_equal(struct_verdict(&s, SH_POOLS), SHUNT_EINVAL);
	assert_int_equal(said.lines, 1);
	expect_said("pools.p.workers: '3000' is out of range; want an integer from 1 to 1024, or auto | "
		    "pools.p.spin: '2s' is out of range; "
		    "want a duration from 1ns to 1s (units ns, us, ms, s, min, h), or auto | "
		    "pools.p.spin: has no effect with idle park; want idle adaptive, or not this key | "
		    "pools.p.weights.batch: '101' is out of range; want an integer from 1 to 100 | "
		    "pools.p.key_slots: '1000' is not a power of two; want a power of two from 1 to 1048576");
}

/* The real calls refuse, and nothing is left behind. */
static void calls_refuse(void **state)
{
	struct shunt_runtime_opts o = runtime_opts();
	struct shunt_pool_opts po = SHUNT_POOL_OPTS_INIT;
	struct shunt_type_opts to = SHUNT_TYPE_OPTS_INIT;
	struct shunt_runtime *rt = NULL;
	struct shunt_type_id type;

	(void)state;
	o.jobs_max = 10;
	o.groups_max = UINT32_MAX;
	assert_int_equal(shunt_runtime_create(&rt, &o), SHUNT_EINVAL);
	assert_null(rt);
	expect_said("runtime.jobs_max: '10' is out of range; want an integer from 64 to 134217728 | "
		    "runtime.groups_max: '4294967295' is out of range; want an integer from 1 to 1048576");
	rt = runtime_open();
	po.name = "p";
	po.workers = SHUNT_WORKERS_MAX + 1;
	assert_int_equal(shunt_pool_create(rt, &po, &to.pool), SHUNT_EINVAL);
	assert_int_equal(to.pool.v, 0);
	expect_said("pools.p.workers: '1025' is out of range; want an integer from 1 to 1024, or auto");
	forget();
	to.name = "t";
	to.handler = nothing;
	to.expected_ns = UINT64_C(86400000000001);
	assert_int_equal(shunt_type_create(rt, &to, &type), SHUNT_EINVAL);
	expect_said("types.t.expected: '86400000000001ns' is out of range; "
		    "want a duration from 1ns to 24h (units ns, us, ms, s, min, h)");
	forget();
	to.expected_ns = 0;
	to.pool.v = 7;
	assert_int_equal(shunt_type_create(rt, &to, &type), SHUNT_ENOENT);
	expect_said("types.t.pool: no pool 7; want one of shunt_pool_create");
	assert_int_equal(shunt_runtime_destroy(rt, NULL), 0);
}

/* ---- older and newer callers ---- */

static void older_caller(void **state)
{
	struct shunt_runtime_opts o = runtime_opts();
	struct shunt_pool_opts po = tu_pool_opts("p", 1);
	struct shunt_runtime *rt = NULL;
	struct shunt_pool_id pool;
	const struct sh_pool *p;

	(void)state;
	/* A caller of a version whose struct ended behind jobs_max: what follows is not its, and may be anything. */
	o.size = offsetof(struct shunt_runtime_opts, handles_max) / sizeof(size_t) * sizeof(size_t);
	assert_true(o.size >= offsetof(struct shunt_runtime_opts, jobs_max));
	memset((char *)&o + o.size, 0xff, sizeof(o) - o.size);
	assert_int_equal(shunt_runtime_create(&rt, &o), 0);
	assert_int_equal(rt->opts.groups_max, 4096);
	po.size = offsetof(struct shunt_pool_opts, pin_required) / sizeof(size_t) * sizeof(size_t);
	memset((char *)&po + po.size, 0xff, sizeof(po) - po.size);
	assert_int_equal(shunt_pool_create(rt, &po, &pool), 0);
	p = sh_runtime_pool(rt, pool.v);
	assert_int_equal(p->workers, 1);
	assert_int_equal(p->opts.key_slots, 1024);
	assert_int_equal(p->opts.on_full, SHUNT_ON_FULL_ERROR);
	assert_int_equal(p->opts.weights[2], 2);
	assert_int_equal(shunt_runtime_destroy(rt, NULL), 0);
}

static void newer_caller(void **state)
{
	struct {
		struct shunt_runtime_opts o;
		uint64_t next[2];
	} r = { runtime_opts(), { 0, 0 } };
	struct {
		struct shunt_pool_opts o;
		uint64_t next[2];
	} p = { tu_pool_opts("p", 1), { 0, 0 } };
	struct {
		struct shunt_type_opts o;
		uint64_t next[2];
	} t = { SHUNT_TYPE_OPTS_INIT, { 0, 0 } };
	struct shunt_runtime *rt = NULL;
	struct shunt_type_id type;
	static const char set[] = "size: byte %zu of the %zu of a struct shunt_runtime_opts is set, and this library "
				  "knows %zu; want 0 there, or a newer library";
	char want[256];

	(void)state;
	r.o.size = sizeof(r);
	p.o.size = sizeof(p);
	t.o.size = sizeof(t);
	t.o.name = "t";
	t.o.handler = nothing;
	r.next[1] = 1;
	assert_int_equal(shunt_runtime_create(&rt, &r.o), SHUNT_EINVAL);
	(void)snprintf(want, sizeof(want), set, sizeof(r.o) + 8, sizeof(r), sizeof(r.o));
	expect_said(want);
	r.next[1] = 0; /* a newer caller that asks for nothing new */
	assert_int_equal(shunt_runtime_create(&rt, &r.o), 0);
	forget();
	p.next[0] = 1;
	assert_int_equal(shunt_pool_create(rt, &p.o, &t.o.pool), SHUNT_EINVAL);
	assert_non_null(strstr(said.text, "a struct shunt_pool_opts is set, and this library knows"));
	p.next[0] = 0;
	assert_int_equal(shunt_pool_create(rt, &p.o, &t.o.pool), 0);
	forget();
	t.next[1] = UINT64_C(1) << 63;
	assert_int_equal(shunt_type_create(rt, &t.o, &type), SHUNT_EINVAL);
	assert_non_null(strstr(said.text, "a struct shunt_type_opts is set, and this library knows"));
	t.next[1] = 0;
	assert_int_equal(shunt_type_create(rt, &t.o, &type), 0);
	assert_int_equal(shunt_runtime_destroy(rt, NULL), 0);
}

/* A size that no version of the struct has: a program that forgot the initialiser. */
static void size_of_nothing(void **state)
{
	enum { KNOWN = sizeof(struct shunt_pool_opts) };
	static const size_t bad[] = { 0, 1, 4, sizeof(size_t) + 1, KNOWN - 2, KNOWN + 4, 1u << 20 };
	struct shunt_runtime *rt = runtime_open();
	struct shunt_pool_id pool;

	(void)state;
	for (size_t i = 0; i < SH_COUNT(bad); i++) {
		struct shunt_runtime_opts o = SHUNT_RUNTIME_OPTS_INIT;
		struct shunt_runtime *other = NULL;
		struct shunt_pool_opts po = tu_pool_opts("p", 1);
		char want[256];

		forget();
		po.size = bad[i];
		assert_int_equal(shunt_pool_create(rt, &po, &pool), SHUNT_EINVAL);
		(void)snprintf(want, sizeof(want),
			       "size: '%zu' is not the size of a struct shunt_pool_opts; want sizeof, here %zu", bad[i],
			       sizeof(po));
		expect_said(want);
		o.size = i == 5 ? 3 : bad[i] % sizeof(o);
		if (o.size % sizeof(size_t) != 0 || o.size == 0)
			assert_int_equal(shunt_runtime_create(&other, &o), SHUNT_EINVAL);
	}
	assert_int_equal(shunt_runtime_destroy(rt, NULL), 0);
}

/* An initialiser sets the size and nothing else. */
static void initialisers(void **state)
{
	struct structs s = { SHUNT_RUNTIME_OPTS_INIT, SHUNT_POOL_OPTS_INIT, SHUNT_TYPE_OPTS_INIT };
	struct structs zero;

	(void)state;
	assert_int_equal(s.runtime.size, sizeof(s.runtime));
	assert_int_equal(s.pool.size, sizeof(s.pool));
	assert_int_equal(s.type.size, sizeof(s.type));
	memset(&zero, 0, sizeof(zero));
	for (size_t k = 0; k < sh_keys_count; k++)
		for (uint32_t l = 0; l < SHUNT_LEVELS_MAX; l++)
			assert_int_equal(sh_key_load(&sh_keys[k], structs_of(&s, sh_keys[k].section), l), 0);
	assert_ptr_equal(s.pool.name, zero.pool.name);
	assert_null(s.pool.place);
	assert_true(!s.pool.select && !s.pool.on_start && !s.pool.on_stop && !s.runtime.log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_and_struct_agree),
		cmocka_unit_test(rules_agree),
		cmocka_unit_test(defaults_need_no_mode),
		cmocka_unit_test(only_in_structs),
		cmocka_unit_test(names_of_items),
		cmocka_unit_test(only_in_a_struct),
		cmocka_unit_test(all_in_one_message),
		cmocka_unit_test(calls_refuse),
		cmocka_unit_test(older_caller),
		cmocka_unit_test(newer_caller),
		cmocka_unit_test(size_of_nothing),
		cmocka_unit_test(initialisers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
