/* shunt/common/fmt.c - see fmt.h. SPDX-License-Identifier: MIT */
#include "common/fmt.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/value.h"
#include "common/cli.h"

/* Three significant digits of v in the largest unit that keeps it above 1; `step` between units. */
static struct fmt_text scaled(double v, double step, const char *const *units, size_t n)
{
	struct fmt_text t;
	size_t u = 0;

	while (u + 1 < n && v >= step - 0.5) {
		v /= step;
		u++;
	}
	(void)snprintf(t.s, sizeof(t.s), "%.*f%s", u == 0 || v >= 99.95 ? 0 : v >= 9.995 ? 1 : 2, v, units[u]);
	return t;
}

struct fmt_text fmt_ns(double ns)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };

	return scaled(ns, 1000.0, units, SH_COUNT(units));
}

struct fmt_text fmt_bytes(double bytes)
{
	static const char *const units[] = { " B", " KiB", " MiB", " GiB", " TiB", " PiB" };

	return scaled(bytes, 1024.0, units, SH_COUNT(units));
}

struct fmt_text fmt_rate(double per_s)
{
	static const char *const units[] = { "/s", "k/s", "M/s", "G/s" };

	return scaled(per_s, 1000.0, units, SH_COUNT(units));
}

struct fmt_text fmt_count(uint64_t n)
{
	struct fmt_text t;
	char digits[24];
	size_t len = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, n);
	size_t at = 0;

	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			t.s[at++] = ',';
		t.s[at++] = digits[i];
	}
	t.s[at] = '\0';
	return t;
}

struct fmt_text fmt_permille(double part, double whole)
{
	struct fmt_text t;

	if (whole > 0)
		(void)snprintf(t.s, sizeof(t.s), "%.1f%%", 100.0 * part / whole);
	else
		(void)snprintf(t.s, sizeof(t.s), "-");
	return t;
}

struct fmt_text fmt_eta(double seconds)
{
	struct fmt_text t;
	uint64_t s = seconds < 0 || !isfinite(seconds) ? 0 : seconds > 3.6e9 ? 3600000000u : (uint64_t)(seconds + 0.5);

