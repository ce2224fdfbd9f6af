/*
 * bench/own/levels_shim.h - the documented bound on a level's wait, which is no public call. Called by levels.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_OWN_LEVELS_SHIM_H
#define BENCH_OWN_LEVELS_SHIM_H

#include <stdint.h>

/*
 * Picks of a worker within which the k-th waiting job of `level` is taken, in a pool with the default (strict) mode and
 * guard: docs/CONCURRENCY.md, "The bound on every level's wait".
 */
uint64_t own_levels_bound(uint32_t levels, uint32_t level, uint64_t k);

#endif
