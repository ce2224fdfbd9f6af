/*
 * tests/fuzz/fuzz_hlog.c - any bytes as a log of histograms. The first byte chooses: 'b' the plain encoding of one
 * histogram, 'p' the text of a payload, 'h' values to be recorded, anything else a whole file.
 * Invariants: nothing outside the input is read; a refusal has a text and leaves an empty histogram; what was decoded
 * encodes to a histogram that decodes to the same, with and without compression and through a file; a recorded
 * histogram comes back with the same counts; reading ends, whatever the file says. The buckets of any layout ascend
 * without overlap up to 2^63-1 and add up to what was decoded.
 * sources: runtime/metrics/hlog.c runtime/metrics/hlog_codec.c runtime/metrics/histogram.c
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include <shunt/error.h>

#include "metrics/hlog.h"

#define PATH_MAX_TEXT 64

static struct shunt_hist one, two;
static struct sh_hlog_bytes unpacked;

static void check_hist(const struct shunt_hist *h)
{
	uint64_t n = 0;

	for (size_t i = 0; i < SH_HIST_BUCKETS; i++)
		n += h->counts[i];
	REQUIRE(n == h->count && n <= (uint64_t)INT64_MAX);
	REQUIRE(n == 0 || h->min <= h->max);
	REQUIRE(h->saturated <= h->counts[SH_HIST_TOP]);
}

static void check_refusal(int rc, const char *why, const struct shunt_hist *h)
{
	REQUIRE(rc == SHUNT_EINVAL || rc == SHUNT_ENOSYS);
	REQUIRE(why && why[0]);
	REQUIRE(shunt_hist_count(h) == 0);
}

static void check_same(const struct shunt_hist *a, const struct shunt_hist *b)
{
	check_hist(b);
	REQUIRE(a->count == b->count && memcmp(a->counts, b->counts, sizeof(a->counts)) == 0);
}

/* The buckets at the writer's precision: each behind the one before, together the count of h, its extremes within. */
static void check_walk(const uint8_t *plain, size_t len, const struct shunt_hist *h)
{
	struct shunt_hist_bucket cell;
	struct sh_hlog_walk w;
	const char *why = NULL;
	uint64_t next = 0;
	uint64_t n = 0;
	int rc;

	REQUIRE(sh_hlog_walk_begin(&w, plain, len, &why) == SHUNT_OK);
	while ((rc = sh_hlog_walk_next(&w, &cell, &why)) == 1) {
		REQUIRE(cell.lowest_ns >= next && cell.highest_ns >= cell.lowest_ns);
		REQUIRE(cell.highest_ns <= (uint64_t)INT64_MAX && cell.count > 0);
		next = cell.highest_ns + 1;
		n += cell.count;
	}
	REQUIRE(rc == 0 && n == h->count);
	REQUIRE(n == 0 || h->saturated || h->max < 2 * next + 256);
}

/* The encoding of h, decoded; and the same through compression and base64. */
static void check_codec(const struct shunt_hist *h)
{
	static uint8_t plain[SH_HLOG_PLAIN_MAX];
	static char text[(SH_HLOG_PACKED_MAX + 2u) / 3u * 4u + 1u];
	const char *why = NULL;
	uint8_t *exact;
	size_t len = 0;

	REQUIRE(sh_hlog_encode(h, plain, &len) == SHUNT_OK && len <= sizeof(plain));
	exact = fuzz_bytes(plain, len);
	REQUIRE(sh_hlog_decode(exact, len, &two, &why) == SHUNT_OK);
	check_walk(exact, len, &two);
	free(exact);
	check_same(h, &two);
	REQUIRE(sh_hlog_pack(h, text) == SHUNT_OK && strlen(text) < sizeof(text));
	REQUIRE(sh_hlog_unpack(text, strlen(text), &unpacked, &why) == SHUNT_OK);
	REQUIRE(sh_hlog_decode(unpacked.p, unpacked.len, &two, &why) == SHUNT_OK);
	check_same(h, &two);
}

static void fuzz_plain(const uint8_t *data, size_t size)
{
	uint8_t *exact = fuzz_bytes(data, size);
	const char *why = NULL;
	int rc = sh_hlog_decode(exact, size, &one, &why);

	if (rc == SHUNT_OK) {
		check_hist(&one);
		check_walk(exact, size, &one);
		check_codec(&one);
	} else {
		check_refusal(rc, why, &one);
	}
	free(exact);
}

static void fuzz_payload(const uint8_t *data, size_t size)
{
	char *exact = (char *)fuzz_bytes(data, size);
	uint8_t *bytes = malloc(size + 1);
	char *again = malloc(sh_hlog_base64_size(size) + 1);
	const char *why = NULL;
	size_t len = 0;
	int rc = sh_hlog_unpack(exact, size, &unpacked, &why);

	REQUIRE(bytes && again);
	shunt_hist_reset(&one);
	if (rc == SHUNT_OK)
		rc = sh_hlog_decode(unpacked.p, unpacked.len, &one, &why);
	if (rc == SHUNT_OK) {
		check_hist(&one);
		check_walk(unpacked.p, unpacked.len, &one);
		check_codec(&one);
	} else {
		check_refusal(rc, why, &one);
	}
	/* base64 alone, both ways. */
	if (sh_hlog_base64_decode(exact, size, bytes, size, &len) == SHUNT_OK) {
		REQUIRE(len <= size / 4 * 3 && sh_hlog_base64_size(len) == size);
		REQUIRE(len == 0 || sh_hlog_base64_decode(exact, size, bytes, len - 1, &len) == SHUNT_EINVAL);
	}
	sh_hlog_base64_encode(data, size, again);
	if (size > 0) {
		REQUIRE(sh_hlog_base64_decode(again, sh_hlog_base64_size(size), bytes, size, &len) == SHUNT_OK);
		REQUIRE(len == size && memcmp(bytes, data, size) == 0);
	}
	free(again);
	free(bytes);
	free(exact);
}

