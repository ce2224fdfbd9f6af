/*
 * base/error.h - the detail of an error: what a failed call says beyond its code. Called by control calls where they
 * fail, and by a submit that refuses its spec; the text is read through shunt_error_detail(). Never called between a
 * submit that is accepted and the start of its job.
 *
 * Thread: each has a text of its own. It takes one of 64 at its first failure and gives it back when it ends: a
 * thread-local array of this size would leave no room for dlopen, and the program's allocator may be replaced while the
 * text is there. A thread that finds none says a fixed sentence. No call here fails, allocates or changes errno. The
 * lock is held for a walk over 64 flags, at a thread's first failure and its end. Not async-signal-safe: no signal
 * handler may make control calls.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_BASE_ERROR_H
#define SH_BASE_ERROR_H

#include <shunt/error.h>

#include "base/compiler.h"

#define SH_NO_ARGUMENT "an argument is NULL; want all of them"
#define SH_ERROR_DETAIL_BYTES 4096u /* of a text with its final NUL; a longer one is cut and ends in "..." */

/* Empties the text. The first thing that a public call does which sets the detail. */
void sh_error_detail_clear(void);
/* Replaces the text. The text itself may be among the arguments: so a caller puts before it where it happened. */
SH_COLD void sh_error_detail(const char *fmt, ...) SH_PRINTF(1, 2);
/* Adds to the text: a list of problems, one a line. False when it did not fit; the text is unchanged then. */
SH_COLD bool sh_error_detail_append(const char *fmt, ...) SH_PRINTF(1, 2);
/* As sh_error_detail, and returns the code, for `return sh_error_set(SHUNT_EINVAL, ...)`. */
SH_COLD int sh_error_set(int code, const char *fmt, ...) SH_PRINTF(2, 3);

#endif
