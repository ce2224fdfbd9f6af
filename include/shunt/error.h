/*
 * shunt/error.h - the one table of error codes.
 *
 * Every shunt call that can fail returns 0 (or a count) on success and one of the negative codes
 * below on failure. "Full", "timed out", "cancelled" are ordinary results, not bugs.
 * The third column says whether the same call may succeed later without any change by the caller.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_ERROR_H
#define SHUNT_ERROR_H

#include <shunt/visibility.h>

/* X(NAME, value, retryable, text) */
#define SHUNT_ERROR_TABLE(X) \
	X(EINVAL, -1, 0, "invalid argument") \
	X(ENOMEM, -2, 1, "out of memory") \
	X(EFULL, -3, 1, "queue or job arena is full") \
	X(ETIMEDOUT, -4, 1, "timed out") \
	X(ECANCELLED, -5, 0, "job was cancelled") \
	X(ESTALE, -6, 0, "handle is stale: the job was already joined or detached") \
	X(ENOENT, -7, 0, "no such pool, type, worker or level") \
	X(EEXIST, -8, 0, "the name is taken") \
	X(ESTOPPED, -9, 0, "the runtime or pool is draining or stopped") \
	X(EFORKED, -10, 0, "the runtime belongs to the parent process; it is stopped in a forked child") \
	X(EDEADLK, -11, 0, "waiting here could never end") \
	X(ELIMIT, -12, 0, "a configured or built-in limit is reached") \
	X(EBUSY, -13, 1, "the object is in use") \
	X(EAGAIN, -14, 1, "not now: the job has not finished or no worker is available") \
	X(EPERM, -15, 0, "the operating system refused (permission, affinity or memory policy)") \
	X(ENOSYS, -16, 0, "not supported on this system or in this build") \
	X(EIO, -17, 0, "input or output failed") \
	X(ECONFIG, -18, 0, "the configuration is invalid; the message lists every problem") \
	X(EPLACE, -19, 0, "the place expression is invalid or names a cpu that is not available") \
	X(ESYS, -20, 0, "a system call failed")

enum shunt_error {
	SHUNT_OK = 0,
#define SHUNT_ERROR_ENUM(name, value, retryable, text) SHUNT_##name = (value),
	SHUNT_ERROR_TABLE(SHUNT_ERROR_ENUM)
#undef SHUNT_ERROR_ENUM
};

#ifdef __cplusplus
extern "C" {
#endif

/* Text of a code ("queue or job arena is full"); "unknown error" for others. Thread: any. Blocks: never. */
SHUNT_API const char *shunt_strerror(int code);
/* Name of a code ("SHUNT_EFULL"); "SHUNT_OK" for values >= 0. Thread: any. Blocks: never. */
SHUNT_API const char *shunt_error_name(int code);
/* 1 if the same call may succeed later without a change by the caller, else 0. Thread: any. */
SHUNT_API int shunt_error_retryable(int code);

#ifdef __cplusplus
}
#endif
#endif
