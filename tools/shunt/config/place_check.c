/* shunt/config/place_check.c - see place_check.h. SPDX-License-Identifier: MIT */
#include "config/place_check.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shunt/error.h>
#include <shunt/topo.h>

#define QUOTED_MAX 60u /* bytes of a term that a message of the planner quotes */

/*
 * Is the message about the grammar? Those read "'TERM': offset N: expected ...", where TERM is the
 * whole term, cut with "...". All others are about the machine.
 */
static bool about_grammar(const char *message, const char *term)
{
	size_t n = strlen(term);
	size_t skip = n > QUOTED_MAX ? QUOTED_MAX + 3 : n;

	return strlen(message) > skip + 4 && strncmp(message + 1 + skip, "': offset ", 10) == 0;
}

/* Checks one term. Blanks precede it in `text`, so that offsets count from the whole expression. */
static int check_term(const struct shunt_topo *topo, const char *text, char *why, size_t size)
{
	struct shunt_plan_opts opts = SHUNT_PLAN_OPTS_INIT;
	struct shunt_plan *plan = NULL;
	const char *term;
	int rc;

	opts.place = text;
	opts.policy = SHUNT_PIN_NONE;
	opts.workers = 1;
	rc = shunt_plan_create(topo, &opts, &plan);
	(void)snprintf(why, size, "%s", shunt_error_detail());
	shunt_plan_destroy(plan);
	term = text + strspn(text, " \t");
	if (rc == SHUNT_EPLACE && !about_grammar(why, *term ? term : text)) /* of an empty term all is quoted */
		rc = 0;
	return rc;
}

/* The message about an empty term, of which check_term saw no more than that: quotes the text, and what is there. */
static void say_empty(const char *text, size_t end, char *why, size_t size)
{
	char was[512];
	const char *from, *to;

	(void)snprintf(was, sizeof(was), "%s", why);
	from = strstr(was, "': ");
	to = strstr(was, ", found ");
	if (from && to)
		(void)snprintf(why, size, "'%.*s%s%.*s, found %s", QUOTED_MAX, text,
			       strlen(text) > QUOTED_MAX ? "..." : "", (int)(to - from), from,
			       text[end] == ',' ? "','" : "the end");
}

int place_check(const char *text, char *why, size_t size)
{
	struct shunt_topo_opts opts = SHUNT_TOPO_OPTS_INIT;
	struct shunt_topo *topo = NULL;
	char *copy = strdup(text);
	size_t at = 0;
	int rc = copy ? 0 : SHUNT_ENOMEM;

	opts.synthetic = "core:1 pu:1"; /* any machine serves */
	if (rc == 0)
		rc = shunt_topo_open(&topo, &opts);
	while (rc == 0) { /* bound: the terms of the text */
		size_t end = at + strcspn(text + at, ",");

		(void)memset(copy, ' ', at);
		(void)memcpy(copy + at, text + at, end - at);
		copy[end] = '\0';
		rc = check_term(topo, copy, why, size);
		if (rc == SHUNT_EPLACE && copy[strspn(copy, " \t")] == '\0')
			say_empty(text, end, why, size);
		if (text[end] == '\0')
			break;
		at = end + 1;
	}
	shunt_topo_close(topo);
	free(copy);
	return rc;
}
