/*
 * core/submit.c - the way of a job into a queue: check, reserve, choose a worker (choose.c), publish, look for sleepers. Nothing
 * here allocates from the system, locks, logs or blocks, but for the wake of a sleeping worker and SHUNT_FULL_BLOCK.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/clock.h"
#include "base/futex.h"
#include "base/inject.h"
#include "core/choose.h"
#include "core/plain.h"
#include "core/push.h"
#include "core/runtime.h"
#include "core/strand.h"
#include "core/track.h"

#define ROOM_STEP_NS 1000000u /* a blocked submitter looks again at least this often */
#define INLINE_DEPTH_MAX 64u
#define SUBMIT_RUN 16u /* jobs of a batch that go to one worker together */

struct attempt {
	const struct shunt_job_spec *spec;
	struct sh_submitter *sub; /* NULL = shared path */
	struct shunt_job_ctx *ctx;
	struct sh_pool *pool;
	struct sh_type *type;
	uint64_t now_ns;
	uint64_t submit_ns;
	uint32_t type_index;
	uint32_t level;
	bool tracked;
	bool handle; /* the caller gets the id */
};

static inline void count_attempts(struct shunt_runtime *rt, struct sh_submitter *sub, uint32_t type, uint32_t n)
{
	if (sh_likely(sub != NULL))
		sh_a64_bump_owner(&sub->submitted[type], n);
	else
		(void)sh_a64_add_sc(&rt->shared_submitted[type], n); /* mo N2 <> N2@core/runtime.c: counted, then the gate. */
}

static void count_undone(struct shunt_runtime *rt, struct sh_submitter *sub, uint32_t type, uint32_t n)
{
	if (sub)
		/* mo N5 -> N5@core/runtime.c: the attempt before its undoing. */
		sh_a64_store_rel(&sub->undone[type], sh_a64_load_rlx(&sub->undone[type]) + n);
	else
		(void)sh_a64_add_acq_rel(&rt->shared_undone[type], n); /* mo N5 -> N5@core/runtime.c: as above. */
}

/* ---- queues ---- */

void sh_submit_token(struct sh_pool *p, struct sh_submitter *sub, uint32_t strand, uint32_t level)
{
	static const struct shunt_job_spec no_spec;
	struct sh_choice c = { sub, p, &no_spec, sh_clock_ns(), level, SH_TOKEN_COST & SH_COST_NS };
	uint32_t item = SH_TOKEN | strand;
	uint32_t slot;

	if (sub && sub->worker && sub->worker->pool == p && (sub->worker->level_mask >> level & 1u))
		slot = sub->worker->spare ? sh_choose(&c) : sub->worker->slot;
	else
		slot = sh_choose(&c);
	sh_push_ring(sub, p, slot, &item, 1, level, SH_TOKEN_COST);
	SH_POINT("submit.token.before_count");
	sh_strand_pushed(&p->strand[strand]);
}

/* May this worker keep what it spawns in pool p for itself? */
static inline bool keeps_own(const struct sh_worker *w, const struct sh_pool *p, uint32_t level)
{
	return w && w->pool == p && (w->own_levels >> level & 1u);
}

/*
 * Jobs that a worker spawns in its own pool go to its own deque: no other thread's line is touched. Returns how many of
 * the n items went there.
 */
static inline uint32_t push_own(struct sh_submitter *sub, struct sh_pool *p, const uint32_t *items, uint32_t n, uint32_t level,
				uint64_t cost)
{
	struct sh_worker *w = sub->worker;
	uint32_t i = 0;

	while (i < n && sh_deque_push(&w->deque[level], items[i]))
		i++;
	if (sh_unlikely(i == 0))
		return 0;
	w->deque_bits |= 1u << level;
	/* mo rlx: one writer; charged here because it was not reserved in `accepted`. */
	sh_a64_store_rlx(&w->balance, sh_a64_load_rlx(&w->balance) - cost * i);
	if (sh_a32_load_rlx(&p->slots) > 1) { /* mo rlx: a first spare is seen by the next push. */
		sh_push_hot(p, level);
		sh_push_wake_idle(sub, p, i, level);
	}
	return i;
}

