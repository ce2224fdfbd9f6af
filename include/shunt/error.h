/*
 * shunt/error.h - the one table of error codes.
 *
 * Every shunt call that can fail returns 0 (or a count) on success and one of the negative codes
 * below on failure. "Full", "timed out", "cancelled" are ordinary results, not bugs.
 * The third column says whether the same call may succeed later without any change by the caller.
 *
 * The range -10999 to -10000 is the library's, so that shunt_result.code says who speaks. The own codes of a handler
 * and of a caller of shunt_complete are any other value but SHUNT_PENDING. A handler may return the error of a shunt
 * call: its job fails with that code, as it is. A code of the range that names no error is kept too; shunt_strerror
 * calls it unknown. shunt_result.detail says in every case who ended the job.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_ERROR_H
#define SHUNT_ERROR_H

#include <shunt/visibility.h>

/* X(NAME, value, retryable, text) */
#define SHUNT_ERROR_TABLE(X) \
	X(EINVAL, -10001, 0, "invalid argument") \
	X(ENOMEM, -10002, 1, "out of memory") \
	X(EFULL, -10003, 1, "queue or job arena is full") \
	X(ETIMEDOUT, -10004, 1, "timed out") \
	X(ECANCELLED, -10005, 0, "job was cancelled") \
	X(ESTALE, -10006, 0, "handle is stale: the job was already joined or detached") \
	X(ENOENT, -10007, 0, "no such pool, type, worker or level") \
	X(EEXIST, -10008, 0, "the name is taken") \
	X(ESTOPPED, -10009, 0, "the runtime or pool is draining or stopped") \
	X(EFORKED, -10010, 0, "the runtime belongs to the parent process; it is stopped in a forked child") \
	X(EDEADLK, -10011, 0, "waiting here could never end") \
	X(ELIMIT, -10012, 0, "a configured or built-in limit is reached") \
	X(EBUSY, -10013, 1, "the object is in use") \
	X(EAGAIN, -10014, 1, "not now: the job has not finished or no worker is available") \
	X(EPERM, -10015, 0, "the operating system refused (permission, affinity or memory policy)") \
	X(ENOSYS, -10016, 0, "not supported on this system or in this build") \
	X(EIO, -10017, 0, "input or output failed") \
	X(ECONFIG, -10018, 0, "the configuration is invalid; the message lists every problem") \
	X(EPLACE, -10019, 0, "the place expression is invalid or names a cpu that is not available") \
	X(ESYS, -10020, 0, "a system call failed") \
	X(EEXITED, -10021, 0, "the handler did not return: it ended its thread, or an exception left it")

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
/*
 * What the last control call of this thread had to say beyond its code, e.g. "pool io: workers: 3000; want 1 to 1024":
 * what, where and what would be right. "" when it succeeded or had nothing to add; never NULL; several problems are one
 * a line. A control call is one whose comment says "Detail". It empties the text when it starts, and a failure fills it
 * in, whether or not a log is given. A submit that refuses its spec with SHUNT_EINVAL fills it in, too. All other calls
 * (a submit otherwise, wait, the rest of job.h, histograms in memory, and every destroy, close and free that succeeds)
 * leave it as it is, so that clean-up after a failure does not lose the text.
 * At most 4095 bytes; a longer text is cut and ends in "...". 64 threads at a time have one; another gets a sentence
 * that says so.
 * Thread: any; each sees its own alone. Blocks: never. The text is valid until the thread's next control call or end.
 * Must not be called in a signal handler. A forked child has its own copy.
 */
SHUNT_API const char *shunt_error_detail(void);

#ifdef __cplusplus
}
#endif
#endif
