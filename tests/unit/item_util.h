/*
 * tests/unit/item_util.h - items of the queues with a value: the two halves of an item belong together, and a pop that
 * mixed those of two pushes is seen. Header only.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TEST_ITEM_UTIL_H
#define TEST_ITEM_UTIL_H

#include "lockfree/item.h"

#define IU_TORN UINT64_MAX /* no test uses it as a value */

/* The half beside the value; all user's bits change with the value. */
static inline uint64_t iu_meta(uint64_t value)
{
	return (value + 1) * UINT64_C(0x9e3779b97f4a7c15) & SH_ITEM_META;
}

static inline struct sh_item iu_item(uint64_t value)
{
	struct sh_item item = { iu_meta(value), value };

	return item;
}

/* The value of an item; IU_TORN if its halves are not of one push. */
static inline uint64_t iu_value(struct sh_item item)
{
	return item.meta == iu_meta(item.arg) ? item.arg : IU_TORN;
}

#endif
