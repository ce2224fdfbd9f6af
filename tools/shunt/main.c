/*
 * shunt/main.c - the command `shunt`: finds the subcommand and runs it. Each subcommand is one
 * cmd_*.c with its own options, help and exit codes; all of them use 0 = ok, 1 = failed, 2 = usage.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <shunt/version.h>

#include "common/cli.h"
#include "advise/cmd_advise.h"
#include "config/cmd_config.h"
#include "hist/cmd_hist.h"
#include "load/cmd_load.h"
#include "run/cmd_run.h"
#include "topo/cmd_topo.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "run", cmd_run, "hash and test-compress a directory tree by jobs that spawn jobs, and report" },
	{ "load", cmd_load, "open-loop load: latency percentiles beside the machine's own limits" },
	{ "advise", cmd_advise, "run a load on every configuration of this machine; which is best, and its YAML" },
	{ "topo", cmd_topo, "draw the machine and the workers on it" },
	{ "config", cmd_config, "check a configuration; every value and where it comes from" },
	{ "hist", cmd_hist, "read an HdrHistogram interval log" },
};

static void print_help(FILE *f)
{
	(void)fputs("usage: shunt COMMAND [options]\n\nCommands:\n", f);
	for (size_t i = 0; i < SH_COUNT(commands); i++)
		(void)fprintf(f, "  %-8s %s\n", commands[i].name, commands[i].help);
	(void)fputs("\n`shunt COMMAND --help` lists the options, `shunt --version` the version.\n"
		    "Exit code: 0 ok, 1 failed, 2 bad usage or bad input.\n", f);
}

static int unknown(const char *word)
{
	const char *names[SH_COUNT(commands) + 1];
	const char *near;

	for (size_t i = 0; i < SH_COUNT(commands); i++)
		names[i] = commands[i].name;
	names[SH_COUNT(commands)] = NULL;
	near = cli_nearest(word, names);
	if (near)
		cli_error("'%s': no such command; did you mean '%s'?", word, near);
	else
		cli_error("'%s': no such command; see shunt --help", word);
	return CLI_USAGE;
}

/*
 * The parent process may have closed 0, 1 or 2. The first file opened here would then get that
 * number, and the report would go into it. The substitutes refuse to be read (0) or written (1, 2).
 */
static void reserve_standard(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;

	reserve_standard();
	if (!word) {
		print_help(stderr);
		return CLI_USAGE;
	}
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
		print_help(stdout);
		return cli_stdout_flush();
	}
	if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
		(void)printf("shunt %s\n", shunt_version());
		return cli_stdout_flush();
	}
	for (size_t i = 0; i < SH_COUNT(commands); i++)
		if (strcmp(word, commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	return unknown(word);
}
