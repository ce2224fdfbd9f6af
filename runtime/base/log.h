/*
 * base/log.h - formats a line and passes it to the user's hook. Every module logs through a `struct
 * sh_log` that its runtime owns. A NULL log or a NULL hook discards the line. Never called between
 * submit and job start. No hook is called while the thread holds a lock of ours.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_BASE_LOG_H
#define SH_BASE_LOG_H

#include <shunt/log.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

struct sh_log {
	shunt_log_fn fn;            /* sync: const */
	void *arg;                  /* sync: const */
	enum shunt_log_level level; /* sync: const */
};

/*
 * Lines that wait while this thread holds a lock: the hook may make calls of its own, which take that lock. In the
 * memory of who holds it.
 */
struct sh_log_held {
	char *text;
	size_t size, used;
	uint32_t lost;            /* lines that did not fit, */
	const struct sh_log *log; /* and the log of the last of them, which outlives the lock */
	bool first;               /* else an outer one has them */
};

/* Before a lock is taken: this thread's lines go to `text`, of `size` bytes, from now on. */
void sh_log_hold(struct sh_log_held *h, char *text, size_t size);
/* Behind the unlock: passes them to their hooks, in order. The detail of the thread's error stays what it is. */
void sh_log_pass(struct sh_log_held *h);

#define SH_REFUSE_TEXT 4096u /* bytes of the text of a refusal; a longer one is cut */

/*
 * Says why a control call fails, in the log and in the detail of its error: the one place that every refusal of options
 * passes. The text may have several lines, one a problem, each "key: what is wrong; what would be right". Returns
 * `code`.
 */
SH_COLD int sh_refuse(const struct sh_log *log, int code, const char *fmt, ...) SH_PRINTF(3, 4);
SH_COLD void sh_log_write(const struct sh_log *log, enum shunt_log_level level, const char *fmt, ...) SH_PRINTF(3, 4);

#endif
