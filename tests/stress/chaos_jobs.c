/* stress/chaos_jobs.c - see chaos_jobs.h. SPDX-License-Identifier: MIT */
#include "chaos_jobs.h"

#include <string.h>

#include "chaos_threads.h"

#define LATER 64u
#define TIMEOUT_SLACK 8u /* clocks of two cpus may differ: a time-out counts as early by more than 1/8 */

enum later_state { LATER_FREE = 0,
		   LATER_FILLING = 1,
		   LATER_READY = 2,
		   LATER_TAKEN = 3 };

/* No lock here: a thread may be stopped anywhere. */
static struct later {
	sh_a32 state SH_ALIGNED(SH_CACHELINE);
	struct chaos_job *job;
	struct shunt_job_id id;
} later[LATER];

void chaos_timeout_check(uint64_t start_ns, uint64_t timeout_ns, const char *what)
{
	uint64_t waited = shunt_now_ns() - start_ns;

	STRESS_CHECK(waited >= timeout_ns - timeout_ns / TIMEOUT_SLACK, "%s timed out after %llu ns of %llu", what,
		     (unsigned long long)waited, (unsigned long long)timeout_ns);
}

static void on_done(void *arg, struct shunt_job_id id, const struct shunt_result *result);

/* ---- entries ---- */

static void job_over(struct chaos_job *j)
{
	if (sh_a32_load_sc(&j->flags) & CHAOS_HELD_UP)
		(void)sh_a64_sub_sc(&chaos_ledger->held_up, 1);
	(void)sh_a64_add_rlx(&chaos_ledger->over, 1);
}

bool chaos_job_open(enum chaos_kind kind, uint32_t flags, struct shunt_job_spec *spec, struct chaos_job **job)
{
	struct chaos_job *j = chaos_ledger_take();

	*job = j;
	if (!j)
		return false;
	memset(spec, 0, sizeof(*spec));
	j->kind = kind;
	j->key = SHUNT_ANY;
	j->opts = (struct shunt_job_opts)SHUNT_JOB_OPTS_INIT;
	flags |= CHAOS_KNOWN | (kind == CHAOS_FAIL || kind == CHAOS_ASYNC_LATER ? CHAOS_FAILS : 0u);
	sh_a32_store_sc(&j->flags, flags);
	if (flags & CHAOS_HELD_UP)
		(void)sh_a64_add_sc(&chaos_ledger->held_up, 1);
	spec->type = kind >= CHAOS_ASYNC_LATER && kind <= CHAOS_ASYNC_DIRECT ? chaos_load.async : chaos_load.plain;
	spec->arg = j;
	spec->on_full = SHUNT_ON_FULL_ERROR;
	if (flags & CHAOS_CALLBACK) {
		spec->done = on_done;
		spec->done_arg = j;
	}
	return true;
}

void chaos_job_submitted(struct chaos_job *job, const struct shunt_job_spec *spec, int rc, uint64_t start_ns, bool in_job)
{
	bool blocks = spec->on_full == SHUNT_ON_FULL_BLOCK;
	uint64_t limit_ns = spec->opts ? spec->opts->full_timeout_ns : 0;

	if (rc == 0) {
		sh_a32_store_sc(&job->accepted, 1);
		(void)sh_a64_add_rlx(&chaos_ledger->accepted, 1);
		return;
	}
	STRESS_CHECK((rc == SHUNT_EFULL && !blocks) ||
			     (rc == SHUNT_ETIMEDOUT && blocks && limit_ns != 0) ||
			     (rc == SHUNT_EDEADLK && blocks && in_job) || (rc == SHUNT_ESTOPPED && chaos_load.o.may_stop),
		     "submit: %s (full %d, %s)", shunt_error_name(rc), spec->on_full, in_job ? "in a job" : "outside");
	if (rc == SHUNT_ETIMEDOUT)
		chaos_timeout_check(start_ns, limit_ns, "a blocked submit");
	if (sh_a32_load_sc(&job->flags) & CHAOS_HELD_UP)
		(void)sh_a64_sub_sc(&chaos_ledger->held_up, 1);
	(void)sh_a64_add_rlx(&chaos_ledger->refused, 1);
}

