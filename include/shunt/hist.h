/*
 * shunt/hist.h - latency histograms (HdrHistogram layout) and HdrHistogram interval logs.
 *
 * A histogram counts uint64 nanoseconds with two significant digits: any value it reports differs from the
 * recorded one by less than 1 %, from 1 ns to one hour, in 36 KiB. Larger values are counted as one hour and
 * also as `saturated`. Bucket borders, percentiles and log lines are those of the HdrHistogram project
 * (Gil Tene; interval log format 1.3, V2 compressed payload), so its own tools read what is written here. Logs of other
 * programs are read whatever their range and precision (payloads V0, V1, V2 of whole numbers).
 *
 * Common to all calls: since 0.1. A histogram or log belongs to one thread at a time; different ones are
 * independent; calls that only read may run together. No histogram call blocks; create may block in the
 * allocator; log calls block on their file. All are bounded by the number of buckets (about 4600). Detail: a failed
 * log call (shunt_hlog_*) leaves its text for shunt_error_detail().
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_HIST_H
#define SHUNT_HIST_H

#include <stddef.h>
#include <stdint.h>

#include <shunt/visibility.h>

/* Largest value kept, nanoseconds: one hour. */
#define SHUNT_HIST_HIGHEST_NS UINT64_C(3600000000000)
/* Longest series name in a log, bytes without the terminating zero. */
#define SHUNT_HLOG_TAG_MAX 127

struct shunt_hist;
struct shunt_hlog;
struct shunt_hlog_reader;

/* One non-empty bucket: `count` values in lowest_ns..highest_ns, both included. */
struct shunt_hist_bucket {
	uint64_t lowest_ns;
	uint64_t highest_ns;
	uint64_t count;
};

/* What belongs to one line of a log. Times are wall-clock nanoseconds since 1970; logs keep milliseconds. */
struct shunt_hlog_entry {
	uint64_t start_ns;
	uint64_t end_ns;
	uint64_t line;                    /* line number in the file, from 1; also set when the call fails */
	char tag[SHUNT_HLOG_TAG_MAX + 1]; /* "" for lines without a tag */
};

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Makes an empty histogram; *out is the caller's and goes back with shunt_hist_destroy.
 * Errors: SHUNT_EINVAL (out is NULL), SHUNT_ENOMEM (*out is NULL then).
 */
SHUNT_MUST_USE SHUNT_API int shunt_hist_create(struct shunt_hist **out);
/* Frees it; NULL is allowed. */
SHUNT_API void shunt_hist_destroy(struct shunt_hist *h);
/* Forgets everything recorded. */
SHUNT_API void shunt_hist_reset(struct shunt_hist *h);
/* Makes dst equal to src. */
SHUNT_API void shunt_hist_copy(struct shunt_hist *dst, const struct shunt_hist *src);

/*
 * Counts one value, 0..2^64-1 ns; above SHUNT_HIST_HIGHEST_NS it counts as that, and as saturated.
 * Dropped once the total is 2^63-1.
 */
SHUNT_API void shunt_hist_record(struct shunt_hist *h, uint64_t value_ns);
/* Counts a value n times. Errors: SHUNT_ELIMIT (the total would exceed 2^63-1; nothing is recorded). */
SHUNT_MUST_USE SHUNT_API int shunt_hist_record_n(struct shunt_hist *h, uint64_t value_ns, uint64_t n);

/* Number of values recorded. */
SHUNT_API uint64_t shunt_hist_count(const struct shunt_hist *h);
/* Values above SHUNT_HIST_HIGHEST_NS among them; logs of shunt do not keep this number. */
SHUNT_API uint64_t shunt_hist_saturated(const struct shunt_hist *h);
/*
 * Smallest and largest value, ns; 0 when empty. Exact where values were recorded or added; after a
 * subtraction or out of a log they are exact to the bucket (lower border for min, upper border for max).
 */
SHUNT_API uint64_t shunt_hist_min(const struct shunt_hist *h);
SHUNT_API uint64_t shunt_hist_max(const struct shunt_hist *h);
/*
 * Arithmetic mean, ns; 0 when empty. From the exact sum where it is known (see min and max), else from the
 * middles of the buckets as HdrHistogram does (within 0.4 %).
 */
SHUNT_API double shunt_hist_mean(const struct shunt_hist *h);
/* Standard deviation of all recorded values (not of a sample), ns, from the middles of the buckets; 0 when empty. */
SHUNT_API double shunt_hist_stddev(const struct shunt_hist *h);

