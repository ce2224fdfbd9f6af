/* shunt/advise/file.c - see advise/file.h. SPDX-License-Identifier: MIT */
#include "advise/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/cli.h"

int advise_file_open(struct advise_file *af, const char *path, bool force)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	(void)memset(af, 0, sizeof(*af));
	af->path = path;
	af->made = fd >= 0;
	if (fd < 0 && errno == EEXIST && force)
		fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 && errno == EEXIST) {
		cli_error("--write: '%s': is there already; want a new name, or --force", path);
		return CLI_USAGE;
	}
	if (fd >= 0)
		af->f = fdopen(fd, "w"); /* truncates nothing */
	if (af->f)
		return CLI_OK;
	cli_error("--write: '%s': %s", path, strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	if (af->made)
		(void)unlink(path);
	af->made = false;
	return CLI_FAILED;
}

bool advise_file_write(struct advise_file *af, const char *text)
{
	FILE *f = af->f;
	int error = 0;

	if (!f)
		return true;
	/* EINVAL: no regular file, such as a pipe */
	if (ftruncate(fileno(f), 0) != 0 && errno != EINVAL)
		error = errno;
	if (error == 0 && (fputs(text, f) < 0 || fflush(f) != 0))
		error = errno;
	if (fclose(f) != 0 && error == 0)
		error = errno;
	af->f = NULL;
	if (error != 0) {
		cli_error("--write: '%s': %s", af->path, strerror(error));
		return false;
	}
	af->made = false;
	return true;
}

void advise_file_close(struct advise_file *af)
{
	if (af->f)
		(void)fclose(af->f);
	if (af->made)
		(void)unlink(af->path);
	(void)memset(af, 0, sizeof(*af));
}
