/*
 * base/atomic.h - the only file that uses C11 atomics. The memory order is part of each name (_rlx,
 * _acq, _rel, _acq_rel, _sc). There is no default order and no stand-alone fence, because race
 * detectors see only ordered operations. Every ordered use has a "mo" label that names its partner;
 * tools/lint checks the pairs.
 *
 * The types are structs, so a plain access to an atomic does not compile. A test tool may replace
 * this header by one with the same names (SH_ATOMIC_H selects it) to explore interleavings.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_BASE_ATOMIC_H
#define SH_BASE_ATOMIC_H

#ifdef SH_ATOMIC_H
#include SH_ATOMIC_H
#else

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct { _Atomic uint32_t v; } sh_a32;
typedef struct { _Atomic uint64_t v; } sh_a64;
typedef struct { void *_Atomic v; } sh_aptr;

#define SH_ATOMIC_OPS(T, A, P) \
	static inline void P##_init(A *a, T x) { atomic_init(&a->v, x); } \
	static inline T P##_load_rlx(const A *a) { return atomic_load_explicit(&((A *)(uintptr_t)a)->v, memory_order_relaxed); } \
	static inline T P##_load_acq(const A *a) { return atomic_load_explicit(&((A *)(uintptr_t)a)->v, memory_order_acquire); } \
	static inline T P##_load_sc(const A *a) { return atomic_load_explicit(&((A *)(uintptr_t)a)->v, memory_order_seq_cst); } \
	static inline void P##_store_rlx(A *a, T x) { atomic_store_explicit(&a->v, x, memory_order_relaxed); } \
	static inline void P##_store_rel(A *a, T x) { atomic_store_explicit(&a->v, x, memory_order_release); } \
	static inline void P##_store_sc(A *a, T x) { atomic_store_explicit(&a->v, x, memory_order_seq_cst); } \
	static inline T P##_xchg_rlx(A *a, T x) { return atomic_exchange_explicit(&a->v, x, memory_order_relaxed); } \
	static inline T P##_xchg_acq(A *a, T x) { return atomic_exchange_explicit(&a->v, x, memory_order_acquire); } \
	static inline T P##_xchg_acq_rel(A *a, T x) { return atomic_exchange_explicit(&a->v, x, memory_order_acq_rel); } \
	static inline T P##_xchg_sc(A *a, T x) { return atomic_exchange_explicit(&a->v, x, memory_order_seq_cst); } \
	static inline bool P##_cas_rlx(A *a, T *e, T x) { return atomic_compare_exchange_strong_explicit(&a->v, e, x, memory_order_relaxed, memory_order_relaxed); } \
	static inline bool P##_cas_acq(A *a, T *e, T x) { return atomic_compare_exchange_strong_explicit(&a->v, e, x, memory_order_acquire, memory_order_relaxed); } \
	static inline bool P##_cas_rel(A *a, T *e, T x) { return atomic_compare_exchange_strong_explicit(&a->v, e, x, memory_order_release, memory_order_relaxed); } \
	static inline bool P##_cas_acq_rel(A *a, T *e, T x) { return atomic_compare_exchange_strong_explicit(&a->v, e, x, memory_order_acq_rel, memory_order_relaxed); } \
	static inline bool P##_cas_acq_rel_acq(A *a, T *e, T x) { return atomic_compare_exchange_strong_explicit(&a->v, e, x, memory_order_acq_rel, memory_order_acquire); } \
	static inline bool P##_cas_sc(A *a, T *e, T x) { return atomic_compare_exchange_strong_explicit(&a->v, e, x, memory_order_seq_cst, memory_order_relaxed); }

#define SH_ATOMIC_INT_OPS(T, A, P) \
	static inline T P##_add_rlx(A *a, T x) { return atomic_fetch_add_explicit(&a->v, x, memory_order_relaxed); } \
	static inline T P##_add_acq_rel(A *a, T x) { return atomic_fetch_add_explicit(&a->v, x, memory_order_acq_rel); } \
	static inline T P##_add_sc(A *a, T x) { return atomic_fetch_add_explicit(&a->v, x, memory_order_seq_cst); } \
	static inline T P##_sub_rlx(A *a, T x) { return atomic_fetch_sub_explicit(&a->v, x, memory_order_relaxed); } \
	static inline T P##_sub_acq_rel(A *a, T x) { return atomic_fetch_sub_explicit(&a->v, x, memory_order_acq_rel); } \
	static inline T P##_sub_sc(A *a, T x) { return atomic_fetch_sub_explicit(&a->v, x, memory_order_seq_cst); } \
	static inline T P##_or_rlx(A *a, T x) { return atomic_fetch_or_explicit(&a->v, x, memory_order_relaxed); } \
	static inline T P##_or_sc(A *a, T x) { return atomic_fetch_or_explicit(&a->v, x, memory_order_seq_cst); } \
	static inline T P##_and_sc(A *a, T x) { return atomic_fetch_and_explicit(&a->v, x, memory_order_seq_cst); } \
	static inline T P##_or_acq_rel(A *a, T x) { return atomic_fetch_or_explicit(&a->v, x, memory_order_acq_rel); } \
	static inline T P##_and_acq_rel(A *a, T x) { return atomic_fetch_and_explicit(&a->v, x, memory_order_acq_rel); }

SH_ATOMIC_OPS(uint32_t, sh_a32, sh_a32)
SH_ATOMIC_INT_OPS(uint32_t, sh_a32, sh_a32)
SH_ATOMIC_OPS(uint64_t, sh_a64, sh_a64)
SH_ATOMIC_INT_OPS(uint64_t, sh_a64, sh_a64)
SH_ATOMIC_OPS(void *, sh_aptr, sh_aptr)

/*
 * Two words that change together: after sh_a64_init of each, only sh_a128_cas_sc writes them. Each is read alone, by
 * the loads of sh_a64. A reader acquires through `lo`: ThreadSanitizer keeps what a 16-byte operation releases at its
 * first word.
 */