static int push_pinned(struct attempt *a, uint32_t item, uint64_t cost)
{
	struct sh_worker *w = a->pool->worker[a->spec->worker];
	uint32_t s;

	(void)sh_a64_add_rlx(&w->accepted, cost); /* mo rlx: an estimate. */
	if (!sh_ring_push(&w->pinned[a->level], item)) {
		(void)sh_a64_sub_rlx(&w->accepted, cost); /* mo rlx: as above. */
		return SHUNT_EFULL;
	}
	if (!(sh_a32_load_sc(&w->pin_bits) >> a->level & 1u))       /* mo H1 <> H2@core/pick.h: as sh_push_hot. */
		(void)sh_a32_or_sc(&w->pin_bits, 1u << a->level); /* mo H1 <> H2@core/pick.h: as sh_push_hot. */
	s = sh_a32_load_sc(&w->state); /* mo S2 <> S1@core/worker.c: published, then the look at the state. */
	if (s == SH_W_PARKED || (s == SH_W_WAKING && sh_push_may_rewake(a->sub, w)))
		(void)sh_worker_wake(w);
	return 0;
}

static int enqueue(struct shunt_runtime *rt, struct attempt *a, struct sh_job *job, uint32_t item)
{
	uint64_t cost = SH_COST_ONE + job->cost_ns;
	uint32_t w;

	if (a->spec->flags & SHUNT_JOB_KEYED) {
		uint32_t strand = job->strand;

		if (sh_strand_push(rt, &a->pool->strand[strand], item))
			sh_submit_token(a->pool, a->sub, strand, a->level);
		return 0;
	}
	if (a->spec->flags & SHUNT_JOB_ON_WORKER)
		return push_pinned(a, item, cost);
	if (!(a->spec->flags & SHUNT_JOB_ON_NODE) && a->sub && keeps_own(a->sub->worker, a->pool, a->level)
	    && push_own(a->sub, a->pool, &item, 1, a->level, cost) != 0)
		return 0;
	w = sh_choose(&(struct sh_choice){ a->sub, a->pool, a->spec, a->now_ns, a->level, job->cost_ns });
	if (w == SHUNT_ANY)
		return SHUNT_ENOENT;
	sh_push_ring(a->sub, a->pool, w, &item, 1, a->level, cost);
	return 0;
}

/*
 * A thread that is inside a submit may still look at a pool after the job has already ended; whoever frees a pool waits
 * until every thread that was inside has left (runtime.c: submitters_leave).
 */
static void inside_begin(struct shunt_runtime *rt, struct sh_submitter *sub)
{
	if (sh_likely(sub != NULL)) {
		if (sub->depth++ == 0) /* mo rlx: ordered for the waiter by its barrier. */
			sh_a64_store_rlx(&sub->inside, sh_a64_load_rlx(&sub->inside) + 1);
	} else {
		(void)sh_a64_add_sc(&rt->shared_inside, 1); /* mo N4 <> N4@core/runtime.c: inside, then the type's state. */
	}
}

static void inside_end(struct shunt_runtime *rt, struct sh_submitter *sub)
{
	if (sh_likely(sub != NULL)) {
		if (--sub->depth == 0) /* mo N4 -> N4@core/runtime.c: the last look at the pool is over. */
			sh_a64_store_rel(&sub->inside, sh_a64_load_rlx(&sub->inside) + 1);
	} else {
		(void)sh_a64_sub_sc(&rt->shared_inside, 1); /* mo N4 <> N4@core/runtime.c: the last look is over. */
	}
}

/* Sleeps and inline handlers do not count: the attempt itself keeps its pool alive meanwhile. */
static uint32_t inside_suspend(struct shunt_runtime *rt, struct sh_submitter *sub)
{
	uint32_t depth = sub ? sub->depth : 1;

	if (sub)
		sub->depth = 1;
	inside_end(rt, sub);
	return depth;
}

static void inside_resume(struct shunt_runtime *rt, struct sh_submitter *sub, uint32_t depth)
{
	inside_begin(rt, sub);
	if (sub)
		sub->depth = depth;
}

/* ---- one attempt ---- */

