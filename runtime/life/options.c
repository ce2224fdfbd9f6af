/* life/options.c - see options.h. SPDX-License-Identifier: MIT */
#include "life/options.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/opts.h"

_Static_assert(SH_HANDLES_MAX < UINT32_C(1) << SH_RECORD_GEN_SHIFT, "the low bits of a handle are an index");

#define SIZE_WRONG "size: '%zu' is not the size of a struct %s; want sizeof, here %zu"
#define SIZE_NEWER \
	"size: byte %zu of the %zu of a struct %s is set, and this library knows %zu; " \
	"want 0 there, or a newer library"
#define THREADS_BUILT_IN \
	"pools.%s.workers: %u threads: the %u worker threads of a runtime leave %u; want fewer"
#define THREADS_SYSTEM \
	"pools.%s.workers: %u threads: the system allows %u more; want fewer, or a higher limit of threads"
#define STACKS_SYSTEM \
	"pools.%s.stack_size: %u stacks of %s%s: the system allows %u more; want less, fewer workers, or more memory"
#define STARTER_SYSTEM \
	"pools.%s.spares_max: %u: the system has no %sthread that starts them; want none, or %s"
#define STACK_TOO_SMALL \
	"pools.%s.stack_size: '%s' has no room for the thread-local data of this process; want more, or system"

/* The invalid fields of one struct, a line each. */
struct problems {
	char text[SH_REFUSE_TEXT];
	size_t used;
	uint32_t left_out; /* had no room */
};

/* A struct and what its fields are checked against. */
struct subject {
	enum sh_section section;
	const char *item; /* as messages name it; NULL for runtime and log */
	void *opts;
	const char *level[SHUNT_LEVELS_MAX];
	uint32_t levels;
	struct problems *problems;
};

static void problem(struct problems *p, const char *path, const char *what)
{
	const size_t more = 32; /* room for the line that says how many are missing */
	size_t len = strlen(path) + strlen(what) + 3;

	if (p->left_out > 0 || p->used + len + more > sizeof(p->text))
		p->left_out++;
	else
		p->used += (size_t)snprintf(p->text + p->used, len + 1, "%s%s: %s", p->used ? "\n" : "", path, what);
}

static int problems_refuse(struct problems *p, const struct sh_log *log)
{
	if (p->used == 0)
		return 0;
	if (p->left_out > 0)
		(void)snprintf(p->text + p->used, sizeof(p->text) - p->used, "\nand %u more", p->left_out);
	return sh_refuse(log, SHUNT_EINVAL, "%s", p->text);
}

static void key_problem(const struct subject *s, const struct sh_key *key, const char *level, const char *what)
{
	char path[SH_KEY_PATH_MAX];

	problem(s->problems, sh_key_path(path, key, s->item, level), what);
}

/* ---- fields ---- */

static bool field_given(const struct subject *s, const struct sh_key *key)
{
	uint32_t i;

	for (i = 0; i < (key->per_level ? SHUNT_LEVELS_MAX : 1u); i++)
		if (sh_key_load(key, s->opts, i) != 0)
			return true;
	return false;
}

static void number_check(const struct subject *s, const struct sh_key *key, uint32_t level)
{
	uint64_t v = sh_key_load(key, s->opts, level);
	const char *wrong;
	char value[SH_VALUE_TEXT];
	char why[SH_KEY_WHY_MAX];

	if (v == 0 || (key->word && v == key->word_value))
		return;
	wrong = sh_key_wrong(key, v);
	if (wrong)
		key_problem(s, key, key->per_level ? s->level[level] : NULL,
			    sh_key_say(why, sizeof(why), key, sh_key_print(value, key, v), wrong));
}

/* A level that the runtime does not have. */
static void level_problem(const struct subject *s, const struct sh_key *key, uint32_t level)
{
	char value[SH_VALUE_TEXT];
	char why[SHUNT_LEVELS_MAX * (SHUNT_NAME_MAX + 2) + 128];

	key_problem(s, key, NULL,
		    sh_unknown_say(why, sizeof(why), "level", sh_value_print_int(value, level), s->level, s->levels));
}

static void text_check(const struct subject *s, const struct sh_key *key)
{
	const char *text = NULL;
	const char *wrong = NULL;
	char why[SH_KEY_WHY_MAX];

	memcpy(&text, (const char *)s->opts + key->offset, sizeof(text));
	if (text)
		wrong = sh_key_text_wrong(key, text);
	if (wrong)
		key_problem(s, key, NULL, sh_key_say(why, sizeof(why), key, text, wrong));
}

