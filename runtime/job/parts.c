/* job/parts.c - see parts.h. SPDX-License-Identifier: MIT */
#include "job/parts.h"

#include "job/async.h"
#include "job/bound.h"
#include "job/cq.h"
#include "job/group.h"
#include "job/handle.h"
#include "job/key.h"
#include "job/place.h"

/* The record keeps its whole arrival time: nothing is to be done. */
static const struct sh_part far = { .name = "far" };

const struct sh_part *const sh_parts[SH_PARTS] = {
	[SH_KEY] = &sh_part_key,       [SH_GROUP] = &sh_part_group,   [SH_CQ] = &sh_part_cq,
	[SH_HANDLE] = &sh_part_handle, [SH_PINNED] = &sh_part_pinned, [SH_NODE] = &sh_part_node,
	[SH_FAR] = &far,               [SH_ASYNC] = &sh_part_async,   [SH_BOUND] = &sh_part_bound,
};

_Static_assert(SH_PARTS <= SH_PARTS_MAX, "the balance has a word for each part");
