/*
 * shunt/advise/file.h - the file of `shunt advise --write`: opened before the measurement, so that
 * a bad name fails at once, and written after it. A failure leaves no new file, and an older file
 * unchanged. Only a later signal, which ends the process at once, leaves a new file empty. Called
 * by cmd_advise.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_ADVISE_FILE_H
#define SHUNT_ADVISE_FILE_H

#include <stdbool.h>
#include <stdio.h>

struct advise_file { /* all zero = none */
	FILE *f;
	const char *path; /* borrowed */
	bool made;        /* created here, and still empty */
};

/*
 * Opens or creates the file; an existing one is an error unless `force`. CLI_OK; CLI_USAGE (it
 * exists) or CLI_FAILED after a message.
 */
int advise_file_open(struct advise_file *af, const char *path, bool force);
/* Replaces the contents. False after a message. Does nothing without a file. */
bool advise_file_write(struct advise_file *af, const char *text);
/* Closes the file; removes one that was created and not written. */
void advise_file_close(struct advise_file *af);

#endif