static void fill_job(struct sh_job *job, const struct attempt *a, uint64_t track, uint32_t group)
{
	job->type = (uint16_t)a->type_index;
	job->level = (uint8_t)a->level;
	job->flags = (uint8_t)((a->spec->flags & SHUNT_JOB_KEYED ? SH_JOB_KEYED : 0)
			       | (a->type->flags & SHUNT_TYPE_ASYNC ? SH_JOB_ASYNC : 0));
	job->arg = a->spec->arg;
	job->submit_ns = a->submit_ns;
	job->track = track;
	job->group = group;
	job->cost_ns = sh_a32_load_rlx(&a->type->est_ns); /* mo rlx: an estimate. */
	job->strand = a->spec->flags & SHUNT_JOB_KEYED ? (uint32_t)sh_mix64(a->spec->key) & a->pool->strand_mask : 0;
}

static void fill_track(struct shunt_runtime *rt, const struct attempt *a, uint64_t track, uint32_t group)
{
	struct sh_track *t = sh_track_at(rt, track);

	t->job_group = group;
	t->arg = a->spec->arg;
	t->submit_ns = a->submit_ns;
	t->done = a->spec->done;
	t->done_arg = a->spec->done_arg;
	t->type = (uint16_t)a->type_index;
	t->level = (uint8_t)a->level;
	t->flags = (uint8_t)((a->spec->flags & SHUNT_JOB_KEYED ? SH_JOB_KEYED : 0)
			     | (a->type->flags & SHUNT_TYPE_ASYNC ? SH_JOB_ASYNC : 0));
	t->strand = a->spec->flags & SHUNT_JOB_KEYED ? (uint32_t)sh_mix64(a->spec->key) & a->pool->strand_mask : 0;
	t->worker = a->spec->flags & SHUNT_JOB_ON_WORKER ? a->spec->worker : SHUNT_ANY;
	/* mo J7 -> J7@core/track.c: after the new generation: a poll that reads these sees that the record is not its own. */
	sh_a32_store_rel(&t->code, 0);
	sh_a64_store_rel(&t->queue_ns, 0);
	sh_a64_store_rel(&t->run_ns, 0);
	t->start_ns = 0;
	t->cost = 0;
	t->pool = a->pool;
	sh_track_publish(rt, track, !a->handle);
}

/* Everything a job needs, or SHUNT_EFULL and nothing taken. */
static int reserve(struct shunt_runtime *rt, struct attempt *a, bool descriptor, uint32_t *item, uint64_t *track, uint32_t *group)
{
	struct sh_pool *p = a->pool;
	struct sh_submitter *sub = a->sub;
	int rc = SHUNT_EFULL;

	*item = 0;
	*track = 0;
	*group = 0;
	/* mo Q1 <- Q1@core/exec.c: room that a finished job made. */
	if (p->opts.queue_max != 0 && sh_a64_add_acq_rel(&p->in_pool, 1) >= p->opts.queue_max && descriptor)
		goto out_queue;
	if (descriptor) {
		*item = sh_slab_alloc(&rt->jobs, sub ? &sub->jobs : NULL, sub ? sub->node_slot : 0);
		if (*item == 0)
			goto out_queue;
	}
	if (a->tracked) {
		*track = sh_track_open(rt, sub);
		if (*track == 0)
			goto out_item;
	}
	if (a->spec->group.v != 0 && !sh_group_enter(rt, a->spec->group, group)) {
		rc = SHUNT_ENOENT;
		goto out_track;
	}
	return 0;
out_track:
	if (*track)
		sh_track_abandon(rt, sub, *track);
out_item:
	if (*item)
		sh_slab_free(&rt->jobs, sub ? &sub->jobs : NULL, *item);
out_queue:
	if (p->opts.queue_max != 0)
		(void)sh_a64_sub_acq_rel(&p->in_pool, 1); /* mo Q1 -> Q1@core/submit.c: not used after all. */
	return rc;
}

static void unreserve(struct shunt_runtime *rt, struct attempt *a, uint32_t item, uint64_t track, uint32_t group)
{
	if (group)
		sh_group_leave(rt, group);
	if (track)
		sh_track_abandon(rt, a->sub, track);
	if (item)
		sh_slab_free(&rt->jobs, a->sub ? &a->sub->jobs : NULL, item);
	if (a->pool->opts.queue_max != 0)
		(void)sh_a64_sub_acq_rel(&a->pool->in_pool, 1); /* mo Q1 -> Q1@core/submit.c: not used after all. */
}

