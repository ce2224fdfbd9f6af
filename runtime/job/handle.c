/* job/handle.c - see handle.h. SPDX-License-Identifier: MIT */
#include "job/handle.h"

#include <limits.h>

#include "base/clock.h"
#include "base/futex.h"
#include "base/inject.h"
#include "sched/async.h"
#include "sched/deadlock.h"
#include "sched/inherit.h"
#include "sched/pick.h"
#include "sched/propagate.h"
#include "sched/run.h"
#include "sched/submitter.h"

bool sh_record_move(struct shunt_runtime *rt, uint64_t handle, uint32_t from, uint32_t to)
{
	sh_a64 *word = &sh_record_at(rt, handle)->state;
	/* mo record.2 <- record.3@job/handle.c: the fields of the generation that the word names. */
	uint64_t w = sh_a64_load_acq(word);

	do {
		if (!sh_record_same(w, handle) || (w & SH_RECORD_STATUS) != from)
			return false;
		/*
		 * mo record.2 <- record.3@job/handle.c: success acquires the previous owner's writes and
		 * releases ours.
		 */
	} while (!sh_a64_cas_acq_rel_acq(word, &w, (w & ~(uint64_t)SH_RECORD_STATUS) | to));
	return true;
}

static void record_result(const struct sh_record *t, uint32_t status, struct shunt_result *r)
{
	uint64_t o;

	r->status = status == SH_RECORD_DONE     ? SHUNT_JOB_DONE
		    : status == SH_RECORD_FAILED ? SHUNT_JOB_FAILED
						 : SHUNT_JOB_CANCELLED;
	/* mo record.7 <- record.7@job/handle.c: if a later job's, the word has changed. */
	o = sh_a64_load_acq(&t->outcome);
	r->queue_ns = sh_a64_load_acq(&t->queue_ns);
	r->run_ns = sh_a64_load_acq(&t->run_ns);
	r->code = (int)(uint32_t)o;
	r->detail = (uint16_t)(o >> 32 & 0xffu);
	r->attempts = (uint16_t)(o >> 40 & 0xffu);
	r->worker = o >> 48 == 0xffffu ? SHUNT_ANY : (uint32_t)(o >> 48);
}

static void callback_over(struct shunt_job_ctx **ctx)
{
	shunt_hold_end(*ctx);
}

static void callback(const struct sh_end *e)
{
	const struct sh_record *t = e->record;
	struct shunt_result result = { .worker = SHUNT_ANY };
	struct shunt_job_id id = { e->handle };
	struct shunt_job_ctx *ctx SH_CLEANUP(callback_over) = sh_current_innermost();

	record_result(t, e->status, &result);
	/* no checkpoint inside a callback, of any job of this thread */
	shunt_hold_begin(ctx);
	t->done(t->done_arg, id, &result);
}

/* Terminal status, wake all; also if the callback has ended its thread. Frees the record if nobody needs it. */
static void record_terminate(struct sh_end **end)
{
	struct sh_end *e = *end;
	struct shunt_runtime *rt = e->rt;
	struct sh_record *t = e->record;
	uint64_t w;

	SH_POINT("record.end.before_terminal");
	w = sh_a64_load_rlx(&t->state); /* mo rlx: re-checked by the CAS. */
	do {
		assert(sh_record_same(w, e->handle) && (w & SH_RECORD_STATUS) == SH_RECORD_FINISHING);
		/* mo record.4 -> record.5@job/handle.c: the result before the terminal status. */
	} while (!sh_a64_cas_acq_rel(&t->state, &w, (w & ~(uint64_t)(SH_RECORD_STATUS | SH_RECORD_WAITER)) | e->status));
	if ((w & SH_RECORD_HELD) == 0)
		sh_record_free(rt, e->sub, e->handle);
	/* From here on only the address is used: the record may already serve another job. */
	if (w & SH_RECORD_WAITER)
		(void)sh_futex_wake(sh_futex_low(&t->state), INT_MAX);
}

