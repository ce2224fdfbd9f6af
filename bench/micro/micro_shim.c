/* bench/micro_shim.c - see micro_shim.h. SPDX-License-Identifier: MIT */
#include "micro_shim.h"

#include <shunt/runtime.h>

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "sched/job.h"
#include "policy/strategy.h"
#include "lockfree/deque.h"
#include "lockfree/ring.h"
#include "lockfree/slab.h"
#include "metrics/histogram.h"

#define CAPACITY 1024u

struct shim {
	struct sh_ring ring;
	struct sh_deque deque;
	struct sh_slab slab;
	struct sh_slab_cache cache;
	struct sh_mem mem;
	struct sh_hist *hist;
	sh_a128 *ring_slots;
	sh_a128 *deque_slots;
	sh_a64 counter;
	struct sh_select_state select;
	struct shunt_worker_load load[SHUNT_WORKERS_MAX];
};

struct shim *shim_create(void)
{
	struct shim *s = aligned_alloc(SH_CACHELINE, (sizeof(*s) + SH_CACHELINE - 1) / SH_CACHELINE * SH_CACHELINE);
	uint32_t i;

	if (!s)
		return NULL;
	memset(s, 0, sizeof(*s));
	sh_clock_setup();
	if (sh_mem_init(&s->mem) != 0 || sh_slab_init(&s->slab, &s->mem, 1u << 16, sizeof(struct sh_record), 1) != 0) {
		free(s);
		return NULL;
	}
	s->ring_slots = sh_mem_map(&s->mem, CAPACITY * sizeof(*s->ring_slots));
	s->deque_slots = sh_mem_map(&s->mem, CAPACITY * sizeof(*s->deque_slots));
	s->hist = sh_mem_map(&s->mem, SH_HIST_BYTES);
	if (!s->ring_slots || !s->deque_slots || !s->hist) {
		shim_destroy(s);
		return NULL;
	}
	(void)sh_hist_init(s->hist);
	sh_ring_init(&s->ring, s->ring_slots, CAPACITY);
	sh_deque_init(&s->deque, s->deque_slots, CAPACITY);
	sh_rng_init(&s->select.rng, 1);
	for (i = 0; i < SHUNT_WORKERS_MAX; i++) {
		s->load[i].work_left_ns = (uint64_t)(i % 17) * 1000u;
		s->load[i].ewma_ns = 1000;
		s->load[i].in_flight = i % 17;
		s->load[i].capacity = 1;
		s->load[i].speed_permille = 1000;
		s->load[i].node = 0;
		s->load[i].usable = 1;
	}
	return s;
}

void shim_destroy(struct shim *s)
{
	sh_mem_unmap(&s->mem, s->ring_slots, CAPACITY * sizeof(*s->ring_slots));
	sh_mem_unmap(&s->mem, s->deque_slots, CAPACITY * sizeof(*s->deque_slots));
	sh_mem_unmap(&s->mem, s->hist, SH_HIST_BYTES);
	sh_slab_fini(&s->slab);
	sh_mem_fini(&s->mem);
	free(s);
}

uint64_t shim_clock(void)
{
	return sh_clock_ns();
}

uint64_t shim_clock_monotonic(void)
{
	return sh_clock_monotonic_ns();
}

uint64_t shim_fetch_add(struct shim *s)
{
	return sh_a64_add_rlx(&s->counter, 1); /* mo rlx: measured for its cost. */
}

void shim_slab_pair(struct shim *s)
{
	uint32_t idx = sh_slab_alloc(&s->slab, &s->cache, 0);

	sh_slab_free(&s->slab, &s->cache, idx);
}

int shim_ring_push(struct shim *s, uint64_t arg)
{
	return sh_ring_push(&s->ring, (struct sh_item){ 0, arg });
}

int shim_ring_pop(struct shim *s, uint64_t *arg)
{
	struct sh_item item = { 0, 0 };
	int got = sh_ring_pop(&s->ring, &item);

	*arg = item.arg;
	return got;
}

int shim_ring_peek(struct shim *s)
{
	return sh_ring_peek(&s->ring);
}

int shim_deque_push(struct shim *s, uint64_t arg)
{
	return sh_deque_push(&s->deque, (struct sh_item){ 0, arg });
}

int shim_deque_pop(struct shim *s, uint64_t *arg)
{
	struct sh_item item = { 0, 0 };
	int got = sh_deque_pop(&s->deque, &item);

	*arg = item.arg;
	return got;
}

void shim_hist_record(struct shim *s, uint64_t v)
{
	sh_hist_record(s->hist, v);
}

static void load_at(const void *obj, uint32_t i, struct shunt_worker_load *out)
{
	*out = ((const struct shim *)obj)->load[i];
}

int shim_select(struct shim *s, int strategy, uint32_t workers)
{
	struct sh_select_view view = { s, load_at, workers, NULL, NULL, NULL };

	return sh_select((enum shunt_strategy)strategy, &view, &s->select, 42, true, SHUNT_ANY);
}
