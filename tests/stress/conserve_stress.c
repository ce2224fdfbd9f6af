/*
 * stress/conserve_stress.c - conservation: no job is lost, none runs twice, each reaches exactly one terminal state.
 *
 * Invariant, per seed. Let accepted be the jobs whose submit returned 0. Then, when everything has quiesced:
 *   accepted = handlers that ended the job + jobs cancelled before they ran + (destroy with a full queue) what destroy
 *   says it cancelled; and for every single job: handler entries <= 1, done callbacks = 1 where one was asked for, a
 *   cancelled job was never entered, its result is what its handler returned; jobs of one key never overlap and run in
 *   submit order, without a gap where none was cancelled; pool and series counters of a snapshot equal these sums.
 * Two kinds of jobs carry this. Bulk jobs are numbered; both sides add up count and a hash of the number, so that a
 * lost and a doubled one cannot cancel out; they cost next to nothing, which lets a long run reach 10^8 jobs. Recorded
 * jobs have a record of their own, used again after the job's end.
 *
 * Eight submitters and up to eight workers share whatever cpus there are. A seed draws the pool (rings of 2 to 256,
 * arenas from 64 jobs, queue bounds, idle and level modes, strategies, strands, asynchronous bounds) and the mix.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "conserve_world.h"

#define BATCH_MAX 24u
#define FAIL_CODE 77

/* ---- bulk jobs ---- */

static void shard_add(uint32_t worker, uint64_t number)
{
	struct shard *s = &world.shard[worker < SHARDS - 1 ? worker : SHARDS - 1];

	(void)sh_a64_add_rlx(&s->count, 1);
	(void)sh_a64_add_rlx(&s->hash, sh_mix64(number));
}

static int run_bulk(struct shunt_job_ctx *ctx, void *arg)
{
	uint64_t number = (uint64_t)(uintptr_t)arg;

	shard_add(shunt_job_worker(ctx), number);
	if ((number & 0xfffu) == 0) {
		stress_progress();
		stress_spin_ns(3000);
	}
	return SHUNT_DONE;
}

/* ---- recorded jobs ---- */

static void key_enter(struct record *r)
{
	struct key_state *k = &r->owner->key[r->key];

	STRESS_CHECK(sh_a32_xchg_sc(&k->inside, 1) == 0, "two jobs of one key run at a time");
	if (r->key < KEYS / 2)
		STRESS_CHECK(r->seq == k->last + 1, "key %u: job %llu after job %llu", r->key,
			(unsigned long long)r->seq, (unsigned long long)k->last);
	else
		STRESS_CHECK(r->seq > k->last, "key %u: job %llu after job %llu", r->key, (unsigned long long)r->seq,
			(unsigned long long)k->last);
	k->last = r->seq;
}

static void record_over(struct record *r)
{
	STRESS_CHECK(sh_a32_xchg_sc(&r->busy, 0) == 1, "a job ended twice");
}

/* The handler's last touch: without a callback and without a handle the record is free now. */
static void record_ended(struct record *r)
{
	if (r->key != SHUNT_ANY)
		sh_a32_store_sc(&r->owner->key[r->key].inside, 0);
	STRESS_CHECK(sh_a32_add_sc(&r->ended, 1) == 0, "a job ended twice");
}

static void spawn_bulk(struct shunt_runtime *rt, const struct record *r, uint64_t salt, uint8_t full)
{
	struct shunt_job_opts opts = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec spec = { 0 };
	uint64_t number = sh_mix64((uint64_t)(uintptr_t)r ^ salt) >> 20 | 1u;

	spec.type = world.bulk;
	spec.on_full = full;
	opts.full_timeout_ns = 2000000; /* without a limit: what fills the queue may wait for this very job */
	spec.arg = (void *)(uintptr_t)number;
	if (full == SHUNT_ON_FULL_BLOCK)
		spec.opts = &opts;
	if (shunt_submit(rt, &spec, NULL) != 0)
		return;
	(void)sh_a64_add_rlx(&world.spawned, 1);
	(void)sh_a64_add_rlx(&world.spawned_hash, sh_mix64(number));
}

