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

static int decode_header(const uint8_t *buf, size_t len, size_t *payload, const char **why)
{
	int rc = SHUNT_ENOSYS;

	if (len < SH_HLOG_HEADER) {
		*why = "histogram is cut short";
		rc = SHUNT_EINVAL;
	} else if ((sh_hlog_get_be32(buf + AT_COOKIE) & SH_HLOG_COOKIE_MASK) != SH_HLOG_COOKIE_V2) {
		*why = "not a V2 histogram encoding";
	} else if (sh_hlog_get_be32(buf + AT_DIGITS) != SH_HIST_DIGITS || get_be64(buf + AT_LOWEST) != 1) {
		*why = "histogram has another precision; supported: lowest value 1, two significant digits";
	} else if (sh_hlog_get_be32(buf + AT_NORMALIZING) != 0 || get_be64(buf + AT_RATIO) != ratio_one_bits) {
		*why = "shifted or scaled histograms are not supported";
	} else if (sh_hlog_get_be32(buf + AT_LENGTH) > len - SH_HLOG_HEADER) {
		*why = "histogram is cut short";
		rc = SHUNT_EINVAL;
	} else {
		*payload = sh_hlog_get_be32(buf + AT_LENGTH);
		rc = SHUNT_OK;
	}
	return rc;
}

/* Adds n values of foreign bucket i; false when the total overflows. */
static bool decode_bucket(struct shunt_hist *h, size_t i, uint64_t n)
{
	size_t at = i < SH_HIST_BUCKETS ? i : SH_HIST_TOP;

	if (n > (uint64_t)INT64_MAX - h->count)
		return false;
	h->counts[at] += n;
	h->count += n;
	h->sum += (sh_u128)n * sh_hist_middle(at);
	if (at != i)
		h->saturated += n;
	return true;
}

static int decode_counts(const uint8_t *p, const uint8_t *end, struct shunt_hist *h, const char **why)
{
	size_t i = 0;

	while (p < end) {
		int64_t n = 0;

		p = sh_hlog_get_count(p, end, &n);
		if (!p) {
			*why = "count is cut short";
			return SHUNT_EINVAL;
		}
		if (n < -(int64_t)SH_HLOG_FOREIGN_BUCKETS || i >= SH_HLOG_FOREIGN_BUCKETS) {
			*why = "more buckets than the range has";
			return SHUNT_EINVAL;
		}
		if (n < 0) {
			i += (size_t)-n;
		} else if (!decode_bucket(h, i++, (uint64_t)n)) {
			*why = "counts add up to more than 2^63-1";
			return SHUNT_EINVAL;
		}
	}
	return SHUNT_OK;
}

int sh_hlog_decode(const uint8_t *buf, size_t len, struct shunt_hist *h, const char **why)
{
	size_t payload = 0;
	int rc;

	shunt_hist_reset(h);
	rc = decode_header(buf, len, &payload, why);
	if (rc == SHUNT_OK)
		rc = decode_counts(buf + SH_HLOG_HEADER, buf + SH_HLOG_HEADER + payload, h, why);
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
