/*
 * Files that a user names: which kinds are opened, how long they may be, and what is said of the others.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <shunt/error.h>

#include "base/file.h"
#include "base/mem.h"

#define MOST 100000u

static char path[] = "/tmp/shunt-file-XXXXXX";
static char pipe_path[64];

static void refused(const char *name, const char *want)
{
	char why[SH_FILE_WHY_MAX] = "";
	char *text = NULL;
	size_t len = 0;

	assert_int_equal(sh_file_read(name, MOST, &text, &len, why), SHUNT_EIO);
	assert_string_equal(why, want);
	assert_true(text == NULL && len == 0);
}

static void taken(const char *name, size_t want)
{
	char why[SH_FILE_WHY_MAX] = "";
	char *text = NULL;
	size_t len = 0;

	if (sh_file_read(name, MOST, &text, &len, why) != SHUNT_OK)
		fail_msg("%s: %s", name, why);
	assert_int_equal(len, want);
	assert_int_equal(text[len], '\0');
	for (size_t i = 0; i < len; i++)
		assert_int_equal(text[i], 'a' + i % 26);
	sh_heap_free(text);
}

static void put(size_t n, const char *where)
{
	FILE *f = fopen(where, "w");

	assert_non_null(f);
	for (size_t i = 0; i < n; i++)
		(void)fputc('a' + (int)(i % 26), f);
	(void)fclose(f); /* of a pipe whose reader has left: nobody to tell */
}

static void kinds(void **state)
{
	(void)state;
	refused("/nonexistent/x", "No such file or directory");
	refused("/tmp", "is a directory; want a regular file or a pipe");
	refused("/dev/zero", "is a device; want a regular file or a pipe");
	taken("/dev/null", 0);
	put(0, path);
	taken(path, 0);
	put(MOST, path);
	taken(path, MOST);
	put(MOST + 1, path);
	refused(path, "is longer than 100kB; want a shorter file");
}

static size_t pipe_bytes;

static void *writer(void *unused)
{
	(void)unused;
	put(pipe_bytes, pipe_path);
	return NULL;
}

/* A pipe has no size: what is read counts. */
static void pipes(void **state)
{
	static const size_t sizes[] = { 0, 1, MOST, MOST + 1, 3 * MOST };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		pthread_t t;

		pipe_bytes = sizes[i];
		assert_int_equal(pthread_create(&t, NULL, writer, NULL), 0);
		if (sizes[i] <= MOST)
			taken(pipe_path, sizes[i]);
		else
			refused(pipe_path, "is longer than 100kB; want a shorter file");
		assert_int_equal(pthread_join(t, NULL), 0);
	}
}

static int make(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)snprintf(pipe_path, sizeof(pipe_path), "%s.pipe", path);
	return fd < 0 || close(fd) != 0 ? -1 : mkfifo(pipe_path, 0600);
}

static int clear(void **state)
{
	(void)state;
	return unlink(path) + unlink(pipe_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(kinds), cmocka_unit_test(pipes) };

	return cmocka_run_group_tests(tests, make, clear);
}
