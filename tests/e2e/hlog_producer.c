/*
 * Writes an HdrHistogram log through the public calls and prints, for every line and then for the sum of each tag,
 * what shunt itself says about it: "line|sum TAG COUNT P50 P99 MAX". The reference reader must find the same.
 * Usage: hlog_producer FILE [SEED]
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <shunt/error.h>
#include <shunt/hist.h>

#define TAGS 4u
#define LINES 40u

static uint64_t rng_state;

static uint64_t rng_next(void)
{
	uint64_t x = rng_state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static void print_row(const char *kind, const char *tag, const struct shunt_hist *h)
{
	static const double pct[2] = { 50.0, 99.0 };
	uint64_t p[2];
	uint64_t max = shunt_hist_max(h);

	shunt_hist_percentiles(h, pct, p, 2);
	/* The reference knows a maximum only as the upper border of its bucket. */
	printf("%s %s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", kind, tag, shunt_hist_count(h), p[0], p[1],
	       shunt_hist_count(h) ? shunt_hist_highest_equivalent(max) : 0);
}

/* Empty, one value, everything of one size, and values of every magnitude up to beyond the range. */
static void fill(struct shunt_hist *h, unsigned line)
{
	unsigned n = line % 8 == 0 ? 0 : line % 8 == 1 ? 1 : 5000;

	shunt_hist_reset(h);
	while (n-- > 0) {
		uint64_t v = line % 8 == 2 ? 1000 + rng_next() % 50 : rng_next() >> (18 + rng_next() % 46);

		if (shunt_hist_record_n(h, v, line % 8 == 3 ? 1 + (rng_next() >> 24) : 1) != SHUNT_OK)
			exit(1);
	}
}

int main(int argc, char **argv)
{
	static const char *const tags[TAGS] = { "queue.hash.high", "run.hash.high", "total.scan", "w0" };
	const uint64_t start = UINT64_C(1700000000000000000);
	const uint64_t second = UINT64_C(1000000000);
	struct shunt_hist *sum[TAGS] = { NULL };
	struct shunt_hist *h = NULL;
	struct shunt_hlog *log = NULL;
	unsigned i;

	if (argc < 2)
		return 2;
	rng_state = argc > 2 ? strtoull(argv[2], NULL, 0) : 42;
	for (i = 0; i < TAGS; i++)
		if (shunt_hist_create(&sum[i]) != SHUNT_OK)
			return 1;
	if (shunt_hist_create(&h) != SHUNT_OK || shunt_hlog_open(argv[1], &log) != SHUNT_OK)
		return 1;
	for (i = 0; i < LINES; i++) {
		fill(h, i);
		if (shunt_hlog_write(log, tags[i % TAGS], start + i * second, start + (i + 1) * second, h) != SHUNT_OK)
			return 1;
		print_row("line", tags[i % TAGS], h);
		if (shunt_hist_add(sum[i % TAGS], h) != SHUNT_OK)
			return 1;
	}
	for (i = 0; i < TAGS; i++) {
		print_row("sum", tags[i], sum[i]);
		shunt_hist_destroy(sum[i]);
	}
	shunt_hist_destroy(h);
	return shunt_hlog_close(log) == SHUNT_OK ? 0 : 1;
}