static int try_queue(struct shunt_runtime *rt, struct attempt *a, struct shunt_job_id *id)
{
	struct sh_job *job;
	uint64_t track = 0;
	uint32_t item = 0;
	uint32_t group = 0;
	int rc = reserve(rt, a, true, &item, &track, &group);

	if (sh_unlikely(rc != 0))
		return rc;
	job = sh_slab_at(&rt->jobs, item);
	fill_job(job, a, track, group);
	if (track)
		fill_track(rt, a, track, group);
	SH_POINT("submit.before_enqueue");
	if (id)
		id->v = track; /* before the job can run: its own handler may look at it */
	rc = enqueue(rt, a, job, item);
	if (sh_unlikely(rc != 0)) {
		unreserve(rt, a, item, track, group);
		if (id)
			id->v = 0;
	}
	SH_POINT("submit.after_enqueue");
	return rc;
}

static int run_inline(struct shunt_runtime *rt, struct attempt *a, struct shunt_job_id *id)
{
	uint64_t track = 0;
	uint32_t item = 0;
	uint32_t group = 0;
	uint32_t depth;
	int rc;

	if ((a->spec->flags & (SHUNT_JOB_KEYED | SHUNT_JOB_ON_WORKER | SHUNT_JOB_ON_NODE))
	    || (a->ctx && a->ctx->depth >= INLINE_DEPTH_MAX))
		return SHUNT_EFULL;
	rc = reserve(rt, a, false, &item, &track, &group);
	if (rc != 0)
		return rc;
	if (track)
		fill_track(rt, a, track, group);
	if (id)
		id->v = track;
	depth = inside_suspend(rt, a->sub);
	sh_exec_inline(rt, a->spec, a->type_index, a->level, a->submit_ns, track, group);
	inside_resume(rt, a->sub, depth);
	return 0;
}

void sh_pool_room(struct sh_pool *p)
{
	(void)sh_a32_add_acq_rel(&p->room, 1); /* mo Q2 -> Q2@core/submit.c: the room before the count. */
	(void)sh_futex_wake(&p->room, 1024);
}

static inline bool gate_open(const struct shunt_runtime *rt)
{
	/* mo N2 <> N2@core/runtime.c: the attempt was counted before; the drainer closes before it counts. */
	uint32_t gate = sh_a32_load_sc(&rt->accepting);

	return sh_likely(gate == SH_ACCEPT_ALL) || (gate == SH_ACCEPT_JOBS && sh_current_ctx(rt));
}

static int block_for_room(struct shunt_runtime *rt, struct attempt *a, struct shunt_job_id *id)
{
	struct sh_pool *p = a->pool;
	uint64_t start = sh_clock_ns();
	uint64_t limit = a->spec->full_timeout_ns ? a->spec->full_timeout_ns : SH_FOREVER;
	bool in_worker = a->ctx && a->ctx->worker;
	int rc;

	if (in_worker && shunt_block_begin(a->ctx) != 0)
		return SHUNT_EDEADLK;
	(void)sh_a32_add_rlx(&p->room_waiters, 1); /* mo rlx: who is missed looks again within a millisecond. */
	for (;;) {
		uint32_t seen = sh_a32_load_acq(&p->room); /* mo Q2 <- Q2@core/submit.c: room made before this count. */
		uint64_t waited;
		uint32_t depth;

		rc = gate_open(rt) ? try_queue(rt, a, id) : SHUNT_ESTOPPED;
		if (rc != SHUNT_EFULL)
			break;
		waited = sh_clock_ns() - start;
		if (waited >= limit) {
			rc = SHUNT_ETIMEDOUT;
			break;
		}
		depth = inside_suspend(rt, a->sub);
		(void)sh_futex_wait(&p->room, seen, limit - waited < ROOM_STEP_NS ? limit - waited : ROOM_STEP_NS);
		inside_resume(rt, a->sub, depth);
	}
	(void)sh_a32_sub_rlx(&p->room_waiters, 1); /* mo rlx: as above. */
	if (in_worker)
		shunt_block_end(a->ctx);
	return rc;
}

