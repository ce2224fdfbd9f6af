/* config/yaml_load.c - see yaml_load.h. SPDX-License-Identifier: MIT */
#include "config/yaml_load.h"

#include <stdio.h>
#include <string.h>

#include <shunt/error.h>
#include <yaml.h>

#include "base/inject.h"
#include "base/mem.h"

struct open_node {
	uint32_t node;
	uint32_t last;    /* last child, or SH_YAML_NONE */
	uint32_t entries; /* children so far */
};

struct loader {
	struct sh_yaml *y;
	struct open_node open[SH_YAML_DEPTH_MAX];
	unsigned depth;
	unsigned documents;
	const char *text;
	size_t len;
	sh_yaml_problem_fn problem;
	void *arg;
};

static void report(const struct loader *l, unsigned line, const char *message)
{
	l->problem(l->arg, line, message);
}

static void *grow(void *old, uint32_t *capacity, uint32_t need, size_t item)
{
	uint32_t n = *capacity ? *capacity : 64u;
	void *p = NULL;

	while (n < need)
		n *= 2u;
	if (SH_FAIL("config.alloc"))
		return NULL;
	p = sh_heap_resize(old, n, item);
	if (p)
		*capacity = n;
	return p;
}

/* Copies a text. Returns its offset, or SH_YAML_NONE. The caller excludes embedded NULs. */
static uint32_t text_add(struct sh_yaml *y, const char *s, size_t len)
{
	uint32_t at = y->text_used;
	uint32_t need = at + (uint32_t)len + 1u;

	/* An escape gives at most 3 bytes for 2 of the bounded file: `need` is far below 2^32. */
	if (need > y->text_capacity) {
		char *p = grow(y->text, &y->text_capacity, need, 1);

		if (!p)
			return SH_YAML_NONE;
		y->text = p;
	}
	if (len)
		memcpy(y->text + at, s, len);
	y->text[at + len] = '\0';
	y->text_used = need;
	return at;
}

/* Appends a node to the innermost open one. 0, SHUNT_ENOMEM, or SHUNT_ECONFIG beyond a bound. */
static int node_add(struct loader *l, enum sh_yaml_kind kind, unsigned line, uint32_t *out)
{
	struct sh_yaml *y = l->y;
	struct open_node *up = l->depth ? &l->open[l->depth - 1] : NULL;
	char message[80];

	if (up && ++up->entries > SH_YAML_ENTRIES_MAX * (y->nodes[up->node].kind == SH_YAML_MAP ? 2u : 1u)) {
		(void)snprintf(message, sizeof(message), "more than %u entries; want fewer", SH_YAML_ENTRIES_MAX);
		report(l, line, message);
		return SHUNT_ECONFIG;
	}
	if (y->count == y->capacity) {
		struct sh_yaml_node *p = grow(y->nodes, &y->capacity, y->count + 1u, sizeof(*p));

		if (!p)
			return SHUNT_ENOMEM;
		y->nodes = p;
	}
	*out = y->count++;
	y->nodes[*out] = (struct sh_yaml_node){ .kind = kind, .line = line, .first = SH_YAML_NONE, .next = SH_YAML_NONE };
	if (up && up->last == SH_YAML_NONE)
		y->nodes[up->node].first = *out;
	else if (up)
		y->nodes[up->last].next = *out;
	if (up)
		up->last = *out;
	return 0;
}

static int scalar_add(struct loader *l, unsigned line, const char *text, size_t len, bool plain, bool refused)
{
	uint32_t node = 0;
	int rc = node_add(l, SH_YAML_SCALAR, line, &node);
	struct sh_yaml_node *n = NULL;

	if (rc)
		return rc;
	n = &l->y->nodes[node];
	n->plain = plain;
	n->refused = refused;
	if (!refused && memchr(text, 0, len)) {
		report(l, line, "a text with a zero byte; want text without \\0");
		n->refused = true;
	}
	n->text = n->refused ? text_add(l->y, "", 0) : text_add(l->y, text, len);
	return n->text == SH_YAML_NONE ? SHUNT_ENOMEM : 0;
}

static int open_add(struct loader *l, enum sh_yaml_kind kind, unsigned line, bool refused)
{
	uint32_t node = 0;
	char message[80];
	int rc = 0;

	if (l->depth == SH_YAML_DEPTH_MAX) {
		(void)snprintf(message, sizeof(message), "nested deeper than %u levels; want a flatter file", SH_YAML_DEPTH_MAX);
		report(l, line, message);
		return SHUNT_ECONFIG;
	}
	rc = node_add(l, kind, line, &node);
	if (rc)
		return rc;
	l->y->nodes[node].refused = refused;
	l->y->nodes[node].text = text_add(l->y, "", 0);
	if (l->y->nodes[node].text == SH_YAML_NONE)
		return SHUNT_ENOMEM;
	l->open[l->depth++] = (struct open_node){ .node = node, .last = SH_YAML_NONE };
	return 0;
}

/* Reports an anchor or a tag. True if the node must be refused. */
static bool decorated(const struct loader *l, unsigned line, const void *anchor, const void *tag)
{
	if (anchor)
		report(l, line, "anchors (&name) are not supported; write the value where it is used");
	if (tag)
		report(l, line, "tags (!name) are not supported; write the value alone");
	return anchor || tag;
}

