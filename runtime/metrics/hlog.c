/* metrics/hlog.c - see hlog.h. SPDX-License-Identifier: MIT */
#include "metrics/hlog.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include <shunt/error.h>

#include "base/error.h"
#include "base/file.h"
#include "base/inject.h"
#include "base/mem.h"
#include "base/thread.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)
#define SH_HLOG_GROW_MIN ((size_t)64 << 10)
#define YEAR_NS (UINT64_C(31536000) * NS_PER_S)

struct shunt_hlog {
	FILE *file;  /* sync: owner */
	bool started; /* sync: owner; the header is written */
	char text[(SH_HLOG_PACKED_MAX + 2u) / 3u * 4u + 1u]; /* sync: owner */
};

struct shunt_hlog_reader {
	FILE *file;              /* sync: owner */
	uint64_t line;           /* sync: owner; lines read so far */
	/* sync: owner; bytes read so far */
	uint64_t bytes;
	uint64_t base_ns;        /* sync: owner; BaseTime, or 0 */
	uint64_t start_ns;       /* sync: owner; StartTime, or 0 */
	struct sh_hlog_bytes text;  /* sync: owner; the line, zero-terminated; len without the zero */
	struct sh_hlog_bytes plain; /* sync: owner; the encoding of its histogram */
	struct sh_hlog_walk walk;   /* sync: owner; the next bucket in it */
};

/* More room, at most `limit` bytes. SHUNT_ELIMIT: it has that already. SHUNT_ENOMEM: it is as it was. */
static int bytes_grow(struct sh_hlog_bytes *b, size_t limit)
{
	size_t cap = b->cap ? b->cap * 2u : SH_HLOG_GROW_MIN;
	uint8_t *p;

	if (b->cap == limit)
		return SHUNT_ELIMIT;
	cap = cap < limit ? cap : limit;
	p = SH_FAIL("hlog_alloc") ? NULL : sh_heap_resize(b->p, 1, cap);
	if (!p)
		return SHUNT_ENOMEM;
	b->p = p;
	b->cap = cap;
	return SHUNT_OK;
}

static void *zlib_alloc(void *arg, uInt n, uInt size)
{
	(void)arg;
	return sh_heap_alloc(n, size); /* who starts a stream has the failure point */
}

static void zlib_free(void *arg, void *p)
{
	(void)arg;
	sh_heap_free(p);
}

/* *to_len is the capacity before and the use after. */
static int deflate_all(uint8_t *to, size_t *to_len, const uint8_t *from, size_t len)
{
	z_stream z = { .zalloc = zlib_alloc, .zfree = zlib_free };
	int end;

	if (SH_FAIL("hlog_zlib") || deflateInit(&z, Z_DEFAULT_COMPRESSION) != Z_OK)
		return SHUNT_ENOMEM;
	z.next_in = (z_const Bytef *)(uintptr_t)from;
	z.avail_in = (uInt)len;
	z.next_out = to;
	z.avail_out = (uInt)*to_len;
	end = deflate(&z, Z_FINISH);
	assert(end == Z_STREAM_END); /* the capacity exceeds zlib's bound */
	(void)end;
	*to_len = z.total_out;
	(void)deflateEnd(&z);
	return SHUNT_OK;
}

/* The same the other way. SHUNT_EINVAL: no whole zlib stream, or larger than any histogram. */
static int inflate_all(struct sh_hlog_bytes *to, const uint8_t *from, size_t len)
{
	z_stream z = { .zalloc = zlib_alloc, .zfree = zlib_free };
	int end = Z_OK;
	int rc = SHUNT_OK;

	if (SH_FAIL("hlog_zlib") || inflateInit(&z) != Z_OK)
		return SHUNT_ENOMEM;
	z.next_in = (z_const Bytef *)(uintptr_t)from;
	z.avail_in = (uInt)len;
	while (end == Z_OK) { /* bound: each turn fills the buffer, whose size is limited */
		rc = z.total_out == to->cap ? bytes_grow(to, SH_HLOG_ANY_PLAIN_MAX) : SHUNT_OK;
		if (rc != SHUNT_OK)
			break;
		z.next_out = to->p + z.total_out;
		z.avail_out = (uInt)(to->cap - z.total_out);
		end = inflate(&z, Z_NO_FLUSH);
		if (end == Z_OK && z.avail_out > 0)
			break; /* the input ends first */
	}
	to->len = z.total_out;
	(void)inflateEnd(&z);
	if (rc == SHUNT_ENOMEM || end == Z_MEM_ERROR)
		return SHUNT_ENOMEM;
	return end == Z_STREAM_END ? SHUNT_OK : SHUNT_EINVAL;
}

