/*
 * sched/submit.c - the path of a job into a queue: check, admit its parts (part.h), choose a worker
 * (choose.c), publish, wake (push.h). No step allocates from the system, locks, logs or blocks,
 * except the wake-up of a parked worker and SHUNT_ON_FULL_BLOCK; a spec that is refused sets the
 * detail of the error.
 *
 *   shunt_submit, shunt_submit_batch
 *     submit_outside   one job without parts, of a thread that is no worker: the fast path
 *     spawn            the same of a worker's job, into its own deque
 *     submit_run       jobs without parts, up to SH_SUBMIT_RUN of one type and level, of any thread
 *     submit_parts     any job, one at a time
 *       try_queue      credit, record, parts, then route; on an error nothing stays taken
 *       when_full      what the caller chose for SHUNT_EFULL: error, wait, run inline
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/futex.h"
#include "base/inject.h"
#include "base/opts.h"
#include "sched/choose.h"
#include "sched/credit.h"
#include "sched/part.h"
#include "sched/push.h"
#include "sched/run.h"
#include "sched/section.h"
#include "sched/spare.h"
#include "sched/strand.h"
#include "sched/submitter.h"
#include "sched/token.h"

#define CAPACITY_STEP_NS 1000000u /* a blocked submitter looks again at least this often */
#define INLINES_MAX 64u /* on one stack */

/* Details of a refused spec. */
#define NO_SPEC "job: the runtime or the spec is NULL; want both"
#define NO_EFFECT(field, flag) "job.opts." field ": has no effect without " flag "; want that, or 0 here"
#define NEEDS(flag, field) "job.flags: " flag " needs opts with a " field "; want them, or not this flag"

static const struct shunt_job_opts no_opts = SHUNT_JOB_OPTS_INIT;

/* ---- counts, gate, read-side section ---- */

static inline void count_attempts(struct shunt_runtime *rt, struct sh_submitter *sub, uint32_t type, uint32_t n)
{
	if (sh_likely(sub != NULL))
		sh_a64_bump_owner(&sub->submitted[type], n);
	else
		/* mo count.2 <> count.2@life/drain.c: counted, then the gate is read. */
		(void)sh_a64_add_sc(&rt->shared_submitted[type], n);
}

static void count_rejected(struct shunt_runtime *rt, struct sh_submitter *sub, uint32_t type, uint32_t n)
{
	if (sub)
		/* mo count.4 -> count.4@life/drain.c: the attempt before its rollback. */
		sh_a64_store_rel(&sub->rejected[type], sh_a64_load_rlx(&sub->rejected[type]) + n);
	else
		(void)sh_a64_add_acq_rel(&rt->shared_rejected[type], n); /* mo count.4 -> count.4@life/drain.c: as above. */
}

static inline bool gate_open(const struct shunt_runtime *rt)
{
	/*
	 * mo count.2 <> count.2@life/drain.c: the attempt was counted before; the drainer closes the gate
	 * before it counts.
	 */
	uint32_t gate = sh_a32_load_sc(&rt->accepting);

	return sh_likely(gate == SH_ACCEPT_ALL) || (gate == SH_ACCEPT_JOBS && sh_current_ctx(rt));
}

/* ---- queues ---- */

/* May this worker keep its own spawns in pool p? */
static inline bool keeps_own(const struct sh_worker *w, const struct sh_pool *p, uint32_t level)
{
	return w && w->pool == p && (w->own_levels >> level & 1u);
}

/*
 * Jobs that a worker spawns in its own pool go to its own deque: no line of another thread is
 * touched. Returns how many of the n items went there.
 */
static inline uint32_t push_own(struct sh_submitter *sub, struct sh_pool *p, const struct sh_item *items, uint32_t n, uint32_t level)
{
	struct sh_worker *w = sub->worker;
	uint32_t i = 0;

	while (i < n && sh_deque_push(&w->deque[level], items[i]))
		i++;
	if (sh_unlikely(i == 0))
		return 0;
	w->deque_bits |= 1u << level;
	if (sh_a32_load_rlx(&p->slots) > 1) { /* mo rlx: a first spare is seen by the next push. */
		sh_push_stealable(p, level);
		sh_push_wake_idle(sub, p, i, level);
	}
	return i;
}

