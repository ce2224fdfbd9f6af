/*
 * HdrHistogram logs: bytes and lines that the Java reference (2.1.11) wrote, byte for byte or read back; what we
 * write comes back equal; damage of every kind is an error with a line number, never a crash; failing memory and disk.
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <shunt/error.h>

#include "base/inject.h"
#include "base/rng.h"
#include "metrics/hlog.h"

static uint64_t test_seed;

/* What the reference made of known_fill: its V2 encoding, and a line of its log. */
static const char known_plain[] = "1c84931300000013000000000000000200000000000000010000034630b8a0003ff0000000000000"
				  "0206f90302f3039003df2102c91d8ea8d6b907";
#define KNOWN_PAYLOAD "HISTFAAAADV42pNpmSzMwMAAwiDABKUZGRiY3Qx2LGCw/wCVYPvJzPSZeQLzfUWmk7J9K67tZAcA4rILoA=="
#define KNOWN_EMPTY "HISTFAAAACF42pNpmSzMwMDAyAABTFAayGd2M9ixgMH+A1QEAFKMBEs="
#define LEGEND "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n"
static const char known_log[] = "#[Histogram log format version 1.3]\n"
				"#[StartTime: 1700000000.123 (seconds since epoch), Tue Nov 14 22:13:20 UTC 2023]\n"
				LEGEND
				"Tag=q.delay,1700000000.123,1.500,3607772.529," KNOWN_PAYLOAD "\n"
				"1700000001.623,0.377,0.000," KNOWN_EMPTY "\n";

static struct shunt_hist *hist_new(void)
{
	struct shunt_hist *h = NULL;

	assert_int_equal(shunt_hist_create(&h), SHUNT_OK);
	return h;
}

static void known_fill(struct shunt_hist *h)
{
	shunt_hist_reset(h);
	shunt_hist_record(h, 0);
	(void)shunt_hist_record_n(h, 1, 3);
	shunt_hist_record(h, 255);
	(void)shunt_hist_record_n(h, 1000, 200);
	shunt_hist_record(h, 123456789);
	(void)shunt_hist_record_n(h, SHUNT_HIST_HIGHEST_NS, 1000000007);
}