static void spawn_and_wait(struct shunt_job_ctx *ctx, const struct record *r)
{
	struct shunt_runtime *rt = shunt_job_runtime(ctx);
	struct shunt_job_spec spec = { 0 };
	struct shunt_job_id id;
	uint64_t number = sh_mix64((uint64_t)(uintptr_t)r) >> 20 | 1u;
	int rc;

	spec.type = world.bulk;
	spec.arg = (void *)(uintptr_t)number;
	spec.on_full = SHUNT_ON_FULL_ERROR;
	if (shunt_submit(rt, &spec, &id) != 0)
		return;
	(void)sh_a64_add_rlx(&world.spawned, 1);
	(void)sh_a64_add_rlx(&world.spawned_hash, sh_mix64(number));
	rc = shunt_wait(rt, id, world.leave_queued ? 1000000u : SHUNT_FOREVER, NULL);
	STRESS_CHECK(rc == 0 || rc == SHUNT_EDEADLK || (world.leave_queued && rc == SHUNT_ETIMEDOUT),
		"wait in a job: %d", rc);
	if (rc != 0)
		STRESS_CHECK(shunt_detach(rt, id) == 0, "detach after a failed wait");
	(void)sh_a64_add_rlx(&world.child_waits, 1);
}

static void complete_later(struct shunt_job_id id, struct record *r)
{
	(void)pthread_mutex_lock(&world.lock);
	STRESS_CHECK(world.completions < world.completions_max, "too many completions for the test's own table");
	world.completion[world.completions % world.completions_max].id = id;
	world.completion[world.completions % world.completions_max].record = r;
	world.completions++;
	(void)pthread_mutex_unlock(&world.lock);
}

static void count_return(int rc)
{
	(void)sh_a64_add_rlx(rc == SHUNT_DONE ? &world.done : &world.failed, 1);
}

static int run_recorded(struct shunt_job_ctx *ctx, void *arg)
{
	struct record *r = arg;
	uint32_t kind = r->kind;
	int rc = kind == KIND_FAIL ? FAIL_CODE : SHUNT_DONE;
	bool free_now = !r->callback && shunt_job_self(ctx).v == 0;

	STRESS_CHECK(sh_a32_add_sc(&r->entered, 1) == 0, "a job was entered twice");
	STRESS_CHECK(sh_a32_load_sc(&r->busy) == 1, "a job runs that is over");
	STRESS_CHECK(sh_a32_load_sc(&r->cancelled) == 0, "a cancelled job was entered");
	if (r->key != SHUNT_ANY)
		key_enter(r);
	if (kind == KIND_BLOCK) {
		int blocked = shunt_block_begin(ctx);

		stress_pause_ns(20000);
		if (blocked == 0)
			shunt_block_end(ctx);
	} else if (kind == KIND_SPAWN) {
		spawn_bulk(shunt_job_runtime(ctx), r, 1, SHUNT_ON_FULL_ERROR);
		spawn_bulk(shunt_job_runtime(ctx), r, 2, r->seq % 2 ? SHUNT_ON_FULL_INLINE : SHUNT_ON_FULL_BLOCK);
	} else if (kind == KIND_WAIT) {
		spawn_and_wait(ctx, r);
	}
	count_return(rc);
	record_ended(r);
	if (free_now)
		record_over(r);
	return rc;
}

static void complete(struct shunt_runtime *rt, struct shunt_job_id id, struct record *r)
{
	int code = r->kind == KIND_ASYNC_EARLY ? 0 : FAIL_CODE;
	int rc;

	/* Before the call: after it the record may serve another job. */
	record_ended(r);
	rc = shunt_complete(rt, id, code);
	if (rc == 0) {
		count_return(code);
		(void)sh_a64_add_rlx(&world.async_wins, 1);
	}
	STRESS_CHECK(rc == 0, "complete: %d", rc);
	STRESS_CHECK(shunt_complete(rt, id, 1) == SHUNT_ESTALE, "a second complete of one job was accepted");
}

