/* sim/model.c - see model.h: the judgements at each event. SPDX-License-Identifier: MIT */
#include "sim/model.h"

#include <string.h>

#include "policy/levels.h"
#include "sched/pool.h"
#include "sched/world.h"
#include "sim/model_priv.h"

struct model model;

void model_begin(const struct load *load)
{
	memset(&model, 0, sizeof(model));
	model.load = load;
	model.stamp = 1;
	model.jobs = 1; /* number 0 is nobody */
	model.groups = 1;
}

void model_pool(uint32_t pool, struct shunt_runtime *rt, struct shunt_pool_id id)
{
	model.pool[pool].p = sh_runtime_pool(rt, id.v);
}

void model_worker(void *pool_number, uint32_t slot)
{
	struct model_pool *p = &model.pool[*(const uint32_t *)pool_number];

	assert(slot < MODEL_SLOTS);
	p->thread[slot] = virt_self();
	if (slot >= p->slots)
		p->slots = slot + 1;
}

void model_helper(uint32_t thread)
{
	model.helper = thread;
}

struct job *model_job(uint32_t id)
{
	return &model.job[id];
}

struct job *model_new_job(void)
{
	struct job *j;

	if (model.jobs >= LOAD_JOBS_MAX)
		return NULL;
	j = &model.job[model.jobs];
	j->id = model.jobs++;
	return j;
}

uint32_t model_group_new(struct shunt_group_id id)
{
	if (model.groups >= MODEL_GROUPS)
		return 0;
	model.group[model.groups].id = id;
	return model.groups++;
}

struct model_group *model_group_at(uint32_t number)
{
	return &model.group[number];
}

uint64_t model_stamp(void)
{
	model.event_ns = sim_now_ns();
	return ++model.stamp;
}

uint64_t model_jobs(void)
{
	return model.jobs - 1;
}

/* ---- submit ---- */

static struct model_level *level_of(const struct job *j)
{
	return &model.pool[j->pool].level[j->level];
}

static bool keyed(const struct job *j)
{
	return (j->flags & SHUNT_JOB_KEYED) != 0;
}

void model_submit(struct job *j)
{
	assert(j->state == JOB_NEW);
	j->state = JOB_SUBMITTING;
	j->call = model_stamp();
	level_of(j)->waiting++;
	if (j->group != 0 && model.group[j->group].cancelled) {
		j->unsure = true;
		level_of(j)->ghosts++;
	}
	if (keyed(j)) {
		struct model_key *k = &model.pool[j->pool].key[j->key];

		k->job[k->jobs++] = j->id;
		model.pool[j->pool].keyed_waiting++;
	}
}

static void not_waiting(struct job *j)
{
	level_of(j)->waiting--;
	if (keyed(j))
		model.pool[j->pool].keyed_waiting--;
}

/* Time in which it would be wrong to wait, up to now: of a level, or of the worker that a job is for. */
static uint64_t idle_so_far(const struct job *j)
{
	const struct model_pool *p = &model.pool[j->pool];

	return j->flags & SHUNT_JOB_ON_WORKER ? p->idle_worker_ns[j->worker] : p->level[j->level].idle_ns;
}

/* Picks within which it must start if its worker is alone: every job that waits now could be before it in its queue. */
static uint64_t bound_of(const struct job *j)
{
	const struct model_pool *p = &model.pool[j->pool];
	uint64_t k = p->level[j->level].waiting + p->level[j->level].ghosts + p->keyed_waiting + model.load->submitters + 4;

	if (j->spawned) /* in the own deque the oldest has its turn more seldom */
		k *= SH_OLDEST_PERIOD / SH_SOURCE_PERIOD * (1 + k / SH_OLDEST_SHARE);
	return sh_levels_wait_picks(p->p->slot_table, p->p->slot_n, j->level, k);
}

static bool refusal_known(const struct job *j, int rc)
{
	switch (rc) {
	case SHUNT_EFULL:
		return true;
	case SHUNT_ETIMEDOUT:
	case SHUNT_EDEADLK:
		return j->full == SHUNT_ON_FULL_BLOCK;
	case SHUNT_ESTOPPED:
		return model.load->end == END_EARLY || (j->spawned && model.load->end == END_CANCEL);
	case SHUNT_ENOENT:
		return (j->flags & SHUNT_JOB_ON_NODE) != 0;
	case SHUNT_EINVAL: /* a reserved worker may not take the level */
		return (j->flags & SHUNT_JOB_ON_WORKER) != 0 && model.load->pool[j->pool].mode == SHUNT_LEVELS_RESERVED;
	default:
		return false;
	}
}

