/*
 * metrics/hlog.h - HdrHistogram interval logs, format 1.3: the file behind shunt_hlog_* of
 * shunt/hist.h. Called by users and by the exporter of the runtime, never on the path of a job. The
 * only user of zlib in the library.
 *
 * A line is `[Tag=T,]start,length,max,payload`: seconds with three decimals, the largest value in
 * milliseconds, and base64 of {cookie, length, zlib stream of the V2 encoding}. Start times are
 * absolute, so no BaseTime line is written. The reader applies the BaseTime of other writers.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_METRICS_HLOG_H
#define SH_METRICS_HLOG_H

#include "metrics/hlog_codec.h"

#define SH_HLOG_FRAME 8u /* bytes before the zlib stream */
/* zlib's bound is n + n/4096 + n/16384 + 13. */
#define SH_HLOG_PACKED_MAX (SH_HLOG_FRAME + SH_HLOG_PLAIN_MAX + SH_HLOG_PLAIN_MAX / 1024u + 64u)
#define SH_HLOG_LINE_MAX 131072u /* longest line read, with its newline and a zero */

/* Payload text of h, zero-terminated: sh_hlog_base64_size(SH_HLOG_PACKED_MAX) + 1 bytes. */
int sh_hlog_pack(const struct shunt_hist *h, char *out) SH_MUST_USE;
/* Reverse, from n characters. SHUNT_EINVAL, SHUNT_ENOSYS, SHUNT_ENOMEM: *why is a fixed text. */
int sh_hlog_unpack(const char *text, size_t n, struct shunt_hist *h, const char **why) SH_MUST_USE;

#endif
