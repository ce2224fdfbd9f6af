/*
 * life/control.h - entry of the control calls: takes the control lock of the runtime (rank 1) and
 * refuses a runtime that is being destroyed. Called by create and destroy of pools and types.
 * Blocks on that lock; safe from any thread.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_LIFE_CONTROL_H
#define SH_LIFE_CONTROL_H

#include "sched/world.h"

/* Empties the error's detail. 0, or why no call that waits for jobs can be made here: no runtime, forked, in a job. */
int sh_control_outside(struct shunt_runtime *rt);
/* A control call that has the lock: the lines that it logs wait until it has left. */
struct sh_control {
	struct sh_log_held held;
	struct sh_submitter *call; /* destroy waits until it has left, the hook too */
	int cancel;                /* whether the thread could be cancelled before: it cannot while it has the lock */
	char text[2u * SH_REFUSE_TEXT];
};

/* Takes rt->control. 0, or the error of the refused call (then the lock is not held). */
int sh_control_enter(struct shunt_runtime *rt, struct sh_control *c);
/*
 * Gives it back. Then waits for those who still look at a name that the call removed, and passes what was logged to the
 * hook.
 */
void sh_control_leave(struct shunt_runtime *rt, struct sh_control *c);
/* Removes a name from its registry. rt->control is held. */
void sh_control_drop_name(struct shunt_runtime *rt, struct sh_registry *names, const char *name);

#endif
