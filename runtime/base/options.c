/* base/options.c - see options.h. SPDX-License-Identifier: MIT */
#include "base/options.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <shunt/error.h>
#include <shunt/runtime.h>

#include "base/limits.h"
#include "base/signals.h"

/* The words of an enum in the order of its values, which start at 1 (0 is "default" in every options struct). */
static const char *const pin_words[] = { "compact", "scatter", "one-per-core", "avoid-cpu0", "none", "explicit", NULL };
static const char *const mask_words[] = { "caller", "machine", NULL };
static const char *const idle_words[] = { "poll", "adaptive", "park", NULL };
static const char *const mode_words[] = { "strict", "weighted", "reserved", NULL };
static const char *const strategy_words[] = { "least-work", "peak-ewma", "least-loaded", "round-robin",
					      "random",     "keyed",     "locality",     NULL };
static const char *const full_words[] = { "error", "block", "inline", NULL };
static const char *const log_words[] = { "error", "warn", "info", "debug", NULL };

_Static_assert(SHUNT_PIN_COMPACT == 1 && SHUNT_PIN_SCATTER == 2 && SHUNT_PIN_ONE_PER_CORE == 3 &&
	       SHUNT_PIN_AVOID_CPU0 == 4 && SHUNT_PIN_NONE == 5 && SHUNT_PIN_EXPLICIT == 6, "pin_words");
_Static_assert(SHUNT_MASK_CALLER == 1 && SHUNT_MASK_MACHINE == 2, "mask_words");
_Static_assert(SHUNT_IDLE_POLL == 1 && SHUNT_IDLE_ADAPTIVE == 2 && SHUNT_IDLE_PARK == 3, "idle_words");
_Static_assert(SHUNT_LEVELS_STRICT == 1 && SHUNT_LEVELS_WEIGHTED == 2 && SHUNT_LEVELS_RESERVED == 3, "mode_words");
_Static_assert(SHUNT_SELECT_LEAST_WORK == 1 && SHUNT_SELECT_PEAK_EWMA == 2 && SHUNT_SELECT_LEAST_LOADED == 3 &&
		       SHUNT_SELECT_ROUND_ROBIN == 4 && SHUNT_SELECT_RANDOM == 5 && SHUNT_SELECT_KEYED == 6 &&
		       SHUNT_SELECT_LOCALITY == 7,
	       "strategy_words");
_Static_assert(SHUNT_ON_FULL_ERROR == 1 && SHUNT_ON_FULL_BLOCK == 2 && SHUNT_ON_FULL_INLINE == 3, "full_words");
_Static_assert(SHUNT_LOG_ERROR == 1 && SHUNT_LOG_WARN == 2 && SHUNT_LOG_INFO == 3 && SHUNT_LOG_DEBUG == 4, "log_words");

#define TO(store_, type_, field_) .store = SH_STORE_##store_, .offset = (uint16_t)offsetof(struct type_, field_), \
	.width = (uint16_t)sizeof(((struct type_ *)0)->field_)
#define RUNTIME(name_, type_) .section = SH_RUNTIME, .field = name_, .type = SH_KEY_##type_
#define POOL(name_, type_) .section = SH_POOLS, .field = name_, .type = SH_KEY_##type_
#define TYPE(name_, type_) .section = SH_TYPES, .field = name_, .type = SH_KEY_##type_
#define RANGE(unit_, min_, max_) .unit = unit_, .min = (min_), .max = (max_)
#define OR(word_, value_) .word = word_, .word_value = (value_)
#define NEED(field_, values_, want_) .need = { .field = field_, .values = (values_), .want = want_ }

#define SECOND_NS UINT64_C(1000000000)