/* Pairs of a value and a count, nine bytes together, recorded; every value also as one encoded count. */
static void fuzz_values(const uint8_t *data, size_t size)
{
	shunt_hist_reset(&one);
	for (size_t at = 0; at + 9 <= size; at += 9) {
		uint8_t buf[SH_HLOG_COUNT_MAX];
		int64_t count = 0;
		uint64_t v;
		size_t len;

		(void)memcpy(&v, data + at, sizeof(v));
		len = (size_t)(sh_hlog_put_count(buf, (int64_t)v) - buf);
		REQUIRE(len >= 1 && len <= sizeof(buf));
		REQUIRE(sh_hlog_get_count(buf, buf + len, &count) == buf + len && count == (int64_t)v);
		REQUIRE(sh_hlog_get_count(buf, buf + len - 1, &count) == NULL);
		(void)shunt_hist_record_n(&one, v, UINT64_C(1) << data[at + 8] % 64u);
	}
	check_hist(&one);
	check_codec(&one);
}

static int file_of(const void *data, size_t size, char path[PATH_MAX_TEXT])
{
	int fd = memfd_create("hlog", MFD_CLOEXEC);

	REQUIRE(fd >= 0 && (size == 0 || write(fd, data, size) == (ssize_t)size));
	(void)snprintf(path, PATH_MAX_TEXT, "/proc/self/fd/%d", fd);
	return fd;
}

/* What was read, written and read again: times to the millisecond, the tag, the counts. */
static void check_entry(const struct shunt_hlog_entry *e)
{
	char path[PATH_MAX_TEXT];
	int fd = file_of(NULL, 0, path);
	struct shunt_hlog_reader *r = NULL;
	struct shunt_hlog *log = NULL;
	struct shunt_hlog_entry again;

	REQUIRE(shunt_hlog_open(path, &log) == SHUNT_OK);
	REQUIRE(shunt_hlog_write(log, e->tag, e->start_ns, e->end_ns, &one) == SHUNT_OK);
	REQUIRE(shunt_hlog_close(log) == SHUNT_OK);
	REQUIRE(shunt_hlog_reader_open(path, &r) == SHUNT_OK);
	REQUIRE(shunt_hlog_read_next(r, &again, &two) == 1);
	REQUIRE(strcmp(again.tag, e->tag) == 0);
	REQUIRE(again.start_ns / 1000000u == e->start_ns / 1000000u && again.end_ns / 1000000u == e->end_ns / 1000000u);
	check_same(&one, &two);
	REQUIRE(shunt_hlog_read_next(r, &again, &two) == 0);
	shunt_hlog_reader_close(r);
	(void)close(fd);
}

/* What the reader gives at the writer's precision adds up to what it counted. */
static void check_buckets(struct shunt_hlog_reader *r)
{
	struct shunt_hist_bucket b;
	uint64_t n = 0;

	while (sh_hlog_next_bucket(r, &b))
		n += b.count;
	REQUIRE(n == one.count);
}

static void fuzz_file(const uint8_t *data, size_t size)
{
	char path[PATH_MAX_TEXT];
	int fd = file_of(data, size, path);
	struct shunt_hlog_reader *r = NULL;
	struct shunt_hlog_entry e;
	uint64_t line = 0;
	size_t checked = 0;
	int rc;

	REQUIRE(shunt_hlog_reader_open(path, &r) == SHUNT_OK);
	for (;;) {
		rc = shunt_hlog_read_next(r, &e, &one);
		if (rc == 0)
			break;
		REQUIRE(e.line > line && e.line <= size);
		line = e.line;
		REQUIRE((rc < 0) == (shunt_error_detail()[0] != '\0'));
		if (rc == SHUNT_EIO) { /* no text: nothing after it is read */
			REQUIRE(memchr(data, 0, size) != NULL);
			shunt_hlog_reader_close(r);
			(void)close(fd);
			return;
		}
		if (rc < 0) {
			REQUIRE(rc == SHUNT_ELIMIT || rc == SHUNT_EINVAL || rc == SHUNT_ENOSYS);
			REQUIRE(shunt_hist_count(&one) == 0);
			continue;
		}
		check_hist(&one);
		check_buckets(r);
		REQUIRE(strlen(e.tag) <= SHUNT_HLOG_TAG_MAX && e.start_ns <= e.end_ns);
		if (checked++ < 2)
			check_entry(&e);
	}
	REQUIRE(shunt_error_detail()[0] == '\0');
	shunt_hlog_reader_close(r);
	(void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		fuzz_file(data, 0);
	else if (data[0] == 'b')
		fuzz_plain(data + 1, size - 1);
	else if (data[0] == 'p')
		fuzz_payload(data + 1, size - 1);
	else if (data[0] == 'h')
		fuzz_values(data + 1, size - 1);
	else
		fuzz_file(data, size);
	return 0;
}
