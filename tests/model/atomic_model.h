/*
 * model/atomic_model.h - replaces base/atomic.h (SH_ATOMIC_H selects it): the same types and names, every operation
 * handed to the explorer together with the place in the source where it is written. Orders, also those of a failed
 * compare-and-swap, are the ones that base/atomic.h gives the name.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MODEL_ATOMIC_MODEL_H
#define MODEL_ATOMIC_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "model/site.h"

typedef struct {
	uint32_t v;
} sh_a32;
typedef struct {
	uint64_t v;
} sh_a64;
typedef struct {
	void *v;
} sh_aptr;
typedef struct {
	_Alignas(16) sh_a64 lo;
	sh_a64 hi;
} sh_a128;

/* Every use is one entry of the program's table of sites, whether it ever runs or not. */
#define MODEL_SITE(op_, kind_, order_, fail_) \
	__extension__({ \
		static const struct model_site site_ __attribute__((section("model_sites"), used)) = { \
			__FILE__, op_, __LINE__, MODEL_##kind_, MODEL_##order_, MODEL_##fail_ \
		}; \
		&site_; \
	})
#define MODEL_ADDR(a) ((void *)(uintptr_t) & (a)->v)
#define MODEL_INIT(T, op, a, x) model_init(MODEL_SITE(op, INIT, RLX, RLX), MODEL_ADDR(a), sizeof(T), (uint64_t)(x))
#define MODEL_DO_LOAD(T, site, a) ((T)model_load(site, MODEL_ADDR(a), sizeof(T)))
#define MODEL_DO_STORE(T, site, a, x) model_store(site, MODEL_ADDR(a), sizeof(T), (uint64_t)(x))
#define MODEL_DO_RMW(T, site, a, x) ((T)model_rmw(site, MODEL_ADDR(a), sizeof(T), (uint64_t)(x)))
#define MODEL_DO_CAS(T, site, a, e, x) \
	__extension__({ \
		T *expected_ = (e); \
		uint64_t value_ = (uint64_t)*expected_; \
		bool done_ = model_cas(site, MODEL_ADDR(a), sizeof(T), &value_, (uint64_t)(x)); \
		if (!done_) \
			*expected_ = (T)value_; \
		done_; \
	})

