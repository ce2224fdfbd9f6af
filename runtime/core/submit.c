/*
 * core/submit.c - the way of a job into a queue: check, reserve, choose a worker, publish, look for sleepers. Nothing
 * here allocates from the system, locks, logs or blocks, but for the wake of a sleeping worker and SHUNT_FULL_BLOCK.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/clock.h"
#include "base/futex.h"
#include "base/inject.h"
#include "core/runtime.h"
#include "core/strand.h"
#include "core/track.h"

#define STICKY_NS 400u       /* a choice among busy workers is kept so long, */
#define STICKY_JOBS 16u      /* and for so many jobs at most */
#define WAKE_COST_NS 30000u  /* a sleeper is preferred when the wait elsewhere is longer than this */
#define SLOW_PERMILLE 1400u  /* time against the mean of all; of two equal shares one ten times slower shows as 1818 */
#define ROOM_STEP_NS 1000000u /* a blocked submitter looks again at least this often */
#define INLINE_DEPTH_MAX 64u

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

static void count_attempt(struct shunt_runtime *rt, struct sh_submitter *sub, uint32_t type)
{
	if (sh_likely(sub != NULL))
		sh_a64_bump_owner(&sub->submitted[type], 1);
	else
		(void)sh_a64_add_sc(&rt->shared_submitted[type], 1); /* mo N2 <> N2@core/runtime.c: counted, then the gate. */
}

static void count_undone(struct shunt_runtime *rt, struct sh_submitter *sub, uint32_t type)
{
	if (sub)
		/* mo N5 -> N5@core/runtime.c: the attempt before its undoing. */
		sh_a64_store_rel(&sub->undone[type], sh_a64_load_rlx(&sub->undone[type]) + 1);
	else
		(void)sh_a64_add_acq_rel(&rt->shared_undone[type], 1); /* mo N5 -> N5@core/runtime.c: as above. */
}

/* ---- wake-up ---- */

bool sh_worker_wake(struct sh_worker *w)
{
	/* mo S2 <> S1@core/worker.c: the caller published before; the sleeper scans after PARKED. */
	uint32_t s = sh_a32_load_sc(&w->state);

	while (s == SH_W_PARKED) {
		/* mo S2 -> S3@core/worker.c: what the waker did before. */
		if (sh_a32_cas_sc(&w->state, &s, SH_W_WAKING)) {
			(void)sh_a64_add_rlx(&w->wakes, 1); /* mo rlx: statistic. */
			SH_POINT("submit.before_wake");
			(void)sh_futex_wake(&w->state, 1);
			return true;
		}
	}
	if (s == SH_W_WAKING)
		(void)sh_futex_wake(&w->state, 1);
	return false;
}

struct sh_worker *sh_pool_wake_idle(struct sh_pool *p, uint32_t level)
{
	struct sh_worker *waking = NULL;
	uint32_t i;

	for (i = 0; i < SH_WORDS; i++) {
		/* mo I1 <> I1@core/worker.c: the job is visible; either we see the idle bit or the sleeper the job. */
		uint64_t m = sh_a64_load_sc(&p->idle[i]) & p->can[level][i];

		for (; m != 0; m &= m - 1) {
			struct sh_worker *w = p->worker[i * 64u + sh_ctz64(m)];
			uint32_t s = sh_a32_load_acq(&w->state); /* mo S2 <> S1@core/worker.c: which sleep this is; the wake decides. */

			if (s == SH_W_PARKED && sh_worker_wake(w))
				return NULL;
			if (s == SH_W_WAKING)
				waking = w;
		}
	}
	return waking;
}

/* May this submitter repeat somebody's wake of w? Once for each of its sleeps: a burst must not be one of system calls. */
static bool may_rewake(struct sh_submitter *sub, const struct sh_worker *w)
{
	uint64_t sleep;

	if (!sub)
		return true;
	sleep = sh_a64_load_rlx(&w->sleeps); /* mo rlx: raised before each sleep; the state word ordered it before WAKING. */
	if (sub->rewoken == w && sub->rewoken_sleep == sleep)
		return false;
	sub->rewoken = w;
	sub->rewoken_sleep = sleep;
	return true;
}

