/*
 * policy/levels.h - the slot table that decides which level a worker serves at each pick, and so
 * bounds the wait of every level. Built once per pool; read by the worker's pick.
 *
 * The table has S slots. A slot says "level g first" or "most urgent first" (SH_SLOT_TOP). A worker
 * advances one slot per pick. If the named level has no job, the pick is most urgent first. Level g
 * owns s_g slots, so while it has jobs waiting at a worker it gets at least s_g of any S
 * consecutive picks there.
 *
 *   strict:    S = guard_every * (L - 1), s_g = 1 for g >= 1 (guard_every: the aging interval)
 *   weighted:  S = sum of weights, s_g = weight_g, spread evenly (smooth round robin, as in nginx)
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
/* Picks of one level in which ring, backlog and pinned queue each come first at least once. */
#define SH_SOURCE_PERIOD 8u
/*
 * Picks of one level in which the oldest own spawn comes first once, times 1 + (own spawns waiting)
 * / SH_OLDEST_SHARE. Each such pick leaves one tree of jobs unfinished and starts another. With a
 * fixed interval the number of unfinished trees would grow with the queue.
 */
#define SH_OLDEST_PERIOD 256u
#define SH_OLDEST_SHARE 32u

/* Number of slots for these options. */
uint32_t sh_levels_slots(enum shunt_level_mode mode, uint32_t levels, uint32_t guard_every, const uint32_t *weights);
/* Fills slots[0..n-1]. */
void sh_levels_fill(enum shunt_level_mode mode, uint32_t levels, uint32_t guard_every, const uint32_t *weights,
		    uint8_t *slots, uint32_t n);
/* Picks within which a worker takes the k-th waiting job of its `level` in one source. */
uint64_t sh_levels_wait_picks(const uint8_t *slots, uint32_t n, uint32_t level, uint64_t k);

#endif