static void temp_path(char *path)
{
	int fd;

	(void)strcpy(path, "/tmp/shunt-hlog-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	(void)close(fd);
}

static void temp_write(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static struct shunt_hlog_reader *reader_new(const char *path)
{
	struct shunt_hlog_reader *r = NULL;

	assert_int_equal(shunt_hlog_reader_open(path, &r), SHUNT_OK);
	return r;
}

static void known_encoding(void **state)
{
	uint8_t *buf = malloc(SH_HLOG_PLAIN_MAX);
	struct shunt_hist *h = hist_new();
	struct shunt_hist *back = hist_new();
	const char *why = "";
	size_t len = 0;
	size_t i;

	(void)state;
	assert_non_null(buf);
	known_fill(h);
	assert_int_equal(sh_hlog_encode(h, buf, &len), SHUNT_OK);
	assert_int_equal(len, (sizeof(known_plain) - 1) / 2);
	for (i = 0; i < len; i++) {
		char hex[3];

		(void)snprintf(hex, sizeof(hex), "%02x", buf[i]);
		assert_memory_equal(hex, known_plain + 2 * i, 2);
	}
	assert_int_equal(sh_hlog_decode(buf, len, back, &why), SHUNT_OK);
	assert_memory_equal(back->counts, h->counts, sizeof(h->counts));
	/* Every shorter input is an error. */
	for (i = 0; i < len; i++)
		assert_int_equal(sh_hlog_decode(buf, i, back, &why), SHUNT_EINVAL);
	assert_int_equal(shunt_hist_count(back), 0);
	/* One empty bucket is a zero, not a run; an empty histogram is one empty bucket. */
	shunt_hist_reset(h);
	assert_int_equal(sh_hlog_encode(h, buf, &len), SHUNT_OK);
	assert_int_equal(len, SH_HLOG_HEADER + 1);
	assert_int_equal(buf[SH_HLOG_HEADER], 0);
	shunt_hist_record(h, 0);
	shunt_hist_record(h, 2);
	assert_int_equal(sh_hlog_encode(h, buf, &len), SHUNT_OK);
	assert_int_equal(len, SH_HLOG_HEADER + 3);
	assert_memory_equal(buf + SH_HLOG_HEADER, "\x02\x00\x02", 3);
	h->count = (uint64_t)INT64_MAX + 1;
	assert_int_equal(sh_hlog_encode(h, buf, &len), SHUNT_ELIMIT);
	shunt_hist_destroy(back);
	shunt_hist_destroy(h);
	free(buf);
}

static void known_lines(void **state)
{
	struct shunt_hist *h = hist_new();
	struct shunt_hist *expect = hist_new();
	struct shunt_hlog_reader *r;
	struct shunt_hlog_entry e;
	char path[64];

	(void)state;
	temp_path(path);
	temp_write(path, known_log, sizeof(known_log) - 1);
	r = reader_new(path);
	known_fill(expect);
	assert_int_equal(shunt_hlog_read_next(r, &e, h), 1);
	assert_int_equal(e.line, 4);
	assert_string_equal(e.tag, "q.delay");
	assert_int_equal(e.start_ns, UINT64_C(1700000000123000000));
	assert_int_equal(e.end_ns, UINT64_C(1700000001623000000));
	assert_memory_equal(h->counts, expect->counts, sizeof(h->counts));
	assert_int_equal(shunt_hist_count(h), shunt_hist_count(expect));
	/* The figures the reference printed for it. */
	assert_int_equal(shunt_hist_max(h), UINT64_C(3607772528639));
	assert_true(shunt_hist_mean(h) > 3.5991818526166e12 && shunt_hist_mean(h) < 3.5991818526167e12);
	assert_true(shunt_hist_stddev(h) > 1.63356e9 && shunt_hist_stddev(h) < 1.63357e9);
	assert_int_equal(shunt_hlog_read_next(r, &e, h), 1);
	assert_string_equal(e.tag, "");
	assert_int_equal(shunt_hist_count(h), 0);
	assert_int_equal(shunt_hlog_read_next(r, &e, h), 0);
	assert_int_equal(shunt_hlog_read_next(r, &e, h), 0);
	shunt_hlog_reader_close(r);
	assert_int_equal(unlink(path), 0);
	shunt_hist_destroy(expect);
	shunt_hist_destroy(h);
}

static void header_text(void **state)
{
	static const char expect[] = "#[Logged by shunt]\n#[Histogram log format version 1.3]\n"
				     "#[StartTime: 1700000000.123 (seconds since epoch), 2023-11-14T22:13:20Z]\n" LEGEND
				     "Tag=a,1700000000.123,1.500,3600000.000,";
	struct shunt_hist *h = hist_new();
	struct shunt_hlog *log = NULL;
	char text[sizeof(expect)] = "";
	char path[64];
	FILE *f;

	(void)state;
	known_fill(h);
	temp_path(path);
	assert_int_equal(shunt_hlog_open(path, &log), SHUNT_OK);
	assert_int_equal(shunt_hlog_write(log, "a", UINT64_C(1700000000123999999), UINT64_C(1700000001623000000), h),
			 SHUNT_OK);
	assert_int_equal(shunt_hlog_close(log), SHUNT_OK);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fread(text, 1, sizeof(text) - 1, f), sizeof(text) - 1);
	(void)fclose(f);
	assert_string_equal(text, expect);
	assert_int_equal(unlink(path), 0);
	shunt_hist_destroy(h);
}

static void random_fill(struct shunt_hist *h, struct sh_rng *rng)
{
	uint32_t n = sh_rng_below(rng, 6) == 0 ? 0 : sh_rng_below(rng, 3000);

	shunt_hist_reset(h);
	while (n-- > 0)
		(void)shunt_hist_record_n(h, sh_rng_next(rng) >> (20 + sh_rng_below(rng, 44)),
					  1 + (sh_rng_next(rng) >> (20 + sh_rng_below(rng, 44))));
}

static void round_trip(void **state)
{
	enum { LINES = 60 };
	static const char *const tags[] = { NULL, "pool.type.queue", "w0", "\xc3\xa9" };
	struct shunt_hist *h = hist_new();
	struct shunt_hist *back = hist_new();
	struct shunt_hlog_reader *r;
	struct shunt_hlog *log = NULL;
	struct shunt_hlog_entry e;
	struct sh_rng rng;
	char path[64];
	uint64_t i;

	(void)state;
	temp_path(path);
	assert_int_equal(shunt_hlog_open(path, &log), SHUNT_OK);
	sh_rng_init(&rng, test_seed);
	for (i = 0; i < LINES; i++) {
		random_fill(h, &rng);
		assert_int_equal(shunt_hlog_write(log, tags[i % SH_COUNT(tags)], i * 1000000, (i + 5) * 1000000, h),
				 SHUNT_OK);
	}
	assert_int_equal(shunt_hlog_close(log), SHUNT_OK);
	r = reader_new(path);
	sh_rng_init(&rng, test_seed);
	for (i = 0; i < LINES; i++) {
		const char *tag = tags[i % SH_COUNT(tags)];

		random_fill(h, &rng);
		assert_int_equal(shunt_hlog_read_next(r, &e, back), 1);
		assert_string_equal(e.tag, tag ? tag : "");
		assert_int_equal(e.start_ns, i * 1000000);
		assert_int_equal(e.end_ns, (i + 5) * 1000000);
		assert_memory_equal(back->counts, h->counts, sizeof(h->counts));
		assert_int_equal(shunt_hist_count(back), shunt_hist_count(h));
		assert_int_equal(shunt_hist_lowest_equivalent(shunt_hist_min(h)), shunt_hist_min(back));
		if (shunt_hist_count(h) != 0)
			assert_int_equal(shunt_hist_highest_equivalent(shunt_hist_max(h)), shunt_hist_max(back));
	}
	assert_int_equal(shunt_hlog_read_next(r, &e, back), 0);
	shunt_hlog_reader_close(r);
	assert_int_equal(unlink(path), 0);
	shunt_hist_destroy(back);
	shunt_hist_destroy(h);
}

static void counts_and_base64(void **state)
{
	static const int64_t values[] = { 0, 1, -1, 63, 64, -64, -65, 8191, 8192, INT64_MAX, INT64_MIN, INT64_MIN + 1 };
	static const char *const texts[] = { "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy" };
	static const char *const bad[] = { "", "Zg=", "Z===", "====", "Zg==Zg==", "Zm9-", "Z=9v", "Zm9vY" };
	uint8_t buf[SH_HLOG_COUNT_MAX];
	size_t len = 0;
	size_t i;

	(void)state;
	for (i = 0; i < SH_COUNT(values); i++) {
		const uint8_t *end = sh_hlog_put_count(buf, values[i]);
		int64_t v = 7;

		assert_ptr_equal(sh_hlog_get_count(buf, end, &v), end);
		assert_true(v == values[i]);
		assert_null(sh_hlog_get_count(buf, end - 1, &v));
	}
	for (i = 0; i < SH_COUNT(texts); i++) {
		char out[9] = "";

		sh_hlog_base64_encode((const uint8_t *)"foobar", i + 1, out);
		assert_string_equal(out, texts[i]);
		assert_int_equal(sh_hlog_base64_size(i + 1), strlen(out));
		assert_int_equal(sh_hlog_base64_decode(out, strlen(out), buf, sizeof(buf), &len), SHUNT_OK);
		assert_int_equal(len, i + 1);
		assert_memory_equal(buf, "foobar", len);
		assert_int_equal(sh_hlog_base64_decode(out, strlen(out), buf, i, &len), SHUNT_EINVAL);
	}
	for (i = 0; i < SH_COUNT(bad); i++)
		assert_int_equal(sh_hlog_base64_decode(bad[i], strlen(bad[i]), buf, sizeof(buf), &len), SHUNT_EINVAL);
}

/* Each line, then a good one: the bad one is an error on line 1, the good one is read all the same. */
static void damaged_lines(void **state)
{
	static const struct {
		const char *line;
		int rc;
	} rows[] = {
		{ "nonsense", SHUNT_EINVAL },
		{ "Tag=,1.0,1.0,1.0," KNOWN_EMPTY, SHUNT_EINVAL },
		{ "Tag=a b,1.0,1.0,1.0," KNOWN_EMPTY, SHUNT_EINVAL },
		{ "Tag=a", SHUNT_EINVAL },
		{ "-1.0,1.0,1.0," KNOWN_EMPTY, SHUNT_EINVAL },
		{ "99999999999999999999,1.0,1.0," KNOWN_EMPTY, SHUNT_EINVAL },
		{ "1.0,x,1.0," KNOWN_EMPTY, SHUNT_EINVAL },
		{ "1.0,1.0,1.0", SHUNT_EINVAL },
		{ "1.0,1.0,1.0,", SHUNT_EINVAL },
		{ "1.0,1.0,1.0,HIST", SHUNT_EINVAL },
		{ "1.0,1.0,1.0,HISTFAAAADV42pNpmSzM", SHUNT_EINVAL },             /* cut short */
		{ "1.0,1.0,1.0,HISTFAAAAA942pNpmSzMwMDAyAABTF==", SHUNT_EINVAL }, /* stream damaged */
		{ "1.0,1.0,1.0,HISTEwAAAAAAAAAAAAAAAA==", SHUNT_ENOSYS },         /* not the compressed form */
		{ "1.0,1.0,1.0,DHISTwAAAAA=", SHUNT_ENOSYS },                     /* floating-point values */
	};
	struct shunt_hist *h = hist_new();
	char path[64];
	size_t i;

	(void)state;
	temp_path(path);
	for (i = 0; i < SH_COUNT(rows); i++) {
		struct shunt_hlog_reader *r;
		struct shunt_hlog_entry e;
		char text[512];
		int n = snprintf(text, sizeof(text), "%s\r\n#[BaseTime: 10.5 (seconds since epoch)]\n\n%s\r\n", rows[i].line,
				 "1.25,1.0,1.0," KNOWN_EMPTY);

		temp_write(path, text, (size_t)n);
		r = reader_new(path);
		assert_int_equal(shunt_hlog_read_next(r, &e, h), rows[i].rc);
		assert_int_equal(e.line, 1);
		assert_true(shunt_error_detail()[0] != '\0');
		assert_int_equal(shunt_hlog_read_next(r, &e, h), 1);
		assert_int_equal(e.line, 4);
		assert_int_equal(e.start_ns, UINT64_C(11750000000));
		assert_int_equal(e.end_ns, UINT64_C(12750000000));
		assert_string_equal(shunt_error_detail(), "");
		shunt_hlog_reader_close(r);
	}
	assert_int_equal(unlink(path), 0);
	shunt_hist_destroy(h);
}

/* A line beyond the limit is an error and the next one is read; one of several buffers is not too long. */
static void long_line(void **state)
{
	static const char good[] = "\n1.0,1.0,1.0," KNOWN_EMPTY "\n";
	size_t len = SH_HLOG_LINE_MAX + 1000;
	char *text = malloc(len + sizeof(good));
	struct shunt_hist *h = hist_new();
	struct shunt_hlog_reader *r;
	struct shunt_hlog_entry e;
	char path[64];

	(void)state;
	assert_non_null(text);
	memset(text, 'A', len);
	memcpy(text + len, good, sizeof(good));
	temp_path(path);
	temp_write(path, text, len + sizeof(good) - 1);
	r = reader_new(path);
	assert_int_equal(shunt_hlog_read_next(r, &e, h), SHUNT_ELIMIT);
	assert_int_equal(e.line, 1);
	assert_int_equal(shunt_hlog_read_next(r, &e, h), 1);
	assert_int_equal(e.line, 2);
	assert_int_equal(shunt_hlog_read_next(r, &e, h), 0);
	shunt_hlog_reader_close(r);
	temp_write(path, text, 500000);
	r = reader_new(path);
	assert_int_equal(shunt_hlog_read_next(r, &e, h), SHUNT_EINVAL);
	assert_int_equal(e.line, 1);
	assert_int_equal(shunt_hlog_read_next(r, &e, h), 0);
	shunt_hlog_reader_close(r);
	assert_int_equal(unlink(path), 0);
	shunt_hist_destroy(h);
	free(text);
}

/* One V1 encoding of three digits from 1024 on, counts of two bytes: cells, borders, and where they fall in ours. */
static void other_layout(void **state)
{
	uint8_t buf[SH_HLOG_HEADER + 2 * 2050] = { 0 };
	struct shunt_hist *h = hist_new();
	struct shunt_hist_bucket cell = { 0, 0, 0 };
	struct sh_hlog_walk w;
	const char *why = "";

	(void)state;
	sh_hlog_put_be32(buf, SH_HLOG_COOKIE_V1 | 0x20);
	sh_hlog_put_be32(buf + 4, 2 * 2050);
	sh_hlog_put_be32(buf + 12, 3);
	sh_hlog_put_be32(buf + 20, 1024);
	buf[SH_HLOG_HEADER + 2 * 3 + 1] = 5;    /* cell 3: 3072 to 4095 */
	buf[SH_HLOG_HEADER + 2 * 2047 + 0] = 1; /* cell 2047, 256 times: the last of the first groups */
	buf[SH_HLOG_HEADER + 2 * 2048 + 1] = 7; /* the first of double width */
	assert_int_equal(sh_hlog_walk_begin(&w, buf, sizeof(buf), &why), SHUNT_OK);
	assert_int_equal(sh_hlog_walk_next(&w, &cell, &why), 1);
	assert_true(cell.lowest_ns == 3072 && cell.highest_ns == 4095 && cell.count == 5);
	assert_int_equal(sh_hlog_walk_next(&w, &cell, &why), 1);
	assert_true(cell.lowest_ns == 2047 * 1024 && cell.highest_ns == 2048 * 1024 - 1 && cell.count == 256);
	assert_int_equal(sh_hlog_walk_next(&w, &cell, &why), 1);
	assert_true(cell.lowest_ns == 2048 * 1024 && cell.highest_ns == 2050 * 1024 - 1 && cell.count == 7);
	assert_int_equal(sh_hlog_walk_next(&w, &cell, &why), 0);
	assert_int_equal(sh_hlog_decode(buf, sizeof(buf), h, &why), SHUNT_OK);
	assert_int_equal(shunt_hist_count(h), 268);
	assert_int_equal(shunt_hist_value_at_percentile(h, 1.0), shunt_hist_highest_equivalent(3584));
	assert_int_equal(shunt_hist_max(h), shunt_hist_highest_equivalent(2049 * 1024));
	assert_int_equal(shunt_hist_saturated(h), 0);
	/* A negative count of a fixed width, a cut one. */
	buf[SH_HLOG_HEADER] = 0x80;
	assert_int_equal(sh_hlog_decode(buf, sizeof(buf), h, &why), SHUNT_EINVAL);
	buf[SH_HLOG_HEADER] = 0;
	sh_hlog_put_be32(buf + 4, 2 * 2050 - 1);
	assert_int_equal(sh_hlog_decode(buf, sizeof(buf), h, &why), SHUNT_EINVAL);
	shunt_hist_destroy(h);
}

/* Header fields and counts of a plain encoding changed one by one. */
static void damaged_encoding(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		int rc;
	} rows[] = {
		{ 3, 0x03, SHUNT_OK },
		{ 3, 0x14, SHUNT_ENOSYS },
		{ 0, 0, SHUNT_ENOSYS },
		{ 11, 1, SHUNT_OK },
		{ 15, 3, SHUNT_OK },
		{ 15, 0, SHUNT_EINVAL },
		{ 15, 6, SHUNT_EINVAL },
		{ 23, 2, SHUNT_OK },
		{ 23, 0, SHUNT_EINVAL },
		{ 16, 0x80, SHUNT_EINVAL },
		{ 16, 0x40, SHUNT_EINVAL },
		{ 32, 0x40, SHUNT_OK },
		{ 4, 1, SHUNT_EINVAL },
		{ 3, 0x31, SHUNT_EINVAL },
		{ 31, 7, SHUNT_OK },
	};
	uint8_t *buf = malloc(SH_HLOG_PLAIN_MAX);
	struct shunt_hist *h = hist_new();
	const char *why = "";
	uint8_t *p;
	size_t len = 0;
	size_t i;

	(void)state;
	assert_non_null(buf);
	for (i = 0; i < SH_COUNT(rows); i++) {
		known_fill(h);
		assert_int_equal(sh_hlog_encode(h, buf, &len), SHUNT_OK);
		buf[rows[i].at] = rows[i].value;
		assert_int_equal(sh_hlog_decode(buf, len, h, &why), rows[i].rc);
	}
	/* Buckets of a wider foreign range count as the last one, and as saturated; beyond any range is an error. */
	p = sh_hlog_put_count(buf + SH_HLOG_HEADER, -7295);
	p = sh_hlog_put_count(p, 5);
	sh_hlog_put_be32(buf + 4, (uint32_t)(p - buf) - SH_HLOG_HEADER);
	assert_int_equal(sh_hlog_decode(buf, (size_t)(p - buf), h, &why), SHUNT_OK);
	assert_int_equal(shunt_hist_count(h), 5);
	assert_int_equal(shunt_hist_saturated(h), 5);
	p = sh_hlog_put_count(p, 5);
	sh_hlog_put_be32(buf + 4, (uint32_t)(p - buf) - SH_HLOG_HEADER);
	assert_int_equal(sh_hlog_decode(buf, (size_t)(p - buf), h, &why), SHUNT_EINVAL);
	p = sh_hlog_put_count(buf + SH_HLOG_HEADER, INT64_MAX);
	p = sh_hlog_put_count(p, 1);
	sh_hlog_put_be32(buf + 4, (uint32_t)(p - buf) - SH_HLOG_HEADER);
	assert_int_equal(sh_hlog_decode(buf, (size_t)(p - buf), h, &why), SHUNT_EINVAL);
	p = sh_hlog_put_count(buf + SH_HLOG_HEADER, INT64_MIN);
	sh_hlog_put_be32(buf + 4, (uint32_t)(p - buf) - SH_HLOG_HEADER);
	assert_int_equal(sh_hlog_decode(buf, (size_t)(p - buf), h, &why), SHUNT_EINVAL);
	shunt_hist_destroy(h);
	free(buf);
}