typedef struct {
	_Alignas(16) sh_a64 lo;
	sh_a64 hi;
} sh_a128;

#if !defined(__GCC_HAVE_SYNC_COMPARE_AND_SWAP_16) && !(defined(__aarch64__) && defined(__LP64__))
#error "libshunt needs a 16-byte compare-and-swap: x86-64 compiled with -mcx16, or 64-bit aarch64"
#elif __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "libshunt needs a little-endian machine: the first word of a pair is the low half of its 16 bytes"
#endif
__extension__ typedef unsigned __int128 __attribute__((may_alias)) sh_u128;

/*
 * Makes the pair (lo, hi) the pair (new_lo, new_hi), seq_cst, and returns true. Returns false if the pair is another
 * one: relaxed, and the caller loads both words again. A C11 operation on 16 bytes may call libatomic, which may lock.
 * This builtin is one instruction (cmpxchg16b, casp), or a loop of ldxp and stxp.
 */
static inline bool sh_a128_cas_sc(sh_a128 *a, uint64_t lo, uint64_t hi, uint64_t new_lo, uint64_t new_hi)
{
	sh_u128 old = (sh_u128)hi << 64 | lo, new = (sh_u128)new_hi << 64 | new_lo;

	return __sync_bool_compare_and_swap((sh_u128 *)(void *)a, old, new);
}
_Static_assert(sizeof(sh_a128) == 16, "the pair is what one instruction writes");
_Static_assert(_Alignof(sh_a128) == 16, "the pair is where one instruction may write");

#endif /* SH_ATOMIC_H */

/* Adds to a counter that one thread writes and others read. No locked instruction. */
static inline void sh_a64_bump_owner(sh_a64 *a, uint64_t x)
{
	/* mo rlx: single-writer statistic; readers take snapshots and subtract. */
	sh_a64_store_rlx(a, sh_a64_load_rlx(a) + x);
}

#endif
