/* base/signals.c - see signals.h. SPDX-License-Identifier: MIT */
#include "base/signals.h"

#include <signal.h>
#include <string.h>
#include <strings.h>

#define BIT(n) (UINT64_C(1) << ((n)-1))
#define REALTIME_MAX 30 /* rt0 to rt30: those that the C library leaves to programs */

static const struct {
	const char *name;
	int number;
} known[] = {
	{ "hup", SIGHUP },
	{ "int", SIGINT },
	{ "quit", SIGQUIT },
	{ "abrt", SIGABRT },
	{ "usr1", SIGUSR1 },
	{ "usr2", SIGUSR2 },
	{ "pipe", SIGPIPE },
	{ "alrm", SIGALRM },
	{ "term", SIGTERM },
#ifdef SIGSTKFLT /* not on every machine */
	{ "stkflt", SIGSTKFLT },
#endif
	{ "chld", SIGCHLD },
	{ "cont", SIGCONT },
	{ "tstp", SIGTSTP },
	{ "ttin", SIGTTIN },
	{ "ttou", SIGTTOU },
	{ "urg", SIGURG },
	{ "xcpu", SIGXCPU },
	{ "xfsz", SIGXFSZ },
	{ "prof", SIGPROF },
	{ "winch", SIGWINCH },
	{ "io", SIGIO },
	{ "vtalrm", SIGVTALRM },
	{ "pwr", SIGPWR },
	{ "kill", SIGKILL },
	{ "stop", SIGSTOP },
	{ "segv", SIGSEGV },
	{ "bus", SIGBUS },
	{ "fpe", SIGFPE },
	{ "ill", SIGILL },
	{ "trap", SIGTRAP },
	{ "sys", SIGSYS },
};

uint64_t sh_signals_own_faults(void)
{
	return BIT(SIGSEGV) | BIT(SIGBUS) | BIT(SIGFPE) | BIT(SIGILL) | BIT(SIGTRAP) | BIT(SIGSYS);
}

/* "rt0" to "rt30" in any case; 0 for anything else. */
static int realtime(const char *name, size_t len)
{
	int n = 0;
	size_t i;

	if (len < 3 || len > 4 || strncasecmp(name, "rt", 2) != 0 || (name[2] == '0' && len > 3))
		return 0;
	for (i = 2; i < len; i++) {
		if (name[i] < '0' || name[i] > '9')
			return 0;
		n = n * 10 + (name[i] - '0');
	}
	return n <= REALTIME_MAX && SIGRTMIN + n <= SIGRTMAX ? SIGRTMIN + n : 0;
}

static const char *one(const char *name, size_t len, uint64_t *set)
{
	int number = realtime(name, len);
	size_t i;

	for (i = 0; i < SH_COUNT(known) && number == 0; i++)
		if (strlen(known[i].name) == len && strncasecmp(name, known[i].name, len) == 0)
			number = known[i].number;
	if (number == 0)
		return "names no signal";
	if (number == SIGKILL || number == SIGSTOP)
		return "names a signal that no thread can block";
	if (BIT(number) & sh_signals_own_faults())
		return "names a signal that every worker takes, the fault of a thread itself";
	*set |= BIT(number);
	return NULL;
}

const char *sh_signals_parse(const char *text, uint64_t *set)
{
	const char *wrong = NULL;
	uint64_t found = 0;

	if (strcasecmp(text, "all") == 0) {
		*set = UINT64_MAX;
		return NULL;
	}
	while (!wrong && strcasecmp(text, "none") != 0) {
		size_t len, end;

		text += strspn(text, " ");
		end = strcspn(text, ",");
		for (len = end; len > 0 && text[len - 1] == ' ';)
			len--;
		wrong = one(text, len, &found);
		if (!text[end])
			break;
		text += end + 1;
	}
	if (!wrong)
		*set = found;
	return wrong;
}