static int event_apply(struct loader *l, const yaml_event_t *e)
{
	unsigned line = (unsigned)e->start_mark.line + 1u;

	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (l->documents++ == 0)
			return 0;
		report(l, line, "a second document; want one document in a file");
		return SHUNT_ECONFIG;
	case YAML_ALIAS_EVENT:
		report(l, line, "aliases (*name) are not supported; write the value out");
		return scalar_add(l, line, "", 0, true, true);
	case YAML_SCALAR_EVENT:
		return scalar_add(l, line, (const char *)e->data.scalar.value, e->data.scalar.length,
				  e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE,
				  decorated(l, line, e->data.scalar.anchor, e->data.scalar.tag));
	case YAML_SEQUENCE_START_EVENT:
		return open_add(l, SH_YAML_LIST, line,
				decorated(l, line, e->data.sequence_start.anchor, e->data.sequence_start.tag));
	case YAML_MAPPING_START_EVENT:
		return open_add(l, SH_YAML_MAP, line,
				decorated(l, line, e->data.mapping_start.anchor, e->data.mapping_start.tag));
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		assert(l->depth > 0);
		l->depth--;
		return 0;
	default:
		return 0;
	}
}

/* True when the parser stopped at a tab. */
static bool at_tab(const struct loader *l, const yaml_parser_t *p)
{
	const char *s = l->text;
	const char *end = l->text + l->len;
	size_t line;

	for (line = 0; line < p->problem_mark.line && s; line++) {
		s = memchr(s, '\n', (size_t)(end - s));
		s = s ? s + 1 : NULL;
	}
	return s && p->problem_mark.column < (size_t)(end - s) && s[p->problem_mark.column] == '\t';
}

static int syntax_error(const struct loader *l, const yaml_parser_t *p)
{
	char message[200];
	unsigned line = (unsigned)p->problem_mark.line + 1u;
	const char *what = p->problem ? p->problem : "cannot be read";
	size_t i;

	if (p->error == YAML_MEMORY_ERROR)
		return SHUNT_ENOMEM;
	if (p->error == YAML_READER_ERROR) {
		/* The reader reports a byte offset, not a line. */
		for (line = 1, i = 0; i < p->problem_offset && i < l->len; i++)
			line += l->text[i] == '\n';
		(void)snprintf(message, sizeof(message), "not UTF-8 text (%s); want UTF-8 without control characters", what);
	} else if (at_tab(l, p)) {
		(void)snprintf(message, sizeof(message), "not YAML: a tab where only spaces may be; want spaces");
	} else if (p->context) {
		(void)snprintf(message, sizeof(message), "not YAML: %s %s; want `key: value` lines", what, p->context);
	} else {
		(void)snprintf(message, sizeof(message), "not YAML: %s; want `key: value` lines", what);
	}
	report(l, line, message);
	return SHUNT_ECONFIG;
}

static int parse_all(struct loader *l, yaml_parser_t *parser)
{
	bool more = true;
	int rc = 0;

	while (more && rc == 0) {
		yaml_event_t e;

		if (SH_FAIL("config.yaml"))
			return SHUNT_ENOMEM;
		if (!yaml_parser_parse(parser, &e))
			return syntax_error(l, parser);
		more = e.type != YAML_STREAM_END_EVENT;
		rc = event_apply(l, &e);
		yaml_event_delete(&e);
	}
	return rc;
}

int sh_yaml_load(struct sh_yaml *out, const char *text, size_t len, sh_yaml_problem_fn problem, void *arg)
{
	struct loader l = { .y = out, .text = text, .len = len, .problem = problem, .arg = arg };
	yaml_parser_t parser;
	char message[80];
	int rc = 0;

	memset(out, 0, sizeof(*out));
	if (len > SH_YAML_BYTES_MAX) {
		(void)snprintf(message, sizeof(message), "larger than %u bytes; want a smaller file", SH_YAML_BYTES_MAX);
		report(&l, 1, message);
		return SHUNT_ECONFIG;
	}
	if (SH_FAIL("config.alloc") || !yaml_parser_initialize(&parser))
		return SHUNT_ENOMEM;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	rc = parse_all(&l, &parser);
	yaml_parser_delete(&parser);
	if (rc)
		sh_yaml_free(out);
	return rc;
}

void sh_yaml_free(struct sh_yaml *y)
{
	sh_heap_free(y->nodes);
	sh_heap_free(y->text);
	memset(y, 0, sizeof(*y));
}

const char *sh_yaml_text(const struct sh_yaml *y, uint32_t node)
{
	assert(node < y->count);
	return y->text + y->nodes[node].text;
}

bool sh_yaml_is_null(const struct sh_yaml *y, uint32_t node)
{
	const char *s = sh_yaml_text(y, node);

	return y->nodes[node].kind == SH_YAML_SCALAR && y->nodes[node].plain && !y->nodes[node].refused &&
	       (!s[0] || strcmp(s, "~") == 0 || strcmp(s, "null") == 0);
}