static int when_full(struct shunt_runtime *rt, struct attempt *a, struct shunt_job_id *id)
{
	enum shunt_full full = a->spec->full ? (enum shunt_full)a->spec->full : a->pool->opts.full;
	int rc = SHUNT_EFULL;

	if (full == SHUNT_FULL_INLINE)
		rc = run_inline(rt, a, id);
	else if (full == SHUNT_FULL_BLOCK)
		rc = block_for_room(rt, a, id);
	if (rc != 0)
		(void)sh_a64_add_rlx(&a->pool->rejected, 1); /* mo rlx: statistic. */
	return rc;
}

/* Fields of the spec that the pool decides about. */
static int check_spec(const struct attempt *a)
{
	const struct shunt_job_spec *s = a->spec;
	const unsigned known = SHUNT_JOB_KEYED | SHUNT_JOB_ON_WORKER | SHUNT_JOB_ON_NODE;

	if ((s->flags & ~known) || s->full > SHUNT_FULL_INLINE || s->level > a->pool->levels)
		return SHUNT_EINVAL;
	if ((s->flags & SHUNT_JOB_KEYED) && (s->flags & (SHUNT_JOB_ON_WORKER | SHUNT_JOB_ON_NODE)))
		return SHUNT_EINVAL; /* a key has one order, a worker or node would have another */
	if ((s->flags & SHUNT_JOB_ON_WORKER)
	    && (s->worker >= a->pool->workers || (s->flags & SHUNT_JOB_ON_NODE)
		|| !(a->pool->can[a->level][s->worker / 64u] >> (s->worker % 64u) & 1u)))
		return s->worker >= a->pool->workers ? SHUNT_ENOENT : SHUNT_EINVAL;
	return 0;
}

static int submit(struct shunt_runtime *rt, struct sh_submitter *sub, const struct shunt_job_spec *spec, struct shunt_job_id *id,
		  uint64_t now)
{
	uint32_t index = (spec->type.v & 0xffffu) - 1u;
	struct attempt a;
	int rc;

	if (sh_unlikely(index >= SHUNT_TYPES_MAX))
		return SHUNT_ENOENT;
	count_attempts(rt, sub, index, 1);
	a.spec = spec;
	a.sub = sub;
	a.ctx = sh_current_ctx(rt);
	a.type_index = index;
	a.type = &rt->type[index];
	a.now_ns = now;
	a.submit_ns = spec->start_ns ? spec->start_ns : now;
	rc = SHUNT_ESTOPPED;
	if (sh_unlikely(!gate_open(rt)))
		goto undone;
	rc = SHUNT_ENOENT;
	/* mo T2 <- T2@core/runtime.c: the type's fields. The attempt was counted before. */
	if (sh_unlikely(sh_a32_load_sc(&a.type->state) != spec->type.v))
		goto undone;
	a.pool = a.type->pool;
	a.level = spec->level ? spec->level - 1u : a.type->level;
	a.handle = id != NULL;
	a.tracked = id || spec->done || (a.type->flags & SHUNT_TYPE_ASYNC);
	rc = check_spec(&a);
	if (sh_unlikely(rc != 0))
		goto undone;
	rc = try_queue(rt, &a, id);
	if (sh_unlikely(rc == SHUNT_EFULL))
		rc = when_full(rt, &a, id);
	if (sh_likely(rc == 0))
		return 0;
undone:
	count_undone(rt, sub, index, 1);
	return rc;
}

/* ---- the short way: jobs that none of the special cases above is for (SH_JOB_PLAIN) ---- */

static inline bool spec_plain(const struct shunt_job_spec *s)
{
	return s->flags == 0 && s->group.v == 0 && !s->done && s->full <= SHUNT_FULL_INLINE;
}

/*
 * Now, for a job's submit time. Where a worker's running job is of a type so short that it is booked in batches (plain.h),
 * its spawns carry its own start.
 */
static inline uint64_t submit_clock(const struct sh_submitter *sub)
{
	const struct sh_worker *w = sub ? sub->worker : NULL;

	if (w && w->running == &w->plain_ctx && sh_plain_short(w, w->running->type) && (w->running->nested_ns | w->running->lent_ns) == 0
	    && !w->running->paused)
		return w->running->start_ns;
	return sh_clock_ns();
}

