/*
 * shunt/hist/cmd_hist.c - see cmd_hist.h. Sums the lines of each tag and prints count, mean and
 * percentiles as a table or as JSON. Damaged lines are reported by number; the others count.
 *
 * SPDX-License-Identifier: MIT
 */
#include "hist/cmd_hist.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <shunt/error.h>
#include <shunt/hist.h>

#include "common/cli.h"
#include "common/fmt.h"
#include "hist/cells.h"

#define SERIES_MAX 1024u
#define ERRORS_SHOWN 10u

static const char hist_help[] =
	"usage: shunt hist FILE.hlog [--tag T] [--json]\n"
	"\n"
	"Reads an HdrHistogram interval log and prints, for every tag, what all its lines add up to:\n"
	"count, mean, p50, p90, p99, p99.9 and maximum. Logs of any program are read at their own\n"
	"precision (encodings V0, V1 and V2 of whole numbers); values are taken as nanoseconds.\n"
	"\n"
	"  --tag T   only the series with this tag ('' = lines without a tag)\n"
	"  --json    JSON with all times in nanoseconds\n"
	"  --help    this text\n"
	"\n"
	"Exit code: 0 ok, 1 the file cannot be read, 2 bad usage or damaged lines (they are named and left out).\n";

struct series {
	struct cells sum;
	uint64_t lines;
	uint64_t start_ns;
	uint64_t end_ns;
	char tag[SHUNT_HLOG_TAG_MAX + 1];
};

struct hist_report {
	const char *path;
	const char *tag; /* NULL: all */
	bool json;
	unsigned errors; /* damaged lines */
	size_t count;
	struct series series[SERIES_MAX];
};

enum { P50, P90, P99, P999, PERCENTILES };
static const double percentiles[PERCENTILES] = { 50.0, 90.0, 99.0, 99.9 };
static const char *const percentile_keys[PERCENTILES] = { "p50_ns", "p90_ns", "p99_ns", "p99_9_ns" };

static void line_error(struct hist_report *rep, uint64_t line, const char *text)
{
	if (rep->errors++ < ERRORS_SHOWN)
		cli_error("%s:%" PRIu64 ": %s", rep->path, line, text);
}

/* The series of a tag, created if it is new. NULL: there are too many. */
static struct series *series_get(struct hist_report *rep, const char *tag)
{
	size_t i;

	for (i = 0; i < rep->count; i++)
		if (strcmp(rep->series[i].tag, tag) == 0)
			return &rep->series[i];
	if (rep->count == SERIES_MAX)
		return NULL;
	(void)strcpy(rep->series[rep->count].tag, tag);
	return &rep->series[rep->count++];
}

static int series_add(struct hist_report *rep, const struct shunt_hlog_entry *e, const struct cells *line)
{
	struct series *s = series_get(rep, e->tag);
	int rc = s ? cells_add(&s->sum, line) : SHUNT_ELIMIT;

	if (rc != SHUNT_OK)
		return rc;
	if (s->lines == 0 || e->start_ns < s->start_ns)
		s->start_ns = e->start_ns;
	if (e->end_ns > s->end_ns)
		s->end_ns = e->end_ns;
	s->lines++;
	return SHUNT_OK;
}

