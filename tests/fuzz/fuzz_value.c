/*
 * tests/fuzz/fuzz_value.c - any text as one scalar of the configuration: the first byte chooses the kind.
 * Invariants: a refusal is a text and leaves the result alone; what is taken means what floating point finds it to
 * mean, and prints as a text that is taken, gives the same value and prints as itself; texts for messages are clean, within their length and their buffer.
 * sources: runtime/base/value.c
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz.h"

#include <math.h>

#include <shunt/job.h>

#include "base/value.h"

#define DIGITS_18 UINT64_C(999999999999999999)

static const struct kind {
	const char *(*parse)(const char *text, uint64_t *out);
	char *(*print)(char *buf, uint64_t v);
	bool unit; /* a bare number other than 0 is refused */
} kinds[] = {
	{ sh_value_int, sh_value_print_int, false },
	{ sh_value_duration, sh_value_print_duration, true },
	{ sh_value_size, sh_value_print_size, true },
	{ sh_value_percent, sh_value_print_percent, true },
};

static const char *const words[] = { "compact", "scatter", "one-per-core", "Auto", "auto2", "x", "", NULL };

/* What a number with a unit means, in floating point and by a table of its own. */
static long double meaning(const char *text)
{
	static const struct {
		const char *name;
		long double factor;
	} units[] = {
		{ "", 1 },
		{ "ns", 1 },
		{ "us", 1e3L },
		{ "\xc2\xb5s", 1e3L },
		{ "\xce\xbcs", 1e3L },
		{ "ms", 1e6L },
		{ "s", 1e9L },
		{ "min", 60e9L },
		{ "h", 3600e9L },
		{ "%", 100 },
		{ "B", 1 },
		{ "kB", 1e3L },
		{ "KB", 1e3L },
		{ "MB", 1e6L },
		{ "GB", 1e9L },
		{ "TB", 1e12L },
		{ "KiB", 1024 },
		{ "MiB", 1048576 },
		{ "GiB", 1073741824 },
		{ "TiB", 1099511627776.0L },
	};
	char *plain = fuzz_text((const uint8_t *)text, strlen(text));
	char *to = plain;
	char *end = plain;
	long double v;
	size_t i;

	for (const char *from = text; *from; from++)
		if (*from != '_')
			*to++ = *from;
	*to = '\0';
	v = strtold(plain, &end);
	end += strspn(end, " ");
	for (i = 0; i < SH_COUNT(units) && strcmp(end, units[i].name) != 0; i++)
		;
	REQUIRE(i < SH_COUNT(units));
	free(plain);
	return v * units[i].factor;
}

static void check_number(const struct kind *k, const char *text)
{
	char first[SH_VALUE_TEXT];
	char second[SH_VALUE_TEXT];
	uint64_t v = 77;
	uint64_t again = 0;
	const char *why = k->parse(text, &v);

	if (why) {
		REQUIRE(why[0] && v == 77);
		return;
	}
	REQUIRE(text[0] >= '0' && text[0] <= '9');
	REQUIRE(!k->unit || v == 0 || strspn(text, "0123456789._ ") < strlen(text));
	REQUIRE(fabsl(meaning(text) - (long double)v) <= (long double)v * 1e-15L);
	REQUIRE(strlen(k->print(first, v)) < sizeof(first));
	why = k->parse(first, &again);
	/* The parsers take 18 digits; only what does not fit them may not read back. */
	REQUIRE(why ? v > DIGITS_18 && strspn(first, "0123456789") > 18 : again == v);
	if (why)
		return;
	REQUIRE(strcmp(k->print(second, again), first) == 0);
}

static void check_word(const char *text)
{
	uint64_t v = 77;
	const char *why = sh_value_word(text, words, &v);

	REQUIRE(why ? why[0] && v == 77 : v < SH_COUNT(words) - 1 && strlen(words[v]) == strlen(text));
	v = 77;
	why = sh_value_bool(text, &v);
	REQUIRE(why ? why[0] && v == 77 : v <= 1);
	why = sh_value_name(text);
	REQUIRE(why ? why[0] != '\0' : strlen(text) >= 1 && strlen(text) < SHUNT_NAME_MAX);
}

static void check_nearest(const char *text)
{
	const char *const self[] = { "zzzzzzzz", text };
	const char *near = sh_value_nearest(text, words, SH_COUNT(words) - 1);
	bool known = !near;

	for (size_t i = 0; words[i]; i++)
		known = known || near == words[i];
	REQUIRE(known);
	/* Nothing is nearer to a word than itself. */
	if (text[0] && strlen(text) < 64)
		REQUIRE(sh_value_nearest(text, self, SH_COUNT(self)) != NULL);
}

/* Printing for messages, in a buffer of exactly `room` bytes. */
static void check_quote(const char *text, size_t room)
{
	char *buf = malloc(room);
	char *clean = fuzz_text((const uint8_t *)text, strlen(text));

	REQUIRE(buf && sh_value_quote(buf, room, text) == buf);
	REQUIRE(strlen(buf) < room && strlen(buf) <= 40);
	REQUIRE(!buf[0] || !sh_value_string(buf, 40));
	sh_value_clean(clean);
	REQUIRE(strlen(clean) == strlen(text));
	REQUIRE(!clean[0] || !sh_value_string(clean, UINT64_MAX));
	/* What is already clean and short stays as it is. */
	if (text[0] && !sh_value_string(text, UINT64_MAX)) {
		REQUIRE(strcmp(clean, text) == 0);
		if (strlen(text) <= 40 && strlen(text) < room)
			REQUIRE(strcmp(buf, text) == 0);
	}
	free(clean);
	free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t choice = size ? data[0] % (SH_COUNT(kinds) + 2u) : 0;
	char *text = fuzz_text(data + (size > 0), size - (size > 0));

	if (choice < SH_COUNT(kinds)) {
		check_number(&kinds[choice], text);
	} else if (choice == SH_COUNT(kinds)) {
		check_word(text);
		check_nearest(text);
	} else {
		check_quote(text, data[0] / (SH_COUNT(kinds) + 2u) + 1u);
	}
	free(text);
	return 0;
}
