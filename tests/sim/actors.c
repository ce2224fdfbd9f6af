/* sim/actors.c - see actors.h. SPDX-License-Identifier: MIT */
#include "sim/actors.h"

#include <math.h>
#include <string.h>

#include "base/atomic.h"
#include "base/futex.h"
#include "sim/model_priv.h"

#define BATCH_MAX 16u
#define HELD_MAX 8u /* handles that a submitter keeps before it resolves the oldest */
#define SLOW_MAX_NS UINT64_C(50000000)

static struct {
	struct actors a;
	uint32_t to_complete[LOAD_JOBS_MAX];
	uint32_t completions;
	sh_a32 bell; /* rung when there is more to complete, or no more to come */
	bool ending, at_once;
} g;

void actors_begin(const struct actors *a)
{
	memset(&g, 0, sizeof(g));
	g.a = *a;
}

static uint64_t exponential(struct sh_rng *r, uint64_t mean)
{
	double x = -log(sim_unit(r)) * (double)mean;

	return x < 1e15 ? (uint64_t)x : (uint64_t)1e15;
}

static bool happens(struct sh_rng *r, uint32_t percent)
{
	return sh_rng_below(r, 100) < percent;
}

/* ---- a job ---- */

static void draw_flags(struct job *j, struct sh_rng *r)
{
	const struct load *l = g.a.load;
	bool key = happens(r, l->keyed), pin = happens(r, l->pinned), node = happens(r, l->on_node);

	j->key = sh_rng_below(r, LOAD_KEYS);
	j->worker = sh_rng_below(r, l->pool[j->pool].workers);
	if (key)
		j->flags = SHUNT_JOB_KEYED;
	else if (pin)
		j->flags = SHUNT_JOB_ON_WORKER;
	else if (node)
		j->flags = SHUNT_JOB_ON_NODE;
}

static void draw_job(struct job *j, struct sh_rng *r)
{
	const struct load *l = g.a.load;

	j->pool = sh_rng_below(r, l->pools);
	j->level = happens(r, l->levels_mixed) ? sh_rng_below(r, l->levels) : l->usual_level;
	draw_flags(j, r);
	j->work_ns = exponential(r, l->work_ns);
	j->fate = (enum job_fate)sh_rng_below(r, FATE_KINDS);
	if (l->end == END_CANCEL) /* nobody waits for what may never run */
		j->fate = j->fate == FATE_CANCEL ? FATE_CANCEL : FATE_DETACH;
	j->async = happens(r, l->async) ? (enum job_async)sim_between(r, ASYNC_AT_ONCE, ASYNC_KINDS - 1) : ASYNC_NOT;
	j->tracked = happens(r, l->handles);
	j->callback = happens(r, l->callbacks);
	j->grouped = happens(r, l->grouped);
	j->fails = happens(r, l->failing);
	j->children = happens(r, l->spawners) ? (uint32_t)sim_between(r, 1, 4) : 0;
	j->waits = happens(r, l->waiters);
	j->blocks = happens(r, 3);
	j->full = (enum shunt_on_full)sh_rng_below(r, SHUNT_ON_FULL_INLINE + 1u);
	if (sim_fault(SIM_SLOW))
		j->work_ns = j->work_ns * 1000 > SLOW_MAX_NS ? SLOW_MAX_NS : j->work_ns * 1000;
}

static void on_done(void *arg, struct shunt_job_id id, const struct shunt_result *r)
{
	model_callback(arg, id, r);
}

