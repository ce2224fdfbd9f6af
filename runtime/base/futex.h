/*
 * base/futex.h - wait and wake on a 32-bit word, private to the process. Called by parking workers,
 * waiters and blocked submitters. A wait may return early for any reason; callers read the word
 * again.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_BASE_FUTEX_H
#define SH_BASE_FUTEX_H

#include "base/atomic.h"
#include "base/compiler.h"

#define SH_FOREVER UINT64_MAX

/* Sleeps while *word == expected, at most timeout_ns (or SH_FOREVER). 0 or SHUNT_ETIMEDOUT. */
int sh_futex_wait(sh_a32 *word, uint32_t expected, uint64_t timeout_ns);
/* Wakes up to n sleepers; returns how many. Does not read *word: it may be freed meanwhile. */
int sh_futex_wake(sh_a32 *word, int n);

/* The low half of a 64-bit word, as a futex word. */
static inline sh_a32 *sh_futex_low(sh_a64 *word)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (sh_a32 *)(void *)word;
#else
	return (sh_a32 *)(void *)word + 1;
#endif
}

#endif
