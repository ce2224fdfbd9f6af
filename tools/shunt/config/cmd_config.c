/* shunt/config/cmd_config.c - see cmd_config.h. SPDX-License-Identifier: MIT */
#include "config/cmd_config.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <shunt/config.h>

#include "common/cli.h"
#include "common/fmt.h"
#include "config/doc_shim.h"
#include "config/place_check.h"

#define LINE_WIDTH 80u
#define FROM_WIDTH 11u /* the column "from" with two gaps: "default" */

static const char config_help[] =
	"usage: shunt config [--config FILE] [--set KEY=VALUE]... [--json]\n"
	"       shunt config --check FILE [--set KEY=VALUE]...\n"
	"       shunt config --markdown\n"
	"\n"
	"Shows the effective value of every configuration key and where it comes from: flag, environment, file or\n"
	"default, the first of these that sets it. docs/CONFIG.md explains the keys.\n"
	"\n"
	"  -f, --config FILE    read this YAML file\n"
	"  -s, --set KEY=VALUE  set one key, such as pools.io.workers=4; may be repeated\n"
	"  -c, --check FILE     only check FILE, without the environment: prints \"FILE: ok\", or every problem\n"
	"                       (it may be for another machine: shunt topo --place shows if this one has the place)\n"
	"  -j, --json           print a JSON document\n"
	"  -m, --markdown       print the reference of all keys, docs/CONFIG.md\n"
	"  -h, --help           this text\n"
	"\n"
	"Exit code: 0 ok, 1 output failed, 2 bad usage or bad configuration (problems on standard error).\n";

struct args {
	const char *file;
	const char *check;
	const char **sets; /* [argc] */
	size_t sets_count;
	bool json;
	bool markdown;
};

struct row {
	char *key, *value, *origin;
};

struct table {
	struct row *row;
	size_t count, capacity;
	size_t key_width, value_width;
};

static void table_free(struct table *t)
{
	size_t i;

	for (i = 0; i < t->count; i++) {
		free(t->row[i].key);
		free(t->row[i].value);
		free(t->row[i].origin);
	}
	free(t->row);
}

static size_t widest(size_t width, const char *s)
{
	size_t n = strlen(s);

	return n > width ? n : width;
}

static int table_add(void *arg, const char *key, const char *value, const char *origin, const char *help)
{
	struct table *t = arg;
	struct row *r = NULL;

	(void)help;
	if (t->count == t->capacity) {
		size_t n = t->capacity ? 2 * t->capacity : 64;
		struct row *p = realloc(t->row, n * sizeof(*p));

		if (!p)
			return SHUNT_ENOMEM;
		t->row = p;
		t->capacity = n;
	}
	r = &t->row[t->count++];
	*r = (struct row){ .key = strdup(key), .value = strdup(value), .origin = strdup(origin) };
	if (!r->key || !r->value || !r->origin)
		return SHUNT_ENOMEM;
	t->key_width = widest(t->key_width, key);
	t->value_width = widest(t->value_width, value);
	return 0;
}

/* One line; a value may push its own line beyond the width that the others keep to. */
static void print_row(const struct table *t, const struct row *r)
{
	(void)printf("%-*s  ", (int)t->key_width, r->key);
	fmt_print_path(stdout, r->value);
	(void)printf("%*s  ", strlen(r->value) < t->value_width ? (int)(t->value_width - strlen(r->value)) : 0, "");
	fmt_print_path(stdout, r->origin);
	(void)putchar('\n');
}

static int print_table(const struct shunt_config *c)
{
	struct table t = { .key_width = 3, .value_width = 5 };
	size_t i;
	int rc = shunt_config_visit(c, table_add, &t);

	if (t.key_width + t.value_width + FROM_WIDTH > LINE_WIDTH)
		t.value_width = t.key_width + FROM_WIDTH + 5 < LINE_WIDTH ? LINE_WIDTH - FROM_WIDTH - t.key_width : 5;
	if (rc == 0) {
		(void)printf("%-*s  %-*s  %s\n", (int)t.key_width, "key", (int)t.value_width, "value", "from");
		for (i = 0; i < t.count; i++)
			print_row(&t, &t.row[i]);
	}
	table_free(&t);
	return rc;
}

static int json_add(void *arg, const char *key, const char *value, const char *origin, const char *help)
{
	/* The name of a file in an origin may be invalid UTF-8. */
	json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "key", key, "value", value, "origin", origin, "help", help);

	if (!o)
		o = json_pack("{s:s, s:s, s:n, s:s}", "key", key, "value", value, "origin", "help", help);
	return json_array_append_new(arg, o) == 0 ? 0 : SHUNT_ENOMEM;
}

static int print_json(const struct shunt_config *c)
{
	json_t *values = json_array();
	json_t *doc = NULL;
	int rc = values ? shunt_config_visit(c, json_add, values) : SHUNT_ENOMEM;

	if (rc == 0) {
		doc = json_pack("{s:O}", "config", values);
		rc = doc ? 0 : SHUNT_ENOMEM;
	}
	if (rc == 0 && !fmt_json_write(doc, stdout))
		rc = SHUNT_ENOMEM;
	json_decref(doc);
	json_decref(values);
	return rc;
}