static int run_async(struct shunt_job_ctx *ctx, void *arg)
{
	struct record *r = arg;
	uint32_t kind = r->kind;

	STRESS_CHECK(sh_a32_add_sc(&r->entered, 1) == 0, "an asynchronous job was entered twice");
	STRESS_CHECK(sh_a32_load_sc(&r->cancelled) == 0, "a cancelled job was entered");
	STRESS_CHECK(shunt_job_self(ctx).v != 0, "an asynchronous job without a handle");
	if (r->key != SHUNT_ANY)
		key_enter(r);
	if (kind == KIND_ASYNC_DIRECT) {
		count_return(SHUNT_DONE);
		record_ended(r);
		return SHUNT_DONE;
	}
	if (kind == KIND_ASYNC_EARLY)
		complete(shunt_job_runtime(ctx), shunt_job_self(ctx), r);
	else
		complete_later(shunt_job_self(ctx), r);
	return SHUNT_PENDING;
}

static void on_done(void *arg, struct shunt_job_id id, const struct shunt_result *result)
{
	struct record *r = arg;
	bool fails = r->kind == KIND_FAIL || r->kind == KIND_ASYNC_LATER;

	STRESS_CHECK(id.v != 0 && sh_a32_add_sc(&r->callbacks, 1) == 0, "two done callbacks for one job");
	if (result->status == SHUNT_JOB_CANCELLED) {
		STRESS_CHECK(
			sh_a32_load_sc(&r->entered) == 0 || world.leave_queued, "a job was entered and then cancelled");
		STRESS_CHECK(result->code == SHUNT_ECANCELLED, "code %d of a cancelled job", result->code);
		(void)sh_a64_add_rlx(&world.cancelled_cb, 1);
	} else {
		STRESS_CHECK(sh_a32_load_sc(&r->entered) == 1 && sh_a32_load_sc(&r->ended) == 1,
			"done callback before the end");
		STRESS_CHECK(result->status == (fails ? SHUNT_JOB_FAILED : SHUNT_JOB_DONE) &&
				     result->code == (fails ? FAIL_CODE : 0),
			"kind %u: status %d code %d", r->kind, (int)result->status, result->code);
	}
	record_over(r);
}

/* ---- submitters ---- */

static struct record *record_get(struct submitter *s)
{
	uint32_t i;

	for (i = 0; i < 8; i++) {
		struct record *r = &s->record[s->hand++ % RECORDS];

		if (sh_a32_load_sc(&r->busy) == 0) {
			sh_a32_store_sc(&r->entered, 0);
			sh_a32_store_sc(&r->ended, 0);
			sh_a32_store_sc(&r->callbacks, 0);
			sh_a32_store_sc(&r->cancelled, 0);
			sh_a32_store_sc(&r->busy, 1);
			return r;
		}
	}
	return NULL;
}

static void refused(struct submitter *s, int rc)
{
	STRESS_CHECK(rc == SHUNT_EFULL || rc == SHUNT_ETIMEDOUT || rc == SHUNT_EDEADLK ||
			     (rc == SHUNT_ESTOPPED && world.drains),
		"submit: %d", rc);
	if (rc != SHUNT_ESTOPPED)
		s->refused_full++;
	stress_pause_ns(rc == SHUNT_ESTOPPED ? 100000 : 1000);
}

static uint8_t policy(struct submitter *s)
{
	uint32_t roll = sh_rng_below(&s->rng, 4);

	return roll == 0 ? (uint8_t)(1 + sh_rng_below(&s->rng, 3)) : world.full;
}