static void wake_idle(struct sh_submitter *sub, struct sh_pool *p, uint32_t level)
{
	struct sh_worker *waking = sh_pool_wake_idle(p, level);

	if (waking && may_rewake(sub, waking))
		(void)sh_worker_wake(waking);
}

static bool is_spinning(const struct sh_pool *p, uint32_t slot)
{
	/* mo H3 <> H3@core/worker.c: it clears the bit before it looks at what it leaves behind. */
	return (sh_a64_load_sc(&p->spinning[slot / 64u]) >> (slot % 64u) & 1u) != 0;
}

static void hot_set(struct sh_pool *p, uint32_t level)
{
	/* mo H1 <> H2@core/worker.c: pushed before; whoever clears looks again afterwards. */
	if (!(sh_a32_load_sc(&p->hot) >> level & 1u))
		(void)sh_a32_or_sc(&p->hot, 1u << level); /* mo H1 <> H2@core/worker.c: as above. */
}

/* The job is in w's ring or deque: makes sure that somebody comes for it. */
static void notify(struct attempt *a, struct sh_worker *w, uint32_t level)
{
	struct sh_pool *p = a->pool;
	/* mo S2 <> S1@core/worker.c: published, then the look at the state. */
	uint32_t s = sh_a32_load_sc(&w->state);
	bool full = sh_a32_load_sc(&w->full) != 0; /* mo Y1 <> Y1@core/exec.c: it takes nothing; others must come. */
	/* mo W3 <> W3@core/pool.c: complete workers; pushed, then the look: we see the first spare or its maker our job. */
	bool alone = sh_a32_load_sc(&p->slots) == 1;
	bool woken = false;

	if (sh_unlikely(!full && s != SH_W_RUNNING)) {
		/* Only who wakes it may leave it at that; behind somebody else's wake the job is offered to others too. */
		if (s == SH_W_PARKED || may_rewake(a->sub, w))
			woken = sh_worker_wake(w);
	}
	if (alone || (s == SH_W_RUNNING && is_spinning(p, w->slot)))
		return;
	if (woken)
		return; /* it was chosen, and it comes: a spinner beside it does not take its job before that */
	hot_set(p, level);
	wake_idle(a->sub, p, level);
}

/* The job is in the pool's backlog: any worker will do. */
static void notify_backlog(struct attempt *a, uint32_t level)
{
	struct sh_pool *p = a->pool;

	/* mo H1 <> H2@core/worker.c: as hot_set. */
	if (!(sh_a32_load_sc(&p->backlog_bits) >> level & 1u))
		(void)sh_a32_or_sc(&p->backlog_bits, 1u << level); /* mo H1 <> H2@core/worker.c: as above. */
	wake_idle(a->sub, p, level);
}

/* ---- choice of a worker ---- */

void sh_worker_load(const void *pool, uint32_t i, struct shunt_worker_load *out)
{
	const struct sh_pool *p = pool;
	const struct sh_worker *w = p->worker[i];
	uint64_t left = sh_worker_left(w);

	out->work_left_ns = left & SH_COST_NS;
	out->in_flight = (uint32_t)(left >> 40);
	/* mo rlx: estimates, all of them. */
	out->ewma_ns = sh_a64_load_rlx(&w->ewma_ns);
	out->speed_permille = sh_a32_load_rlx(&w->speed_permille);
	out->fail_permille = sh_a32_load_rlx(&w->fail_permille);
	out->capacity = 1;
	out->node = w->node;
	out->usable = sh_a32_load_rlx(&w->blocked) == 0 && sh_a32_load_rlx(&w->full) == 0;
}

struct level_view {
	const struct sh_pool *pool;
	uint32_t level;
};

static void level_load(const void *obj, uint32_t i, struct shunt_worker_load *out)
{
	const struct level_view *v = obj;

	sh_worker_load(v->pool, i, out);
	if (!(v->pool->can[v->level][i / 64u] >> (i % 64u) & 1u))
		out->usable = 0;
}

