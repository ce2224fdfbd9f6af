/*
 * sim/points.h - included before each runtime source file (-include): every ordered operation on an atomic is a place where
 * another thread may come in between, not the named points alone. The operations are the real ones of base/atomic.h; with
 * one real thread they are sequentially consistent. Left out: lockfree/registry.c, whose readers must not be left inside
 * their section, for the writer would wait for them on the same real thread.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SIM_POINTS_H
#define SIM_POINTS_H

#include "base/atomic.h"

void sim_atomic(void);

#define sh_a32_load_acq(...) (sim_atomic(), sh_a32_load_acq(__VA_ARGS__))
#define sh_a32_load_sc(...) (sim_atomic(), sh_a32_load_sc(__VA_ARGS__))
#define sh_a32_store_rel(...) (sim_atomic(), sh_a32_store_rel(__VA_ARGS__))
#define sh_a32_store_sc(...) (sim_atomic(), sh_a32_store_sc(__VA_ARGS__))
#define sh_a32_xchg_sc(...) (sim_atomic(), sh_a32_xchg_sc(__VA_ARGS__))
#define sh_a32_cas_sc(...) (sim_atomic(), sh_a32_cas_sc(__VA_ARGS__))
#define sh_a32_cas_acq(...) (sim_atomic(), sh_a32_cas_acq(__VA_ARGS__))
#define sh_a32_cas_rel(...) (sim_atomic(), sh_a32_cas_rel(__VA_ARGS__))
#define sh_a32_cas_acq_rel(...) (sim_atomic(), sh_a32_cas_acq_rel(__VA_ARGS__))
#define sh_a32_cas_acq_rel_acq(...) (sim_atomic(), sh_a32_cas_acq_rel_acq(__VA_ARGS__))
#define sh_a32_add_sc(...) (sim_atomic(), sh_a32_add_sc(__VA_ARGS__))
#define sh_a32_sub_sc(...) (sim_atomic(), sh_a32_sub_sc(__VA_ARGS__))
#define sh_a32_or_sc(...) (sim_atomic(), sh_a32_or_sc(__VA_ARGS__))
#define sh_a32_and_sc(...) (sim_atomic(), sh_a32_and_sc(__VA_ARGS__))
#define sh_a32_add_acq_rel(...) (sim_atomic(), sh_a32_add_acq_rel(__VA_ARGS__))
#define sh_a32_sub_acq_rel(...) (sim_atomic(), sh_a32_sub_acq_rel(__VA_ARGS__))
#define sh_a64_load_acq(...) (sim_atomic(), sh_a64_load_acq(__VA_ARGS__))
#define sh_a64_load_sc(...) (sim_atomic(), sh_a64_load_sc(__VA_ARGS__))
#define sh_a64_store_rel(...) (sim_atomic(), sh_a64_store_rel(__VA_ARGS__))
#define sh_a64_store_sc(...) (sim_atomic(), sh_a64_store_sc(__VA_ARGS__))
#define sh_a64_xchg_sc(...) (sim_atomic(), sh_a64_xchg_sc(__VA_ARGS__))
#define sh_a64_cas_sc(...) (sim_atomic(), sh_a64_cas_sc(__VA_ARGS__))
#define sh_a64_cas_acq(...) (sim_atomic(), sh_a64_cas_acq(__VA_ARGS__))
#define sh_a64_cas_rel(...) (sim_atomic(), sh_a64_cas_rel(__VA_ARGS__))
#define sh_a64_cas_acq_rel(...) (sim_atomic(), sh_a64_cas_acq_rel(__VA_ARGS__))
#define sh_a64_cas_acq_rel_acq(...) (sim_atomic(), sh_a64_cas_acq_rel_acq(__VA_ARGS__))
#define sh_a64_add_sc(...) (sim_atomic(), sh_a64_add_sc(__VA_ARGS__))
#define sh_a64_sub_sc(...) (sim_atomic(), sh_a64_sub_sc(__VA_ARGS__))
#define sh_a64_or_sc(...) (sim_atomic(), sh_a64_or_sc(__VA_ARGS__))
#define sh_a64_and_sc(...) (sim_atomic(), sh_a64_and_sc(__VA_ARGS__))
#define sh_a64_add_acq_rel(...) (sim_atomic(), sh_a64_add_acq_rel(__VA_ARGS__))
#define sh_a64_sub_acq_rel(...) (sim_atomic(), sh_a64_sub_acq_rel(__VA_ARGS__))
#define sh_a128_cas_sc(...) (sim_atomic(), sh_a128_cas_sc(__VA_ARGS__))

#endif
