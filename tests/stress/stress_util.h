/*
 * stress/stress_util.h - what the stress programs share: arguments and seeds, a watchdog that prints every worker's
 * state when nothing moves any more, and small helpers. The programs call stress_init first.
 *
 * Arguments: `short` (default) or `long`, `--jobs N` (jobs per seed), `--seeds K`, `--skip WORD` (leaves a part of the
 * mix out; may be repeated), `--only WORD` (leaves all other parts out). SHUNT_LONG=1 is `long`. SHUNT_SEED=S runs the
 * one seed S, as printed by a failure.
 * SHUNT_STRESS_DEADLINE_S is how long nothing may move before a run counts as stuck (default 60, much more than any
 * step takes: it decides only how soon a hang is reported, never whether a slow run passes).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_STRESS_UTIL_H
#define SH_STRESS_UTIL_H

#include <shunt/runtime.h>
#include <shunt/snapshot.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/rng.h"

struct stress_opts {
	const char *name;
	uint64_t seed; /* of the first round; round i runs seed + i */
	uint64_t jobs; /* per seed */
	uint32_t seeds;
	bool long_run;
};

/* What `short` and `long` mean for the calling program. */
struct stress_size {
	uint64_t jobs_short, jobs_long;
	uint32_t seeds_short, seeds_long;
};

/* Parses, starts the watchdog, prints the seed. Exits 2 on a wrong argument. */
void stress_init(struct stress_opts *o, const char *name, int argc, char **argv, const struct stress_size *size);
/* True when the part was left out with --skip or --only. */
bool stress_skip(const char *part);
/* Names the seed and the runtime that failures speak of; rt NULL = none now. */
void stress_round(uint64_t seed, struct shunt_runtime *rt);
/* Says what the program is at, for the watchdog's report. `what` must be a literal or live on. */
void stress_at(const char *what);
/* Something moved. Any thread. */
void stress_progress(void);
/* Prints what failed, the seed and the workers' states; exits 1. */
_Noreturn void stress_fail(const char *file, int line, const char *format, ...) SH_PRINTF(3, 4);
#define STRESS_CHECK(cond, ...) \
	do { \
		if (sh_unlikely(!(cond))) \
			stress_fail(__FILE__, __LINE__, __VA_ARGS__); \
	} while (0)

/* Prints what a snapshot says of each pool and worker on stderr. */
void stress_print_workers(struct shunt_runtime *rt);
/* Looks until cond(arg) holds; the watchdog ends a look that never does. */
void stress_until(bool (*cond)(void *arg), void *arg, const char *what);
/* Waits until *word reaches at least `value`. */
void stress_until_at_least(sh_a64 *word, uint64_t value, const char *what);
void stress_pause_ns(uint64_t ns);
void stress_spin_ns(uint64_t ns);

#endif
