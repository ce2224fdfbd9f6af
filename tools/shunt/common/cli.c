/* shunt/common/cli.c - see cli.h. SPDX-License-Identifier: MIT */
#include "common/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <shunt/job.h>

#include "base/atomic.h"
#include "base/value.h"

#define LINE_MAX_BYTES 512u
#define MESSAGE_MAX 2048u
#define NEAR_MAX 32u /* longest word that is compared */
#define SAME_WISH_NS UINT64_C(1000000000)

static const char *command = "";
static bool progress_wanted;
static bool progress_shown;                                     /* sync: lock(terminal) */
/* standard error, one line at a time */
static pthread_mutex_t terminal = PTHREAD_MUTEX_INITIALIZER;
static sh_a32 signal_first; /* sync: atomic; number of the first signal, 0 = none yet */
static sh_a64 signal_at_ns; /* sync: atomic; when it came, shunt_now_ns(); 0 = none yet */

void cli_begin(const char *name)
{
	command = name;
}

/* Clears the progress line; lock(terminal) is held. */
static void line_clear(void)
{
	if (progress_shown)
		(void)fputs("\r\033[K", stderr);
	progress_shown = false;
}

bool cli_text_clean(const char *text)
{
	while (*text) { /* bound: the text */
		size_t n = sh_value_character(text);

		if (n == 0)
			return false;
		text += n;
	}
	return true;
}

size_t cli_text_escape(char *out, const char *text)
{
	static const char hex[] = "0123456789abcdef";
	char *to = out;

	while (*text) { /* bound: the text */
		size_t n = sh_value_character(text);
		unsigned char c = (unsigned char)*text;

		if (n > 0) {
			(void)memcpy(to, text, n);
			to += n;
		} else if (c == '\n') {
			*to++ = '\\';
			*to++ = 'n';
		} else {
			*to++ = '\\';
			*to++ = 'x';
			*to++ = hex[c >> 4];
			*to++ = hex[c & 15u];
		}
		text += n ? n : 1;
	}
	*to = '\0';
	return (size_t)(to - out);
}

static void message(const char *mark, const char *text)
{
	char shown[MESSAGE_MAX * CLI_ESCAPE_MAX];

	(void)cli_text_escape(shown, text);
	(void)pthread_mutex_lock(&terminal);
	line_clear();
	(void)fprintf(stderr, "shunt%s%s: %s%s\n", command[0] ? " " : "", command, mark, shown);
	(void)pthread_mutex_unlock(&terminal);
}

void cli_put_line(const char *text, size_t n)
{
	char line[MESSAGE_MAX];
	char shown[MESSAGE_MAX * CLI_ESCAPE_MAX];

	(void)snprintf(line, sizeof(line), "%.*s", (int)(n < sizeof(line) ? n : sizeof(line) - 1), text);
	(void)cli_text_escape(shown, line);
	(void)fprintf(stderr, "%s\n", shown);
}

void cli_error(const char *fmt, ...)
{
	char text[MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	message("", text);
}

void cli_log(void *unused, enum shunt_log_level level, const char *text)
{
	(void)unused;
	char line[MESSAGE_MAX];

	(void)snprintf(line, sizeof(line), "%s", text);
	message(level == SHUNT_LOG_WARN ? "warning: " : level > SHUNT_LOG_WARN ? "log: "
									       : "",
		line);
}

/* ---- options ---- */

/* Edits (change, insert, delete, swap neighbours) from a to b; NEAR_MAX if one is too long. */
static size_t distance(const char *a, const char *b)
{
	size_t d[3][NEAR_MAX + 1];
	size_t n = strlen(a);
	size_t m = strlen(b);

	if (n > NEAR_MAX || m > NEAR_MAX)
		return NEAR_MAX;
	for (size_t j = 0; j <= m; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t *row = d[i % 3];
		const size_t *last = d[(i + 2) % 3];

		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);

			best = last[j] + 1 < best ? last[j] + 1 : best;
			best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[(i + 1) % 3][j - 2] + 1 < best)
				best = d[(i + 1) % 3][j - 2] + 1;
			row[j] = best;
		}
	}
	return d[n % 3][m];
}