/*
 * Smallest bucket border b such that `percentile` per cent of the values are <= b: the highest value
 * equivalent to the one found (for percentile 0 the lowest), as HdrHistogram defines it. The percentile is
 * held to 0..100; not-a-number counts as 0. 0 when empty.
 */
SHUNT_API uint64_t shunt_hist_value_at_percentile(const struct shunt_hist *h, double percentile);
/* The same for n percentiles; one pass when they ascend. `out` has room for n values. */
SHUNT_API void shunt_hist_percentiles(const struct shunt_hist *h, const double *percentile, uint64_t *out, size_t n);
/* Borders of the bucket a value falls into, ns; values above the range count as SHUNT_HIST_HIGHEST_NS. */
SHUNT_API uint64_t shunt_hist_lowest_equivalent(uint64_t value_ns);
SHUNT_API uint64_t shunt_hist_highest_equivalent(uint64_t value_ns);

/* Adds every count of `from`. Errors: SHUNT_ELIMIT (the total would exceed 2^63-1; h is unchanged). */
SHUNT_MUST_USE SHUNT_API int shunt_hist_add(struct shunt_hist *h, const struct shunt_hist *from);
/*
 * Turns h (the newer snapshot of a growing histogram) into what came after `older`.
 * Errors: SHUNT_EINVAL (some count of older is larger, so it is not an earlier snapshot; h is unchanged).
 */
SHUNT_MUST_USE SHUNT_API int shunt_hist_subtract(struct shunt_hist *h, const struct shunt_hist *older);
/*
 * Walks the non-empty buckets in ascending order: set *cursor to 0, call until it returns 0.
 * Returns 1 and fills *bucket, or 0 at the end. The histogram must not change meanwhile.
 */
SHUNT_API int shunt_hist_next(const struct shunt_hist *h, size_t *cursor, struct shunt_hist_bucket *bucket);

/*
 * Creates (or empties) the file `path` for an interval log; *out goes back with shunt_hlog_close.
 * Errors: SHUNT_EINVAL (NULL), SHUNT_ENOMEM, SHUNT_EIO (the file cannot be opened; errno says why).
 */
SHUNT_MUST_USE SHUNT_API int shunt_hlog_open(const char *path, struct shunt_hlog **out);
/*
 * Appends one line: what series `tag` (NULL or "" for none) recorded from start to end, and hands it to the
 * system. The first call writes the header, with its start time as that of the log. Nothing is borrowed.
 * Errors: SHUNT_EINVAL (end before start; tag longer than SHUNT_HLOG_TAG_MAX or with a comma, space or control
 * character), SHUNT_ELIMIT (more than 2^63-1 values), SHUNT_ENOMEM, SHUNT_EIO (the line may be cut short).
 */
SHUNT_MUST_USE SHUNT_API int shunt_hlog_write(struct shunt_hlog *log, const char *tag, uint64_t start_ns_wall,
					      uint64_t end_ns_wall, const struct shunt_hist *h);
/* Ends the log and frees it; NULL is allowed. Errors: SHUNT_EIO (something may not have been written). */
SHUNT_MUST_USE SHUNT_API int shunt_hlog_close(struct shunt_hlog *log);

/*
 * Opens a log for reading, a regular file of at most 4 GiB or a pipe; *out goes back with shunt_hlog_reader_close.
 * Errors: as shunt_hlog_open; a device or a longer file is SHUNT_EIO.
 */
SHUNT_MUST_USE SHUNT_API int shunt_hlog_reader_open(const char *path, struct shunt_hlog_reader **out);
/*
 * Reads the next histogram into *entry and h (whose old content is replaced). Returns 1, or 0 at the end. A bucket of
 * another layout counts as its middle: exact to the bucket where the writer's are finer, else to half a bucket of the
 * writer. Above SHUNT_HIST_HIGHEST_NS it also counts as saturated. Values are taken as nanoseconds; the column of the
 * maximum is not read. The reader's memory grows with the longest line.
 * Errors, after which entry->line and the detail tell more and reading may go on with the next line:
 * SHUNT_EINVAL (damaged line), SHUNT_ENOSYS (not a compressed V0, V1 or V2 histogram of whole numbers),
 * SHUNT_ELIMIT (line longer than 71 MiB, which no histogram needs), SHUNT_ENOMEM, SHUNT_EIO (the file cannot be read;
 * stop).
 */
SHUNT_MUST_USE SHUNT_API int shunt_hlog_read_next(struct shunt_hlog_reader *r, struct shunt_hlog_entry *entry,
						  struct shunt_hist *h);
/* Closes and frees; NULL is allowed. */
SHUNT_API void shunt_hlog_reader_close(struct shunt_hlog_reader *r);

#ifdef __cplusplus
}
#endif
#endif
