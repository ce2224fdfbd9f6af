/* metrics/hlog.c - see hlog.h. SPDX-License-Identifier: MIT */
#include "metrics/hlog.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include <shunt/error.h>

#include "base/inject.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)
#define YEAR_NS (UINT64_C(31536000) * NS_PER_S)

struct shunt_hlog {
	FILE *file;  /* sync: owner */
	bool started; /* sync: owner; the header is written */
	char text[(SH_HLOG_PACKED_MAX + 2u) / 3u * 4u + 1u]; /* sync: owner */
};

struct shunt_hlog_reader {
	FILE *file;              /* sync: owner */
	uint64_t line;           /* sync: owner; lines read so far */
	uint64_t base_ns;        /* sync: owner; BaseTime, or 0 */
	uint64_t start_ns;       /* sync: owner; StartTime, or 0 */
	const char *message;     /* sync: owner; fixed text */
	char text[SH_HLOG_LINE_MAX]; /* sync: owner */
};

int sh_hlog_pack(const struct shunt_hist *h, char *out)
{
	uint8_t *plain = SH_FAIL("hlog_alloc") ? NULL : malloc(SH_HLOG_PLAIN_MAX + SH_HLOG_PACKED_MAX);
	uint8_t *packed;
	uLongf packed_len = SH_HLOG_PACKED_MAX - SH_HLOG_FRAME;
	size_t len = 0;
	int rc;

	if (!plain)
		return SHUNT_ENOMEM;
	packed = plain + SH_HLOG_PLAIN_MAX;
	rc = sh_hlog_encode(h, plain, &len);
	if (rc != SHUNT_OK)
		goto out;
	/* The buffer exceeds zlib's bound, so only memory can be short. */
	if (SH_FAIL("hlog_zlib") || compress2(packed + SH_HLOG_FRAME, &packed_len, plain, len, Z_DEFAULT_COMPRESSION) != Z_OK) {
		rc = SHUNT_ENOMEM;
		goto out;
	}
	sh_hlog_put_be32(packed, SH_HLOG_COOKIE_V2_COMPRESSED | SH_HLOG_COOKIE_WORD);
	sh_hlog_put_be32(packed + 4, (uint32_t)packed_len);
	len = packed_len + SH_HLOG_FRAME;
	sh_hlog_base64_encode(packed, len, out);
	out[sh_hlog_base64_size(len)] = '\0';
out:
	free(plain);
	return rc;
}

/* Checks the frame and inflates; *len is the room in `plain` before and its use after. */
static int inflate_frame(const uint8_t *packed, size_t packed_len, uint8_t *plain, size_t *len, const char **why)
{
	uLongf plain_len = *len;
	size_t stream_len;
	int z;

	if (packed_len < SH_HLOG_FRAME) {
		*why = "payload is cut short";
		return SHUNT_EINVAL;
	}
	if ((sh_hlog_get_be32(packed) & SH_HLOG_COOKIE_MASK) != SH_HLOG_COOKIE_V2_COMPRESSED) {
		*why = "payload is not a compressed V2 histogram";
		return SHUNT_ENOSYS;
	}
	stream_len = sh_hlog_get_be32(packed + 4);
	if (stream_len > packed_len - SH_HLOG_FRAME) {
		*why = "payload is cut short";
		return SHUNT_EINVAL;
	}
	z = SH_FAIL("hlog_zlib") ? Z_MEM_ERROR : uncompress(plain, &plain_len, packed + SH_HLOG_FRAME, stream_len);
	if (z != Z_OK) {
		*why = z == Z_MEM_ERROR ? "out of memory" : "payload is not a valid zlib stream of a histogram";
		return z == Z_MEM_ERROR ? SHUNT_ENOMEM : SHUNT_EINVAL;
	}
	*len = plain_len;
	return SHUNT_OK;
}

int sh_hlog_unpack(const char *text, size_t n, struct shunt_hist *h, const char **why)
{
	uint8_t *plain = SH_FAIL("hlog_alloc") ? NULL : malloc(SH_HLOG_PLAIN_MAX + SH_HLOG_LINE_MAX);
	uint8_t *packed;
	size_t packed_len = 0;
	size_t plain_len = SH_HLOG_PLAIN_MAX;
	int rc;

	shunt_hist_reset(h);
	if (!plain) {
		*why = "out of memory";
		return SHUNT_ENOMEM;
	}
	packed = plain + SH_HLOG_PLAIN_MAX;
	rc = sh_hlog_base64_decode(text, n, packed, SH_HLOG_LINE_MAX, &packed_len);
	if (rc != SHUNT_OK) {
		*why = "payload is not base64";
		goto out;
	}
	rc = inflate_frame(packed, packed_len, plain, &plain_len, why);
	if (rc == SHUNT_OK)
		rc = sh_hlog_decode(plain, plain_len, h, why);
out:
	free(plain);
	return rc;
}

