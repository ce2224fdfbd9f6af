/*
 * shunt/common/cli.h - what the subcommands share: messages in one style, values of options,
 * signals, the progress line, output files. Called by main.c and every cmd_*.c that runs something.
 * One command per process: the state is global.
 *
 * Messages look like `shunt run: --workers: '0': want a number from 1 to 256`. Exit codes: CLI_OK,
 * CLI_FAILED, CLI_USAGE; CLI_STOPPED after a signal.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_CLI_H
#define SHUNT_CLI_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <shunt/error.h>
#include <shunt/log.h>

#include "base/compiler.h"

#define CLI_OK 0
#define CLI_FAILED 1
#define CLI_USAGE 2
#define CLI_STOPPED 130
#define CLI_GO_ON (-1) /* an argument parser's result: no exit code yet */

/* Names the command for the messages that follow: "run" gives "shunt run: ". Keeps the pointer. */
void cli_begin(const char *command);
/* Prints one line on standard error, after clearing the progress line. Any thread. */
void cli_error(const char *fmt, ...) SH_PRINTF(1, 2);
/* Prints n bytes as one line on standard error, without the name of the command. */
void cli_put_line(const char *text, size_t n);
/* The reason in the library's detail of an error about a file, without the file's name; the detail if it has none. */
const char *cli_detail(void);
/* A log hook for runtimes: warnings and errors as messages of the command. */
void cli_log(void *unused, enum shunt_log_level level, const char *message);

/* ---- text that came from outside ---- */
#define CLI_ESCAPE_MAX 4u /* bytes that one byte becomes at most */
/* No control character and no invalid UTF-8 in it? */
bool cli_text_clean(const char *text);
/* Copies text with control characters and invalid bytes as \n and \xHH: at most CLI_ESCAPE_MAX a byte, and a zero. */
size_t cli_text_escape(char *out, const char *text);

/* ---- options ---- */
#define CLI_HELP 'h' /* the value of --help in every table of options */
#define CLI_SET 's'  /* of --set, the only one that may be repeated */

/*
 * Reads all options. --help prints `help`. For every other one `take` finds the argument in optarg
 * and returns CLI_GO_ON or an exit code, which ends the reading. An option may come once, but for CLI_SET.
 * `shorts` is getopt's string, ":" if there are none. Returns CLI_GO_ON with optind at the first argument, or the exit
 * code after the messages.
 */
int cli_options(int argc, char **argv, const char *shorts, const struct option *options, const char *help,
		int (*take)(void *arg, int option), void *arg);
/* Does one of n sets (KEY=VALUE) have the key of `text`, which `origin` gave? Then true, after a message. */
bool cli_set_repeated(const char *origin, const char *text, const char *const *sets, size_t n);
/* An argument where none is allowed: CLI_USAGE after a message; CLI_GO_ON if there is none. */
int cli_no_arguments(int argc, char *const *argv);
/* The candidate that `word` most likely means, NULL if none is near. NULL ends `candidates`. */
const char *cli_nearest(const char *word, const char *const *candidates);
/*
 * Parsers: false after a message that names the option. Counts take k, M, G (thousands); durations, sizes and
 * percentages are read as in the configuration (base/value.h); shares also as `0.7`.
 */
bool cli_parse_count(const char *opt, const char *text, uint64_t min, uint64_t max, uint64_t *out);
bool cli_parse_count32(const char *opt, const char *text, uint32_t min, uint32_t max, uint32_t *out);
bool cli_parse_duration(const char *opt, const char *text, uint64_t min_ns, uint64_t max_ns, uint64_t *out_ns);
bool cli_parse_size(const char *opt, const char *text, uint64_t min, uint64_t max, uint64_t *out);
bool cli_parse_share(const char *opt, const char *text, double min, double max, double *out);
/* The silent core of cli_parse_duration: false if `text` is no duration. A bare 0 is one. */
bool cli_duration_value(const char *text, double *out_ns);

/* ---- signals ---- */
/*
 * From now on catches SIGINT and SIGTERM: the first is kept, one that comes a second or more after it ends the process
 * at once, others are ignored. One that was ignored when the command started stays ignored. 0 or CLI_FAILED.
 */
int cli_signals_catch(void);
/* The first signal received, 0 = none. Any thread, also in jobs. */
int cli_stopped(void);
/* "SIGINT", "SIGTERM". */
const char *cli_signal_name(int sig);

/* ---- progress ---- */
/* Enables the line if standard error is a terminal and `wanted`. */
void cli_progress_init(bool wanted);
bool cli_progress_on(void);
/* Replaces the line, cut to the width of the terminal. */
void cli_progress(const char *fmt, ...) SH_PRINTF(1, 2);
/* Clears the line. */
void cli_progress_clear(void);

/* ---- output ---- */
/* Opens a file for writing, "-" is standard output; NULL after a message. */
FILE *cli_output_open(const char *opt, const char *path);
/* Closes what cli_output_open opened (NULL is allowed). False after a message if a write failed. */
bool cli_output_close(const char *opt, const char *path, FILE *f);
/* Flushes standard output: CLI_OK, or CLI_FAILED after a message. */
int cli_stdout_flush(void);

#endif
