/*
 * core/plain.c - what is learned of jobs that ran, and the books of plain jobs (plain.h), which are kept for a few at a
 * time. Called by the worker's loop and by exec.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "core/plain.h"

#define OUTLIER 4u      /* a sample counts at most this many times what was learned */
#define ALIKE_NS 65536u /* of delays from here on a bucket is 512 ns wide, so that a batch may be one record */
#define LEARN_EVERY 32u /* a worker tells the type's shared estimate what it learned once in so many samples */

/* To the choosers. */
static void learn_show(struct sh_worker *w)
{
	if (!w->spare) /* mo rlx: own values, an estimate. */
		sh_select_pool_learn(&w->pool->select, w->slot, sh_a32_load_rlx(&w->speed_permille),
				     sh_a32_load_rlx(&w->fail_permille));
}

/*
 * What workers are compared with is the time of the fastest of them: others do not move it, or the one that runs most
 * jobs would be as fast as itself, however slow. Returns what it was before.
 */
static uint32_t learn_typical(struct sh_type *t, uint32_t by, uint32_t mine)
{
	uint32_t of = sh_a32_load_rlx(&t->typical_of); /* mo rlx: an estimate; a lost update is learned again. */
	uint32_t typical = of == 0 ? mine : sh_a32_load_rlx(&t->typical_ns); /* mo rlx: as above. */

	if (of == by || of == 0 || mine < typical) {
		sh_a32_store_rlx(&t->typical_ns, typical - typical / 4 + mine / 4); /* mo rlx: as above. */
		if (of != by)
			sh_a32_store_rlx(&t->typical_of, by); /* mo rlx: as above. */
	}
	return typical;
}

/* What a worker has learned of a type becomes known to all: what its jobs cost, and how fast this worker is. */
static void learn_share(struct sh_worker *w, struct sh_type *type, const struct sh_learned *mine)
{
	uint32_t est = sh_a32_load_rlx(&type->est_ns); /* mo rlx: an estimate; a lost update is learned again. */
	uint32_t typical = learn_typical(type, w->slot + 1, mine->ewma);
	uint64_t ratio;
	uint32_t speed;

	sh_a32_store_rlx(&type->est_ns, est - est / 4 + mine->mean / 4); /* mo rlx: as est_ns. */
	if (typical == 0)
		return;
	ratio = (uint64_t)mine->ewma * 1000u / typical;
	speed = sh_a32_load_rlx(&w->speed_permille); /* mo rlx: own value. */
	ratio = ratio < 50 ? 50 : ratio > 100000 ? 100000 : ratio;
	sh_a32_store_rlx(&w->speed_permille, speed - speed / 4 + (uint32_t)ratio / 4); /* mo rlx: statistic. */
	learn_show(w);
}

/*
 * EWMA of weight 1/8 for time: integer, exact for a constant input within one unit. What is compared between workers takes
 * no sample above OUTLIER times what was learned: a job whose cpu was taken away says nothing of the worker's speed,
 * and a worker that is avoided for it has no jobs to learn better from. A worker that turned slow is still known
 * within a few jobs: each raises the estimate by up to 3/8.
 */
void sh_learn(struct sh_worker *w, uint32_t type_index, struct sh_type *type, uint64_t run_ns)
{
	uint32_t run = run_ns > UINT32_MAX ? UINT32_MAX : (uint32_t)run_ns;
	struct sh_learned *mine = &w->learned[type_index];
	uint64_t old = sh_a64_load_rlx(&w->ewma_ns); /* mo rlx: own value. */
	uint64_t limit = (uint64_t)mine->ewma * OUTLIER;

	sh_a64_store_rlx(&w->ewma_ns, old == 0 ? run : old - old / 8 + run / 8); /* mo rlx: statistic. */
	mine->mean = sh_ewma32_next(mine->mean, run); /* a type of few long jobs costs what they take */
	mine->ewma = sh_ewma32_next(mine->ewma, limit != 0 && run > limit ? (uint32_t)limit : run);
	if (++w->samples < LEARN_EVERY || w->samples % LEARN_EVERY == 0)
		learn_share(w, type, mine);
}

/* EWMA of weight 1/16. */
void sh_learn_failure(struct sh_worker *w, bool failed)
{
	uint32_t fail = sh_a32_load_rlx(&w->fail_permille); /* mo rlx: own value. */

	if (sh_unlikely(failed))
		sh_a32_store_rlx(&w->fail_permille, fail + (1000u - fail) / 16u); /* mo rlx: statistic. */
	else if (sh_likely(fail == 0))
		return;
	else
		sh_a32_store_rlx(&w->fail_permille, fail - fail / 16u - 1u); /* mo rlx: statistic. */
	learn_show(w);
}

