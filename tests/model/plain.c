/*
 * model/plain.c - plain accesses of the code under test. It is compiled with -fsanitize=thread, which makes the compiler
 * announce each load and store by a call; here these calls are ours. Two accesses of different threads to the same byte,
 * one of them a write, with no happens-before between them, are a data race; an access to freed memory is an error.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "model/model.h"

#define WORDS_MAX (1u << 15) /* watched 8-byte words of one execution */
#define CELLS 8u
#define FREED_MAX 4096u

struct cell {
	uint32_t at; /* step of the thread; 0 = empty */
	uint8_t thread, mask, write;
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

void plain_freed(const void *p, size_t bytes)
{
	if (E->mode != MODEL_EXPLORE || bytes == 0 || m->freed_n == FREED_MAX)
		return;
	m->freed[m->freed_n].from = (uintptr_t)p;
	m->freed[m->freed_n++].to = (uintptr_t)p + bytes;
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

static struct word *word_of(uintptr_t addr)
{
	uint32_t i = (uint32_t)((addr >> 3) * UINT64_C(0x9E3779B97F4A7C15) >> 49);

	for (uint32_t n = 0; n < WORDS_MAX; n++, i = (i + 1) & (WORDS_MAX - 1)) {
		struct word *w = &m->word[i];

		if (w->round != m->round) {
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

static void watch(uintptr_t word_addr, uint8_t mask, bool write)
{
	uint32_t self = virt_self();
	const struct clock *now = &E->now[self];
	struct word *w = word_of(word_addr);
	struct cell *place = NULL;
	char where[96];

	for (uint32_t i = 0; i < CELLS; i++) {
		struct cell *c = &w->cell[i];

		if (c->at == 0) {
			place = place && place->at != 0 ? place : c;
			break;
		}
		if ((c->mask & mask) && c->thread != self && (c->write || write) && c->at > now->at[c->thread])
			model_fail("data race: %s of %s here, %s by %s before, nothing between them orders the two",
				   write ? "write" : "read", arena_name((const void *)word_addr, where, sizeof(where)),
				   c->write ? "write" : "read", virt_get(c->thread)->name);
		if (c->thread == self && c->mask == mask && c->write == write)
			place = c;
		else if (!place && c->at <= now->at[c->thread] && (c->mask & ~mask) == 0 && (write || !c->write))
			place = c; /* ordered before this one, which stands for it from now on */
	}
	if (!place)
		place = &w->cell[now->at[self] % CELLS];
	place->at = now->at[self];
	place->thread = (uint8_t)self;
	place->mask = mask;
	place->write = write;
}

static void access(const void *p, size_t bytes, bool write)
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

		watch(word, (uint8_t)mask, write);
		a = last;
	}
}

/* The compiler's calls. It declares them nowhere. */
#define HOOK(bytes) \
	void __tsan_read##bytes(void *p); \
	void __tsan_write##bytes(void *p); \
	void __tsan_unaligned_read##bytes(void *p); \
	void __tsan_unaligned_write##bytes(void *p); \
	void __tsan_read##bytes(void *p) { access(p, bytes, false); } \
	void __tsan_write##bytes(void *p) { access(p, bytes, true); } \
	void __tsan_unaligned_read##bytes(void *p) { access(p, bytes, false); } \
	void __tsan_unaligned_write##bytes(void *p) { access(p, bytes, true); }

HOOK(1)
HOOK(2)
HOOK(4)
HOOK(8)
HOOK(16)

void __tsan_init(void);
void __tsan_func_entry(void *pc);
void __tsan_func_exit(void *pc);
void __tsan_read_range(void *p, unsigned long bytes);
void __tsan_write_range(void *p, unsigned long bytes);
void *virt_arena_memcpy(void *to, const void *from, size_t n);
void *virt_arena_memset(void *to, int c, size_t n);

void __tsan_init(void)
{
}

void __tsan_func_entry(void *pc)
{
	(void)pc;
}

void __tsan_func_exit(void *pc)
{
	(void)pc;
}

void __tsan_read_range(void *p, unsigned long bytes)
{
	access(p, bytes, false);
}

void __tsan_write_range(void *p, unsigned long bytes)
{
	access(p, bytes, true);
}

void *virt_arena_memcpy(void *to, const void *from, size_t n)
{
	access(from, n, false);
	access(to, n, true);
	return memcpy(to, from, n);
}

void *virt_arena_memset(void *to, int c, size_t n)
{
	access(to, n, true);
	return memset(to, c, n);
}
