/*
 * shunt/log.h - the one logging hook. The library is quiet unless a hook is given; it never writes to
 * stdout or stderr by itself and never logs between a submit and the start of the job. The hook is called
 * with no lock of the library held: it may make calls of its own, but none that waits for the thread it runs on.
 * A line about a worker may come on that worker's thread, which a create or destroy waits for: there it must make
 * no create, destroy or snapshot calls.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_LOG_H
#define SHUNT_LOG_H

#ifdef __cplusplus
extern "C" {
#endif

enum shunt_log_level {
	SHUNT_LOG_DEFAULT = 0, /* as option: warn */
	SHUNT_LOG_ERROR = 1,   /* something the user asked for did not happen */
	SHUNT_LOG_WARN = 2,    /* it happened, but not as well as asked (a pin that failed softly, an over-full cpu budget) */
	SHUNT_LOG_INFO = 3,    /* life of runtimes and pools, drains */
	SHUNT_LOG_DEBUG = 4    /* and of threads, types and spares */
};

/*
 * Called with one complete line, no newline. Thread: any thread of the runtime or a caller of the API; it
 * must be safe to call from several at once. It may block only its caller. `message` is valid during the call.
 */
typedef void (*shunt_log_fn)(void *arg, enum shunt_log_level level, const char *message);

#ifdef __cplusplus
}
#endif
#endif
