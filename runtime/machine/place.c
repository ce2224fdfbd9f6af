/* machine/place.c - see place.h. SPDX-License-Identifier: MIT */
#include "machine/place.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

#define LIST_TEXT 160u   /* a list of cpus in a message */
#define NUMBER_MAX 65535u

enum level_type { LEVEL_PACKAGE, LEVEL_NUMA, LEVEL_L3, LEVEL_KIND, LEVEL_CORE, LEVEL_PU, LEVEL_CPUS, LEVEL_ALL };

static const struct {
	const char *name, *what;
} levels[] = {
	[LEVEL_PACKAGE] = { "package", "package" },
	[LEVEL_NUMA] = { "numa", "NUMA node" },
	[LEVEL_L3] = { "l3", "L3 cache" },
	[LEVEL_KIND] = { "kind", "kind" },
	[LEVEL_CORE] = { "core", "core" },
	[LEVEL_PU] = { "pu", "pu" },
	[LEVEL_CPUS] = { "cpus", "cpu" },
	[LEVEL_ALL] = { "all", "machine" },
};

struct item {
	uint32_t a, b;
};

struct level {
	enum level_type type;
	bool any; /* '*' */
	enum shunt_cpu_kind kind;
	uint32_t items_n;
	struct item items[SH_PLACE_ITEMS_MAX];
};

struct parser {
	const struct shunt_topo *t;
	const char *text;
	size_t at;       /* offset of the next character */
	size_t term_at;  /* begin of the current term */
	size_t term_end; /* its end, once known */
	uint16_t *out;   /* chosen cpus in order */
	uint32_t out_n;
	struct sh_cpus chosen;  /* indexes into pus */
	struct sh_cpus dropped; /* excluded by '!' */
	bool exclude;           /* the current term has '!' */
	bool found;             /* the term named something that exists */
	bool reached;           /* the term named something allowed */
	uint32_t depth;
	struct level path[SH_PLACE_DEPTH_MAX];
};

/* ---- messages ---- */

/* Every message starts with its term, or the whole text if that is empty, cut and free of control characters. */
static SH_COLD int fail(const struct parser *p, size_t end, const char *fmt, ...) SH_PRINTF(3, 4);
static int fail(const struct parser *p, size_t end, const char *fmt, ...)
{
	char text[72], what[400];
	size_t from = p->term_at, n = 0, len;
	va_list ap;

	if (from >= end || p->text[from] == ',') {
		from = 0;
		end = strlen(p->text);
	}
	len = end - from;
	for (size_t i = from; i < end && n < 60; i++)
		text[n++] = isprint((unsigned char)p->text[i]) ? p->text[i] : '?';
	text[n] = '\0';
	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return sh_error_set(SHUNT_EPLACE, "'%s%s': %s", text, len > n ? "..." : "", what);
}

/* Error message for an unexpected character. */
static SH_COLD int syntax(const struct parser *p, const char *right)
{
	size_t end = p->at + (p->text[p->at] != '\0');
	char found[16] = "the end", c = p->text[p->at];

	while (p->text[end] && p->text[end] != ',')
		end++;
	if (c)
		(void)snprintf(found, sizeof(found), "'%c'", isprint((unsigned char)c) ? c : '?');
	return fail(p, end, "offset %zu: expected %s, found %s", p->at, right, found);
}

static const char *list_text(const struct sh_cpus *s, char *buf, size_t len)
{
	if (sh_cpus_format(s, buf, len) >= len)
		memcpy(buf + len - 4, "...", 4);
	return buf[0] ? buf : "none";
}

static SH_COLD int unavailable(const struct parser *p, const char *fmt, ...) SH_PRINTF(2, 3);
static int unavailable(const struct parser *p, const char *fmt, ...)
{
	char what[96], list[LIST_TEXT];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return fail(p, p->term_end, "%s; allowed cpus: %s", what, list_text(&p->t->allowed, list, sizeof(list)));
}

/* ---- text to levels ---- */

static void blanks(struct parser *p)
{
	while (p->text[p->at] == ' ' || p->text[p->at] == '\t')
		p->at++;
}