/* One problem a line; a file's name may hold anything. */
static void print_errors(const char *line)
{
	while (*line) { /* bound: the text */
		size_t n = strcspn(line, "\n");

		cli_put_line(line, n);
		line += n + (line[n] == '\n');
	}
}

/* A visitor: checks the grammar of a place. The configuration itself checks only its length. */
static int check_place(void *arg, const char *key, const char *value, const char *origin, const char *help)
{
	bool *bad = arg;
	char line[2048];
	char why[512];
	int rc;

	(void)help;
	if (strncmp(key, "pools.", 6) != 0 || strcmp(key + 6 + strcspn(key + 6, "."), ".place") != 0 ||
	    strcmp(origin, "default") == 0)
		return 0;
	rc = place_check(value, why, sizeof(why));
	if (rc != SHUNT_EPLACE)
		return rc;
	(void)snprintf(line, sizeof(line), "%s: %s: %s; want a place such as 0-3,8 or numa:1.core:*.pu:0", origin, key, why);
	cli_put_line(line, strlen(line));
	*bad = true;
	return 0;
}

/* Loads all sources, weak to strong; reports bad values at the end. 0 or SHUNT_ENOMEM. */
static int load(struct shunt_config *c, const struct args *a)
{
	const char *file = a->check ? a->check : a->file;
	size_t i;

	if (file && shunt_config_load_file(c, file) == SHUNT_ENOMEM)
		return SHUNT_ENOMEM;
	if (!a->check && shunt_config_load_env(c, NULL) == SHUNT_ENOMEM)
		return SHUNT_ENOMEM;
	for (i = 0; i < a->sets_count; i++)
		if (shunt_config_set(c, "--set", a->sets[i]) == SHUNT_ENOMEM)
			return SHUNT_ENOMEM;
	return shunt_config_check(c) == SHUNT_ENOMEM ? SHUNT_ENOMEM : 0;
}

static int show(const struct args *a)
{
	struct shunt_config *c = NULL;
	bool bad = false;
	int code = CLI_OK;
	int rc = shunt_config_create(&c);

	if (rc == 0)
		rc = load(c, a);
	if (rc == 0) {
		bad = shunt_config_errors(c)[0] != '\0';
		print_errors(shunt_config_errors(c));
		rc = shunt_config_visit(c, check_place, &bad);
	}
	if (rc == 0 && bad) {
		code = CLI_USAGE;
	} else if (rc == 0 && a->check) {
		fmt_print_path(stdout, a->check);
		(void)fputs(": ok\n", stdout);
	} else if (rc == 0) {
		rc = a->json ? print_json(c) : print_table(c);
	}
	shunt_config_destroy(c);
	if (rc) {
		cli_error("%s", shunt_strerror(rc));
		return CLI_FAILED;
	}
	return code ? code : cli_stdout_flush();
}

static int take_option(void *arg, int option)
{
	struct args *a = arg;

	switch (option) {
	case 'f': a->file = optarg; return CLI_GO_ON;
	case CLI_SET:
		if (cli_set_repeated("--set", optarg, a->sets, a->sets_count))
			return CLI_USAGE;
		a->sets[a->sets_count++] = optarg;
		return CLI_GO_ON;
	case 'c': a->check = optarg; return CLI_GO_ON;
	case 'j': a->json = true; return CLI_GO_ON;
	case 'm': a->markdown = true; return CLI_GO_ON;
	default: return CLI_USAGE;
	}
}

static int parse(int argc, char **argv, struct args *a)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'f' },
		{ "set", required_argument, NULL, CLI_SET },
		{ "check", required_argument, NULL, 'c' },
		{ "json", no_argument, NULL, 'j' },
		{ "markdown", no_argument, NULL, 'm' },
		{ "help", no_argument, NULL, CLI_HELP },
		{ NULL, 0, NULL, 0 },
	};
	int code = cli_options(argc, argv, ":f:s:c:jmh", options, config_help, take_option, a);

	if (code != CLI_GO_ON)
		return code;
	if (a->check && (a->file || a->json)) {
		cli_error("--check: stands alone but for --set; see shunt config --help");
		return CLI_USAGE;
	}
	if (a->markdown && (a->file || a->check || a->json || a->sets_count)) {
		cli_error("--markdown: stands alone; see shunt config --help");
		return CLI_USAGE;
	}
	return cli_no_arguments(argc, argv);
}

int cmd_config(int argc, char **argv)
{
	struct args a = { .file = NULL };
	int code = 0;

	cli_begin("config");
	a.sets = calloc((size_t)argc, sizeof(*a.sets));
	if (!a.sets) {
		cli_error("%s", shunt_strerror(SHUNT_ENOMEM));
		return CLI_FAILED;
	}
	code = parse(argc, argv, &a);
	if (code == CLI_GO_ON && a.markdown) {
		config_doc_print(stdout);
		code = cli_stdout_flush();
	} else if (code == CLI_GO_ON) {
		code = show(&a);
	}
	free(a.sets);
	return code;
}