static void bulk_spec(struct submitter *s, struct shunt_job_spec *spec)
{
	uint64_t number = sh_rng_next(&s->rng) >> 16 | 1u;

	memset(spec, 0, sizeof(*spec));
	spec->type = world.bulk;
	spec->on_full = policy(s);
	spec->arg = (void *)(uintptr_t)(sh_rng_below(&s->rng, 512) == 0 ? number << 12 : number);
	spec->level = (uint8_t)sh_rng_below(&s->rng, world.levels + 1);
	switch (sh_rng_below(&s->rng, 16)) {
	case 0:
		spec->flags = SHUNT_JOB_KEYED;
		spec->key = sh_rng_below(&s->rng, 4); /* shared with the other submitters */
		break;
	case 1:
		spec->flags = SHUNT_JOB_ON_WORKER;
		spec->opts = &s->on_worker[sh_rng_below(&s->rng, world.workers)];
		break;
	default:
		break;
	}
}

static void bulk_accepted(struct submitter *s, const struct shunt_job_spec *spec)
{
	s->accepted++;
	s->bulk_count++;
	s->bulk_hash += sh_mix64((uint64_t)(uintptr_t)spec->arg);
}

static void submit_bulk(struct submitter *s)
{
	struct shunt_job_spec spec;
	int rc;

	bulk_spec(s, &spec);
	rc = shunt_submit(world.rt, &spec, NULL);
	if (rc == 0)
		bulk_accepted(s, &spec);
	else
		refused(s, rc);
}

static void submit_batch(struct submitter *s)
{
	struct shunt_job_spec spec[BATCH_MAX];
	uint32_t n = 1 + sh_rng_below(&s->rng, BATCH_MAX);
	int rc = 0;
	size_t got, i;

	for (i = 0; i < n; i++)
		bulk_spec(s, &spec[i]);
	got = shunt_submit_batch(world.rt, spec, n, NULL, &rc);
	STRESS_CHECK(got <= n && (rc == 0) == (got == n), "batch of %u: %zu with %d", n, got, rc);
	for (i = 0; i < got; i++)
		bulk_accepted(s, &spec[i]);
	s->batches++;
	if (rc != 0)
		refused(s, rc);
}

/* The handle is given back here, in whatever way. */
static void resolve_one(struct submitter *s, uint32_t i)
{
	struct record *r = s->held[i].record;
	struct shunt_job_id id = s->held[i].id;
	bool callback = s->held[i].callback;
	bool cancellable = s->held[i].cancellable;
	struct shunt_result result;
	uint32_t way = sh_rng_below(&s->rng, 8);
	bool cancelled = false;
	int rc;

	s->held_n--;
	s->held[i] = s->held[s->held_n];
	if (way < 3 && cancellable && !callback) {
		rc = shunt_cancel(world.rt, id);
		STRESS_CHECK(rc == 0 || rc == SHUNT_EBUSY || rc == SHUNT_EAGAIN, "cancel: %d", rc);
		cancelled = rc == 0;
		if (cancelled) {
			sh_a32_store_sc(&r->cancelled, 1);
			STRESS_CHECK(sh_a32_load_sc(&r->entered) == 0, "a cancelled job was entered");
			s->cancelled++;
		}
	} else if (way < 3 && cancellable) {
		rc = shunt_cancel(world.rt, id); /* its callback frees the record: no look at it afterwards */
		STRESS_CHECK(rc == 0 || rc == SHUNT_EBUSY || rc == SHUNT_EAGAIN, "cancel: %d", rc);
	}
	if (callback && way % 2 == 0) {
		STRESS_CHECK(shunt_detach(world.rt, id) == 0, "detach");
		STRESS_CHECK(shunt_wait(world.rt, id, 0, NULL) == SHUNT_ESTALE, "a detached handle is still valid");
		return;
	}
	rc = shunt_wait(world.rt, id, SHUNT_FOREVER, &result);
	STRESS_CHECK(rc == 0, "wait: %d", rc);
	STRESS_CHECK(shunt_detach(world.rt, id) == SHUNT_ESTALE, "a joined handle is still valid");
	if (callback)
		return;
	if (cancelled)
		STRESS_CHECK(result.status == SHUNT_JOB_CANCELLED && sh_a32_load_sc(&r->entered) == 0,
			"cancelled, but status %d", (int)result.status);
	else
		STRESS_CHECK(
			sh_a32_load_sc(&r->entered) == 1 && sh_a32_load_sc(&r->ended) == 1 &&
				result.status == (r->kind == KIND_FAIL || r->kind == KIND_ASYNC_LATER ? SHUNT_JOB_FAILED
												      : SHUNT_JOB_DONE),
			"kind %u: entered %u, status %d", r->kind, sh_a32_load_sc(&r->entered), (int)result.status);
	record_over(r);
}

