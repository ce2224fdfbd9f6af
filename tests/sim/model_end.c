/* sim/model_end.c - see model.h: what is judged while time passes, and when all is over. SPDX-License-Identifier: MIT */
#include "sched/world.h"
#include "sim/model_priv.h"

/* ---- while the clock moves ---- */

/* Sleeps, with its wake not even begun, though it could take a job. */
static bool sleeps_able(const struct sh_pool *p, uint32_t slot, uint32_t thread)
{
	const struct sh_worker *w = p->worker[slot];
	const struct virt_thread *t = virt_get(thread);
	uint32_t state = sh_a32_load_rlx(&w->state);

	return (state == SH_W_PARKED || state == SH_W_WAKING) && t->state == VIRT_FUTEX && t->object == (const void *)&w->state && sh_a32_load_rlx(&w->full) == 0 && sh_a32_load_rlx(&p->async_in_flight) < p->opts.async_pool_max;
}

static void hand_passed(const struct sh_worker *w, uint32_t able, uint64_t ns)
{
	for (uint32_t i = w->hand_at; i < w->hand_n; i++) {
		struct job *j = (struct job *)(uintptr_t)w->hand[i].arg;

		if (j->state == JOB_ACCEPTED && (able >> j->level & 1u)) /* else its waiting is not counted yet */
			j->hand_ns += ns;
	}
}

static void pool_passed(struct model_pool *m, uint64_t ns)
{
	uint32_t able = 0;
	uint32_t i;

	if (sh_a32_load_rlx(&m->p->stop) != 0)
		return;
	for (i = 0; i < m->slots; i++)
		if (sim_held(m->thread[i]))
			return; /* a worker on its way, or with jobs in its hands */
	if (model.helper != 0 && sim_held(model.helper))
		return;
	for (i = 0; i < m->slots; i++) {
		if (!sleeps_able(m->p, i, m->thread[i]))
			continue;
		able |= m->p->worker[i]->level_mask;
		m->idle_worker_ns[i] += ns;
	}
	for (i = 0; i < LOAD_LEVELS; i++)
		if (able >> i & 1u)
			m->level[i].idle_ns += ns;
	for (i = 0; i < m->slots; i++)
		hand_passed(m->p->worker[i], able, ns);
}

static void judge_waiting(void)
{
	uint32_t i;

	for (i = 1; i < model.jobs; i++)
		if (!model.job[i].started)
			model_idle_judge(&model.job[i]);
}

void model_passed(uint64_t from_ns, uint64_t to_ns)
{
	uint32_t i;

	if (model.over)
		return;
	for (i = 0; i < model.load->pools; i++)
		if (model.pool[i].p && model.pool[i].plain > 0)
			pool_passed(&model.pool[i], to_ns - from_ns);
	if (to_ns / 1000000 != from_ns / 1000000)
		judge_waiting();
	if (to_ns - model.event_ns > MODEL_STUCK_NS && model.jobs > 1)
		sim_fail("no progress: nothing happened to any job for a second");
}

/* ---- at the end ---- */

struct sums {
	uint64_t accepted, done, failed, cancelled, unknown, inlined;
};

static void job_over(const struct job *j, struct sums *s)
{
	if (j->state != JOB_ACCEPTED) {
		if (j->started || j->callbacks != 0)
			sim_fail("job %u was not accepted and ran", j->id);
		return;
	}
	s->accepted++;
	s->inlined += j->inlined;
	if (j->callback && j->callbacks != 1)
		sim_fail("job %u ended without its callback", j->id);
	if (j->started) {
		if (!j->ended && !j->completed) /* its handler may still be returning */
			sim_fail("job %u started and never ended", j->id);
		if (j->async != ASYNC_NOT && j->async != ASYNC_AT_ONCE && !j->completed)
			sim_fail("job %u is pending for ever", j->id);
		*(j->fails ? &s->failed : &s->done) += 1;
	} else if (j->cancelled || j->unsure) {
		s->cancelled++;
	} else {
		sim_fail("job %u of pool %u, level %u was accepted and never ran: lost", j->id, j->pool, j->level);
	}
}

static struct sums sums_of(uint32_t pool)
{
	struct sums s = { 0 };
	uint32_t i;

	for (i = 1; i < model.jobs; i++)
		if (model.job[i].pool == pool)
			job_over(&model.job[i], &s);
	return s;
}

void model_drained(void)
{
	uint32_t i;

	for (i = 0; i < model.load->pools; i++)
		(void)sums_of(i);
	model.over = true;
}