const char *cli_nearest(const char *word, const char *const *candidates)
{
	/* a word with more edits than this is another word */
	size_t limit = strlen(word) < 4 ? 1 : strlen(word) / 3 + 1;
	const char *best = NULL;

	for (; *candidates; candidates++) {
		size_t d = distance(word, *candidates);

		if (d <= limit) {
			best = *candidates;
			limit = d == 0 ? 0 : d - 1;
			if (d == 0)
				break;
		}
	}
	return best;
}

static const char *option_name(const struct option *options, int value)
{
	for (; options->name; options++)
		if (options->val == value)
			return options->name;
	return NULL;
}

/* The option as it was written: "--name" without "=value", or "-x". */
static void option_text(char *const *argv, char *buf, size_t size)
{
	const char *word = optind > 0 && argv[optind - 1] ? argv[optind - 1] : "";

	if (optopt > 0 && optopt < 128 && strncmp(word, "--", 2) != 0)
		(void)snprintf(buf, size, "-%c", optopt);
	else
		(void)snprintf(buf, size, "%.*s", (int)strcspn(word, "="), word);
}

/* Reports what getopt_long rejected. */
static int bad_option(char *const *argv, int got, const struct option *options)
{
	const char *names[64];
	const char *known = optopt ? option_name(options, optopt) : NULL;
	const char *near;
	char text[96];
	size_t n = 0;

	option_text(argv, text, sizeof(text));
	if (known && got == ':') {
		cli_error("--%s: needs a value; see shunt %s --help", known, command);
		return CLI_USAGE;
	}
	if (known) {
		cli_error("--%s: takes no value; see shunt %s --help", known, command);
		return CLI_USAGE;
	}
	for (; options[n].name && n + 1 < SH_COUNT(names); n++)
		names[n] = options[n].name;
	names[n] = NULL;
	near = strncmp(text, "--", 2) == 0 ? cli_nearest(text + 2, names) : NULL;
	if (near)
		cli_error("%s: no such option; did you mean --%s?", text, near);
	else
		cli_error("%s: no such option; see shunt %s --help", text, command);
	return CLI_USAGE;
}

/* Marks an option as given; false after a message if it was before. Bound: the table. */
static bool first_time(const struct option *options, int got, uint64_t *given)
{
	size_t i = 0;

	while (options[i].name && options[i].val != got)
		i++;
	assert(i < 64 && options[i].name); /* each short form has a long one */
	if (*given >> i & 1u) {
		cli_error("--%s: is there twice; want it once", options[i].name);
		return false;
	}
	*given |= UINT64_C(1) << i;
	return true;
}

int cli_options(int argc, char **argv, const char *shorts, const struct option *options, const char *help,
		int (*take)(void *arg, int option), void *arg)
{
	uint64_t given = 0;
	int code = CLI_GO_ON;
	int got;

	assert(shorts[0] == ':'); /* distinguishes a missing value from an unknown option */
	optind = opterr = 0;      /* getopt starts again, and silent */
	while (code == CLI_GO_ON && (got = getopt_long(argc, argv, shorts, options, NULL)) != -1) {
		if (got == '?' || got == ':')
			return bad_option(argv, got, options);
		if (got == CLI_HELP) {
			(void)fputs(help, stdout);
			return cli_stdout_flush();
		}
		if (got != CLI_SET && !first_time(options, got, &given))
			return CLI_USAGE;
		code = take(arg, got);
	}
	return code;
}

bool cli_set_repeated(const char *origin, const char *text, const char *const *sets, size_t n)
{
	size_t key = strcspn(text, "=");

	for (size_t i = 0; i < n; i++)
		if (strncmp(sets[i], text, key) == 0 && sets[i][key] == '=' && text[key] == '=') {
			cli_error("%s: '%.*s' is also in --set; want it once", origin, (int)key, text);
			return true;
		}
	return false;
}