bool chaos_job_cancel(struct shunt_job_id id, struct chaos_job *job)
{
	int rc = shunt_cancel(chaos_load.rt, id);

	STRESS_CHECK(rc == 0 || rc == SHUNT_EBUSY || rc == SHUNT_EAGAIN, "cancel: %s", shunt_error_name(rc));
	if (rc != 0)
		return false;
	if (!(sh_a32_load_sc(&job->flags) & CHAOS_CALLBACK)) { /* else the callback counted it */
		STRESS_CHECK(sh_a32_add_sc(&job->cancelled, 1) == 0, "a job was cancelled twice");
		job_over(job);
	}
	STRESS_CHECK(sh_a32_load_sc(&job->cancelled) == 1, "a cancelled job's callback did not come");
	STRESS_CHECK(sh_a32_load_sc(&job->entered) == 0, "a cancelled job was entered");
	return true;
}

void chaos_job_joined(const struct chaos_job *job, const struct shunt_result *r)
{
	bool fails = (sh_a32_load_sc(&job->flags) & CHAOS_FAILS) != 0;

	if (r->status == SHUNT_JOB_CANCELLED) {
		STRESS_CHECK(sh_a32_load_sc(&job->cancelled) == 1 && sh_a32_load_sc(&job->entered) == 0,
			     "a job that ran was joined as cancelled");
		return;
	}
	STRESS_CHECK(sh_a32_load_sc(&job->ended) == 1, "a job was joined before its end");
	STRESS_CHECK(r->status == (fails ? SHUNT_JOB_FAILED : SHUNT_JOB_DONE) && r->code == (fails ? CHAOS_CODE : 0),
		     "kind %u: status %d code %d", job->kind, (int)r->status, r->code);
}

static void on_done(void *arg, struct shunt_job_id id, const struct shunt_result *result)
{
	struct chaos_job *j = arg;

	STRESS_CHECK(id.v != 0 && sh_a32_add_sc(&j->callbacks, 1) == 0, "two done callbacks for one job");
	if (result->status == SHUNT_JOB_CANCELLED)
		STRESS_CHECK(sh_a32_add_sc(&j->cancelled, 1) == 0, "a job was cancelled twice");
	chaos_job_joined(j, result);
	job_over(j);
}

/* ---- handlers ---- */

static void key_enter(struct chaos_job *j)
{
	struct chaos_key *k = &chaos_ledger->key[j->key];

	STRESS_CHECK(sh_a32_xchg_sc(&k->inside, 1) == 0, "two jobs of one key run at a time");
	STRESS_CHECK(j->seq > k->last, "key %u: job %llu after job %llu", j->key, (unsigned long long)j->seq,
		     (unsigned long long)k->last);
	k->last = j->seq;
}

/* The last touch before a waiter of the job may go on. */
static void job_ended(struct chaos_job *j)
{
	if (j->key != SHUNT_ANY)
		sh_a32_store_sc(&chaos_ledger->key[j->key].inside, 0);
	STRESS_CHECK(sh_a32_add_sc(&j->ended, 1) == 0, "a job ended twice");
	if (!(sh_a32_load_sc(&j->flags) & CHAOS_CALLBACK))
		job_over(j);
}

static void spawn(struct shunt_runtime *rt, uint8_t full, struct shunt_job_id *id, struct chaos_job **job)
{
	struct shunt_job_opts opts = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec spec;
	uint64_t start = shunt_now_ns();
	int rc;

	if (!chaos_job_open(CHAOS_PLAIN, start % 2 ? CHAOS_CALLBACK : 0, &spec, job))
		return;
	spec.on_full = full;
	opts.full_timeout_ns = 2000000; /* without a limit: what fills the queue may wait for this very job */
	if (full == SHUNT_ON_FULL_BLOCK)
		spec.opts = &opts;
	rc = shunt_submit(rt, &spec, id);
	chaos_job_submitted(*job, &spec, rc, start, true);
	if (rc != 0)
		*job = NULL;
}

static void spawn_and_wait(struct shunt_runtime *rt)
{
	struct shunt_job_id id = { 0 };
	struct chaos_job *job = NULL;
	struct shunt_result result;
	uint64_t start;
	int rc;

	spawn(rt, SHUNT_ON_FULL_ERROR, &id, &job);
	if (!job)
		return;
	start = shunt_now_ns();
	rc = shunt_wait(rt, id, 2000000, &result);
	STRESS_CHECK(
		rc == 0 || rc == SHUNT_EDEADLK || rc == SHUNT_ETIMEDOUT, "wait in a job: %s", shunt_error_name(rc));
	if (rc == SHUNT_ETIMEDOUT)
		chaos_timeout_check(start, 2000000, "a wait in a job");
	if (rc == 0)
		chaos_job_joined(job, &result);
	else
		STRESS_CHECK(shunt_detach(rt, id) == 0, "detach after a failed wait");
}

