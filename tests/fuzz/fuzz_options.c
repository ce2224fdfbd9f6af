/*
 * tests/fuzz/fuzz_options.c - any text as the value of an option of the command: counts, durations, sizes, shares, and
 * the distributions of `shunt load`.
 * Invariants: what is taken lies in the range that was asked for, and nothing is said; what is refused leaves the
 * result alone and says one message that names the option.
 * sources: tools/shunt/common/cli.c tools/shunt/load/dist.c tools/shunt/load/hlog.c
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz.h"

#include <math.h>

#include "common/cli.h"
#include "load/dist.h"

/* Standard error of the command, for the length of one call. */
static FILE *real_stderr;
static char *said;
static size_t said_len;

static void listen(void)
{
	FILE *stream = open_memstream(&said, &said_len);

	REQUIRE(stream);
	real_stderr = stderr;
	stderr = stream;
}

/* Taken and silent, or refused with a message about `opt`. */
static void check_said(bool taken, const char *opt)
{
	FILE *stream = stderr;

	stderr = real_stderr;
	REQUIRE(fclose(stream) == 0);
	REQUIRE(taken == (said_len == 0));
	REQUIRE(taken || (strncmp(said, "shunt load: ", 12) == 0 && strstr(said, opt) && said[said_len - 1] == '\n'));
	free(said);
	said = NULL;
}

static void check_whole(const char *text, uint64_t min, uint64_t max, int kind)
{
	uint64_t v = 77;
	bool taken;

	listen();
	taken = kind == 0 ? cli_parse_count("--opt", text, min, max, &v) : kind == 1 ? cli_parse_duration("--opt", text, min, max, &v)
										     : cli_parse_size("--opt", text, min, max, &v);
	check_said(taken, "--opt");
	REQUIRE(taken ? v >= min && v <= max : v == 77);
}

static void check_share(const char *text)
{
	double v = 77;
	bool taken;

	listen();
	taken = cli_parse_share("--opt", text, 0.25, 0.75, &v);
	check_said(taken, "--opt");
	REQUIRE(taken ? v >= 0.25 && v <= 0.75 : !(v < 77) && !(v > 77));
}

static void check_service(const char *text)
{
	struct load_service s;
	struct sh_rng rng;
	bool taken;

	/* Files are another matter. */
	if (strncmp(text, "file:", 5) == 0)
		return;
	(void)memset(&s, 0, sizeof(s));
	sh_rng_init(&rng, 1);
	listen();
	taken = load_service_parse(text, &s);
	check_said(taken, "--service");
	if (taken) {
		REQUIRE(s.kind != LOAD_FILE && isfinite(s.mean_ns) && s.mean_ns >= 1.0 && s.mean_ns <= LOAD_SERVICE_MAX_NS);
		for (int i = 0; i < 8; i++)
			REQUIRE((double)load_service_draw(&s, &rng) <= LOAD_SERVICE_MAX_NS);
	}
	load_service_fini(&s);
}

static void check_arrivals(const char *text)
{
	struct load_arrivals a;
	struct sh_rng rng;
	bool taken;

	(void)memset(&a, 0, sizeof(a));
	sh_rng_init(&rng, 1);
	listen();
	taken = load_arrivals_parse(text, &a);
	check_said(taken, "--arrivals");
	if (!taken)
		return;
	REQUIRE(a.burst >= 1 && a.burst <= 1000000 && (a.burst == 1 || a.kind == LOAD_BURST));
	for (int i = 0; i < 8; i++) {
		double gap = load_arrivals_draw(&a, 1000.0, &rng);

		REQUIRE(isfinite(gap) && gap >= 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned choice = size ? data[0] % 6u : 0;
	char *text = fuzz_text(data + (size > 0), size - (size > 0));

	cli_begin("load");
	if (choice == 0)
		check_whole(text, 2, UINT64_C(1) << 53, 0);
	else if (choice == 1)
		check_whole(text, 10000000, UINT64_C(86400000000000), 1);
	else if (choice == 2)
		check_whole(text, 1, UINT64_C(1) << 40, 2);
	else if (choice == 3)
		check_share(text);
	else if (choice == 4)
		check_service(text);
	else
		check_arrivals(text);
	free(text);
	return 0;
}