/* Random bytes in the counts: refused with an empty histogram, or a sum that fits. */
static void random_encoding(void **state)
{
	uint8_t *buf = malloc(SH_HLOG_PLAIN_MAX);
	struct shunt_hist *h = hist_new();
	struct sh_rng rng;
	const char *why = "";
	size_t len = 0;
	size_t i;

	(void)state;
	assert_non_null(buf);
	sh_rng_init(&rng, test_seed + 1);
	for (i = 0; i < 20000; i++) {
		size_t k;

		known_fill(h);
		assert_int_equal(sh_hlog_encode(h, buf, &len), SHUNT_OK);
		for (k = 0; k < 3; k++) {
			uint32_t at = SH_HLOG_HEADER + sh_rng_below(&rng, (uint32_t)(len - SH_HLOG_HEADER));

			buf[at] = (uint8_t)sh_rng_next(&rng);
		}
		if (sh_hlog_decode(buf, len, h, &why) != SHUNT_OK)
			assert_int_equal(shunt_hist_count(h), 0);
		assert_true(shunt_hist_count(h) <= (uint64_t)INT64_MAX);
	}
	shunt_hist_destroy(h);
	free(buf);
}

static void write_errors(void **state)
{
	struct shunt_hist *h = hist_new();
	struct shunt_hlog *log = NULL;
	struct shunt_hlog_reader *r = NULL;
	struct shunt_hlog_entry e;
	char tag[SHUNT_HLOG_TAG_MAX + 2];
	char path[64];

	(void)state;
	assert_int_equal(shunt_hlog_open(NULL, &log), SHUNT_EINVAL);
	assert_int_equal(shunt_hlog_open("/nonexistent/x", &log), SHUNT_EIO);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(shunt_hlog_reader_open("/nonexistent/x", &r), SHUNT_EIO);
	assert_int_equal(shunt_hlog_reader_open("/", &r), SHUNT_EIO);
	assert_string_equal(shunt_error_detail(), "histogram log '/': is a directory; want a regular file or a pipe");
	assert_int_equal(shunt_hlog_reader_open("/dev/zero", &r), SHUNT_EIO);
	assert_string_equal(shunt_error_detail(),
			    "histogram log '/dev/zero': is a device; want a regular file or a pipe");
	r = reader_new("/proc/self/mem"); /* it opens; the first read fails */
	assert_int_equal(shunt_hlog_read_next(r, &e, h), SHUNT_EIO);
	shunt_hlog_reader_close(r);
	temp_path(path);
	assert_int_equal(shunt_hlog_open(path, &log), SHUNT_OK);
	memset(tag, 'x', sizeof(tag) - 1);
	tag[sizeof(tag) - 1] = '\0';
	assert_int_equal(shunt_hlog_write(log, tag, 1, 1, h), SHUNT_EINVAL);
	assert_int_equal(shunt_hlog_write(log, tag + 1, 1, 1, h), SHUNT_OK);
	assert_int_equal(shunt_hlog_write(log, "a,b", 1, 1, h), SHUNT_EINVAL);
	assert_int_equal(shunt_hlog_write(log, "a b", 1, 1, h), SHUNT_EINVAL);
	assert_int_equal(shunt_hlog_write(log, "a\n", 1, 1, h), SHUNT_EINVAL);
	assert_int_equal(shunt_hlog_write(log, "a", 2, 1, h), SHUNT_EINVAL);
	assert_int_equal(shunt_hlog_write(log, "a", 2, 2, NULL), SHUNT_EINVAL);
	assert_int_equal(shunt_hlog_close(log), SHUNT_OK);
	r = reader_new(path);
	assert_int_equal(shunt_hlog_read_next(r, &e, h), 1);
	assert_string_equal(e.tag, tag + 1);
	assert_int_equal(shunt_hlog_read_next(r, &e, h), 0);
	shunt_hlog_reader_close(r);
	assert_int_equal(unlink(path), 0);
	if (access("/dev/full", W_OK) == 0) {
		assert_int_equal(shunt_hlog_open("/dev/full", &log), SHUNT_OK);
		assert_int_equal(shunt_hlog_write(log, "a", 1, 1, h), SHUNT_EIO);
		assert_int_equal(shunt_hlog_close(log), SHUNT_EIO);
	}
	assert_int_equal(shunt_hlog_close(NULL), SHUNT_OK);
	shunt_hlog_reader_close(NULL);
	shunt_hist_destroy(h);
}

