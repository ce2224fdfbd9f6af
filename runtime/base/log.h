/*
 * base/log.h - formats a line and hands it to the user's hook. Every module logs through a `struct sh_log`
 * that its runtime owns; a NULL log or a NULL hook is silence. Never called between submit and job start.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_BASE_LOG_H
#define SH_BASE_LOG_H

#include <shunt/log.h>

#include "base/compiler.h"

struct sh_log {
	shunt_log_fn fn;            /* sync: const */
	void *arg;                  /* sync: const */
	enum shunt_log_level level; /* sync: const */
};

SH_COLD void sh_log_write(const struct sh_log *log, enum shunt_log_level level, const char *fmt, ...) SH_PRINTF(3, 4);

#endif