static void fill_spec(struct shunt_job_spec *s, struct job *j, uint32_t group)
{
	memset(s, 0, sizeof(*s));
	s->type = j->async == ASYNC_NOT ? g.a.plain[j->pool] : g.a.async[j->pool];
	s->level = SHUNT_LEVEL(j->level);
	s->on_full = (uint8_t)j->full;
	s->flags = (uint16_t)j->flags;
	s->arg = j;
	s->key = j->key;
	if (j->full == SHUNT_ON_FULL_DEFAULT)
		j->full = g.a.load->pool[j->pool].full;
	if ((j->flags & (SHUNT_JOB_ON_WORKER | SHUNT_JOB_ON_NODE)) || j->full == SHUNT_ON_FULL_BLOCK) {
		j->opts = (struct shunt_job_opts){
			.size = sizeof(j->opts),
			.full_timeout_ns = j->full == SHUNT_ON_FULL_BLOCK ? 2000000 : 0,
			.worker = j->flags & SHUNT_JOB_ON_WORKER ? j->worker : 0,
			.node = j->flags & SHUNT_JOB_ON_NODE ? j->worker % g.a.nodes : 0,
		};
		s->opts = &j->opts;
	}
	if (j->grouped && group != 0) {
		j->group = group;
		s->group = model_group_at(group)->id;
	}
	if (j->callback) {
		s->done = on_done;
		s->done_arg = j;
	}
}

/* ---- what becomes of a handle ---- */

static void wait_for(struct job *j, uint64_t timeout_ns, int may_also)
{
	struct shunt_result r = { .status = SHUNT_JOB_QUEUED };
	int rc = shunt_wait(g.a.rt, j->handle, timeout_ns, &r);

	if (rc == 0) {
		model_result(j, &r);
		if (j->callback && j->callbacks != 1)
			sim_fail("job %u: waited for, and its callback did not come", j->id);
		return;
	}
	if (rc != SHUNT_ETIMEDOUT && rc != may_also)
		sim_fail("job %u: wait: %s", j->id, shunt_strerror(rc));
	if (timeout_ns == SHUNT_FOREVER && rc == SHUNT_ETIMEDOUT)
		sim_fail("job %u: a wait for ever timed out", j->id);
	if (may_also == 0) {
		wait_for(j, SHUNT_FOREVER, 0);
		return;
	}
	rc = shunt_detach(g.a.rt, j->handle);
	if (rc != 0)
		sim_fail("job %u: detach: %s", j->id, shunt_strerror(rc));
}

static void cancel(struct job *j)
{
	int rc;

	model_cancel(j);
	rc = shunt_cancel(g.a.rt, j->handle);
	model_cancelled(j, rc);
	if (rc != 0 && rc != SHUNT_EBUSY && rc != SHUNT_EAGAIN)
		sim_fail("job %u: cancel: %s", j->id, shunt_strerror(rc));
}

static void resolve(struct job *j)
{
	struct shunt_result r;
	uint32_t i;

	if (j->fate == FATE_CANCEL)
		cancel(j);
	for (i = 0; j->fate == FATE_POLL && i < 4; i++)
		if (shunt_poll(g.a.rt, j->handle, &r) == 0)
			model_result(j, &r);
		else
			sim_sleep(1000);
	if (j->fate == FATE_DETACH || g.a.load->end == END_CANCEL) {
		if (shunt_detach(g.a.rt, j->handle) != 0)
			sim_fail("job %u: detach failed", j->id);
		if (shunt_detach(g.a.rt, j->handle) != SHUNT_ESTALE)
			sim_fail("job %u: a handle was given back twice", j->id);
		return;
	}
	wait_for(j, j->fate == FATE_WAIT_SHORT ? j->work_ns : SHUNT_FOREVER, 0);
}

/* ---- submitters ---- */

struct submitter {
	struct sh_rng rng;
	struct job *held[HELD_MAX];
	uint32_t held_n;
	uint32_t group;
};

static void hold(struct submitter *s, struct job *j)
{
	if (s->held_n == HELD_MAX) {
		resolve(s->held[0]);
		memmove(s->held, s->held + 1, (HELD_MAX - 1) * sizeof(s->held[0]));
		s->held_n--;
	}
	s->held[s->held_n++] = j;
}

