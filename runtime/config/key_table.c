/* config/key_table.c - see key_table.h. SPDX-License-Identifier: MIT */
#include "config/key_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <shunt/error.h>
#include <shunt/runtime.h>

/* The words of an enum in the order of its values, which start at 1 (0 is "default" in every options struct). */
static const char *const pin_words[] = { "compact", "scatter", "one-per-core", "avoid-cpu0", "none", "explicit", NULL };
static const char *const idle_words[] = { "poll", "adaptive", "park", NULL };
static const char *const mode_words[] = { "strict", "weighted", "reserved", NULL };
static const char *const strategy_words[] = { "least-work", "peak-ewma", "least-loaded", "round-robin",
					      "random",     "keyed",     "locality",     NULL };
static const char *const full_words[] = { "error", "block", "inline", NULL };
static const char *const log_words[] = { "error", "warn", "info", "debug", NULL };

_Static_assert(SHUNT_PIN_COMPACT == 1 && SHUNT_PIN_SCATTER == 2 && SHUNT_PIN_ONE_PER_CORE == 3 &&
	       SHUNT_PIN_AVOID_CPU0 == 4 && SHUNT_PIN_NONE == 5 && SHUNT_PIN_EXPLICIT == 6, "pin_words");
_Static_assert(SHUNT_IDLE_POLL == 1 && SHUNT_IDLE_ADAPTIVE == 2 && SHUNT_IDLE_PARK == 3, "idle_words");
_Static_assert(SHUNT_LEVELS_STRICT == 1 && SHUNT_LEVELS_WEIGHTED == 2 && SHUNT_LEVELS_RESERVED == 3, "mode_words");
_Static_assert(SHUNT_SELECT_LEAST_WORK == 1 && SHUNT_SELECT_PEAK_EWMA == 2 && SHUNT_SELECT_LEAST_LOADED == 3 &&
	       SHUNT_SELECT_ROUND_ROBIN == 4 && SHUNT_SELECT_RANDOM == 5 && SHUNT_SELECT_KEYED == 6 &&
	       SHUNT_SELECT_LOCALITY == 7, "strategy_words");
_Static_assert(SHUNT_FULL_ERROR == 1 && SHUNT_FULL_BLOCK == 2 && SHUNT_FULL_INLINE == 3, "full_words");
_Static_assert(SHUNT_LOG_ERROR == 1 && SHUNT_LOG_WARN == 2 && SHUNT_LOG_INFO == 3 && SHUNT_LOG_DEBUG == 4, "log_words");

#define TO(store_, type_, field_) .store = SH_STORE_##store_, .offset = (uint16_t)offsetof(struct type_, field_), \
	.width = (uint16_t)sizeof(((struct type_ *)0)->field_)
#define RUNTIME(name_, type_) .section = SH_RUNTIME, .field = name_, .type = SH_KEY_##type_
#define POOL(name_, type_) .section = SH_POOLS, .field = name_, .type = SH_KEY_##type_
#define TYPE(name_, type_) .section = SH_TYPES, .field = name_, .type = SH_KEY_##type_
#define RANGE(unit_, min_, max_) .unit = unit_, .min = (min_), .max = (max_)
#define OR(word_, value_) .word = word_, .word_value = (value_)

#define SECOND_NS UINT64_C(1000000000)