static void same(uint32_t pool, const char *what, uint64_t runtime, uint64_t ours)
{
	if (runtime != ours)
		sim_fail("pool %u: the runtime counts %llu %s, there were %llu", pool, (unsigned long long)runtime, what,
			 (unsigned long long)ours);
}

void model_snapshot(const struct shunt_snapshot *s, bool exact)
{
	uint32_t i;
	size_t k;

	for (i = 0; i < model.load->pools; i++) {
		struct sums ours = sums_of(i);
		struct sums theirs = { 0 };

		for (k = 0; k < shunt_snapshot_series_count(s); k++) {
			if (shunt_snapshot_series_at(s, k)->pool[1] != (char)('0' + i))
				continue;
			theirs.done += shunt_snapshot_series_at(s, k)->done;
			theirs.failed += shunt_snapshot_series_at(s, k)->failed;
			theirs.cancelled += shunt_snapshot_series_at(s, k)->cancelled;
		}
		same(i, "submitted", shunt_snapshot_pool_at(s, i)->submitted, ours.accepted);
		same(i, "finished", shunt_snapshot_pool_at(s, i)->finished, ours.accepted);
		same(i, "in the backlog", shunt_snapshot_pool_at(s, i)->backlog, 0);
		same(i, "run inline", shunt_snapshot_pool_at(s, i)->ran_inline, ours.inlined);
		same(i, "asynchronous ones in flight", shunt_snapshot_pool_at(s, i)->async_in_flight, 0);
		if (!exact) /* a counter's memory was refused: its jobs are in the totals alone */
			continue;
		same(i, "done", theirs.done, ours.done);
		same(i, "failed", theirs.failed, ours.failed);
		same(i, "cancelled", theirs.cancelled, ours.cancelled);
	}
}

void model_destroyed(uint64_t cancelled)
{
	uint64_t accepted = 0, ended = 0, known = 0, unsure = 0;
	uint32_t i;

	for (i = 1; i < model.jobs; i++) {
		const struct job *j = &model.job[i];
		bool pending = j->async != ASYNC_NOT && j->async != ASYNC_AT_ONCE && !j->completed;

		if (j->state != JOB_ACCEPTED)
			continue;
		accepted++;
		if (j->callback && j->callbacks != 1)
			sim_fail("job %u ended without its callback", j->id);
		if (j->started && !j->ended)
			sim_fail("job %u started and never ended", j->id);
		ended += j->started && !pending;
		known += j->cancelled;
		unsure += !j->started && j->unsure && !j->cancelled;
	}
	if ((uint64_t)cancelled + ended + known > accepted || (uint64_t)cancelled + ended + known + unsure < accepted)
		sim_fail("destroy cancelled %lld; of %llu accepted %llu ended, %llu were cancelled, %llu maybe", (long long)cancelled,
			 (unsigned long long)accepted, (unsigned long long)ended, (unsigned long long)known, (unsigned long long)unsure);
}

/* ---- when it failed ---- */

static void say_pool(FILE *out, uint32_t number, const struct model_pool *m)
{
	uint32_t i;

	if (!m->p)
		return;
	(void)fprintf(out, "  pool %u: hot %x backlog %x idle %llx spinning %llx, plain jobs waiting %u\n", number,
		      sh_a32_load_rlx(&m->p->stealable), sh_a32_load_rlx(&m->p->backlog_bits),
		      (unsigned long long)sh_a64_load_rlx(&m->p->idle[0]), (unsigned long long)sh_a64_load_rlx(&m->p->spinning[0]), m->plain);
	for (i = 0; i < m->slots; i++)
		(void)fprintf(out, "    worker %u: thread %u, state %u, blocked %u, full %u\n", i, m->thread[i],
			      sh_a32_load_rlx(&m->p->worker[i]->state), sh_a32_load_rlx(&m->p->worker[i]->blocked),
			      sh_a32_load_rlx(&m->p->worker[i]->full));
}

void model_report(FILE *out)
{
	uint32_t said = 0;
	uint32_t i;

	if (!model.load || model.over)
		return;
	for (i = 0; i < model.load->pools; i++)
		say_pool(out, i, &model.pool[i]);
	for (i = 1; i < model.jobs && said < 12; i++) {
		const struct job *j = &model.job[i];

		if (j->state == JOB_NEW || j->state == JOB_REFUSED || j->cancelled || j->unsure || (j->started && (j->ended || j->completed)))
			continue;
		said++;
		(void)fprintf(out, "  job %u: pool %u level %u flags %u %s\n", j->id, j->pool, j->level, j->flags,
			      j->state == JOB_SUBMITTING ? "is being submitted" : j->started ? "runs"
											     : "waits");
	}
}
