/*
 * machine/wake_cost.h - the cost of a wake-up on this machine, measured once per process at the
 * first pool. It decides how long an adaptive worker spins before it parks. Called by pool
 * creation.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CORE_CALIBRATE_H
#define SH_CORE_CALIBRATE_H

#include "base/compiler.h"

/*
 * Nanoseconds from a futex wake until the woken thread runs: median of 21 rounds, 1 us .. 200 us;
 * 50 us if no thread could be started. Blocks about 2 ms the first time.
 */
uint64_t sh_calibrate_wake_ns(void);

#endif
