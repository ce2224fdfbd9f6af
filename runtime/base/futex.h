/*
 * base/futex.h - wait and wake on a 32-bit word, private to the process. Called by parking, waiting and
 * blocking submitters. A wait may return early for any reason; callers re-read the word.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_BASE_FUTEX_H
#define SH_BASE_FUTEX_H

#include "base/atomic.h"
#include "base/compiler.h"

#define SH_FOREVER UINT64_MAX

/* Sleeps while *word == expected, at most timeout_ns (SH_FOREVER = no limit). Returns 0, or SHUNT_ETIMEDOUT. */
int sh_futex_wait(sh_a32 *word, uint32_t expected, uint64_t timeout_ns);
/* Wakes up to n sleepers; returns how many. The address may be gone afterwards: only its value is used. */
int sh_futex_wake(sh_a32 *word, int n);

#endif
