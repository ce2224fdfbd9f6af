/*
 * base/error.c - texts of the public error table, the detail of a thread's last error, and the version. See error.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/error.h"

#include <shunt/version.h>

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/inject.h"

struct error_row {
	int code;
	int retryable;
	const char *name;
	const char *text;
};

#define SHUNT_ERROR_RANGE(name, value, retryable, text) \
	_Static_assert((value) < -10000 && (value) > -11000, "SHUNT_" #name " is in the library's range");
SHUNT_ERROR_TABLE(SHUNT_ERROR_RANGE)
#undef SHUNT_ERROR_RANGE

static const struct error_row error_rows[] = {
	{ SHUNT_OK, 0, "SHUNT_OK", "success" },
#define SHUNT_ERROR_ROW(name, value, retryable, text) { (value), (retryable), "SHUNT_" #name, (text) },
	SHUNT_ERROR_TABLE(SHUNT_ERROR_ROW)
#undef SHUNT_ERROR_ROW
};

static const struct error_row *error_find(int code)
{
	size_t i = 0;

	if (code > 0)
		code = SHUNT_OK;
	for (i = 0; i < sizeof(error_rows) / sizeof(error_rows[0]); i++)
		if (error_rows[i].code == code)
			return &error_rows[i];
	return NULL;
}

const char *shunt_version(void)
{
	return SHUNT_VERSION_STRING;
}

const char *shunt_strerror(int code)
{
	const struct error_row *row = error_find(code);

	return row ? row->text : "unknown error";
}

const char *shunt_error_name(int code)
{
	const struct error_row *row = error_find(code);

	return row ? row->name : "SHUNT_?";
}

int shunt_error_retryable(int code)
{
	const struct error_row *row = error_find(code);

	return row ? row->retryable : 0;
}

/* ---- detail: one of TEXTS texts for each thread that has something to say, or `no_room` ---- */

#define TEXTS 64u

static char no_room[] = "the detail of this error has no room: 64 other threads keep theirs";

/* sync: the thread that took it; pages that no thread touched cost nothing */
static char texts[TEXTS][SH_ERROR_DETAIL_BYTES];
static bool text_taken[TEXTS];                                 /* sync: lock(texts_lock) */
static pthread_mutex_t texts_lock = PTHREAD_MUTEX_INITIALIZER; /* innermost: nothing is taken while it is held */

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* sync: const after key_once; the thread's text */
static bool key_made;     /* sync: const after key_once */

/* Thread-end hook: the next thread may have the text. */
static void text_give(void *text)
{
	(void)pthread_mutex_lock(&texts_lock);
	if (text != no_room)
		text_taken[((char *)text - texts[0]) / SH_ERROR_DETAIL_BYTES] = false;
	(void)pthread_mutex_unlock(&texts_lock);
}

/* NULL when other threads have them all. */
static char *text_take(void)
{
	uint32_t i = 0;

	(void)pthread_mutex_lock(&texts_lock);
	while (i < TEXTS && text_taken[i])
		i++;
	if (i < TEXTS)
		text_taken[i] = true;
	(void)pthread_mutex_unlock(&texts_lock);
	return i < TEXTS ? texts[i] : NULL;
}

/* The lock and the other texts may have belonged to threads that do not exist here. */
static void forked_child(void)
{
	const char *own = pthread_getspecific(key);
	uint32_t i;

	(void)pthread_mutex_init(&texts_lock, NULL);
	for (i = 0; i < TEXTS; i++)
		text_taken[i] = own == texts[i];
}

static void key_make(void)
{
	if (SH_FAIL("error.key") || pthread_key_create(&key, text_give) != 0)
		return;
	if (pthread_atfork(NULL, NULL, forked_child) != 0) /* the C library reverts it at unload */
		(void)pthread_key_delete(key);
	else
		key_made = true;
}

/* The library leaves the process: threads that end later must not call into it. */
__attribute__((destructor)) static void key_delete(void)
{
	if (key_made)
		(void)pthread_key_delete(key);
}

/* The thread's text; NULL when it has none. */
static char *text_get(void)
{
	(void)pthread_once(&key_once, key_make);
	return key_made ? pthread_getspecific(key) : NULL;
}

/* The same, taken if need be; NULL when there is none to take, and then `no_room` is what is said. */
static char *text_get_or_take(void)
{
	char *text = text_get();

	if (text && text != no_room)
		return text;
	if (!key_made)
		return NULL;
	text = SH_FAIL("error.text") ? NULL : text_take();
	if (text && pthread_setspecific(key, text) == 0)
		return text;
	if (text)
		text_give(text);
	(void)pthread_setspecific(key, no_room);
	return NULL;
}

/* Formats aside first: the arguments may lie in the thread's text. */
static void detail_set(const char *fmt, va_list ap)
{
	char text[SH_ERROR_DETAIL_BYTES];
	int saved = errno;
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	char *own = text_get_or_take();

	if (n >= (int)sizeof(text))
		memcpy(text + sizeof(text) - sizeof("..."), "...", sizeof("..."));
	if (own)
		memcpy(own, text, strlen(text) + 1);
	errno = saved;
}

void sh_error_detail_clear(void)
{
	char *text = text_get();

	if (text == no_room)
		(void)pthread_setspecific(key, NULL);
	else if (text)
		text[0] = '\0';
}

void sh_error_detail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	detail_set(fmt, ap);
	va_end(ap);
}

bool sh_error_detail_append(const char *fmt, ...)
{
	int saved = errno;
	char *text = text_get_or_take();
	size_t at = text ? strlen(text) : 0;
	bool fits = text != NULL;
	va_list ap;

	if (text) {
		va_start(ap, fmt);
		fits = vsnprintf(text + at, SH_ERROR_DETAIL_BYTES - at, fmt, ap) < (int)(SH_ERROR_DETAIL_BYTES - at);
		va_end(ap);
		if (!fits) /* a part of a problem is not kept */
			text[at] = '\0';
	}
	errno = saved;
	return fits;
}

int sh_error_set(int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	detail_set(fmt, ap);
	va_end(ap);
	return code;
}

const char *shunt_error_detail(void)
{
	const char *text = text_get();

	return text ? text : "";
}