	if (s < 60)
		(void)snprintf(t.s, sizeof(t.s), "%" PRIu64 "s", s);
	else if (s < 3600)
		(void)snprintf(t.s, sizeof(t.s), "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
	else
		(void)snprintf(t.s, sizeof(t.s), "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
	return t;
}

void fmt_table_init(struct fmt_table *t, const char *align)
{
	(void)memset(t, 0, sizeof(*t));
	t->align = align;
	t->columns = strlen(align);
	t->keys = 1;
	assert(t->columns > 1 && t->columns <= FMT_COLUMNS_MAX);
}

void fmt_table_cell(struct fmt_table *t, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	if (t->cut)
		return;
	if (t->cells == t->capacity) {
		size_t capacity = t->capacity ? t->capacity * 2 : 64;
		char **cell = realloc(t->cell, capacity * sizeof(*cell));

		if (!cell) {
			t->cut = true;
			return;
		}
		t->cell = cell;
		t->capacity = capacity;
	}
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n >= 0 && !cli_text_clean(text)) {
		char *clean = malloc((size_t)n * CLI_ESCAPE_MAX + 1);

		if (clean)
			(void)cli_text_escape(clean, text);
		free(text);
		text = clean;
	}
	if (n < 0 || !text) {
		t->cut = true;
		return;
	}
	t->cell[t->cells++] = text;
}

/* Columns of one part of a table: the keys, then from..to - 1. */
struct part {
	size_t from, to;
};

static void print_cell(const struct fmt_table *t, FILE *f, const struct part *part, int width, size_t row, size_t c)
{
	size_t i = row * t->columns + c;
	const char *text = i < t->cells ? t->cell[i] : "";

	if (t->align[c] == 'r')
		(void)fprintf(f, "%s%*s", c ? "  " : "", width, text);
	else if (c + 1 < part->to)
		(void)fprintf(f, "%s%-*s", c ? "  " : "", width, text);
	else
		(void)fprintf(f, "%s%s", c ? "  " : "", text);
}

static void print_part(const struct fmt_table *t, FILE *f, int indent, const size_t *width, const struct part *part)
{
	size_t rows = (t->cells + t->columns - 1) / t->columns;

	for (size_t row = 0; row < rows; row++) {
		(void)fprintf(f, "%*s", indent, "");
		for (size_t c = 0; c < part->to; c++)
			if (c < t->keys || c >= part->from)
				print_cell(t, f, part, (int)width[c], row, c);
		(void)fputc('\n', f);
	}
}

/* What a column needs of the line. A last one of words may run on: the terminal wraps it. */
static size_t needs(const struct fmt_table *t, const size_t *width, size_t c)
{
	return c + 1 == t->columns && t->align[c] == 'l' ? 0 : width[c] + 2;
}

/* The width that tables may have: that of a terminal, else 80. */
static size_t line_width(FILE *f)
{
	struct winsize size = { 0, 0, 0, 0 };

	return ioctl(fileno(f), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void fmt_table_print(struct fmt_table *t, FILE *f, int indent)
{
	size_t width[FMT_COLUMNS_MAX] = { 0 };
	size_t limit = line_width(f);
	size_t keys = (size_t)indent;
	size_t used;

	for (size_t i = 0; i < t->cells; i++)
		if (strlen(t->cell[i]) > width[i % t->columns])
			width[i % t->columns] = strlen(t->cell[i]);
	for (size_t c = 0; c < t->keys; c++)
		keys += width[c] + (c ? 2 : 0);
	for (struct part part = { t->keys, t->keys }; part.from < t->columns; part.from = part.to) {
		if (part.from > t->keys)
			(void)fputc('\n', f);
		used = keys;
		do /* at least one column, however wide */
			used += needs(t, width, part.to++);
		while (part.to < t->columns && used + needs(t, width, part.to) <= limit);
		print_part(t, f, indent, width, &part);
	}
	if (t->cut)
		(void)fprintf(f, "%*s(out of memory: the rest is missing)\n", indent, "");
	for (size_t i = 0; i < t->cells; i++)
		free(t->cell[i]);
	free(t->cell);
	fmt_table_init(t, t->align);
}

void fmt_print_path(FILE *f, const char *path)
{
	size_t n;

	for (; *path; path += n) { /* bound: the text */
		n = sh_value_character(path);
		if (*path == '\n')
			(void)fputs("\\n", f);
		else if (*path == '\\')
			(void)fputs("\\\\", f);
		else if (n == 0)
			(void)fprintf(f, "\\x%02x", (unsigned)(unsigned char)*path);
		else
			(void)fprintf(f, "%.*s", (int)n, path);
		n += n == 0;
	}
}

json_t *fmt_json_text(const char *text)
{
	json_t *j = json_string(text);
	char *copy;

	if (j)
		return j;
	copy = strdup(text);
	if (!copy)
		return NULL;
	for (unsigned char *p = (unsigned char *)copy; *p; p++)
		if (*p > 127)
			*p = '?';
	j = json_string(copy);
	free(copy);
	return j;
}

void fmt_json_set(json_t *object, const char *key, json_t *value, bool *bad)
{
	if (json_object_set_new(object, key, value) != 0)
		*bad = true;
}

void fmt_json_set_u64(json_t *object, const char *key, uint64_t value, bool *bad)
{
	fmt_json_set(object, key, json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value), bad);
}

void fmt_json_set_real(json_t *object, const char *key, double value, bool *bad)
{
	fmt_json_set(object, key, json_real(isfinite(value) ? value : 0.0), bad);
}

bool fmt_json_write(const json_t *root, FILE *f)
{
	if (!root || (json_dumpf(root, f, JSON_INDENT(2)) != 0 && !ferror(f)))
		return false;
	(void)fputc('\n', f);
	return true;
}
