/*
 * tests/fuzz/fuzz_place.c - any text as a place expression, on a machine that the first byte chooses.
 * Invariants: an expression gives at least one cpu, each once, all allowed; or nothing and a message that quotes the
 * term, and names an offset within the text when a character is wrong. The cpus written as a list of numbers give the
 * same cpus in the same order. Spelling with blanks changes nothing, nor does asking without a buffer for the message.
 * The work is bounded: the fuzzer's own time limit ends an expression that multiplies.
 * sources: runtime/machine/place.c runtime/machine/cpulist.c
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz.h"

#include <ctype.h>

#include "machine/place.h"

static const struct {
	const char *xml, *synthetic, *allowed;
} machines[] = {
	{ FUZZ_SRCDIR "/tests/topo/two-packages-smt.xml", NULL, NULL },
	{ FUZZ_SRCDIR "/tests/topo/four-nodes-memory-only.xml", NULL, NULL },
	{ FUZZ_SRCDIR "/tests/topo/hybrid.xml", NULL, NULL },
	{ FUZZ_SRCDIR "/tests/topo/cpuset-hole.xml", NULL, NULL },
	{ FUZZ_SRCDIR "/tests/topo/one-cpu.xml", NULL, NULL },
	{ FUZZ_SRCDIR "/tests/topo/eight-l3.xml", NULL, "1-3,9" },
	{ NULL, "package:2 numa:2 l3:2 core:4 pu:2", NULL },
	{ NULL, "package:2 l3:1 core:2 pu:2", "0,3-5" },
};

static struct shunt_topo *topo[SH_COUNT(machines)];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	for (size_t i = 0; i < SH_COUNT(machines); i++) {
		struct shunt_topo_opts o = SHUNT_TOPO_OPTS_INIT;

		o.xml_file = machines[i].xml;
		o.synthetic = machines[i].synthetic;
		o.allowed_cpus = machines[i].allowed;
		REQUIRE(shunt_topo_open(&topo[i], &o) == SHUNT_OK);
	}
	return 0;
}

/* Whether the term that a message quotes comes from the text: unprintable bytes as '?', the end cut off by "...". */
static bool quotes(const char *text, const char *term, size_t len)
{
	char plain[SH_PLACE_TEXT_MAX + 1], quoted[128];
	size_t n = 0;

	for (; text[n] && n < sizeof(plain) - 1; n++)
		plain[n] = (char)(isprint((unsigned char)text[n]) ? text[n] : '?');
	plain[n] = '\0';
	if (len >= sizeof(quoted))
		return false;
	memcpy(quoted, term, len);
	quoted[len] = '\0';
	if (strstr(plain, quoted))
		return true;
	if (len < 3 || strcmp(quoted + len - 3, "...") != 0)
		return false;
	quoted[len - 3] = '\0';
	return strstr(plain, quoted) != NULL;
}

/*
 * 'TERM': what; "offset N" lies within the text. The text may itself hold what ends a term in a message, so the term is
 * the longest that the text has.
 */
static void check_message(const char *text, const char *err)
{
	static const char mark[] = "offset ", end[] = "': ";
	const char *what = NULL;

	REQUIRE(err[0] == '\'');
	for (const char *s = err; *s; s++)
		REQUIRE(isprint((unsigned char)*s));
	for (const char *at = strstr(err, end); at; at = strstr(at + 1, end))
		if (quotes(text, err + 1, (size_t)(at - err - 1)))
			what = at + sizeof(end) - 1;
	REQUIRE(what && *what);
	if (strncmp(what, mark, sizeof(mark) - 1) == 0) {
		REQUIRE(strtoull(what + sizeof(mark) - 1, NULL, 10) <= strlen(text));
		REQUIRE(strstr(what, ": expected ") && strstr(what, ", found "));
	}
}

static void check_cpus(const struct shunt_topo *t, const uint16_t *pus, uint32_t n)
{
	struct sh_cpus seen;

	(void)memset(&seen, 0, sizeof(seen));
	REQUIRE(n >= 1 && n <= t->pus_n);
	for (uint32_t i = 0; i < n; i++) {
		REQUIRE(pus[i] < t->pus_n && t->pus[pus[i]].allowed && t->pus[pus[i]].online);
		REQUIRE(!sh_cpus_has(&seen, pus[i]));
		sh_cpus_add(&seen, pus[i]);
	}
}

/* The same cpus, said by their numbers, are the same in the same order. */
static void check_again(const struct shunt_topo *t, const uint16_t *pus, uint32_t n)
{
	static uint16_t again[SH_CPUS_MAX];
	char text[SH_PLACE_TEXT_MAX + 1];
	size_t at = 0;
	uint32_t m = 0;

	for (uint32_t i = 0; i < n && at < sizeof(text) - 8; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%u", i ? "," : "", t->pus[pus[i]].os_cpu);
	REQUIRE(sh_place_parse(t, text, again, &m) == SHUNT_OK);
	REQUIRE(m == n && memcmp(pus, again, n * sizeof(*pus)) == 0);
}

/* A blank after every sign that ends a word. */
static void check_blanks(const struct shunt_topo *t, const char *text, const uint16_t *pus, uint32_t n)
{
	static uint16_t again[SH_CPUS_MAX];
	char wide[SH_PLACE_TEXT_MAX + 1];
	uint32_t m = 0;
	size_t at = 0;

	for (const char *s = text; *s; s++) {
		if (at + 2 >= sizeof(wide))
			return;
		wide[at++] = *s;
		if (strchr(",.:+-!", *s))
			wide[at++] = ' ';
	}
	wide[at] = '\0';
	REQUIRE(sh_place_parse(t, wide, again, &m) == SHUNT_OK);
	REQUIRE(m == n && memcmp(pus, again, n * sizeof(*pus)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint16_t pus[SH_CPUS_MAX];
	const struct shunt_topo *t = topo[size ? data[0] % SH_COUNT(topo) : 0];
	char *text = fuzz_text(data + (size > 0), size - (size > 0));
	uint32_t n = 0;
	int rc = sh_place_parse(t, text, pus, &n);

	if (rc == SHUNT_OK) {
		REQUIRE(shunt_error_detail()[0] == '\0');
		check_cpus(t, pus, n);
		check_again(t, pus, n);
		check_blanks(t, text, pus, n);
	} else {
		REQUIRE(rc == SHUNT_EPLACE && n == 0);
		check_message(text, shunt_error_detail());
	}
	free(text);
	return 0;
}
