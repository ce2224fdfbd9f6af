/* shunt/common/interval.c - see interval.h. SPDX-License-Identifier: MIT */
#include "common/interval.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <shunt/error.h>

#include "common/cli.h"

#define INTERVAL_NS UINT64_C(1000000000)

static int failed(struct interval_log *il, int rc)
{
	if (!il->told)
		cli_error("--hist: '%s': %s", il->path, rc == SHUNT_EIO && errno ? strerror(errno) : shunt_strerror(rc));
	il->told = true;
	return CLI_FAILED;
}

int interval_open(struct interval_log *il, const char *path, struct shunt_runtime *rt)
{
	int rc;

	(void)memset(il, 0, sizeof(*il));
	il->path = path;
	if (!path)
		return CLI_OK;
	rc = shunt_hlog_open(path, &il->log);
	if (rc == 0)
		rc = shunt_snapshot_create(rt, &il->last);
	if (rc != 0) {
		(void)failed(il, rc);
		(void)interval_close(il);
		return CLI_FAILED;
	}
	il->every_ns = INTERVAL_NS;
	il->due_ns = shunt_now_ns() + il->every_ns;
	return CLI_OK;
}

static int write_one(struct interval_log *il, const char *what, const struct shunt_series *x, uint64_t start, uint64_t end,
		     const struct shunt_hist *h)
{
	char tag[3 * SHUNT_NAME_MAX];
	int rc;

	if (!h || shunt_hist_count(h) == 0)
		return 0;
	(void)snprintf(tag, sizeof(tag), "%s.%s.%s", what, x->type, x->level_name);
	rc = shunt_hlog_write(il->log, tag, start, end, h);
	il->lines += rc == 0;
	return rc;
}

int interval_tick(struct interval_log *il, struct shunt_runtime *rt, int now)
{
	struct shunt_snapshot *s = NULL;
	struct shunt_snapshot *d = NULL;
	uint64_t start, end;
	int rc;

	if (!il->log || (!now && shunt_now_ns() < il->due_ns))
		return CLI_OK;
	rc = shunt_snapshot_create(rt, &s);
	if (rc == 0)
		rc = shunt_snapshot_diff(s, il->last, &d);
	if (rc != 0)
		goto out;
	/* the wall clock may have been set back */
	start = shunt_snapshot_runtime(il->last)->wall_ns;
	end = shunt_snapshot_runtime(s)->wall_ns;
	end = end > start ? end : start;
	for (size_t i = 0; rc == 0 && i < shunt_snapshot_series_count(d); i++) {
		const struct shunt_series *x = shunt_snapshot_series_at(d, i);

		rc = write_one(il, "queue", x, start, end, x->queue);
		if (rc == 0)
			rc = write_one(il, "run", x, start, end, x->run);
		if (rc == 0)
			rc = write_one(il, "total", x, start, end, x->total);
	}
	if (rc != 0)
		goto out;
	shunt_snapshot_destroy(il->last);
	il->last = s;
	s = NULL;
	while (il->due_ns <= shunt_now_ns()) /* bound: one step a second since the last call */
		il->due_ns += il->every_ns;
out:
	shunt_snapshot_destroy(d);
	shunt_snapshot_destroy(s);
	return rc == 0 ? CLI_OK : failed(il, rc);
}

int interval_close(struct interval_log *il)
{
	int rc;

	errno = 0;
	rc = shunt_hlog_close(il->log);
	shunt_snapshot_destroy(il->last);
	il->log = NULL;
	il->last = NULL;
	return rc == 0 ? CLI_OK : failed(il, rc);
}