static void record_spec(struct submitter *s, struct record *r, struct shunt_job_spec *spec, bool async)
{
	uint32_t roll = sh_rng_below(&s->rng, 64);

	memset(spec, 0, sizeof(*spec));
	r->kind = KIND_PLAIN;
	if (async)
		r->kind = KIND_ASYNC_LATER + sh_rng_below(&s->rng, 3);
	else if (roll < 4)
		r->kind = KIND_FAIL;
	else if (roll < 5 && !stress_skip("block"))
		r->kind = KIND_BLOCK;
	else if (roll < 12 && !stress_skip("spawn"))
		r->kind = KIND_SPAWN;
	else if (roll < 14 && !stress_skip("wait"))
		r->kind = KIND_WAIT;
	spec->type = async ? world.async : world.recorded;
	spec->arg = r;
	spec->on_full = policy(s);
	spec->level = (uint8_t)sh_rng_below(&s->rng, world.levels + 1);
	r->key = SHUNT_ANY;
	r->seq = sh_rng_next(&s->rng);
	roll = sh_rng_below(&s->rng, 4);
	if (roll == 0) {
		r->key = sh_rng_below(&s->rng, KEYS);
		r->seq = s->key[r->key].next + 1;
		spec->flags = SHUNT_JOB_KEYED;
		spec->key = 100u + s->index * KEYS + r->key;
	} else if (roll == 1 && r->kind != KIND_BLOCK) {
		spec->flags = SHUNT_JOB_ON_WORKER;
		spec->opts = &s->on_worker[sh_rng_below(&s->rng, world.workers)];
	}
	r->callback = sh_rng_below(&s->rng, 2) == 0;
	if (world.groups && r->callback && (r->key == SHUNT_ANY || r->key >= KEYS / 2))
		spec->group = s->group;
	if (r->callback) {
		spec->done = on_done;
		spec->done_arg = r;
	}
}

static void submit_recorded(struct submitter *s)
{
	struct record *r = record_get(s);
	bool async = !stress_skip("async") && sh_rng_below(&s->rng, 6) == 0;
	bool tracked = sh_rng_below(&s->rng, 2) == 0;
	struct shunt_job_spec spec;
	struct shunt_job_id id;
	int rc;

	if (!r) {
		submit_bulk(s);
		return;
	}
	record_spec(s, r, &spec, async);
	if (async && !r->callback)
		tracked = true; /* somebody must learn of its end */
	while (tracked && s->held_n == HELD_MAX)
		resolve_one(s, sh_rng_below(&s->rng, s->held_n));
	rc = shunt_submit(world.rt, &spec, tracked ? &id : NULL);
	if (rc != 0) {
		sh_a32_store_sc(&r->busy, 0);
		refused(s, rc);
		return;
	}
	s->accepted++;
	s->recorded++;
	if (spec.flags & SHUNT_JOB_KEYED)
		s->key[(spec.key - 100u) % KEYS].next++;
	if (tracked) {
		/* Its kind, key and callback as submitted: r may be in other hands already. */
		s->held[s->held_n++] = (struct held){ id, r, spec.done != NULL,
			!(spec.flags & SHUNT_JOB_KEYED) || (spec.key - 100u) % KEYS >= KEYS / 2 };
	}
}