#define sh_a32_init(a, x) MODEL_INIT(uint32_t, "init", a, (x))
#define sh_a32_load_rlx(a) MODEL_DO_LOAD(uint32_t, MODEL_SITE("load_rlx", LOAD, RLX, RLX), a)
#define sh_a32_load_acq(a) MODEL_DO_LOAD(uint32_t, MODEL_SITE("load_acq", LOAD, ACQ, RLX), a)
#define sh_a32_load_sc(a) MODEL_DO_LOAD(uint32_t, MODEL_SITE("load_sc", LOAD, SC, RLX), a)
#define sh_a32_store_rlx(a, x) MODEL_DO_STORE(uint32_t, MODEL_SITE("store_rlx", STORE, RLX, RLX), a, x)
#define sh_a32_store_rel(a, x) MODEL_DO_STORE(uint32_t, MODEL_SITE("store_rel", STORE, REL, RLX), a, x)
#define sh_a32_store_sc(a, x) MODEL_DO_STORE(uint32_t, MODEL_SITE("store_sc", STORE, SC, RLX), a, x)
#define sh_a32_xchg_rlx(a, x) MODEL_DO_RMW(uint32_t, MODEL_SITE("xchg_rlx", XCHG, RLX, RLX), a, x)
#define sh_a32_xchg_acq(a, x) MODEL_DO_RMW(uint32_t, MODEL_SITE("xchg_acq", XCHG, ACQ, RLX), a, x)
#define sh_a32_xchg_acq_rel(a, x) MODEL_DO_RMW(uint32_t, MODEL_SITE("xchg_acq_rel", XCHG, ACQ_REL, RLX), a, x)
#define sh_a32_xchg_sc(a, x) MODEL_DO_RMW(uint32_t, MODEL_SITE("xchg_sc", XCHG, SC, RLX), a, x)
#define sh_a32_cas_rlx(a, e, x) MODEL_DO_CAS(uint32_t, MODEL_SITE("cas_rlx", CAS, RLX, RLX), a, e, x)
#define sh_a32_cas_acq(a, e, x) MODEL_DO_CAS(uint32_t, MODEL_SITE("cas_acq", CAS, ACQ, RLX), a, e, x)
#define sh_a32_cas_rel(a, e, x) MODEL_DO_CAS(uint32_t, MODEL_SITE("cas_rel", CAS, REL, RLX), a, e, x)
#define sh_a32_cas_acq_rel(a, e, x) MODEL_DO_CAS(uint32_t, MODEL_SITE("cas_acq_rel", CAS, ACQ_REL, RLX), a, e, x)
#define sh_a32_cas_acq_rel_acq(a, e, x) MODEL_DO_CAS(uint32_t, MODEL_SITE("cas_acq_rel_acq", CAS, ACQ_REL, ACQ), a, e, x)
#define sh_a32_cas_sc(a, e, x) MODEL_DO_CAS(uint32_t, MODEL_SITE("cas_sc", CAS, SC, RLX), a, e, x)
#define sh_a32_add_rlx(a, x) MODEL_DO_RMW(uint32_t, MODEL_SITE("add_rlx", ADD, RLX, RLX), a, x)
#define sh_a32_add_acq_rel(a, x) MODEL_DO_RMW(uint32_t, MODEL_SITE("add_acq_rel", ADD, ACQ_REL, RLX), a, x)
#define sh_a32_add_sc(a, x) MODEL_DO_RMW(uint32_t, MODEL_SITE("add_sc", ADD, SC, RLX), a, x)
#define sh_a32_sub_rlx(a, x) MODEL_DO_RMW(uint32_t, MODEL_SITE("sub_rlx", SUB, RLX, RLX), a, x)
#define sh_a32_sub_acq_rel(a, x) MODEL_DO_RMW(uint32_t, MODEL_SITE("sub_acq_rel", SUB, ACQ_REL, RLX), a, x)
#define sh_a32_sub_sc(a, x) MODEL_DO_RMW(uint32_t, MODEL_SITE("sub_sc", SUB, SC, RLX), a, x)
#define sh_a32_or_rlx(a, x) MODEL_DO_RMW(uint32_t, MODEL_SITE("or_rlx", OR, RLX, RLX), a, x)
#define sh_a32_or_sc(a, x) MODEL_DO_RMW(uint32_t, MODEL_SITE("or_sc", OR, SC, RLX), a, x)
#define sh_a32_or_acq_rel(a, x) MODEL_DO_RMW(uint32_t, MODEL_SITE("or_acq_rel", OR, ACQ_REL, RLX), a, x)
#define sh_a32_and_sc(a, x) MODEL_DO_RMW(uint32_t, MODEL_SITE("and_sc", AND, SC, RLX), a, x)
#define sh_a32_and_acq_rel(a, x) MODEL_DO_RMW(uint32_t, MODEL_SITE("and_acq_rel", AND, ACQ_REL, RLX), a, x)
#define sh_a64_init(a, x) MODEL_INIT(uint64_t, "init", a, (x))
#define sh_a64_load_rlx(a) MODEL_DO_LOAD(uint64_t, MODEL_SITE("load_rlx", LOAD, RLX, RLX), a)
#define sh_a64_load_acq(a) MODEL_DO_LOAD(uint64_t, MODEL_SITE("load_acq", LOAD, ACQ, RLX), a)
#define sh_a64_load_sc(a) MODEL_DO_LOAD(uint64_t, MODEL_SITE("load_sc", LOAD, SC, RLX), a)
#define sh_a64_store_rlx(a, x) MODEL_DO_STORE(uint64_t, MODEL_SITE("store_rlx", STORE, RLX, RLX), a, x)
#define sh_a64_store_rel(a, x) MODEL_DO_STORE(uint64_t, MODEL_SITE("store_rel", STORE, REL, RLX), a, x)
#define sh_a64_store_sc(a, x) MODEL_DO_STORE(uint64_t, MODEL_SITE("store_sc", STORE, SC, RLX), a, x)
#define sh_a64_xchg_rlx(a, x) MODEL_DO_RMW(uint64_t, MODEL_SITE("xchg_rlx", XCHG, RLX, RLX), a, x)
#define sh_a64_xchg_acq(a, x) MODEL_DO_RMW(uint64_t, MODEL_SITE("xchg_acq", XCHG, ACQ, RLX), a, x)
#define sh_a64_xchg_acq_rel(a, x) MODEL_DO_RMW(uint64_t, MODEL_SITE("xchg_acq_rel", XCHG, ACQ_REL, RLX), a, x)
#define sh_a64_xchg_sc(a, x) MODEL_DO_RMW(uint64_t, MODEL_SITE("xchg_sc", XCHG, SC, RLX), a, x)
#define sh_a64_cas_rlx(a, e, x) MODEL_DO_CAS(uint64_t, MODEL_SITE("cas_rlx", CAS, RLX, RLX), a, e, x)
#define sh_a64_cas_acq(a, e, x) MODEL_DO_CAS(uint64_t, MODEL_SITE("cas_acq", CAS, ACQ, RLX), a, e, x)
#define sh_a64_cas_rel(a, e, x) MODEL_DO_CAS(uint64_t, MODEL_SITE("cas_rel", CAS, REL, RLX), a, e, x)
#define sh_a64_cas_acq_rel(a, e, x) MODEL_DO_CAS(uint64_t, MODEL_SITE("cas_acq_rel", CAS, ACQ_REL, RLX), a, e, x)
#define sh_a64_cas_acq_rel_acq(a, e, x) MODEL_DO_CAS(uint64_t, MODEL_SITE("cas_acq_rel_acq", CAS, ACQ_REL, ACQ), a, e, x)
#define sh_a64_cas_sc(a, e, x) MODEL_DO_CAS(uint64_t, MODEL_SITE("cas_sc", CAS, SC, RLX), a, e, x)
#define sh_a64_add_rlx(a, x) MODEL_DO_RMW(uint64_t, MODEL_SITE("add_rlx", ADD, RLX, RLX), a, x)
#define sh_a64_add_acq_rel(a, x) MODEL_DO_RMW(uint64_t, MODEL_SITE("add_acq_rel", ADD, ACQ_REL, RLX), a, x)
#define sh_a64_add_sc(a, x) MODEL_DO_RMW(uint64_t, MODEL_SITE("add_sc", ADD, SC, RLX), a, x)
#define sh_a64_sub_rlx(a, x) MODEL_DO_RMW(uint64_t, MODEL_SITE("sub_rlx", SUB, RLX, RLX), a, x)
#define sh_a64_sub_acq_rel(a, x) MODEL_DO_RMW(uint64_t, MODEL_SITE("sub_acq_rel", SUB, ACQ_REL, RLX), a, x)
#define sh_a64_sub_sc(a, x) MODEL_DO_RMW(uint64_t, MODEL_SITE("sub_sc", SUB, SC, RLX), a, x)
#define sh_a64_or_sc(a, x) MODEL_DO_RMW(uint64_t, MODEL_SITE("or_sc", OR, SC, RLX), a, x)
#define sh_a64_or_acq_rel(a, x) MODEL_DO_RMW(uint64_t, MODEL_SITE("or_acq_rel", OR, ACQ_REL, RLX), a, x)
#define sh_a64_and_sc(a, x) MODEL_DO_RMW(uint64_t, MODEL_SITE("and_sc", AND, SC, RLX), a, x)
#define sh_a64_and_acq_rel(a, x) MODEL_DO_RMW(uint64_t, MODEL_SITE("and_acq_rel", AND, ACQ_REL, RLX), a, x)
#define MODEL_DO_CAS_PAIR(site, a, x, y, new_x, new_y) \
	model_cas_pair(site, &(a)->lo.v, (const uint64_t[2]){ x, y }, (const uint64_t[2]){ new_x, new_y })