int sh_hlog_pack(const struct shunt_hist *h, char *out)
{
	uint8_t *plain = SH_FAIL("hlog_alloc") ? NULL : sh_heap_alloc(1, SH_HLOG_PLAIN_MAX + SH_HLOG_PACKED_MAX);
	uint8_t *packed;
	size_t packed_len = SH_HLOG_PACKED_MAX - SH_HLOG_FRAME;
	size_t len = 0;
	int rc;

	if (!plain)
		return SHUNT_ENOMEM;
	packed = plain + SH_HLOG_PLAIN_MAX;
	rc = sh_hlog_encode(h, plain, &len);
	if (rc != SHUNT_OK)
		goto out;
	rc = deflate_all(packed + SH_HLOG_FRAME, &packed_len, plain, len);
	if (rc != SHUNT_OK)
		goto out;
	sh_hlog_put_be32(packed, SH_HLOG_COOKIE_V2_COMPRESSED | SH_HLOG_COOKIE_WORD);
	sh_hlog_put_be32(packed + 4, (uint32_t)packed_len);
	len = packed_len + SH_HLOG_FRAME;
	sh_hlog_base64_encode(packed, len, out);
	out[sh_hlog_base64_size(len)] = '\0';
out:
	sh_heap_free(plain);
	return rc;
}

/* Checks the frame and inflates. */
static int inflate_frame(const uint8_t *packed, size_t packed_len, struct sh_hlog_bytes *plain, const char **why)
{
	uint32_t cookie;
	size_t stream_len;
	int rc;

	if (packed_len < SH_HLOG_FRAME) {
		*why = "payload is cut short";
		return SHUNT_EINVAL;
	}
	cookie = sh_hlog_get_be32(packed);
	if (cookie == SH_HLOG_COOKIE_REAL_COMPRESSED) {
		*why = "payload is a histogram of floating-point values; supported: whole numbers";
		return SHUNT_ENOSYS;
	}
	cookie &= SH_HLOG_COOKIE_MASK;
	if (cookie != SH_HLOG_COOKIE_V2_COMPRESSED && cookie != SH_HLOG_COOKIE_V1_COMPRESSED &&
	    cookie != SH_HLOG_COOKIE_V0_COMPRESSED) {
		*why = "payload is not a compressed V0, V1 or V2 histogram";
		return SHUNT_ENOSYS;
	}
	stream_len = sh_hlog_get_be32(packed + 4);
	if (stream_len > packed_len - SH_HLOG_FRAME) {
		*why = "payload is cut short";
		return SHUNT_EINVAL;
	}
	rc = inflate_all(plain, packed + SH_HLOG_FRAME, stream_len);
	if (rc != SHUNT_OK)
		*why = rc == SHUNT_ENOMEM ? "out of memory" : "payload is not a valid zlib stream of a histogram";
	return rc;
}

int sh_hlog_unpack(const char *text, size_t n, struct sh_hlog_bytes *plain, const char **why)
{
	uint8_t *packed = SH_FAIL("hlog_alloc") ? NULL : sh_heap_alloc(1, n + 1);
	size_t packed_len = 0;
	int rc;

	plain->len = 0;
	if (!packed) {
		*why = "out of memory";
		return SHUNT_ENOMEM;
	}
	rc = sh_hlog_base64_decode(text, n, packed, n, &packed_len);
	if (rc != SHUNT_OK)
		*why = "payload is not base64";
	else
		rc = inflate_frame(packed, packed_len, plain, why);
	sh_heap_free(packed);
	return rc;
}

