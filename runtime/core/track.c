/* core/track.c - see track.h. SPDX-License-Identifier: MIT */
#include "core/track.h"

#include <limits.h>

#include "base/clock.h"
#include "base/futex.h"
#include "base/inject.h"

#define TRACK_GEN_MASK ((UINT64_C(1) << 40) - 1)
#define TRACK_FLAGS 0xffffffu

/* The futex word is the half that holds the flags. */
static sh_a32 *track_futex(sh_a64 *word)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (sh_a32 *)(void *)word;
#else
	return (sh_a32 *)(void *)word + 1;
#endif
}

uint64_t sh_track_open(struct shunt_runtime *rt, struct sh_submitter *sub)
{
	uint32_t idx = sh_slab_alloc(&rt->tracks, sub ? &sub->tracks : NULL, sub ? sub->node_slot : 0);
	struct sh_track *t;
	uint64_t gen;

	if (idx == 0)
		return 0;
	t = sh_slab_at(&rt->tracks, idx);
	/* mo rlx: the record is ours alone until it is published. */
	gen = ((sh_a64_load_rlx(&t->state) >> SH_TRACK_GEN_SHIFT) + 1) & TRACK_GEN_MASK;
	if (gen == 0)
		gen = 1;
	/* mo J1 -> J2@core/track.c: the new generation before the new fields; a reader of the old one sees the change. */
	sh_a64_store_rel(&t->state, gen << SH_TRACK_GEN_SHIFT);
	return gen << SH_TRACK_GEN_SHIFT | idx;
}

void sh_track_publish(struct shunt_runtime *rt, uint64_t handle, bool released)
{
	uint64_t word = (handle & ~(uint64_t)TRACK_FLAGS) | SH_TRACK_QUEUED | (released ? SH_TRACK_RELEASED : 0)
			| (sh_track_at(rt, handle)->flags & SH_JOB_ASYNC ? SH_TRACK_ASYNC : 0);

	/* mo J3 -> J2@core/track.c: the fields before QUEUED. */
	sh_a64_store_rel(&sh_track_at(rt, handle)->state, word);
}

static void track_recycle(struct shunt_runtime *rt, struct sh_submitter *sub, uint64_t handle)
{
	struct sh_track *t = sh_track_at(rt, handle);

	/* mo J1 -> J2@core/track.c: FREE under the old generation; the next open moves it on. */
	sh_a64_store_rel(&t->state, handle & ~(uint64_t)TRACK_FLAGS);
	sh_slab_free(&rt->tracks, sub ? &sub->tracks : NULL, (uint32_t)(handle & TRACK_FLAGS));
}

void sh_track_abandon(struct shunt_runtime *rt, struct sh_submitter *sub, uint64_t handle)
{
	track_recycle(rt, sub, handle);
}

bool sh_track_move(struct shunt_runtime *rt, uint64_t handle, uint32_t from, uint32_t to)
{
	sh_a64 *word = &sh_track_at(rt, handle)->state;
	/* mo J2 <- J3@core/track.c: the fields of the generation that the word names. */
	uint64_t w = sh_a64_load_acq(word);

	do {
		if (!sh_track_same(w, handle) || (w & SH_TRACK_STATUS) != from)
			return false;
		/* mo J2 <- J3@core/track.c: success acquires the previous owner's writes and releases ours. */
	} while (!sh_a64_cas_acq_rel_acq(word, &w, (w & ~(uint64_t)SH_TRACK_STATUS) | to));
	return true;
}

static void track_result(const struct sh_track *t, uint32_t status, struct shunt_result *r)
{
	r->status = status == SH_TRACK_DONE ? SHUNT_JOB_DONE
		    : status == SH_TRACK_FAILED ? SHUNT_JOB_FAILED
						: SHUNT_JOB_CANCELLED;
	/* mo J7 <- J7@core/submit.c, J7@core/exec.c: of a later job in the record: then the word, read again, is another. */
	r->code = (int)sh_a32_load_acq(&t->code);
	r->queue_ns = sh_a64_load_acq(&t->queue_ns);
	r->run_ns = sh_a64_load_acq(&t->run_ns);
}

