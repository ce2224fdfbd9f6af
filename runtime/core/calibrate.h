/*
 * core/calibrate.h - what a wake-up costs on this machine, measured once per process at the first pool; decides how long
 * an adaptive worker spins before it sleeps. Called by pool creation.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CORE_CALIBRATE_H
#define SH_CORE_CALIBRATE_H

#include "base/compiler.h"

/*
 * Nanoseconds from a futex wake to the woken thread running: median of a few rounds, 1 us .. 200 us; 50 us if no
 * thread could be started. Blocks about 2 ms the first time.
 */
uint64_t sh_calibrate_wake_ns(void);

#endif
