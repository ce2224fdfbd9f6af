/*
 * shunt/common/report.h - a snapshot of the runtime as tables and as JSON. Called by the reports of
 * `shunt run` and `shunt load`, which add their own figures.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_REPORT_H
#define SHUNT_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <shunt/snapshot.h>

/* Percentiles of queue delay, run time and total of each type and level. */
void report_series(const struct shunt_snapshot *s, FILE *f);
/* One row per worker; utilisation is busy time of elapsed_ns. Omits spares that never ran. */
void report_workers(const struct shunt_snapshot *s, uint64_t elapsed_ns, FILE *f);
/* One line per pool, and the cpu budget. */
void report_pools(const struct shunt_snapshot *s, FILE *f);
/* Count, mean and percentiles of one histogram: {"count", "mean_ns", "p50_ns", ..., "max_ns"}. */
json_t *report_hist_json(const struct shunt_hist *h);
/* Sets "series", "workers", "pools" and "budget" in root. */
void report_snapshot_json(const struct shunt_snapshot *s, uint64_t elapsed_ns, json_t *root, bool *bad);

#endif