static void change_group(struct submitter *s)
{
	int rc;

	if (sh_rng_below(&s->rng, 2) == 0)
		STRESS_CHECK(shunt_group_cancel(world.rt, s->group) == 0, "group cancel");
	rc = shunt_group_wait(world.rt, s->group, SHUNT_FOREVER);
	STRESS_CHECK(rc == 0, "group wait: %d", rc);
	STRESS_CHECK(shunt_group_pending(world.rt, s->group) == 0, "jobs pending after the wait for the group");
	STRESS_CHECK(shunt_group_destroy(world.rt, s->group) == 0, "group destroy");
	STRESS_CHECK(shunt_group_destroy(world.rt, s->group) == SHUNT_ESTALE, "a destroyed group is still there");
	STRESS_CHECK(shunt_group_create(world.rt, &s->group) == 0, "group create");
}

static void *submitter_main(void *arg)
{
	struct submitter *s = arg;

	while (s->accepted < world.jobs / SUBMITTERS) {
		uint64_t before = s->accepted;
		uint32_t roll = sh_rng_below(&s->rng, 64);

		if (roll < 40)
			submit_bulk(s);
		else if (roll < 44)
			submit_batch(s);
		else
			submit_recorded(s);
		if (s->held_n > 0 && sh_rng_below(&s->rng, 8) == 0)
			resolve_one(s, sh_rng_below(&s->rng, s->held_n));
		if (world.groups && sh_rng_below(&s->rng, 512) == 0)
			change_group(s);
		if (s->accepted / 64 != before / 64)
			stress_progress();
	}
	while (!world.leave_queued && s->held_n > 0)
		resolve_one(s, s->held_n - 1);
	return NULL;
}

/* ---- side threads ---- */

static void *completer_main(void *arg)
{
	struct sh_rng rng;

	sh_rng_init(&rng, (uint64_t)(uintptr_t)arg);
	for (;;) {
		struct completion c = { { 0 }, NULL };
		bool any = false;

		(void)pthread_mutex_lock(&world.lock);
		if (world.completed < world.completions) {
			c = world.completion[world.completed++ % world.completions_max];
			any = true;
		}
		(void)pthread_mutex_unlock(&world.lock);
		if (any) {
			complete(world.rt, c.id, c.record);
			stress_progress();
		} else {
			if (sh_a32_load_sc(&world.completers_stop))
				return NULL;
			stress_pause_ns(1000u * (1 + sh_rng_below(&rng, 100)));
		}
	}
}

/* ---- one seed ---- */

#define BIG_SEED 200000u

