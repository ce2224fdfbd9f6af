/*
 * base/signals.h - signals by name, as sets of 64 bits: bit n - 1 is signal n. Called by the check of a pool's
 * options, by the configuration and by thread.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_BASE_SIGNALS_H
#define SH_BASE_SIGNALS_H

#include "base/compiler.h"

/* What a value should have been, for the end of a message. */
#define SH_SIGNALS_WANT "none, all, or names of signals with commas, such as usr1,prof,rt0"

/* The signals that a thread causes itself: SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS. */
uint64_t sh_signals_own_faults(void);
/*
 * Reads "none", "all", or names without "sig", with commas: hup, usr1, ..., and rt0 to rt30 for SIGRTMIN and those
 * above, in small letters or capitals. NULL and *set, or what is wrong, in a form that continues "'usr9' ...".
 * Thread: any. Blocks: never.
 */
const char *sh_signals_parse(const char *text, uint64_t *set) SH_MUST_USE;
/* The same as a check. */
static inline const char *sh_signals_wrong(const char *text)
{
	uint64_t set;

	return sh_signals_parse(text, &set);
}

#endif
