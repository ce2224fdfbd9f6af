/*
 * The parts of a job (sched/part.h): a submit that is refused at any of them, by any reason, gives back what it was
 * admitted, in reverse and once: the balance of the parts, credits, records, the group, the completion queue, the place
 * under queue_max. Contradicting parts are refused with a detail. And one end of a job with all parts at once, by each
 * way to end it.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/cq.h>
#include <shunt/error.h>

#include "base/clock.h"
#include "credit_util.h"
#include "job/cq.h"
#include "job/parts.h"
#include "lockfree/slab.h"

#define JOBS_MAX 256u
#define PINNED_MAX 64u
#define RECORDS_MAX 16u
#define QUEUE_MAX (PINNED_MAX + 8u)
#define CQ_MAX 4u

/* What a submit may take. */
struct holdings {
	uint64_t balance[SH_PARTS], credits, in_pool;
	uint32_t records, cq_places;
	int64_t pending;
	uint32_t waiters;
};

struct stage {
	struct tu_fixture f;
	struct shunt_type_id async; /* a type whose jobs have every part that a type may bring */
	struct shunt_group_id group, gone;
	struct shunt_cq *cq, *foreign;
	struct shunt_runtime *other;
	struct tu_gate gate;
	atomic_uint ran;
};

static struct stage st;

static struct sh_pool *pool(void)
{
	return sh_runtime_pool(st.f.rt, st.f.pool.v);
}

static uint32_t take_all(struct sh_slab *s, uint32_t *items)
{
	uint32_t n = 0, i;

	while ((i = sh_slab_alloc(s, NULL, 0)) != 0) {
		assert_true(n < RECORDS_MAX);
		items[n++] = i;
	}
	return n;
}

static void give_all(struct sh_slab *s, const uint32_t *items, uint32_t n)
{
	while (n > 0)
		sh_slab_free(s, NULL, items[--n]);
}

static struct holdings count(void)
{
	uint32_t items[RECORDS_MAX], i;
	struct holdings h;

	memset(&h, 0, sizeof(h));
	for (i = 0; i < SH_PARTS; i++)
		h.balance[i] = sh_a64_load_acq(&st.f.rt->part_balance[i]);
	h.credits = cu_credits(st.f.rt);
	h.in_pool = sh_a64_load_acq(&pool()->in_pool);
	h.records = take_all(&st.f.rt->records, items);
	give_all(&st.f.rt->records, items, h.records);
	h.cq_places = shunt_cq_pending(st.cq);
	h.pending = shunt_group_pending(st.f.rt, st.group);
	h.waiters = sh_a32_load_acq(&pool()->capacity_waiters);
	return h;
}

static void assert_same(const struct holdings *a, const struct holdings *b)
{
	uint32_t i;

	for (i = 0; i < SH_PARTS; i++)
		if (a->balance[i] != b->balance[i])
			fail_msg("part %s: balance %lld, was %lld", sh_parts[i]->name, (long long)b->balance[i],
				 (long long)a->balance[i]);
	assert_int_equal(a->credits, b->credits);
	assert_int_equal(a->in_pool, b->in_pool);
	assert_int_equal(a->records, b->records);
	assert_int_equal(a->cq_places, b->cq_places);
	assert_int_equal(a->pending, b->pending);
	assert_int_equal(a->waiters, b->waiters);
}

static int async_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)atomic_fetch_add((atomic_uint *)arg, 1);
	return SHUNT_PENDING;
}

/* The worker stands at the gate, in a job of a group and nothing else that is counted below. */
static void stage_open(void)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = tu_pool_opts("main", 1);
	struct shunt_cq_opts co = SHUNT_CQ_OPTS_INIT;

	memset(&st, 0, sizeof(st));
	ro.jobs_max = JOBS_MAX;
	ro.handles_max = RECORDS_MAX;
	po.queue_max = QUEUE_MAX;
	po.pinned_capacity = PINNED_MAX;
	tu_fixture_open(&st.f, &ro, &po);
	st.async = tu_type_flags(st.f.rt, st.f.pool, "async", async_job, SHUNT_TYPE_ASYNC);
	st.other = tu_runtime();
	assert_int_equal(shunt_group_create(st.f.rt, &st.gone), 0);
	assert_int_equal(shunt_group_create(st.f.rt, &st.group), 0);
	assert_int_equal(shunt_group_destroy(st.f.rt, st.gone), 0);
	co.capacity = CQ_MAX;
	assert_int_equal(shunt_cq_create(st.f.rt, &co, &st.cq), 0);
	assert_int_equal(shunt_cq_create(st.other, &co, &st.foreign), 0);
	(void)shunt_detach(st.f.rt, tu_hold(st.f.rt, st.f.gate, &st.gate));
}