void sh_track_end(struct shunt_runtime *rt, uint64_t handle, uint32_t status)
{
	struct sh_track *t = sh_track_at(rt, handle);
	struct shunt_job_id id = { handle };
	struct shunt_result result;
	uint64_t w;

	if (t->done) {
		struct shunt_job_ctx *ctx = sh_current_innermost();

		track_result(t, status, &result);
		shunt_hold_begin(ctx); /* whatever job this thread is in: no checkpoint of it inside a callback */
		t->done(t->done_arg, id, &result);
		shunt_hold_end(ctx);
	}
	SH_POINT("track.end.before_terminal");
	w = sh_a64_load_rlx(&t->state); /* mo rlx: re-checked by the CAS. */
	do {
		assert(sh_track_same(w, handle) && (w & SH_TRACK_STATUS) == SH_TRACK_FINISHING);
		/* mo J4 -> J5@core/track.c: the result before the terminal status. */
	} while (!sh_a64_cas_acq_rel(&t->state, &w,
				     (w & ~(uint64_t)(SH_TRACK_STATUS | SH_TRACK_WAITER)) | status));
	if (w & SH_TRACK_RELEASED)
		track_recycle(rt, NULL, handle);
	/* From here on only the address is used: the record may already serve another job. */
	if (w & SH_TRACK_WAITER)
		(void)sh_futex_wake(track_futex(&t->state), INT_MAX);
}

uint32_t sh_track_flags(struct shunt_runtime *rt, uint64_t handle)
{
	uint64_t w = sh_a64_load_acq(&sh_track_at(rt, handle)->state); /* mo J2 <- J3@core/track.c: as in move. */

	return sh_track_same(w, handle) ? (uint32_t)(w & TRACK_FLAGS) : 0;
}

static bool track_terminal(uint64_t word)
{
	return (word & SH_TRACK_STATUS) >= SH_TRACK_DONE;
}

static bool handle_valid(const struct shunt_runtime *rt, uint64_t handle)
{
	uint64_t idx = handle & TRACK_FLAGS;

	return idx != 0 && idx <= (uint64_t)rt->tracks.per_node * rt->tracks.nodes;
}

/* Current word of a handle that the user still holds; false = stale. */
static bool track_word(struct shunt_runtime *rt, uint64_t handle, uint64_t *word)
{
	if (!handle_valid(rt, handle))
		return false;
	/* mo J5 <- J4@core/track.c: the result, if the status is terminal. */
	*word = sh_a64_load_acq(&sh_track_at(rt, handle)->state);
	return sh_track_same(*word, handle) && (*word & SH_TRACK_STATUS) != SH_TRACK_FREE && !(*word & SH_TRACK_RELEASED);
}

/* Gives the handle back; the caller saw it valid. False = somebody else did. */
static bool track_release(struct shunt_runtime *rt, uint64_t handle)
{
	sh_a64 *word = &sh_track_at(rt, handle)->state;
	uint64_t w = 0;

	if (!track_word(rt, handle, &w))
		return false;
	do {
		/* FREE: another thread joined it since we looked; the generation moves on only when the record is opened again. */
		if (!sh_track_same(w, handle) || (w & SH_TRACK_STATUS) == SH_TRACK_FREE || (w & SH_TRACK_RELEASED))
			return false;
		/* mo J5 <- J4@core/track.c: whoever comes second recycles, after the other's last access. */
	} while (!sh_a64_cas_acq_rel_acq(word, &w, w | SH_TRACK_RELEASED));
	if (track_terminal(w))
		track_recycle(rt, NULL, handle);
	return true;
}

