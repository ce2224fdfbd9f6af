/*
 * tests/fuzz/fuzz_cpulist.c - any text as a list of cpus; after an 's', any bytes as a set of cpus.
 * Invariants: what is taken reads the same after it was written; a set survives writing and reading; the text is
 * terminated within its buffer and its length does not depend on the buffer; what is refused is SHUNT_EINVAL.
 * sources: runtime/machine/cpulist.c
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz.h"

#include <shunt/error.h>

#include "machine/cpulist.h"

static char whole[SH_CPUS_MAX * 6]; /* every other cpu: 4096 numbers of up to four digits and a comma */

static void check_same(const struct sh_cpus *s)
{
	struct sh_cpus again;
	size_t len = sh_cpus_format(s, whole, sizeof(whole));

	REQUIRE(len < sizeof(whole) && strlen(whole) == len);
	REQUIRE(sh_cpus_parse(&again, whole) == SHUNT_OK);
	REQUIRE(memcmp(s, &again, sizeof(again)) == 0);
	REQUIRE((len == 0) == (sh_cpus_count(s) == 0));
}

/* A buffer of `room` bytes holds the head of the whole text. */
static void check_cut(const struct sh_cpus *s, size_t room)
{
	char *cut = malloc(room);

	REQUIRE(cut);
	REQUIRE(sh_cpus_format(s, cut, room) == strlen(whole));
	REQUIRE(strlen(cut) < room && strncmp(cut, whole, strlen(cut)) == 0);
	REQUIRE(strlen(cut) == strlen(whole) || strlen(cut) + 1 == room);
	free(cut);
}

/* The meaning of a list that was taken, found another way: every item is a number or a range that goes up. */
static void check_meaning(const struct sh_cpus *s, const char *text)
{
	struct sh_cpus mine;
	char *p = (char *)(uintptr_t)text;

	(void)memset(&mine, 0, sizeof(mine));
	while (text[strspn(text, " \t\n\v\f\r")]) {
		unsigned long a = strtoul(p, &p, 10);
		unsigned long b = *p == '-' ? strtoul(p + 1, &p, 10) : a;

		REQUIRE(a <= b && b < SH_CPUS_MAX);
		for (; a <= b; a++)
			sh_cpus_add(&mine, (uint32_t)a);
		p += strcspn(p, ",");
		if (!*p)
			break;
		p++;
	}
	REQUIRE(memcmp(s, &mine, sizeof(mine)) == 0);
}

/* The calls on sets agree with each other. */
static void check_members(const struct sh_cpus *s)
{
	struct sh_cpus half = *s;
	uint32_t n = 0;

	for (uint32_t i = 0; i < SH_CPUS_MAX; i++)
		n += sh_cpus_has(s, i);
	REQUIRE(n == sh_cpus_count(s));
	REQUIRE(!sh_cpus_has(s, SH_CPUS_MAX));
	sh_cpus_and(&half, s);
	REQUIRE(memcmp(&half, s, sizeof(half)) == 0);
	sh_cpus_or(&half, s);
	REQUIRE(memcmp(&half, s, sizeof(half)) == 0);
}

/* The bytes as the set itself, repeated. */
static void fuzz_set(const uint8_t *data, size_t size)
{
	struct sh_cpus s;

	for (size_t i = 0; i < sizeof(s); i++)
		((uint8_t *)s.w)[i] = size ? data[i % size] : 0;
	check_same(&s);
	check_cut(&s, size ? data[0] + 1u : 1u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sh_cpus s;
	char *text;
	int rc;

	if (size && data[0] == 's') {
		fuzz_set(data + 1, size - 1);
		return 0;
	}
	text = fuzz_text(data, size);
	rc = sh_cpus_parse(&s, text);
	REQUIRE(rc == SHUNT_OK || rc == SHUNT_EINVAL);
	if (rc == SHUNT_OK) {
		/* Nothing but digits, blanks and the two signs is a list. */
		REQUIRE(strspn(text, "0123456789-, \t\n\v\f\r") == strlen(text));
		check_meaning(&s, text);
		check_same(&s);
		check_cut(&s, size ? data[0] % 64u + 1u : 1u);
		check_members(&s);
	}
	free(text);
	return 0;
}
