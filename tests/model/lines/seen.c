/*
 * model/lines/seen.c - notes who touches which line. The calls of model/site.h, and those by which -fsanitize=thread
 * announces plain accesses, end here; they do what they say, on memory as it is.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "model/hooks.h"
#include "model/lines/lines.h"
#include "virt/os.h"
#include "virt/virt.h"
#undef calloc
#undef free
#undef memcpy
#undef memset

#define LINES_MAX (1u << 17) /* power of two */
#define KEPT_MAX 16384u      /* windows of one machine */

struct threads {
	uint64_t w[LINES_THREADS / 64u];
};

struct line {
	uintptr_t number;            /* address >> LINE_BITS; 0 = empty */
	struct threads touched, has; /* while watched; as of caches that forget nothing */
	bool written;                /* while watched */
};

struct seen {
	uint32_t line; /* index */
	bool fetched;
	const struct model_site *site; /* of the first atomic operation on it, NULL = none */
};

/* What one thread touches while it is open. */
struct window {
	bool is_open;
	enum lines_kind kind;
	uint64_t *in; /* lines, as bits; NULL = never used */
	struct seen *seen;
	uint32_t n, max;
};

struct lines_kept {
	enum lines_kind kind;
	uint32_t thread, n;
	struct seen *seen;
};

static struct {
	bool watched;
	struct line *line;
	struct window window[LINES_THREADS];
	struct lines_kept kept[KEPT_MAX];
	uint32_t kept_n;
	char *stacks;
	size_t stacks_used;
} m;

void lines_fail(const char *what)
{
	(void)fprintf(stderr, "lines: %s\n", what);
	exit(1);
}

static void *must_have(void *p)
{
	if (!p)
		lines_fail("out of memory");
	return p;
}

void lines_open(void)
{
	m.line = must_have(calloc(LINES_MAX, sizeof(*m.line)));
	m.stacks = mmap(NULL, (size_t)LINES_THREADS * LINES_STACK_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m.stacks == MAP_FAILED)
		lines_fail("out of memory");
}

void lines_reset(void)
{
	memset(m.line, 0, LINES_MAX * sizeof(*m.line));
	while (m.kept_n > 0)
		free(m.kept[--m.kept_n].seen);
	m.stacks_used = 0;
}

void lines_watch(bool on)
{
	m.watched = on;
}

void *lines_stack(size_t bytes)
{
	void *p = m.stacks + m.stacks_used;

	m.stacks_used += bytes;
	if (m.stacks_used > (size_t)LINES_THREADS * LINES_STACK_BYTES)
		lines_fail("more threads than LINES_THREADS");
	return p;
}

/* ---- lines ---- */

static bool in_set(const struct threads *s, uint32_t i)
{
	return s->w[i / 64u] >> (i % 64u) & 1u;
}

static bool others_in_set(const struct threads *s, uint32_t i)
{
	uint64_t any = 0;

	for (uint32_t k = 0; k < LINES_THREADS / 64u; k++)
		any |= k == i / 64u ? s->w[k] & ~(UINT64_C(1) << (i % 64u)) : s->w[k];
	return any != 0;
}

static void add_to_set(struct threads *s, uint32_t i)
{
	s->w[i / 64u] |= UINT64_C(1) << (i % 64u);
}

static struct line *line_of(uintptr_t number)
{
	uint32_t i = (uint32_t)(number * UINT64_C(0x9E3779B97F4A7C15) >> 47);

	for (uint32_t n = 0; n < LINES_MAX; n++, i = (i + 1) & (LINES_MAX - 1)) {
		struct line *l = &m.line[i];

		if (l->number == 0)
			l->number = number;
		if (l->number == number)
			return l;
	}
	lines_fail("more lines than LINES_MAX");
}

static void note_in_window(struct window *w, const struct line *l, bool fetched, const struct model_site *site)
{
	uint32_t index = (uint32_t)(l - m.line), i = w->n;
	uint64_t *word = &w->in[index / 64u], bit = UINT64_C(1) << (index % 64u);

	if (!(*word & bit)) {
		*word |= bit;
		if (w->n == w->max) {
			w->max = w->max ? 2 * w->max : 64;
			w->seen = must_have(realloc(w->seen, w->max * sizeof(*w->seen)));
		}
		w->seen[w->n++] = (struct seen){ index, fetched, site };
		return;
	}
	do
		i--;
	while (w->seen[i].line != index);
	w->seen[i].fetched |= fetched;
	if (!w->seen[i].site)
		w->seen[i].site = site;
}

static void note(uintptr_t number, bool write, const struct model_site *site)
{
	uint32_t self = virt_self();
	struct line *l = line_of(number);
	bool others = others_in_set(&l->has, self);
	bool fetched = others && (write || !in_set(&l->has, self));

	if (write) {
		memset(&l->has, 0, sizeof(l->has));
		l->written |= m.watched;
	}
	add_to_set(&l->has, self);
	if (m.watched)
		add_to_set(&l->touched, self);
	if (m.window[self].is_open)
		note_in_window(&m.window[self], l, fetched, site);
}

static bool own_stack(const void *p)
{
	size_t a = (size_t)((const char *)p - m.stacks), here = (size_t)((char *)__builtin_frame_address(0) - m.stacks);

	return a < (size_t)LINES_THREADS * LINES_STACK_BYTES && a / LINES_STACK_BYTES == here / LINES_STACK_BYTES;
}