/* Queues n items where any worker may take them: at the worker that the strategy names, or in the backlog. */
static inline void route_any(const struct sh_choice *c, const struct sh_item *items, uint32_t n)
{
	struct sh_pool *p = c->pool;

	if (sh_push_backlogged(p, c->level)) { /* no worker is chosen */
		sh_push_backlog(c->sub, p, items, n, c->level);
	} else {
		uint32_t w = p->workers == 1 ? 0 : sh_choose(c);

		SH_POINT("submit.chosen");
		sh_push_ring(c->sub, p, w, items, n, c->level);
	}
}

static int route_worker(struct sh_submit *s, struct sh_item item)
{
	struct sh_worker *w = s->pool->worker[s->target];
	uint32_t state;

	if (!sh_ring_push(&w->pinned[s->level], item))
		return SHUNT_EFULL;
	if (!(sh_a32_load_sc(&w->pin_bits) >> s->level & 1u))       /* mo hint.1 <> hint.2@sched/pick.h: as sh_push_stealable. */
		(void)sh_a32_or_sc(&w->pin_bits, 1u << s->level); /* mo hint.1 <> hint.2@sched/pick.h: as sh_push_stealable. */
	/* mo park.2 <> park.1@sched/idle.c: published, then the state is read. */
	state = sh_a32_load_sc(&w->state);
	if (state == SH_W_PARKED || (state == SH_W_WAKING && sh_push_may_rewake(s->sub, w)))
		(void)sh_worker_wake(w);
	return 0;
}

/* Queues an admitted job. SHUNT_EFULL, SHUNT_ENOENT: it is not queued. */
static int route(struct sh_submit *s)
{
	const uint64_t async = s->parts & SH_PART(ASYNC) ? SH_ITEM_ASYNC : 0;
	const uint64_t help = s->spec->flags & SHUNT_JOB_HELP ? SH_ITEM_HELP : 0;
	struct sh_item item = s->record ? sh_item_record(s->handle, s->type_index, s->group, async | help)
					: sh_item_plain(s->type_index, s->submit_ns, s->spec->arg);
	struct sh_choice c = { s->sub, s->pool, s->spec, s->now_ns, s->level, SHUNT_ANY,
			       sh_a64_load_rlx(&s->type->est_ns), 1 }; /* mo rlx: an estimate. */
	uint32_t w;

	switch (s->route) {
	case SH_ROUTE_STRAND:
		if (sh_strand_push(s->rt, &s->pool->strand[s->strand], sh_record_index(s->handle)))
			sh_token_push(s->pool, s->sub, s->strand, s->level);
		return 0;
	case SH_ROUTE_WORKER:
		return route_worker(s, item);
	case SH_ROUTE_NODE:
		c.node = s->target;
		w = sh_choose(&c);
		if (w == SHUNT_ANY)
			return SHUNT_ENOENT;
		sh_push_ring(s->sub, s->pool, w, &item, 1, s->level);
		return 0;
	case SH_ROUTE_ANY:
		break;
	}
	if (!s->sub || !keeps_own(s->sub->worker, s->pool, s->level) || push_own(s->sub, s->pool, &item, 1, s->level) == 0)
		route_any(&c, &item, 1);
	return 0;
}

/* ---- jobs with parts ---- */

static int admit(struct sh_submit *s)
{
	const bool needs_record = (s->parts & SH_PARTS_RECORD) != 0;
	struct sh_record *t = NULL;
	int rc;

	s->handle = needs_record ? sh_record_open(s->rt, s->sub) : 0;
	if (needs_record && s->handle == 0)
		return SHUNT_EFULL;
	s->record = t = needs_record ? sh_record_at(s->rt, s->handle) : NULL;
	s->group = s->strand = 0;
	s->route = SH_ROUTE_ANY;
	if (t) {
		t->arg = s->spec->arg;
		t->submit_ns = s->submit_ns;
		/* mo rlx: published with the record; a waiter looks again at its word (handle.c). */
		sh_a32_store_rlx(&t->kind, s->type_index | (s->spec->flags & SHUNT_JOB_HELP ? SH_KIND_HELP : 0));
		t->type_id = s->spec->type.v;
		t->parts = (uint16_t)s->parts;
		t->level = (uint8_t)s->level;
		t->pool = s->pool;
	}
	rc = sh_parts_admit(s);
	if (sh_unlikely(rc != 0) && t)
		sh_record_free(s->rt, s->sub, s->handle);
	else if (t && !(s->parts & SH_PART(HANDLE)))
		/* mo rlx: published with the item, which alone names the record. */
		sh_a64_store_rlx(&t->state, (s->handle & ~SH_RECORD_INDEX) | SH_RECORD_OWNED);
	return rc;
}