static void create_pool(struct sh_rng *rng)
{
	static const uint32_t rings[] = { 2, 4, 16, 256 };
	static const uint32_t strands[] = { 1, 4, 64, 1024 };
	static const uint32_t asyncs[] = { 1, 2, 64 };
	static const uint32_t bounds[] = { 0, 0, 40, 1000 };
	static const uint32_t spares[] = { 0, 2, 8, SHUNT_ANY };
	struct shunt_pool_opts po = SHUNT_POOL_OPTS_INIT;
	struct shunt_type_opts to = SHUNT_TYPE_OPTS_INIT;
	int rc;

	po.name = "main";
	po.workers = world.workers = sh_rng_below(rng, 3) == 0 ? 1 + sh_rng_below(rng, WORKERS_MAX - 1) : WORKERS_MAX;
	po.pin = SHUNT_PIN_NONE;
	po.idle = (enum shunt_idle)(1 + sh_rng_below(rng, 3));
	if (po.idle == SHUNT_IDLE_POLL && sh_rng_below(rng, 2) == 0)
		po.idle = SHUNT_IDLE_PARK; /* over-committed pollers only burn the others' time: less often */
	po.spares_max = spares[sh_rng_below(rng, SH_COUNT(spares))];
	po.ring_capacity = rings[sh_rng_below(rng, SH_COUNT(rings))];
	po.key_slots = strands[sh_rng_below(rng, SH_COUNT(strands))];
	po.async_max = asyncs[sh_rng_below(rng, SH_COUNT(asyncs))];
	po.queue_max = bounds[sh_rng_below(rng, SH_COUNT(bounds))];
	if (world.jobs > BIG_SEED) { /* a long run shall not spend its hours in over-committed pollers and 40 places */
		po.idle = po.idle == SHUNT_IDLE_POLL ? SHUNT_IDLE_ADAPTIVE : po.idle;
		po.queue_max = po.queue_max == 40 ? 1000 : po.queue_max;
	}
	po.level_mode = (enum shunt_level_mode)(1 + sh_rng_below(rng, 2));
	if (world.levels == 1)
		po.level_mode = SHUNT_LEVELS_STRICT; /* the others want levels */
	if (sh_rng_below(rng, 2) && po.level_mode == SHUNT_LEVELS_STRICT && world.levels > 1)
		po.guard_every = 2;
	po.strategy = (enum shunt_strategy)sh_rng_below(rng, SHUNT_SELECT_USER);
	rc = shunt_pool_create(world.rt, &po, &world.pool);
	STRESS_CHECK(rc == 0, "pool create: %d", rc);
	(void)printf("  workers %u levels %u idle %d spares %d ring %u strands %u async %u bound %u mode %d strategy "
		     "%d full %u%s%s%s\n",
		world.workers, world.levels, (int)po.idle, (int)po.spares_max, po.ring_capacity, po.key_slots,
		po.async_max, po.queue_max, (int)po.level_mode, (int)po.strategy, world.full,
		world.drains ? " drains" : "", world.groups ? " groups" : "",
		world.leave_queued ? " leave-queued" : "");
	to.pool = world.pool;
	to.name = "bulk";
	to.handler = run_bulk;
	rc = shunt_type_create(world.rt, &to, &world.bulk);
	to.name = "recorded";
	to.handler = run_recorded;
	rc |= shunt_type_create(world.rt, &to, &world.recorded);
	to.name = "async";
	to.handler = run_async;
	to.flags = SHUNT_TYPE_ASYNC;
	rc |= shunt_type_create(world.rt, &to, &world.async);
	STRESS_CHECK(rc == 0, "type create");
}

static void create_world(struct sh_rng *rng, uint64_t jobs)
{
	static const uint32_t arenas[] = { 64, 256, 4096, 65536 };
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	uint32_t i, k;

	memset(&world, 0, sizeof(world));
	(void)pthread_mutex_init(&world.lock, NULL);
	world.jobs = jobs;
	world.levels = 1 + sh_rng_below(rng, 4);
	world.full = (uint8_t)(1 + sh_rng_below(rng, 3));
	world.drains = sh_rng_below(rng, 3) == 0 && !stress_skip("drain");
	world.leave_queued = !world.drains && sh_rng_below(rng, 4) == 0;
	world.groups = !world.leave_queued && sh_rng_below(rng, 2) == 0 && !stress_skip("groups");
	ro.levels = world.levels;
	ro.jobs_max = arenas[sh_rng_below(rng, SH_COUNT(arenas))];
	ro.handles_max = ro.jobs_max + 4096; /* never what is full: a blocked submitter may hold handles */
	ro.submitters_max = sh_rng_below(rng, 3) == 0 ? 4 : 64; /* 4: the others go the shared way */
	STRESS_CHECK(shunt_runtime_create(&world.rt, &ro) == 0, "runtime create");
	(void)printf("  arena %u submitters %u jobs %llu\n", ro.jobs_max, ro.submitters_max, (unsigned long long)jobs);
	create_pool(rng);
	world.completions_max = jobs + 1024;
	world.completion = calloc(world.completions_max, sizeof(*world.completion));
	STRESS_CHECK(world.completion != NULL, "out of memory");
	for (i = 0; i < SUBMITTERS; i++) {
		struct submitter *s = &world.submitter[i];

		s->index = i;
		sh_rng_init(&s->rng, sh_rng_next(rng));
		for (k = 0; k < WORKERS_MAX; k++)
			s->on_worker[k] = (struct shunt_job_opts){ .size = sizeof(s->on_worker[k]), .worker = k };
		s->record = aligned_alloc(SH_CACHELINE, sizeof(*s->record) * RECORDS);
		STRESS_CHECK(s->record != NULL, "out of memory");
		memset(s->record, 0, sizeof(*s->record) * RECORDS);
		for (k = 0; k < RECORDS; k++)
			s->record[k].owner = s;
		if (world.groups)
			STRESS_CHECK(shunt_group_create(world.rt, &s->group) == 0, "group create");
	}
}