static bool eat(struct parser *p, char c)
{
	blanks(p);
	if (p->text[p->at] != c)
		return false;
	p->at++;
	blanks(p);
	return true;
}

static int read_number(struct parser *p, const char *right, uint32_t *out)
{
	size_t start = p->at;
	uint32_t v = 0;

	if (!isdigit((unsigned char)p->text[p->at]))
		return syntax(p, right);
	if (p->text[p->at] == '0' && isdigit((unsigned char)p->text[p->at + 1]))
		return syntax(p, "a number without leading zeros (a list such as 0-3,8, not a mask)");
	for (; isdigit((unsigned char)p->text[p->at]); p->at++) {
		v = v * 10 + (uint32_t)(p->text[p->at] - '0');
		if (v > NUMBER_MAX) {
			p->at = start;
			return syntax(p, "a number up to 65535");
		}
	}
	*out = v;
	return SHUNT_OK;
}

static int read_list(struct parser *p, struct level *l, const char *right)
{
	do {
		struct item *it = &l->items[l->items_n];
		size_t start = p->at;
		int rc;

		if (l->items_n == SH_PLACE_ITEMS_MAX)
			return syntax(p, "at most 64 numbers and ranges in one list (use several terms)");
		rc = read_number(p, right, &it->a);
		it->b = it->a;
		if (rc == SHUNT_OK && eat(p, '-'))
			rc = read_number(p, "the last number of the range, as in 2-5", &it->b);
		if (rc < 0)
			return rc;
		if (it->b < it->a) {
			p->at = start;
			return syntax(p, "a range that goes up, as in 2-5");
		}
		l->items_n++;
	} while (eat(p, '+'));
	return SHUNT_OK;
}

static size_t word_length(const struct parser *p)
{
	size_t n = 0;

	while (isalnum((unsigned char)p->text[p->at + n]))
		n++;
	return n;
}

static bool is_word(const struct parser *p, size_t n, const char *word)
{
	return strlen(word) == n && strncmp(p->text + p->at, word, n) == 0;
}

static int read_kind(struct parser *p, struct level *l)
{
	size_t n = word_length(p);

	if (is_word(p, n, "performance"))
		l->kind = SHUNT_CPU_PERFORMANCE;
	else if (is_word(p, n, "efficiency"))
		l->kind = SHUNT_CPU_EFFICIENCY;
	else
		return syntax(p, "'performance' or 'efficiency' after 'kind:'");
	p->at += n;
	return SHUNT_OK;
}

/* May this level follow those before it? Only pu follows core, none twice, cpus and all alone. */
static int check_order(struct parser *p, enum level_type type)
{
	for (uint32_t i = 0; i < p->depth; i++) {
		enum level_type before = p->path[i].type;

		if (before == LEVEL_ALL || before == LEVEL_CPUS)
			return syntax(p, "',' or the end ('all' and cpu lists take no levels below them)");
		if (type == LEVEL_ALL || type == LEVEL_CPUS)
			return syntax(p, "package, numa, l3, kind, core or pu ('all' and 'cpus' stand alone)");
		if (before == type)
			return syntax(p, "each level once in a path");
		if (before == LEVEL_PU)
			return syntax(p, "',' or the end (nothing is narrower than pu)");
		if (before == LEVEL_CORE && type != LEVEL_PU)
			return syntax(p, "pu (a path goes from wide to narrow: package, numa, l3, kind, core, pu)");
	}
	return SHUNT_OK;
}