/* Reads the whole log. 0, or an error after which there is nothing to report. */
static int report_read(struct hist_report *rep)
{
	struct shunt_hlog_reader *r = NULL;
	struct shunt_hist *h = NULL;
	struct cells line = { 0 };
	struct shunt_hlog_entry e;
	int rc = shunt_hist_create(&h);

	if (rc != SHUNT_OK) {
		cli_error("%s", shunt_strerror(rc));
		return rc;
	}
	rc = shunt_hlog_reader_open(rep->path, &r);
	if (rc != SHUNT_OK) {
		cli_error("%s: %s", rep->path, rc == SHUNT_EIO ? cli_detail() : shunt_strerror(rc));
		goto out;
	}
	for (;;) { /* bound: the lines of the file */
		rc = shunt_hlog_read_next(r, &e, h);
		if (rc == 0)
			break;
		if (rc == SHUNT_EIO || rc == SHUNT_ENOMEM) {
			cli_error("%s: %s", rep->path, shunt_error_detail());
			goto out;
		}
		if (rc < 0) {
			line_error(rep, e.line, shunt_error_detail());
			continue;
		}
		rc = cells_read(&line, r);
		if (rc == SHUNT_OK)
			rc = series_add(rep, &e, &line);
		if (rc == SHUNT_ELIMIT) {
			line_error(rep, e.line, "too many tags (1024) or counts beyond 2^63-1");
		} else if (rc != SHUNT_OK) {
			cli_error("%s:%" PRIu64 ": %s", rep->path, e.line, shunt_strerror(rc));
			goto out;
		}
	}
out:
	shunt_hlog_reader_close(r);
	shunt_hist_destroy(h);
	cells_fini(&line);
	return rc;
}

/* Three significant digits with a unit: "850ns", "1.24us", "12.4ms", "3600s". */
static const char *duration(double ns, char *buf, size_t size)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	size_t u = 0;

	while (u < 3 && ns >= 999.5) {
		ns /= 1000.0;
		u++;
	}
	(void)snprintf(buf, size, "%.*f%s", u == 0 || ns >= 99.95 ? 0 : ns >= 9.995 ? 1 : 2, ns, units[u]);
	return buf;
}

static bool selected(const struct hist_report *rep, const struct series *s)
{
	return !rep->tag || strcmp(rep->tag, s->tag) == 0;
}

static void print_table(const struct hist_report *rep)
{
	static const char *const head[] = { "tag", "count", "mean", "p50", "p90", "p99", "p99.9", "max" };
	struct fmt_table t;
	size_t i;

	fmt_table_init(&t, "lrrrrrrr");
	for (i = 0; i < SH_COUNT(head); i++)
		fmt_table_cell(&t, "%s", head[i]);
	for (i = 0; i < rep->count; i++) {
		const struct series *s = &rep->series[i];
		char b[32];
		size_t k;

		if (!selected(rep, s))
			continue;
		fmt_table_cell(&t, "%s", s->tag[0] ? s->tag : "-");
		fmt_table_cell(&t, "%" PRIu64, s->sum.count);
		fmt_table_cell(&t, "%s", duration(cells_mean(&s->sum), b, sizeof(b)));
		for (k = 0; k < PERCENTILES; k++) {
			double p = (double)cells_percentile(&s->sum, percentiles[k]);

			fmt_table_cell(&t, "%s", duration(p, b, sizeof(b)));
		}
		fmt_table_cell(&t, "%s", duration((double)cells_max(&s->sum), b, sizeof(b)));
	}
	fmt_table_print(&t, stdout, 0);
}

/* Under the table: where the log may hold less than was measured. */
static void print_limits(const struct hist_report *rep)
{
	size_t i;

	for (i = 0; i < rep->count; i++) {
		uint64_t n = cells_at_limit(&rep->series[i].sum);

		if (n == 0 || !selected(rep, &rep->series[i]))
			continue;
		fmt_print_path(stdout, rep->series[i].tag[0] ? rep->series[i].tag : "-");
		(void)printf(": %" PRIu64 " of %" PRIu64 " values in the last bucket, that of one hour;\n"
			     "a log of shunt counts longer ones there\n",
			     n, rep->series[i].sum.count);
	}
}