const struct sh_key sh_keys[] = {
	{ RUNTIME("name", NAME), .def = "shunt", TO(TEXT, shunt_runtime_opts, name),
	  .help = "name of the runtime in logs, thread names and snapshots" },
	{ RUNTIME("levels", NAMES), RANGE("levels", 1, SHUNT_LEVELS_MAX), .def = "high,normal,low,batch",
	  .env = "WORKER_PRIORITIES", .store = SH_STORE_OTHER, .help = "names of the priority levels, most urgent first" },
	{ RUNTIME("jobs_max", INT), RANGE("jobs", 64, 1u << 27), .def = "1048576", TO(NUMBER, shunt_runtime_opts, jobs_max),
	  .help = "unfinished jobs of all pools together; one more is refused as full" },
	{ RUNTIME("tracked_max", INT), RANGE("handles", 1, 1u << 24), .def = "65536",
	  TO(NUMBER, shunt_runtime_opts, tracked_max), .help = "handles of tracked jobs that were not given back yet" },
	{ RUNTIME("groups_max", INT), RANGE("groups", 1, 1u << 20), .def = "4096", TO(NUMBER, shunt_runtime_opts, groups_max),
	  .help = "groups that exist at a time" },
	{ RUNTIME("submitters_max", INT), RANGE("threads", 1, 4096), .def = "256",
	  TO(NUMBER, shunt_runtime_opts, submitters_max),
	  .help = "threads with a submit cache of their own; further threads share a slower path" },
	{ RUNTIME("cpu_budget", INT), RANGE("cpus", 1, 4096), .def = "auto", OR("auto", 0),
	  TO(NUMBER, shunt_runtime_opts, cpu_budget),
	  .help = "cpus this runtime may assume; auto = what affinity, cpuset and cgroup quota grant" },

	{ POOL("workers", INT), RANGE("workers", 1, SHUNT_WORKERS_MAX), .def = "auto", OR("auto", 0),
	  .env = "WORKER_CONCURRENCY", TO(NUMBER, shunt_pool_opts, workers), .help = "worker threads; auto = the cpu budget" },
	{ POOL("spares_max", INT), RANGE("threads", 1, 64), .def = "64", OR("none", SHUNT_ANY),
	  TO(NUMBER, shunt_pool_opts, spares_max), .help = "threads that may stand in for workers declared blocked" },
	{ POOL("place", PLACE), RANGE(NULL, 1, 255), .def = "(every allowed cpu)", TO(TEXT, shunt_pool_opts, place),
	  .help = "where the workers may run: a cpu list or a symbolic place such as numa:1.core:*.pu:0 or l3:0" },
	{ POOL("pin", ENUM), .words = pin_words, .def = "compact", TO(NUMBER, shunt_pool_opts, pin),
	  .help = "how the workers are spread over the cpus of the place" },
	{ POOL("pin_required", BOOL), .def = "false", TO(NUMBER, shunt_pool_opts, pin_required),
	  .help = "true: a pin that fails is an error of start-up; false: it is a warning and visible" },
	{ POOL("idle", ENUM), .words = idle_words, .def = "adaptive", TO(NUMBER, shunt_pool_opts, idle),
	  .help = "what a worker without work does: never sleep, spin for a while and then sleep, or sleep at once" },
	{ POOL("spin", DURATION), RANGE(NULL, 1, SECOND_NS), .def = "auto", OR("auto", 0),
	  TO(NUMBER, shunt_pool_opts, spin_ns),
	  .help = "with idle adaptive: how long to spin; auto = about the cost of a wake-up, measured at start-up" },
	{ POOL("level_mode", ENUM), .words = mode_words, .def = "strict", TO(NUMBER, shunt_pool_opts, level_mode),
	  .help = "how levels share the workers: most urgent first, by weight, or with workers reserved for urgent levels" },
	{ POOL("guard_every", INT), RANGE("picks", 2, 1024), .def = "64", TO(NUMBER, shunt_pool_opts, guard_every),
	  .help = "with level_mode strict or reserved: one pick in so many serves the waiting lower levels in turn" },
	{ POOL("weights", INT), .per_level = true, RANGE("picks", 1, 100), .def = "(8, 4, 2, then 1)",
	  TO(ARRAY, shunt_pool_opts, weights),
	  .help = "with level_mode weighted: picks that a level gets of each sum of the weights while it waits" },
	{ POOL("reserved", INT), .per_level = true, RANGE("workers", 0, SHUNT_WORKERS_MAX - 1), .def = "0",
	  TO(ARRAY, shunt_pool_opts, reserved),
	  .help = "with level_mode reserved: workers that never take a level below this one; the sum is less than workers" },
	{ POOL("strategy", ENUM), .words = strategy_words, .def = "least-work", TO(NUMBER, shunt_pool_opts, strategy),
	  .help = "how a submitted job finds its worker" },
	{ POOL("queue_max", INT), RANGE("jobs", 1, 1u << 27), .def = "unlimited", OR("unlimited", 0),
	  TO(NUMBER, shunt_pool_opts, queue_max),
	  .help = "unfinished jobs of this pool; unlimited = bounded by runtime.jobs_max alone, which is faster" },
	{ POOL("full", ENUM), .words = full_words, .def = "error", TO(NUMBER, shunt_pool_opts, full),
	  .help = "what a submit does when there is no room: return an error, wait, or run the job in the caller" },
	{ POOL("async_max", INT), RANGE("jobs", 1, 65535), .def = "64", TO(NUMBER, shunt_pool_opts, async_max),
	  .help = "asynchronous jobs in flight per worker" },
	{ POOL("async_pool_max", INT), RANGE("jobs", 1, 1u << 24), .def = "auto", OR("auto", 0),
	  TO(NUMBER, shunt_pool_opts, async_pool_max),
	  .help = "asynchronous jobs in flight in the whole pool; auto = workers times async_max" },
	{ POOL("strands", POW2), RANGE("slots", 1, 1u << 20), .def = "1024", TO(NUMBER, shunt_pool_opts, strands),
	  .help = "slots for job keys; keys that share a slot run one at a time" },
	{ POOL("ring_capacity", POW2), RANGE("jobs", 2, 1u << 16), .def = "256", TO(NUMBER, shunt_pool_opts, ring_capacity),
	  .help = "queued jobs per worker and level before the backlog of the pool is used" },

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
		return num ? "true" : "false";
	case SH_KEY_ENUM:
		assert(num >= 1);
		return key->words[num - 1];
	default:
		return sh_value_print_int(buf, num);
	}
}

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
		break;
	case SH_KEY_STRING:
		(void)snprintf(buf, size, "a text of 1 to %" PRIu64 " bytes", key->max);
		break;
	case SH_KEY_PLACE:
		(void)snprintf(buf, size, "a place of 1 to %" PRIu64 " bytes, such as 0-3 or numa:0", key->max);
		break;
	case SH_KEY_NAME:
		(void)snprintf(buf, size, "a name of 1 to %d characters a-z 0-9 _ -", SHUNT_NAME_MAX - 1);
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

