/*
 * base/compiler.h - compiler and cpu helpers: branch hints, alignment, prefetch, pause, bits.
 * Called by every module; includes no other header of the project.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_BASE_COMPILER_H
#define SH_BASE_COMPILER_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

__extension__ typedef unsigned __int128 sh_u128;

#define SH_CACHELINE 64u

#define sh_likely(x) __builtin_expect(!!(x), 1)
#define sh_unlikely(x) __builtin_expect(!!(x), 0)
#define SH_NOINLINE __attribute__((noinline))
#define SH_ALWAYS_INLINE inline __attribute__((always_inline))
#define SH_COLD __attribute__((cold, noinline))
#define SH_ALIGNED(n) __attribute__((aligned(n)))
#define SH_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define SH_MUST_USE __attribute__((warn_unused_result))
#define SH_UNUSED __attribute__((unused))
/*
 * `fn` is called with the address of the variable when its scope is left: also by a thread that ends inside
 * (pthread_exit, cancellation) and by an exception that passes. The library is built with -fexceptions for this.
 */
#define SH_CLEANUP(fn) __attribute__((cleanup(fn)))

#define SH_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Hints to the core that this thread spins, which frees the sibling hyperthread. */
static inline void sh_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("isb" ::: "memory");
#endif
}

static inline void sh_prefetch_read(const void *p)
{
	__builtin_prefetch(p, 0, 3);
}

/* Prefetches the line for writing. On baseline x86-64 the builtin prefetches for reading. */
static inline void sh_prefetch_write(const void *p)
{
#if defined(__x86_64__)
	__asm__ __volatile__("prefetchw %0" : : "m"(*(const char *)p));
#else
	__builtin_prefetch(p, 1, 3);
#endif
}

static inline unsigned sh_ctz64(uint64_t v)
{
	assert(v != 0);
	return (unsigned)__builtin_ctzll(v);
}

static inline unsigned sh_log2_u64(uint64_t v)
{
	assert(v != 0);
	return 63u - (unsigned)__builtin_clzll(v);
}

static inline bool sh_is_pow2(uint64_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

/* Smallest power of two >= v; v must be in 1..2^63. */
static inline uint64_t sh_pow2_ceil(uint64_t v)
{
	assert(v != 0 && v <= (UINT64_C(1) << 63));
	return v == 1 ? 1 : UINT64_C(1) << (64u - (unsigned)__builtin_clzll(v - 1));
}

#endif
