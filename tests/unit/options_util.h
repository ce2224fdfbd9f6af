/*
 * tests/unit/options_util.h - what the tests of options share: the errors in the log, the options structs, and the
 * mode in which a key counts.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TEST_OPTIONS_UTIL_H
#define TEST_OPTIONS_UTIL_H

#include "testutil.h"

#include <shunt/error.h>

#include "base/inject.h"
#include "config/apply.h"
#include "life/options.h"

/* ---- what the log says ---- */

static struct {
	char text[8192];
	unsigned lines;
} said;

static TU_UNUSED void on_log(void *arg, enum shunt_log_level level, const char *message)
{
	size_t used = strlen(said.text);

	(void)arg;
	if (level > SHUNT_LOG_ERROR)
		return;
	assert_null(strchr(message, '\n'));
	said.lines++;
	(void)snprintf(said.text + used, sizeof(said.text) - used, "%s%s", used ? "\n" : "", message);
}

static TU_UNUSED void forget(void)
{
	said.text[0] = '\0';
	said.lines = 0;
}

static TU_UNUSED void expect_said(const char *want)
{
	if (strcmp(said.text, want) != 0)
		fail_msg("want '%s'\ngot  '%s'", want, said.text);
}

static TU_UNUSED struct shunt_runtime_opts runtime_opts(void)
{
	struct shunt_runtime_opts o = SHUNT_RUNTIME_OPTS_INIT;

	o.log = on_log;
	o.jobs_max = 64;
	o.submitters_max = 4;
	forget();
	return o;
}

static TU_UNUSED struct shunt_runtime *runtime_open(void)
{
	struct shunt_runtime_opts o = runtime_opts();
	struct shunt_runtime *rt = NULL;

	assert_int_equal(shunt_runtime_create(&rt, &o), 0);
	return rt;
}

static TU_UNUSED int nothing(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	*(int *)arg += 1;
	return SHUNT_DONE;
}

/* ---- options structs and keys ---- */

/* The options structs of one verdict; the key's field is set in one of them. */
struct structs {
	struct shunt_runtime_opts runtime;
	struct shunt_pool_opts pool;
	struct shunt_type_opts type;
};

static TU_UNUSED void structs_init(struct structs *s)
{
	*s = (struct structs){ SHUNT_RUNTIME_OPTS_INIT, SHUNT_POOL_OPTS_INIT, SHUNT_TYPE_OPTS_INIT };
	s->runtime.log = on_log;
	s->pool.name = "p";
	s->type.name = "t";
	s->type.handler = nothing;
}

static TU_UNUSED void *structs_of(struct structs *s, enum sh_section section)
{
	return section == SH_POOLS ? (void *)&s->pool : section == SH_TYPES ? (void *)&s->type
									    : (void *)&s->runtime;
}

/* The mode that a key counts in, in both forms; `mode` is "" when it needs none or the default is one. */
static TU_UNUSED void need_set(const struct sh_key *key, struct structs *s, char mode[SH_KEY_PATH_MAX])
{
	const struct sh_key *by = key->need.field ? sh_key_find(key->section, key->need.field) : NULL;
	uint64_t v;

	mode[0] = '\0';
	if (!by || sh_need_met(&key->need, sh_key_default(by, 0)))
		return;
	for (v = 1; !sh_need_met(&key->need, v); v++)
		;
	sh_key_store(by, structs_of(s, key->section), 0, v);
	(void)snprintf(mode, SH_KEY_PATH_MAX, "pools.p.%s=%s", by->field, by->words[v - 1]);
}

#endif
