/*
 * base/limits.h - the bounds that data structures are built on. All but the last are the upper end of a row of the
 * table of options (options.c), which has every other bound and all defaults. life/options.c asserts what depends on
 * them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_BASE_LIMITS_H
#define SH_BASE_LIMITS_H

#define SH_JOBS_MAX (1u << 27)
#define SH_HANDLES_MAX ((1u << 24) - 1u) /* 24 bits of a handle are an index, and index 0 is no handle */
#define SH_KEY_SLOTS_MAX (1u << 20)
#define SH_SPARES_MAX 64u                /* of a pool */
#define SH_WORKERS_TOTAL_MAX 2048u       /* worker threads of all pools of a runtime, spares too */

#endif
