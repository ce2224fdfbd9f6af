/*
 * shunt/advise_file.h - the file of `shunt advise --write`: opened before the measurement, so that a bad name costs no
 * minute, and filled after it. What does not come to a good end leaves nothing behind, and an older file as it was;
 * only a second signal, which ends the process at once, leaves a new file empty. Called by cmd_advise.c.
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
	bool made;        /* by us, and nothing is in it yet */
};

/*
 * Opens or makes the file; one that is there is an error unless `force`. CLI_OK; CLI_USAGE (it is there) or CLI_FAILED
 * after a message.
 */
int advise_file_open(struct advise_file *af, const char *path, bool force);
/* Replaces what is in it. False after a message. Without a file nothing is done. */
bool advise_file_write(struct advise_file *af, const char *text);
/* Closes; takes away a file that was made and not written. */
void advise_file_close(struct advise_file *af);

#endif