static void touch(const void *p, size_t bytes, bool write, const struct model_site *site)
{
	uintptr_t first = (uintptr_t)p >> LINE_BITS, last = ((uintptr_t)p + bytes - 1) >> LINE_BITS;

	if (!m.line || bytes == 0 || own_stack(p) || virt_is_local(p))
		return;
	for (uintptr_t n = first; n <= last; n++)
		note(n, write, site);
}

/* ---- windows ---- */

void lines_window(enum lines_kind kind, uint32_t thread)
{
	struct window *w = &m.window[thread];

	if (!w->in)
		w->in = must_have(calloc(LINES_MAX / 64u, sizeof(*w->in)));
	while (w->n > 0) {
		w->n--;
		w->in[w->seen[w->n].line / 64u] = 0;
	}
	w->kind = kind;
	w->is_open = true;
}

void lines_close(uint32_t thread, bool keep)
{
	struct window *w = &m.window[thread];
	struct lines_kept *k = &m.kept[m.kept_n];

	keep = keep && w->is_open;
	w->is_open = false;
	if (!keep)
		return;
	if (m.kept_n++ == KEPT_MAX)
		lines_fail("more windows than KEPT_MAX");
	*k = (struct lines_kept){ w->kind, thread, w->n, must_have(malloc((w->n + 1) * sizeof(*k->seen))) };
	if (w->n > 0)
		memcpy(k->seen, w->seen, w->n * sizeof(*k->seen));
}

void lines_close_all(void)
{
	for (uint32_t i = 0; i < LINES_THREADS; i++)
		lines_close(i, false);
}

static bool is_shared(const struct seen *s, uint32_t by)
{
	const struct line *l = &m.line[s->line];

	return l->written && others_in_set(&l->touched, by);
}

/* Now it is known which lines are shared. */
static void judge_window(const struct lines_kept *k, struct lines_count *c)
{
	uint32_t shared = 0, fetched = 0;

	for (uint32_t i = 0; i < k->n; i++) {
		shared += is_shared(&k->seen[i], k->thread);
		fetched += is_shared(&k->seen[i], k->thread) && k->seen[i].fetched;
	}
	c->windows++;
	c->shared += shared;
	c->fetched += fetched;
	c->fetched_max = fetched > c->fetched_max ? fetched : c->fetched_max;
	if (shared > c->shared_max || !c->largest) {
		c->shared_max = shared;
		c->largest = k;
	}
}

void lines_count(struct lines_count count[LINES_KINDS])
{
	memset(count, 0, LINES_KINDS * sizeof(*count));
	for (uint32_t i = 0; i < m.kept_n; i++)
		judge_window(&m.kept[i], &count[m.kept[i].kind]);
}

void lines_each(const struct lines_kept *k, void (*fn)(uintptr_t address, bool fetched, const struct model_site *site))
{
	for (uint32_t i = 0; k && i < k->n; i++)
		if (is_shared(&k->seen[i], k->thread))
			fn(m.line[k->seen[i].line].number << LINE_BITS, k->seen[i].fetched, k->seen[i].site);
}

/* ---- what the runtime calls: atomic operations (site.h), plain accesses, memory ---- */

uint64_t model_load(const struct model_site *site, void *addr, unsigned bytes)
{
	touch(addr, bytes, false, site);
	return word_peek(addr, bytes);
}

void model_store(const struct model_site *site, void *addr, unsigned bytes, uint64_t x)
{
	touch(addr, bytes, true, site);
	word_poke(addr, bytes, x);
}

uint64_t model_rmw(const struct model_site *site, void *addr, unsigned bytes, uint64_t x)
{
	uint64_t old = word_peek(addr, bytes), new = x;

	if (site->kind == MODEL_ADD)
		new = old + x;
	else if (site->kind == MODEL_SUB)
		new = old - x;
	else if (site->kind == MODEL_OR)
		new = old | x;
	else if (site->kind == MODEL_AND)
		new = (old & x);
	touch(addr, bytes, true, site);
	word_poke(addr, bytes, new);
	return old;
}

/* One that fails takes the line as well. */
bool model_cas(const struct model_site *site, void *addr, unsigned bytes, uint64_t *expected, uint64_t x)
{
	uint64_t old = word_peek(addr, bytes);
	bool done = old == *expected;

	touch(addr, bytes, true, site);
	if (done)
		word_poke(addr, bytes, x);
	*expected = old;
	return done;
}

bool model_cas_pair(const struct model_site *site, uint64_t *pair, const uint64_t expected[2], const uint64_t x[2])
{
	bool done = pair[0] == expected[0] && pair[1] == expected[1];

	touch(pair, 16, true, site);
	if (done)
		memcpy(pair, x, 16);
	return done;
}

void model_init(const struct model_site *site, void *addr, unsigned bytes, uint64_t x)
{
	model_store(site, addr, bytes, x);
}

void hook_access(const void *p, size_t bytes, bool write)
{
	touch(p, bytes, write, NULL);
}

void *virt_arena_calloc(size_t n, size_t size)
{
	return calloc(n, size);
}

void virt_arena_free(void *p)
{
	free(p);
}

void *virt_loose_block_alloc(size_t size, size_t align)
{
	void *p = NULL;

	return posix_memalign(&p, align < 16 ? 16 : align, size) == 0 ? memset(p, 0, size) : NULL;
}

void virt_loose_block_free(void *p, size_t size, size_t align)
{
	(void)size;
	(void)align;
	free(p);
}
