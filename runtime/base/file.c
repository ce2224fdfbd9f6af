/* base/file.c - see file.h. SPDX-License-Identifier: MIT */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <shunt/error.h>

#include "base/inject.h"
#include "base/mem.h"
#include "base/value.h"

#define FIRST_BYTES 16384u
#define NULL_MAJOR 1u /* of /dev/null, on every Linux */
#define NULL_MINOR 3u

char *sh_file_say_long(char why[SH_FILE_WHY_MAX], uint64_t bytes_max)
{
	char size[SH_VALUE_TEXT];

	(void)snprintf(why, SH_FILE_WHY_MAX, "is longer than %s; want a shorter file",
		       sh_value_print_size(size, bytes_max));
	return why;
}

/* False: a file of this kind has no end, or no bytes. */
static bool kind_ends(int fd, const struct stat *st)
{
	if (S_ISREG(st->st_mode) || S_ISFIFO(st->st_mode) || S_ISSOCK(st->st_mode))
		return true;
	if (!S_ISCHR(st->st_mode))
		return false;
	return isatty(fd) || (major(st->st_rdev) == NULL_MAJOR && minor(st->st_rdev) == NULL_MINOR);
}

FILE *sh_file_open(const char *path, uint64_t bytes_max, char why[SH_FILE_WHY_MAX])
{
	int fd = SH_FAIL("file.open") ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	FILE *f = NULL;

	if (fd < 0 || fstat(fd, &st) != 0) {
		(void)snprintf(why, SH_FILE_WHY_MAX, "%s", strerror(errno));
	} else if (!kind_ends(fd, &st)) {
		(void)snprintf(why, SH_FILE_WHY_MAX, "is a %s; want a regular file or a pipe",
			       S_ISDIR(st.st_mode) ? "directory" : "device");
	} else if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > bytes_max) {
		(void)sh_file_say_long(why, bytes_max);
	} else {
		f = SH_FAIL("file.open") ? NULL : fdopen(fd, "r");
		if (f)
			return f;
		(void)snprintf(why, SH_FILE_WHY_MAX, "%s", strerror(errno));
	}
	if (fd >= 0)
		(void)close(fd);
	return NULL;
}

/* Reads up to bytes_max and one more, which shows that there is more. */
static int read_all(FILE *f, size_t bytes_max, char **text, size_t *len, char why[SH_FILE_WHY_MAX])
{
	size_t room = 0;
	char *grown;

	errno = 0;
	for (;;) {
		if (*len == room) {
			room = room ? room * 2 : FIRST_BYTES;
			room = room < bytes_max + 1 ? room : bytes_max + 1;
			grown = SH_FAIL("file.alloc") ? NULL : sh_heap_resize(*text, room + 1, 1);
			if (!grown)
				return SHUNT_ENOMEM;
			*text = grown;
		}
		*len += fread(*text + *len, 1, room - *len, f);
		if (SH_FAIL("file.read") || ferror(f)) {
			(void)snprintf(why, SH_FILE_WHY_MAX, "%s", strerror(errno ? errno : EIO));
			return SHUNT_EIO;
		}
		if (*len > bytes_max) {
			(void)sh_file_say_long(why, bytes_max);
			return SHUNT_EIO;
		}
		if (*len < room)
			break;
	}
	(*text)[*len] = '\0';
	return SHUNT_OK;
}

int sh_file_read(const char *path, size_t bytes_max, char **text, size_t *len, char why[SH_FILE_WHY_MAX])
{
	FILE *f = sh_file_open(path, bytes_max, why);
	int rc;

	*text = NULL;
	*len = 0;
	if (!f)
		return SHUNT_EIO;
	rc = read_all(f, bytes_max, text, len, why);
	(void)fclose(f);
	if (rc != SHUNT_OK) {
		sh_heap_free(*text);
		*text = NULL;
		*len = 0;
	}
	return rc;
}
