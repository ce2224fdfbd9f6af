/*
 * shunt/common/fmt.h - numbers for people, tables with aligned columns, and JSON values that accept
 * any bytes. Called by the reports of every subcommand. Nothing here keeps state; any thread.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_FMT_H
#define SHUNT_FMT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/compiler.h"

struct fmt_text { /* a short text by value: an argument of printf through .s */
	char s[32];
};

struct fmt_text fmt_ns(double ns);          /* "850ns", "1.24us", "12.4ms", "3.60s" */
struct fmt_text fmt_count(uint64_t n);      /* "57,363" */
struct fmt_text fmt_bytes(double bytes);    /* "906 MiB" */
struct fmt_text fmt_rate(double per_s);     /* "12.3k/s" */
struct fmt_text fmt_permille(double part, double whole); /* "37.5%"; "-" when whole is 0 */
struct fmt_text fmt_eta(double seconds);    /* "12s", "3m05s", "2h10m" */

#define FMT_COLUMNS_MAX 16u

/* A table, filled cell by cell, row by row. Out of memory it prints the cells it has. */
struct fmt_table {
	size_t columns;
	const char *align; /* 'l' or 'r' per column */
	size_t keys;       /* first columns, which name the row: 1 after fmt_table_init */
	char **cell;
	size_t cells, capacity;
	bool cut; /* out of memory: later cells are missing */
};

void fmt_table_init(struct fmt_table *t, const char *align);
void fmt_table_cell(struct fmt_table *t, const char *fmt, ...) SH_PRINTF(2, 3);
/*
 * Prints with `indent` blanks before each row and two between columns, and empties the table. Columns beyond the width
 * of the terminal (80 if `f` is none) follow below, beside the key columns again; a last column of words may run on.
 * Control characters are escaped.
 */
void fmt_table_print(struct fmt_table *t, FILE *f, int indent);

/* Prints text on one line: escapes control characters, newlines and backslashes. */
void fmt_print_path(FILE *f, const char *path);

/* A JSON string; bytes that are not UTF-8 become '?'. NULL when out of memory. */
json_t *fmt_json_text(const char *text);
/* Sets a key; sets *bad for a NULL value or an error. Takes the reference in any case. */
void fmt_json_set(json_t *object, const char *key, json_t *value, bool *bad);
void fmt_json_set_u64(json_t *object, const char *key, uint64_t value, bool *bad);
void fmt_json_set_real(json_t *object, const char *key, double value, bool *bad);
/* Writes JSON with a final newline. False = out of memory. Who flushes or closes f says that it cannot be written. */
bool fmt_json_write(const json_t *root, FILE *f);

#endif