static int try_queue(struct sh_submit *s, struct shunt_job_id *id)
{
	uint32_t wanted = s->parts;
	int rc;

	if (sh_unlikely(sh_credit_take(s->rt, s->sub, 1) == 0))
		return SHUNT_EFULL;
	rc = admit(s);
	if (sh_unlikely(rc != 0)) {
		sh_credit_give(s->rt, s->sub, 1);
		return rc;
	}
	SH_POINT("submit.before_enqueue");
	if (id)
		id->v = s->handle; /* before the job can run: its own handler may read it */
	rc = route(s);
	if (sh_unlikely(rc != 0)) {
		/* a thread that saw the handle before this call returned may have cancelled the job */
		if (!s->record || sh_record_claim_end(s->rt, s->handle)) {
			sh_parts_rollback(s);
			if (s->record)
				sh_record_free(s->rt, s->sub, s->handle);
			sh_credit_give(s->rt, s->sub, 1);
		} else {
			sh_credit_left(s->rt, s->sub);
		}
		s->parts = wanted;
		if (id)
			id->v = 0;
	} else if (s->parts & SH_PART(GROUP)) {
		s->rt->parts[SH_GROUP]->queued(s);
	}
	SH_POINT("submit.after_enqueue");
	return rc;
}

/* An inline run: what its end restores, also if its handler ends the thread. */
struct inline_run {
	struct sh_submit *s;
	struct sh_submitter *call;
	uint32_t depth;
};

static void inline_over(const struct inline_run *r)
{
	struct shunt_runtime *rt = r->s->rt;

	sh_section_resume(rt, r->s->sub, r->depth);
	/* mo call.1 -> call.1@life/runtime.c: the handler has returned. */
	(void)sh_a32_sub_acq_rel(&rt->inlining, 1);
	sh_call_end(rt, r->call);
}

static int run_inline(struct sh_submit *s, struct shunt_job_id *id)
{
	const bool deep = sh_thread.worker && !sh_worker_has_room(sh_thread.worker);
	int rc;

	if ((s->parts & SH_PARTS_ROUTE) || deep || (s->ctx && s->ctx->inlines >= INLINES_MAX))
		return SHUNT_EFULL;
	s->inlined = true;
	rc = admit(s);
	if (rc != 0)
		return rc;
	if (id)
		id->v = s->handle;
	{
		struct inline_run r SH_CLEANUP(inline_over) = { s, sh_call_begin(s->rt), 0 };

		(void)sh_a32_add_rlx(&s->rt->inlining, 1); /* mo rlx: in a section, which destroy waits for. */
		r.depth = sh_section_suspend(s->rt, s->sub);
		sh_run_inline(s);
	}
	return sh_runtime_forked(s->rt) ? SHUNT_EFORKED : 0; /* a child that the handler forked */
}

