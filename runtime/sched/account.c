/*
 * sched/account.c - see account.h: statistics of jobs, what a worker learns from them, and what it
 * publishes of its work.
 *
 * SPDX-License-Identifier: MIT
 */
#include "sched/account.h"

#include "base/clock.h"
#include "policy/ewma.h"
#include "sched/capacity.h"
#include "sched/sleep.h"

#define OUTLIER 4u                     /* a sample counts as this many times the learned time, at most */
#define ALIKE_NS 65536u                /* from this delay on a histogram bucket is at least 512 ns wide */
#define RUN_MAX_NS (UINT64_C(1) << 48) /* 78 hours; no product of it overflows */
#define LEARN_EVERY 32u                /* a worker shares what it learned once in this many samples */

/* Publishes speed and failures to the choice of a worker. */
static void learn_show(struct sh_worker *w)
{
	if (!w->spare) /* mo rlx: own values, an estimate. */
		sh_select_pool_learn(&w->pool->select, w->slot, sh_a32_load_rlx(&w->speed_permille),
				     sh_a32_load_rlx(&w->fail_permille));
}

/*
 * Workers are compared with the time of the fastest one. Others do not move it: the worker that
 * runs most jobs would be compared with itself, however slow. Returns the value before.
 */
static uint64_t learn_typical(struct sh_type *t, uint32_t by, uint64_t mine)
{
	/* mo rlx: an estimate; a lost update is learned again. */
	uint32_t of = sh_a32_load_rlx(&t->typical_of);
	uint64_t typical = of == 0 ? mine : sh_a64_load_rlx(&t->typical_ns); /* mo rlx: as above. */

	if (of == by || of == 0 || mine < typical) {
		/* mo rlx: as above. */
		sh_a64_store_rlx(&t->typical_ns, typical - typical / 4 + mine / 4);
		if (of != by)
			sh_a32_store_rlx(&t->typical_of, by); /* mo rlx: as above. */
	}
	return typical;
}

bool sh_account_in_time(const struct sh_worker *w, uint32_t type, uint64_t limit_ns)
{
	const struct sh_type *t = &w->types[type];
	/* mo rlx: estimates. The fastest worker's is near at once, the cost after some jobs. */
	uint64_t cost = sh_a64_load_rlx(&t->est_ns), typical = sh_a64_load_rlx(&t->typical_ns);
	const bool shared = sh_a32_load_rlx(&t->typical_of) != 0; /* mo rlx: as above. */

	if (w->learned[type].mean != 0) {
		if (w->learned[type].mean > limit_ns)
			return false;
	} else if (!shared && cost == SH_EXPECTED_NS) {
		cost = SH_UNKNOWN_NS;
	}
	return cost <= limit_ns && (!shared || typical <= limit_ns);
}

/*
 * Publishes what a worker has learned about a type: the cost of its jobs, and this worker's speed.
 */
static void learn_share(struct sh_worker *w, struct sh_type *type, const struct sh_learned *mine)
{
	/* mo rlx: an estimate; a lost update is learned again. */
	uint64_t est = sh_a64_load_rlx(&type->est_ns);
	uint64_t cost = mine->mean < SH_COST_MAX ? mine->mean : SH_COST_MAX;
	uint64_t typical = learn_typical(type, w->slot + 1, mine->ewma);
	uint64_t ratio;
	uint32_t speed;

	sh_a64_store_rlx(&type->est_ns, est - est / 4 + cost / 4); /* mo rlx: as est_ns. */
	if (typical == 0)
		return;
	ratio = mine->ewma * 1000u / typical;
	speed = sh_a32_load_rlx(&w->speed_permille); /* mo rlx: own value. */
	ratio = ratio < 50 ? 50 : ratio > 100000 ? 100000 : ratio;
	/* mo rlx: statistic. */
	sh_a32_store_rlx(&w->speed_permille, speed - speed / 4 + (uint32_t)ratio / 4);
	learn_show(w);
}

/*
 * EWMA of weight 1/8 for time: integer, exact for a constant input within one unit. The value that
 * compares workers takes no sample above OUTLIER times the learned time: a job that lost its cpu
 * says nothing about the worker's speed, and an avoided worker has no jobs to learn better from. A
 * worker that turned slow is still detected within a few jobs: each raises the estimate by up to
 * 3/8.
 */
static void learn(struct sh_worker *w, uint32_t type_index, struct sh_type *type, uint64_t run_ns)
{
	uint64_t run = run_ns < RUN_MAX_NS ? run_ns : RUN_MAX_NS;
	struct sh_learned *mine = &w->learned[type_index];
	uint64_t old = sh_a64_load_rlx(&w->ewma_ns); /* mo rlx: own value. */
	uint64_t limit = mine->ewma * OUTLIER;
	const bool first = mine->mean == 0;

	/* mo rlx: statistic. */
	sh_a64_store_rlx(&w->ewma_ns, old == 0 ? run : old - old / 8 + run / 8);
	/* no limit: rare long jobs are part of the cost */
	mine->mean = sh_ewma_run_next(mine->mean, run);
	mine->ewma = sh_ewma_run_next(mine->ewma, limit != 0 && run > limit ? limit : run);
	/* a worker's first of a type at once: nobody may know anything of it yet */
	if (++w->samples < LEARN_EVERY || w->samples % LEARN_EVERY == 0 || first)
		learn_share(w, type, mine);
}