int cli_no_arguments(int argc, char *const *argv)
{
	if (optind >= argc)
		return CLI_GO_ON;
	cli_error("'%s': no argument is expected here; see shunt %s --help", argv[optind], command);
	return CLI_USAGE;
}

struct unit {
	const char *name;
	double factor;
};

/* A number >= 0 with one of the units. A unit named "" allows the number alone. */
static bool number_with_unit(const char *text, const struct unit *units, double *out)
{
	char *end = NULL;
	double v;

	if (!(text[0] >= '0' && text[0] <= '9') && text[0] != '.')
		return false;
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		return false;
	errno = 0;
	v = strtod(text, &end);
	if (errno != 0 || end == text || !isfinite(v))
		return false;
	for (; units->name; units++)
		if (strcmp(end, units->name) == 0) {
			*out = v * units->factor;
			return true;
		}
	return false;
}

static const struct unit count_units[] = { { "", 1 }, { "k", 1e3 }, { "M", 1e6 }, { "G", 1e9 }, { NULL, 0 } };
static const struct unit no_units[] = { { "", 1 }, { NULL, 0 } };

bool cli_parse_count(const char *opt, const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	double v = 0;

	if (!number_with_unit(text, count_units, &v) || v < (double)min || v > (double)max || floor(v) < v) {
		cli_error("%s: '%s': want a whole number from %" PRIu64 " to %" PRIu64 " (k, M, G are understood)", opt, text,
			  min, max);
		return false;
	}
	*out = (uint64_t)v;
	return true;
}

bool cli_parse_count32(const char *opt, const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
	uint64_t v = 0;

	if (!cli_parse_count(opt, text, min, max, &v))
		return false;
	*out = (uint32_t)v;
	return true;
}

bool cli_duration_value(const char *text, double *out_ns)
{
	uint64_t ns = 0;

	if (sh_value_duration(text, &ns))
		return false;
	*out_ns = (double)ns;
	return true;
}

bool cli_parse_duration(const char *opt, const char *text, uint64_t min_ns, uint64_t max_ns, uint64_t *out_ns)
{
	char low[SH_VALUE_TEXT], high[SH_VALUE_TEXT];
	uint64_t v = 0;
	const char *why = sh_value_duration(text, &v);

	if (why) {
		cli_error("%s: '%s': %s; want a duration such as 250us, 10ms or 5s; units: " SH_DURATION_UNITS, opt, text, why);
		return false;
	}
	if (v < min_ns || v > max_ns) {
		cli_error("%s: '%s': out of range; want %s to %s", opt, text, sh_value_print_duration(low, min_ns),
			  sh_value_print_duration(high, max_ns));
		return false;
	}
	*out_ns = v;
	return true;
}

bool cli_parse_size(const char *opt, const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	char low[SH_VALUE_TEXT], high[SH_VALUE_TEXT];
	uint64_t v = 0;
	const char *why = sh_value_size(text, &v);

	if (!why && (v < min || v > max))
		why = "is out of range";
	if (why) {
		cli_error("%s: '%s': %s; want a size such as 64KiB or 1MiB, from %s to %s; units: " SH_SIZE_UNITS, opt, text,
			  why, sh_value_print_size(low, min), sh_value_print_size(high, max));
		return false;
	}
	*out = v;
	return true;
}

bool cli_parse_share(const char *opt, const char *text, double min, double max, double *out)
{
	size_t n = strlen(text);
	uint64_t hundredths = 0;
	double v = 0;
	bool good;

	if (n > 0 && text[n - 1] == '%') {
		good = sh_value_percent(text, &hundredths) == NULL;
		v = (double)hundredths / 10000.0;
	} else {
		good = number_with_unit(text, no_units, &v);
	}
	if (!good || v < min || v > max) {
		cli_error("%s: '%s': want a share such as 70%% or 0.7, from %g%% to %g%%", opt, text, min * 100, max * 100);
		return false;
	}
	*out = v;
	return true;
}