static void need_check(const struct subject *s, const struct sh_key *key)
{
	const struct sh_key *by = key->need.field ? sh_key_find(key->section, key->need.field) : NULL;
	uint64_t value = by ? sh_key_load(by, s->opts, 0) : 0;
	char why[SH_KEY_WHY_MAX];

	if (!by || !field_given(s, key))
		return;
	if (value == 0)
		value = sh_key_default(by, 0);
	if (!sh_key_wrong(by, value) && !sh_need_met(&key->need, value))
		key_problem(s, key, NULL, sh_need_say(why, sizeof(why), key, value));
}

static void fields_check(const struct subject *s)
{
	size_t n = 0;
	const struct sh_key *key = sh_section_keys(s->section, &n);
	const struct sh_key *end = key + n;
	uint32_t i;

	for (; key < end; key++) {
		switch (key->store) {
		case SH_STORE_NUMBER:
			number_check(s, key, 0);
			break;
		case SH_STORE_TEXT:
			text_check(s, key);
			break;
		case SH_STORE_LEVEL:
			if (sh_key_load(key, s->opts, 0) > s->levels)
				level_problem(s, key, (uint32_t)sh_key_load(key, s->opts, 0) - 1u);
			break;
		case SH_STORE_ARRAY:
			for (i = 0; i < s->levels; i++)
				number_check(s, key, i);
			for (; i < SHUNT_LEVELS_MAX; i++)
				if (sh_key_load(key, s->opts, i) != 0)
					level_problem(s, key, i);
			break;
		case SH_STORE_FLAG: /* any bit is a value; unknown bits are the struct's own check */
		case SH_STORE_OTHER:
			break;
		}
		need_check(s, key);
	}
}

static void fields_default(const struct subject *s)
{
	size_t n = 0;
	const struct sh_key *key = sh_section_keys(s->section, &n);
	const struct sh_key *end = key + n;
	const char *text;
	uint32_t i;

	for (; key < end; key++) {
		if (key->store == SH_STORE_TEXT) {
			memcpy(&text, (const char *)s->opts + key->offset, sizeof(text));
			if (!text && key->def[0] != '(')
				memcpy((char *)s->opts + key->offset, &key->def, sizeof(key->def));
		}
		if (key->store != SH_STORE_NUMBER && key->store != SH_STORE_ARRAY)
			continue;
		for (i = 0; i < (key->per_level ? s->levels : 1u); i++)
			if (sh_key_load(key, s->opts, i) == 0)
				sh_key_store(key, s->opts, i, sh_key_default(key, i));
	}
}

/* Copies the caller's struct; what it sets beyond what we know, or a size that cannot be, is refused. */
static int take(const struct sh_log *log, void *dst, size_t known, const void *src, size_t given, const char *type)
{
	size_t at;

	if (sh_opts_take(dst, known, src, given) == 0)
		return 0;
	at = sh_opts_tail(src, known, given);
	if (at == given)
		return sh_refuse(log, SHUNT_EINVAL, SIZE_WRONG, given, type, known);
	return sh_refuse(log, SHUNT_EINVAL, SIZE_NEWER, at, given, type, known);
}

/* ---- runtime ---- */

static void levels_check(const struct subject *s, struct shunt_runtime *rt)
{
	const struct shunt_runtime_opts *o = &rt->opts;
	const struct sh_key *key = sh_key_find(SH_RUNTIME, "levels");
	uint32_t n = sh_names_split(key->def, rt->level_names);
	uint32_t good = 0;
	char value[SH_VALUE_TEXT];
	char why[SH_KEY_WHY_MAX];
	uint32_t i;

	rt->levels = o->levels ? o->levels : n;
	if (o->level_names && o->levels == 0) { /* how many there are, only the caller knows */
		problem(s->problems, "runtime.levels", "level_names is set and levels is not; want the number of names");
		return;
	}
	(void)sh_value_print_int(value, rt->levels);
	if (rt->levels > key->max)
		key_problem(s, key, NULL, sh_key_say(why, sizeof(why), key, value, "is out of range"));
	else if (!o->level_names && rt->levels > n)
		key_problem(s, key, NULL, sh_key_say(why, sizeof(why), key, value, "needs level_names"));
	for (i = 0; o->level_names && i < rt->levels && i < key->max; i++) {
		const char *name = o->level_names[i] ? o->level_names[i] : "";
		const char *wrong = sh_names_wrong(key, name, rt->level_names, good);

		if (wrong)
			key_problem(s, key, NULL, sh_key_say(why, sizeof(why), key, name, wrong));
		else
			memcpy(rt->level_names[good++], name, strlen(name) + 1);
	}
}

