/*
 * base/opts.h - copies a caller's sized options struct, and fills a caller's sized result. Called by every function
 * that has one.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_BASE_OPTS_H
#define SH_BASE_OPTS_H

#include <string.h>

#include <shunt/error.h>

#include "base/compiler.h"

/* For the detail of an error where sh_opts_take refuses. */
#define SH_OPTS_WRONG "size: not that of the struct, or a field is set that this library does not know; want sizeof"

#define SH_OPTS_SIZE_MAX 4096u /* no struct is larger: a wild size must not have the caller's memory read */

/* Can `given` be the size of such a struct? It begins with a size_t, and so has its alignment at least. */
static inline bool sh_opts_size_valid(size_t given)
{
	return given >= sizeof(size_t) && given % sizeof(size_t) == 0 && given <= SH_OPTS_SIZE_MAX;
}

/* Does a caller's struct of `given` bytes have this field? An older one may lack it. */
#define sh_opts_has(given, type, field) ((given) >= offsetof(type, field) + sizeof(((type *)0)->field))

/* The first byte behind what is known that says something; `given` when there is none. */
static inline size_t sh_opts_tail(const void *src, size_t known, size_t given)
{
	const unsigned char *p = (const unsigned char *)src;
	size_t i;

	for (i = known; i < given && sh_opts_size_valid(given); i++)
		if (p[i] != 0)
			return i;
	return given;
}

/*
 * Copies the caller's struct of `given` bytes over `known` zeroed bytes: what an older caller did not know is default.
 * SHUNT_EINVAL when it is larger than known and says something there (a newer caller asks for what this library cannot
 * do), or when no such struct has that size.
 */
static inline int sh_opts_take(void *dst, size_t known, const void *src, size_t given)
{
	memset(dst, 0, known);
	if (!sh_opts_size_valid(given) || sh_opts_tail(src, known, given) != given)
		return SHUNT_EINVAL;
	memcpy(dst, src, given < known ? given : known);
	return 0;
}

/*
 * The other way: fills the caller's struct of `given` bytes from one of `known` bytes. An older caller gets the fields
 * that it knows; fields of a newer caller that this library does not know are 0.
 */
static inline void sh_opts_give(void *dst, size_t given, const void *src, size_t known)
{
	memset(dst, 0, given);
	memcpy(dst, src, given < known ? given : known);
}

#endif