int shunt_hlog_open(const char *path, struct shunt_hlog **out)
{
	SH_NO_CANCEL;
	struct shunt_hlog *log;

	sh_error_detail_clear();
	if (!path || !out)
		return sh_error_set(SHUNT_EINVAL, "histogram log: " SH_NO_ARGUMENT);
	*out = NULL;
	log = SH_FAIL("hlog_alloc") ? NULL : sh_heap_alloc(1, sizeof(*log));
	if (!log)
		return SHUNT_ENOMEM;
	log->file = SH_FAIL("hlog_file") ? NULL : fopen(path, "we");
	if (!log->file) {
		sh_error_detail("histogram log '%s': %s", path, strerror(errno));
		sh_heap_free(log);
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
	SH_NO_CANCEL;
	uint64_t start_ms = start_ns_wall / NS_PER_MS;
	uint64_t length_ms = end_ns_wall / NS_PER_MS - start_ms;
	uint64_t max_us;
	int rc;

	sh_error_detail_clear();
	if (!log || !h)
		return sh_error_set(SHUNT_EINVAL, "histogram log: " SH_NO_ARGUMENT);
	if (end_ns_wall < start_ns_wall)
		return sh_error_set(SHUNT_EINVAL, "histogram log: the end is before the start");
	if (tag && !tag_valid(tag))
		return sh_error_set(SHUNT_EINVAL, "histogram log: tag: '%.200s'; want at most %d bytes, no comma",
				    tag, SHUNT_HLOG_TAG_MAX);
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
		return sh_error_set(SHUNT_EIO, "histogram log: cannot be written: %s", strerror(errno));
	return SHUNT_OK;
}

int shunt_hlog_close(struct shunt_hlog *log)
{
	SH_NO_CANCEL;
	int rc = SHUNT_OK;

	if (!log)
		return SHUNT_OK;
	if (ferror(log->file))
		rc = SHUNT_EIO;
	if (fclose(log->file) != 0 || SH_FAIL("hlog_close"))
		rc = SHUNT_EIO;
	if (rc != SHUNT_OK)
		sh_error_detail("histogram log: something may not have been written: %s", strerror(errno));
	sh_heap_free(log);
	return rc;
}

int shunt_hlog_reader_open(const char *path, struct shunt_hlog_reader **out)
{
	SH_NO_CANCEL;
	struct shunt_hlog_reader *r;
	char why[SH_FILE_WHY_MAX];

	sh_error_detail_clear();
	if (!path || !out)
		return sh_error_set(SHUNT_EINVAL, "histogram log: " SH_NO_ARGUMENT);
	*out = NULL;
	r = SH_FAIL("hlog_alloc") ? NULL : sh_heap_alloc(1, sizeof(*r));
	if (!r)
		return SHUNT_ENOMEM;
	r->file = sh_file_open(path, SH_HLOG_BYTES_MAX, why);
	if (!r->file) {
		sh_error_detail("histogram log '%s': %s", path, why);
		sh_heap_free(r);
		return SHUNT_EIO;
	}
	*out = r;
	return SHUNT_OK;
}

void shunt_hlog_reader_close(struct shunt_hlog_reader *r)
{
	if (!r)
		return;
	(void)fclose(r->file);
	sh_heap_free(r->text.p);
	sh_heap_free(r->plain.p);
	sh_heap_free(r);
}

/* Reads seconds "123.456" (nine decimals count) up to a non-digit. Returns its end or NULL. */
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

/* A line that starts with '#': only the two times are used. */
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

/* Makes the start of an interval absolute, as the reference reader does. */
static uint64_t absolute_start(const struct shunt_hlog_reader *r, uint64_t ns)
{
	uint64_t base = r->base_ns;

	if (base == 0 && r->start_ns > YEAR_NS && ns < r->start_ns - YEAR_NS)
		base = r->start_ns;
	return ns > UINT64_MAX - base ? UINT64_MAX : base + ns;
}

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " \t");
}

/* The histogram of n characters into h, and ready for sh_hlog_next_bucket. */
static int parse_payload(struct shunt_hlog_reader *r, const char *p, size_t n, struct shunt_hist *h)
{
	const char *why = "";
	int rc = sh_hlog_unpack(p, n, &r->plain, &why);

	if (rc == SHUNT_OK)
		rc = sh_hlog_decode(r->plain.p, r->plain.len, h, &why);
	if (rc == SHUNT_OK)
		rc = sh_hlog_walk_begin(&r->walk, r->plain.p, r->plain.len, &why);
	return rc == SHUNT_OK ? rc : sh_error_set(rc, "%s", why);
}