/* A member of `words`, from a start that differs between submitters; SHUNT_ANY = empty. */
static uint32_t any_of(const struct sh_pool *p, const sh_a64 *words, uint32_t level, uint32_t start)
{
	uint32_t n = (p->workers + 63u) / 64u;
	uint32_t i;

	for (i = 0; i < n; i++) {
		uint32_t k = (start / 64u + i) % n;
		uint64_t m = sh_a64_load_rlx(&words[k]) & p->can[level][k]; /* mo rlx: a hint for placement. */
		uint64_t high;

		if (k == p->workers / 64u)
			m &= (UINT64_C(1) << (p->workers % 64u)) - 1; /* no spares */
		if (m == 0)
			continue;
		high = m & ~((UINT64_C(1) << (start % 64u)) - 1);
		return k * 64u + sh_ctz64(high ? high : m);
	}
	return SHUNT_ANY;
}

static uint32_t first_able(const struct sh_pool *p, uint32_t level)
{
	uint32_t i;

	for (i = 0; i < p->workers; i++)
		if (p->can[level][i / 64u] >> (i % 64u) & 1u)
			return i;
	return 0;
}

static uint32_t home_of(const struct attempt *a)
{
	if (!a->sub)
		return SHUNT_ANY;
	if (a->pool->opts.strategy != SHUNT_SELECT_USER && !(a->pool->homes >> a->sub->node_slot & 1u))
		return SHUNT_ANY;
	return a->sub->node;
}

static uint32_t choose_by_strategy(const struct attempt *a, struct sh_select_state *st)
{
	struct level_view obj = { a->pool, a->level };
	struct sh_select_view view = { &obj, level_load, a->pool->workers, a->pool->opts.select, a->pool->opts.select_arg, NULL };
	int w = sh_select(a->pool->opts.strategy, &view, st, a->spec->key, (a->spec->flags & SHUNT_JOB_KEYED) != 0, home_of(a));

	/* "No available worker" cannot refuse an accepted job: it waits where it would run first when one is back. */
	return w >= 0 && (uint32_t)w < a->pool->workers ? (uint32_t)w : first_able(a->pool, a->level);
}

static uint32_t choose_on_node(const struct attempt *a)
{
	const struct sh_pool *p = a->pool;
	uint32_t best = SHUNT_ANY;
	uint64_t best_left = UINT64_MAX;
	uint32_t i;

	for (i = 0; i < p->workers; i++) {
		uint64_t left = sh_worker_left(p->worker[i]);

		if (p->worker[i]->node == a->spec->node && (p->can[a->level][i / 64u] >> (i % 64u) & 1u) && left < best_left) {
			best = i;
			best_left = left;
		}
	}
	return best;
}

/* Being idle is no merit in a worker that takes much longer than its peers: the strategy weighs that. */
static bool is_slow(const struct sh_worker *w)
{
	/* mo rlx: estimates. Against the fastest: the type's mean is the slow worker's own when it runs most jobs. */
	return (uint64_t)sh_a32_load_rlx(&w->speed_permille) * 1000u
	       >= (uint64_t)sh_a32_load_rlx(&w->pool->fastest) * SLOW_PERMILLE; /* mo rlx: as above. */
}

/* Neither blocked nor at its asynchronous capacity. */
static bool worker_open(const struct sh_worker *w)
{
	return sh_a32_load_rlx(&w->blocked) == 0 && sh_a32_load_rlx(&w->full) == 0; /* mo rlx: a hint for placement. */
}

/* Least work left: a spinner, the recent choice, a sleeper if the wait is worth a wake-up, else the strategy. */
static uint32_t choose_least_work(struct attempt *a)
{
	struct sh_pool *p = a->pool;
	struct sh_submitter *sub = a->sub;
	struct sh_sticky *st = &sub->sticky[p->id - 1];
	uint32_t w = any_of(p, p->spinning, a->level, sub->index % p->workers);
	uint32_t parked;

	if (w != SHUNT_ANY && !is_slow(p->worker[w]))
		return w;
	if (st->left > 0 && a->now_ns < st->until_ns && worker_open(p->worker[st->worker]) && (p->can[a->level][st->worker / 64u] >> (st->worker % 64u) & 1u)) {
		st->left--;
		return st->worker;
	}
	w = choose_by_strategy(a, &sub->select);
	parked = any_of(p, p->idle, a->level, sub->index % p->workers);
	if (parked != SHUNT_ANY) {
		st->left = 0;
		if (!is_slow(p->worker[parked]) && (sh_worker_left(p->worker[w]) & SH_COST_NS)
						   > (sh_worker_left(p->worker[parked]) & SH_COST_NS) + WAKE_COST_NS)
			return parked;
		return w;
	}
	st->worker = w;
	st->until_ns = a->now_ns + STICKY_NS;
	st->left = STICKY_JOBS;
	return w;
}

