/*
 * model/order.c - the total order of seq_cst operations. It is not the order of execution: any order will do that agrees
 * with happens-before, with modification order, and with "a load comes before the stores that it did not see yet". So it
 * is kept as a graph, and a value or a place is permitted when it closes no cycle (RC11's psc without fences, with all of
 * happens-before in it).
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "model/model.h"

#define EVENTS_MAX (ORDER_WORDS * 64u)

struct event {
	uint64_t after[ORDER_WORDS]; /* events that come after this one */
	uint32_t thread, at;
};

static struct {
	struct event *event;
	uint32_t n;
} * m;

void order_start(void)
{
	if (!m) {
		m = calloc(1, sizeof(*m));
		m->event = calloc(EVENTS_MAX, sizeof(*m->event));
	}
	m->n = 0;
}

void order_add(struct order_set *s, uint32_t event)
{
	if (event != MODEL_NONE)
		s->w[event / 64u] |= UINT64_C(1) << (event % 64u);
}

void order_join(struct order_set *to, const struct order_set *from)
{
	for (uint32_t i = 0; i < ORDER_WORDS; i++)
		to->w[i] |= from->w[i];
}

static bool meets(const uint64_t *a, const uint64_t *b)
{
	for (uint32_t i = 0; i < (m->n + 63u) / 64u; i++)
		if (a[i] & b[i])
			return true;
	return false;
}

static bool has(const uint64_t *w, uint32_t e)
{
	return w[e / 64u] >> (e % 64u) & 1u;
}

/* Adds what happened before a thread that knows `now`. */
void order_known(struct order_set *s, const struct clock *now)
{
	for (uint32_t e = 0; e < m->n; e++)
		if (m->event[e].at <= now->at[m->event[e].thread])
			order_add(s, e);
}

/* May an event come after all of `before` and before all of `after`? */
bool order_fits(const struct order_set *before, const struct order_set *after)
{
	for (uint32_t e = 0; e < m->n; e++)
		if (has(after->w, e) && (has(before->w, e) || meets(m->event[e].after, before->w)))
			return false;
	return true;
}

uint32_t order_event(uint32_t thread, uint32_t at, const struct order_set *before, const struct order_set *after)
{
	struct event *new = &m->event[m->n];
	uint32_t id = m->n;

	if (id == EVENTS_MAX)
		model_fail("explorer: more than %u seq_cst operations in one execution", EVENTS_MAX);
	m->n++;
	memset(new, 0, sizeof(*new));
	new->thread = thread;
	new->at = at;
	for (uint32_t e = 0; e < id; e++)
		if (has(after->w, e)) {
			new->after[e / 64u] |= UINT64_C(1) << (e % 64u);
			for (uint32_t i = 0; i < ORDER_WORDS; i++)
				new->after[i] |= m->event[e].after[i];
		}
	for (uint32_t e = 0; e < id; e++)
		if (has(before->w, e) || meets(m->event[e].after, before->w)) {
			for (uint32_t i = 0; i < ORDER_WORDS; i++)
				m->event[e].after[i] |= new->after[i];
			m->event[e].after[id / 64u] |= UINT64_C(1) << (id % 64u);
		}
	return id;
}
