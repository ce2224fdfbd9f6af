/*
 * metrics/hlog.h - HdrHistogram interval logs, format 1.3: the file behind shunt_hlog_* of
 * shunt/hist.h. Called by users and by the exporter of the runtime, never on the path of a job. The
 * only user of zlib in the library.
 *
 * A line is `[Tag=T,]start,length,max,payload`: seconds with three decimals, the largest value in
 * milliseconds, and base64 of {cookie, length, zlib stream of the V2 encoding}. Start times are
 * absolute, so no BaseTime line is written. The reader applies the BaseTime of other writers, takes V0 and V1 too, any
 * precision, and blanks after a comma and behind the payload. What the column of the maximum says is not read: its
 * unit is the writer's choice, and the payload knows better.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_METRICS_HLOG_H
#define SH_METRICS_HLOG_H

#include "metrics/hlog_codec.h"

#define SH_HLOG_FRAME 8u /* bytes before the zlib stream */
/* zlib's bound is n + n/4096 + n/16384 + 13. */
#define SH_HLOG_PACKED_MAX (SH_HLOG_FRAME + SH_HLOG_PLAIN_MAX + SH_HLOG_PLAIN_MAX / 1024u + 64u)
/* Bytes of a log that is read. */
#define SH_HLOG_BYTES_MAX (UINT64_C(4) << 30)
/* Longest line read: the largest histogram of the reference, uncompressible, and what stands before it. */
#define SH_HLOG_LINE_MAX ((SH_HLOG_ANY_PLAIN_MAX / 3u + 1u) * 4u + (UINT32_C(1) << 20))

/* A buffer that grows. All zero is an empty one; sh_heap_free(p) frees. */
struct sh_hlog_bytes {
	uint8_t *p; /* sync: owner */
	size_t len; /* sync: owner */
	size_t cap; /* sync: owner */
};

/* Payload text of h, zero-terminated: sh_hlog_base64_size(SH_HLOG_PACKED_MAX) + 1 bytes. */
int sh_hlog_pack(const struct shunt_hist *h, char *out) SH_MUST_USE;
/*
 * Reverse, from n characters: the plain encoding into *plain. SHUNT_EINVAL, SHUNT_ENOSYS, SHUNT_ENOMEM: *why is a fixed
 * text. What is inside is not looked at: sh_hlog_decode, sh_hlog_walk_begin.
 */
int sh_hlog_unpack(const char *text, size_t n, struct sh_hlog_bytes *plain, const char **why) SH_MUST_USE;

/*
 * The non-empty buckets, ascending and at the writer's own precision, of the histogram that shunt_hlog_read_next read
 * last: 1, or 0 at the end, or after a read that failed. They add up to what it counted.
 */
int sh_hlog_next_bucket(struct shunt_hlog_reader *r, struct shunt_hist_bucket *bucket);

#endif
