/*
 * core/exec.c - the end of a job's way: claim it, run its handler, count it, end it. Called by the worker's loop, by
 * waiters that help, by submits that run inline, and by cancellers. Nothing here touches a descriptor that was freed.
 *
 * SPDX-License-Identifier: MIT
 */
#include <limits.h>

#include "base/clock.h"
#include "base/futex.h"
#include "base/inject.h"
#include "core/plain.h"
#include "core/runtime.h"
#include "core/strand.h"
#include "core/track.h"

#define ASYNC_STEP_NS 1000000u /* a worker that waits for the pool's bound looks again at least this often */

/* One run, copied off the descriptor so that the descriptor can go home first. */
struct exec_in {
	struct sh_pool *pool;
	struct sh_type *type;
	void *arg;
	uint64_t submit_ns;
	uint64_t track;
	uint32_t group;
	uint32_t strand;
	uint64_t cost;
	uint16_t type_index;
	uint8_t level;
	uint8_t flags;
	bool inlined;
};

struct exec_out {
	uint32_t status; /* SH_TRACK_DONE, FAILED, CANCELLED */
	int code;
	uint64_t queue_ns, run_ns, total_ns;
	uint64_t nested_ns; /* of run_ns, in jobs that ran nested and count for themselves */
	bool ran;
	bool pass; /* a keyed job that held its strand hands it on */
};

static size_t stat_cell(const struct exec_in *in)
{
	return (size_t)in->type_index * in->pool->levels + in->level;
}

/* Counts in cells that several threads share: cancels, inline runs, asynchronous completions. */
static void count_outside(const struct exec_in *in, const struct exec_out *out)
{
	struct sh_stat *st = sh_stat_get(&in->pool->mem, &in->pool->outside[stat_cell(in)]);

	if (!st)
		return;
	/* mo rlx: statistics. */
	(void)sh_a64_add_rlx(out->status == SH_TRACK_DONE ? &st->done : out->status == SH_TRACK_FAILED ? &st->failed
			     : &st->cancelled, 1);
#ifndef SHUNT_NO_METRICS
	if (out->ran) {
		sh_hist_record_shared(st->queue, out->queue_ns);
		sh_hist_record_shared(st->run, out->run_ns);
		sh_hist_record_shared(st->total, out->total_ns);
	}
#endif
}

static void count_worker(struct sh_worker *w, const struct exec_in *in, const struct exec_out *out)
{
	struct sh_stat *st = sh_stat_get(&w->pool->mem, &w->stat[stat_cell(in)]);

	if (sh_likely(st != NULL)) {
		sh_a64_bump_owner(out->status == SH_TRACK_DONE ? &st->done : out->status == SH_TRACK_FAILED ? &st->failed
				  : &st->cancelled, 1);
#ifndef SHUNT_NO_METRICS
		if (out->ran) {
			sh_hist_record(st->queue, out->queue_ns);
			sh_hist_record(st->run, out->run_ns);
			sh_hist_record(st->total, out->total_ns);
		}
#endif
	}
	if (!out->ran)
		return;
	sh_count_jobs(w, 1);
	sh_a64_bump_owner(&w->busy_ns, out->run_ns > out->nested_ns ? out->run_ns - out->nested_ns : 0);
	sh_learn_failure(w, out->status == SH_TRACK_FAILED);
	sh_learn(w, in->type_index, in->type, out->run_ns);
}

/* Somebody waits for room: he must not wait for what our cache keeps. */
void sh_exec_make_room(struct sh_worker *w, struct sh_pool *p)
{
	if (w)
		sh_slab_flush(&p->rt->jobs, &w->submitter->jobs);
	sh_pool_room(p);
}

void sh_exec_strand_pass(struct sh_pool *p, struct sh_worker *w, uint32_t strand)
{
	uint32_t level = 0;

	if (sh_strand_release(p->rt, &p->strand[strand], &level))
		sh_submit_token(p, w ? w->submitter : sh_submitter_get(p->rt), strand, level);
}

