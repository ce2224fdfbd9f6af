/*
 * base/opts.h - takes a caller's sized options struct. Called by every function that has one.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_BASE_OPTS_H
#define SH_BASE_OPTS_H

#include <string.h>

#include <shunt/error.h>

#include "base/compiler.h"

/*
 * Copies the caller's struct of `given` bytes over `known` zeroed bytes: what an older caller did not know is default.
 * SHUNT_EINVAL when it is larger than known and says something there (a newer caller asks for what this library cannot
 * do), or has no size.
 */
static inline int sh_opts_take(void *dst, size_t known, const void *src, size_t given)
{
	const unsigned char *p = (const unsigned char *)src;
	size_t i;

	memset(dst, 0, known);
	if (given < sizeof(size_t))
		return SHUNT_EINVAL;
	for (i = known; i < given; i++)
		if (p[i] != 0)
			return SHUNT_EINVAL;
	memcpy(dst, src, given < known ? given : known);
	return 0;
}

#endif
