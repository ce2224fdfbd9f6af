/* metrics/hlog_codec.c - see hlog_codec.h. SPDX-License-Identifier: MIT */
#include "metrics/hlog_codec.h"

#include <string.h>

#include <shunt/error.h>

void sh_hlog_put_be32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

uint32_t sh_hlog_get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static void put_be64(uint8_t *p, uint64_t v)
{
	sh_hlog_put_be32(p, (uint32_t)(v >> 32));
	sh_hlog_put_be32(p + 4, (uint32_t)v);
}

static uint64_t get_be64(const uint8_t *p)
{
	return (uint64_t)sh_hlog_get_be32(p) << 32 | sh_hlog_get_be32(p + 4);
}

/* Offsets in the header, big-endian. */
enum {
	AT_COOKIE = 0,
	AT_LENGTH = 4,
	AT_NORMALIZING = 8,
	AT_DIGITS = 12,
	AT_LOWEST = 16,
	AT_HIGHEST = 24,
	AT_RATIO = 32
};

static const uint64_t ratio_one_bits = UINT64_C(0x3ff0000000000000); /* 1.0 */

uint8_t *sh_hlog_put_count(uint8_t *p, int64_t v)
{
	uint64_t u = ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0);
	unsigned i;

	/* Seven bits per byte; a ninth byte carries eight. */
	for (i = 0; i < SH_HLOG_COUNT_MAX - 1 && u >= 0x80; i++) {
		*p++ = (uint8_t)(u | 0x80);
		u >>= 7;
	}
	*p++ = (uint8_t)u;
	return p;
}

