/* bench/micro_shim.h - the internals that the micro benches time, behind plain functions. SPDX-License-Identifier: MIT */
#ifndef BENCH_MICRO_SHIM_H
#define BENCH_MICRO_SHIM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct shim;

/* Queues, slab and histogram of their own, no threads. NULL when out of memory. */
struct shim *shim_create(void);
void shim_destroy(struct shim *s);
uint64_t shim_clock(void);
uint64_t shim_clock_monotonic(void);
uint64_t shim_fetch_add(struct shim *s);
void shim_slab_pair(struct shim *s);          /* take a job record and give it back */
int shim_ring_push(struct shim *s, uint64_t arg); /* an item with this argument */
int shim_ring_pop(struct shim *s, uint64_t *arg);
int shim_ring_peek(struct shim *s);
int shim_deque_push(struct shim *s, uint64_t arg);
int shim_deque_pop(struct shim *s, uint64_t *arg);
void shim_hist_record(struct shim *s, uint64_t v);
int shim_select(struct shim *s, int strategy, uint32_t workers); /* one choice over made-up loads */

#ifdef __cplusplus
}
#endif
#endif
