/* shunt/load/hlog.c - see load/hlog.h. SPDX-License-Identifier: MIT */
#include "load/hlog.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <shunt/error.h>
#include <shunt/hist.h>

#include "common/cli.h"

/* Two histograms: the sum of the series run.*, and of the lines without a tag. */
struct sums {
	struct shunt_hist *line, *run, *bare;
};

static void sums_fini(struct sums *s)
{
	shunt_hist_destroy(s->line);
	shunt_hist_destroy(s->run);
	shunt_hist_destroy(s->bare);
}

static bool sums_read(struct sums *s, const char *path)
{
	struct shunt_hlog_reader *r = NULL;
	struct shunt_hlog_entry e;
	int rc = shunt_hlog_reader_open(path, &r);

	if (rc != 0) {
		cli_error("--service: '%s': %s", path, rc == SHUNT_EIO ? cli_detail() : shunt_strerror(rc));
		return false;
	}
	for (;;) { /* bound: the lines of the file */
		rc = shunt_hlog_read_next(r, &e, s->line);
		if (rc <= 0)
			break;
		if (strncmp(e.tag, "run.", 4) == 0)
			rc = shunt_hist_add(s->run, s->line);
		else if (e.tag[0] == '\0')
			rc = shunt_hist_add(s->bare, s->line);
		if (rc < 0)
			break;
	}
	if (rc < 0)
		cli_error("--service: %s:%" PRIu64 ": %s", path, e.line,
			  shunt_error_detail()[0] ? shunt_error_detail() : shunt_strerror(rc));
	shunt_hlog_reader_close(r);
	return rc == 0;
}

/* Converts buckets to values, with the number of values up to each. */
static bool take_buckets(const struct shunt_hist *h, struct load_service *out)
{
	struct shunt_hist_bucket b;
	size_t cursor = 0, n = 0;
	uint64_t sum = 0;

	while (shunt_hist_next(h, &cursor, &b)) /* bound: the buckets */
		n++;
	if (n == 0)
		return false;
	out->value_ns = calloc(n, sizeof(*out->value_ns));
	out->up_to = calloc(n, sizeof(*out->up_to));
	if (!out->value_ns || !out->up_to) {
		load_service_fini(out);
		return false;
	}
	for (cursor = 0; shunt_hist_next(h, &cursor, &b); out->values++) { /* bound: the buckets */
		sum += b.count;
		out->value_ns[out->values] = ((double)b.lowest_ns + (double)b.highest_ns) / 2;
		out->up_to[out->values] = sum;
	}
	out->mean_ns = shunt_hist_mean(h);
	return true;
}

bool load_hlog_read(const char *path, struct load_service *out)
{
	struct sums s = { NULL, NULL, NULL };
	const struct shunt_hist *h;
	bool good;

	good = shunt_hist_create(&s.line) == 0 && shunt_hist_create(&s.run) == 0 && shunt_hist_create(&s.bare) == 0;
	if (!good) {
		cli_error("--service: '%s': out of memory", path);
		goto out;
	}
	good = sums_read(&s, path);
	if (!good)
		goto out;
	h = shunt_hist_count(s.run) ? s.run : s.bare;
	good = shunt_hist_count(h) > 0;
	if (!good) {
		cli_error("--service: '%s': no run times in it; want series run.*, as --hist writes them, or lines "
			  "without a tag",
			  path);
		goto out;
	}
	if (shunt_hist_saturated(h))
		cli_error("--service: '%s': warning: %" PRIu64 " of %" PRIu64 " run times are above one hour; they "
			  "count as that",
			  path, shunt_hist_saturated(h), shunt_hist_count(h));
	good = take_buckets(h, out);
	if (!good)
		cli_error("--service: '%s': out of memory", path);
out:
	sums_fini(&s);
	return good;
}