/* The destruction checks the balance of the parts. */
static void stage_close(void)
{
	atomic_store(&st.gate.open, 1);
	assert_int_equal(shunt_runtime_drain(st.f.rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(cu_credits(st.f.rt), JOBS_MAX);
	assert_int_equal(shunt_group_pending(st.f.rt, st.group), 0);
	assert_int_equal(sh_a64_load_acq(&pool()->in_pool), 0);
	tu_destroy(st.f.rt, 0);
	tu_destroy(st.other, 0);
}

/* ---- refused at each part in turn ---- */

static uint32_t refuses; /* this part */
static int refuses_with;
static uint32_t asked, committed; /* parts whose admission was tried; that were committed */
static uint32_t released[SH_PARTS + 1], released_n;

static int refuse(struct sh_submit *s)
{
	(void)s;
	asked |= 1u << refuses;
	return refuses_with;
}

/* A part as it is, with notes of what is called. */
#define PART_NOTED(name) \
	static int admit_##name(struct sh_submit *s) \
	{ \
		asked |= SH_PART(name); \
		return sh_parts[SH_##name]->admit ? sh_parts[SH_##name]->admit(s) : 0; \
	} \
	static void commit_##name(struct sh_submit *s) \
	{ \
		(void)s; \
		committed |= SH_PART(name); \
	} \
	static void release_##name(struct sh_end *e) \
	{ \
		assert_true(released_n < SH_PARTS); \
		released[released_n++] = SH_##name; \
		assert_int_equal(e->status, 0); \
		if (sh_parts[SH_##name]->release) \
			sh_parts[SH_##name]->release(e); \
	} \
	static const struct sh_part noted_##name = { \
		#name, admit_##name, commit_##name, NULL, NULL, NULL, release_##name \
	};

PART_NOTED(KEY)
PART_NOTED(GROUP)
PART_NOTED(CQ)
PART_NOTED(HANDLE)
PART_NOTED(PINNED)
PART_NOTED(NODE)
PART_NOTED(FAR)
PART_NOTED(ASYNC)
PART_NOTED(BOUND)

static const struct sh_part *const noted[SH_PARTS] = {
	[SH_KEY] = &noted_KEY,
	[SH_GROUP] = &noted_GROUP,
	[SH_CQ] = &noted_CQ,
	[SH_HANDLE] = &noted_HANDLE,
	[SH_PINNED] = &noted_PINNED,
	[SH_NODE] = &noted_NODE,
	[SH_FAR] = &noted_FAR,
	[SH_ASYNC] = &noted_ASYNC,
	[SH_BOUND] = &noted_BOUND,
};

static struct shunt_job_opts opts; /* of the next job; the submit reads them */

/* All parts at once: one of the three routes, and all others. */
static struct shunt_job_spec spec_of(uint16_t route)
{
	struct shunt_job_spec s = tu_spec(st.async, &st.ran);

	opts = (struct shunt_job_opts)SHUNT_JOB_OPTS_INIT;
	opts.cq = st.cq;
	s.opts = &opts;
	s.flags = route;
	s.key = 7;
	s.group = st.group;
	s.arrival_ns = shunt_now_ns() + 2 * SH_FUTURE_NS;
	s.done_arg = &st;
	return s;
}

static uint32_t wanted(uint16_t route)
{
	uint32_t parts = ((1u << SH_PARTS) - 1) & ~SH_PARTS_ROUTE;

	parts |= route & SHUNT_JOB_KEYED ? SH_PART(KEY) : 0;
	parts |= route & SHUNT_JOB_ON_WORKER ? SH_PART(PINNED) : 0;
	return parts | (route & SHUNT_JOB_ON_NODE ? SH_PART(NODE) : 0);
}

static int submit(const struct shunt_job_spec *s, bool handle, bool batch)
{
	struct shunt_job_id id = { 99 };
	int rc = 0;

	if (batch)
		assert_int_equal(shunt_submit_batch(st.f.rt, s, 1, handle ? &id : NULL, &rc), 0);
	else
		rc = shunt_submit(st.f.rt, s, handle ? &id : NULL);
	assert_int_equal(id.v, handle ? 0 : 99);
	return rc;
}

static void check_refused_at(uint32_t part, int error, uint16_t route, bool handle, bool batch)
{
	const struct sh_part refusing = { "refusing", refuse, NULL, NULL, NULL, NULL, NULL };
	const struct sh_part *parts[SH_PARTS];
	struct shunt_job_spec s = spec_of(route);
	struct holdings before = count(), after;
	uint32_t m, i;

	memcpy(parts, noted, sizeof(parts));
	parts[part] = &refusing;
	refuses = part;
	refuses_with = error;
	asked = committed = released_n = 0;
	st.f.rt->parts = parts;
	assert_int_equal(submit(&s, handle, batch), error);
	st.f.rt->parts = sh_parts;
	after = count();
	assert_same(&before, &after);
	assert_int_equal(asked, wanted(route) & ((2u << part) - 1));
	assert_int_equal(committed, 0);
	m = asked & ~(1u << part);
	for (i = 0; i < released_n; i++) { /* the last admitted one first */
		assert_int_equal(released[i], 31 - __builtin_clz(m));
		m &= ~(1u << released[i]);
	}
	assert_int_equal(m, 0);
}

static void test_each_part(void **state)
{
	static const uint16_t routes[] = { 0, SHUNT_JOB_KEYED, SHUNT_JOB_ON_WORKER, SHUNT_JOB_ON_NODE };
	static const int errors[] = { SHUNT_EFULL, SHUNT_EINVAL, SHUNT_ENOENT };
	uint32_t part, r, e, how;

	(void)state;
	stage_open();
	for (part = 0; part < SH_PARTS; part++)
		for (r = 0; r < 4; r++)
			for (e = 0; e < 3 && (wanted(routes[r]) >> part & 1u); e++)
				for (how = 0; how < 4; how++)
					check_refused_at(part, errors[e], routes[r], how & 1, how & 2);
	assert_int_equal(atomic_load(&st.ran), 0);
	stage_close();
}

/* ---- refused by what a part finds ---- */

enum reason { NO_CREDIT,
	      NO_RECORD,
	      GROUP_GONE,
	      GROUP_FULL,
	      CQ_FULL,
	      CQ_FOREIGN,
	      BOUND_FULL,
	      REASONS };

static uint32_t stolen[RECORDS_MAX], stolen_n;
static uint64_t stolen_credits, stolen_places;
static uint32_t stolen_cq;

static void make(enum reason r, struct shunt_job_spec *s)
{
	switch (r) {
	case NO_CREDIT: stolen_credits = sh_a64_xchg_acq_rel(&st.f.rt->credits, 0); break;
	case NO_RECORD: stolen_n = take_all(&st.f.rt->records, stolen); break;
	case GROUP_GONE: s->group = st.gone; break;
	case GROUP_FULL: s->group.v = st.group.v + 1; break; /* no such one */
	case CQ_FULL:
		stolen_cq = CQ_MAX - sh_a32_load_acq(&st.cq->places);
		(void)sh_a32_add_acq_rel(&st.cq->places, stolen_cq);
		break;
	case CQ_FOREIGN: opts.cq = st.foreign; break;
	case BOUND_FULL:
		stolen_places = QUEUE_MAX - sh_a64_load_acq(&pool()->in_pool);
		(void)sh_a64_add_acq_rel(&pool()->in_pool, stolen_places);
		break;
	case REASONS: break;
	}
}

static void unmake(void)
{
	(void)sh_a64_add_acq_rel(&st.f.rt->credits, stolen_credits);
	give_all(&st.f.rt->records, stolen, stolen_n);
	(void)sh_a32_sub_acq_rel(&st.cq->places, stolen_cq);
	(void)sh_a64_sub_acq_rel(&pool()->in_pool, stolen_places);
	stolen_credits = stolen_places = stolen_n = stolen_cq = 0;
}

static void check_reason(enum reason r, uint16_t route, bool handle, enum shunt_on_full full)
{
	static const int errors[REASONS] = { SHUNT_EFULL, SHUNT_EFULL, SHUNT_ENOENT, SHUNT_ENOENT,
					     SHUNT_EFULL, SHUNT_EINVAL, SHUNT_EFULL };
	struct shunt_job_spec s = spec_of(route);
	struct holdings before = count(), after;
	int want = errors[r];

	s.on_full = (uint8_t)full;
	if (full == SHUNT_ON_FULL_BLOCK) {
		opts.full_timeout_ns = 1000;
		want = want == SHUNT_EFULL ? SHUNT_ETIMEDOUT : want;
	}
	make(r, &s);
	assert_int_equal(submit(&s, handle, false), want);
	unmake();
	after = count();
	assert_same(&before, &after);
}

static void test_reasons(void **state)
{
	static const uint16_t routes[] = { 0, SHUNT_JOB_KEYED, SHUNT_JOB_ON_WORKER, SHUNT_JOB_ON_NODE };
	uint32_t r, i, how;

	(void)state;
	stage_open();
	for (r = 0; r < REASONS; r++)
		for (i = 0; i < 4; i++)
			for (how = 0; how < 4; how++)
				check_reason((enum reason)r, routes[i], how & 1,
					     how & 2 ? SHUNT_ON_FULL_BLOCK : SHUNT_ON_FULL_ERROR);
	/* inline, a job needs neither credit nor place; it has a record and a place in the queue all the same */
	for (how = 0; how < 2; how++) {
		check_reason(NO_RECORD, 0, how, SHUNT_ON_FULL_INLINE);
		check_reason(CQ_FULL, 0, how, SHUNT_ON_FULL_INLINE);
	}
	assert_int_equal(atomic_load(&st.ran), 0);
	stage_close();
}

/* A plain spec takes the fast path first; its type's jobs have a part here, and none in a pool without queue_max. */
static void check_plain_no_credit(bool bound)
{
	struct tu_gate gate = { 0, 0 };
	struct shunt_pool_id unbound;
	struct shunt_job_spec s[3];
	struct holdings before, after;
	uint64_t credits;
	int rc = 0;

	stage_open();
	unbound = tu_pool(st.f.rt, "unbound", 1);
	before = count();
	(void)shunt_detach(st.f.rt, tu_hold(st.f.rt, tu_type(st.f.rt, unbound, "hold", tu_gate_job), &gate));
	s[0] = tu_spec(bound ? st.f.count : tu_type(st.f.rt, unbound, "free", tu_count_job), &st.ran);
	s[1] = s[2] = s[0];
	credits = sh_a64_xchg_acq_rel(&st.f.rt->credits, 0);
	assert_int_equal(shunt_submit(st.f.rt, &s[0], NULL), SHUNT_EFULL);
	assert_int_equal(shunt_submit_batch(st.f.rt, s, 3, NULL, &rc), 0);
	assert_int_equal(rc, SHUNT_EFULL);
	(void)sh_a64_add_acq_rel(&st.f.rt->credits, 2);
	assert_int_equal(shunt_submit_batch(st.f.rt, s, 3, NULL, &rc), 2);
	assert_int_equal(rc, SHUNT_EFULL);
	(void)sh_a64_add_acq_rel(&st.f.rt->credits, credits - 2);
	atomic_store(&gate.open, 1);
	if (!bound) { /* the pool with a bound is still held */
		tu_wait_until(atomic_load(&st.ran) == 2);
		tu_wait_until(cu_credits(st.f.rt) == before.credits && count().records == before.records);
		after = count();
		assert_same(&before, &after);
	}
	atomic_store(&st.gate.open, 1);
	tu_wait_until(atomic_load(&st.ran) == 2);
	stage_close();
}

static void test_plain_no_credit(void **state)
{
	(void)state;
	check_plain_no_credit(false);
	check_plain_no_credit(true);
}

/* Admitted and published already: the queue of the route refuses. */
static void test_routes(void **state)
{
	struct shunt_job_opts o = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec s, pinned;
	struct holdings before, after;
	uint32_t i, handle;

	(void)state;
	stage_open();
	pinned = tu_spec(st.f.count, &st.ran);
	pinned.flags = SHUNT_JOB_ON_WORKER;
	pinned.opts = &o;
	for (i = 0; i < PINNED_MAX; i++)
		assert_int_equal(shunt_submit(st.f.rt, &pinned, NULL), 0);
	before = count();
	assert_int_equal(shunt_submit(st.f.rt, &pinned, NULL), SHUNT_EFULL); /* its item alone */
	for (handle = 0; handle < 2; handle++) {
		s = spec_of(SHUNT_JOB_ON_WORKER);
		assert_int_equal(submit(&s, handle, false), SHUNT_EFULL);
		assert_int_equal(submit(&s, handle, true), SHUNT_EFULL);
		s.on_full = SHUNT_ON_FULL_INLINE;
		assert_int_equal(submit(&s, handle, false), SHUNT_EFULL);
		s.on_full = SHUNT_ON_FULL_BLOCK;
		opts.full_timeout_ns = 1000;
		assert_int_equal(submit(&s, handle, false), SHUNT_ETIMEDOUT);
		s = spec_of(SHUNT_JOB_ON_WORKER);
		opts.worker = 1; /* there is one */
		assert_int_equal(submit(&s, handle, false), SHUNT_ENOENT);
		s = spec_of(SHUNT_JOB_ON_NODE);
		opts.node = 1000;
		assert_int_equal(submit(&s, handle, false), SHUNT_ENOENT);
		after = count();
		assert_same(&before, &after);
	}
	stage_close();
}

static void test_contradictions(void **state)
{
	struct holdings before, after;
	struct shunt_job_spec s;
	uint32_t i;

	(void)state;
	stage_open();
	before = count();
	for (i = 0; i < 5; i++) {
		static const uint16_t two[] = {
			SHUNT_JOB_KEYED | SHUNT_JOB_ON_WORKER,
			SHUNT_JOB_KEYED | SHUNT_JOB_ON_NODE,
			SHUNT_JOB_ON_WORKER | SHUNT_JOB_ON_NODE,
			SHUNT_JOB_KEYED | SHUNT_JOB_ON_WORKER | SHUNT_JOB_ON_NODE,
			1u << 4,
		};

		s = spec_of(two[i]);
		assert_int_equal(submit(&s, true, false), SHUNT_EINVAL);
		assert_non_null(strstr(shunt_error_detail(), "job.flags"));
	}
	s = spec_of(0);
	s.done = (shunt_done_fn)(void (*)(void))test_contradictions; /* it is not called */
	assert_int_equal(submit(&s, true, false), SHUNT_EINVAL);
	assert_non_null(strstr(shunt_error_detail(), "job.opts.cq and job.done contradict"));
	s = spec_of(SHUNT_JOB_KEYED);
	opts.cq = st.foreign;
	assert_int_equal(submit(&s, true, false), SHUNT_EINVAL);
	assert_non_null(strstr(shunt_error_detail(), "job.opts.cq: a queue of another runtime"));
	after = count();
	assert_same(&before, &after);
	stage_close();
}

/* ---- the end of jobs with all parts ---- */

static void take_completions(uint32_t n, enum shunt_status status)
{
	struct shunt_completion out[CQ_MAX];
	uint32_t i;

	tu_wait_until(sh_a64_load_acq(&st.cq->list) != 0);
	for (i = 0; i < n; i += (uint32_t)shunt_cq_take(st.cq, out + i, CQ_MAX - i))
		assert_int_equal(shunt_cq_wait(st.cq, TU_LONG_NS), 0);
	for (i = 0; i < n; i++) {
		assert_int_equal(out[i].result.status, status);
		assert_true(out[i].arg == &st);
	}
	assert_int_equal(shunt_cq_pending(st.cq), 0);
}

/* Completed from outside; cancelled while queued; its group is cancelled. */
enum ends { COMPLETED,
	    CANCELLED,
	    GROUP_CANCELLED,
	    ENDS };

static void check_ends(enum ends how, uint16_t route)
{
	struct shunt_job_id id[3];
	struct holdings before;
	struct shunt_job_spec s;
	uint32_t i;

	stage_open();
	before = count();
	s = spec_of(route);
	for (i = 0; i < 3; i++)
		assert_int_equal(shunt_submit(st.f.rt, &s, &id[i]), 0);
	assert_int_equal(shunt_group_pending(st.f.rt, st.group), 3);
	assert_int_equal(cu_credits(st.f.rt), before.credits - 3);
	if (how == GROUP_CANCELLED)
		assert_int_equal(shunt_group_cancel(st.f.rt, st.group), 0);
	for (i = 0; i < 3 && how == CANCELLED; i++)
		assert_int_equal(shunt_cancel(st.f.rt, id[i]), 0);
	atomic_store(&st.gate.open, 1);
	for (i = 0; i < 3 && how == COMPLETED; i++) { /* one after the other, where they have a key */
		tu_wait_until(atomic_load(&st.ran) > i);
		tu_wait_until(shunt_complete(st.f.rt, id[i], 0) == 0);
	}
	assert_int_equal(shunt_runtime_drain(st.f.rt, TU_LONG_NS, NULL), 0);
	take_completions(3, how == COMPLETED ? SHUNT_JOB_DONE : SHUNT_JOB_CANCELLED);
	for (i = 0; i < 3; i++)
		assert_int_equal(shunt_detach(st.f.rt, id[i]), 0);
	assert_int_equal(atomic_load(&st.ran), how == COMPLETED ? 3 : 0);
	/* cancelled jobs' items may still be in the queue */
	tu_wait_until(cu_credits(st.f.rt) == JOBS_MAX && count().records == RECORDS_MAX);
	for (i = 0; i < SH_PARTS; i++)
		tu_wait_until(sh_a64_load_acq(&st.f.rt->part_balance[i]) == 0);
	stage_close();
}

static void test_ends(void **state)
{
	uint32_t how;

	(void)state;
	for (how = 0; how < ENDS; how++) {
		check_ends((enum ends)how, 0);
		check_ends((enum ends)how, SHUNT_JOB_KEYED);
		check_ends((enum ends)how, SHUNT_JOB_ON_WORKER);
	}
}

/* Destroyed while all are queued, and while they run. */
static void check_destroyed(bool run)
{
	struct shunt_job_spec s;
	uint64_t cancelled = 0;
	uint32_t i;

	stage_open();
	for (i = 0; i < 3; i++) {
		s = spec_of(i == 0 ? 0 : i == 1 ? SHUNT_JOB_KEYED
						: SHUNT_JOB_ON_WORKER);
		assert_int_equal(shunt_submit(st.f.rt, &s, NULL), 0);
	}
	if (run) {
		atomic_store(&st.gate.open, 1);
		tu_wait_until(atomic_load(&st.ran) == 3);
	}
	st.gate.open = 1;
	assert_int_equal(shunt_runtime_destroy(st.f.rt, &cancelled), 0);
	assert_int_equal(cancelled, run ? 3 : cancelled);
	tu_destroy(st.other, 0);
}

static void test_destroyed(void **state)
{
	(void)state;
	check_destroyed(true);
	check_destroyed(false);
}

static int note(struct shunt_job_ctx *ctx, void *arg)
{
	atomic_uint *order = arg;

	(void)ctx;
	(void)atomic_fetch_add(order, 1);
	return SHUNT_DONE;
}

/* A job of a key is cancelled while others wait: two lists have it, its strand's and the completion queue's. */
static void test_keyed_cancel(void **state)
{
	struct shunt_type_id type;
	struct shunt_job_id id[CQ_MAX];
	struct shunt_job_spec s;
	atomic_uint n[CQ_MAX];
	uint32_t victims, i;

	(void)state;
	for (victims = 1; victims < (1u << CQ_MAX); victims++) {
		stage_open();
		type = tu_type(st.f.rt, st.f.pool, "note", note);
		for (i = 0; i < CQ_MAX; i++) {
			atomic_store(&n[i], 0);
			s = spec_of(SHUNT_JOB_KEYED);
			s.type = type;
			s.arg = &n[i];
			assert_int_equal(shunt_submit(st.f.rt, &s, &id[i]), 0);
		}
		for (i = 0; i < CQ_MAX; i++)
			if (victims >> i & 1u)
				assert_int_equal(shunt_cancel(st.f.rt, id[i]), 0);
		atomic_store(&st.gate.open, 1);
		assert_int_equal(shunt_runtime_drain(st.f.rt, TU_LONG_NS, NULL), 0);
		for (i = 0; i < CQ_MAX; i++) {
			assert_int_equal(atomic_load(&n[i]), !(victims >> i & 1u));
			tu_join(st.f.rt, id[i], victims >> i & 1u ? SHUNT_JOB_CANCELLED : SHUNT_JOB_DONE);
		}
		for (i = 0; i < CQ_MAX; i++) {
			struct shunt_completion out;

			assert_int_equal(shunt_cq_take(st.cq, &out, 1), 1);
		}
		tu_wait_until(cu_credits(st.f.rt) == JOBS_MAX && count().records == RECORDS_MAX);
		stage_close();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_part),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_plain_no_credit),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_destroyed),
		cmocka_unit_test(test_keyed_cancel),
	};

	(void)tu_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
