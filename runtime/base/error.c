/* base/error.c - texts of the public error table, and the version. Called by users and by every report. SPDX-License-Identifier: MIT */
#include <shunt/error.h>
#include <shunt/version.h>

#include <stddef.h>

struct error_row {
	int code;
	int retryable;
	const char *name;
	const char *text;
};

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
