/*
 * base/file.h - opens and reads the files that a user names: a kind that ends, and a limit of bytes. A device such as
 * /dev/zero has no end, and a pipe has one only when its writer says so. Called by the readers of configurations,
 * topologies and histogram logs, and by the command.
 *
 * Thread: any. Blocks: on the file; on a pipe until its other end writes or leaves. A failure leaves in `why` what is
 * wrong and, where the user can do something about it, what would be right.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_BASE_FILE_H
#define SH_BASE_FILE_H

#include <stdint.h>
#include <stdio.h>

#include "base/compiler.h"

#define SH_FILE_WHY_MAX 128u

/*
 * Opens a regular file of at most bytes_max bytes, a pipe or socket, a terminal or /dev/null. NULL: it cannot be
 * opened, or is of another kind, or longer. The reader of a pipe counts the bytes itself.
 */
FILE *sh_file_open(const char *path, uint64_t bytes_max, char why[SH_FILE_WHY_MAX]) SH_MUST_USE;
/*
 * The whole content, with a 0 behind it, in memory that the caller gives back with sh_heap_free. 0 or SHUNT_EIO (see
 * above), SHUNT_ENOMEM.
 */
int sh_file_read(const char *path, size_t bytes_max, char **text, size_t *len, char why[SH_FILE_WHY_MAX]) SH_MUST_USE;
/* "is longer than 1 MiB; want a shorter file": what a reader says of a pipe that goes on. Returns why. */
char *sh_file_say_long(char why[SH_FILE_WHY_MAX], uint64_t bytes_max);

#endif