static json_t *series_json(const struct series *s)
{
	json_t *o = json_object();
	int bad = 0;
	size_t k;

	bad |= json_object_set_new(o, "tag", fmt_json_text(s->tag));
	bad |= json_object_set_new(o, "lines", json_integer((json_int_t)s->lines));
	bad |= json_object_set_new(o, "start_ns", json_integer((json_int_t)s->start_ns));
	bad |= json_object_set_new(o, "end_ns", json_integer((json_int_t)s->end_ns));
	bad |= json_object_set_new(o, "count", json_integer((json_int_t)s->sum.count));
	bad |= json_object_set_new(o, "mean_ns", json_real(cells_mean(&s->sum)));
	for (k = 0; k < PERCENTILES; k++) {
		uint64_t p = cells_percentile(&s->sum, percentiles[k]);

		bad |= json_object_set_new(o, percentile_keys[k], json_integer((json_int_t)p));
	}
	bad |= json_object_set_new(o, "max_ns", json_integer((json_int_t)cells_max(&s->sum)));
	bad |= json_object_set_new(o, "at_limit", json_integer((json_int_t)cells_at_limit(&s->sum)));
	if (bad) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static int print_json(const struct hist_report *rep)
{
	json_t *list = json_array();
	json_t *root = json_object();
	int bad = 0;
	size_t i;

	for (i = 0; i < rep->count && !bad; i++)
		if (selected(rep, &rep->series[i]))
			bad |= json_array_append_new(list, series_json(&rep->series[i]));
	bad |= json_object_set_new(root, "file", fmt_json_text(rep->path));
	bad |= json_object_set_new(root, "damaged_lines", json_integer(rep->errors));
	bad |= json_object_set_new(root, "series", list);
	if (!bad)
		bad = !fmt_json_write(root, stdout);
	json_decref(root);
	return bad ? SHUNT_ENOMEM : SHUNT_OK;
}

static bool tag_present(const struct hist_report *rep)
{
	char known[1536] = ""; /* as many as fit into a message */
	size_t used = 0;
	size_t i;

	for (i = 0; i < rep->count; i++)
		if (selected(rep, &rep->series[i]))
			return true;
	for (i = 0; i < rep->count && used + sizeof(rep->series[i].tag) + 8 < sizeof(known); i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s'%s'", i ? ", " : "",
					 rep->series[i].tag);
	cli_error("--tag: '%s': no such tag; available: %s%s", rep->tag, used ? known : "none",
		  i < rep->count ? ", ..." : "");
	return false;
}

static int report_run(struct hist_report *rep)
{
	if (report_read(rep) != SHUNT_OK)
		return CLI_FAILED;
	if (rep->errors > ERRORS_SHOWN)
		cli_error("%s: %u more damaged lines", rep->path, rep->errors - ERRORS_SHOWN);
	if (rep->tag && !tag_present(rep))
		return CLI_USAGE;
	if (!rep->json) {
		print_table(rep);
		print_limits(rep);
	} else if (print_json(rep) != SHUNT_OK) {
		cli_error("--json: out of memory");
		return CLI_FAILED;
	}
	if (cli_stdout_flush() != CLI_OK)
		return CLI_FAILED;
	return rep->errors ? CLI_USAGE : CLI_OK;
}

static int take_option(void *arg, int option)
{
	struct hist_report *rep = arg;

	if (option == 't')
		rep->tag = optarg;
	else
		rep->json = true;
	return CLI_GO_ON;
}

/* Fills rep from the arguments: CLI_GO_ON, or the exit code. */
static int parse_args(struct hist_report *rep, int argc, char **argv)
{
	static const struct option options[] = {
		{ "tag", required_argument, NULL, 't' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, CLI_HELP },
		{ NULL, 0, NULL, 0 },
	};
	int code = cli_options(argc, argv, ":h", options, hist_help, take_option, rep);

	if (code != CLI_GO_ON)
		return code;
	if (argc - optind != 1) {
		cli_error("want one FILE.hlog, got %d; see shunt hist --help", argc - optind);
		return CLI_USAGE;
	}
	rep->path = argv[optind];
	return CLI_GO_ON;
}

int cmd_hist(int argc, char **argv)
{
	struct hist_report *rep = calloc(1, sizeof(*rep));
	size_t i;
	int code;

	cli_begin("hist");
	if (!rep) {
		cli_error("%s", shunt_strerror(SHUNT_ENOMEM));
		return CLI_FAILED;
	}
	code = parse_args(rep, argc, argv);
	if (code == CLI_GO_ON)
		code = report_run(rep);
	for (i = 0; i < rep->count; i++)
		cells_fini(&rep->series[i].sum);
	free(rep);
	return code;
}