/* The FINISHING thread's last step: result, callback, terminal status. */
static void record_end(struct sh_end *e)
{
	struct sh_end *ending SH_CLEANUP(record_terminate) = e;
	struct sh_record *t = ending->record;

	/* mo record.7 -> record.7@job/handle.c: after the generation; waiters acquire the word. */
	sh_a64_store_rel(&t->outcome, SH_OUTCOME(e->worker, e->attempts, e->detail, e->code));
	sh_a64_store_rel(&t->queue_ns, e->queue_ns);
	sh_a64_store_rel(&t->run_ns, e->run_ns);
	if (t->done)
		callback(e);
}

void sh_record_completion(struct shunt_runtime *rt, uint64_t handle, struct shunt_completion *out)
{
	const struct sh_record *t = sh_record_at(rt, handle);
	uint64_t w = sh_a64_load_acq(&t->state); /* mo record.5 <- record.4@job/handle.c: the result. */

	*out = (struct shunt_completion){ .arg = t->done_arg, .id = { w & SH_RECORD_USER ? handle : 0 }, .type = { t->type_id } };
	record_result(t, (uint32_t)(w & SH_RECORD_STATUS), &out->result);
}

static bool record_terminal(uint64_t word)
{
	return (word & SH_RECORD_STATUS) >= SH_RECORD_DONE && (word & SH_RECORD_STATUS) != SH_RECORD_OWNED;
}

static bool handle_valid(const struct shunt_runtime *rt, uint64_t handle)
{
	uint64_t idx = handle & SH_RECORD_INDEX;

	return idx != 0 && idx <= (uint64_t)rt->records.per_node * rt->records.nodes;
}

/* Current word of a handle that the user still holds; false = stale. */
static bool record_word(struct shunt_runtime *rt, uint64_t handle, uint64_t *word)
{
	if (!handle_valid(rt, handle))
		return false;
	/* mo record.5 <- record.4@job/handle.c: the result, if the status is terminal. */
	*word = sh_a64_load_acq(&sh_record_at(rt, handle)->state);
	return sh_record_same(*word, handle) && (*word & SH_RECORD_USER);
}

/* Gives the handle back. False = it is stale, or another thread did. */
static bool record_release(struct shunt_runtime *rt, uint64_t handle)
{
	uint64_t w = 0;

	return record_word(rt, handle, &w) && sh_record_unhold(rt, NULL, handle, SH_RECORD_USER);
}