/* EWMA of weight 1/16, permille. */
static void learn_failure(struct sh_worker *w, bool failed)
{
	uint32_t fail = sh_a32_load_rlx(&w->fail_permille); /* mo rlx: own value. */

	if (sh_unlikely(failed))
		/* mo rlx: statistic. */
		sh_a32_store_rlx(&w->fail_permille, fail + (1000u - fail) / 16u);
	else if (sh_likely(fail == 0))
		return;
	else
		/* mo rlx: statistic. */
		sh_a32_store_rlx(&w->fail_permille, fail - fail / 16u - 1u);
	learn_show(w);
}

#ifndef SHUNT_NO_METRICS
/*
 * Run time of each job of a batch but the last: equal shares of the measured time. If that is far
 * above the learned time, one job was long: the last one is recorded with the excess, the others
 * with the learned mean.
 */
static uint64_t share_of(uint64_t span, uint32_t n, uint64_t mean)
{
	return span > mean * n * OUTLIER ? mean : span / n;
}

/*
 * Jobs out of a long queue have nearly the same delay. If all delays of the batch fall into one
 * bucket, they are one record. Each job ends when the next one starts, and the last one with the
 * batch. False = nothing recorded.
 */
static bool record_together(struct sh_stat *st, const struct sh_batch *b, uint64_t span, uint64_t each)
{
	uint64_t start = b->stamp_ns, n = b->n;
	uint64_t starts = start + (n - 1) * each;                       /* start of the last one */
	uint64_t first = b->submit_ns[0], last = first, submits = first;
	uint64_t queue;
	size_t q, t;

	for (uint32_t i = 1; i < n; i++) {
		uint64_t sub = b->submit_ns[i];

		first = sub < first ? sub : first;
		last = sub > last ? sub : last;
		submits += sub;
	}
	if (start <= last)
		return false;
	q = sh_hist_bucket_of_all(st->queue, start - last, starts - first);
	t = sh_hist_bucket_of_all(st->total, start + each - last, start + span - first);
	if (q == SH_HIST_NONE || t == SH_HIST_NONE)
		return false;
	/* modulo 2^64, as the sums of the histograms */
	queue = n * start + n * (n - 1) / 2 * each - submits;
	sh_hist_record_bucket(st->queue, q, n, queue);
	sh_hist_record_bucket(st->total, t, n, queue + span);
	return true;
}

/* The usual record: one job. */
static inline void record_one(struct sh_stat *st, const struct sh_batch *b, uint64_t span, uint64_t ran)
{
	uint64_t queue = b->stamp_ns > b->submit_ns[0] ? b->stamp_ns - b->submit_ns[0] : 0;
	uint64_t end = b->stamp_ns + span;

	sh_hist_record(st->queue, queue);
	sh_hist_record(st->run, ran);
	sh_hist_record(st->total, end > b->submit_ns[0] ? end - b->submit_ns[0] : 0);
}

static SH_NOINLINE void record_batch(struct sh_stat *st, const struct sh_batch *b, uint64_t span, uint64_t ran, uint64_t mean)
{
	uint32_t n = b->n;
	uint64_t t = b->stamp_ns, each = share_of(ran, n, mean);

	sh_hist_record(st->run, ran - each * (n - 1));
	if (t - b->submit_ns[0] < ALIKE_NS || !record_together(st, b, span, each))
		for (uint32_t i = 0; i < n; i++) {
			uint64_t sub = b->submit_ns[i];

			sh_hist_record(st->queue, t > sub ? t - sub : 0);
			t = i + 1 < n ? t + each : b->stamp_ns + span;
			sh_hist_record(st->total, t > sub ? t - sub : 0);
		}
	sh_hist_record_n(st->run, each, n - 1);
}
#endif

static void count_jobs(struct sh_worker *w, uint32_t n)
{
	uint64_t before = sh_a64_load_rlx(&w->jobs); /* mo rlx: own counter. */

	sh_a64_store_rlx(&w->jobs, before + n); /* mo rlx: statistic. */
	if (sh_unlikely(before < SH_UNMEASURED_JOBS && before + n >= SH_UNMEASURED_JOBS && !w->spare))
		(void)sh_a32_sub_rlx(&w->pool->unmeasured, 1); /* mo rlx: a hint for placement. */
}

/*
 * Estimated end of all work that is queued to this worker, and of `running_ns` more from now_ns on.
 * Written at most once in SH_SCORE_NS.
 */
