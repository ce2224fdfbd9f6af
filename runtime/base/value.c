/* base/value.c - see value.h. SPDX-License-Identifier: MIT */
#include "base/value.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <shunt/job.h>

#define DIGITS_MAX 18u /* any mantissa of 18 digits fits 64 bits */
#define WORD_MAX 64u

struct unit {
	const char *name;
	uint64_t factor;
};

/* From large to small: a value is printed in the first unit that divides it. */
static const struct unit duration_units[] = {
	{ "h", UINT64_C(3600000000000) }, { "min", UINT64_C(60000000000) }, { "s", UINT64_C(1000000000) },
	{ "ms", UINT64_C(1000000) },      { "us", UINT64_C(1000) },         { "\xc2\xb5s", UINT64_C(1000) },
	{ "\xce\xbcs", UINT64_C(1000) },  { "ns", UINT64_C(1) },
};

static const struct unit size_units[] = {
	{ "TiB", UINT64_C(1) << 40 },      { "GiB", UINT64_C(1) << 30 },     { "MiB", UINT64_C(1) << 20 },
	{ "KiB", UINT64_C(1) << 10 },      { "TB", UINT64_C(1000000000000) }, { "GB", UINT64_C(1000000000) },
	{ "MB", UINT64_C(1000000) },       { "kB", UINT64_C(1000) },          { "KB", UINT64_C(1000) },
	{ "B", UINT64_C(1) },
};

static const struct unit percent_units[] = { { "%", UINT64_C(100) } };

/* Scans a decimal number at *p: mantissa / 10^decimals. Moves *p behind it. */
static const char *number_scan(const char **p, uint64_t *mantissa, unsigned *decimals)
{
	const char *s = *p;
	unsigned digits = 0;
	unsigned fraction = 0;
	bool point = false;
	uint64_t m = 0;

	if (*s == '-')
		return "is negative";
	if (!isdigit((unsigned char)*s))
		return "is not a number";
	if (s[0] == '0' && isdigit((unsigned char)s[1]))
		return "has a leading zero";
	for (; *s; s++) {
		if (*s == '_') {
			if (!isdigit((unsigned char)s[1]) || s[-1] == '.')
				return "has a misplaced '_'";
			continue;
		}
		if (*s == '.') {
			if (point || !isdigit((unsigned char)s[1]) || s[-1] == '_')
				return "has a misplaced '.'";
			point = true;
			continue;
		}
		if (!isdigit((unsigned char)*s))
			break;
		if (digits == DIGITS_MAX)
			return "has too many digits";
		m = m * 10u + (uint64_t)(*s - '0');
		digits += m != 0;
		fraction += point;
		if (fraction > DIGITS_MAX)
			return "has too many digits";
	}
	*p = s;
	*mantissa = m;
	*decimals = fraction;
	return NULL;
}

const char *sh_value_int(const char *text, uint64_t *out)
{
	uint64_t m = 0;
	unsigned decimals = 0;
	const char *why = number_scan(&text, &m, &decimals);

	if (why)
		return why;
	if (*text)
		return "is not an integer";
	if (decimals)
		return "is not a whole number";
	*out = m;
	return NULL;
}

static const char *scaled(const char *text, const struct unit *units, size_t n, uint64_t *out)
{
	uint64_t m = 0;
	unsigned decimals = 0;
	sh_u128 v;
	size_t i;
	const char *why = number_scan(&text, &m, &decimals);

	if (why)
		return why;
	while (*text == ' ')
		text++;
	if (!*text) {
		if (m != 0)
			return "has no unit";
		*out = 0;
		return NULL;
	}
	for (i = 0; i < n && strcmp(text, units[i].name) != 0; i++)
		;
	if (i == n)
		return "has an unknown unit";
	v = (sh_u128)m * units[i].factor;
	for (; decimals > 0; decimals--) {
		if (v % 10u != 0)
			return "is finer than the smallest unit";
		v /= 10u;
	}
	if (v > UINT64_MAX)
		return "is too large";
	*out = (uint64_t)v;
	return NULL;
}

const char *sh_value_duration(const char *text, uint64_t *out_ns)
{
	size_t n = strlen(text);

	if (n > 1 && text[n - 1] == 'm' && isdigit((unsigned char)text[n - 2]))
		return "has an unclear unit (min or ms?)";
	return scaled(text, duration_units, SH_COUNT(duration_units), out_ns);
}

const char *sh_value_size(const char *text, uint64_t *out_bytes)
{
	return scaled(text, size_units, SH_COUNT(size_units), out_bytes);
}

const char *sh_value_percent(const char *text, uint64_t *out)
{
	return scaled(text, percent_units, SH_COUNT(percent_units), out);
}

const char *sh_value_word(const char *text, const char *const *words, uint64_t *out)
{
	uint64_t i;

	for (i = 0; words[i]; i++) {
		if (strcasecmp(text, words[i]) == 0) {
			*out = i;
			return NULL;
		}
	}
	return "is not a known word";
}

const char *sh_value_bool(const char *text, uint64_t *out)
{
	static const char *const words[] = { "false", "true", "no", "yes", "off", "on", NULL };
	uint64_t i = 0;

	if (sh_value_word(text, words, &i))
		return "is not a boolean";
	*out = i & 1u;
	return NULL;
}