int shunt_hlog_open(const char *path, struct shunt_hlog **out)
{
	struct shunt_hlog *log;

	if (!path || !out)
		return SHUNT_EINVAL;
	*out = NULL;
	log = SH_FAIL("hlog_alloc") ? NULL : calloc(1, sizeof(*log));
	if (!log)
		return SHUNT_ENOMEM;
	log->file = SH_FAIL("hlog_file") ? NULL : fopen(path, "we");
	if (!log->file) {
		free(log);
		return SHUNT_EIO;
	}
	*out = log;
	return SHUNT_OK;
}

static bool tag_valid(const char *tag)
{
	size_t n = strnlen(tag, SHUNT_HLOG_TAG_MAX + 1);
	size_t i;

	if (n > SHUNT_HLOG_TAG_MAX)
		return false;
	for (i = 0; i < n; i++)
		if ((unsigned char)tag[i] <= ' ' || tag[i] == ',' || tag[i] == 0x7f)
			return false;
	return true;
}

static void write_header(struct shunt_hlog *log, uint64_t start_ns)
{
	time_t s = (time_t)(start_ns / NS_PER_S);
	char date[64] = "";
	struct tm tm;

	(void)fputs("#[Logged by shunt]\n#[Histogram log format version 1.3]\n", log->file);
	if (gmtime_r(&s, &tm))
		(void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
	(void)fprintf(log->file, "#[StartTime: %" PRIu64 ".%03u (seconds since epoch), %s]\n", start_ns / NS_PER_S,
		      (unsigned)(start_ns % NS_PER_S / NS_PER_MS), date);
	(void)fputs("\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
		    log->file);
}

int shunt_hlog_write(struct shunt_hlog *log, const char *tag, uint64_t start_ns_wall, uint64_t end_ns_wall,
		     const struct shunt_hist *h)
{
	uint64_t start_ms = start_ns_wall / NS_PER_MS;
	uint64_t length_ms = end_ns_wall / NS_PER_MS - start_ms;
	uint64_t max_us;
	int rc;

	if (!log || !h || end_ns_wall < start_ns_wall || (tag && !tag_valid(tag)))
		return SHUNT_EINVAL;
	rc = sh_hlog_pack(h, log->text);
	if (rc != SHUNT_OK)
		return rc;
	if (!log->started) {
		write_header(log, start_ns_wall);
		log->started = true;
	}
	if (tag && tag[0])
		(void)fprintf(log->file, "Tag=%s,", tag);
	/* Integers only: the decimal point must not depend on the locale. */
	max_us = (shunt_hist_max(h) + 500) / 1000;
	(void)fprintf(log->file, "%" PRIu64 ".%03u,%" PRIu64 ".%03u,%" PRIu64 ".%03u,%s\n", start_ms / 1000,
		      (unsigned)(start_ms % 1000), length_ms / 1000, (unsigned)(length_ms % 1000), max_us / 1000,
		      (unsigned)(max_us % 1000), log->text);
	if (SH_FAIL("hlog_write") || fflush(log->file) != 0 || ferror(log->file))
		return SHUNT_EIO;
	return SHUNT_OK;
}

int shunt_hlog_close(struct shunt_hlog *log)
{
	int rc = SHUNT_OK;

	if (!log)
		return SHUNT_OK;
	if (ferror(log->file))
		rc = SHUNT_EIO;
	if (fclose(log->file) != 0 || SH_FAIL("hlog_close"))
		rc = SHUNT_EIO;
	free(log);
	return rc;
}

int shunt_hlog_reader_open(const char *path, struct shunt_hlog_reader **out)
{
	struct shunt_hlog_reader *r;

	if (!path || !out)
		return SHUNT_EINVAL;
	*out = NULL;
	r = SH_FAIL("hlog_alloc") ? NULL : calloc(1, sizeof(*r));
	if (!r)
		return SHUNT_ENOMEM;
	r->message = "";
	r->file = SH_FAIL("hlog_file") ? NULL : fopen(path, "re");
	if (!r->file) {
		free(r);
		return SHUNT_EIO;
	}
	*out = r;
	return SHUNT_OK;
}

const char *shunt_hlog_reader_message(const struct shunt_hlog_reader *r)
{
	return r->message;
}

void shunt_hlog_reader_close(struct shunt_hlog_reader *r)
{
	if (!r)
		return;
	(void)fclose(r->file);
	free(r);
}

/* Reads seconds "123.456" (at most nine decimals count) up to a non-digit; returns its end or NULL. */
static const char *parse_seconds(const char *p, uint64_t *ns)
{
	uint64_t whole = 0;
	uint64_t part = 0;
	uint64_t unit = NS_PER_S / 10;

	if (*p < '0' || *p > '9')
		return NULL;
	for (; *p >= '0' && *p <= '9'; p++) {
		whole = whole * 10 + (uint64_t)(*p - '0');
		if (whole > UINT64_MAX / NS_PER_S)
			return NULL;
	}
	if (*p == '.')
		for (p++; *p >= '0' && *p <= '9'; p++) {
			part += (uint64_t)(*p - '0') * unit;
			unit /= 10;
		}
	if (part > UINT64_MAX - whole * NS_PER_S)
		return NULL;
	*ns = whole * NS_PER_S + part;
	return p;
}

/* A line that starts with '#': only the two times mean something to us. */
static void parse_comment(struct shunt_hlog_reader *r, const char *p)
{
	static const char base[] = "#[BaseTime: ";
	static const char start[] = "#[StartTime: ";

	if (strncmp(p, base, sizeof(base) - 1) == 0)
		(void)parse_seconds(p + sizeof(base) - 1, &r->base_ns);
	else if (strncmp(p, start, sizeof(start) - 1) == 0)
		(void)parse_seconds(p + sizeof(start) - 1, &r->start_ns);
}

static const char *parse_tag(struct shunt_hlog_entry *entry, const char *p)
{
	const char *comma = strchr(p, ',');
	size_t n;

	if (!comma)
		return NULL;
	n = (size_t)(comma - p);
	if (n == 0 || n > SHUNT_HLOG_TAG_MAX)
		return NULL;
	memcpy(entry->tag, p, n);
	entry->tag[n] = '\0';
	return tag_valid(entry->tag) ? comma + 1 : NULL;
}

/* Makes the start of an interval absolute, by the rule of the reference reader. */
static uint64_t absolute_start(const struct shunt_hlog_reader *r, uint64_t ns)
{
	uint64_t base = r->base_ns;

	if (base == 0 && r->start_ns > YEAR_NS && ns < r->start_ns - YEAR_NS)
		base = r->start_ns;
	return ns > UINT64_MAX - base ? UINT64_MAX : base + ns;
}

static int parse_entry(struct shunt_hlog_reader *r, size_t n, struct shunt_hlog_entry *entry, struct shunt_hist *h)
{
	const char *end = r->text + n;
	const char *p = r->text;
	uint64_t field[3] = { 0 }; /* start, length, max: the last is only a hint for people */
	size_t i;

	if (strncmp(p, "Tag=", 4) == 0) {
		p = parse_tag(entry, p + 4);
		if (!p) {
			r->message = "bad tag";
			return SHUNT_EINVAL;
		}
	}
	for (i = 0; i < SH_COUNT(field); i++) {
		static const char *const bad[] = { "bad start time", "bad interval length", "bad maximum" };

		p = parse_seconds(p, &field[i]);
		if (!p || *p != ',') {
			r->message = bad[i];
			return SHUNT_EINVAL;
		}
		p++;
	}
	entry->start_ns = absolute_start(r, field[0]);
	entry->end_ns = field[1] > UINT64_MAX - entry->start_ns ? UINT64_MAX : entry->start_ns + field[1];
	return sh_hlog_unpack(p, (size_t)(end - p), h, &r->message);
}

/* Skips the rest of an over-long line. */
static void skip_line(struct shunt_hlog_reader *r)
{
	int c;

	do
		c = getc(r->file);
	while (c != '\n' && c != EOF);
}

/* One line into r->text without its end: 1, 0 at the end, or an error. */
static int read_line(struct shunt_hlog_reader *r, size_t *len)
{
	bool bad = SH_FAIL("hlog_read");
	size_t n;

	if (bad || !fgets(r->text, (int)sizeof(r->text), r->file)) {
		if (!bad && !ferror(r->file))
			return 0;
		r->message = "cannot be read";
		return SHUNT_EIO;
	}
	r->line++;
	n = strlen(r->text);
	if (n > 0 && r->text[n - 1] == '\n') {
		n--;
	} else if (n == sizeof(r->text) - 1) {
		skip_line(r);
		r->message = "line is longer than 128 KiB";
		return SHUNT_ELIMIT;
	}
	if (n > 0 && r->text[n - 1] == '\r')
		n--;
	r->text[n] = '\0';
	*len = n;
	return 1;
}

int shunt_hlog_read_next(struct shunt_hlog_reader *r, struct shunt_hlog_entry *entry, struct shunt_hist *h)
{
	if (!r || !entry || !h)
		return SHUNT_EINVAL;
	memset(entry, 0, sizeof(*entry));
	shunt_hist_reset(h);
	r->message = "";
	for (;;) { /* bound: the lines of the file */
		size_t n = 0;
		int rc = read_line(r, &n);

		entry->line = r->line;
		if (rc <= 0)
			return rc;
		if (n == 0 || strncmp(r->text, "\"StartTimestamp\"", 16) == 0)
			continue;
		if (r->text[0] == '#') {
			parse_comment(r, r->text);
			continue;
		}
		rc = parse_entry(r, n, entry, h);
		return rc == SHUNT_OK ? 1 : rc;
	}
}
