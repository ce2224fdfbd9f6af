/* sched/strand.c - see strand.h. SPDX-License-Identifier: MIT */
#include "sched/strand.h"

#include "base/inject.h"

#define ST_IDLE 0u
#define ST_READY 1u
#define ST_RUNNING 2u

static inline uint32_t word_top(uint64_t w)
{
	return (uint32_t)w;
}

static inline uint32_t word_state(uint64_t w)
{
	return (uint32_t)(w >> 32);
}

static inline uint64_t word_make(uint32_t state, uint32_t top)
{
	return (uint64_t)state << 32 | top;
}

static inline struct sh_record *strand_job(struct shunt_runtime *rt, uint32_t record)
{
	return sh_slab_at(&rt->records, record);
}

/* Is no token in a queue whose popper would find the strand READY? */
static bool needs_token(const struct sh_strand *s)
{
	/*
	 * mo strand.3 <> strand.3@sched/strand.c: the word, then `tokens`; a popper lowers `tokens`, then claims the
	 * word.
	 */
	return (int32_t)sh_a32_load_sc(&s->tokens) <= 0;
}

bool sh_strand_push(struct shunt_runtime *rt, struct sh_strand *s, uint32_t record)
{
	struct sh_record *job = strand_job(rt, record);
	const uint32_t level = job->level;      /* read before others have it */
	uint64_t w = sh_a64_load_rlx(&s->word); /* mo rlx: re-checked by the CAS. */
	uint64_t next;

	do {
		sh_a32_store_rlx(&job->next, word_top(w)); /* mo rlx: published by the CAS. */
		next = word_make(word_state(w) == ST_IDLE ? ST_READY : word_state(w), record);
		SH_POINT("strand.push.before_cas");
		/*
		 * mo strand.1 -> strand.2@sched/strand.c: the job's fields before its place in the list; strand.3: then
		 * `tokens` is read.
		 */
	} while (!sh_a64_cas_sc(&s->word, &w, next));
	SH_POINT("strand.push.after_cas");
	if (!(sh_a32_load_rlx(&s->levels) >> level & 1u))     /* mo rlx: a hint. */
		(void)sh_a32_or_rlx(&s->levels, 1u << level); /* mo rlx: as above. */
	return word_state(next) == ST_READY && needs_token(s);
}

void sh_strand_pushed(struct sh_strand *s)
{
	/* mo strand.3 <> strand.3@sched/strand.c: counted once it can be popped. */
	(void)sh_a32_add_sc(&s->tokens, 1);
}

/* Appends the list that begins at `top` (newest first) to the claimer's own list, oldest first. */
static void strand_adopt(struct shunt_runtime *rt, struct sh_strand *s, uint32_t top)
{
	uint32_t first = 0;
	uint32_t last = top;

	while (top != 0) {
		/* mo rlx: acquired with the word that named the newest. */
		uint32_t below = sh_a32_load_rlx(&strand_job(rt, top)->next);

		/* mo rlx: only the claimer has it now. */
		sh_a32_store_rlx(&strand_job(rt, top)->next, first);
		first = top;
		top = below;
	}
	if (first == 0)
		return;
	if (s->first == 0)
		s->first = first;
	else
		/* mo rlx: only the claimer has it. */
		sh_a32_store_rlx(&strand_job(rt, s->last)->next, first);
	s->last = last;
}

bool sh_strand_claim(struct shunt_runtime *rt, struct sh_strand *s)
{
	uint64_t w;

	/* mo strand.3 <> strand.3@sched/strand.c: lowered, then the word is read. */
	(void)sh_a32_sub_sc(&s->tokens, 1);
	SH_POINT("strand.claim.before_look");
	w = sh_a64_load_sc(&s->word); /* mo strand.3 <> strand.3@sched/strand.c: as above. */
	do {
		if (word_state(w) != ST_READY)
			return false;
		/*
		 * mo strand.2 <- strand.1@sched/strand.c: the jobs, and (strand.4) what the last claimer left in first and
		 * last.
		 */
	} while (!sh_a64_cas_acq_rel_acq(&s->word, &w, word_make(ST_RUNNING, 0)));
	strand_adopt(rt, s, word_top(w));
	return true;
}

uint32_t sh_strand_peek(struct shunt_runtime *rt, struct sh_strand *s)
{
	uint64_t w;

	if (s->first != 0)
		return s->first;
	w = sh_a64_load_rlx(&s->word); /* mo rlx: re-checked by the CAS. */
	while (word_top(w) != 0) {
		/* mo strand.2 <- strand.1@sched/strand.c: the jobs that were pushed while this thread ran one. */
		if (sh_a64_cas_acq_rel_acq(&s->word, &w, word_make(ST_RUNNING, 0))) {
			strand_adopt(rt, s, word_top(w));
			break;
		}
	}
	return s->first;
}

uint32_t sh_strand_next(struct shunt_runtime *rt, struct sh_strand *s)
{
	uint32_t item = sh_strand_peek(rt, s);

	if (item == 0)
		return 0;
	/* mo rlx: only the claimer has it. */
	s->first = sh_a32_load_rlx(&strand_job(rt, item)->next);
	if (s->first == 0)
		s->last = 0;
	return item;
}

bool sh_strand_release(struct shunt_runtime *rt, struct sh_strand *s, uint32_t *level)
{
	for (;;) {
		uint32_t item = sh_strand_peek(rt, s);
		uint64_t w = sh_a64_load_rlx(&s->word); /* mo rlx: re-checked by the CAS. */

		assert(word_state(w) == ST_RUNNING);
		if (item != 0)
			*level = strand_job(rt, item)->level;
		/* mo rlx: a hint; a job that is pushed meanwhile may be forgotten. */
		sh_a32_store_rlx(&s->levels, item != 0 ? sh_a32_load_rlx(&s->levels) | 1u << *level : 0);
		while (item != 0 || word_top(w) == 0) {
			/*
			 * mo strand.4 -> strand.2@sched/strand.c: first and last before the next claimer has them;
			 * strand.3: then `tokens` is read.
			 */
			if (sh_a64_cas_sc(&s->word, &w, word_make(item != 0 ? ST_READY : ST_IDLE, word_top(w))))
				return item != 0 && needs_token(s);
		}
	}
}

bool sh_strand_has_member(struct shunt_runtime *rt, const struct sh_strand *s, uint32_t group)
{
	/* mo group.1 <> group.1@job/group.c: pushed, then the look for a waiter; the waiter said, then this look. */
	const uint32_t list[2] = { s->first, word_top(sh_a64_load_sc(&s->word)) };

	for (uint32_t i = 0, n = 0; i < 2; i++) {
		for (uint32_t record = list[i]; record != 0 && n < SH_STRAND_LOOKS; n++) {
			const struct sh_record *job = strand_job(rt, record);
			/* mo rlx: it stays in the list; one that is cancelled has left its group. */
			uint32_t status = (uint32_t)sh_a64_load_rlx(&job->state) & SH_RECORD_STATUS;

			if (job->group == group && (status == SH_RECORD_QUEUED || status == SH_RECORD_OWNED))
				return true;
			record = sh_a32_load_rlx(&job->next); /* mo rlx: acquired with the word. */
		}
	}
	return false;
}
