/*
 * tests/unit/config_value_test.c - the scalars of the configuration: what is accepted and its exact value, what is
 * refused, that printing and parsing agree, and the nearest word.
 *
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <inttypes.h>

#include "base/rng.h"
#include "base/value.h"

typedef const char *(*parse_fn)(const char *text, uint64_t *out);

struct good {
	const char *text;
	uint64_t value;
};

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

static void expect_good(parse_fn parse, const struct good *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t v = 77;
		const char *why = parse(rows[i].text, &v);

		if (why || v != rows[i].value)
			fail_msg("'%s': %s, %" PRIu64 " instead of %" PRIu64, rows[i].text, why ? why : "ok", v, rows[i].value);
	}
}

/* rows: text, part of the reason */
static void expect_bad(parse_fn parse, const char *const rows[][2], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t v = 77;
		const char *why = parse(rows[i][0], &v);

		if (!why || !strstr(why, rows[i][1]))
			fail_msg("'%s': want '%s', got '%s'", rows[i][0], rows[i][1], why ? why : "ok");
		assert_int_equal(v, 77); /* untouched */
	}
}

static void integers(void **state)
{
	static const struct good good[] = {
		{ "0", 0 }, { "7", 7 }, { "1_000_000", 1000000 }, { "999999999999999999", UINT64_C(999999999999999999) },
	};
	static const char *const bad[][2] = {
		{ "", "not a number" }, { "x", "not a number" }, { "-1", "negative" }, { "+1", "not a number" },
		{ "01", "leading zero" }, { "1.5", "not a whole number" }, { "1.", "misplaced '.'" }, { "0x10", "not an integer" },
		{ "1__0", "misplaced '_'" }, { "1_", "misplaced '_'" }, { "_1", "not a number" }, { "1 ", "not an integer" },
		{ "9999999999999999999", "too many digits" }, { "1e3", "not an integer" }, { " 1", "not a number" },
	};

	(void)state;
	expect_good(sh_value_int, good, SH_COUNT(good));
	expect_bad(sh_value_int, bad, SH_COUNT(bad));
}

static void durations(void **state)
{
	static const struct good good[] = {
		{ "0", 0 }, { "0s", 0 }, { "100ns", 100 }, { "250us", 250 * US }, { "250\xc2\xb5s", 250 * US }, { "1.5ms", 1500 * US },
		{ "30s", 30 * SECOND }, { "5min", 300 * SECOND }, { "2h", 7200 * SECOND }, { "0.000001ms", 1 }, { "1.0s", SECOND },
		{ "1_000 ms", SECOND }, { "0.5h", 1800 * SECOND }, { "5124095h", UINT64_C(5124095) * 3600 * SECOND },
	};
	static const char *const bad[][2] = {
		{ "250", "no unit" }, { "5m", "unclear unit" }, { "5 sec", "unknown unit" }, { "5S", "unknown unit" },
		{ "0.5ns", "finer" }, { "1.0000001us", "finer" }, { "-1ms", "negative" }, { "ms", "not a number" },
		{ "5124096h", "too large" }, { "1.ms", "misplaced '.'" }, { "1.2.3ms", "misplaced '.'" }, { ".5ms", "not a number" },
		{ "5ms 3us", "unknown unit" }, { "0.0000000000000000001h", "too many digits" }, { "infms", "not a number" },
	};

	(void)state;
	expect_good(sh_value_duration, good, SH_COUNT(good));
	expect_bad(sh_value_duration, bad, SH_COUNT(bad));
}

static void sizes_and_percentages(void **state)
{
	static const struct good sizes[] = {
		{ "0", 0 }, { "1B", 1 }, { "4KiB", 4096 }, { "64MiB", UINT64_C(64) << 20 }, { "10MB", 10000000 }, { "1kB", 1000 },
		{ "1.5GiB", UINT64_C(3) << 29 }, { "2TiB", UINT64_C(2) << 40 },
	};
	static const char *const bad_sizes[][2] = {
		{ "64", "no unit" }, { "64K", "unknown unit" }, { "64mb", "unknown unit" }, { "1.5B", "finer" },
		{ "99999999TiB", "too large" }, { "-1MB", "negative" },
	};
	static const struct good percents[] = { { "0%", 0 }, { "50%", 5000 }, { "12.5%", 1250 }, { "0.01%", 1 }, { "100%", 10000 } };
	static const char *const bad_percents[][2] = { { "50", "no unit" }, { "0.001%", "finer" }, { "50 percent", "unknown unit" } };

	(void)state;
	expect_good(sh_value_size, sizes, SH_COUNT(sizes));
	expect_bad(sh_value_size, bad_sizes, SH_COUNT(bad_sizes));
	expect_good(sh_value_percent, percents, SH_COUNT(percents));
	expect_bad(sh_value_percent, bad_percents, SH_COUNT(bad_percents));
}

static void booleans_and_words(void **state)
{
	static const struct good good[] = {
		{ "true", 1 }, { "yes", 1 }, { "on", 1 }, { "True", 1 }, { "false", 0 }, { "no", 0 }, { "OFF", 0 },
	};
	static const char *const bad[][2] = { { "1", "boolean" }, { "", "boolean" }, { "truee", "boolean" } };
	static const char *const words[] = { "poll", "adaptive", NULL };
	uint64_t v = 77;

	(void)state;
	expect_good(sh_value_bool, good, SH_COUNT(good));
	expect_bad(sh_value_bool, bad, SH_COUNT(bad));
	assert_null(sh_value_word("Adaptive", words, &v));
	assert_int_equal(v, 1);
	assert_non_null(sh_value_word("adapt", words, &v));
	assert_int_equal(v, 1);
}