/* ---- signals ---- */

/*
 * `timeout` signals the process and then its group, and a terminal's key may come with a supervisor's signal: what
 * comes within a second of the first is the same wish.
 */
static void on_signal(int sig)
{
	uint64_t first = 0;
	uint64_t now = shunt_now_ns();
	int err = errno;

	/* mo rlx: flags; they publish nothing else. */
	if (sh_a64_cas_rlx(&signal_at_ns, &first, now))
		sh_a32_store_rlx(&signal_first, (uint32_t)sig);
	else if (now > first && now - first >= SAME_WISH_NS)
		_exit(CLI_STOPPED);
	errno = err;
}

/* Catches one signal, unless it was ignored when the command started (nohup, a background job of a script). */
static bool catch_signal(int sig, const struct sigaction *sa)
{
	struct sigaction before;

	if (sigaction(sig, NULL, &before) != 0)
		return false;
	return before.sa_handler == SIG_IGN || sigaction(sig, sa, NULL) == 0;
}

int cli_signals_catch(void)
{
	struct sigaction sa;

	(void)memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	(void)sigemptyset(&sa.sa_mask);
	sa.sa_flags = SA_RESTART; /* reads of files continue; waits have short limits */
	if (!catch_signal(SIGINT, &sa) || !catch_signal(SIGTERM, &sa)) {
		cli_error("signals: %s", strerror(errno));
		return CLI_FAILED;
	}
	return CLI_OK;
}

int cli_stopped(void)
{
	/* mo rlx: a flag; seeing it a little later is harmless. */
	return (int)sh_a32_load_rlx(&signal_first);
}

const char *cli_signal_name(int sig)
{
	return sig == SIGINT ? "SIGINT" : sig == SIGTERM ? "SIGTERM" : "a signal";
}

/* ---- progress ---- */

void cli_progress_init(bool wanted)
{
	progress_wanted = wanted && isatty(STDERR_FILENO);
}

bool cli_progress_on(void)
{
	return progress_wanted;
}

void cli_progress(const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	struct winsize size = { 0, 0, 0, 0 };
	size_t width = 80;
	va_list ap;

	if (!progress_wanted)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
		width = size.ws_col;
	(void)pthread_mutex_lock(&terminal);
	(void)fprintf(stderr, "\r%.*s\033[K", (int)(width - 1), line);
	(void)fflush(stderr);
	progress_shown = true;
	(void)pthread_mutex_unlock(&terminal);
}

void cli_progress_clear(void)
{
	(void)pthread_mutex_lock(&terminal);
	line_clear();
	(void)fflush(stderr);
	(void)pthread_mutex_unlock(&terminal);
}

/* ---- output ---- */

const char *cli_detail(void)
{
	const char *reason = shunt_error_detail();

	for (const char *at = reason; (at = strstr(at, "': ")) != NULL;)
		reason = at += 3;
	return reason;
}

FILE *cli_output_open(const char *opt, const char *path)
{
	FILE *f = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");

	if (!f)
		cli_error("%s: '%s': %s", opt, path, strerror(errno));
	return f;
}

/* Why not all of it was written; NULL = it was. An earlier write that failed has left its reason in errno. */
static const char *not_written(FILE *f)
{
	int earlier = errno;

	if (fflush(f) != 0)
		return strerror(errno);
	return !ferror(f) ? NULL : earlier ? strerror(earlier) : "writing failed";
}

bool cli_output_close(const char *opt, const char *path, FILE *f)
{
	const char *why;

	if (!f)
		return true;
	why = not_written(f);
	if (f != stdout && fclose(f) != 0 && !why)
		why = strerror(errno);
	if (why)
		cli_error("%s: '%s': %s", opt, path, why);
	return !why;
}

int cli_stdout_flush(void)
{
	const char *why = not_written(stdout);

	if (!why)
		return CLI_OK;
	cli_error("standard output: %s", why);
	return CLI_FAILED;
}