/* The one place where a job becomes terminal. w = the worker that counts it, NULL = shared counters. */
static void terminal(struct shunt_runtime *rt, struct sh_worker *w, const struct exec_in *in, const struct exec_out *out)
{
	struct sh_pool *p = in->pool;

	if (p->opts.queue_max != 0) /* first: whoever learns of the end may count on the room */
		(void)sh_a64_sub_acq_rel(&p->in_pool, 1); /* mo Q1 -> Q1@core/submit.c: room for one more. */
	if (w)
		count_worker(w, in, out);
	else
		count_outside(in, out);
	if (in->track) {
		struct sh_track *t = sh_track_at(rt, in->track);

		/* mo J7 -> J7@core/track.c: after the generation; its own waiters have them with the terminal word. */
		sh_a32_store_rel(&t->code, (uint32_t)out->code);
		sh_a64_store_rel(&t->queue_ns, out->queue_ns);
		sh_a64_store_rel(&t->run_ns, out->run_ns);
		sh_track_end(rt, in->track, out->status);
	}
	if (in->group)
		sh_group_leave(rt, in->group);
	if (out->pass)
		sh_exec_strand_pass(p, w, in->strand);
	if (sh_unlikely(sh_a32_load_rlx(&p->room_waiters) != 0)) /* mo rlx: who is missed looks again within a millisecond. */
		sh_exec_make_room(w, p);
	/* mo N1 -> N1@core/runtime.c: everything about the job, and our last look at the pool, before it is counted. */
	if (w)
		sh_a64_store_rel(&w->finished[in->type_index], sh_a64_load_rlx(&w->finished[in->type_index]) + 1);
	else
		(void)sh_a64_add_acq_rel(&p->outside_finished[in->type_index], 1);
}

static void cancel_never_ran(struct shunt_runtime *rt, struct sh_worker *w, const struct exec_in *in, bool pass)
{
	struct exec_out out = { SH_TRACK_CANCELLED, SHUNT_ECANCELLED, 0, 0, 0, 0, false, pass };

	terminal(rt, w, in, &out);
}

static void settle(struct sh_worker *w, uint64_t cost)
{
	if (w && cost)
		sh_a64_bump_owner(&w->balance, cost);
}

/*
 * A place among the pool's asynchronous jobs. With `wait`, waits if other workers took the last ones since this job was
 * picked; a job nested in another must not, for the outer one may hold the place.
 */
static bool async_reserve_pool(struct sh_pool *p, bool wait)
{
	uint32_t n = sh_a32_load_sc(&p->async_in_flight); /* mo Y1 <> Y1@core/exec.c: then the wait on this very word. */

	for (;;) {
		if (n < p->opts.async_pool_max) {
			if (sh_a32_cas_sc(&p->async_in_flight, &n, n + 1)) /* mo Y1 <> Y1@core/exec.c: reserved. */
				return true;
			continue;
		}
		if (!wait || sh_a32_load_acq(&p->stop) != 0) /* mo S3 <- S2@core/push.c: nobody may complete any more. */
			return false;
		(void)sh_futex_wait(&p->async_in_flight, n, ASYNC_STEP_NS);
		n = sh_a32_load_sc(&p->async_in_flight); /* mo Y1 <> Y1@core/exec.c: as above. */
	}
}