const struct sh_key sh_keys[] = {
	{ RUNTIME("name", NAME), .def = "shunt", TO(TEXT, shunt_runtime_opts, name),
	  .help = "name of the runtime in logs and snapshots; the threads have the names of their pools" },
	{ RUNTIME("levels", NAMES), RANGE("levels", 1, SHUNT_LEVELS_MAX), .def = "high,normal,low,batch",
	  .env = "WORKER_PRIORITIES", .store = SH_STORE_OTHER, .help = "names of the priority levels, most urgent first" },
	{ RUNTIME("jobs_max", INT), RANGE("jobs", 64, SH_JOBS_MAX), .def = "1048576",
	  TO(NUMBER, shunt_runtime_opts, jobs_max),
	  .help = "queued jobs of all pools together; one more is refused as full" },
	{ RUNTIME("handles_max", INT), RANGE("jobs", 1, SH_HANDLES_MAX), .def = "1048576",
	  TO(NUMBER, shunt_runtime_opts, handles_max), .help = "jobs with a handle, callback, group or key that have not ended or whose handle was not given back" },
	{ RUNTIME("groups_max", INT), RANGE("groups", 1, 1u << 20), .def = "4096",
	  TO(NUMBER, shunt_runtime_opts, groups_max),
	  .help = "groups that exist at a time" },
	{ RUNTIME("submitters_max", INT), RANGE("threads", 1, 4096), .def = "256",
	  TO(NUMBER, shunt_runtime_opts, submitters_max),
	  .help = "threads with a submit cache of their own; further threads share a slower path" },
	{ RUNTIME("cpu_budget", INT), RANGE("cpus", 1, 4096), .def = "auto", OR("auto", 0),
	  TO(NUMBER, shunt_runtime_opts, cpu_budget),
	  .help = "cpus this runtime may assume; auto = what affinity, cpuset and cgroup quota grant" },
	{ RUNTIME("cpu_mask", ENUM), .words = mask_words, .def = "auto", OR("auto", 0),
	  TO(NUMBER, shunt_runtime_opts, cpu_mask),
	  .help = "cpus that the workers may use: those of the affinity mask of the thread that starts the runtime and "
		  "of the main thread, or all that the cgroup's cpuset grants; auto = caller, with a warning if the "
		  "machine grants more" },
	{ RUNTIME("trim_after", DURATION), RANGE(NULL, SECOND_NS / 1000, 24u * 3600u * SECOND_NS), .def = "5s",
	  OR("never", SHUNT_FOREVER), TO(NUMBER, shunt_runtime_opts, trim_after_ns),
	  .help = "the records of a burst of jobs with handles, groups or keys go back to the system when they have "
		  "not been used for so long; never = only shunt_trim gives them back" },

	{ POOL("workers", INT), RANGE("workers", 1, SHUNT_WORKERS_MAX), .def = "auto", OR("auto", 0),
	  .env = "WORKER_CONCURRENCY", TO(NUMBER, shunt_pool_opts, workers), .help = "worker threads; auto = the cpu budget" },
	{ POOL("spares_max", INT), RANGE("threads", 1, SH_SPARES_MAX), .def = "64", OR("none", SHUNT_ANY),
	  TO(NUMBER, shunt_pool_opts, spares_max), .help = "threads that may run in place of workers declared blocked" },
	{ POOL("place", PLACE), RANGE(NULL, 1, 255), .def = "(every allowed cpu)", TO(TEXT, shunt_pool_opts, place),
	  .help = "where the workers may run: a cpu list or a symbolic place such as numa:1.core:*.pu:0 or l3:0" },
	{ POOL("pin", ENUM), .words = pin_words, .def = "auto", OR("auto", 0), TO(NUMBER, shunt_pool_opts, pin),
	  .help = "how the workers are spread over the cpus of the place; auto = compact, but none where a cgroup "
		  "quota is below the cpus and neither a cpuset nor a place nor pin_required says which ones to use" },
	{ POOL("pin_required", BOOL), .def = "false", TO(NUMBER, shunt_pool_opts, pin_required),
	  NEED("pin", ~(1u << SHUNT_PIN_NONE), "another pin"),
	  .help = "true: a pin that fails is an error of start-up; false: it is a warning and visible" },
	{ POOL("idle", ENUM), .words = idle_words, .def = "adaptive", TO(NUMBER, shunt_pool_opts, idle),
	  .help = "what a worker without work does: never sleep, spin for a while and then sleep, or sleep at once" },
	{ POOL("spin", DURATION), RANGE(NULL, 1, SECOND_NS), .def = "auto", OR("auto", 0),
	  TO(NUMBER, shunt_pool_opts, spin_ns),
	  NEED("idle", 1u << SHUNT_IDLE_ADAPTIVE, "idle adaptive"),
	  .help = "with idle adaptive: how long to spin; auto = about the cost of a wake-up, measured at "
		  "start-up; not with more workers than cpus, or on one cpu" },
	{ POOL("level_mode", ENUM), .words = mode_words, .def = "strict", TO(NUMBER, shunt_pool_opts, level_mode),
	  .help = "how levels share the workers: most urgent first, by weight, or with workers reserved for urgent levels" },
	{ POOL("guard_every", INT), RANGE("picks", 2, 1024), .def = "64", TO(NUMBER, shunt_pool_opts, guard_every),
	  NEED("level_mode", 1u << SHUNT_LEVELS_STRICT | 1u << SHUNT_LEVELS_RESERVED, "level_mode strict or reserved"),
	  .help = "with level_mode strict or reserved: the aging interval that keeps lower levels from starving; one "
		  "pick in so many serves the waiting lower levels in turn" },
	{ POOL("weights", INT), .per_level = true, RANGE("picks", 1, 100), .def = "(8, 4, 2, then 1)",
	  TO(ARRAY, shunt_pool_opts, weights),
	  NEED("level_mode", 1u << SHUNT_LEVELS_WEIGHTED, "level_mode weighted"),
	  .help = "with level_mode weighted: picks that a level gets of each sum of the weights while it waits" },
	{ POOL("reserved", INT), .per_level = true, RANGE("workers", 0, SHUNT_WORKERS_MAX - 1), .def = "0",
	  TO(ARRAY, shunt_pool_opts, reserved),
	  NEED("level_mode", 1u << SHUNT_LEVELS_RESERVED, "level_mode reserved"),
	  .help = "with level_mode reserved: workers that never take a level below this one; the sum is less than workers" },
	{ POOL("strategy", ENUM), .words = strategy_words, .def = "least-work", TO(NUMBER, shunt_pool_opts, strategy),
	  .api_value = SHUNT_SELECT_USER,
	  .help = "how a submitted job finds its worker" },
	{ POOL("queue_max", INT), RANGE("jobs", 1, SH_JOBS_MAX), .def = "unlimited", OR("unlimited", 0),
	  TO(NUMBER, shunt_pool_opts, queue_max),
	  .help = "unfinished jobs of this pool; unlimited = bounded by runtime.jobs_max alone, which is faster" },
	{ POOL("on_full", ENUM), .words = full_words, .def = "error", TO(NUMBER, shunt_pool_opts, on_full),
	  .help = "what a submit does when the pool is full: return an error, wait, or run the job in the caller" },
	{ POOL("async_max", INT), RANGE("jobs", 1, 65535), .def = "64", TO(NUMBER, shunt_pool_opts, async_max),
	  .help = "asynchronous jobs in flight per worker" },
	{ POOL("async_pool_max", INT), RANGE("jobs", 1, 1u << 24), .def = "auto", OR("auto", 0),
	  TO(NUMBER, shunt_pool_opts, async_pool_max),
	  .help = "asynchronous jobs in flight in the whole pool; auto = workers times async_max" },
	{ POOL("key_slots", POW2), RANGE("slots", 1, SH_KEY_SLOTS_MAX), .def = "1024",
	  TO(NUMBER, shunt_pool_opts, key_slots),
	  .help = "slots for job keys; keys that share a slot run one at a time" },
	{ POOL("ring_capacity", POW2), RANGE("jobs", 2, 1u << 16), .def = "256",
	  TO(NUMBER, shunt_pool_opts, ring_capacity),
	  .help = "queued jobs per worker and level before the backlog of the pool is used" },
	{ POOL("pinned_capacity", POW2), RANGE("jobs", 2, 1u << 16), .def = "256",
	  TO(NUMBER, shunt_pool_opts, pinned_capacity),
	  .help = "queued jobs per worker and level that are for this worker alone; one more is refused as full" },
	{ POOL("stack_size", SIZE), RANGE(NULL, SHUNT_STACK_MIN, SHUNT_STACK_MAX), .def = "system", OR("system", 0),
	  TO(NUMBER, shunt_pool_opts, stack_bytes),
	  .help = "stack of each worker, rounded up to pages; system = the default of the system" },
	{ POOL("nice", SIGNED), RANGE(NULL, (uint64_t)-20, 19), .def = "0", TO(NUMBER, shunt_pool_opts, nice),
	  .help = "nice value of the workers' threads; 0 = that of the thread that starts the runtime" },
	{ POOL("signals", SIGNALS), RANGE(NULL, 1, 255), .def = "none", TO(TEXT, shunt_pool_opts, signals),
	  .help = "signals of the process that the workers take; all others but their own faults are blocked there" },

	{ TYPE("pool", POOL), .def = "(the only pool)", .store = SH_STORE_OTHER,
	  .help = "pool that runs the jobs of this type; required when there are several" },
	{ TYPE("handler", STRING), RANGE(NULL, 1, 63), .def = "(the name of the type)", .store = SH_STORE_OTHER,
	  .help = "name under which the program bound the handler" },
	{ TYPE("level", LEVEL), .def = "(the second level)", TO(LEVEL, shunt_type_opts, level),
	  .help = "priority level of jobs that do not name one" },
	{ TYPE("async", BOOL), .def = "false", TO(FLAG, shunt_type_opts, flags), .bit = SHUNT_TYPE_ASYNC,
	  .help = "the handler may return before the job is complete" },
	{ TYPE("expected", DURATION), RANGE(NULL, 1, 24u * 3600u * SECOND_NS), .def = "1us",
	  TO(NUMBER, shunt_type_opts, expected_ns), .help = "first guess of the run time of a job; learned afterwards" },

	{ .section = SH_LOG, .field = "level", .type = SH_KEY_ENUM, .words = log_words, .def = "warn", .env = "LOG_LEVEL",
	  TO(NUMBER, shunt_runtime_opts, log_level), .help = "least important message that reaches the log" },
};
const size_t sh_keys_count = SH_COUNT(sh_keys);

