/*
 * sched/submitter.h - which submitter (caches and counters) belongs to the calling thread. Called
 * by submit, workers and the runtime's life.
 *
 * Algorithm: a thread claims one submitter per runtime at its first submit and gives it back when
 * it ends. Its own memory remembers SH_REMEMBERED of them by runtime slot and serial number.
 * Calls that may run together: all. Linearization: claim - the CAS of `claimed`; release - its
 * store of 0.
 * Progress: known and get are wait-free after the first call. Find is lock-free. Register, forget
 * and the end of a thread take a process lock (rank 0), which no submit takes.
 * Bounds: find looks at each submitter of the runtime once; 64 runtimes a process.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_SUBMITTER_H
#define SH_SCHED_SUBMITTER_H

#include "sched/world.h"

/*
 * Finds or claims this thread's submitter; NULL = all are claimed, or the thread cannot be
 * registered.
 */
struct sh_submitter *sh_submitter_find(struct shunt_runtime *rt, bool worker);
/*
 * Enters the runtime into the process's table, which gives it slot and serial number: 0,
 * SHUNT_ELIMIT or SHUNT_ESYS. At destroy, takes it out.
 */
int sh_submitter_register_runtime(struct shunt_runtime *rt);
void sh_submitter_forget_runtime(struct shunt_runtime *rt);

/* Does this thread's own memory hold its submitter in rt? */
static inline bool sh_submitter_known(const struct shunt_runtime *rt, struct sh_submitter **sub)
{
	uint32_t place = rt->slot % SH_REMEMBERED;

	*sub = sh_thread.sub[place];
	return sh_likely(sh_thread.serial[place] == rt->serial);
}

/* This thread's submitter, claimed on first use; NULL = all are claimed, use the shared path. */
static inline struct sh_submitter *sh_submitter_get(struct shunt_runtime *rt)
{
	struct sh_submitter *sub;

	return sh_submitter_known(rt, &sub) ? sub : sh_submitter_find(rt, false);
}

/* This thread is inside a call that no submitter counts: destroy must not be called below it. */
static inline void sh_thread_enters(const struct shunt_runtime *rt)
{
	if (sh_thread.inside_n == 0)
		sh_thread.inside = rt;
	if (sh_thread.inside == rt)
		sh_thread.inside_n++;
}

static inline void sh_thread_leaves(const struct shunt_runtime *rt)
{
	if (sh_thread.inside == rt && sh_thread.inside_n > 0)
		sh_thread.inside_n--;
}

/*
 * A blocking call begins: destroy waits until it has ended. Returns what sh_call_end needs, which is the
 * call's last access to the runtime.
 */
static inline struct sh_submitter *sh_call_begin(struct shunt_runtime *rt)
{
	struct sh_submitter *sub;

	if (sh_likely(sh_submitter_known(rt, &sub) && sub != NULL)) {
		/* mo rlx: ordered for destroy by its barrier. */
		sh_a64_store_rlx(&sub->calls, sh_a64_load_rlx(&sub->calls) + 1);
		return sub;
	}
	sh_thread_enters(rt);
	/* mo call.1 <> call.1@life/grace.c: the call begins, then the runtime's state is read. */
	(void)sh_a64_add_sc(&rt->shared_calls, 1);
	return NULL;
}

static inline void sh_call_end(struct shunt_runtime *rt, struct sh_submitter *sub)
{
	if (sh_likely(sub != NULL)) {
		/* mo call.1 -> call.1@life/grace.c: after the last access to the runtime. */
		sh_a64_store_rel(&sub->calls, sh_a64_load_rlx(&sub->calls) - 1);
		return;
	}
	sh_thread_leaves(rt);
	/* mo call.1 -> call.1@life/grace.c: likewise. */
	(void)sh_a64_sub_sc(&rt->shared_calls, 1);
}

/* A public call that may block or run handlers. It ends with its scope, also if one of those ends the thread. */
struct sh_call {
	struct shunt_runtime *rt; /* NULL = it has not begun */
	struct sh_submitter *sub;
};

static inline void sh_call_over(const struct sh_call *c)
{
	if (c->rt)
		sh_call_end(c->rt, c->sub);
}

#define SH_CALL(name) struct sh_call name SH_CLEANUP(sh_call_over) = { NULL, NULL }

/* It begins: 0, or why it is refused. */
static inline int sh_call_enter(struct shunt_runtime *rt, struct sh_call *call)
{
	if (!rt)
		return SHUNT_EINVAL;
	if (sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	*call = (struct sh_call){ rt, sh_call_begin(rt) };
	return 0;
}

#endif
