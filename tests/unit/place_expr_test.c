/*
 * Place expressions on recorded and described machines: what every form selects and in which order, every message,
 * and random text, which must either be refused with a message or give allowed cpus, each once.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include "base/clock.h"
#include "base/rng.h"
#include "machine/place.h"

#define SMT TU_XML("two-packages-smt")
#define NODES TU_XML("four-nodes-memory-only")
#define HYBRID TU_XML("hybrid")
#define HOLE TU_XML("cpuset-hole")

static uint16_t picked[SH_CPUS_MAX];

/* Compares the kernel numbers, in order, with "1 2 3". */
static void gives(const struct shunt_topo *t, const char *expr, const char *want)
{
	char got[8192] = "";
	uint32_t n = 0;
	int rc = sh_place_parse(t, expr, picked, &n);

	for (uint32_t i = 0; i < n; i++) {
		size_t at = strlen(got);

		(void)snprintf(got + at, sizeof(got) - at, "%s%u", i ? " " : "", t->pus[picked[i]].os_cpu);
	}
	if (rc != SHUNT_OK)
		print_message("%s: %s\n", expr, shunt_error_detail());
	assert_int_equal(rc, SHUNT_OK);
	assert_string_equal(shunt_error_detail(), "");
	assert_string_equal(got, want);
}

static void refuses(const struct shunt_topo *t, const char *expr, const char *message)
{
	uint32_t n = 7;

	assert_int_equal(sh_place_parse(t, expr, picked, &n), SHUNT_EPLACE);
	assert_int_equal(n, 0);
	assert_string_equal(shunt_error_detail(), message);
}

static void paths(void **state)
{
	struct shunt_topo *t = tu_topo_xml(SMT, 0);

	(void)state;
	gives(t, "numa:1.core:*.pu:0", "16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31");
	gives(t, "package:0.core:2-4", "2 34 3 35 4 36");
	gives(t, "package:1.core:2", "18 50");
	gives(t, "core:18", "18 50");
	gives(t, "pu:0-2", "0 32 1"); /* machine order, not the kernel's numbers */
	gives(t, "package:*.core:0.pu:*", "0 32 16 48");
	gives(t, "l3:1.core:15+0.pu:1", "63 48");
	gives(t, "numa:0.l3:0.core:1", "1 33");
	gives(t, "kind:performance.core:3.pu:1", "35");
	gives(t, "package:1.numa:0.core:0.pu:0", "16"); /* below a parent the index counts within it */
	shunt_topo_close(t);
}

static void lists(void **state)
{
	struct shunt_topo *t = tu_topo_xml(SMT, 0);

	(void)state;
	gives(t, "0-3", "0 1 2 3");
	gives(t, "cpus:3,1,8", "3 1 8");
	gives(t, "cpus:3+1+5-6", "3 1 5 6");
	gives(t, "63,0,63,0-1", "63 0 1"); /* each once, first place counts */
	gives(t, " cpus : 1 , core : 2 . pu : 0 ", "1 2");
	gives(t, "l3:0.core:0,8", "0 32 8"); /* after a comma a number is a cpu again */
	gives(t, "core:0,!cpus:32", "0");
	gives(t, "!cpus:32,core:0", "0"); /* exclusion concerns the whole union */
	gives(t, "numa:1,!core:16-30", "31 63");
	gives(t, "!1-63", "0");
	shunt_topo_close(t);
}

static void all_is_the_default(void **state)
{
	struct shunt_topo *t = tu_topo_text("package:1 core:2 pu:2", NULL);

	(void)state;
	gives(t, NULL, "0 1 2 3");
	gives(t, "all", "0 1 2 3");
	gives(t, "all,!pu:0", "1 2 3");
	gives(t, "0-3,all", "0 1 2 3");
	refuses(t, "l3:0", "'l3:0': no L3 cache 0; available: none");
	shunt_topo_close(t);
}

static void kinds(void **state)
{
	struct shunt_topo *t = tu_topo_xml(HYBRID, 0);

	(void)state;
	gives(t, "kind:performance", "0 1 2 3");
	gives(t, "kind:efficiency", "4 5 6 7 8 9 10 11");
	gives(t, "kind:efficiency.core:0-1", "4 5");
	gives(t, "numa:0.kind:performance.core:3", "3");
	gives(t, "all,!kind:efficiency", "0 1 2 3");
	shunt_topo_close(t);
	t = tu_topo_text("package:1 core:2 pu:2", NULL);
	gives(t, "kind:performance", "0 1 2 3");
	refuses(t, "kind:efficiency", "'kind:efficiency': no efficiency cores on this machine; allowed cpus: 0-3");
	shunt_topo_close(t);
}