int shunt_poll(struct shunt_runtime *rt, struct shunt_job_id id, struct shunt_result *result)
{
	struct shunt_result r = { .status = SHUNT_JOB_QUEUED, .worker = SHUNT_ANY };
	uint64_t w = 0;
	uint64_t again = 0;

	if (!rt)
		return SHUNT_EINVAL;
	if (sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	if (!record_word(rt, id.v, &w))
		return SHUNT_ESTALE;
	if (record_terminal(w)) {
		record_result(sh_record_at(rt, id.v), (uint32_t)(w & SH_RECORD_STATUS), &r);
		if (!record_word(rt, id.v, &again)) /* joined by another thread while we read */
			return SHUNT_ESTALE;
	} else if ((w & SH_RECORD_STATUS) != SH_RECORD_QUEUED) {
		r.status = SHUNT_JOB_RUNNING;
	}
	if (result)
		*result = r;
	return record_terminal(w) ? 0 : SHUNT_EAGAIN;
}

int shunt_detach(struct shunt_runtime *rt, struct shunt_job_id id)
{
	if (!rt)
		return SHUNT_EINVAL;
	if (sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	return handle_valid(rt, id.v) && record_release(rt, id.v) ? 0 : SHUNT_ESTALE;
}

/*
 * If the awaited job is queued for worker w alone, which waits: runs w's pinned jobs of its level up to it. Those that
 * would take longer than the waiter waits are left.
 */
static SH_NOINLINE void serve_pinned(struct shunt_runtime *rt, struct sh_worker *w, uint64_t handle, uint64_t deadline_ns)
{
	/* queued in this pool, neither helped nor keyed: pinned, and it stays where it is until its worker takes it */
	const uint32_t mask = SH_RECORD_STATUS | SH_RECORD_WHERE | SH_RECORD_LINKED;
	const uint32_t pinned = SH_RECORD_QUEUED | w->pool->index << SH_RECORD_POOL_SHIFT;
	uint32_t flags = sh_record_flags(rt, handle), level = flags >> SH_RECORD_LEVEL_SHIFT & (SHUNT_LEVELS_MAX - 1u);
	struct sh_item item = { 0, 0 };
	uint64_t word = 0;

	if ((flags & mask) != pinned || sh_a32_load_rlx(&sh_record_at(rt, handle)->worker) != w->slot)
		return;
	while (record_word(rt, handle, &word) && !record_terminal(word)) {
		if (!sh_worker_take_pinned(w, level, deadline_ns, handle, 0, &item))
			return;
		w->now_ns = 0;
		(void)sh_worker_run_above(w, w->level_mask, item, level);
		w->now_ns = 0;
		if (sh_runtime_forked(rt))
			return;
	}
}

/* Wins the job by its record: its item stays queued, without it. */
static bool claim_ahead(struct shunt_runtime *rt, struct sh_worker *w, uint64_t handle)
{
	bool counted = sh_credit_leave(rt), won = sh_record_claim(rt, handle);

	if (won && counted)
		sh_credit_give(rt, w->submitter, 1);
	else if (counted)
		sh_credit_left(rt, w->submitter);
	return won;
}

/*
 * Runs the queued job that its waiter, a job of worker w, claims through its record. False = it was
 * not queued any more, this worker must not run it, or it would take longer than the waiter waits.
 */
static bool run_awaited(struct shunt_runtime *rt, struct sh_worker *w, uint64_t handle, uint64_t timeout_ns)
{
	const uint32_t helped = SH_RECORD_HELPED | w->pool->index << SH_RECORD_POOL_SHIFT;
	uint32_t flags = sh_record_flags(rt, handle), level = flags >> SH_RECORD_LEVEL_SHIFT & (SHUNT_LEVELS_MAX - 1u);
	struct sh_item item = { 0, 0 };
	bool fits;

	/* Not for a keyed job (its order), a job for a stated worker, or a job of another pool. */
	if ((flags & SH_RECORD_STATUS) != SH_RECORD_QUEUED || (flags & SH_RECORD_WHERE) != helped || !(w->level_mask >> level & 1u))
		return false;
	if (timeout_ns != SHUNT_FOREVER) {
		/* mo rlx: an old job's if the record is another's by now: then it is not claimed. */
		uint32_t kind = sh_a32_load_rlx(&sh_record_at(rt, handle)->kind);

		if (!(kind & SH_KIND_HELP) && !sh_account_in_time(w, kind & SH_KIND_TYPE, timeout_ns))
			return false;
	}
	if (!sh_worker_has_room(w) || ((flags & SH_RECORD_ASYNC) && sh_async_full(w)))
		return false;
	w->now_ns = 0;
	/* the usual case: what this job has just spawned is at the bottom of the deque; its item and credit are over, too */
	if (sh_pick_deque(w, level, &item)) {
		if (!sh_item_is_plain(item) && !sh_item_is_token(item) && item.arg == handle)
			return sh_run_item(w, item, level);
		fits = sh_deque_push(&w->deque[level], item);
		assert(fits); /* its place has just become free */
		(void)fits;
		sh_propagate(w); /* a thief may have found the deque empty meanwhile, and parked */
	}
	if (!claim_ahead(rt, w, handle))
		return false;
	return sh_run_record(w, handle, false);
}

/* Boosts the level of the job of this word; one with a key is behind others of its strand. */
static void record_boost(struct shunt_runtime *rt, uint64_t handle, uint64_t word, struct sh_boosts *boosts)
{
	const uint32_t index = (uint32_t)word >> SH_RECORD_POOL_SHIFT & 1023u;
	const uint32_t levels = 1u << ((uint32_t)word >> SH_RECORD_LEVEL_SHIFT & (SHUNT_LEVELS_MAX - 1u));
	/* mo rlx: another's if the record is another's by now: a boost for nothing, for a moment. */
	const uint32_t strand = sh_a32_load_rlx(&sh_record_at(rt, handle)->strand);
	const bool queued = (word & SH_RECORD_STATUS) == SH_RECORD_QUEUED;

	sh_boost_add(boosts, index, queued ? levels : 0, queued ? 0 : levels,
		     queued && (word & SH_RECORD_LINKED) ? strand : SHUNT_ANY);
}

/* Sleeps until the word is terminal or the deadline; 0, SHUNT_ETIMEDOUT, SHUNT_ESTALE or SHUNT_EDEADLK. */
static SH_NOINLINE int record_sleep(struct shunt_runtime *rt, uint64_t handle, uint64_t deadline_ns,
				    struct sh_sleeper *sleeper)
{
	struct sh_record *t = sh_record_at(rt, handle);
	bool refused = false;

	for (;;) {
		uint64_t w = 0;
		uint64_t left;

		if (!record_word(rt, handle, &w))
			return SHUNT_ESTALE;
		if (record_terminal(w))
			return 0;
		if (refused)
			return SHUNT_EDEADLK;
		left = sh_clock_left(deadline_ns);
		if (left == 0)
			return SHUNT_ETIMEDOUT;
		/*
		 * mo record.6 <> record.4@job/handle.c: flag and status are in one word: we see the end, or the
		 * ender sees the flag.
		 */
		if (!(w & SH_RECORD_WAITER) && !sh_a64_cas_acq_rel(&t->state, &w, w | SH_RECORD_WAITER))
			continue;
		refused = sh_sleeper_look(sleeper, &left) != 0; /* the job may have ended meanwhile */
		if (!refused)
			(void)sh_futex_wait(sh_futex_low(&t->state), (uint32_t)(w | SH_RECORD_WAITER), left);
	}
}

/* Nothing is left but to sleep. */
static SH_NOINLINE int wait_blocked(struct shunt_runtime *rt, uint64_t handle, uint64_t deadline)
{
	struct sh_sleeper sleeper SH_CLEANUP(sh_sleeper_end) = { 0 };
	struct sh_boosts boosts SH_CLEANUP(sh_boosts_end) = { 0 };
	uint64_t word = 0;
	int rc;

	sh_boosts_begin(&boosts, rt);
	if (record_word(rt, handle, &word))
		record_boost(rt, handle, word, &boosts); /* before a spare serves the queue */
	rc = sh_sleeper_begin(&sleeper, rt, handle, (struct shunt_group_id){ 0 }, deadline);
	return rc == 0 ? record_sleep(rt, handle, deadline, &sleeper) : rc;
}

static int wait_inside(struct shunt_runtime *rt, struct shunt_job_id id, uint64_t timeout_ns,
		       struct shunt_result *result)
{
	struct shunt_job_ctx *ctx;
	uint64_t deadline;
	int rc;

	rc = shunt_poll(rt, id, result);
	if (rc == SHUNT_EAGAIN && timeout_ns == 0)
		return SHUNT_ETIMEDOUT;
	deadline = rc == SHUNT_EAGAIN ? sh_clock_deadline(timeout_ns) : 0;
	ctx = sh_current_ctx(rt);
	if (rc == SHUNT_EAGAIN && ctx && ctx->worker) {
		if (!run_awaited(rt, ctx->worker, id.v, timeout_ns))
			serve_pinned(rt, ctx->worker, id.v, deadline);
		rc = shunt_poll(rt, id, result);
	}
	if (rc == SHUNT_EAGAIN) {
		rc = wait_blocked(rt, id.v, deadline);
		if (rc == 0)
			rc = shunt_poll(rt, id, result);
	}
	if (rc != 0)
		return rc;
	return record_release(rt, id.v) ? 0 : SHUNT_ESTALE;
}

int shunt_wait(struct shunt_runtime *rt, struct shunt_job_id id, uint64_t timeout_ns, struct shunt_result *result)
{
	SH_CALL(call);
	int rc = sh_call_enter(rt, &call);

	return rc == 0 ? wait_inside(rt, id, timeout_ns, result) : rc;
}

static int cancel_inside(struct shunt_runtime *rt, struct shunt_job_id id)
{
	struct shunt_result r = { .worker = SHUNT_ANY };
	struct sh_end e;
	bool counted;
	uint64_t w;
	int rc;

	rc = shunt_poll(rt, id, &r);
	if (rc == SHUNT_ESTALE)
		return rc;
	counted = r.status == SHUNT_JOB_QUEUED && sh_credit_leave(rt);
	if (sh_record_move(rt, id.v, SH_RECORD_QUEUED, SH_RECORD_FINISHING)) {
		if (counted)
			sh_credit_give(rt, NULL, 1);
		sh_run_load(&e, rt, id.v);
		sh_end_cancelled(&e, SHUNT_BY_CANCEL);
		/* its item stays queued, and its place in a strand: who pops it drops it */
		sh_run_end(&e, SH_PART(KEY));
		return 0;
	}
	if (counted)
		sh_credit_left(rt, NULL);
	/* mo record.2 <- record.3@job/handle.c: the current word. */
	w = sh_a64_load_acq(&sh_record_at(rt, id.v)->state);
	do {
		if (!sh_record_same(w, id.v) || (w & SH_RECORD_STATUS) == SH_RECORD_FREE)
			return SHUNT_ESTALE;
		if (record_terminal(w))
			return SHUNT_EAGAIN;
		/* mo record.6 <> record.4@job/handle.c: the cancel flag is in the word that ends the job. */
	} while (!sh_a64_cas_acq_rel_acq(&sh_record_at(rt, id.v)->state, &w, w | SH_RECORD_CANCEL));
	return SHUNT_EBUSY;
}

int shunt_cancel(struct shunt_runtime *rt, struct shunt_job_id id)
{
	SH_CALL(call);
	int rc = sh_call_enter(rt, &call); /* the job's callback may take long */

	return rc == 0 ? cancel_inside(rt, id) : rc;
}

/* ---- the part ---- */

static int handle_admit(struct sh_submit *s)
{
	s->record->done = s->spec->done;
	s->record->done_arg = s->spec->done_arg;
	/* mo record.7 -> record.7@job/handle.c: after the generation; a poll of the old one sees it changed. */
	sh_a64_store_rel(&s->record->outcome, 0);
	sh_a64_store_rel(&s->record->queue_ns, 0);
	sh_a64_store_rel(&s->record->run_ns, 0);
	s->record->start_ns = 0;
	s->record->ran_on = SHUNT_ANY;
	return 0;
}

/* Publishes the record: from here on the handle acts. */
static void handle_commit(struct sh_submit *s)
{
	const bool async = (s->parts & SH_PART(ASYNC)) != 0;
	uint32_t flags = s->level << SH_RECORD_LEVEL_SHIFT | s->pool->index << SH_RECORD_POOL_SHIFT;

	/* one that runs inline is its submitter's from the start: it has no item, and no credit to give back */
	if (!s->inlined)
		flags |= SH_RECORD_QUEUED;
	else
		flags |= async ? SH_RECORD_FINISHING : SH_RECORD_RUNNING;
	flags |= s->wants_id ? SH_RECORD_USER : 0;
	flags |= async ? SH_RECORD_ASYNC : 0;
	flags |= s->parts & SH_PART(KEY) && !s->inlined ? SH_RECORD_LINKED : 0;
	flags |= s->parts & SH_PART(CQ) ? SH_RECORD_UNREAD : 0;
	flags |= s->parts & (SH_PART(KEY) | SH_PART(PINNED)) ? 0 : SH_RECORD_HELPED;
	/* mo record.3 -> record.2@job/handle.c: the fields before QUEUED. */
	sh_a64_store_rel(&s->record->state, (s->handle & ~SH_RECORD_INDEX) | flags);
}

static enum sh_go handle_start(struct sh_end *e)
{
	e->record->start_ns = e->start_ns;
	e->record->ran_on = e->worker;
	/* mo record.7 -> record.7@job/handle.c: after the generation. */
	sh_a64_store_rel(&e->record->queue_ns, e->queue_ns);
	return SH_GO_RUN;
}

static enum sh_done handle_finish(struct sh_end *e, int code)
{
	const bool async = (e->parts & SH_PART(ASYNC)) != 0;

	if ((async && code == SHUNT_PENDING) || !sh_record_move(e->rt, e->handle, SH_RECORD_RUNNING, SH_RECORD_FINISHING))
		return SH_DONE_DETACHED;
	return SH_DONE_END;
}

static void handle_release(struct sh_end *e)
{
	if (e->status != 0)
		record_end(e);
}

const struct sh_part sh_part_handle = {
	.name = "handle",
	.admit = handle_admit,
	.commit = handle_commit,
	.start = handle_start,
	.finish = handle_finish,
	.release = handle_release,
};
