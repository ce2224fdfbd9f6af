/*
 * core/levels.h - the slot table that decides which level a worker serves at each pick, and so bounds every level's
 * wait. Built once per pool; read by the worker's pick.
 *
 * The table has S slots. Slot k says "level g first" or "most urgent first" (SH_SLOT_TOP). A worker advances one
 * slot a pick. If the named level has no job, the pick is most urgent first. Level g owns s_g slots, so while it
 * waits at a worker it gets at least s_g of any S consecutive picks there.
 *
 *   strict:    S = guard_every * (L - 1), s_g = 1 for g >= 1
 *   weighted:  S = sum of weights, s_g = weight_g, spread evenly (smooth weighted round robin, as in nginx)
 *   reserved:  as strict, over the levels the worker may take
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CORE_LEVELS_H
#define SH_CORE_LEVELS_H

#include <shunt/runtime.h>

#include "base/compiler.h"

#define SH_SLOT_TOP 0xffu
#define SH_SLOTS_MAX (1024u * SHUNT_LEVELS_MAX)
#define SH_SOURCE_PERIOD 8u   /* picks of one level after which ring, backlog and pinned queue were first at least once */
/*
 * Picks of one level after which the oldest own spawn was first, times 1 + (own spawns that wait) / SH_OLDEST_SHARE: each
 * such turn leaves a tree of jobs half done for another; with a fixed period what is left would grow with the tree.
 */
#define SH_OLDEST_PERIOD 256u
#define SH_OLDEST_SHARE 32u

/* Number of slots for these options. */
uint32_t sh_levels_slots(enum shunt_level_mode mode, uint32_t levels, uint32_t guard_every, const uint32_t *weights);
/* Fills slots[0..n-1]. */
void sh_levels_fill(enum shunt_level_mode mode, uint32_t levels, uint32_t guard_every, const uint32_t *weights,
		    uint8_t *slots, uint32_t n);
/* Picks of a worker within which the k-th waiting job of `level` in one source is taken, for a worker that may take it. */
uint64_t sh_levels_wait_picks(const uint8_t *slots, uint32_t n, uint32_t level, uint64_t k);

#endif
