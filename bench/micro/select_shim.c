/* bench/micro/select_shim.c - see select_shim.h. SPDX-License-Identifier: MIT */
#include "select_shim.h"

#include <stdlib.h>
#include <string.h>

#include "sched/pool.h"
#include "sched/least_work.h"

#define JOB_NS 1000u
#define NOW_NS UINT64_C(1000000)

struct select_shim {
	struct sh_select_pool pool;
	struct sh_select_state state;
	struct sh_select_ask ask;
	struct sh_select_recent recent;
	struct sh_ring ring[SHUNT_WORKERS_MAX];
	sh_a128 slots[SHUNT_WORKERS_MAX][SH_RING_CAPACITY_MIN];
	sh_a64 spinning[SH_WORDS], parked[SH_WORDS];
	uint64_t can[SH_WORDS];
	const struct sh_worker *worker[SHUNT_WORKERS_MAX];
	struct sh_worker workers[SHUNT_WORKERS_MAX];
};

static void set_jobs(struct select_shim *s, uint32_t i, uint32_t jobs)
{
	sh_a64_store_rlx(&s->workers[i].free_at_ns, NOW_NS + (uint64_t)jobs * JOB_NS); /* mo rlx: one thread. */
}

struct select_shim *select_shim_create(uint32_t workers)
{
	size_t bytes = (sizeof(struct select_shim) + SH_CACHELINE - 1) / SH_CACHELINE * SH_CACHELINE;
	struct select_shim *s = aligned_alloc(SH_CACHELINE, bytes);

	if (!s)
		return NULL;
	memset(s, 0, sizeof(*s));
	memset(s->can, 0xff, sizeof(s->can));
	for (uint32_t i = 0; i < workers; i++) {
		s->worker[i] = &s->workers[i];
		s->workers[i].slot = i;
		s->workers[i].ring = &s->ring[i];
		sh_ring_init(&s->ring[i], s->slots[i], SH_RING_CAPACITY_MIN);
	}
	sh_select_pool_init(&s->pool, s->worker, workers, s->spinning, s->parked);
	sh_rng_init(&s->state.rng, 1);
	s->ask = (struct sh_select_ask){ s->can, SHUNT_ANY, SHUNT_ANY, JOB_NS, 30000, 0, NOW_NS, &s->recent };
	return s;
}

void select_shim_destroy(struct select_shim *s)
{
	free(s);
}

void select_shim_idle(struct select_shim *s)
{
	for (uint32_t i = 0; i < s->pool.n; i++) {
		uint64_t m = sh_a64_load_rlx(&s->spinning[i / 64u]); /* mo rlx: one thread. */

		set_jobs(s, i, i % 5 == 0 ? 0 : 1 + i % 16);
		m |= (uint64_t)(i % 5 == 0) << (i % 64u);
		sh_a64_store_rlx(&s->spinning[i / 64u], m); /* mo rlx: one thread. */
	}
}

void select_shim_busy(struct select_shim *s)
{
	for (uint32_t i = 0; i < s->pool.n; i++)
		set_jobs(s, i, 1 + i % 17);
}

void select_shim_equal(struct select_shim *s)
{
	for (uint32_t i = 0; i < s->pool.n; i++)
		set_jobs(s, i, 1);
}

uint32_t select_shim_spinning(struct select_shim *s)
{
	return sh_select_spinning(&s->pool, &s->state, &s->ask);
}

uint32_t select_shim_least_work(struct select_shim *s)
{
	return sh_select_least_work(&s->pool, &s->state, &s->ask);
}