static uint32_t choose(struct attempt *a)
{
	struct sh_select_state local;

	if (a->spec->flags & SHUNT_JOB_ON_NODE)
		return choose_on_node(a);
	if (a->pool->workers == 1)
		return 0;
	if (sh_unlikely(!a->sub)) {
		sh_rng_init(&local.rng, a->now_ns);
		local.next = (uint32_t)a->now_ns;
		local.seed_key = (uint32_t)(uintptr_t)&local;
		return choose_by_strategy(a, &local);
	}
	if (a->pool->opts.strategy == SHUNT_SELECT_LEAST_WORK)
		return choose_least_work(a);
	return choose_by_strategy(a, &a->sub->select);
}

/* ---- queues ---- */

static void push_backlog(struct attempt *a, uint32_t item, uint32_t level)
{
	bool ok = sh_ring_push(&a->pool->backlog[level], item);

	assert(ok); /* it has a slot for every descriptor and token there is */
	(void)ok;
	notify_backlog(a, level);
}

static void push_ring(struct attempt *a, uint32_t slot, uint32_t item, uint32_t level, uint64_t cost)
{
	struct sh_worker *w = a->pool->worker[slot];

	/* While a level has a backlog new jobs go behind it, so that a submitter's order holds. */
	if (sh_unlikely(sh_a32_load_rlx(&a->pool->backlog_bits) >> level & 1u)) { /* mo rlx: own pushes are seen in order. */
		push_backlog(a, item, level);
		return;
	}
	(void)sh_a64_add_rlx(&w->accepted, cost); /* mo rlx: an estimate, reserved before the job is visible. */
	if (sh_unlikely(!sh_ring_push(&w->ring[level], item))) {
		(void)sh_a64_sub_rlx(&w->accepted, cost); /* mo rlx: as above. */
		push_backlog(a, item, level);
		return;
	}
	notify(a, w, level);
}

void sh_submit_token(struct sh_pool *p, struct sh_submitter *sub, uint32_t strand, uint32_t level)
{
	static const struct shunt_job_spec no_spec;
	struct attempt a = { &no_spec, sub, NULL, p, NULL, sh_clock_ns(), 0, 0, level, false, false };

	if (sub && sub->worker && sub->worker->pool == p && (sub->worker->level_mask >> level & 1u))
		push_ring(&a, sub->worker->spare ? choose(&a) : sub->worker->slot, SH_TOKEN | strand, level, SH_TOKEN_COST);
	else
		push_ring(&a, choose(&a), SH_TOKEN | strand, level, SH_TOKEN_COST);
	SH_POINT("submit.token.before_count");
	sh_strand_pushed(&p->strand[strand]);
}

/* A job that a worker spawns in its own pool goes to its own deque: no other thread's line is touched. */
static bool push_own(struct attempt *a, uint32_t item, uint32_t cost_ns)
{
	struct sh_worker *w = a->sub ? a->sub->worker : NULL;
	enum shunt_strategy s = a->pool->opts.strategy;

	if (!w || w->pool != a->pool || !(w->level_mask >> a->level & 1u) || (a->spec->flags & SHUNT_JOB_ON_NODE)
	    || (s != SHUNT_SELECT_LEAST_WORK && s != SHUNT_SELECT_LOCALITY))
		return false;
	if (!sh_deque_push(&w->deque[a->level], item))
		return false;
	w->deque_bits |= 1u << a->level;
	/* mo rlx: one writer; charged here because it was not reserved in `accepted`. */
	sh_a64_store_rlx(&w->balance, sh_a64_load_rlx(&w->balance) - (SH_COST_ONE + cost_ns));
	if (sh_a32_load_rlx(&a->pool->slots) > 1) { /* mo rlx: a first spare is seen by the next push. */
		hot_set(a->pool, a->level);
		wake_idle(a->sub, a->pool, a->level);
	}
	return true;
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
	if (!(sh_a32_load_sc(&w->pin_bits) >> a->level & 1u))       /* mo H1 <> H2@core/worker.c: as hot_set. */
		(void)sh_a32_or_sc(&w->pin_bits, 1u << a->level); /* mo H1 <> H2@core/worker.c: as hot_set. */
	s = sh_a32_load_sc(&w->state); /* mo S2 <> S1@core/worker.c: published, then the look at the state. */
	if (s == SH_W_PARKED || (s == SH_W_WAKING && may_rewake(a->sub, w)))
		(void)sh_worker_wake(w);
	return 0;
}

