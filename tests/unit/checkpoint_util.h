/*
 * tests/unit/checkpoint_util.h - a world for the tests of checkpoints: one pool, a job that stands at a gate until
 * everything is queued, and jobs that write down when they ran. Included by checkpoint_test.c and
 * checkpoint_refused_test.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TEST_CHECKPOINT_UTIL_H
#define TEST_CHECKPOINT_UTIL_H

#include "testutil.h"

#include <shunt/error.h>

#include "sched/world.h"

#define LOG_MAX 64u

typedef int (*inside_fn)(struct shunt_job_ctx *ctx);

/* One runtime of four levels with one pool; jobs write down what they were, in the order of their starts. */
static struct world {
	struct shunt_runtime *rt;
	struct sh_pool *p;
	struct shunt_type_id note, outer, gate;
	struct tu_gate go;  /* the outer job stands here until everything is queued */
	inside_fn inside;   /* what the outer job does then */
	int log[LOG_MAX];   /* levels; + 100 for those that ran inside the outer job */
	atomic_uint places; /* of the log, given out */
	atomic_uint logged; /* and filled */
	atomic_int in_outer;
	atomic_uint errors; /* lines at level error */
	int rc[8];
} w;

static const char *const names[SHUNT_LEVELS_MAX] = { "a", "b", "c", "d", "e", "f", "g", "h",
						     "i", "j", "k", "l", "m", "n", "o", "p" };

static TU_UNUSED void log_line(void *arg, enum shunt_log_level level, const char *message)
{
	(void)arg;
	if (level == SHUNT_LOG_ERROR && strstr(message, "shunt_checkpoint"))
		(void)atomic_fetch_add(&w.errors, 1);
}

static TU_UNUSED int note_job(struct shunt_job_ctx *ctx, void *arg)
{
	unsigned at = atomic_fetch_add(&w.places, 1);

	(void)arg;
	if (at < LOG_MAX)
		w.log[at] = (int)shunt_job_level(ctx) + 100 * atomic_load(&w.in_outer);
	(void)atomic_fetch_add(&w.logged, 1);
	return SHUNT_DONE;
}

static TU_UNUSED int outer_job(struct shunt_job_ctx *ctx, void *arg)
{
	int rc;

	(void)arg;
	atomic_store(&w.in_outer, 1);
	tu_gate_pass(&w.go);
	rc = w.inside(ctx);
	atomic_store(&w.in_outer, 0);
	return rc;
}

static TU_UNUSED void world_open_with(uint32_t levels, struct shunt_pool_opts *po)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_id pool;

	memset(&w, 0, sizeof(w));
	ro.levels = levels;
	ro.level_names = levels > 4 ? names : NULL;
	ro.log = log_line;
	w.rt = tu_runtime_with(&ro);
	pool = tu_pool_with(w.rt, po);
	w.p = sh_runtime_pool(w.rt, pool.v);
	w.note = tu_type(w.rt, pool, "note", note_job);
	w.outer = tu_type(w.rt, pool, "outer", outer_job);
	w.gate = tu_type(w.rt, pool, "gate", tu_gate_job);
}

static TU_UNUSED void world_open(uint32_t workers)
{
	struct shunt_pool_opts po = tu_pool_opts("main", workers);

	world_open_with(4, &po);
}

static TU_UNUSED void world_close(void)
{
	assert_int_equal(shunt_runtime_drain(w.rt, TU_LONG_NS, NULL), 0);
	tu_destroy(w.rt, 0);
}

static TU_UNUSED struct shunt_job_spec at_level(struct shunt_type_id type, uint32_t level)
{
	struct shunt_job_spec s = tu_spec(type, NULL);

	s.level = SHUNT_LEVEL(level);
	return s;
}

static TU_UNUSED void put(const struct shunt_job_spec *s)
{
	assert_int_equal(shunt_submit(w.rt, s, NULL), 0);
}

static TU_UNUSED void put_note(uint32_t level)
{
	struct shunt_job_spec s = at_level(w.note, level);

	put(&s);
}

/* The outer job starts at `level` and stands at its gate. */
static TU_UNUSED struct shunt_job_id outer_begin(uint32_t level, uint16_t flags, uint64_t key, inside_fn inside)
{
	struct shunt_job_spec s = at_level(w.outer, level);
	struct shunt_job_id id;

	s.flags = flags;
	s.key = key;
	w.inside = inside;
	assert_int_equal(shunt_submit(w.rt, &s, &id), 0);
	tu_wait_until(atomic_load(&w.go.arrived) == 1);
	return id;
}

static TU_UNUSED void outer_end(struct shunt_job_id id)
{
	atomic_store(&w.go.open, 1);
	tu_join(w.rt, id, SHUNT_JOB_DONE);
}

static TU_UNUSED void logged(const int *want, uint32_t n)
{
	uint32_t i;

	tu_wait_until(atomic_load(&w.logged) == n);
	for (i = 0; i < n; i++)
		assert_int_equal(w.log[i], want[i]);
}

static TU_UNUSED int twice(struct shunt_job_ctx *ctx)
{
	w.rc[0] = shunt_checkpoint(ctx);
	w.rc[1] = shunt_checkpoint(ctx);
	return 0;
}

#endif