static void nodes(void **state)
{
	struct shunt_topo *t = tu_topo_xml(NODES, 0);

	(void)state;
	gives(t, "numa:2", "8 9 10 11");
	gives(t, "numa:*.core:0", "0 4 8");
	refuses(t, "numa:3", "'numa:3': NUMA node 3 has memory but no cpus; available: 0-2");
	refuses(t, "numa:9", "'numa:9': no NUMA node 9; available: 0-2");
	refuses(t, "0,numa:1-4.core:0", "'numa:1-4.core:0': NUMA node 3 has memory but no cpus; available: 0-2");
	shunt_topo_close(t);
}

static void holes(void **state)
{
	struct shunt_topo *t = tu_topo_xml(HOLE, 0); /* forbidden: 2-3, 5, 10-11 */

	(void)state;
	gives(t, "all", "0 8 1 9 4 12 13 6 14 7 15");
	gives(t, "package:0", "0 8 1 9");
	gives(t, "core:*.pu:0", "0 1 4 6 7"); /* below a wildcard what is forbidden is left out */
	gives(t, "core:5", "13");             /* a group that is allowed in part */
	gives(t, "!cpus:0,!cpus:5", "8 1 9 4 12 13 6 14 7 15");
	refuses(t, "cpus:0,5", "'5': cpu 5 is not allowed; allowed cpus: 0-1,4,6-9,12-15");
	refuses(t, "core:5.pu:0", "'core:5.pu:0': cpu 5 is not allowed; allowed cpus: 0-1,4,6-9,12-15");
	refuses(t, "core:1-2", "'core:1-2': no cpu of it is allowed; allowed cpus: 0-1,4,6-9,12-15");
	refuses(t, "16", "'16': cpu 16 does not exist; allowed cpus: 0-1,4,6-9,12-15");
	refuses(t, "0,!all", "'0,!all': the exclusions leave no cpu; allowed cpus: 0-1,4,6-9,12-15");
	refuses(t, "!package:*", "'!package:*': the exclusions leave no cpu; allowed cpus: 0-1,4,6-9,12-15");
	shunt_topo_close(t);
	t = tu_topo_text("package:2 core:2 pu:1", "0-1");
	refuses(t, "package:1", "'package:1': no cpu of it is allowed; allowed cpus: 0-1");
	refuses(t, "0,package:*.core:1.pu:1",
		"'package:*.core:1.pu:1': there is no such place on this machine; allowed cpus: 0-1");
	gives(t, "package:*.core:1", "1");
	shunt_topo_close(t);
}

static void indexes(void **state)
{
	struct shunt_topo *t = tu_topo_xml(SMT, 0);

	(void)state;
	refuses(t, "numa:1.core:16", "'numa:1.core:16': no core 16 there; available: 0-15");
	refuses(t, "core:0.pu:0-2", "'core:0.pu:0-2': no pu 2 there; available: 0-1");
	refuses(t, "package:2", "'package:2': no package 2; available: 0-1");
	refuses(t, "cpus:62-64", "'cpus:62-64': cpu 64 does not exist; allowed cpus: 0-63");
	refuses(t, "!numa:5", "'!numa:5': no NUMA node 5; available: 0-1");
	refuses(t, "core:*.pu:2", "'core:*.pu:2': there is no such place on this machine; allowed cpus: 0-63");
	shunt_topo_close(t);
}

#define NAMES "all, cpus:, package:, numa:, l3:, core:, pu:, kind: or a cpu number"

static void syntax(void **state)
{
	struct shunt_topo *t = tu_topo_xml(SMT, 0);

	(void)state;
	refuses(t, "", "'': offset 0: expected " NAMES ", found the end");
	refuses(t, "0,", "'0,': offset 2: expected " NAMES ", found the end");
	refuses(t, ",0", "',0': offset 0: expected " NAMES ", found ','");
	refuses(t, "0,node:1", "'node:1': offset 2: expected " NAMES ", found 'n'");
	refuses(t, "numa", "'numa': offset 4: expected ':', found the end");
	refuses(t, "numa:x", "'numa:x': offset 5: expected '*', a number or a range such as 2-5, found 'x'");
	refuses(t, "numa:1.", "'numa:1.': offset 7: expected " NAMES ", found the end");
	refuses(t, "numa:1..core:0", "'numa:1..core:0': offset 7: expected " NAMES ", found '.'");
	refuses(t, "core:2-", "'core:2-': offset 7: expected the last number of the range, as in 2-5, found the end");
	refuses(t, "core:5-2", "'core:5-2': offset 5: expected a range that goes up, as in 2-5, found '5'");
	refuses(t, "core:1*", "'core:1*': offset 6: expected '.', ',' or the end, found '*'");
	refuses(t, "cpus:*", "'cpus:*': offset 5: expected a cpu number or a range such as 2-5, found '*'");
	refuses(t, "99999999999", "'99999999999': offset 0: expected a number up to 65535, found '9'");
	refuses(t, "kind:big", "'kind:big': offset 5: expected 'performance' or 'efficiency' after 'kind:', found 'b'");
	refuses(t, "!!0", "'!!0': offset 1: expected " NAMES ", found '!'");
	refuses(t, "pu:0.core:0",
		"'pu:0.core:0': offset 5: expected ',' or the end (nothing is narrower than pu), found 'c'");
	refuses(t, "core:0.numa:0",
		"'core:0.numa:0': offset 7: expected pu (a path goes from wide to narrow: "
		"package, numa, l3, kind, core, pu), found 'n'");
	refuses(t, "numa:0.numa:0", "'numa:0.numa:0': offset 7: expected each level once in a path, found 'n'");
	refuses(t, "all.core:0",
		"'all.core:0': offset 4: expected ',' or the end "
		"('all' and cpu lists take no levels below them), found 'c'");
	refuses(t, "numa:0.3",
		"'numa:0.3': offset 7: expected package, numa, l3, kind, core or pu "
		"('all' and 'cpus' stand alone), found '3'");
	refuses(t, "\x01\xff", "'\?\?': offset 0: expected " NAMES ", found '?'");
	shunt_topo_close(t);
}