static void publish_work(struct sh_worker *w, uint64_t now_ns, uint64_t running_ns)
{
	uint64_t jobs = 0, mean = sh_a64_load_rlx(&w->ewma_ns); /* mo rlx: own value. */
	uint32_t l;

	for (l = w->level_mask; l != 0; l &= l - 1) {
		uint32_t level = (uint32_t)__builtin_ctz(l);

		if (w->deque_bits >> level & 1u)
			jobs += sh_deque_count(&w->deque[level]);
		if (sh_ring_peek(&w->ring[level]))
			jobs += sh_ring_count(&w->ring[level]);
	}
	w->score_ns = now_ns;
	if (jobs * mean >= SH_PROMPT_NS)
		sh_prompt_end(w);
	else if (running_ns == 0 && !w->running && mean - 1u < SH_SHORT_NS - 1u)
		sh_prompt_begin(w);
	/* mo rlx: an estimate. */
	sh_a64_store_rlx(&w->free_at_ns, ((now_ns + running_ns + jobs * mean) & ~SH_WORKER_BUSY) | (running_ns + jobs != 0));
}

void sh_account_long_job(struct sh_worker *w, uint64_t start_ns, uint64_t expected_ns)
{
	if (sh_a32_load_rlx(&w->pool->slots) > 1) /* mo rlx: a hint; nobody chooses in a pool with one worker. */
		publish_work(w, start_ns, expected_ns);
}

uint32_t sh_account_batch(struct sh_worker *w, uint64_t end_ns, bool failed, const struct shunt_job_ctx *nested)
{
	struct sh_batch *b = &w->batch;
	uint32_t n = b->n;
	uint64_t span = end_ns > b->stamp_ns ? end_ns - b->stamp_ns : 0;
	uint64_t lent = nested ? nested->preempted_ns : 0;
	/* in jobs that are recorded on their own */
	uint64_t waits = nested ? nested->nested_ns : 0;
	uint64_t ran = span > lent ? span - lent : 0;
	struct sh_stat *st = sh_stat_get(&w->pool->mem, &w->stat[(size_t)b->type * w->pool->levels + b->level]);

	/* counted before it is in a histogram (life/snapshot.c) */
	count_jobs(w, n);
	if (sh_likely(st != NULL)) {
		sh_a64_bump_owner(&st->done, n - failed);
		if (sh_unlikely(failed))
			sh_a64_bump_owner(&st->failed, 1);
#ifndef SHUNT_NO_METRICS
		if (n == 1)
			record_one(st, b, span, ran);
		else
			record_batch(st, b, span, ran, w->learned[b->type].mean);
#endif
	}
	sh_a64_bump_owner(&w->busy_ns, ran > waits ? ran - waits : 0);
	if (sh_account_short(w, b->type))
		sh_worker_rate(w, b->submit_ns[n - 1], n);
	else
		w->waiting.gap_ns = SH_GAP_MAX_NS; /* no burst of short jobs */
	learn_failure(w, failed);
	learn(w, b->type, &w->pool->rt->type[b->type], n == 1 ? ran : ran / n);
	b->n = 0;
	if (end_ns - w->score_ns >= SH_SCORE_NS && sh_a32_load_rlx(&w->pool->slots) > 1) /* mo rlx: as in sh_account_long_job. */
		publish_work(w, end_ns, 0);
	return n;
}

void sh_account_flush(struct sh_worker *w, uint64_t end_ns, bool failed, const struct shunt_job_ctx *nested)
{
	uint16_t type = w->batch.type;
	uint32_t n = sh_account_batch(w, end_ns, failed, nested);

	sh_account_finished(w, type, n);
}

static size_t cell_of(const struct sh_end *e)
{
	return (size_t)e->type * e->pool->levels + e->level;
}

void sh_account_cancelled(struct sh_worker *w, const struct sh_end *e)
{
	struct sh_stat *st = sh_stat_get(&w->pool->mem, &w->stat[cell_of(e)]);

	if (sh_likely(st != NULL))
		sh_a64_bump_owner(&st->cancelled, 1);
}

void sh_account_outside(const struct sh_end *e)
{
	struct sh_stat *st = sh_stat_get(&e->pool->mem, &e->pool->outside[cell_of(e)]);

	if (!st)
		return;
	/* mo rlx: statistics. */
	(void)sh_a64_add_rlx(e->status == SH_RECORD_DONE ? &st->done : e->status == SH_RECORD_FAILED ? &st->failed : &st->cancelled,
			     1);
#ifndef SHUNT_NO_METRICS
	if (e->status != SH_RECORD_CANCELLED) {
		sh_hist_record_shared(st->queue, e->queue_ns);
		sh_hist_record_shared(st->run, e->run_ns);
		sh_hist_record_shared(st->total, e->total_ns);
	}
#endif
}
