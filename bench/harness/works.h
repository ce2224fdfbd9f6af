/*
 * bench/harness/works.h - the works that every subject does: their table (main.c), the three kinds of them, and the
 * frame in which each runs: subject opened, the producer registered and pinned, everything counted once the subject
 * is closed.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_WORKS_H
#define BENCH_WORKS_H

#include "harness.h"

/* Opens the subject, calls body in the first producer's thread, closes. 0 only if all that was submitted ran once. */
int bench_over_subject(struct bench_run *r, int (*body)(struct bench_run *r));
/* Spins until the clock is due; the clock then. */
uint64_t bench_spin_until(uint64_t due);

int bench_latency(struct bench_run *r);    /* B1, B1a, B1b, B1b-periodic, B1c: work_latency.c */
int bench_throughput(struct bench_run *r); /* B2, B2-batch16, B3: work_throughput.c */
int bench_tree(struct bench_run *r);       /* B4: work_throughput.c */
int bench_open_loop(struct bench_run *r);  /* B5: work_open.c */

#endif