static const struct {
	const char *name;
	bool named;
} sections[SH_SECTIONS] = { { "runtime", false }, { "pools", true }, { "types", true }, { "log", false } };

const char *sh_section_name(enum sh_section section)
{
	assert(section < SH_SECTIONS);
	return sections[section].name;
}

bool sh_section_named(enum sh_section section)
{
	assert(section < SH_SECTIONS);
	return sections[section].named;
}

const struct sh_key *sh_section_keys(enum sh_section section, size_t *count)
{
	size_t first = 0;
	size_t n = 0;

	while (first < SH_COUNT(sh_keys) && sh_keys[first].section != section)
		first++;
	while (first + n < SH_COUNT(sh_keys) && sh_keys[first + n].section == section)
		n++;
	assert(n > 0);
	*count = n;
	return &sh_keys[first];
}

const struct sh_key *sh_key_find(enum sh_section section, const char *field)
{
	size_t n = 0;
	const struct sh_key *keys = sh_section_keys(section, &n);
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(keys[i].field, field) == 0)
			return &keys[i];
	return NULL;
}

char *sh_key_path(char *buf, const struct sh_key *key, const char *item, const char *level)
{
	(void)snprintf(buf, SH_KEY_PATH_MAX, "%s%s%s.%s%s%s", sh_section_name(key->section), item ? "." : "",
		       item ? item : "", key->field, level ? "." : "", level ? level : "");
	return buf;
}

