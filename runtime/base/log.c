/* base/log.c - see log.h. SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/thread.h"

static bool wanted(const struct sh_log *log, enum shunt_log_level level)
{
	return log && log->fn && level <= (log->level == SHUNT_LOG_DEFAULT ? SHUNT_LOG_WARN : log->level);
}

static _Thread_local struct sh_log_held *held __attribute__((tls_model("initial-exec")));

/* A line that waits; its text, with the final NUL, follows. */
struct waiting {
	shunt_log_fn fn;
	void *arg;
	enum shunt_log_level level;
	size_t bytes;
};

static void deliver(const struct sh_log *log, enum shunt_log_level level, const char *line)
{
	struct waiting wait = { log->fn, log->arg, level, strlen(line) + 1 };

	if (!held) {
		SH_NO_CANCEL;

		log->fn(log->arg, level, line);
	} else if (held->size - held->used < sizeof(wait) + wait.bytes) {
		held->lost++;
		held->log = log;
	} else {
		memcpy(held->text + held->used, &wait, sizeof(wait));
		memcpy(held->text + held->used + sizeof(wait), line, wait.bytes);
		held->used += sizeof(wait) + wait.bytes;
	}
}

void sh_log_hold(struct sh_log_held *h, char *text, size_t size)
{
	*h = (struct sh_log_held){ .text = text, .size = size, .first = held == NULL };
	if (h->first)
		held = h;
}

static SH_NOINLINE void pass(const struct sh_log_held *h)
{
	char detail[SH_ERROR_DETAIL_BYTES];
	struct waiting wait = { NULL, NULL, SHUNT_LOG_ERROR, 0 };
	SH_NO_CANCEL;
	size_t at;

	(void)snprintf(detail, sizeof(detail), "%s", shunt_error_detail());
	for (at = 0; at < h->used; at += sizeof(wait) + wait.bytes) {
		memcpy(&wait, h->text + at, sizeof(wait));
		wait.fn(wait.arg, wait.level, h->text + at + sizeof(wait));
	}
	if (h->lost > 0)
		sh_log_write(h->log, SHUNT_LOG_ERROR, "%u more lines had no room while a lock was held", h->lost);
	if (detail[0])
		sh_error_detail("%s", detail);
	else
		sh_error_detail_clear();
}

void sh_log_pass(struct sh_log_held *h)
{
	if (!h->first)
		return;
	held = NULL;
	if (h->used > 0 || h->lost > 0)
		pass(h);
}

void sh_log_write(const struct sh_log *log, enum shunt_log_level level, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	if (!wanted(log, level))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	deliver(log, level, line);
}

/* In a log line, " | " stands for the end of a line of the text. */
static void log_lines(const struct sh_log *log, const char *text)
{
	char line[SH_REFUSE_TEXT + 256];
	size_t n = 0;

	for (; *text && n + sizeof(" | ") < sizeof(line); text++) {
		if (*text != '\n') {
			line[n++] = *text;
			continue;
		}
		memcpy(line + n, " | ", 3);
		n += 3;
	}
	line[n] = '\0';
	deliver(log, SHUNT_LOG_ERROR, line);
}

int sh_refuse(const struct sh_log *log, int code, const char *fmt, ...)
{
	char text[SH_REFUSE_TEXT];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (wanted(log, SHUNT_LOG_ERROR))
		log_lines(log, text);
	return sh_error_set(code, "%s", text); /* last: the hook may have made calls of its own */
}