static int block_for_capacity(struct sh_submit *s, struct shunt_job_id *id)
{
	struct shunt_runtime *rt = s->rt;
	struct sh_pool *p = s->pool;
	uint64_t deadline = sh_clock_deadline(s->opts->full_timeout_ns ? s->opts->full_timeout_ns : SH_FOREVER);
	bool in_worker = s->ctx && s->ctx->worker;
	struct sh_spare_ask ask;
	struct sh_submitter *call;
	int rc, spare = 0;

	call = sh_call_begin(rt); /* while it sleeps it is in no section */
	if (in_worker) {
		uint32_t depth = sh_section_suspend(rt, s->sub);

		spare = sh_block_ask(s->ctx, &ask);
		sh_section_resume(rt, s->sub, depth);
	}
	/* mo rlx: a missed waiter looks again within a millisecond. */
	(void)sh_a32_add_rlx(&p->capacity_waiters, 1);
	for (;;) {
		/* mo capacity.2 <- capacity.2@sched/capacity.c: sees the capacity released before this count. */
		uint32_t seen = sh_a32_load_acq(&p->releases);
		uint64_t left;
		uint32_t depth;

		rc = gate_open(rt) ? try_queue(s, id) : SHUNT_ESTOPPED;
		if (rc != SHUNT_EFULL)
			break;
		left = sh_clock_left(deadline);
		if (left == 0)
			rc = SHUNT_ETIMEDOUT;
		else if (spare != 0 && spare != SHUNT_EAGAIN)
			rc = spare == SHUNT_ELIMIT ? SHUNT_EDEADLK : spare;
		if (rc != SHUNT_EFULL)
			break;
		depth = sh_section_suspend(rt, s->sub);
		if (spare == SHUNT_EAGAIN) { /* the step is short enough to look again */
			spare = sh_block_look(s->ctx, &ask, 0);
			spare = spare == SHUNT_ETIMEDOUT ? SHUNT_EAGAIN : spare;
		}
		if (spare == 0 || spare == SHUNT_EAGAIN)
			(void)sh_futex_wait(&p->releases, seen, left < CAPACITY_STEP_NS ? left : CAPACITY_STEP_NS);
		sh_section_resume(rt, s->sub, depth);
	}
	(void)sh_a32_sub_rlx(&p->capacity_waiters, 1); /* mo rlx: as above. */
	sh_call_end(rt, call);
	if (in_worker)
		shunt_block_end(s->ctx);
	return rc;
}

/* What the caller chose for a full queue, or the pool. */
static enum shunt_on_full on_full(const struct sh_submit *s)
{
	return s->spec->on_full ? (enum shunt_on_full)s->spec->on_full : s->pool->opts.on_full;
}

static int when_full(struct sh_submit *s, struct shunt_job_id *id)
{
	enum shunt_on_full full = on_full(s);
	int rc = SHUNT_EFULL;

	if (full == SHUNT_ON_FULL_INLINE)
		rc = run_inline(s, id);
	else if (full == SHUNT_ON_FULL_BLOCK)
		rc = block_for_capacity(s, id);
	if (rc != 0)
		(void)sh_a64_add_rlx(&s->pool->rejected, 1); /* mo rlx: statistic. */
	return rc;
}

static inline bool is_far(uint64_t arrival_ns, uint64_t now_ns)
{
	return sh_unlikely(arrival_ns - (now_ns - SH_PAST_NS) > SH_PAST_NS + SH_FUTURE_NS);
}

/* The parts that a job has: its type's, and what its spec asks for. */
static uint32_t parts_wanted(const struct sh_submit *s)
{
	const struct shunt_job_spec *spec = s->spec;

	return s->type->parts | (s->wants_id || spec->done ? SH_PART(HANDLE) : 0) | (spec->group.v ? SH_PART(GROUP) : 0)
	       | (spec->flags & SHUNT_JOB_KEYED ? SH_PART(KEY) : 0) | (spec->flags & SHUNT_JOB_ON_WORKER ? SH_PART(PINNED) : 0)
	       | (spec->flags & SHUNT_JOB_ON_NODE ? SH_PART(NODE) : 0) | (s->opts->cq ? SH_PART(CQ) | SH_PART(HANDLE) : 0)
	       | (spec->arrival_ns ? SH_PART(FAR) : 0);
}

/* Each option needs the flag that it is for, and each flag its option. */
static int check_opts(const struct sh_submit *a)
{
	const struct shunt_job_spec *s = a->spec;
	const size_t size = s->opts ? s->opts->size : 0;

	if (!(s->flags & SHUNT_JOB_ON_WORKER) && a->opts->worker != 0)
		return sh_error_set(SHUNT_EINVAL, NO_EFFECT("worker", "SHUNT_JOB_ON_WORKER in flags"));
	if (!(s->flags & SHUNT_JOB_ON_NODE) && a->opts->node != 0)
		return sh_error_set(SHUNT_EINVAL, NO_EFFECT("node", "SHUNT_JOB_ON_NODE in flags"));
	if (on_full(a) != SHUNT_ON_FULL_BLOCK && a->opts->full_timeout_ns != 0)
		return sh_error_set(SHUNT_EINVAL, NO_EFFECT("full_timeout_ns", "SHUNT_ON_FULL_BLOCK in on_full"));
	if ((s->flags & SHUNT_JOB_ON_WORKER) && !sh_opts_has(size, struct shunt_job_opts, worker))
		return sh_error_set(SHUNT_EINVAL, NEEDS("SHUNT_JOB_ON_WORKER", "worker"));
	if ((s->flags & SHUNT_JOB_ON_NODE) && !sh_opts_has(size, struct shunt_job_opts, node))
		return sh_error_set(SHUNT_EINVAL, NEEDS("SHUNT_JOB_ON_NODE", "node"));
	if (a->opts->cq && s->done)
		return sh_error_set(SHUNT_EINVAL, "job.opts.cq and job.done contradict: done_arg goes to one of them; want one");
	return 0;
}