static int read_level(struct parser *p)
{
	static const char right[] = "all, cpus:, package:, numa:, l3:, core:, pu:, kind: or a cpu number";
	size_t n = word_length(p), type = 0;
	struct level *l;
	int rc;

	while (type < SH_COUNT(levels) && !is_word(p, n, levels[type].name))
		type++;
	if (type == SH_COUNT(levels)) {
		if (!isdigit((unsigned char)p->text[p->at]))
			return syntax(p, right);
		type = LEVEL_CPUS;
	}
	rc = check_order(p, (enum level_type)type);
	if (rc < 0)
		return rc;
	assert(p->depth < SH_PLACE_DEPTH_MAX);
	l = &p->path[p->depth];
	memset(l, 0, sizeof(*l));
	l->type = (enum level_type)type;
	if (isdigit((unsigned char)p->text[p->at])) {
		rc = read_list(p, l, "a cpu number");
	} else {
		p->at += n;
		if (type == LEVEL_ALL)
			rc = SHUNT_OK;
		else if (!eat(p, ':'))
			rc = syntax(p, "':'");
		else if (type == LEVEL_KIND)
			rc = read_kind(p, l);
		else if (type != LEVEL_CPUS && eat(p, '*'))
			l->any = true;
		else
			rc = read_list(p, l, type == LEVEL_CPUS ? "a cpu number or a range such as 2-5" :
								  "'*', a number or a range such as 2-5");
	}
	p->depth++;
	return rc;
}

/* ---- levels to cpus ---- */

static uint32_t id_of(const struct parser *p, enum level_type type, uint32_t pu)
{
	const struct shunt_topo_pu *x = &p->t->pus[pu];

	switch (type) {
	case LEVEL_PACKAGE: return x->package;
	case LEVEL_NUMA: return x->node;
	case LEVEL_L3: return x->l3;
	case LEVEL_CORE: return x->core;
	case LEVEL_KIND: return (uint32_t)x->kind;
	default: return pu;
	}
}

/* The members of `in` below child `id`. */
static void child_set(const struct parser *p, enum level_type type, uint32_t id, const struct sh_cpus *in,
		      struct sh_cpus *out)
{
	memset(out, 0, sizeof(*out));
	for (uint32_t i = 0; i < p->t->pus_n; i++) {
		if (sh_cpus_has(in, i) && id_of(p, type, i) == id)
			sh_cpus_add(out, i);
	}
}

/* Id of child k of `in`, in machine order. NONE when there are fewer, then *count = how many. */
static uint32_t child_id(const struct parser *p, enum level_type type, uint32_t k, const struct sh_cpus *in,
			 uint32_t *count)
{
	uint32_t n = 0;
	struct sh_cpus seen;

	memset(&seen, 0, sizeof(seen));
	for (uint32_t i = 0; i < p->t->pus_n; i++) {
		uint32_t id = sh_cpus_has(in, i) ? id_of(p, type, i) : SHUNT_TOPO_NONE;

		if (id == SHUNT_TOPO_NONE || sh_cpus_has(&seen, id))
			continue;
		sh_cpus_add(&seen, id);
		if (n++ == k)
			return id;
	}
	*count = n;
	return SHUNT_TOPO_NONE;
}

static SH_COLD int no_child(const struct parser *p, uint32_t level, uint32_t k, uint32_t count)
{
	const char *what = levels[p->path[level].type].what;
	const struct shunt_topo *t = p->t;
	uint32_t node = level ? SHUNT_TOPO_NONE : sh_topo_node_find(t, k);
	struct sh_cpus have;
	char list[LIST_TEXT];

	memset(&have, 0, sizeof(have));
	if (p->path[level].type == LEVEL_NUMA && level == 0) {
		for (uint32_t i = 0; i < t->nodes_n; i++) {
			if (t->nodes[i].has_cpus && t->nodes[i].os_node < SH_CPUS_MAX)
				sh_cpus_add(&have, t->nodes[i].os_node);
		}
		if (node != SHUNT_TOPO_NONE)
			return fail(p, p->term_end, "NUMA node %u has memory but no cpus; available: %s", k,
				    list_text(&have, list, sizeof(list)));
	} else {
		for (uint32_t i = 0; i < count && i < SH_CPUS_MAX; i++)
			sh_cpus_add(&have, i);
	}
	return fail(p, p->term_end, "no %s %u%s; available: %s", what, k, level ? " there" : "",
		    list_text(&have, list, sizeof(list)));
}

