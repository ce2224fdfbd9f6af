/*
 * shunt/hist/log_shim.h - what `shunt hist` needs of a log beyond the public reader: the buckets at the precision of
 * the program that wrote them, and the rank of a percentile. Called by hist/cells.c and cmd_hist.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_HIST_LOG_SHIM_H
#define SHUNT_HIST_LOG_SHIM_H

#include <stdint.h>

#include <shunt/hist.h>

/* The buckets of the histogram that shunt_hlog_read_next read last, ascending: 1, or 0 at the end. */
int hist_log_bucket(struct shunt_hlog_reader *r, struct shunt_hist_bucket *bucket);
/* How many of count > 0 values a percentile takes in, 1..count. */
uint64_t hist_log_rank(uint64_t count, double percentile);

#endif