int sh_opts_runtime(struct shunt_runtime *rt, const struct shunt_runtime_opts *given)
{
	struct problems problems = { .used = 0 };
	struct shunt_runtime_opts *o = &rt->opts;
	struct subject s = { .section = SH_RUNTIME, .opts = o, .problems = &problems };
	struct subject log = { .section = SH_LOG, .opts = o, .problems = &problems };
	int rc = 0;

	/* Before anything is refused, so that the log has it. */
	if (given && sh_opts_size_valid(given->size) && given->size >= sizeof(*o))
		rt->log = (struct sh_log){ .fn = given->log, .arg = given->log_arg, .level = given->log_level };
	if (given)
		rc = take(&rt->log, o, sizeof(*o), given, given->size, "shunt_runtime_opts");
	if (rc != 0)
		return rc;
	rt->log = (struct sh_log){ .fn = o->log, .arg = o->log_arg, .level = o->log_level };
	fields_check(&s);
	levels_check(&s, rt);
	if (o->topo && o->cpu_budget != 0)
		problem(&problems, "runtime.cpu_budget",
			"has no effect beside topo; want it in cpu_budget_config of the topology's options");
	if (o->topo && o->cpu_mask != SHUNT_MASK_DEFAULT)
		problem(&problems, "runtime.cpu_mask",
			"has no effect beside topo; want it in cpu_mask of the topology's options");
	if (o->log_arg && !o->log)
		problem(&problems, "runtime.log_arg", "has no effect without log; want a function there, or NULL here");
	fields_check(&log);
	rc = problems_refuse(&problems, &rt->log);
	if (rc != 0)
		return rc;
	fields_default(&s);
	fields_default(&log);
	rt->log.level = o->log_level;
	(void)snprintf(rt->name, sizeof(rt->name), "%s", o->name);
	o->name = rt->name;
	o->levels = rt->levels;
	o->level_names = NULL; /* the caller's; rt->level_names has them */
	return 0;
}

/* ---- pools and types ---- */

/* What both have; `shown` gets the name for messages, safe to print. */
static struct subject named(const struct shunt_runtime *rt, enum sh_section section, const char *name, void *opts,
			    struct problems *problems, char shown[64])
{
	struct subject s = {
		.section = section,
		.item = shown,
		.opts = opts,
		.levels = rt->levels,
		.problems = problems,
	};
	const char *wrong = name ? sh_value_name(name) : "is empty";
	char why[SH_KEY_WHY_MAX];
	uint32_t i;

	for (i = 0; i < rt->levels; i++)
		s.level[i] = rt->level_names[i];
	(void)sh_value_quote(shown, 64, name ? name : "");
	if (wrong)
		problem(problems, sh_section_name(section), sh_name_say(why, sizeof(why), name ? name : "", wrong));
	return s;
}

static uint64_t reserved_sum(const struct shunt_pool_opts *o)
{
	uint64_t sum = 0;
	uint32_t i;

	for (i = 0; i < SHUNT_LEVELS_MAX; i++)
		sum += o->reserved[i];
	return sum;
}

static void rules_check(const struct subject *s, const struct shunt_pool_opts *o)
{
	struct sh_pool_facts f = {
		.levels = s->levels,
		.workers = o->workers,
		.level_mode = o->level_mode,
		.pin = o->pin,
		.guard_every = o->guard_every,
		.async_max = o->async_max ? o->async_max : sh_key_default(sh_key_find(SH_POOLS, "async_max"), 0),
		.async_pool_max = o->async_pool_max,
		.reserved_sum = reserved_sum(o),
		.reserved_last = o->reserved[s->levels - 1],
		.place = o->place != NULL,
	};
	char why[SH_KEY_WHY_MAX];

	for (uint32_t i = 0; i < s->levels; i++)
		f.weights = f.weights || o->weights[i] != 0;
	for (uint32_t rule = 0; rule < SH_POOL_RULES; rule++)
		if (sh_pool_rule_say(why, sizeof(why), rule, &f))
			key_problem(s, sh_key_find(SH_POOLS, sh_pool_rule_keys(rule)[0]), NULL, why);
}