static void complete(struct shunt_runtime *rt, struct shunt_job_id id, struct chaos_job *j)
{
	int code = j->kind == CHAOS_ASYNC_LATER ? CHAOS_CODE : 0;
	int rc;

	job_ended(j); /* before the call: what it counts must hold when others see the end */
	rc = shunt_complete(rt, id, code);
	STRESS_CHECK(rc == 0, "complete: %s", shunt_error_name(rc));
	STRESS_CHECK(shunt_complete(rt, id, 1) == SHUNT_ESTALE, "a second complete of one job was accepted");
}

static bool complete_later(struct shunt_job_id id, struct chaos_job *j)
{
	uint32_t i;

	for (i = 0; i < LATER; i++) {
		struct later *l = &later[(i + id.v) % LATER];
		uint32_t none = LATER_FREE;

		if (sh_a32_load_rlx(&l->state) != LATER_FREE || !sh_a32_cas_sc(&l->state, &none, LATER_FILLING))
			continue;
		l->job = j;
		l->id = id;
		sh_a32_store_sc(&l->state, LATER_READY);
		return true;
	}
	return false;
}

bool chaos_jobs_complete_some(void)
{
	bool any = false;
	uint32_t i;

	for (i = 0; i < LATER; i++) {
		uint32_t ready = LATER_READY;
		struct shunt_job_id id;
		struct chaos_job *job;

		if (!sh_a32_cas_sc(&later[i].state, &ready, LATER_TAKEN))
			continue;
		job = later[i].job;
		id = later[i].id;
		sh_a32_store_sc(&later[i].state, LATER_FREE);
		complete(chaos_load.rt, id, job);
		any = true;
	}
	return any;
}

static int run_async(struct shunt_job_ctx *ctx, struct chaos_job *j)
{
	struct shunt_job_id id = shunt_job_self(ctx);

	STRESS_CHECK(id.v != 0, "an asynchronous job without a handle");
	if (j->kind == CHAOS_ASYNC_DIRECT) {
		job_ended(j);
		return SHUNT_DONE;
	}
	if (j->kind == CHAOS_ASYNC_EARLY || !complete_later(id, j))
		complete(shunt_job_runtime(ctx), id, j);
	return SHUNT_PENDING;
}

int chaos_run(struct shunt_job_ctx *ctx, void *arg)
{
	struct shunt_runtime *rt = shunt_job_runtime(ctx);
	struct chaos_job *j = arg;
	struct chaos_job *other = NULL;
	uint32_t kind = j->kind;

	STRESS_CHECK(sh_a32_add_sc(&j->entered, 1) == 0, "a job was entered twice");
	STRESS_CHECK(sh_a32_load_sc(&j->cancelled) == 0, "a cancelled job was entered");
	if (j->key != SHUNT_ANY)
		key_enter(j);
	if (sh_unlikely(sh_a32_load_rlx(&chaos_load.visit_wanted) != 0) &&
	    sh_a32_xchg_sc(&chaos_load.visit_wanted, 0) != 0)
		chaos_load.visit();
	if (kind >= CHAOS_ASYNC_LATER && kind <= CHAOS_ASYNC_DIRECT)
		return run_async(ctx, j);
	if (kind == CHAOS_SPAWN) {
		spawn(rt, SHUNT_ON_FULL_ERROR, NULL, &other);
		spawn(rt, SHUNT_ON_FULL_ERROR, NULL, &other);
	} else if (kind == CHAOS_INLINE) {
		spawn(rt, SHUNT_ON_FULL_INLINE, NULL, &other);
	} else if (kind == CHAOS_ROOM) {
		spawn(rt, SHUNT_ON_FULL_BLOCK, NULL, &other);
	} else if (kind == CHAOS_WAIT) {
		spawn_and_wait(rt);
	} else if (kind == CHAOS_BLOCK) {
		int blocked = shunt_block_begin(ctx);

		STRESS_CHECK(blocked == 0 || blocked == SHUNT_ELIMIT, "block: %s", shunt_error_name(blocked));
		stress_pause_ns(20000);
		if (blocked == 0)
			shunt_block_end(ctx);
	} else {
		stress_spin_ns(((uint64_t)(uintptr_t)j >> 6) % 16u * 500u);
	}
	job_ended(j);
	return kind == CHAOS_FAIL ? CHAOS_CODE : SHUNT_DONE;
}
