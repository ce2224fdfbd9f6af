/*
 * metrics/hlog_codec.h - bytes and text of HdrHistogram logs without files and compression: the V2 encoding of a
 * histogram, the encodings V0, V1 and V2 of any range and precision, and base64. Called by hlog.c only. Pure functions
 * on the caller's buffers; any thread, never blocking. The decoders take untrusted input and read nothing outside it.
 *
 * Layout of a foreign histogram with d significant digits and lowest discernible value l: let unit = floor(log2(l)) and
 * half = 2^ceil(log2(2 * 10^d)) / 2. Cell i < 2 * half holds the 2^unit values from i * 2^unit on; each further group
 * of `half` cells covers the next power of two with cells twice as wide.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_METRICS_HLOG_CODEC_H
#define SH_METRICS_HLOG_CODEC_H

#include "metrics/histogram.h"

/* Plain encodings; the high nibble of the low byte is the word size. A zlib stream has the next cookie. */
#define SH_HLOG_COOKIE_V0 0x1c849308u
#define SH_HLOG_COOKIE_V1 0x1c849301u
#define SH_HLOG_COOKIE_V2 0x1c849303u
#define SH_HLOG_COOKIE_V0_COMPRESSED 0x1c849309u
#define SH_HLOG_COOKIE_V1_COMPRESSED 0x1c849302u
#define SH_HLOG_COOKIE_V2_COMPRESSED 0x1c849304u
#define SH_HLOG_COOKIE_REAL_COMPRESSED 0x0c72124fu /* floating-point values: refused */
#define SH_HLOG_COOKIE_WORD 0x10u                  /* the value of the reference writers */
#define SH_HLOG_COOKIE_MASK 0xffffff0fu
#define SH_HLOG_HEADER 40u    /* bytes before the counts of V1 and V2 */
#define SH_HLOG_HEADER_V0 32u /* bytes before those of V0 */
#define SH_HLOG_COUNT_MAX 9u  /* longest encoded count, bytes */
#define SH_HLOG_PLAIN_MAX (SH_HLOG_HEADER + SH_HIST_BUCKETS * SH_HLOG_COUNT_MAX)

/* Limits of the reference: values to 2^63-1, 0 to 5 digits. With five digits a group has 2^17 cells, and there are 47. */
#define SH_HLOG_DIGITS_MAX 5u
#define SH_HLOG_ANY_CELLS ((size_t)47u << 17)
#define SH_HLOG_ANY_PLAIN_MAX (SH_HLOG_HEADER + SH_HLOG_ANY_CELLS * SH_HLOG_COUNT_MAX)

/* The counts of an encoded histogram, read one after the other. */
struct sh_hlog_walk {
	const uint8_t *at;  /* sync: owner; the next count */
	const uint8_t *end; /* sync: owner; end of the counts */
	uint64_t total;     /* sync: owner; sum of the counts read */
	size_t cell;        /* sync: owner; cell of the next count */
	size_t cells;       /* sync: owner; cells of this precision up to 2^63-1 */
	unsigned unit;      /* sync: owner; log2 of the width of the first cells */
	unsigned half_bits; /* sync: owner; log2 of half the first group */
	unsigned word;      /* sync: owner; bytes of a count: 2, 4, 8; 9 = V2 */
};

void sh_hlog_put_be32(uint8_t *p, uint32_t v);
uint32_t sh_hlog_get_be32(const uint8_t *p);

/* Writes a count (1..9 bytes; p needs SH_HLOG_COUNT_MAX). Returns the end. */
uint8_t *sh_hlog_put_count(uint8_t *p, int64_t v);
/* Reads a count from [p, end). Returns its end, or NULL if it is cut short. */
const uint8_t *sh_hlog_get_count(const uint8_t *p, const uint8_t *end, int64_t *v);

/* V2 encoding of h into buf (SH_HLOG_PLAIN_MAX bytes). 0, or SHUNT_ELIMIT (count over 2^63-1). */
int sh_hlog_encode(const struct shunt_hist *h, uint8_t *buf, size_t *len) SH_MUST_USE;
/* Starts at the first count of an encoding. SHUNT_EINVAL, SHUNT_ENOSYS: *why is a fixed text. Keeps buf. */
int sh_hlog_walk_begin(struct sh_hlog_walk *w, const uint8_t *buf, size_t len, const char **why) SH_MUST_USE;
/* The next non-empty cell, ascending: 1, 0 at the end, or SHUNT_EINVAL with *why (then do not go on). */
int sh_hlog_walk_next(struct sh_hlog_walk *w, struct shunt_hist_bucket *cell, const char **why) SH_MUST_USE;
/*
 * Reverse of encode, for any layout: a cell counts as its middle, and as saturated if that is above our range. On an
 * error (SHUNT_EINVAL, SHUNT_ENOSYS) h is empty and *why a fixed text.
 */
int sh_hlog_decode(const uint8_t *buf, size_t len, struct shunt_hist *h, const char **why) SH_MUST_USE;

/* Characters of the base64 text of n bytes, without a terminating zero. */
static inline size_t sh_hlog_base64_size(size_t n)
{
	return (n + 2) / 3 * 4;
}

/* Writes sh_hlog_base64_size(n) characters, no zero after them. */
void sh_hlog_base64_encode(const uint8_t *in, size_t n, char *out);
/* Decodes n characters (padded, no blanks); `out` may be `in`. 0, or SHUNT_EINVAL (no base64, or over `cap` bytes). */
int sh_hlog_base64_decode(const char *in, size_t n, uint8_t *out, size_t cap, size_t *len) SH_MUST_USE;

#endif