static size_t words_count(const char *const *words)
{
	size_t n = 0;

	while (words[n])
		n++;
	return n;
}

const char *sh_key_print(char *buf, const struct sh_key *key, uint64_t num)
{
	if (key->word && num == key->word_value)
		return key->word;
	switch (key->type) {
	case SH_KEY_DURATION:
		return sh_value_print_duration(buf, num);
	case SH_KEY_SIZE:
		return sh_value_print_size(buf, num);
	case SH_KEY_PERCENT:
		return sh_value_print_percent(buf, num);
	case SH_KEY_BOOL:
		if (num > 1)
			return sh_value_print_int(buf, num);
		return num ? "true" : "false";
	case SH_KEY_SIGNED:
		(void)snprintf(buf, SH_VALUE_TEXT, "%" PRId64, (int64_t)num);
		return buf;
	case SH_KEY_ENUM:
		return num >= 1 && num <= words_count(key->words) ? key->words[num - 1] : sh_value_print_int(buf, num);
	default:
		return sh_value_print_int(buf, num);
	}
}

/* "a, b, c" of a NULL-terminated list, behind what buf holds. */
static void words_join(char *buf, size_t size, const char *const *words)
{
	size_t used = strlen(buf);
	size_t i;

	for (i = 0; words[i] && used < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s", i ? ", " : "", words[i]);
}

static void expect_range(char *buf, size_t size, const struct sh_key *key, const char *what, const char *units)
{
	char low[SH_VALUE_TEXT];
	char high[SH_VALUE_TEXT];

	(void)snprintf(buf, size, "%s from %s to %s%s%s%s%s%s", what, sh_key_print(low, key, key->min),
		       sh_key_print(high, key, key->max), units ? " (units " : "", units ? units : "", units ? ")" : "",
		       key->word ? ", or " : "", key->word ? key->word : "");
}

char *sh_key_expect(char *buf, size_t size, const struct sh_key *key)
{
	switch (key->type) {
	case SH_KEY_INT:
	case SH_KEY_SIGNED:
		expect_range(buf, size, key, "an integer", NULL);
		break;
	case SH_KEY_POW2:
		expect_range(buf, size, key, "a power of two", NULL);
		break;
	case SH_KEY_SIZE:
		expect_range(buf, size, key, "a size", SH_SIZE_UNITS);
		break;
	case SH_KEY_DURATION:
		expect_range(buf, size, key, "a duration", SH_DURATION_UNITS);
		break;
	case SH_KEY_PERCENT:
		expect_range(buf, size, key, "a percentage", NULL);
		break;
	case SH_KEY_BOOL:
		(void)snprintf(buf, size, "true or false");
		break;
	case SH_KEY_ENUM:
		(void)snprintf(buf, size, "one of ");
		words_join(buf, size, key->words);
		if (key->word)
			(void)snprintf(buf + strlen(buf), size - strlen(buf), ", or %s", key->word);
		break;
	case SH_KEY_STRING:
		(void)snprintf(buf, size, "a text of 1 to %" PRIu64 " bytes", key->max);
		break;
	case SH_KEY_PLACE:
		(void)snprintf(buf, size, "a place of 1 to %" PRIu64 " bytes, such as 0-3 or numa:0", key->max);
		break;
	case SH_KEY_SIGNALS:
		(void)snprintf(buf, size, "%s", SH_SIGNALS_WANT);
		break;
	case SH_KEY_NAME:
		(void)snprintf(buf, size, "%s", SH_NAME_WANT);
		break;
	case SH_KEY_NAMES:
		(void)snprintf(buf, size, "a list of %" PRIu64 " to %" PRIu64 " different names of 1 to %d characters a-z 0-9 _ -",
			       key->min, key->max, SHUNT_NAME_MAX - 1);
		break;
	case SH_KEY_POOL:
		(void)snprintf(buf, size, "the name of a pool");
		break;
	case SH_KEY_LEVEL:
		(void)snprintf(buf, size, "the name of a level");
		break;
	}
	return buf;
}

uint64_t sh_key_default(const struct sh_key *key, uint32_t level)
{
	char why[SH_KEY_WHY_MAX];
	uint64_t num = 0;
	int rc = 0;

	if (key->per_level && key->def[0] == '(')
		return level < 3 ? 8u >> level : 1u; /* "(8, 4, 2, then 1)" */
	if (key->def[0] != '(' && key->type < SH_KEY_STRING)
		rc = sh_key_parse(key, key->def, &num, why, sizeof(why));
	assert(rc == 0);
	(void)rc;
	return num;
}

uint32_t sh_names_split(const char *list, char name[SHUNT_LEVELS_MAX][SHUNT_NAME_MAX])
{
	uint32_t n;

	for (n = 0; list && n < SHUNT_LEVELS_MAX; n++) {
		size_t len = strcspn(list, ",");

		assert(len > 0 && len < SHUNT_NAME_MAX);
		memcpy(name[n], list, len);
		name[n][len] = '\0';
		list = list[len] ? list + len + 1 : NULL;
	}
	return n;
}

/* ---- fields ---- */

uint64_t sh_key_load(const struct sh_key *key, const void *opts, uint32_t level)
{
	const char *at = (const char *)opts + key->offset;
	uint64_t v64 = 0;
	uint32_t v32 = 0;
	uint8_t v8 = 0;

	switch (key->store) {
	case SH_STORE_LEVEL:
		memcpy(&v8, at, sizeof(v8));
		return v8;
	case SH_STORE_NUMBER:
		assert(key->width == sizeof(v32) || key->width == sizeof(v64));
		if (key->width == sizeof(v64)) {
			memcpy(&v64, at, sizeof(v64));
			return v64;
		}
		break;
	case SH_STORE_ARRAY:
		assert(level < SHUNT_LEVELS_MAX);
		at += level * sizeof(v32);
		break;
	case SH_STORE_FLAG:
		memcpy(&v32, at, sizeof(v32));
		return (v32 & key->bit) != 0;
	case SH_STORE_TEXT:
	case SH_STORE_OTHER:
		return 0;
	}
	memcpy(&v32, at, sizeof(v32));
	return key->type == SH_KEY_SIGNED ? (uint64_t)(int64_t)(int32_t)v32 : v32;
}

void sh_key_store(const struct sh_key *key, void *opts, uint32_t level, uint64_t num)
{
	char *at = (char *)opts + key->offset;
	uint32_t v32 = (uint32_t)num;
	uint8_t v8 = (uint8_t)num;

	switch (key->store) {
	case SH_STORE_LEVEL:
		memcpy(at, &v8, sizeof(v8));
		return;
	case SH_STORE_NUMBER:
		assert(key->width == sizeof(v32) || key->width == sizeof(num));
		if (key->width == sizeof(num))
			memcpy(at, &num, sizeof(num));
		else
			memcpy(at, &v32, sizeof(v32));
		return;
	case SH_STORE_ARRAY:
		assert(level < SHUNT_LEVELS_MAX);
		memcpy(at + level * sizeof(v32), &v32, sizeof(v32));
		return;
	case SH_STORE_FLAG:
		memcpy(&v32, at, sizeof(v32));
		v32 = num ? v32 | key->bit : v32 & ~key->bit;
		memcpy(at, &v32, sizeof(v32));
		return;
	case SH_STORE_TEXT:
	case SH_STORE_OTHER:
		return;
	}
}

/* ---- rules ---- */

static bool in_range(const struct sh_key *key, uint64_t num)
{
	if (key->type == SH_KEY_SIGNED)
		return (int64_t)num >= (int64_t)key->min && (int64_t)num <= (int64_t)key->max;
	return num >= key->min && num <= key->max;
}

const char *sh_key_wrong(const struct sh_key *key, uint64_t num)
{
	if (key->type == SH_KEY_BOOL)
		return num > 1 ? "is not a boolean" : NULL;
	if (key->type == SH_KEY_ENUM && num >= 1 && (num <= words_count(key->words) || num == key->api_value))
		return NULL;
	if (key->type == SH_KEY_ENUM)
		return "is not a known word";
	if (key->type > SH_KEY_PERCENT)
		return NULL;
	if (!in_range(key, num))
		return "is out of range";
	return key->type == SH_KEY_POW2 && !sh_is_pow2(num) ? "is not a power of two" : NULL;
}

const char *sh_key_text_wrong(const struct sh_key *key, const char *text)
{
	const char *wrong;

	if (key->type != SH_KEY_STRING && key->type != SH_KEY_PLACE && key->type != SH_KEY_SIGNALS)
		return sh_value_name(text);
	wrong = sh_value_string(text, key->max);
	return !wrong && key->type == SH_KEY_SIGNALS ? sh_signals_wrong(text) : wrong;
}

const char *sh_names_wrong(const struct sh_key *key, const char *next, char have[][SHUNT_NAME_MAX], uint32_t n)
{
	const char *wrong = sh_value_name(next);
	uint32_t i;

	for (i = 0; i < n && !wrong; i++)
		if (strcmp(have[i], next) == 0)
			wrong = "is there twice";
	return !wrong && n >= key->max ? "is one too many" : wrong;
}

bool sh_need_met(const struct sh_need *need, uint64_t value)
{
	return !need->field || (value < 32 && (need->values & 1u << value));
}

/* ---- messages ---- */

char *sh_key_say(char *buf, size_t size, const struct sh_key *key, const char *value, const char *wrong)
{
	char quoted[64];
	char expect[256];
	const char *meant = NULL;

	if (key->type == SH_KEY_ENUM)
		meant = sh_value_nearest(value, key->words, words_count(key->words));
	if (!meant && key->word)
		meant = sh_value_nearest(value, &key->word, 1);
	(void)snprintf(buf, size, "'%s' %s; %s%s%swant %s", sh_value_quote(quoted, sizeof(quoted), value), wrong,
		       meant ? "did you mean '" : "", meant ? meant : "", meant ? "'? " : "",
		       sh_key_expect(expect, sizeof(expect), key));
	return buf;
}

char *sh_need_say(char *buf, size_t size, const struct sh_key *key, uint64_t value)
{
	char text[SH_VALUE_TEXT];

	(void)snprintf(buf, size, "has no effect with %s %s; want %s, or not this key", key->need.field,
		       sh_key_print(text, sh_key_find(key->section, key->need.field), value), key->need.want);
	return buf;
}

char *sh_name_say(char *buf, size_t size, const char *name, const char *wrong)
{
	char quoted[64];

	(void)snprintf(buf, size, "'%s' %s; want " SH_NAME_WANT, sh_value_quote(quoted, sizeof(quoted), name), wrong);
	return buf;
}

char *sh_names_join(char *buf, size_t size, const char *const *name, size_t n)
{
	const size_t shown_max = 16;
	size_t used = 0;
	size_t i;

	buf[0] = '\0';
	for (i = 0; i < n && i < shown_max && used < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s", i ? ", " : "", name[i]);
	if (n > shown_max && used < size)
		(void)snprintf(buf + used, size - used, " and %zu more", n - shown_max);
	return buf;
}

char *sh_unknown_say(char *buf, size_t size, const char *what, const char *name, const char *const *known, size_t n)
{
	const char *meant = sh_value_nearest(name, known, n);
	char list[SHUNT_LEVELS_MAX * (SHUNT_NAME_MAX + 2) + 32];

	if (meant)
		(void)snprintf(buf, size, "no %s '%s'; did you mean '%s'?", what, name, meant);
	else if (n == 0)
		(void)snprintf(buf, size, "no %s '%s'; there are none", what, name);
	else
		(void)snprintf(buf, size, "no %s '%s'; want one of %s", what, name,
			       sh_names_join(list, sizeof(list), known, n));
	return buf;
}

char *sh_reserved_say(char *buf, size_t size, uint64_t sum, uint64_t workers)
{
	if (sum == 0 || sum < workers)
		return NULL;
	(void)snprintf(buf, size, "the sum is %" PRIu64 " of %" PRIu64 " workers; want at most %" PRIu64, sum, workers,
		       workers - 1);
	return buf;
}

static const char *const rule_keys[SH_POOL_RULES][4] = {
	{ "level_mode", "reserved", NULL },
	{ "level_mode", "levels", NULL },
	{ "reserved", "levels", NULL },
	{ "guard_every", "levels", NULL },
	{ "weights", "levels", NULL },
	{ "place", "pin", "workers", NULL },
	{ "async_pool_max", "async_max", "workers", NULL },
};

const char *const *sh_pool_rule_keys(uint32_t rule)
{
	assert(rule < SH_POOL_RULES);
	return rule_keys[rule];
}

static bool rule_broken(uint32_t rule, const struct sh_pool_facts *f)
{
	const bool one = f->levels == 1;

	switch (rule) {
	case 0:
		return f->level_mode == SHUNT_LEVELS_RESERVED && f->reserved_sum == 0;
	case 1:
		return f->level_mode == SHUNT_LEVELS_WEIGHTED && one;
	case 2:
		return f->level_mode == SHUNT_LEVELS_RESERVED && f->reserved_last != 0;
	case 3:
		return f->guard_every != 0 && f->level_mode != SHUNT_LEVELS_WEIGHTED && one;
	case 4:
		return f->weights && f->level_mode == SHUNT_LEVELS_WEIGHTED && one;
	case 5:
		return f->place && f->pin == SHUNT_PIN_NONE && f->workers != 0;
	default:
		return f->workers != 0 && f->async_pool_max > f->workers * f->async_max;
	}
}

char *sh_pool_rule_say(char *buf, size_t size, uint32_t rule, const struct sh_pool_facts *f)
{
	static const char *const words[] = {
		"reserved has no effect without reserved workers; want some in reserved, or another level_mode",
		"weighted has no effect with one level; want more levels, or not this key",
		"has no effect at the last level, which every worker serves; want workers for a level above it",
		"has no effect with one level; want more levels, or not this key",
		"has no effect with one level; want more levels, or not this key",
		"has no effect with pin none and workers; want another pin, or not this key",
	};

	if (!rule_broken(rule, f))
		return NULL;
	if (rule < SH_COUNT(words))
		(void)snprintf(buf, size, "%s", words[rule]);
	else
		(void)snprintf(buf, size, "'%" PRIu64 "' is more than %" PRIu64 " workers have; want at most %" PRIu64 ", or auto",
			       f->async_pool_max, f->workers, f->workers * f->async_max);
	return buf;
}

/* ---- from text ---- */

/* The value of one scalar, without the rules of its key: NULL or what is wrong. */
static const char *parse_signed(const char *text, uint64_t *num)
{
	bool negative = text[0] == '-';
	const char *why = sh_value_int(text + negative, num);

	if (!why && negative)
		*num = 0 - *num;
	return why;
}

static const char *parse_raw(const struct sh_key *key, const char *text, uint64_t *num)
{
	const char *why = NULL;

	switch (key->type) {
	case SH_KEY_INT:
	case SH_KEY_POW2:
		return sh_value_int(text, num);
	case SH_KEY_SIGNED:
		return parse_signed(text, num);
	case SH_KEY_SIZE:
		return sh_value_size(text, num);
	case SH_KEY_DURATION:
		return sh_value_duration(text, num);
	case SH_KEY_PERCENT:
		return sh_value_percent(text, num);
	case SH_KEY_BOOL:
		return sh_value_bool(text, num);
	case SH_KEY_ENUM:
		why = sh_value_word(text, key->words, num);
		if (!why)
			*num += 1;
		return why;
	default:
		return sh_key_text_wrong(key, text);
	}
}

int sh_key_parse(const struct sh_key *key, const char *text, uint64_t *num, char *why, size_t size)
{
	const char *wrong = NULL;
	uint64_t v = 0;

	*num = 0;
	if (key->word && (strcmp(text, key->word) == 0 ||
			  (key->type == SH_KEY_ENUM && strcasecmp(text, key->word) == 0))) {
		*num = key->word_value;
		return 0;
	}
	wrong = parse_raw(key, text, &v);
	if (!wrong)
		wrong = sh_key_wrong(key, v);
	if (!wrong) {
		*num = v;
		return 0;
	}
	(void)sh_key_say(why, size, key, text, wrong);
	return SHUNT_ECONFIG;
}
