/*
 * sched/item.h - what a queued job is: 16 bytes in the queue's own slot. Used by submit, pick and
 * run.
 *
 *   meta  bits    content
 *         63..59  the queue's (lockfree/item.h)
 *         58      a token: `arg` is a strand that has jobs (strand.h)
 *         57..48  index of the type + 1; 0 = not a plain job
 *         47..0   of a plain job: submit time, in ticks of SH_TICK_NS; of a token: when it was pushed
 *         43      of a record: its waiter may run it whatever its limit
 *         42..33  of a record: index of the type
 *         32      of a record: its type may return SHUNT_PENDING
 *         31..0   of a record: index of its group, 0 = none
 *
 * A plain job is its item and nothing else: `arg` is the handler's argument. A job with parts
 * (part.h) has a record, whose handle is `arg`; its submit time stands in the record. What a worker
 * must know before it claims the job stands in the item: until then the record may serve another job.
 *
 * Ticks wrap after 13 days. A time is read back relative to a clock read: exact for a job that
 * waited up to 11 days, or whose arrival is up to SH_FUTURE_NS ahead. A job whose intended start is
 * further away, or repeats that of an earlier one of its thread, has a record (SH_FAR).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_ITEM_H
#define SH_SCHED_ITEM_H

#include "lockfree/item.h"

#define SH_TICK_SHIFT 2u
#define SH_TICK_NS (1u << SH_TICK_SHIFT)
#define SH_STAMP_BITS 48u
#define SH_STAMP_MASK ((UINT64_C(1) << SH_STAMP_BITS) - 1)
#define SH_TYPE_SHIFT SH_STAMP_BITS
#define SH_TYPE_MASK 1023u
#define SH_FUTURE_TICKS (UINT64_C(1) << 45)
#define SH_FUTURE_NS (SH_FUTURE_TICKS << SH_TICK_SHIFT) /* 39 hours */
#define SH_PAST_NS ((SH_STAMP_MASK - 2 * SH_FUTURE_TICKS) << SH_TICK_SHIFT)
#define SH_ITEM_TOKEN (UINT64_C(1) << 58)
#define SH_ITEM_ASYNC (UINT64_C(1) << 32)
#define SH_ITEM_RECORD_TYPE_SHIFT 33u
#define SH_ITEM_HELP (UINT64_C(1) << 43)

static inline struct sh_item sh_item_plain(uint32_t type, uint64_t submit_ns, void *arg)
{
	struct sh_item item = { (uint64_t)(type + 1u) << SH_TYPE_SHIFT | (submit_ns >> SH_TICK_SHIFT & SH_STAMP_MASK),
				(uint64_t)(uintptr_t)arg };

	return item;
}

/* `flags` of SH_ITEM_ASYNC, SH_ITEM_HELP. */
static inline struct sh_item sh_item_record(uint64_t handle, uint32_t type, uint32_t group, uint64_t flags)
{
	struct sh_item item = { flags | (uint64_t)type << SH_ITEM_RECORD_TYPE_SHIFT | group, handle };

	return item;
}

/* The time makes it unlike an earlier token of the strand in the same slot (ring.h). */
static inline struct sh_item sh_item_token(uint32_t strand, uint64_t now_ns)
{
	struct sh_item item = { SH_ITEM_TOKEN | (now_ns >> SH_TICK_SHIFT & SH_STAMP_MASK), strand };

	return item;
}

static inline bool sh_item_is_plain(struct sh_item item)
{
	return (item.meta >> SH_TYPE_SHIFT & SH_TYPE_MASK) != 0;
}

static inline bool sh_item_is_token(struct sh_item item)
{
	return (item.meta & SH_ITEM_TOKEN) != 0;
}

/* Is it a job with a record, of this group? */
static inline bool sh_item_of_group(struct sh_item item, uint32_t group)
{
	return !sh_item_is_plain(item) && !sh_item_is_token(item) && (uint32_t)item.meta == group;
}

/* Bits of meta that are the group's index in the item of a job of a group. */
#define SH_ITEM_OF_GROUP (SH_ITEM_TOKEN | (uint64_t)SH_TYPE_MASK << SH_TYPE_SHIFT | UINT32_MAX)

/* The bits that a plain job shares with others of its type. */
#define SH_ITEM_KIND (((uint64_t)SH_TYPE_MASK << SH_TYPE_SHIFT) | SH_ITEM_TOKEN)

static inline uint64_t sh_item_kind(struct sh_item item)
{
	return item.meta & SH_ITEM_KIND;
}

/* Index of a plain job's type. */
static inline uint32_t sh_item_type(struct sh_item item)
{
	return (uint32_t)(item.meta >> SH_TYPE_SHIFT & SH_TYPE_MASK) - 1u;
}

/* Index of the type of what is not a token, by its meta. */
static inline uint32_t sh_item_meta_type(uint64_t meta)
{
	uint32_t plain = (uint32_t)(meta >> SH_TYPE_SHIFT & SH_TYPE_MASK);

	return plain != 0 ? plain - 1u : (uint32_t)(meta >> SH_ITEM_RECORD_TYPE_SHIFT & SH_TYPE_MASK);
}

/* Submit time of a plain job, relative to now_ns. */
static inline uint64_t sh_item_submit_ns(struct sh_item item, uint64_t now_ns)
{
	uint64_t now = now_ns >> SH_TICK_SHIFT;
	uint64_t age = (now - item.meta) & SH_STAMP_MASK;

	if (sh_unlikely(age > SH_STAMP_MASK - SH_FUTURE_TICKS))
		return (now + (SH_STAMP_MASK + 1 - age)) << SH_TICK_SHIFT;
	return (now - age) << SH_TICK_SHIFT;
}

#endif