const char *sh_value_name(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-");

	if (!text[0])
		return "is empty";
	if (text[n])
		return "is not a valid name";
	if (n >= SHUNT_NAME_MAX)
		return "is too long for a name";
	return NULL;
}

size_t sh_value_character(const char *s)
{
	static const uint32_t least[] = { 0, 0x20, 0xa0, 0x800, 0x10000 };
	unsigned char lead = (unsigned char)s[0];
	size_t n = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
	uint32_t code = n == 1 ? lead : lead & (0x7fu >> n);
	size_t i;

	for (i = 1; i < n; i++) {
		if (((unsigned char)s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | ((unsigned char)s[i] & 0x3fu);
	}
	if (code < least[n] || code == 0x7f || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	return n;
}

const char *sh_value_string(const char *text, uint64_t len_max)
{
	size_t i = 0;

	if (!text[0])
		return "is empty";
	while (text[i]) {
		size_t n = sh_value_character(text + i);

		if (n == 0)
			return "has a control character or is not UTF-8";
		i += n;
	}
	return i > len_max ? "is too long" : NULL;
}

void sh_value_clean(char *text)
{
	while (*text) {
		size_t n = sh_value_character(text);

		if (n == 0)
			*text = '?';
		text += n ? n : 1;
	}
}

static char *print_scaled(char *buf, uint64_t v, const struct unit *units, size_t n)
{
	size_t i;

	for (i = 0; i < n - 1; i++)
		if (v >= units[i].factor && v % units[i].factor == 0)
			break;
	if (v == 0)
		(void)snprintf(buf, SH_VALUE_TEXT, "0");
	else
		(void)snprintf(buf, SH_VALUE_TEXT, "%" PRIu64 "%s", v / units[i].factor, units[i].name);
	return buf;
}

char *sh_value_print_duration(char *buf, uint64_t ns)
{
	return print_scaled(buf, ns, duration_units, SH_COUNT(duration_units));
}

char *sh_value_print_size(char *buf, uint64_t bytes)
{
	return print_scaled(buf, bytes, size_units, SH_COUNT(size_units));
}

char *sh_value_print_percent(char *buf, uint64_t hundredths)
{
	uint64_t rest = hundredths % 100u;

	if (rest == 0)
		(void)snprintf(buf, SH_VALUE_TEXT, "%" PRIu64 "%%", hundredths / 100u);
	else if (rest % 10u == 0)
		(void)snprintf(buf, SH_VALUE_TEXT, "%" PRIu64 ".%" PRIu64 "%%", hundredths / 100u, rest / 10u);
	else
		(void)snprintf(buf, SH_VALUE_TEXT, "%" PRIu64 ".%02" PRIu64 "%%", hundredths / 100u, rest);
	return buf;
}

char *sh_value_print_int(char *buf, uint64_t v)
{
	(void)snprintf(buf, SH_VALUE_TEXT, "%" PRIu64, v);
	return buf;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Optimal string alignment distance, after Damerau 1964 and Levenshtein 1966. */
static unsigned distance(const char *a, size_t la, const char *b, size_t lb)
{
	unsigned rows[3][WORD_MAX + 1];
	unsigned *before = rows[0];
	unsigned *last = rows[1];
	unsigned *now = rows[2];
	size_t i;
	size_t j;

	for (j = 0; j <= lb; j++) {
		last[j] = (unsigned)j;
		before[j] = 0;
	}
	for (i = 1; i <= la; i++) {
		unsigned *recycled = before;

		now[0] = (unsigned)i;
		for (j = 1; j <= lb; j++) {
			int x = tolower((unsigned char)a[i - 1]);
			int y = tolower((unsigned char)b[j - 1]);

			now[j] = min3(last[j] + 1u, now[j - 1] + 1u, last[j - 1] + (x != y));
			if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
			    y == tolower((unsigned char)a[i - 2]) && before[j - 2] + 1u < now[j])
				now[j] = before[j - 2] + 1u;
		}
		before = last;
		last = now;
		now = recycled;
	}
	return last[lb];
}

const char *sh_value_nearest(const char *word, const char *const *candidates, size_t n)
{
	size_t lw = strnlen(word, WORD_MAX);
	const char *best = NULL;
	unsigned least = UINT32_MAX;
	size_t i;

	for (i = 0; i < n; i++) {
		size_t lc = strnlen(candidates[i], WORD_MAX);
		size_t shorter = lw < lc ? lw : lc;
		unsigned d = distance(word, lw, candidates[i], lc);

		/* One error in three letters may be a typing error; more is another word. */
		if (d < least && d <= (shorter + 2) / 3 && d < shorter) {
			least = d;
			best = candidates[i];
		}
	}
	return best;
}

char *sh_value_quote(char *buf, size_t size, const char *text)
{
	const size_t shown_max = 40;
	size_t limit = size - 1 < shown_max ? size - 1 : shown_max;
	size_t last = 0; /* where the dots may begin */
	size_t i = 0;

	while (text[i]) {
		size_t n = sh_value_character(text + i);

		if (i + (n ? n : 1) > limit)
			break;
		if (n)
			memcpy(&buf[i], &text[i], n);
		else
			buf[i] = '?';
		i += n ? n : 1;
		if (i + 3 <= limit)
			last = i;
	}
	if (text[i] && limit > 3) {
		memcpy(&buf[last], "...", 3);
		i = last + 3;
	}
	buf[i] = '\0';
	return buf;
}