static void limits(void **state)
{
	struct shunt_topo *t = tu_topo_text("package:1 core:4 pu:2", NULL);
	char *text = malloc(SH_PLACE_TEXT_MAX + 2);
	uint32_t n = 0;

	(void)state;
	assert_non_null(text);
	memset(text, ' ', SH_PLACE_TEXT_MAX + 1);
	text[0] = '0';
	text[SH_PLACE_TEXT_MAX] = '\0';
	assert_int_equal(sh_place_parse(t, text, picked, &n), SHUNT_OK);
	text[SH_PLACE_TEXT_MAX] = ' ';
	text[SH_PLACE_TEXT_MAX + 1] = '\0';
	assert_int_equal(sh_place_parse(t, text, picked, &n), SHUNT_EPLACE);
	assert_non_null(strstr(shunt_error_detail(), "longer than 4095 characters"));
	(void)strcpy(text, "cpus:0");
	for (uint32_t i = 1; i < SH_PLACE_ITEMS_MAX; i++)
		(void)strcat(text, "+1");
	assert_int_equal(sh_place_parse(t, text, picked, &n), SHUNT_OK);
	(void)strcat(text, "+1");
	assert_int_equal(sh_place_parse(t, text, picked, &n), SHUNT_EPLACE);
	assert_non_null(strstr(shunt_error_detail(), "at most 64 numbers"));
	free(text);
	shunt_topo_close(t);
}

/* Words of the language in random order, with some noise; the invariants hold whatever comes. */
static void random_text(void **state)
{
	static const char *const words[] = { "numa:", "core:", "pu:", "l3:", "package:", "kind:", "cpus:", "all", "*",
		"0", "1", "7", "15", "63", "-", "+", ",", ".", "!", " ", "performance", "efficiency", "99999",
		"x", "\x80", ":", "0-3" };
	struct shunt_topo *t = tu_topo_xml(HOLE, 0);
	const char *given = getenv("SHUNT_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : sh_clock_ns();
	struct sh_rng rng;
	unsigned good = 0;

	(void)state;
	print_message("SHUNT_SEED=%llu\n", (unsigned long long)seed);
	sh_rng_init(&rng, seed);
	for (unsigned round = 0; round < 20000; round++) {
		char text[256] = "";
		uint32_t n = 0, parts = 1 + sh_rng_below(&rng, 10);
		struct sh_cpus seen;
		int rc;

		for (uint32_t i = 0; i < parts; i++)
			(void)strcat(text, words[sh_rng_below(&rng, SH_COUNT(words))]);
		rc = sh_place_parse(t, text, picked, &n);
		assert_true(rc == SHUNT_OK ? n >= 1 : rc == SHUNT_EPLACE && n == 0);
		assert_true((rc == SHUNT_OK) == !shunt_error_detail()[0]);
		assert_true(n <= t->pus_n);
		memset(&seen, 0, sizeof(seen));
		for (uint32_t i = 0; i < n; i++) {
			assert_true(picked[i] < t->pus_n && t->pus[picked[i]].allowed);
			assert_false(sh_cpus_has(&seen, picked[i]));
			sh_cpus_add(&seen, picked[i]);
		}
		good += rc == SHUNT_OK;
	}
	assert_true(good > 100); /* else the words above no longer reach the evaluator */
	shunt_topo_close(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths), cmocka_unit_test(lists), cmocka_unit_test(all_is_the_default),
		cmocka_unit_test(kinds), cmocka_unit_test(nodes), cmocka_unit_test(holes),
		cmocka_unit_test(indexes), cmocka_unit_test(syntax), cmocka_unit_test(limits),
		cmocka_unit_test(random_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