void model_submitted(struct job *j, int rc)
{
	sim_trace("job %u level %u: submit %s", j->id, j->level, shunt_strerror(rc));
	j->returned = model_stamp();
	if (rc != 0) {
		j->state = JOB_REFUSED;
		if (j->started || j->callbacks != 0)
			sim_fail("job %u was refused (%s) and ran", j->id, shunt_strerror(rc));
		if (!refusal_known(j, rc))
			sim_fail("job %u was refused for no reason: %s", j->id, shunt_strerror(rc));
		not_waiting(j);
		return;
	}
	j->state = JOB_ACCEPTED;
	if (j->started || j->unsure)
		return;
	if (!keyed(j)) {
		struct model_level *l = level_of(j);

		l->order[l->last++] = j->id;
		l->plain++;
		model.pool[j->pool].plain++;
	}
	j->idle_ns = idle_so_far(j);
	j->starts = model.pool[j->pool].starts;
	j->bound = bound_of(j);
}

void model_untried(struct job *j)
{
	j->state = JOB_REFUSED;
	not_waiting(j);
	if (j->started || j->callbacks != 0)
		sim_fail("job %u was not even tried and ran", j->id);
}

/* It started, or nobody knows any more whether it will: no judgement about its waiting. */
static void out_of_order(struct job *j)
{
	if (j->state != JOB_ACCEPTED || keyed(j) || j->started || j->unsure)
		return;
	level_of(j)->plain--;
	model.pool[j->pool].plain--;
}

/* ---- start ---- */

/* The oldest plain job of a level that waits since before `stamp`; NULL = none. */
static const struct job *waits_since(struct model_level *l, uint64_t stamp)
{
	while (l->first < l->last) {
		const struct job *j = &model.job[l->order[l->first]];

		if (!j->started && !j->unsure)
			return j->returned < stamp ? j : NULL;
		l->first++;
	}
	return NULL;
}

static void judge_level(const struct job *j, struct model_pool *p)
{
	const struct sh_pool *sp = p->p;
	uint32_t tick = sp->worker[0]->tick;
	uint32_t slot = sp->slot_table[tick == 0 ? sp->slot_n - 1 : tick - 1];
	uint64_t since;
	const struct job *other;
	uint32_t l;

	if (sp->worker[0]->batch.n <= 1)
		p->pick_end = p->last_end;
	since = p->pick_end;
	if (slot != SH_SLOT_TOP) {
		other = waits_since(&p->level[slot], since);
		if (slot != j->level && other)
			sim_fail("level order: slot %u is level %u's, whose job %u waits; job %u of level %u was taken", tick, slot,
				 other->id, j->id, j->level);
		if (slot == j->level)
			return;
	}
	for (l = 0; l < j->level; l++) {
		other = waits_since(&p->level[l], since);
		if (other)
			sim_fail("level order: job %u of level %u was taken while job %u of level %u waits", j->id, j->level, other->id, l);
	}
}

static void judge_wait(const struct job *j, const struct model_pool *p)
{
	if (j->state != JOB_ACCEPTED || keyed(j) || j->unsure)
		return;
	if (p->starts - j->starts > j->bound)
		sim_fail("wait bound: job %u of level %u started after %llu picks, at most %llu are allowed", j->id, j->level,
			 (unsigned long long)(p->starts - j->starts), (unsigned long long)j->bound);
}

static void judge_key(struct job *j)
{
	struct model_key *k = &model.pool[j->pool].key[j->key];
	uint32_t i;

	if (k->running != 0)
		sim_fail("key order: job %u runs while job %u of its key does", j->id, k->running);
	k->running = j->id;
	for (i = k->first; i < k->jobs; i++) {
		const struct job *o = &model.job[k->job[i]];

		if (o == j)
			continue;
		if (o->started || o->unsure || o->state == JOB_REFUSED) {
			if (i == k->first)
				k->first++;
			continue;
		}
		if (o->state == JOB_ACCEPTED && o->returned < j->call)
			sim_fail("key order: job %u of key %llu started before job %u, which came first", j->id, (unsigned long long)j->key,
				 o->id);
	}
}

static void judge_place(const struct job *j, const struct model_pool *p, uint32_t slot)
{
	if ((j->flags & SHUNT_JOB_ON_WORKER) && slot != j->worker)
		sim_fail("job %u for worker %u ran at %u", j->id, j->worker, slot);
	if (!(p->p->worker[slot]->level_mask >> j->level & 1u))
		sim_fail("worker %u took job %u of level %u, which it may not", slot, j->id, j->level);
}

void model_idle_judge(const struct job *j)
{
	uint64_t idle;

	if (j->state != JOB_ACCEPTED || keyed(j) || j->unsure)
		return;
	idle = idle_so_far(j) - j->idle_ns - j->hand_ns;
	if (idle > model.idle_most_ns)
		model.idle_most_ns = idle;
	if (idle > MODEL_IDLE_NS)
		sim_fail("idle beside work: job %u of level %u waited %llu ns while a worker that may take it slept", j->id, j->level,
			 (unsigned long long)idle);
}