/* Is the worker to be charged for an asynchronous job in flight? Reserved before the handler, returned by its end. */
static void async_enter(struct sh_worker *w, struct sh_track *t, const struct exec_in *in)
{
	uint32_t n;

	t->worker = w ? w->slot : SHUNT_ANY;
	t->cost = in->cost;
	if (!w)
		return;
	w->async_used = true;
	n = sh_a32_add_sc(&w->async_in_flight, 1) + 1; /* mo Y1 <> Y1@core/exec.c: in flight before `full`. */
	if (n >= w->pool->opts.async_max) {
		sh_a32_store_sc(&w->full, 1); /* mo Y1 <> Y1@core/exec.c: the completer lowers it after its decrement, */
		if (sh_a32_load_sc(&w->async_in_flight) < w->pool->opts.async_max) /* mo Y1 <> Y1@core/exec.c: or we do. */
			sh_a32_store_sc(&w->full, 0); /* mo Y1 <> Y1@core/exec.c: it came in between. */
	}
}

static void async_leave(struct sh_pool *p, const struct sh_track *t)
{
	struct sh_worker *w;
	uint32_t before, i, n;

	if (t->worker == SHUNT_ANY)
		return;
	w = p->worker[t->worker];
	(void)sh_a64_sub_rlx(&w->accepted, t->cost); /* mo rlx: an estimate. */
	/* mo Y1 <> Y1@core/exec.c: decrement, then `full`, then look whether the worker sleeps. */
	(void)sh_a32_sub_sc(&w->async_in_flight, 1);
	before = sh_a32_sub_sc(&p->async_in_flight, 1); /* mo Y1 <> Y1@core/exec.c: the pool's bound likewise. */
	if (sh_a32_xchg_sc(&w->full, 0) != 0) /* mo Y1 <> Y1@core/exec.c: whoever lowers it wakes. */
		(void)sh_worker_wake(w);
	if (before < p->opts.async_pool_max)
		return;
	(void)sh_futex_wake(&p->async_in_flight, INT_MAX);
	/* mo W4 <> W4@core/worker.c: the place is free, then the look: we see a new stand-in that sleeps, or it sees the place. */
	n = sh_a32_load_sc(&p->slots);
	for (i = 0; i < n; i++)
		(void)sh_worker_wake(p->worker[i]);
}

/* A keyed job that does not run must still hand its strand on. */
static void strand_pass(const struct exec_in *in, struct sh_worker *w)
{
	if (in->flags & SH_JOB_KEYED)
		sh_exec_strand_pass(in->pool, w, in->strand);
}

/* The context stays current until the job's callback has run: the caller puts the outer one back. */
static void run_handler(struct sh_worker *w, const struct exec_in *in, struct shunt_job_ctx *ctx, int *rc)
{
	struct shunt_job_ctx *outer = sh_current_set(ctx);

	ctx->outer = outer;
	ctx->depth = outer ? outer->depth + 1 : 0;
	if (w)
		w->running = ctx;
	*rc = in->type->handler(ctx, in->arg);
	while (sh_unlikely(ctx->blocked > 0))
		shunt_block_end(ctx); /* a handler that forgot: the pool must not stay one short */
	if (w)
		w->running = outer;
}