/* Submits n jobs, one at a time or as a batch. Handles come back in the jobs. */
static void submit_all(struct job **jobs, uint32_t n, uint32_t group)
{
	struct shunt_job_spec specs[BATCH_MAX];
	struct shunt_job_id ids[BATCH_MAX];
	bool handles = jobs[0]->tracked; /* one decides for all of a batch */
	size_t taken;
	uint32_t i;
	int rc = 0;

	for (i = 0; i < n; i++) {
		jobs[i]->tracked = handles;
		fill_spec(&specs[i], jobs[i], group);
		model_submit(jobs[i]);
	}
	if (n == 1) {
		rc = shunt_submit(g.a.rt, &specs[0], jobs[0]->tracked ? &jobs[0]->handle : NULL);
		model_submitted(jobs[0], rc);
		return;
	}
	taken = shunt_submit_batch(g.a.rt, specs, n, handles ? ids : NULL, &rc);
	if (taken > n || (taken < n) != (rc != 0))
		sim_fail("batch of %u: %zu taken, %s", n, taken, shunt_strerror(rc));
	for (i = 0; i < n; i++) {
		if (handles)
			jobs[i]->handle.v = i < taken ? ids[i].v : 0;
		if (i <= taken)
			model_submitted(jobs[i], i < taken ? 0 : rc);
		else
			model_untried(jobs[i]);
	}
}

static void group_renew(struct submitter *s, bool last)
{
	struct shunt_group_id id = { 0 };
	uint64_t since = model_stamp();
	int rc;

	if (s->group != 0) {
		id = model_group_at(s->group)->id;
		if (g.a.load->end == END_CANCEL) {
			(void)shunt_group_destroy(g.a.rt, id);
		} else {
			rc = shunt_group_wait(g.a.rt, id, SHUNT_FOREVER);
			if (rc != 0 || shunt_group_pending(g.a.rt, id) != 0)
				sim_fail("group %u: wait: %s", s->group, shunt_strerror(rc));
			model_group_waited(s->group, since);
			if (shunt_group_destroy(g.a.rt, id) != 0)
				sim_fail("group %u cannot be destroyed", s->group);
		}
	}
	s->group = 0;
	if (!last && shunt_group_create(g.a.rt, &id) == 0)
		s->group = model_group_new(id);
}

static void between_submits(struct submitter *s)
{
	uint64_t gap = g.a.load->gap_ns == 0 ? 0 : exponential(&s->rng, g.a.load->gap_ns);

	if (g.a.load->grouped != 0 && sh_rng_below(&s->rng, 40) == 0)
		group_renew(s, false);
	if (s->group != 0 && sh_rng_below(&s->rng, 60) == 0) {
		model_group_cancel(s->group);
		if (shunt_group_cancel(g.a.rt, model_group_at(s->group)->id) != 0)
			sim_fail("group %u cannot be cancelled", s->group);
	}
	if (gap > 20000)
		sim_sleep(gap);
	else
		sim_work(gap + 50);
}

void *actors_submit(void *number)
{
	const struct load *l = g.a.load;
	uint32_t me = *(const uint32_t *)number;
	struct submitter s = { sim_stream(l->seed, 30, me), { NULL }, 0, 0 };
	uint32_t i = me;

	if (l->grouped != 0)
		group_renew(&s, false);
	while (i < l->jobs) {
		struct job *jobs[BATCH_MAX];
		uint32_t want = l->burst > 1 ? (uint32_t)sim_between(&s.rng, 1, l->burst) : 1;
		uint32_t n = 0, k;

		for (; n < want && i < l->jobs; i += l->submitters) {
			struct sh_rng r = sim_stream(l->seed, 20, i);

			jobs[n] = model_new_job();
			if (!jobs[n])
				break;
			draw_job(jobs[n++], &r);
		}
		if (n == 0)
			break;
		submit_all(jobs, n, s.group);
		for (k = 0; k < n; k++)
			if (jobs[k]->tracked && jobs[k]->state == JOB_ACCEPTED)
				hold(&s, jobs[k]);
		between_submits(&s);
	}
	for (i = 0; i < s.held_n; i++)
		resolve(s.held[i]);
	group_renew(&s, true);
	return NULL;
}