void model_start(struct job *j, struct shunt_job_ctx *ctx)
{
	struct model_pool *p = &model.pool[j->pool];
	uint32_t slot = shunt_job_worker(ctx);
	uint32_t *depth = &model.depth[virt_self()];

	sim_trace("job %u level %u: starts at worker %d", j->id, j->level, (int)slot);
	if (j->started)
		sim_fail("job %u ran twice", j->id);
	if (j->cancelled || j->state == JOB_NEW || j->state == JOB_REFUSED)
		sim_fail("job %u ran after it was %s", j->id, j->cancelled ? "cancelled" : "refused");
	if (shunt_job_level(ctx) != j->level)
		sim_fail("job %u of level %u runs at level %u", j->id, j->level, shunt_job_level(ctx));
	j->start = model_stamp();
	if (slot == SHUNT_ANY)
		j->inlined = true;
	else
		judge_place(j, p, slot);
	if (!j->inlined)
		model_idle_judge(j);
	if (keyed(j))
		judge_key(j);
	if (p->p && model.load->pool[j->pool].exact && !j->inlined && *depth == 0) {
		judge_wait(j, p);
		if (!keyed(j) && !j->unsure)
			judge_level(j, p);
	}
	out_of_order(j);
	not_waiting(j);
	j->started = true;
	if (*depth == 0 && !j->inlined)
		p->starts++;
	++*depth;
}

static void key_free(const struct job *j)
{
	struct model_key *k = &model.pool[j->pool].key[j->key];

	if (keyed(j) && k->running == j->id)
		k->running = 0;
}

void model_end(struct job *j)
{
	uint32_t *depth = &model.depth[virt_self()];
	uint64_t now = model_stamp();

	sim_trace("job %u: handler returns", j->id);
	if (j->ended)
		sim_fail("job %u ended twice", j->id);
	j->ended = true;
	if (j->async == ASYNC_NOT || j->async == ASYNC_AT_ONCE)
		key_free(j);
	if (--*depth == 0 && !j->inlined)
		model.pool[j->pool].last_end = now;
}

/* ---- ends ---- */

void model_result(const struct job *j, const struct shunt_result *r)
{
	if (r->status == SHUNT_JOB_CANCELLED) {
		if (r->code != SHUNT_ECANCELLED)
			sim_fail("job %u: cancelled with code %d", j->id, r->code);
		if (j->started && !(j->async != ASYNC_NOT && model.load->end == END_CANCEL))
			sim_fail("job %u ran and was cancelled", j->id);
		if (!j->cancelled && !j->unsure && model.load->end != END_CANCEL)
			sim_fail("job %u was cancelled by nobody", j->id);
		return;
	}
	if (r->status != (j->fails ? SHUNT_JOB_FAILED : SHUNT_JOB_DONE) || r->code != (j->fails ? MODEL_CODE : 0))
		sim_fail("job %u: status %d, code %d", j->id, (int)r->status, r->code);
	if (!j->started || (!j->ended && !j->completed))
		sim_fail("job %u is said to have ended and did not", j->id);
}

void model_callback(struct job *j, struct shunt_job_id id, const struct shunt_result *r)
{
	(void)model_stamp();
	sim_trace("job %u: callback, status %d", j->id, (int)r->status);
	if (j->tracked && j->state == JOB_ACCEPTED && id.v != j->handle.v)
		sim_fail("job %u: the callback names another job", j->id);
	if (++j->callbacks > 1)
		sim_fail("job %u: a second callback", j->id);
	model_result(j, r);
}

void model_cancel(struct job *j)
{
	out_of_order(j);
	j->unsure = true;
}

void model_cancelled(struct job *j, int rc)
{
	(void)model_stamp();
	sim_trace("job %u: cancel: %s", j->id, shunt_strerror(rc));
	if (rc != 0)
		return;
	if (j->started)
		sim_fail("job %u was cancelled after it started", j->id);
	if (j->cancelled)
		sim_fail("job %u was cancelled twice", j->id);
	j->cancelled = true;
	level_of(j)->ghosts++;
	not_waiting(j);
}

void model_group_cancel(uint32_t group)
{
	uint32_t i;

	model.group[group].cancelled = true;
	for (i = 1; i < model.jobs; i++) {
		struct job *j = &model.job[i];

		if (j->group != group || j->started || j->cancelled)
			continue;
		if (!j->unsure)
			level_of(j)->ghosts++;
		model_cancel(j);
	}
}

void model_group_waited(uint32_t group, uint64_t since)
{
	uint32_t i;

	for (i = 1; i < model.jobs; i++) {
		const struct job *j = &model.job[i];

		if (j->group != group || j->state != JOB_ACCEPTED || j->returned > since || j->unsure)
			continue;
		if (!j->started || (!j->ended && !j->completed))
			sim_fail("group %u: waited for, but job %u has not ended", group, j->id);
	}
}

void model_complete(struct job *j)
{
	j->completed = true;
	key_free(j);
}

void model_completed(struct job *j, int rc)
{
	(void)model_stamp();
	sim_trace("job %u: complete: %s", j->id, shunt_strerror(rc));
	if (rc != 0)
		sim_fail("job %u: nobody else completes it: %s", j->id, shunt_strerror(rc));
}