/* Runs one job whose track (if any) is RUNNING and ours. `counter` is the worker whose statistics it enters. */
static void run(struct shunt_runtime *rt, struct sh_worker *w, const struct exec_in *in)
{
	/* An inline run may sit in another pool's worker: that one is blocked with it, but its books are not ours. */
	struct sh_worker *book = w && w->pool == in->pool ? w : NULL;
	/* Who holds a place among the asynchronous jobs for it; an inline run never waits for one, so it takes none. */
	struct sh_worker *hold = in->inlined ? NULL : book;
	bool outer = w && w->running;
	struct shunt_job_ctx ctx = { rt, w, NULL, in->track, in->submit_ns, 0, in->arg, in->group, in->strand,
				     in->type_index, in->level, in->flags, 0, 0, in->inlined, 0, 0, 0, 0, false, false };
	struct exec_out out = { SH_TRACK_DONE, 0, 0, 0, 0, 0, true, false };
	bool keyed = (in->flags & SH_JOB_KEYED) != 0;
	bool async = (in->flags & SH_JOB_ASYNC) != 0;
	uint64_t end, gross_ns;
	int rc = 0;

	if (w)
		sh_plain_settle(w);
	ctx.start_ns = w && w->now_ns ? w->now_ns : sh_clock_ns();
	out.queue_ns = ctx.start_ns > in->submit_ns ? ctx.start_ns - in->submit_ns : 0;
	if (in->track) {
		struct sh_track *t = sh_track_at(rt, in->track);

		t->start_ns = ctx.start_ns;
		sh_a64_store_rel(&t->queue_ns, out.queue_ns); /* mo J7 -> J7@core/track.c: after the generation. */
		if (async && hold && !async_reserve_pool(in->pool, !outer)) {
			if (!outer) {
				settle(book, in->cost);
				(void)sh_a64_add_rlx(&in->pool->stop_cancelled, 1); /* mo rlx: read when the threads have left. */
				cancel_never_ran(rt, book, in, keyed); /* the pool stops; it never started */
				return;
			}
			hold = NULL;
		}
		if (async) { /* now a completer may come: it acquires these fields through the word */
			async_enter(hold, t, in);
			(void)sh_track_move(rt, in->track, SH_TRACK_FINISHING, SH_TRACK_RUNNING);
		}
	}
	if (w)
		w->now_ns = 0;
	run_handler(w, in, &ctx, &rc);
	end = sh_clock_ns();
	if (w)
		w->now_ns = end;
	if ((async && rc == SHUNT_PENDING)
	    || (in->track && !sh_track_move(rt, in->track, SH_TRACK_RUNNING, SH_TRACK_FINISHING))) {
		(void)sh_current_set(ctx.outer);
		return; /* pending, or an asynchronous job that somebody completed before its handler returned */
	}
	if (async)
		async_leave(in->pool, sh_track_at(rt, in->track));
	else
		settle(book, in->cost);
	gross_ns = end > ctx.start_ns ? end - ctx.start_ns : 0;
	out.run_ns = gross_ns > ctx.lent_ns ? gross_ns - ctx.lent_ns : 0;
	out.nested_ns = ctx.nested_ns;
	if (ctx.outer && !ctx.outer->lending)
		ctx.outer->nested_ns += gross_ns;
	out.total_ns = end > in->submit_ns ? end - in->submit_ns : 0;
	if (rc != SHUNT_DONE) {
		out.status = SH_TRACK_FAILED;
		out.code = rc;
	}
	out.pass = keyed;
	terminal(rt, book, in, &out);
	(void)sh_current_set(ctx.outer);
}

/* The pool is the one whose queue the descriptor came from: the type of a cancelled job may be gone by now. */
static void load_in(struct shunt_runtime *rt, struct sh_pool *p, struct exec_in *in, const struct sh_job *job)
{
	in->type_index = job->type;
	in->type = &rt->type[job->type];
	in->pool = p;
	in->arg = job->arg;
	in->submit_ns = job->submit_ns;
	in->track = job->track;
	in->group = job->group;
	in->strand = job->strand;
	in->level = job->level;
	in->flags = job->flags;
	in->inlined = false;
	in->cost = job->flags & SH_JOB_KEYED ? 0 : SH_COST_ONE + job->cost_ns; /* a strand's token is charged instead */
}

/* Wins the right to run. An asynchronous job is locked until its start is written down: nobody completes it before. */
static bool track_start(struct shunt_runtime *rt, uint64_t handle, uint8_t flags)
{
	return sh_track_move(rt, handle, SH_TRACK_QUEUED, flags & SH_JOB_ASYNC ? SH_TRACK_FINISHING : SH_TRACK_RUNNING);
}

/* Frees the descriptor and wins the right to run; false = it was cancelled or taken by a waiter. */
static bool exec_claim(struct shunt_runtime *rt, struct sh_worker *w, uint32_t item, struct exec_in *in)
{
	load_in(rt, w->pool, in, sh_slab_at(&rt->jobs, item));
	sh_slab_free(&rt->jobs, &w->submitter->jobs, item);
	SH_POINT("exec.before_claim");
	return !in->track || track_start(rt, in->track, in->flags);
}