static uint64_t run_seed(uint64_t seed, uint64_t jobs)
{
	pthread_t completer[COMPLETERS];
	struct sh_rng rng;
	struct totals t;
	uint64_t left;
	uint32_t i;

	sh_rng_init(&rng, seed);
	(void)printf("SHUNT_SEED=%llu\n", (unsigned long long)seed);
	stress_round(seed, NULL);
	create_world(&rng, jobs);
	stress_round(seed, world.rt);
	stress_at("submitting");
	world.churn.rt = world.rt;
	world.churn.bulk = world.bulk;
	world.churn.drains = world.drains;
	churn_start(&world.churn, &rng);
	for (i = 0; i < COMPLETERS; i++)
		STRESS_CHECK(pthread_create(&completer[i], NULL, completer_main, (void *)(uintptr_t)(seed + i)) == 0,
			"thread create");
	for (i = 0; i < SUBMITTERS; i++)
		STRESS_CHECK(pthread_create(&world.submitter[i].thread, NULL, submitter_main, &world.submitter[i]) == 0,
			"thread create");
	for (i = 0; i < SUBMITTERS; i++)
		(void)pthread_join(world.submitter[i].thread, NULL);
	churn_stop(&world.churn);
	stress_at("quiescing");
	if (!world.leave_queued) {
		int rc;

		do { /* progress is counted by the handlers: the watchdog tells slow from stuck */
			rc = shunt_runtime_drain(world.rt, 1000000000u, NULL);
		} while (rc == SHUNT_ETIMEDOUT);
		STRESS_CHECK(rc == 0, "drain: %d", rc);
	}
	sh_a32_store_sc(&world.completers_stop, 1);
	for (i = 0; i < COMPLETERS; i++)
		(void)pthread_join(completer[i], NULL);
	if (!world.leave_queued)
		conserve_check_quiesced();
	stress_round(seed, NULL);
	stress_at("destroy");
	STRESS_CHECK(shunt_runtime_destroy(world.rt, &left) == 0, "destroy");
	if (world.leave_queued)
		conserve_check_destroyed(left);
	else
		STRESS_CHECK(left == 0, "destroy after a drain cancelled %llu jobs", (unsigned long long)left);
	t = conserve_totals();
	for (i = 0; i < SUBMITTERS; i++)
		free(world.submitter[i].record);
	free(world.completion);
	(void)pthread_mutex_destroy(&world.lock);
	return t.accepted;
}

int main(int argc, char **argv)
{
	static const struct stress_size size = { 40000, 1000000, 8, 100 };
	struct stress_opts o;
	uint64_t total = 0;
	uint64_t begin;
	uint32_t i;

	stress_init(&o, "conserve_stress", argc, argv, &size);
	begin = shunt_now_ns();
	for (i = 0; i < o.seeds; i++)
		total += run_seed(o.seed + i, o.jobs);
	(void)printf("conserve_stress: %llu jobs in %u seeds, %llu ms, all accounted for\n", (unsigned long long)total,
		o.seeds, (unsigned long long)((shunt_now_ns() - begin) / 1000000u));
	return 0;
}