#ifdef SHUNT_INJECT
static int fail_alloc(void *arg, const char *point)
{
	return strcmp(point, arg) == 0;
}

static void without_memory(void **state)
{
	static char point[] = "hlog_alloc";
	struct shunt_hist *h = hist_new();
	struct shunt_hlog_reader *r = NULL;
	struct shunt_hlog *log = NULL;
	struct shunt_hlog_entry e;
	char path[64];

	(void)state;
	temp_path(path);
	sh_inject_set(fail_alloc, point);
	assert_int_equal(shunt_hlog_open(path, &log), SHUNT_ENOMEM);
	assert_null(log);
	sh_inject_set(NULL, NULL);
	assert_int_equal(shunt_hlog_open(path, &log), SHUNT_OK);
	sh_inject_set(fail_alloc, point);
	assert_int_equal(shunt_hlog_write(log, "a", 1, 1, h), SHUNT_ENOMEM);
	sh_inject_set(NULL, NULL);
	assert_int_equal(shunt_hlog_write(log, "a", 1, 1, h), SHUNT_OK);
	assert_int_equal(shunt_hlog_close(log), SHUNT_OK);
	sh_inject_set(fail_alloc, point);
	assert_int_equal(shunt_hlog_reader_open(path, &r), SHUNT_ENOMEM);
	sh_inject_set(NULL, NULL);
	r = reader_new(path);
	sh_inject_set(fail_alloc, point);
	assert_int_equal(shunt_hlog_read_next(r, &e, h), SHUNT_ENOMEM);
	sh_inject_set(NULL, NULL);
	shunt_hlog_reader_close(r);
	assert_int_equal(unlink(path), 0);
	shunt_hist_destroy(h);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_encoding),
		cmocka_unit_test(known_lines),
		cmocka_unit_test(header_text),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(counts_and_base64),
		cmocka_unit_test(damaged_lines),
		cmocka_unit_test(long_line),
		cmocka_unit_test(other_layout),
		cmocka_unit_test(damaged_encoding),
		cmocka_unit_test(random_encoding),
		cmocka_unit_test(write_errors),
#ifdef SHUNT_INJECT
		cmocka_unit_test(without_memory),
#endif
	};
	const char *seed = getenv("SHUNT_SEED");

	test_seed = seed ? strtoull(seed, NULL, 0) : 42;
	printf("SHUNT_SEED=%llu\n", (unsigned long long)test_seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
