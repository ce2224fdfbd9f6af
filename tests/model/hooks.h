/*
 * model/hooks.h - the accesses that the compiler announces (-fsanitize=thread), and those of memcpy and
 * memset. A program links hooks.c, compiled without that flag, and says in hook_access what it makes of them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MODEL_HOOKS_H
#define MODEL_HOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The running thread is about to read or write these plain bytes. */
void hook_access(const void *p, size_t bytes, bool write);

/* The value of an atomic of 4 or 8 bytes, as it is in memory. */
static inline uint64_t word_peek(const void *addr, unsigned bytes)
{
	uint64_t v = 0;
	uint32_t w;

	if (bytes != 4) {
		memcpy(&v, addr, 8);
		return v;
	}
	memcpy(&w, addr, 4);
	return w;
}

static inline void word_poke(void *addr, unsigned bytes, uint64_t v)
{
	uint32_t w = (uint32_t)v;

	if (bytes == 4)
		memcpy(addr, &w, 4);
	else
		memcpy(addr, &v, 8);
}

#endif