static void exec_group_cancelled(struct shunt_runtime *rt, struct sh_worker *w, const struct exec_in *in)
{
	if (in->track && !(in->flags & SH_JOB_ASYNC))
		(void)sh_track_move(rt, in->track, SH_TRACK_RUNNING, SH_TRACK_FINISHING);
	settle(w, in->cost);
	cancel_never_ran(rt, w, in, (in->flags & SH_JOB_KEYED) != 0);
}

bool sh_exec_job(struct shunt_runtime *rt, struct sh_worker *w, uint32_t item)
{
	struct exec_in in;

	if (!exec_claim(rt, w, item, &in)) {
		settle(w, in.cost);
		strand_pass(&in, w);
		return false;
	}
	if (sh_unlikely(in.group && sh_group_is_cancelled(rt, in.group))) {
		exec_group_cancelled(rt, w, &in);
		return false;
	}
	run(rt, w, &in);
	return true;
}

void sh_exec_inline(struct shunt_runtime *rt, const struct shunt_job_spec *spec, uint32_t type, uint32_t level, uint64_t submit_ns,
		    uint64_t track, uint32_t group)
{
	struct shunt_job_ctx *ctx = sh_current_ctx(rt);
	struct sh_worker *w = ctx ? ctx->worker : NULL;
	struct exec_in in = { rt->type[type].pool, &rt->type[type], spec->arg, submit_ns, track, group, 0, 0, (uint16_t)type,
			      (uint8_t)level, rt->type[type].flags & SHUNT_TYPE_ASYNC ? SH_JOB_ASYNC : 0, true };

	(void)sh_a64_add_rlx(&in.pool->inlined, 1); /* mo rlx: statistic. */
	if (track && !track_start(rt, track, in.flags))
		return;
	if (w)
		w->now_ns = 0;
	run(rt, w, &in);
}

bool sh_exec_cancel(struct sh_pool *p, uint32_t item)
{
	struct shunt_runtime *rt = p->rt;
	struct exec_in in;

	load_in(rt, p, &in, sh_slab_at(&rt->jobs, item));
	sh_slab_free(&rt->jobs, NULL, item);
	if (in.track && !sh_track_move(rt, in.track, SH_TRACK_QUEUED, SH_TRACK_FINISHING))
		return false;
	cancel_never_ran(rt, NULL, &in, false);
	return true;
}

/* What a track remembers of its job, for threads that have no descriptor. */
static void load_track(struct shunt_runtime *rt, struct exec_in *in, uint64_t handle)
{
	const struct sh_track *t = sh_track_at(rt, handle);

	in->type_index = t->type;
	in->type = &rt->type[t->type];
	in->pool = t->pool;
	in->arg = t->arg;
	in->submit_ns = t->submit_ns;
	in->track = handle;
	in->group = t->job_group;
	in->strand = t->strand;
	in->level = t->level;
	in->flags = t->flags;
	in->inlined = false;
	in->cost = 0;
}

