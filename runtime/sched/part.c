/* sched/part.c - see part.h. SPDX-License-Identifier: MIT */
#include "sched/part.h"

/* Counts admissions and releases, in builds with assertions. A part that gives nothing back is over when the job is queued. */
static inline void count(struct shunt_runtime *rt, uint32_t part, uint64_t change)
{
#ifdef NDEBUG
	(void)rt, (void)part, (void)change;
#else
	if (rt->parts[part]->release)
		(void)sh_a64_add_rlx(&rt->part_balance[part], change); /* mo rlx: read when no thread is left. */
#endif
}

int sh_parts_admit(struct sh_submit *s)
{
	uint32_t wanted = s->parts, m;

	s->parts = 0;
	for (m = wanted; m != 0; m &= m - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(m);
		const struct sh_part *part = s->rt->parts[i];
		int rc = part->admit ? part->admit(s) : 0;

		if (sh_unlikely(rc != 0)) {
			sh_parts_rollback(s);
			s->parts = wanted; /* for another attempt */
			return rc;
		}
		count(s->rt, i, 1);
		s->parts |= 1u << i;
	}
	for (m = wanted; m != 0; m &= m - 1) {
		const struct sh_part *part = s->rt->parts[__builtin_ctz(m)];

		if (part->commit)
			part->commit(s);
	}
	return 0;
}

void sh_parts_rollback(struct sh_submit *s)
{
	struct sh_end e = { .rt = s->rt, .pool = s->pool, .sub = s->sub, .record = s->record, .handle = s->handle, .parts = s->parts,
			    .group = s->group, .strand = s->strand, .cq = s->opts->cq, .type = (uint16_t)s->type_index,
			    .level = (uint8_t)s->level };

	sh_parts_release(&e, e.parts);
}

enum sh_go sh_parts_start(struct sh_end *e)
{
	for (uint32_t m = e->parts; m != 0; m &= m - 1) {
		const struct sh_part *part = e->rt->parts[__builtin_ctz(m)];
		enum sh_go go = part->start ? part->start(e) : SH_GO_RUN;

		if (sh_unlikely(go != SH_GO_RUN))
			return go;
	}
	return SH_GO_RUN;
}

enum sh_done sh_parts_finish(struct sh_end *e, int code)
{
	for (uint32_t m = e->parts; m != 0; m &= m - 1) {
		const struct sh_part *part = e->rt->parts[__builtin_ctz(m)];

		if (part->finish && part->finish(e, code) == SH_DONE_DETACHED)
			return SH_DONE_DETACHED;
	}
	return SH_DONE_END;
}

struct releasing {
	struct sh_end *e;
	uint32_t left; /* parts to be released */
};

static void release_rest(struct releasing *r)
{
	while (r->left != 0) {
		uint32_t i = 31u - (uint32_t)__builtin_clz(r->left);
		const struct sh_part *part = r->e->rt->parts[i];

		r->left &= ~(1u << i);
		count(r->e->rt, i, 0 - UINT64_C(1));
		if (part->release)
			part->release(r->e);
	}
}

void sh_parts_release(struct sh_end *e, uint32_t mask)
{
	/* of the rest again: the callback of the job may end the thread */
	struct releasing r SH_CLEANUP(release_rest) = { e, e->parts & mask };

	e->parts &= ~mask;
	release_rest(&r);
}