#define sh_a128_cas_sc(a, x, y, new_x, new_y) \
	MODEL_DO_CAS_PAIR(MODEL_SITE("cas_sc", CAS, SC, RLX), a, x, y, new_x, new_y)
typedef void *model_ptr;
#define sh_aptr_init(a, x) MODEL_INIT(model_ptr, "init", a, (uintptr_t)(x))
#define sh_aptr_load_rlx(a) MODEL_DO_LOAD(model_ptr, MODEL_SITE("load_rlx", LOAD, RLX, RLX), a)
#define sh_aptr_load_acq(a) MODEL_DO_LOAD(model_ptr, MODEL_SITE("load_acq", LOAD, ACQ, RLX), a)
#define sh_aptr_load_sc(a) MODEL_DO_LOAD(model_ptr, MODEL_SITE("load_sc", LOAD, SC, RLX), a)
#define sh_aptr_store_rlx(a, x) MODEL_DO_STORE(model_ptr, MODEL_SITE("store_rlx", STORE, RLX, RLX), a, (uintptr_t)(x))
#define sh_aptr_store_rel(a, x) MODEL_DO_STORE(model_ptr, MODEL_SITE("store_rel", STORE, REL, RLX), a, (uintptr_t)(x))
#define sh_aptr_store_sc(a, x) MODEL_DO_STORE(model_ptr, MODEL_SITE("store_sc", STORE, SC, RLX), a, (uintptr_t)(x))
#define sh_aptr_xchg_rlx(a, x) MODEL_DO_RMW(model_ptr, MODEL_SITE("xchg_rlx", XCHG, RLX, RLX), a, (uintptr_t)(x))
#define sh_aptr_xchg_acq(a, x) MODEL_DO_RMW(model_ptr, MODEL_SITE("xchg_acq", XCHG, ACQ, RLX), a, (uintptr_t)(x))
#define sh_aptr_xchg_acq_rel(a, x) MODEL_DO_RMW(model_ptr, MODEL_SITE("xchg_acq_rel", XCHG, ACQ_REL, RLX), a, (uintptr_t)(x))
#define sh_aptr_xchg_sc(a, x) MODEL_DO_RMW(model_ptr, MODEL_SITE("xchg_sc", XCHG, SC, RLX), a, (uintptr_t)(x))
#define sh_aptr_cas_rlx(a, e, x) MODEL_DO_CAS(model_ptr, MODEL_SITE("cas_rlx", CAS, RLX, RLX), a, e, (uintptr_t)(x))
#define sh_aptr_cas_acq(a, e, x) MODEL_DO_CAS(model_ptr, MODEL_SITE("cas_acq", CAS, ACQ, RLX), a, e, (uintptr_t)(x))
#define sh_aptr_cas_rel(a, e, x) MODEL_DO_CAS(model_ptr, MODEL_SITE("cas_rel", CAS, REL, RLX), a, e, (uintptr_t)(x))
#define sh_aptr_cas_acq_rel(a, e, x) MODEL_DO_CAS(model_ptr, MODEL_SITE("cas_acq_rel", CAS, ACQ_REL, RLX), a, e, (uintptr_t)(x))
#define sh_aptr_cas_acq_rel_acq(a, e, x) MODEL_DO_CAS(model_ptr, MODEL_SITE("cas_acq_rel_acq", CAS, ACQ_REL, ACQ), a, e, (uintptr_t)(x))
#define sh_aptr_cas_sc(a, e, x) MODEL_DO_CAS(model_ptr, MODEL_SITE("cas_sc", CAS, SC, RLX), a, e, (uintptr_t)(x))

#endif