static inline void fill_plain(struct sh_job *job, uint32_t type, uint32_t level, const struct shunt_job_spec *spec,
			      uint64_t submit_ns, uint32_t est_ns)
{
	job->type = (uint16_t)type;
	job->level = (uint8_t)level;
	job->flags = SH_JOB_PLAIN;
	job->arg = spec->arg;
	job->submit_ns = submit_ns;
	job->track = 0;
	job->group = 0;
	job->cost_ns = est_ns;
	job->after = 0;
}

/*
 * n <= SUBMIT_RUN plain jobs of one type and level, in order. Returns how many were accepted; fewer means that the way of
 * every other job has to look at the next one (no descriptor left, gate, type).
 */
static inline uint32_t submit_plain(struct shunt_runtime *rt, struct sh_submitter *sub, const struct shunt_job_spec *spec, uint32_t n,
				    uint64_t now)
{
	uint32_t index = (spec->type.v & 0xffffu) - 1u;
	uint32_t items[SUBMIT_RUN];
	struct sh_type *type;
	struct sh_pool *p;
	uint32_t level, est, i, own = 0;

	if (sh_unlikely(index >= SHUNT_TYPES_MAX))
		return 0;
	type = &rt->type[index];
	count_attempts(rt, sub, index, n);
	/* mo T2 <- T2@core/runtime.c: the type's fields. The attempts were counted before. */
	if (sh_unlikely(!gate_open(rt) || sh_a32_load_sc(&type->state) != spec->type.v || !type->plain)) {
		i = 0;
		goto undone;
	}
	p = type->pool;
	level = spec->level ? spec->level - 1u : type->level;
	est = sh_a32_load_rlx(&type->est_ns); /* mo rlx: an estimate. */
	if (p->workers == 1 && !sub->worker && sh_likely(level < p->levels)) /* the line that its worker polls: on its way now */
		sh_ring_prefetch(&p->worker[0]->ring[level]);
	for (i = 0; i < n && sh_likely(level < p->levels); i++) {
		struct sh_job *job;

		items[i] = sh_slab_alloc(&rt->jobs, &sub->jobs, sub->node_slot);
		if (sh_unlikely(items[i] == 0))
			break;
		job = sh_job_at(rt, items[i]);
		fill_plain(job, index, level, &spec[i], spec[i].start_ns ? spec[i].start_ns : now, est);
		job->after = sh_slab_next(&sub->jobs);
	}
	if (sh_unlikely(i == 0))
		goto undone;
	SH_POINT("submit.before_enqueue");
	if (keeps_own(sub->worker, p, level))
		own = push_own(sub, p, items, i, level, SH_COST_ONE + est);
	if (own < i && sh_push_backlogged(p, level)) { /* nobody is chosen */
		sh_push_backlog(sub, p, items + own, i - own, level);
	} else if (own < i) {
		uint32_t w = p->workers == 1 ? 0 : sh_choose(&(struct sh_choice){ sub, p, spec, now, level, est });

		SH_POINT("submit.chosen");
		sh_push_ring(sub, p, w, items + own, i - own, level, SH_COST_ONE + est);
	}
	SH_POINT("submit.after_enqueue");
	if (sh_likely(i == n))
		return n;
undone:
	count_undone(rt, sub, index, n - i);
	return i;
}

/* Everything but a plain job that a worker spawns in its own pool. */
static SH_NOINLINE int submit_one(struct shunt_runtime *rt, struct sh_submitter *sub, const struct shunt_job_spec *spec,
				  struct shunt_job_id *id)
{
	uint64_t now;
	int rc = 0;

	inside_begin(rt, sub);
	now = id || spec->done ? sh_clock_ns() : submit_clock(sub); /* a result tells the delay of this very job */
	if (sh_unlikely(id || !sub || !spec_plain(spec)) || sh_unlikely(submit_plain(rt, sub, spec, 1, now) == 0))
		rc = submit(rt, sub, spec, id, now);
	inside_end(rt, sub);
	return rc;
}

/*
 * A plain job of a worker's own pool goes to the bottom of its own deque, and no line of another thread is touched but to see
 * who sleeps. What it finds not to be one, or not to have room for, goes the way of all others. This thread is not counted as
 * being inside a submit: while it runs, its pool stays; and the attempt, which is counted before the type is looked at, keeps the
 * type, as in submit_plain.
 */