int shunt_poll(struct shunt_runtime *rt, struct shunt_job_id id, struct shunt_result *result)
{
	struct shunt_result r = { SHUNT_JOB_QUEUED, 0, 0, 0 };
	uint64_t w = 0;
	uint64_t again = 0;

	if (!rt)
		return SHUNT_EINVAL;
	if (sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	if (!track_word(rt, id.v, &w))
		return SHUNT_ESTALE;
	if (track_terminal(w)) {
		track_result(sh_track_at(rt, id.v), (uint32_t)(w & SH_TRACK_STATUS), &r);
		if (!track_word(rt, id.v, &again)) /* joined by another thread while we read */
			return SHUNT_ESTALE;
	} else if ((w & SH_TRACK_STATUS) != SH_TRACK_QUEUED) {
		r.status = SHUNT_JOB_RUNNING;
	}
	if (result)
		*result = r;
	return track_terminal(w) ? 0 : SHUNT_EAGAIN;
}

int shunt_detach(struct shunt_runtime *rt, struct shunt_job_id id)
{
	if (!rt)
		return SHUNT_EINVAL;
	if (sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	return handle_valid(rt, id.v) && track_release(rt, id.v) ? 0 : SHUNT_ESTALE;
}

/* Is the awaited job one of those this thread is inside of? */
static bool waits_for_itself(const struct shunt_job_ctx *ctx, uint64_t handle)
{
	for (; ctx; ctx = ctx->outer)
		if (ctx->track == handle)
			return true;
	return false;
}

/* Sleeps until the word is terminal or the deadline; 0, SHUNT_ETIMEDOUT or SHUNT_ESTALE. */
static int track_sleep(struct shunt_runtime *rt, uint64_t handle, uint64_t deadline_ns)
{
	struct sh_track *t = sh_track_at(rt, handle);

	for (;;) {
		uint64_t w = 0;
		uint64_t now;

		if (!track_word(rt, handle, &w))
			return SHUNT_ESTALE;
		if (track_terminal(w))
			return 0;
		now = sh_clock_ns();
		if (now >= deadline_ns)
			return SHUNT_ETIMEDOUT;
		/* mo J6 <> J4@core/track.c: one word carries flag and status: either we see the end or the ender the flag. */
		if (!(w & SH_TRACK_WAITER) && !sh_a64_cas_acq_rel(&t->state, &w, w | SH_TRACK_WAITER))
			continue;
		(void)sh_futex_wait(track_futex(&t->state), (uint32_t)(w | SH_TRACK_WAITER),
				    deadline_ns == SH_FOREVER ? SH_FOREVER : deadline_ns - now);
	}
}

static uint64_t deadline_of(uint64_t timeout_ns)
{
	uint64_t now = sh_clock_ns();

	return timeout_ns > SH_FOREVER - now ? SH_FOREVER : now + timeout_ns;
}

int shunt_wait(struct shunt_runtime *rt, struct shunt_job_id id, uint64_t timeout_ns, struct shunt_result *result)
{
	struct shunt_job_ctx *ctx;
	uint64_t deadline;
	int rc;

	if (!rt)
		return SHUNT_EINVAL;
	if (sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	rc = shunt_poll(rt, id, result);
	if (rc == SHUNT_EAGAIN && timeout_ns == 0)
		return SHUNT_ETIMEDOUT;
	ctx = sh_current_ctx(rt);
	if (rc == SHUNT_EAGAIN && ctx) {
		if (waits_for_itself(ctx, id.v))
			return SHUNT_EDEADLK;
		if (ctx->worker)
			(void)sh_exec_claimed(rt, ctx->worker, id.v);
		rc = shunt_poll(rt, id, result);
	}
	if (rc == SHUNT_EAGAIN) {
		deadline = deadline_of(timeout_ns);
		if (ctx && ctx->worker && shunt_block_begin(ctx) != 0)
			return SHUNT_EDEADLK;
		rc = track_sleep(rt, id.v, deadline);
		if (ctx && ctx->worker)
			shunt_block_end(ctx);
		if (rc == 0)
			rc = shunt_poll(rt, id, result);
	}
	if (rc != 0)
		return rc;
	return track_release(rt, id.v) ? 0 : SHUNT_ESTALE;
}

/* ---- groups ---- */

struct sh_group *sh_group_at(struct shunt_runtime *rt, struct shunt_group_id id)
{
	uint32_t idx = (uint32_t)id.v;

	if (idx == 0 || id.v >> 32 == 0 || idx > rt->groups.per_node * rt->groups.nodes)
		return NULL;
	return sh_slab_at(&rt->groups, idx);
}

int shunt_group_create(struct shunt_runtime *rt, struct shunt_group_id *out)
{
	struct sh_group *g;
	uint32_t idx;
	uint64_t gen;

	if (!rt || !out)
		return SHUNT_EINVAL;
	if (sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	idx = sh_slab_alloc(&rt->groups, NULL, 0);
	if (idx == 0)
		return SHUNT_EFULL;
	g = sh_slab_at(&rt->groups, idx);
	gen = (sh_a64_load_rlx(&g->state) >> 32) + 1; /* mo rlx: ours alone until published. */
	gen &= 0xffffffffu;
	if (gen == 0)
		gen = 1;
	sh_a64_store_rel(&g->state, gen << 32); /* mo J1 -> J2@core/track.c: as for tracks. */
	out->v = gen << 32 | idx;
	return 0;
}

bool sh_group_enter(struct shunt_runtime *rt, struct shunt_group_id id, uint32_t *index)
{
	struct sh_group *g = sh_group_at(rt, id);
	uint64_t w;

	if (!g)
		return false;
	w = sh_a64_load_acq(&g->state); /* mo J2 <- J3@core/track.c: as for tracks. */
	do {
		if (w >> 32 != id.v >> 32 || (w & SH_GROUP_PENDING) == SH_GROUP_PENDING)
			return false;
		/* mo J2 <- J3@core/track.c: the count before the job is queued. */
	} while (!sh_a64_cas_acq_rel_acq(&g->state, &w, w + 1));
	*index = (uint32_t)id.v;
	return true;
}

void sh_group_leave(struct shunt_runtime *rt, uint32_t index)
{
	struct sh_group *g = sh_slab_at(&rt->groups, index);
	uint64_t w = sh_a64_load_rlx(&g->state); /* mo rlx: re-checked by the CAS. */
	uint64_t next;

	do {
		assert((w & SH_GROUP_PENDING) > 0);
		next = w - 1;
		if ((next & SH_GROUP_PENDING) == 0)
			next &= ~(uint64_t)SH_GROUP_WAITER;
		/* mo J4 -> J5@core/track.c: what the job did before the count goes down. */
	} while (!sh_a64_cas_acq_rel(&g->state, &w, next));
	if ((next & SH_GROUP_PENDING) == 0 && (w & SH_GROUP_WAITER))
		(void)sh_futex_wake(track_futex(&g->state), INT_MAX);
}

bool sh_group_is_cancelled(struct shunt_runtime *rt, uint32_t index)
{
	struct sh_group *g = sh_slab_at(&rt->groups, index);

	return (sh_a64_load_rlx(&g->state) & SH_GROUP_CANCEL) != 0; /* mo rlx: a request; seen soon. */
}

static bool group_word(struct shunt_runtime *rt, struct shunt_group_id id, uint64_t *word)
{
	struct sh_group *g = rt ? sh_group_at(rt, id) : NULL;

	if (!g)
		return false;
	*word = sh_a64_load_acq(&g->state); /* mo J5 <- J4@core/track.c: what the finished jobs did. */
	return *word >> 32 == id.v >> 32;
}

int64_t shunt_group_pending(struct shunt_runtime *rt, struct shunt_group_id group)
{
	uint64_t w = 0;

	if (rt && sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	return group_word(rt, group, &w) ? (int64_t)(w & SH_GROUP_PENDING) : SHUNT_ESTALE;
}

int shunt_group_cancel(struct shunt_runtime *rt, struct shunt_group_id group)
{
	uint64_t w = 0;

	if (rt && sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	if (!group_word(rt, group, &w))
		return SHUNT_ESTALE;
	do {
		if (w >> 32 != group.v >> 32)
			return SHUNT_ESTALE;
		/* mo J2 <- J3@core/track.c: a flag in the group's word. */
	} while (!sh_a64_cas_acq_rel_acq(&sh_group_at(rt, group)->state, &w, w | SH_GROUP_CANCEL));
	return 0;
}

int shunt_group_destroy(struct shunt_runtime *rt, struct shunt_group_id group)
{
	uint64_t w = 0;

	if (rt && sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	if (!group_word(rt, group, &w))
		return SHUNT_ESTALE;
	do {
		if (w >> 32 != group.v >> 32)
			return SHUNT_ESTALE;
		if (w & SH_GROUP_PENDING)
			return SHUNT_EBUSY;
		/* mo J1 -> J2@core/track.c: the generation moves on, so that stale handles fail. */
	} while (!sh_a64_cas_acq_rel_acq(&sh_group_at(rt, group)->state, &w, ((w >> 32) + 1) << 32));
	sh_slab_free(&rt->groups, NULL, (uint32_t)group.v);
	return 0;
}

static int group_sleep(struct shunt_runtime *rt, struct shunt_group_id group, uint64_t deadline_ns)
{
	struct sh_group *g = sh_group_at(rt, group);

	for (;;) {
		uint64_t w = 0;
		uint64_t now;

		if (!group_word(rt, group, &w))
			return SHUNT_ESTALE;
		if ((w & SH_GROUP_PENDING) == 0)
			return 0;
		now = sh_clock_ns();
		if (now >= deadline_ns)
			return SHUNT_ETIMEDOUT;
		/* mo J6 <> J4@core/track.c: one word carries flag and count. */
		if (!(w & SH_GROUP_WAITER) && !sh_a64_cas_acq_rel(&g->state, &w, w | SH_GROUP_WAITER))
			continue;
		(void)sh_futex_wait(track_futex(&g->state), (uint32_t)(w | SH_GROUP_WAITER),
				    deadline_ns == SH_FOREVER ? SH_FOREVER : deadline_ns - now);
	}
}

int shunt_group_wait(struct shunt_runtime *rt, struct shunt_group_id group, uint64_t timeout_ns)
{
	struct shunt_job_ctx *ctx;
	const struct shunt_job_ctx *c;
	uint64_t w = 0;
	uint64_t deadline;
	int rc;

	if (!rt)
		return SHUNT_EINVAL;
	if (sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	if (!group_word(rt, group, &w))
		return SHUNT_ESTALE;
	ctx = sh_current_ctx(rt);
	for (c = ctx; c; c = c->outer)
		if (c->group == (uint32_t)group.v)
			return SHUNT_EDEADLK;
	deadline = deadline_of(timeout_ns);
	if (ctx && ctx->worker)
		sh_worker_help_group(ctx->worker, (uint32_t)group.v, deadline);
	if (!group_word(rt, group, &w))
		return SHUNT_ESTALE;
	if ((w & SH_GROUP_PENDING) == 0)
		return 0;
	if (timeout_ns == 0)
		return SHUNT_ETIMEDOUT;
	if (ctx && ctx->worker && shunt_block_begin(ctx) != 0)
		return SHUNT_EDEADLK;
	rc = group_sleep(rt, group, deadline);
	if (ctx && ctx->worker)
		shunt_block_end(ctx);
	return rc;
}