static void names_and_strings(void **state)
{
	(void)state;
	assert_null(sh_value_name("io-2_x"));
	assert_null(sh_value_name("0123456789012345678901234567890"));
	assert_string_equal(sh_value_name("01234567890123456789012345678901"), "is too long for a name");
	assert_string_equal(sh_value_name(""), "is empty");
	assert_string_equal(sh_value_name("Io"), "is not a valid name");
	assert_null(sh_value_string("abc", 3));
	assert_string_equal(sh_value_string("abcd", 3), "is too long");
	assert_null(sh_value_string("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", 30));
	assert_non_null(sh_value_string("a\tb", 9));
	assert_non_null(sh_value_string("a\xff", 9));
	assert_non_null(sh_value_string("\xc2\x9b" "31m", 9));     /* a control character of two bytes */
	assert_non_null(sh_value_string("\xe0\x80\x8a", 9));     /* an overlong newline */
	assert_non_null(sh_value_string("\xed\xa0\x80", 9));     /* half a surrogate pair */
	assert_non_null(sh_value_string("\xf4\x90\x80\x80", 9)); /* beyond the last character */
	assert_non_null(sh_value_string("\xe2\x82", 9));          /* cut off */
}

/* What is printed reads back as the same number. */
static void round_trip(void **state)
{
	struct sh_rng rng;
	char buf[SH_VALUE_TEXT];

	(void)state;
	sh_rng_init(&rng, tu_seed());
	for (int i = 0; i < 20000; i++) {
		uint64_t v = sh_rng_next(&rng) >> (sh_rng_next(&rng) % 60u + 4u);
		uint64_t back = 77;

		/* Every other one is a multiple of something that has a unit. */
		if (i & 1)
			v = v % 1000u * (sh_rng_next(&rng) & 1u ? MS : UINT64_C(3600) * SECOND);
		if (v >= UINT64_C(1000000000000000000))
			continue; /* more digits than the parser takes */
		assert_null(sh_value_duration(sh_value_print_duration(buf, v), &back));
		assert_int_equal(back, v);
		assert_null(sh_value_size(sh_value_print_size(buf, v), &back));
		assert_int_equal(back, v);
		assert_null(sh_value_int(sh_value_print_int(buf, v), &back));
		assert_int_equal(back, v);
		assert_null(sh_value_percent(sh_value_print_percent(buf, v / 100u), &back));
		assert_int_equal(back, v / 100u);
	}
	assert_string_equal(sh_value_print_duration(buf, 1500 * US), "1500us");
	assert_string_equal(sh_value_print_duration(buf, 7200 * SECOND), "2h");
	assert_string_equal(sh_value_print_percent(buf, 1250), "12.5%");
	assert_string_equal(sh_value_print_percent(buf, 105), "1.05%");
}

static void nearest(void **state)
{
	static const char *const words[] = { "workers", "weights", "strands", "spin", "io" };
	static const struct {
		const char *word, *want;
	} rows[] = {
		{ "worker", "workers" }, { "wrokers", "workers" }, { "WORKERS", "workers" }, { "wieghts", "weights" },
		{ "spni", "spin" }, { "oi", "io" }, { "strand", "strands" }, { "banana", NULL }, { "", NULL }, { "x", NULL },
		{ "workersworkersworkersworkersworkersworkersworkersworkersworkersworkersworkers", NULL },
	};

	(void)state;
	for (size_t i = 0; i < SH_COUNT(rows); i++) {
		const char *got = sh_value_nearest(rows[i].word, words, SH_COUNT(words));

		if (!got != !rows[i].want || (got && strcmp(got, rows[i].want) != 0))
			fail_msg("'%s': want %s, got %s", rows[i].word, rows[i].want ? rows[i].want : "nothing", got ? got : "nothing");
	}
	assert_null(sh_value_nearest("x", NULL, 0));
}

static void quote(void **state)
{
	char buf[64];
	char tiny[6];

	(void)state;
	assert_string_equal(sh_value_quote(buf, sizeof(buf), "a\x1b[31mb\n"), "a?[31mb?");
	assert_string_equal(sh_value_quote(buf, sizeof(buf), ""), "");
	(void)sh_value_quote(buf, sizeof(buf), "0123456789012345678901234567890123456789X");
	assert_string_equal(buf, "0123456789012345678901234567890123456...");
	assert_string_equal(sh_value_quote(buf, sizeof(buf), "\xff\xc2\x9b.\xc3\xa9"), "???.\xc3\xa9");
	/* No half character before the dots. */
	(void)sh_value_quote(tiny, sizeof(tiny), "a\xc3\xa9xxxxxxx");
	assert_string_equal(tiny, "a...");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers),
		cmocka_unit_test(durations),
		cmocka_unit_test(sizes_and_percentages),
		cmocka_unit_test(booleans_and_words),
		cmocka_unit_test(names_and_strings),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(nearest),
		cmocka_unit_test(quote),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