int sh_opts_pool(const struct shunt_runtime *rt, const struct shunt_pool_opts *given, struct shunt_pool_opts *out)
{
	struct problems problems = { .used = 0 };
	char shown[64];
	char why[SH_KEY_WHY_MAX];
	struct subject s;
	int rc = take(&rt->log, out, sizeof(*out), given, given->size, "shunt_pool_opts");

	if (rc != 0)
		return rc;
	s = named(rt, SH_POOLS, out->name, out, &problems, shown);
	fields_check(&s);
	if (out->level_mode == SHUNT_LEVELS_RESERVED && out->workers != 0 &&
	    sh_reserved_say(why, sizeof(why), reserved_sum(out), out->workers))
		key_problem(&s, sh_key_find(SH_POOLS, "reserved"), NULL, why);
	rules_check(&s, out);
	if (out->strategy == SHUNT_SELECT_USER && !out->select)
		key_problem(&s, sh_key_find(SH_POOLS, "strategy"), NULL,
			    "SHUNT_SELECT_USER has no select function; want one in select");
	if (out->strategy != SHUNT_SELECT_USER && (out->select || out->select_arg))
		key_problem(&s, sh_key_find(SH_POOLS, "strategy"), NULL,
			    "a select function has no effect with this strategy; want SHUNT_SELECT_USER");
	if (out->hook_arg && !out->on_start && !out->on_stop) {
		char path[SH_KEY_PATH_MAX];

		(void)snprintf(path, sizeof(path), "pools.%s.hook_arg", shown);
		problem(&problems, path, "has no effect without on_start and on_stop; want one of them, or NULL here");
	}
	rc = problems_refuse(&problems, &rt->log);
	if (rc == 0)
		fields_default(&s);
	return rc;
}

int sh_opts_pool_workers(const struct shunt_runtime *rt, const struct shunt_pool_opts *o)
{
	char why[SH_KEY_WHY_MAX];

	if (!sh_reserved_say(why, sizeof(why), reserved_sum(o), o->workers))
		return 0;
	return sh_refuse(&rt->log, SHUNT_EINVAL, "pools.%s.reserved: %s", o->name, why);
}

int sh_opts_type(const struct shunt_runtime *rt, const struct shunt_type_opts *given, struct shunt_type_opts *out)
{
	struct problems problems = { .used = 0 };
	char shown[64];
	char why[SH_KEY_WHY_MAX];
	struct subject s;
	int rc = take(&rt->log, out, sizeof(*out), given, given->size, "shunt_type_opts");

	if (rc != 0)
		return rc;
	s = named(rt, SH_TYPES, out->name, out, &problems, shown);
	fields_check(&s);
	if (!out->handler)
		key_problem(&s, sh_key_find(SH_TYPES, "handler"), NULL, "is NULL; want a function");
	if (out->flags & ~(uint32_t)SHUNT_TYPE_ASYNC) {
		(void)snprintf(why, sizeof(why), "flags 0x%" PRIx32 " has unknown bits; want SHUNT_TYPE_ASYNC or 0",
			       out->flags);
		key_problem(&s, sh_key_find(SH_TYPES, "async"), NULL, why);
	}
	rc = problems_refuse(&problems, &rt->log);
	if (rc == 0)
		fields_default(&s);
	return rc;
}

/* ---- amounts that the system refuses ---- */

int sh_opts_no_memory(const struct shunt_runtime *rt, enum sh_section section, const char *item, const char *field,
		      uint64_t n, uint64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	const struct sh_key *key = sh_key_find(section, field);
	char path[SH_KEY_PATH_MAX];
	double amount = (double)bytes / 1024;
	uint32_t u = 0;

	for (; amount >= 1024 && u + 1 < SH_COUNT(units); u++)
		amount /= 1024;
	return sh_refuse(&rt->log, SHUNT_ENOMEM,
			 "%s: %" PRIu64 " %s need %.1f %s, which the system refused; want fewer, or more memory",
			 sh_key_path(path, key, item, NULL), n, key->unit, amount, units[u]);
}

int sh_opts_no_thread(const struct sh_pool *p, uint32_t started, int rc)
{
	const struct sh_log *log = &p->rt->log;
	const uint64_t asked = p->opts.stack_bytes;
	char size[SH_VALUE_TEXT];

	(void)sh_value_print_size(size, sh_thread_stack(asked));
	if (rc == SHUNT_ELIMIT)
		return sh_refuse(log, rc, THREADS_BUILT_IN, p->name, p->workers, SH_WORKERS_TOTAL_MAX, started);
	if (rc == SHUNT_ENOMEM)
		return sh_refuse(log, rc, STACKS_SYSTEM, p->name, p->workers, size, asked ? "" : " (system)", started);
	if (rc == SHUNT_EINVAL)
		return sh_refuse(log, rc, STACK_TOO_SMALL, p->name, size);
	return sh_refuse(log, rc, THREADS_SYSTEM, p->name, p->workers, started);
}

int sh_opts_no_starter(const struct sh_pool *p, int rc)
{
	const bool memory = rc == SHUNT_ENOMEM;

	return sh_refuse(&p->rt->log, rc, STARTER_SYSTEM, p->name, p->spares_max, memory ? "memory for the " : "",
			 memory ? "more memory" : "a higher limit of threads");
}
