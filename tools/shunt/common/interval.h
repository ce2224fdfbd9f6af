/*
 * shunt/common/interval.h - writes what a runtime recorded, second by second, to an HdrHistogram
 * interval log. The series are named queue.TYPE.LEVEL, run.TYPE.LEVEL and total.TYPE.LEVEL. Called
 * by `shunt run` and `shunt load`.
 * Thread: one. A series without a job in an interval has no line in it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_INTERVAL_H
#define SHUNT_INTERVAL_H

#include <shunt/snapshot.h>

struct interval_log {
	struct shunt_hlog *log;
	const char *path;           /* borrowed */
	struct shunt_snapshot *last;
	uint64_t every_ns;
	uint64_t due_ns;            /* shunt_now_ns() of the next interval */
	uint64_t lines;
	bool told; /* a failure was reported; later ones follow from it and are not */
};

/*
 * Opens the file; the intervals start with the runtime's state now. CLI_OK, or CLI_FAILED after a
 * message. path NULL: does nothing.
 */
int interval_open(struct interval_log *il, const char *path, struct shunt_runtime *rt);
/* Writes an interval if it is due or `now` is set. CLI_OK, or CLI_FAILED after a message. */
int interval_tick(struct interval_log *il, struct shunt_runtime *rt, int now);
/* Closes the file. CLI_OK, or CLI_FAILED after a message. */
int interval_close(struct interval_log *il);

#endif