/* Checks the fields of the spec, and those that contradict each other. What one part needs, it checks itself. */
static int check_spec(const struct sh_submit *a)
{
	const struct shunt_job_spec *s = a->spec;
	const unsigned placing = s->flags & (SHUNT_JOB_KEYED | SHUNT_JOB_ON_WORKER | SHUNT_JOB_ON_NODE);
	const unsigned known = SHUNT_JOB_KEYED | SHUNT_JOB_ON_WORKER | SHUNT_JOB_ON_NODE | SHUNT_JOB_HELP;

	if (s->flags & ~known)
		return sh_error_set(SHUNT_EINVAL, "job.flags: 0x%x has unknown bits; want some of 0x%x", s->flags,
				    known);
	if (s->on_full > SHUNT_ON_FULL_INLINE)
		return sh_error_set(SHUNT_EINVAL, "job.on_full: %u is unknown; want at most %d", s->on_full,
				    SHUNT_ON_FULL_INLINE);
	if (s->level > a->pool->levels)
		return sh_error_set(SHUNT_EINVAL, "job.level: no level %u; want at most SHUNT_LEVEL(%u)", a->level,
				    a->pool->levels - 1u);
	if ((s->flags & SHUNT_JOB_HELP) && !a->wants_id && s->group.v == 0)
		return sh_error_set(SHUNT_EINVAL,
				    "job.flags: SHUNT_JOB_HELP has no effect without a handle or a group");
	/* A key fixes the order; so would a worker or node. */
	if ((placing & (placing - 1)) != 0)
		return sh_error_set(SHUNT_EINVAL, "job.flags: 0x%x contradict; want a key, a worker or a node",
				    s->flags);
	return check_opts(a);
}

static SH_NOINLINE int submit_parts(struct shunt_runtime *rt, struct sh_submitter *sub, const struct shunt_job_spec *spec,
				    struct shunt_job_id *id, uint64_t now)
{
	uint32_t index = sh_id_index(spec->type.v);
	struct shunt_job_opts opts;
	struct sh_submit s;
	int rc;

	if (sh_unlikely(index >= SHUNT_TYPES_MAX))
		return SHUNT_ENOENT;
	count_attempts(rt, sub, index, 1);
	s.rt = rt;
	s.spec = spec;
	s.opts = &no_opts;
	s.sub = sub;
	s.ctx = sh_current_ctx(rt);
	s.type_index = index;
	s.type = &rt->type[index];
	s.now_ns = now;
	s.submit_ns = spec->arrival_ns ? spec->arrival_ns : now;
	s.wants_id = id != NULL;
	s.inlined = false;
	rc = SHUNT_ESTOPPED;
	if (sh_unlikely(!gate_open(rt)))
		goto rejected;
	rc = SHUNT_ENOENT;
	/* mo type.1 <- type.1@life/types.c: the type's fields. The attempt was counted before. */
	if (sh_unlikely(sh_a32_load_sc(&s.type->state) != spec->type.v))
		goto rejected;
	s.pool = s.type->pool;
	s.level = spec->level ? spec->level - 1u : s.type->level;
	if (spec->opts) {
		rc = sh_opts_take(&opts, sizeof(opts), spec->opts, spec->opts->size);
		if (sh_unlikely(rc != 0)) {
			sh_error_detail("job.opts." SH_OPTS_WRONG);
			goto rejected;
		}
		s.opts = &opts;
	}
	rc = check_spec(&s);
	if (sh_unlikely(rc != 0))
		goto rejected;
	s.parts = parts_wanted(&s);
	rc = try_queue(&s, id);
	if (sh_unlikely(rc == SHUNT_EFULL))
		rc = when_full(&s, id);
	if (sh_likely(rc == 0))
		return 0;
rejected:
	count_rejected(rt, sub, index, 1);
	return rc;
}