#ifndef SHUNT_NO_METRICS
/*
 * The time of n jobs of one kind that ran one after another: equal shares; but when it is far more than was learned, one
 * of them was long: that stays one long job, booked as the last, and the others are taken to be as usual.
 */
static uint64_t share_of(uint64_t span, uint32_t n, uint64_t mean)
{
	return n > 1 && span > mean * n * OUTLIER ? mean : span / n;
}

/*
 * Jobs that come out of a long queue together have nearly the same delay: where a bucket is wider than all of them differ,
 * that is one record. Each ends when the next one starts, and the last when the batch does. False = nothing done.
 */
static bool record_together(struct sh_stat *st, const struct sh_batch *b, uint64_t span, uint64_t each)
{
	uint64_t start = b->stamp_ns, n = b->n;
	uint64_t starts = start + (n - 1) * each;                       /* of the last one */
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
	queue = n * start + n * (n - 1) / 2 * each - submits; /* modulo 2^64, as the sums of the histograms */
	sh_hist_record_bucket(st->queue, q, n, queue);
	sh_hist_record_bucket(st->total, t, n, queue + span);
	return true;
}

static void record_batch(struct sh_stat *st, const struct sh_batch *b, uint64_t span, uint64_t each)
{
	uint64_t t = b->stamp_ns;
	uint32_t n = b->n;

	if (n == 1 || t - b->submit_ns[0] < ALIKE_NS || !record_together(st, b, span, each))
		for (uint32_t i = 0; i < n; i++) {
			uint64_t sub = b->submit_ns[i];

			sh_hist_record(st->queue, t > sub ? t - sub : 0);
			t = i + 1 < n ? t + each : b->stamp_ns + span;
			sh_hist_record(st->total, t > sub ? t - sub : 0);
		}
	if (n > 1)
		sh_hist_record_n(st->run, each, n - 1);
}
#endif

void sh_count_jobs(struct sh_worker *w, uint32_t n)
{
	uint64_t before = sh_a64_load_rlx(&w->jobs); /* mo rlx: own counter. */

	sh_a64_store_rlx(&w->jobs, before + n); /* mo rlx: statistic. */
	if (sh_unlikely(before < SH_UNKNOWN_JOBS && before + n >= SH_UNKNOWN_JOBS && !w->spare))
		(void)sh_a32_sub_rlx(&w->pool->unknown, 1); /* mo rlx: a hint for placement. */
}

void sh_plain_flush(struct sh_worker *w, uint64_t end_ns, bool failed, const struct shunt_job_ctx *nested)
{
	struct sh_batch *b = &w->batch;
	uint32_t n = b->n;
	uint64_t span = end_ns > b->stamp_ns ? end_ns - b->stamp_ns : 0;
	uint64_t lent = nested ? nested->lent_ns : 0;
	uint64_t waits = nested ? nested->nested_ns : 0; /* in jobs that count for themselves */
	uint64_t ran = span > lent ? span - lent : 0;
	struct sh_stat *st = sh_stat_get(&w->pool->mem, &w->stat[(size_t)b->type * w->pool->levels + b->level]);

	if (sh_likely(st != NULL)) {
		sh_a64_bump_owner(&st->done, n - failed);
		if (sh_unlikely(failed))
			sh_a64_bump_owner(&st->failed, 1);
#ifndef SHUNT_NO_METRICS
		uint64_t each = share_of(ran, n, w->learned[b->type].mean);

		record_batch(st, b, span, each);
		sh_hist_record(st->run, ran - each * (n - 1));
#endif
	}
	sh_count_jobs(w, n);
	sh_a64_bump_owner(&w->busy_ns, ran > waits ? ran - waits : 0);
	sh_a64_bump_owner(&w->balance, b->cost);
	sh_learn_failure(w, failed);
	sh_learn(w, b->type, &w->pool->rt->type[b->type], ran / n);
	if (sh_unlikely(sh_a32_load_rlx(&w->pool->room_waiters) != 0)) /* mo rlx: who is missed looks again within a millisecond. */
		sh_exec_make_room(w, w->pool);
	b->n = 0;
	b->cost = 0;
	/* mo N1 -> N1@core/runtime.c: everything about the jobs, and our last look at the pool, before they are counted. */
	sh_a64_store_rel(&w->finished[b->type], sh_a64_load_rlx(&w->finished[b->type]) + n);
}