/* ---- handlers ---- */

static void spawn(struct job *parent, uint32_t nth)
{
	struct sh_rng r = sim_stream(g.a.load->seed, 21, (uint64_t)parent->id * 8 + nth);
	struct job *j = model_new_job();
	uint64_t timeout;

	if (!j)
		return;
	draw_job(j, &r);
	j->spawned = true;
	j->children = 0;
	j->grouped = false;
	j->tracked = parent->waits;
	submit_all(&j, 1, 0);
	if (!j->tracked || j->state != JOB_ACCEPTED)
		return;
	timeout = j->flags != 0 || j->async != ASYNC_NOT || nth % 2 == 0 ? 300000 : SHUNT_FOREVER;
	wait_for(j, timeout, SHUNT_EDEADLK);
}

static void complete(struct job *j, struct shunt_job_id id)
{
	int rc;

	model_complete(j);
	rc = shunt_complete(g.a.rt, id, j->fails ? MODEL_CODE : 0);
	model_completed(j, rc);
	if (shunt_complete(g.a.rt, id, 0) != SHUNT_ESTALE)
		sim_fail("job %u was completed twice", j->id);
}

static void complete_later(struct job *j, struct shunt_job_ctx *ctx)
{
	j->handle = shunt_job_self(ctx);
	j->due_ns = sim_now_ns() + j->work_ns;
	g.to_complete[g.completions++] = j->id;
	(void)sh_a32_add_sc(&g.bell, 1);
	(void)sh_futex_wake(&g.bell, 1);
}

int actors_handler(struct shunt_job_ctx *ctx, void *arg)
{
	struct job *j = arg;
	uint32_t i;

	model_start(j, ctx);
	for (i = 0; i < j->children; i++)
		spawn(j, i);
	if (j->async == ASYNC_BEFORE_RETURN)
		complete(j, shunt_job_self(ctx));
	if (j->blocks) {
		(void)shunt_block_begin(ctx);
		sim_sleep(j->work_ns);
		shunt_block_end(ctx);
	} else if (j->async != ASYNC_LATER) {
		sim_work(j->work_ns);
	}
	if (j->async == ASYNC_LATER)
		complete_later(j, ctx);
	model_end(j);
	if (j->async == ASYNC_LATER || j->async == ASYNC_BEFORE_RETURN)
		return SHUNT_PENDING;
	return j->fails ? MODEL_CODE : SHUNT_DONE;
}

/* ---- completions ---- */

/* The one that is due first; NULL = there is none. */
static struct job *first_due(uint32_t *at)
{
	struct job *first = NULL;
	uint32_t i;

	for (i = 0; i < g.completions; i++) {
		struct job *j = model_job(g.to_complete[i]);

		if (first && j->due_ns >= first->due_ns)
			continue;
		first = j;
		*at = i;
	}
	return first;
}

void *actors_complete(void *unused)
{
	(void)unused;
	while (!g.at_once) {
		uint32_t seen = sh_a32_load_sc(&g.bell);
		uint32_t at = 0;
		struct job *j = first_due(&at);

		if (!j && g.ending)
			break;
		if (!j || j->due_ns > sim_now_ns()) {
			(void)sh_futex_wait(&g.bell, seen, j ? j->due_ns - sim_now_ns() : SH_FOREVER);
			continue;
		}
		g.to_complete[at] = g.to_complete[--g.completions];
		complete(j, j->handle);
	}
	return NULL;
}

void actors_complete_stop(bool at_once)
{
	g.ending = true;
	g.at_once = at_once;
	(void)sh_a32_add_sc(&g.bell, 1);
	(void)sh_futex_wake(&g.bell, 1);
}
