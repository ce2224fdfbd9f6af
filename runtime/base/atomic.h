/*
 * base/atomic.h - the only home of C11 atomics. The memory order is part of each name (_rlx, _acq, _rel,
 * _acq_rel, _sc); there is no default order and no stand-alone fence, because race detectors see only
 * ordered operations. Every ordered use carries a "mo" label that names its partner; tools/lint checks it.
 *
 * The types are wrapped in structs so that a plain access to an atomic does not compile. A test tool may
 * replace this header by one with the same names (SH_ATOMIC_H selects it) to explore interleavings.
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
	static inline T P##_or_sc(A *a, T x) { return atomic_fetch_or_explicit(&a->v, x, memory_order_seq_cst); } \
	static inline T P##_and_sc(A *a, T x) { return atomic_fetch_and_explicit(&a->v, x, memory_order_seq_cst); } \
	static inline T P##_or_acq_rel(A *a, T x) { return atomic_fetch_or_explicit(&a->v, x, memory_order_acq_rel); } \
	static inline T P##_and_acq_rel(A *a, T x) { return atomic_fetch_and_explicit(&a->v, x, memory_order_acq_rel); }

SH_ATOMIC_OPS(uint32_t, sh_a32, sh_a32)
SH_ATOMIC_INT_OPS(uint32_t, sh_a32, sh_a32)
SH_ATOMIC_OPS(uint64_t, sh_a64, sh_a64)
SH_ATOMIC_INT_OPS(uint64_t, sh_a64, sh_a64)
SH_ATOMIC_OPS(void *, sh_aptr, sh_aptr)

#endif /* SH_ATOMIC_H */

/* Adds to a counter that one thread writes and others read: no locked instruction. */
static inline void sh_a64_bump_owner(sh_a64 *a, uint64_t x)
{
	/* mo rlx: single-writer statistic; readers snapshot and subtract. */
	sh_a64_store_rlx(a, sh_a64_load_rlx(a) + x);
}

#endif