/* The rule of one value, without its range: NULL or what is wrong. */
static const char *parse_raw(const struct sh_key *key, const char *text, uint64_t *num)
{
	const char *why = NULL;

	switch (key->type) {
	case SH_KEY_INT:
	case SH_KEY_POW2:
		return sh_value_int(text, num);
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
	case SH_KEY_STRING:
	case SH_KEY_PLACE:
		return sh_value_string(text, key->max);
	case SH_KEY_NAME:
	case SH_KEY_NAMES:
	case SH_KEY_POOL:
	case SH_KEY_LEVEL:
		return sh_value_name(text);
	}
	return "cannot be read";
}

int sh_key_parse(const struct sh_key *key, const char *text, uint64_t *num, char *why, size_t size)
{
	char quoted[64];
	char expect[256];
	const char *wrong = NULL;
	const char *meant = NULL;
	uint64_t v = 0;

	*num = 0;
	if (key->word && strcmp(text, key->word) == 0) {
		*num = key->word_value;
		return 0;
	}
	wrong = parse_raw(key, text, &v);
	if (!wrong && key->type <= SH_KEY_PERCENT && (v < key->min || v > key->max))
		wrong = "is out of range";
	if (!wrong && key->type == SH_KEY_POW2 && !sh_is_pow2(v))
		wrong = "is not a power of two";
	if (!wrong) {
		*num = v;
		return 0;
	}
	if (key->type == SH_KEY_ENUM) {
		size_t n = 0;

		while (key->words[n])
			n++;
		meant = sh_value_nearest(text, key->words, n);
	} else if (key->word) {
		meant = sh_value_nearest(text, &key->word, 1);
	}
	(void)snprintf(why, size, "'%s' %s; %s%s%swant %s", sh_value_quote(quoted, sizeof(quoted), text), wrong,
		       meant ? "did you mean '" : "", meant ? meant : "", meant ? "'? " : "",
		       sh_key_expect(expect, sizeof(expect), key));
	return SHUNT_ECONFIG;
}
