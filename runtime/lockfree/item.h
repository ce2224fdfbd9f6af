/*
 * lockfree/item.h - what the queues carry: two words, of which a queue knows only the lap. Used by
 * ring.h, deque.h and backlog.h; what the other bits mean is in sched/item.h.
 *
 *   word  bits    content
 *   meta  63..59  lap: which use of its slot an item is; owned by the queue, 0 outside of queues
 *   meta  58..0   the user's
 *   arg   63..0   the user's
 *
 * A slot is written by one 16-byte compare-and-swap, and only there: no reader waits for the second
 * half. A reader that loads both halves on their own may see a mixture; it uses them only after it
 * won the item.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_LOCKFREE_ITEM_H
#define SH_LOCKFREE_ITEM_H

#include "base/atomic.h"
#include "base/compiler.h"

struct sh_item {
	uint64_t meta;
	uint64_t arg;
};

#ifndef SH_LAP_BITS /* a tool that explores interleavings defines it as 2 */
#define SH_LAP_BITS 5u
#endif
#define SH_LAP_SHIFT 59u
#define SH_LAP_MASK ((UINT64_C(1) << SH_LAP_BITS) - 1)
#define SH_ITEM_META ((UINT64_C(1) << SH_LAP_SHIFT) - 1) /* the user's bits */

static inline uint32_t sh_item_lap(uint64_t meta)
{
	return (uint32_t)(meta >> SH_LAP_SHIFT & SH_LAP_MASK);
}

#endif