const uint8_t *sh_hlog_get_count(const uint8_t *p, const uint8_t *end, int64_t *v)
{
	uint64_t u = 0;
	unsigned i;

	for (i = 0; i < SH_HLOG_COUNT_MAX; i++) {
		bool last = i == SH_HLOG_COUNT_MAX - 1;
		uint8_t b;

		if (p == end)
			return NULL;
		b = *p++;
		u |= (uint64_t)(last ? b : b & 0x7f) << (7 * i);
		if (last || !(b & 0x80))
			break;
	}
	*v = (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
	return p;
}

int sh_hlog_encode(const struct shunt_hist *h, uint8_t *buf, size_t *len)
{
	/* An empty histogram is written as one empty bucket, as the reference does. */
	uint64_t max = h->max > SHUNT_HIST_HIGHEST_NS ? SHUNT_HIST_HIGHEST_NS : h->max;
	size_t limit = sh_hist_index(max) + 1;
	uint8_t *p = buf + SH_HLOG_HEADER;
	size_t i = 0;

	if (h->count > (uint64_t)INT64_MAX)
		return SHUNT_ELIMIT;
	while (i < limit) {
		size_t run = 0;

		while (i + run < limit && h->counts[i + run] == 0)
			run++;
		if (run > 1) {
			p = sh_hlog_put_count(p, -(int64_t)run);
			i += run;
		} else {
			p = sh_hlog_put_count(p, (int64_t)h->counts[i++]);
		}
	}
	sh_hlog_put_be32(buf + AT_COOKIE, SH_HLOG_COOKIE_V2 | SH_HLOG_COOKIE_WORD);
	sh_hlog_put_be32(buf + AT_LENGTH, (uint32_t)(p - buf - SH_HLOG_HEADER));
	sh_hlog_put_be32(buf + AT_NORMALIZING, 0);
	sh_hlog_put_be32(buf + AT_DIGITS, SH_HIST_DIGITS);
	put_be64(buf + AT_LOWEST, 1);
	put_be64(buf + AT_HIGHEST, SHUNT_HIST_HIGHEST_NS);
	put_be64(buf + AT_RATIO, ratio_one_bits);
	*len = (size_t)(p - buf);
	assert(*len <= SH_HLOG_PLAIN_MAX);
	return SHUNT_OK;
}

/* Offsets in the header of V0; the counts follow it to the end. */
enum {
	V0_DIGITS = 4,
	V0_LOWEST = 8,
};

/* Sets the layout of a histogram. NULL, or what is wrong with it. */
static const char *walk_layout(struct sh_hlog_walk *w, uint32_t digits, uint64_t lowest)
{
	/* ceil(log2(2 * 10^digits)) - 1 */
	static const unsigned half_bits[SH_HLOG_DIGITS_MAX + 1] = { 0, 4, 7, 10, 14, 17 };

	if (digits > SH_HLOG_DIGITS_MAX)
		return "histogram has more than five significant digits";
	if (lowest == 0 || lowest > (uint64_t)INT64_MAX)
		return "lowest value of the histogram is not within 1 to 2^63-1";
	w->half_bits = half_bits[digits];
	w->unit = sh_log2_u64(lowest);
	if (w->unit + w->half_bits > 61)
		return "histogram wants more digits than its lowest value leaves";
	w->cells = (size_t)(62u - w->half_bits - w->unit + 2u) << w->half_bits;
	assert(w->cells <= SH_HLOG_ANY_CELLS);
	return NULL;
}

/* Sets how wide the counts are. NULL, or what is wrong. */
static const char *walk_word(struct sh_hlog_walk *w, uint32_t cookie)
{
	if ((cookie & SH_HLOG_COOKIE_MASK) == SH_HLOG_COOKIE_V2) {
		w->word = SH_HLOG_COUNT_MAX;
		return NULL;
	}
	w->word = cookie >> 4 & 0xeu; /* old writers set the lowest bit as a mark */
	return w->word == 2 || w->word == 4 || w->word == 8 ? NULL : "counts are not 2, 4 or 8 bytes wide";
}

/*
 * The highest value says only how much the writer had room for, and neither the normalizing offset nor the ratio
 * changes what whole numbers mean: the reference reports the same figures whatever they are. None of them is read.
 */
int sh_hlog_walk_begin(struct sh_hlog_walk *w, const uint8_t *buf, size_t len, const char **why)
{
	uint32_t cookie = len >= SH_HLOG_HEADER_V0 ? sh_hlog_get_be32(buf + AT_COOKIE) : 0;
	uint32_t kind = cookie & SH_HLOG_COOKIE_MASK;
	bool v0 = kind == SH_HLOG_COOKIE_V0;
	size_t header = v0 ? SH_HLOG_HEADER_V0 : SH_HLOG_HEADER;
	size_t payload;

	memset(w, 0, sizeof(*w));
	if (len < header) {
		*why = "histogram is cut short";
		return SHUNT_EINVAL;
	}
	if (!v0 && kind != SH_HLOG_COOKIE_V1 && kind != SH_HLOG_COOKIE_V2) {
		*why = "not a V0, V1 or V2 histogram encoding";
		return SHUNT_ENOSYS;
	}
	payload = v0 ? len - header : sh_hlog_get_be32(buf + AT_LENGTH);
	*why = walk_layout(w, sh_hlog_get_be32(buf + (v0 ? V0_DIGITS : AT_DIGITS)),
			   get_be64(buf + (v0 ? V0_LOWEST : AT_LOWEST)));
	if (!*why)
		*why = walk_word(w, cookie);
	if (!*why && payload > len - header)
		*why = "histogram is cut short";
	if (*why)
		return SHUNT_EINVAL;
	w->at = buf + header;
	w->end = w->at + payload;
	return SHUNT_OK;
}

/* Reads a count of the word's width. Returns its end, or NULL if it is cut short. */
static const uint8_t *walk_count(const struct sh_hlog_walk *w, int64_t *v)
{
	uint64_t u = 0;
	unsigned i;

	if (w->word == SH_HLOG_COUNT_MAX)
		return sh_hlog_get_count(w->at, w->end, v);
	if ((size_t)(w->end - w->at) < w->word)
		return NULL;
	for (i = 0; i < w->word; i++)
		u = u << 8 | w->at[i];
	*v = u > (uint64_t)INT64_MAX ? -1 : (int64_t)u;
	if (w->word < 8 && u >> (8u * w->word - 1u))
		*v = -1;
	return w->at + w->word;
}

/* Fills *b for a cell; its highest value is at most 2^63-1. */
static void walk_cell(const struct sh_hlog_walk *w, size_t cell, uint64_t count, struct shunt_hist_bucket *b)
{
	size_t group = cell >> w->half_bits;
	unsigned up = group < 2 ? 0u : (unsigned)group - 1u; /* the first two groups are equally wide */
	uint64_t sub = cell - ((uint64_t)up << w->half_bits);

	b->lowest_ns = sub << (up + w->unit);
	b->highest_ns = b->lowest_ns + (UINT64_C(1) << (up + w->unit)) - 1u;
	b->count = count;
}

int sh_hlog_walk_next(struct sh_hlog_walk *w, struct shunt_hist_bucket *cell, const char **why)
{
	while (w->at < w->end) { /* bound: the bytes of the counts */
		int64_t n = 0;

		w->at = walk_count(w, &n);
		*why = NULL;
		if (!w->at)
			*why = "count is cut short";
		else if (n < 0 && w->word != SH_HLOG_COUNT_MAX)
			*why = "count is negative";
		else if (n < -(int64_t)w->cells || w->cell >= w->cells)
			*why = "more buckets than the range has";
		else if (n > 0 && (uint64_t)n > (uint64_t)INT64_MAX - w->total)
			*why = "counts add up to more than 2^63-1";
		if (*why)
			return SHUNT_EINVAL;
		if (n < 0) {
			w->cell += (size_t)-n;
			continue;
		}
		w->total += (uint64_t)n;
		w->cell++;
		if (n == 0)
			continue;
		walk_cell(w, w->cell - 1, (uint64_t)n, cell);
		return 1;
	}
	return 0;
}

/* Counts a foreign cell as its middle. */
static void decode_cell(struct shunt_hist *h, const struct shunt_hist_bucket *cell)
{
	uint64_t v = cell->lowest_ns + ((cell->highest_ns - cell->lowest_ns + 1u) >> 1);
	size_t at = SH_HIST_TOP;

	if (v > sh_hist_highest(SH_HIST_TOP)) {
		v = sh_hist_middle(SH_HIST_TOP);
		h->saturated += cell->count;
	} else {
		at = sh_hist_index(v);
	}
	h->counts[at] += cell->count;
	h->count += cell->count;
	h->sum += (sh_u128)v * cell->count;
}

int sh_hlog_decode(const uint8_t *buf, size_t len, struct shunt_hist *h, const char **why)
{
	struct shunt_hist_bucket cell;
	struct sh_hlog_walk w;
	int rc;

	shunt_hist_reset(h);
	rc = sh_hlog_walk_begin(&w, buf, len, why);
	if (rc == SHUNT_OK)
		while ((rc = sh_hlog_walk_next(&w, &cell, why)) > 0) /* bound: the bytes of the counts */
			decode_cell(h, &cell);
	if (rc != SHUNT_OK) {
		shunt_hist_reset(h);
		return rc;
	}
	/* Unknown within their buckets: sh_hist_clamp takes the outer borders. */
	h->min = 0;
	h->max = UINT64_MAX;
	sh_hist_clamp(h);
	return SHUNT_OK;
}

static const char base64_text[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void sh_hlog_base64_encode(const uint8_t *in, size_t n, char *out)
{
	size_t i;

	for (i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)in[i] << 16;

		if (i + 1 < n)
			v |= (uint32_t)in[i + 1] << 8;
		if (i + 2 < n)
			v |= in[i + 2];
		*out++ = base64_text[v >> 18];
		*out++ = base64_text[v >> 12 & 63];
		*out++ = i + 1 < n ? base64_text[v >> 6 & 63] : '=';
		*out++ = i + 2 < n ? base64_text[v & 63] : '=';
	}
}

/* Six bits of a character, or -1. */
static int base64_bits(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int sh_hlog_base64_decode(const char *in, size_t n, uint8_t *out, size_t cap, size_t *len)
{
	size_t pad = 0;
	size_t done = 0;
	size_t i;

	if (n == 0 || n % 4 != 0)
		return SHUNT_EINVAL;
	pad = in[n - 1] != '=' ? 0 : in[n - 2] != '=' ? 1 : 2;
	if (n / 4 * 3 - pad > cap)
		return SHUNT_EINVAL;
	for (i = 0; i < n; i += 4) {
		size_t chars = i + 4 == n ? 4 - pad : 4;
		uint32_t v = 0;
		size_t k;

		for (k = 0; k < 4; k++) {
			int bits = k < chars ? base64_bits(in[i + k]) : 0;

			if (bits < 0)
				return SHUNT_EINVAL;
			v = v << 6 | (uint32_t)bits;
		}
		for (k = 0; k < chars - 1; k++)
			out[done++] = (uint8_t)(v >> (16 - 8 * k));
	}
	*len = done;
	return SHUNT_OK;
}