int shunt_cancel(struct shunt_runtime *rt, struct shunt_job_id id)
{
	struct shunt_result r;
	struct exec_in in;
	uint64_t w;
	int rc;

	if (!rt)
		return SHUNT_EINVAL;
	if (sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	rc = shunt_poll(rt, id, &r);
	if (rc == SHUNT_ESTALE)
		return rc;
	if (sh_track_move(rt, id.v, SH_TRACK_QUEUED, SH_TRACK_FINISHING)) {
		load_track(rt, &in, id.v);
		cancel_never_ran(rt, NULL, &in, false); /* the descriptor stays queued; whoever pops it drops it */
		return 0;
	}
	w = sh_a64_load_acq(&sh_track_at(rt, id.v)->state); /* mo J2 <- J3@core/track.c: current word. */
	do {
		if (w >> SH_TRACK_GEN_SHIFT != id.v >> SH_TRACK_GEN_SHIFT)
			return SHUNT_ESTALE;
		if ((w & SH_TRACK_STATUS) == SH_TRACK_FREE)
			return SHUNT_ESTALE;
		if ((w & SH_TRACK_STATUS) >= SH_TRACK_DONE)
			return SHUNT_EAGAIN;
		/* mo J6 <> J4@core/track.c: the cancel token sits in the word that ends the job. */
	} while (!sh_a64_cas_acq_rel_acq(&sh_track_at(rt, id.v)->state, &w, w | SH_TRACK_CANCEL));
	return SHUNT_EBUSY;
}

int shunt_complete(struct shunt_runtime *rt, struct shunt_job_id id, int code)
{
	struct exec_out out = { code == 0 ? SH_TRACK_DONE : SH_TRACK_FAILED, code, 0, 0, 0, 0, true, false };
	struct exec_in in;
	struct sh_track *t;
	uint64_t end;
	uint32_t flags;
	uint64_t idx = id.v & 0xffffffu;

	if (!rt || code == SHUNT_PENDING)
		return SHUNT_EINVAL;
	if (sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	if (idx == 0 || idx > (uint64_t)rt->tracks.per_node * rt->tracks.nodes)
		return SHUNT_ESTALE;
	t = sh_track_at(rt, id.v);
	flags = sh_track_flags(rt, id.v);
	if ((flags & SH_TRACK_STATUS) == SH_TRACK_RUNNING && !(flags & SH_TRACK_ASYNC))
		return SHUNT_EINVAL; /* its own handler ends it */
	if (!sh_track_move(rt, id.v, SH_TRACK_RUNNING, SH_TRACK_FINISHING))
		return SHUNT_ESTALE;
	load_track(rt, &in, id.v);
	end = sh_clock_ns();
	out.queue_ns = sh_a64_load_rlx(&t->queue_ns); /* mo rlx: acquired with RUNNING. */
	out.run_ns = end > t->start_ns ? end - t->start_ns : 0;
	out.total_ns = end > in.submit_ns ? end - in.submit_ns : 0;
	async_leave(in.pool, t);
	out.pass = (in.flags & SH_JOB_KEYED) != 0;
	terminal(rt, NULL, &in, &out);
	return 0;
}

bool sh_exec_abandon(struct shunt_runtime *rt, uint64_t handle)
{
	struct exec_in in;

	if (!sh_track_move(rt, handle, SH_TRACK_RUNNING, SH_TRACK_FINISHING))
		return false;
	load_track(rt, &in, handle);
	async_leave(in.pool, sh_track_at(rt, handle));
	cancel_never_ran(rt, NULL, &in, (in.flags & SH_JOB_KEYED) != 0); /* later jobs of its key are queued again */
	return true;
}

bool sh_exec_claimed(struct shunt_runtime *rt, struct sh_worker *w, uint64_t handle)
{
	const struct sh_track *t = sh_track_at(rt, handle);
	struct exec_in in;
	uint32_t flags = sh_track_flags(rt, handle);

	/* A keyed job keeps its order, one for a stated worker its place, and another pool's job its pool. */
	if ((flags & SH_TRACK_STATUS) != SH_TRACK_QUEUED || !t->pool || t->pool != w->pool || (t->flags & SH_JOB_KEYED)
	    || t->worker != SHUNT_ANY || !(w->level_mask >> t->level & 1u))
		return false;
	if ((w->running && w->running->depth >= SH_NEST_MAX) || ((t->flags & SH_JOB_ASYNC) && sh_worker_async_full(w)))
		return false;
	load_track(rt, &in, handle);
	if (!track_start(rt, handle, in.flags))
		return false;
	w->now_ns = 0;
	run(rt, w, &in);
	return true;
}
