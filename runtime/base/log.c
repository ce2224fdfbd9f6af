/* base/log.c - see log.h. SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

void sh_log_write(const struct sh_log *log, enum shunt_log_level level, const char *fmt, ...)
{
	char line[512];
	va_list ap;
	enum shunt_log_level limit;

	if (!log || !log->fn)
		return;
	limit = log->level == SHUNT_LOG_DEFAULT ? SHUNT_LOG_WARN : log->level;
	if (level > limit)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	log->fn(log->arg, level, line);
}