static int enqueue(struct shunt_runtime *rt, struct attempt *a, struct sh_job *job, uint32_t item)
{
	uint32_t cost_ns = job->cost_ns;
	uint64_t cost = SH_COST_ONE + cost_ns;
	uint32_t w;

	if (a->spec->flags & SHUNT_JOB_KEYED) {
		uint32_t strand = job->strand;

		if (sh_strand_push(rt, &a->pool->strand[strand], item))
			sh_submit_token(a->pool, a->sub, strand, a->level);
		return 0;
	}
	if (a->spec->flags & SHUNT_JOB_ON_WORKER)
		return push_pinned(a, item, cost);
	if (push_own(a, item, cost_ns))
		return 0;
	w = choose(a);
	if (w == SHUNT_ANY)
		return SHUNT_ENOENT;
	push_ring(a, w, item, a->level, cost);
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

static bool gate_open(const struct shunt_runtime *rt, const struct attempt *a)
{
	/* mo N2 <> N2@core/runtime.c: the attempt was counted before; the drainer closes before it counts. */
	uint32_t gate = sh_a32_load_sc(&rt->accepting);

	return gate == SH_ACCEPT_ALL || (gate == SH_ACCEPT_JOBS && a->ctx);
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

		rc = gate_open(rt, a) ? try_queue(rt, a, id) : SHUNT_ESTOPPED;
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
	count_attempt(rt, sub, index);
	a.spec = spec;
	a.sub = sub;
	a.ctx = sh_current_ctx(rt);
	a.type_index = index;
	a.type = &rt->type[index];
	a.now_ns = now;
	a.submit_ns = spec->start_ns ? spec->start_ns : now;
	rc = SHUNT_ESTOPPED;
	if (sh_unlikely(!gate_open(rt, &a)))
		goto undone;
	rc = SHUNT_ENOENT;
	/* mo T2 <- T2@core/runtime.c: the type's fields. The attempt was counted before. */
	if (sh_unlikely(sh_a32_load_sc(&a.type->state) != SH_TYPE_OPEN || a.type->generation != spec->type.v >> 16))
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
	count_undone(rt, sub, index);
	return rc;
}

int shunt_submit(struct shunt_runtime *rt, const struct shunt_job_spec *spec, struct shunt_job_id *id)
{
	struct sh_submitter *sub;
	int rc;

	if (sh_unlikely(!rt || !spec))
		return SHUNT_EINVAL;
	if (id)
		id->v = 0;
	if (sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	sub = sh_submitter_get(rt);
	inside_begin(rt, sub);
	rc = submit(rt, sub, spec, id, sh_clock_ns());
	inside_end(rt, sub);
	return rc;
}

size_t shunt_submit_batch(struct shunt_runtime *rt, const struct shunt_job_spec *specs, size_t n, struct shunt_job_id *ids,
			  int *error)
{
	struct sh_submitter *sub;
	uint64_t now;
	size_t i;
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
	now = sh_clock_ns();
	inside_begin(rt, sub);
	for (i = 0; i < n && rc == 0; i++) {
		if (ids)
			ids[i].v = 0;
		rc = submit(rt, sub, &specs[i], ids ? &ids[i] : NULL, now);
	}
	inside_end(rt, sub);
	if (error)
		*error = rc;
	return rc == 0 ? n : i - 1;
}