/* Takes the cpus of a complete path. `named` = it has no wildcard: an empty result is an error. */
static int take(struct parser *p, const struct sh_cpus *in, bool named)
{
	uint32_t got = 0;

	for (uint32_t i = 0; i < p->t->pus_n; i++) {
		if (!sh_cpus_has(in, i))
			continue;
		p->found = true;
		if (p->exclude) {
			sh_cpus_add(&p->dropped, i);
		} else if (p->t->pus[i].allowed) {
			got++;
			if (sh_cpus_has(&p->chosen, i))
				continue;
			sh_cpus_add(&p->chosen, i);
			p->out[p->out_n++] = (uint16_t)i;
		}
	}
	p->reached = p->reached || got;
	if (!named || p->exclude || got)
		return SHUNT_OK;
	for (uint32_t i = 0; i < p->t->pus_n; i++) {
		if (sh_cpus_has(in, i) && sh_cpus_count(in) == 1)
			return unavailable(p, "cpu %u is not allowed", p->t->pus[i].os_cpu);
	}
	return unavailable(p, "no cpu of it is allowed");
}

static int eval(struct parser *p, uint32_t level, const struct sh_cpus *in, bool named);

/* Evaluates child k. Sets *count to the number of children only if k is not among them. */
static int eval_number(struct parser *p, uint32_t level, uint32_t k, const struct sh_cpus *in, bool named,
		       uint32_t *count)
{
	enum level_type type = p->path[level].type;
	struct sh_cpus set;
	uint32_t id;

	if (type == LEVEL_NUMA && level == 0)
		id = sh_topo_node_find(p->t, k); /* the kernel's number */
	else
		id = child_id(p, type, k, in, count);
	if (id != SHUNT_TOPO_NONE) {
		child_set(p, type, id, in, &set);
		if (sh_cpus_count(&set))
			return eval(p, level + 1, &set, named);
	}
	return named ? no_child(p, level, k, *count) : SHUNT_OK;
}

/*
 * Each number of the list once, in its order. A repetition adds nothing, and in nested lists its
 * cost would multiply.
 */
static int eval_list(struct parser *p, uint32_t level, const struct sh_cpus *in, bool named)
{
	const struct level *l = &p->path[level];
	struct sh_cpus done;

	memset(&done, 0, sizeof(done));
	for (uint32_t i = 0; i < l->items_n; i++) {
		for (uint32_t k = l->items[i].a; k <= l->items[i].b; k++) {
			uint32_t count = UINT32_MAX;
			int rc;

			if (sh_cpus_has(&done, k))
				continue;
			if (k < SH_CPUS_MAX)
				sh_cpus_add(&done, k);
			rc = eval_number(p, level, k, in, named, &count);
			if (rc < 0)
				return rc;
			if (k >= count)
				break; /* no higher one exists either */
		}
	}
	return SHUNT_OK;
}

static int eval_any(struct parser *p, uint32_t level, const struct sh_cpus *in)
{
	enum level_type type = p->path[level].type;
	struct sh_cpus set, seen;
	int rc = SHUNT_OK;

	memset(&seen, 0, sizeof(seen));
	for (uint32_t i = 0; i < p->t->pus_n && rc == SHUNT_OK; i++) {
		uint32_t id = sh_cpus_has(in, i) ? id_of(p, type, i) : SHUNT_TOPO_NONE;

		if (id == SHUNT_TOPO_NONE || sh_cpus_has(&seen, id))
			continue;
		sh_cpus_add(&seen, id);
		child_set(p, type, id, in, &set);
		rc = eval(p, level + 1, &set, false);
	}
	return rc;
}

static int eval(struct parser *p, uint32_t level, const struct sh_cpus *in, bool named)
{
	const struct level *l = &p->path[level];
	struct sh_cpus set;

	if (level == p->depth || l->type == LEVEL_ALL)
		return take(p, in, named);
	if (l->type == LEVEL_KIND) {
		child_set(p, l->type, (uint32_t)l->kind, in, &set);
		if (sh_cpus_count(&set))
			return eval(p, level + 1, &set, named);
		if (!named)
			return SHUNT_OK;
		return unavailable(p, "no %s cores%s", l->kind == SHUNT_CPU_EFFICIENCY ? "efficiency" : "performance",
				   level ? " there" : " on this machine");
	}
	if (l->any)
		return eval_any(p, level, in);
	return eval_list(p, level, in, named);
}