static SH_NOINLINE int spawn_own(struct shunt_runtime *rt, struct sh_submitter *sub, const struct shunt_job_spec *spec)
{
	struct sh_worker *w = sub->worker;
	uint32_t index = (spec->type.v & 0xffffu) - 1u;
	const struct sh_type *type;
	uint32_t level, item, est;

	if (sh_unlikely(index >= SHUNT_TYPES_MAX))
		return submit_one(rt, sub, spec, NULL);
	type = &w->types[index];
	count_attempts(rt, sub, index, 1);
	/* mo T2 <- T2@core/runtime.c: the type's fields. The attempt was counted before. */
	if (sh_unlikely(!gate_open(rt) || sh_a32_load_sc(&type->state) != spec->type.v || !type->plain || type->pool != w->pool))
		goto undone;
	level = spec->level ? spec->level - 1u : type->level;
	if (sh_unlikely(level >= SHUNT_LEVELS_MAX || !(w->own_levels >> level & 1u)))
		goto undone;
	item = sh_slab_alloc(&rt->jobs, &sub->jobs, sub->node_slot);
	if (sh_unlikely(item == 0))
		goto undone;
	est = sh_a32_load_rlx(&type->est_ns); /* mo rlx: an estimate. */
	fill_plain(w->job_at_0 + item, index, level, spec, spec->start_ns ? spec->start_ns : submit_clock(sub), est);
	SH_POINT("submit.before_enqueue");
	if (sh_unlikely(push_own(sub, w->pool, &item, 1, level, SH_COST_ONE + est) == 0)) {
		sh_slab_free(&rt->jobs, &sub->jobs, item);
		goto undone;
	}
	SH_POINT("submit.after_enqueue");
	return 0;
undone:
	count_undone(rt, sub, index, 1);
	return submit_one(rt, sub, spec, NULL);
}

/* This thread's first: it is made known. */
static SH_NOINLINE int submit_first(struct shunt_runtime *rt, const struct shunt_job_spec *spec, struct shunt_job_id *id)
{
	return submit_one(rt, sh_submitter_find(rt, false), spec, id);
}

int shunt_submit(struct shunt_runtime *rt, const struct shunt_job_spec *spec, struct shunt_job_id *id)
{
	struct sh_submitter *sub;

	if (sh_unlikely(!rt || !spec))
		return SHUNT_EINVAL;
	if (id)
		id->v = 0;
	if (sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	if (sh_unlikely(!sh_submitter_known(rt, &sub)))
		return submit_first(rt, spec, id);
	if (sub && sub->worker && sub->worker->own_levels != 0 && !id && spec_plain(spec))
		return spawn_own(rt, sub, spec);
	return submit_one(rt, sub, spec, id);
}

/* How many of the next n specs can go the short way together. */
static uint32_t plain_run(const struct shunt_job_spec *specs, size_t n)
{
	uint32_t k = 0;

	while (k < n && k < SUBMIT_RUN && spec_plain(&specs[k]) && specs[k].type.v == specs[0].type.v
	       && specs[k].level == specs[0].level)
		k++;
	return k;
}

size_t shunt_submit_batch(struct shunt_runtime *rt, const struct shunt_job_spec *specs, size_t n, struct shunt_job_id *ids,
			  int *error)
{
	struct sh_submitter *sub;
	uint64_t now;
	size_t i = 0;
	int rc = 0;

	if (!rt || (!specs && n > 0))
		rc = SHUNT_EINVAL;
	else if (sh_runtime_forked(rt))
		rc = SHUNT_EFORKED;
	if (rc != 0 || n == 0) {
		if (error)
			*error = rc;
		return 0;
	}
	sub = sh_submitter_get(rt);
	inside_begin(rt, sub);
	now = ids ? sh_clock_ns() : submit_clock(sub);
	while (i < n) {
		uint32_t k = ids || !sub ? 0 : plain_run(&specs[i], n - i);

		if (k > 0 && (k = submit_plain(rt, sub, &specs[i], k, now)) > 0) {
			i += k;
			continue;
		}
		if (ids)
			ids[i].v = 0;
		rc = submit(rt, sub, &specs[i], ids ? &ids[i] : NULL, specs[i].done && !ids ? sh_clock_ns() : now);
		if (rc != 0)
			break;
		i++;
	}
	inside_end(rt, sub);
	if (error)
		*error = rc;
	return i;
}
