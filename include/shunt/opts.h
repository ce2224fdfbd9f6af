/*
 * shunt/opts.h - how a sized options struct is initialised: its size, and zero for all else, which means the
 * default. No field is named, so that a field that a later version appends is zero too.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_OPTS_H
#define SHUNT_OPTS_H

#ifdef __cplusplus
#define SHUNT_OPTS_INIT(type) \
	([] { \
		struct type shunt_opts_zero = {}; \
		shunt_opts_zero.size = sizeof(struct type); \
		return shunt_opts_zero; \
	}())
#else
#define SHUNT_OPTS_INIT(type) \
	{ \
		.size = sizeof(struct type) \
	}
#endif

#endif
