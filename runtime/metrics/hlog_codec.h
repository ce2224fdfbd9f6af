/*
 * metrics/hlog_codec.h - bytes and text of HdrHistogram logs without files and compression: the V2
 * encoding of a histogram (ZigZag LEB128-64b9B counts, runs of empty buckets as one negative
 * number) and base64. Called by hlog.c only. Pure functions on the caller's buffers; any thread,
 * never blocking. The decoders take untrusted input and read nothing outside it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_METRICS_HLOG_CODEC_H
#define SH_METRICS_HLOG_CODEC_H

#include "metrics/histogram.h"

/* plain encoding; the high nibble of the low byte is the word size */
#define SH_HLOG_COOKIE_V2 0x1c849303u
#define SH_HLOG_COOKIE_V2_COMPRESSED 0x1c849304u /* zlib stream around it */
#define SH_HLOG_COOKIE_WORD 0x10u                /* the value of the reference writers */
#define SH_HLOG_COOKIE_MASK 0xffffff0fu
#define SH_HLOG_HEADER 40u                       /* bytes before the counts */
#define SH_HLOG_COUNT_MAX 9u                     /* longest encoded count, bytes */
/* Largest foreign histogram of this layout: values up to 2^63-1. */
#define SH_HLOG_FOREIGN_BUCKETS 7424u
#define SH_HLOG_PLAIN_MAX (SH_HLOG_HEADER + SH_HLOG_FOREIGN_BUCKETS * SH_HLOG_COUNT_MAX)

void sh_hlog_put_be32(uint8_t *p, uint32_t v);
uint32_t sh_hlog_get_be32(const uint8_t *p);

/* Writes a count (1..9 bytes; p needs SH_HLOG_COUNT_MAX). Returns the end. */
uint8_t *sh_hlog_put_count(uint8_t *p, int64_t v);
/* Reads a count from [p, end). Returns its end, or NULL if it is cut short. */
const uint8_t *sh_hlog_get_count(const uint8_t *p, const uint8_t *end, int64_t *v);

/* V2 encoding of h into buf (SH_HLOG_PLAIN_MAX bytes). 0, or SHUNT_ELIMIT (count over 2^63-1). */
int sh_hlog_encode(const struct shunt_hist *h, uint8_t *buf, size_t *len) SH_MUST_USE;
/* Reverse. On an error (SHUNT_EINVAL, SHUNT_ENOSYS) h is empty and *why a fixed text. */
int sh_hlog_decode(const uint8_t *buf, size_t len, struct shunt_hist *h, const char **why) SH_MUST_USE;

/* Characters of the base64 text of n bytes, without a terminating zero. */
static inline size_t sh_hlog_base64_size(size_t n)
{
	return (n + 2) / 3 * 4;
}

/* Writes sh_hlog_base64_size(n) characters, no zero after them. */
void sh_hlog_base64_encode(const uint8_t *in, size_t n, char *out);
/* Decodes n characters (padded, no blanks). 0, or SHUNT_EINVAL (no base64, or over `cap` bytes). */
int sh_hlog_base64_decode(const char *in, size_t n, uint8_t *out, size_t cap, size_t *len) SH_MUST_USE;

#endif
