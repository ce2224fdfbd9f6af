/*
 * tests/fuzz/fuzz.h - what the fuzz targets share: a requirement that also counts without assertions, and the input as
 * a text. A target says in its opening comment, in a line "sources:", which files (or folders, with a final slash) are built with coverage for it;
 * tests/e2e/fuzz.sh builds and runs all of them, each with the seeds of its folder NAME_corpus.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TEST_FUZZ_H
#define TEST_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Given by the fuzzer's own main. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define REQUIRE(what) ((what) ? (void)0 : fuzz_failed(#what, __FILE__, __LINE__))

/* To the descriptor that the fuzzer keeps open for reports, by way of the sanitizer's own abort message. */
static inline _Noreturn void fuzz_failed(const char *what, const char *file, int line)
{
	(void)fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
	(void)fflush(stderr);
	abort();
}

/* The bytes with a zero after them, in a block of exactly that size; goes back with free. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	REQUIRE(text);
	if (size)
		(void)memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

/* The same bytes in a block of exactly their size, so that one byte beyond is seen; goes back with free. */
static inline uint8_t *fuzz_bytes(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	REQUIRE(copy);
	if (size)
		(void)memcpy(copy, data, size);
	return copy;
}

#endif