static int eval_cpus(struct parser *p)
{
	const struct level *l = &p->path[0];

	for (uint32_t i = 0; i < l->items_n; i++) {
		for (uint32_t c = l->items[i].a; c <= l->items[i].b; c++) {
			const struct shunt_topo_pu *pu = sh_topo_pu_find(p->t, c);
			struct sh_cpus one;
			int rc;

			if (!pu)
				return unavailable(p, "cpu %u does not exist", c);
			if (!pu->online && !p->exclude)
				return unavailable(p, "cpu %u is offline", c);
			if (sh_cpus_has(p->exclude ? &p->dropped : &p->chosen, (uint32_t)(pu - p->t->pus)))
				continue;
			memset(&one, 0, sizeof(one));
			sh_cpus_add(&one, (uint32_t)(pu - p->t->pus));
			rc = take(p, &one, true);
			if (rc < 0)
				return rc;
		}
	}
	return SHUNT_OK;
}

static int eval_term(struct parser *p)
{
	struct sh_cpus in;
	int rc;

	p->found = p->reached = false;
	if (p->path[0].type == LEVEL_CPUS)
		return eval_cpus(p);
	memset(&in, 0, sizeof(in));
	for (uint32_t i = 0; i < p->t->pus_n; i++) {
		if (p->t->pus[i].online)
			sh_cpus_add(&in, i);
	}
	rc = eval(p, 0, &in, true);
	if (rc < 0)
		return rc;
	if (!p->found)
		return unavailable(p, "there is no such place on this machine");
	if (!p->exclude && !p->reached)
		return unavailable(p, "no cpu of it is allowed");
	return SHUNT_OK;
}

/* ---- the whole expression ---- */

static int read_term(struct parser *p)
{
	int rc;

	blanks(p);
	p->term_at = p->at;
	p->depth = 0;
	p->exclude = eat(p, '!');
	do {
		rc = read_level(p);
	} while (rc == SHUNT_OK && eat(p, '.'));
	if (rc < 0)
		return rc;
	p->term_end = p->at;
	while (p->term_end > p->term_at && isspace((unsigned char)p->text[p->term_end - 1]))
		p->term_end--;
	blanks(p);
	if (p->text[p->at] && p->text[p->at] != ',')
		return syntax(p, "'.', ',' or the end");
	return eval_term(p);
}

/* Removes the excluded cpus. An expression of exclusions only starts from all. */
static int finish(struct parser *p, bool included, uint32_t *n)
{
	uint32_t kept = 0;

	if (!included) {
		for (uint32_t i = 0; i < p->t->pus_n; i++) {
			if (p->t->pus[i].allowed)
				p->out[p->out_n++] = (uint16_t)i;
		}
	}
	for (uint32_t i = 0; i < p->out_n; i++) {
		if (!sh_cpus_has(&p->dropped, p->out[i]))
			p->out[kept++] = p->out[i];
	}
	*n = kept;
	if (kept)
		return SHUNT_OK;
	p->term_at = 0;
	p->term_end = strlen(p->text);
	return unavailable(p, "the exclusions leave no cpu");
}

int sh_place_parse(const struct shunt_topo *t, const char *expr, uint16_t *pus, uint32_t *n)
{
	struct parser p;
	bool included = false;
	int rc;

	assert(t != NULL && pus != NULL && n != NULL);
	*n = 0;
	memset(&p, 0, sizeof(p));
	p.t = t;
	p.text = expr ? expr : "all";
	p.out = pus;
	sh_error_detail_clear();
	if (strnlen(p.text, SH_PLACE_TEXT_MAX + 1) > SH_PLACE_TEXT_MAX)
		return fail(&p, SH_PLACE_TEXT_MAX, "longer than %u characters", SH_PLACE_TEXT_MAX);
	do {
		rc = read_term(&p);
		included = included || !p.exclude;
		if (rc < 0)
			return rc;
	} while (eat(&p, ','));
	return finish(&p, included, n);
}