/* ---- jobs without parts ---- */

/*
 * Submit time of a job. Spawns of a running job whose type is so short that it is batched
 * (account.h) get that job's start time, without a clock read.
 */
static inline uint64_t spawn_clock(const struct sh_worker *w)
{
	if (w->running == &w->ctx && sh_account_short(w, w->running->type) && (w->running->nested_ns | w->running->preempted_ns) == 0
	    && !w->running->paused)
		return w->running->start_ns;
	return sh_clock_ns();
}

static inline uint64_t submit_clock(const struct sh_submitter *sub)
{
	return sub && sub->worker ? spawn_clock(sub->worker) : sh_clock_ns();
}

/* Does the spec ask for no part? One look at level, on_full and flags. */
static inline bool spec_plain(const struct shunt_job_spec *s)
{
	uint32_t word;

	_Static_assert(offsetof(struct shunt_job_spec, flags) == offsetof(struct shunt_job_spec, level) + 2, "one word");
	_Static_assert(SHUNT_ON_FULL_INLINE == 3, "two bits");
	memcpy(&word, &s->level, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return ((word & 0xfffffc00u) | s->group.v | (uintptr_t)s->done | (uintptr_t)s->opts) == 0;
#else
	return s->flags == 0 && s->on_full <= SHUNT_ON_FULL_INLINE && (s->group.v | (uintptr_t)s->done | (uintptr_t)s->opts) == 0;
#endif
}

/*
 * The type of a spec without parts if its jobs have none either and the gate is open, and their
 * level; else NULL: submit_parts says why. n attempts were counted before.
 */
static inline const struct sh_type *plain_type(struct shunt_runtime *rt, const struct shunt_job_spec *spec, uint32_t index, uint32_t *level)
{
	const struct sh_type *type = &rt->type[index];

	/* mo type.1 <- type.1@life/types.c: the type's fields. The attempts were counted before. */
	if (sh_unlikely(!gate_open(rt)) || sh_unlikely(sh_a32_load_sc(&type->state) != spec->type.v) || sh_unlikely(type->parts != 0))
		return NULL;
	*level = spec->level ? spec->level - 1u : type->level;
	return sh_likely(*level < type->pool->levels) ? type : NULL;
}

/*
 * Item of a spec without parts; false = it needs a record, because its arrival is too far away for an
 * item, or is not later than that of the thread's last item with one: two items may be alike then,
 * which a ring must not hold one after the other in one slot (lockfree/ring.h).
 */
static inline bool plain_item(struct sh_submitter *sub, const struct shunt_job_spec *spec, uint32_t index, uint64_t now,
			      struct sh_item *item)
{
	if (sh_unlikely(spec->arrival_ns != 0)) {
		if (!sub || is_far(spec->arrival_ns, now) || spec->arrival_ns < sub->last_arrival_ns + SH_TICK_NS)
			return false;
		now = spec->arrival_ns;
		sub->last_arrival_ns = now;
	}
	*item = sh_item_plain(index, now, spec->arg);
	return true;
}

/* Queues items of one type where any worker may take them. */
static SH_NOINLINE void route_plain(struct sh_submitter *sub, const struct sh_type *type, const struct shunt_job_spec *spec, uint64_t now,
				    uint32_t level, const struct sh_item *items, uint32_t n)
{
	struct sh_choice c = { sub, type->pool, spec, now, level, SHUNT_ANY, sh_a64_load_rlx(&type->est_ns), n }; /* mo rlx: an estimate. */

	route_any(&c, items, n);
}

/*
 * n <= SH_SUBMIT_RUN jobs of one type and level without parts, in order, from any thread. Returns how
 * many were accepted; fewer = submit_parts must try the next one. The caller is in a read-side
 * section.
 */
static SH_NOINLINE uint32_t submit_run(struct shunt_runtime *rt, struct sh_submitter *sub, const struct shunt_job_spec *spec, uint32_t n)
{
	uint32_t index = sh_id_index(spec->type.v);
	struct sh_item items[SH_SUBMIT_RUN];
	const struct sh_type *type;
	uint32_t level = 0, i = 0, room, pushed = 0;
	uint64_t now;

	if (sh_unlikely(index >= SHUNT_TYPES_MAX))
		return 0;
	count_attempts(rt, sub, index, n);
	type = plain_type(rt, spec, index, &level);
	if (sh_unlikely(!type))
		goto rejected;
	now = submit_clock(sub);
	room = sh_credit_take(rt, sub, n);
	while (i < room && plain_item(sub, &spec[i], index, now, &items[i]))
		i++;
	if (sh_unlikely(i < room))
		sh_credit_give(rt, sub, room - i);
	if (sh_unlikely(i == 0))
		goto rejected;
	SH_POINT("submit.before_enqueue");
	if (sub && keeps_own(sub->worker, type->pool, level))
		pushed = push_own(sub, type->pool, items, i, level);
	if (pushed < i)
		route_plain(sub, type, spec, now, level, items + pushed, i - pushed);
	SH_POINT("submit.after_enqueue");
	if (sh_likely(i == n))
		return n;
rejected:
	count_rejected(rt, sub, index, n - i);
	return i;
}

/* Any job, from any thread. */
static SH_NOINLINE int submit_one(struct shunt_runtime *rt, struct sh_submitter *sub, const struct shunt_job_spec *spec,
				  struct shunt_job_id *id)
{
	int rc = 0;

	if (sh_unlikely(sh_section_busy(sub)))
		return SHUNT_EBUSY;
	struct sh_section s SH_CLEANUP(sh_section_over) = { rt, sub };

	sh_section_begin(s.rt, sub);
	if (id || !spec_plain(spec) || submit_run(rt, sub, spec, 1) == 0)
		/* a result reports this job's own delay */
		rc = submit_parts(rt, sub, spec, id, id || spec->done ? sh_clock_ns() : submit_clock(sub));
	return rc;
}

/*
 * The fast path of a thread that is no worker: one job without parts. What is not usual (the gate, a
 * type with parts, no credit) takes submit_one.
 */
static SH_NOINLINE int submit_outside(struct shunt_runtime *rt, struct sh_submitter *sub, const struct shunt_job_spec *spec)
{
	uint32_t index = sh_id_index(spec->type.v);
	uint64_t now, section = sh_a64_load_rlx(&sub->section); /* mo rlx: own word. */
	const struct sh_type *type;
	struct sh_item item;
	struct sh_pool *p;
	uint32_t level;

	if (!sub)
		__builtin_unreachable(); /* as its caller has seen */
	if (sh_unlikely(index >= SHUNT_TYPES_MAX) || sh_unlikely(section & 1u))
		return submit_one(rt, sub, spec, NULL);
	sh_a64_store_rlx(&sub->section, section + 1); /* mo rlx: as sh_section_begin. */
	count_attempts(rt, sub, index, 1);
	type = plain_type(rt, spec, index, &level);
	if (sh_unlikely(!type))
		goto other;
	p = type->pool;
	if (sh_likely(p->workers == 1)) /* the slot that its worker polls, while the clock is read */
		sh_ring_prefetch(&p->worker[0]->ring[level]);
	now = sh_clock_ns();
	if (sh_unlikely(!plain_item(sub, spec, index, now, &item)) || sh_unlikely(sh_credit_take(rt, sub, 1) == 0))
		goto other;
	SH_POINT("submit.before_enqueue");
	if (sh_likely(p->workers == 1))
		sh_push_ring(sub, p, 0, &item, 1, level);
	else
		route_plain(sub, type, spec, now, level, &item, 1);
	SH_POINT("submit.after_enqueue");
	sh_a64_store_rel(&sub->section, section + 2); /* mo section.1 -> section.1@life/grace.c: after the last access to the pool. */
	return 0;
other:
	count_rejected(rt, sub, index, 1);
	sh_a64_store_rel(&sub->section, section + 2); /* mo section.1 -> section.1@life/grace.c: as above. */
	return submit_one(rt, sub, spec, NULL);
}

/*
 * The fast path of a worker's job: one job without parts of its own pool goes to the bottom of the
 * worker's deque; no line of another thread is touched, except to see parked workers. A running
 * worker keeps its pool alive, and an attempt, counted before the type is read, keeps the type: no
 * read-side section is needed.
 */
static SH_NOINLINE int spawn(struct shunt_runtime *rt, struct sh_submitter *sub, const struct shunt_job_spec *spec)
{
	struct sh_worker *w = sub->worker;
	uint32_t index = sh_id_index(spec->type.v);
	const struct sh_type *type;
	struct sh_item item;
	uint32_t level;

	if (sh_unlikely(index >= SHUNT_TYPES_MAX))
		return submit_one(rt, sub, spec, NULL);
	count_attempts(rt, sub, index, 1);
	type = plain_type(rt, spec, index, &level);
	if (sh_unlikely(!type) || sh_unlikely(type->pool != w->pool) || sh_unlikely(!(w->own_levels >> level & 1u))
	    || sh_unlikely(!plain_item(sub, spec, index, spawn_clock(w), &item)) || sh_unlikely(sh_credit_take(rt, sub, 1) == 0))
		goto other;
	SH_POINT("submit.before_enqueue");
	if (sh_unlikely(push_own(sub, w->pool, &item, 1, level) == 0)) { /* the deque is full */
		sh_credit_give(rt, sub, 1);
		goto other;
	}
	SH_POINT("submit.after_enqueue");
	return 0;
other:
	count_rejected(rt, sub, index, 1);
	return submit_one(rt, sub, spec, NULL);
}

/* The thread's first submit: claims a submitter. */
static SH_NOINLINE int submit_first(struct shunt_runtime *rt, const struct shunt_job_spec *spec, struct shunt_job_id *id)
{
	return submit_one(rt, sh_submitter_find(rt, false), spec, id);
}

int shunt_submit(struct shunt_runtime *rt, const struct shunt_job_spec *spec, struct shunt_job_id *id)
{
	struct sh_submitter *sub;

	if (sh_unlikely(!rt || !spec))
		return sh_error_set(SHUNT_EINVAL, NO_SPEC);
	if (id)
		id->v = 0;
	if (sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	if (sh_unlikely(!sh_submitter_known(rt, &sub)))
		return submit_first(rt, spec, id);
	if (sh_unlikely(id || !sub || !spec_plain(spec)))
		return submit_one(rt, sub, spec, id);
	return sub->worker ? spawn(rt, sub, spec) : submit_outside(rt, sub, spec);
}

/* How many of the next n specs the fast path can take together. */
static uint32_t plain_run(const struct shunt_job_spec *specs, size_t n)
{
	uint32_t k = 0;

	while (k < n && k < SH_SUBMIT_RUN && spec_plain(&specs[k]) && specs[k].type.v == specs[0].type.v
	       && specs[k].level == specs[0].level)
		k++;
	return k;
}

/* Queues n > 0 jobs in order: how many; *error says why fewer. */
static size_t submit_batch(struct shunt_runtime *rt, struct sh_submitter *sub, const struct shunt_job_spec *specs,
			   size_t n, struct shunt_job_id *ids, int *error)
{
	size_t i = 0;
	int rc = 0;

	if (sh_unlikely(sh_section_busy(sub))) {
		*error = SHUNT_EBUSY;
		return 0;
	}
	struct sh_section s SH_CLEANUP(sh_section_over) = { rt, sub };

	sh_section_begin(s.rt, sub);
	while (i < n && rc == 0) {
		uint32_t k = ids ? 0 : plain_run(&specs[i], n - i);

		if (k > 0 && (k = submit_run(rt, sub, &specs[i], k)) > 0) {
			i += k;
			continue;
		}
		if (ids)
			ids[i].v = 0;
		rc = submit_parts(rt, sub, &specs[i], ids ? &ids[i] : NULL, sh_clock_ns());
		if (rc == 0)
			i++;
	}
	*error = rc;
	return i;
}

size_t shunt_submit_batch(struct shunt_runtime *rt, const struct shunt_job_spec *specs, size_t n, struct shunt_job_id *ids,
			  int *error)
{
	size_t accepted = 0;
	int rc = 0;

	if (!rt || (!specs && n > 0)) {
		sh_error_detail(NO_SPEC);
		rc = SHUNT_EINVAL;
	} else if (sh_runtime_forked(rt)) {
		rc = SHUNT_EFORKED;
	}
	if (rc == 0 && n > 0)
		accepted = submit_batch(rt, sh_submitter_get(rt), specs, n, ids, &rc);
	if (error)
		*error = rc;
	return accepted;
}
