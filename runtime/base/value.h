/*
 * base/value.h - the scalars of the configuration: integers, sizes, durations, percentages,
 * booleans and words from text and back, and the "did you mean" search. Called by the rest of
 * runtime/config and by its tests.
 *
 * A parser returns NULL and fills *out. For an invalid value it leaves *out unchanged and returns a
 * static text that continues "'250' ...", such as "has no unit". Thread: any. Blocks: never.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_BASE_VALUE_H
#define SH_BASE_VALUE_H

#include "base/compiler.h"

#define SH_VALUE_TEXT 40u /* bytes that hold any number these functions print, with the final NUL */

/* Units in the words of the messages and of docs/CONFIG.md. */
#define SH_DURATION_UNITS "ns, us, ms, s, min, h"
#define SH_SIZE_UNITS "B, KiB, MiB, GiB, TiB, kB, MB, GB, TB"

/* Decimal integer; '_' between digits is allowed. */
const char *sh_value_int(const char *text, uint64_t *out) SH_MUST_USE;
/* Nanoseconds: "250us", "1.5ms", "0". */
const char *sh_value_duration(const char *text, uint64_t *out_ns) SH_MUST_USE;
/* Bytes: "64MiB", "10MB", "0". */
const char *sh_value_size(const char *text, uint64_t *out_bytes) SH_MUST_USE;
/* Hundredths of a percent: "12.5%" is 1250. */
const char *sh_value_percent(const char *text, uint64_t *out) SH_MUST_USE;
/* true, yes, on; false, no, off. */
const char *sh_value_bool(const char *text, uint64_t *out) SH_MUST_USE;
/* Index in `words`, which ends with NULL; capitals are allowed. */
const char *sh_value_word(const char *text, const char *const *words, uint64_t *out) SH_MUST_USE;
/* A pool, type, level or runtime name: 1 to 31 of a-z 0-9 _ -. */
const char *sh_value_name(const char *text) SH_MUST_USE;
/* 1 to max bytes of UTF-8 without control characters. */
const char *sh_value_string(const char *text, uint64_t len_max) SH_MUST_USE;

/* Shortest exact text in one unit: 1500000 ns is "1500us". buf[SH_VALUE_TEXT]; returns buf. */
char *sh_value_print_duration(char *buf, uint64_t ns);
char *sh_value_print_size(char *buf, uint64_t bytes);
char *sh_value_print_percent(char *buf, uint64_t hundredths);
char *sh_value_print_int(char *buf, uint64_t v);

/*
 * The candidate with the least edit distance to `word` (insert, delete, replace, swap of
 * neighbours), or NULL when none is near enough. The first of equals wins. Compares at most 64
 * bytes of a word.
 */
const char *sh_value_nearest(const char *word, const char *const *candidates, size_t n);

/* Bytes of the UTF-8 character at s; 0 for an invalid one, and for control characters. */
size_t sh_value_character(const char *s) SH_MUST_USE;
/* Replaces control characters and invalid bytes by '?', in place. */
void sh_value_clean(char *text);
/* Copies text for a message: at most 40 characters, cleaned as by sh_value_clean. Returns buf. */
char *sh_value_quote(char *buf, size_t size, const char *text);

#endif
