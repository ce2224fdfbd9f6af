/*
 * model/lines/lines.h - who touches which line: seen.c notes it, lines.c runs the jobs and judges.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MODEL_LINES_LINES_H
#define MODEL_LINES_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/site.h"

#define LINES_THREADS 320u
#define LINES_STACK_BYTES (64u * 1024u)
#define LINE_BITS 6u

/* What a window is about (lines.c). */
enum lines_kind { LINES_SUBMIT,
		  LINES_RUN,
		  LINES_REST,
		  LINES_KINDS };

struct lines_kept;

/* The windows of one kind. */
struct lines_count {
	uint32_t windows, shared_max, fetched_max;
	uint64_t shared, fetched;         /* of all of them */
	const struct lines_kept *largest; /* most shared lines */
};

_Noreturn void lines_fail(const char *what);
/* Once, before any other call. */
void lines_open(void);
/* A new machine: nobody has touched anything. The windows that were kept are forgotten. */
void lines_reset(void);
/* From now on, or no more, a touch makes a line shared. */
void lines_watch(bool on);
/* Opens a window of `thread`, in place of the one that was open. */
void lines_window(enum lines_kind kind, uint32_t thread);
/* Closes it, if there is one. Kept ones are counted. */
void lines_close(uint32_t thread, bool keep);
void lines_close_all(void);
void lines_count(struct lines_count count[LINES_KINDS]);
/* Calls fn for each shared line of a window; site: of the first atomic operation on it there, or NULL. */
void lines_each(const struct lines_kept *k, void (*fn)(uintptr_t address, bool fetched, const struct model_site *site));
/* Of a fiber, for virt_set_stacks. */
void *lines_stack(size_t bytes);

#endif