static int parse_entry(struct shunt_hlog_reader *r, struct shunt_hlog_entry *entry, struct shunt_hist *h)
{
	const char *p = (const char *)r->text.p;
	const char *end = p + r->text.len;
	uint64_t field[2] = { 0 }; /* start, length */
	size_t i;

	if (strncmp(p, "Tag=", 4) == 0) {
		p = parse_tag(entry, p + 4);
		if (!p)
			return sh_error_set(SHUNT_EINVAL, "bad tag");
	}
	for (i = 0; i < SH_COUNT(field); i++) {
		static const char *const bad[] = { "bad start time", "bad interval length" };

		p = parse_seconds(skip_blanks(p), &field[i]);
		if (!p || *p != ',')
			return sh_error_set(SHUNT_EINVAL, "%s", bad[i]);
		p++;
	}
	p = strchr(p, ','); /* behind the maximum */
	if (!p)
		return sh_error_set(SHUNT_EINVAL, "bad maximum");
	p = skip_blanks(p + 1);
	entry->start_ns = absolute_start(r, field[0]);
	entry->end_ns = field[1] > UINT64_MAX - entry->start_ns ? UINT64_MAX : entry->start_ns + field[1];
	return parse_payload(r, p, (size_t)(end - p), h);
}

/* Skips the rest of an over-long line, up to the end of what is read at all. */
static void skip_line(struct shunt_hlog_reader *r)
{
	int c;

	do
		c = getc(r->file);
	while (c != '\n' && c != EOF && r->bytes++ < SH_HLOG_BYTES_MAX);
}

/* Reads one line into r->text without its end: 1, 0 at the end, or an error. */
static int read_line(struct shunt_hlog_reader *r)
{
	struct sh_hlog_bytes *t = &r->text;
	bool bad = SH_FAIL("hlog_read");
	char why[SH_FILE_WHY_MAX];

	if (r->bytes >= SH_HLOG_BYTES_MAX) /* of a pipe; a file was refused when it was opened */
		return sh_error_set(SHUNT_EIO, "%s", sh_file_say_long(why, SH_HLOG_BYTES_MAX));
	t->len = 0;
	for (;;) { /* bound: the buffer grows, up to SH_HLOG_LINE_MAX */
		int rc = t->len + 1 >= t->cap ? bytes_grow(t, SH_HLOG_LINE_MAX) : SHUNT_OK;

		if (rc != SHUNT_OK) {
			r->line++;
			skip_line(r);
			return sh_error_set(rc, "%s", rc == SHUNT_ELIMIT ? "line is too long" : "out of memory");
		}
		if (bad || !fgets((char *)t->p + t->len, (int)(t->cap - t->len), r->file)) {
			if (bad || ferror(r->file))
				return sh_error_set(SHUNT_EIO, "cannot be read");
			if (t->len == 0)
				return 0;
			break;
		}
		t->len += strlen((char *)t->p + t->len);
		if (t->len == 0 || t->p[t->len - 1] == '\n' || t->len + 1 < t->cap)
			break;
	}
	r->line++;
	if (t->len == 0)
		return sh_error_set(SHUNT_EIO, "is no text: a line begins with a zero byte");
	r->bytes += t->len;
	while (t->len > 0 && strchr("\n\r \t", t->p[t->len - 1]))
		t->len--;
	t->p[t->len] = '\0';
	return 1;
}

int shunt_hlog_read_next(struct shunt_hlog_reader *r, struct shunt_hlog_entry *entry, struct shunt_hist *h)
{
	SH_NO_CANCEL;
	sh_error_detail_clear();
	if (!r || !entry || !h)
		return sh_error_set(SHUNT_EINVAL, "histogram log: " SH_NO_ARGUMENT);
	memset(entry, 0, sizeof(*entry));
	memset(&r->walk, 0, sizeof(r->walk));
	shunt_hist_reset(h);
	for (;;) { /* bound: the lines of the file */
		const char *line;
		int rc = read_line(r);

		entry->line = r->line;
		if (rc <= 0)
			return rc;
		line = (const char *)r->text.p;
		if (r->text.len == 0 || strncmp(line, "\"StartTimestamp\"", 16) == 0)
			continue;
		if (line[0] == '#') {
			parse_comment(r, line);
			continue;
		}
		rc = parse_entry(r, entry, h);
		return rc == SHUNT_OK ? 1 : rc;
	}
}

int sh_hlog_next_bucket(struct shunt_hlog_reader *r, struct shunt_hist_bucket *bucket)
{
	const char *why = NULL;
	int rc = sh_hlog_walk_next(&r->walk, bucket, &why);

	assert(rc >= 0); /* the whole histogram was read before */
	return rc;
}
