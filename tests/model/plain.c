/*
 * model/plain.c - plain accesses of the code under test. It is compiled with -fsanitize=thread, which makes the
 * compiler announce each load and store by a call; here these calls are ours. Two accesses of different threads to the
 * same byte, one of them a write, not both atomic, with no happens-before between them, are a data race; an access to
 * freed memory is an error. To free is to write: an access that might as well have come later is found, whichever came
 * first.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "model/hooks.h"
#include "model/model.h"

#define WORDS_MAX (1u << 15) /* watched 8-byte words of one execution */
#define CELLS 16u
#define FREED_MAX 4096u

struct cell {
	uint32_t at; /* step of the thread; 0 = empty */
	uint8_t thread, mask;
	bool write, atomic;
};

struct word {
	uintptr_t addr;
	uint32_t round;
	struct cell cell[CELLS];
};

static struct {
	struct word *word;
	uint32_t round;
	struct {
		uintptr_t from, to;
	} freed[FREED_MAX];
	uint32_t freed_n, freed_setup;
} * m;

/* Frees of setup stay; those of the execution before are forgotten. */
void plain_start(void)
{
	if (!m) {
		m = calloc(1, sizeof(*m));
		m->word = calloc(WORDS_MAX, sizeof(*m->word));
	}
	m->round++;
	m->freed_n = 0;
}

void plain_check(const void *p, size_t bytes)
{
	uintptr_t a = (uintptr_t)p;
	char where[96];

	if (E->mode != MODEL_EXPLORE)
		return;
	for (uint32_t i = 0; i < m->freed_n; i++)
		if (a < m->freed[i].to && a + bytes > m->freed[i].from)
			model_fail("use after free: %s", arena_name(p, where, sizeof(where)));
}

/* NULL = nobody was there, and it is not to be watched. */
static struct word *word_of(uintptr_t addr, bool add)
{
	uint32_t i = (uint32_t)((addr >> 3) * UINT64_C(0x9E3779B97F4A7C15) >> 49);

	for (uint32_t n = 0; n < WORDS_MAX; n++, i = (i + 1) & (WORDS_MAX - 1)) {
		struct word *w = &m->word[i];

		if (w->round != m->round) {
			if (!add)
				return NULL;
			memset(w, 0, sizeof(*w));
			w->round = m->round;
			w->addr = addr;
			return w;
		}
		if (w->addr == addr)
			return w;
	}
	model_fail("explorer: more than %u watched words", WORDS_MAX);
}

static const char *doing(bool write, bool atomic)
{
	return atomic ? write ? "atomic write" : "atomic read" : write ? "write"
								       : "read";
}

static void compare(const struct word *w, const struct cell *a, const char *what)
{
	const struct clock *now = &E->now[a->thread];
	char where[96];

	for (uint32_t i = 0; i < CELLS && w->cell[i].at != 0; i++) {
		const struct cell *c = &w->cell[i];

		if ((c->mask & a->mask) && c->thread != a->thread && (c->write || a->write) &&
		    !(c->atomic && a->atomic) && c->at > now->at[c->thread])
			model_fail("data race: %s of %s here, %s by %s before, nothing orders the two", what,
				   arena_name((const void *)w->addr, where, sizeof(where)), doing(c->write, c->atomic),
				   virt_get(c->thread)->name);
	}
}

static void watch(uintptr_t word_addr, uint8_t mask, bool write, bool atomic)
{
	uint32_t self = virt_self();
	const struct clock *now = &E->now[self];
	const struct cell a = { now->at[self], (uint8_t)self, mask, write, atomic };
	struct word *w = word_of(word_addr, true);
	struct cell *place = NULL;

	compare(w, &a, doing(write, atomic));
	for (uint32_t i = 0; i < CELLS; i++) {
		struct cell *c = &w->cell[i];

		if (c->at == 0) {
			place = place ? place : c;
			break;
		}
		if (c->thread == self && c->mask == mask && c->write == write && c->atomic == atomic)
			place = c;
		else if (!place && c->at <= now->at[c->thread] && (c->mask & ~mask) == 0 && (write || !c->write) &&
			 (!atomic || c->atomic))
			place = c; /* ordered before this one, which stands for it from now on */
	}
	if (!place)
		place = &w->cell[now->at[self] % CELLS];
	*place = a;
}

void plain_freed(const void *p, size_t bytes)
{
	uintptr_t from = (uintptr_t)p, to = from + bytes;
	const struct cell a = { 0, (uint8_t)virt_self(), 0xff, true, false };

	if (E->mode != MODEL_EXPLORE || bytes == 0)
		return;
	if (bytes / 8 < WORDS_MAX / 8) {
		for (uintptr_t word = from & ~(uintptr_t)7; word < to; word += 8) {
			const struct word *w = word_of(word, false);

			if (w)
				compare(w, &a, "free");
		}
	} else {
		for (uint32_t i = 0; i < WORDS_MAX; i++)
			if (m->word[i].round == m->round && m->word[i].addr >= from && m->word[i].addr < to)
				compare(&m->word[i], &a, "free");
	}
	if (m->freed_n == FREED_MAX)
		model_fail("explorer: more than %u blocks freed in one execution", FREED_MAX);
	m->freed[m->freed_n].from = from;
	m->freed[m->freed_n++].to = to;
}

static void record(const void *p, size_t bytes, bool write, bool atomic)
{
	uintptr_t a = (uintptr_t)p, end = a + bytes;

	if (write)
		arena_touch(p, bytes);
	if (E->mode != MODEL_EXPLORE || arena_own_stack(p) || virt_is_local(p))
		return;
	plain_check(p, bytes);
	while (a < end) {
		uintptr_t word = a & ~(uintptr_t)7, last = word + 8 < end ? word + 8 : end;
		uint32_t mask = ((1u << (last - word)) - 1u) & ~((1u << (a - word)) - 1u);

		watch(word, (uint8_t)mask, write, atomic);
		a = last;
	}
}

void hook_access(const void *p, size_t bytes, bool write)
{
	record(p, bytes, write, false);
}

void plain_atomic(const void *p, size_t bytes, bool write)
{
	record(p, bytes, write, true);
}

void plain_write(const void *p, size_t bytes)
{
	hook_access(p, bytes, true);
}
