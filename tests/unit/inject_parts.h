/*
 * tests/unit/inject_parts.h - the library's life in parts, for inject_sweep_test.c only. A part goes on as far as what
 * failed allows, gives everything back, and hands each result to got().
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TEST_INJECT_PARTS_H
#define TEST_INJECT_PARTS_H

#include "inject_util.h"

#include <shunt/allocator.h>
#include <shunt/balancer.h>
#include <shunt/config.h>
#include <shunt/cq.h>
#include <shunt/hist.h>
#include <shunt/snapshot.h>

#include "machine/bind.h"
#include "lockfree/registry.h"

#define DOC_TOPO_OPEN (ERR(EINVAL) | ERR(EIO) | ERR(EPLACE) | ERR(ELIMIT) | ERR(ENOMEM) | ERR(ESYS))
#define DOC_PLAN (ERR(EPLACE) | ERR(EINVAL) | ERR(ENOMEM))
#define DOC_RUNTIME (ERR(EINVAL) | ERR(ENOMEM) | ERR(ESYS) | ERR(ELIMIT))
#define DOC_POOL (ERR(EINVAL) | ERR(EEXIST) | ERR(ELIMIT) | ERR(EPLACE) | ERR(EPERM) | ERR(ENOMEM) | ERR(ESYS))
#define DOC_TYPE (ERR(EINVAL) | ERR(EEXIST) | ERR(ENOENT) | ERR(ELIMIT) | ERR(ENOMEM))
#define DOC_CONFIG (ERR(EIO) | ERR(ECONFIG) | ERR(ENOMEM))

/* ---- topology ---- */

static void topology_use(struct shunt_topo *t)
{
	static char page[8192];
	struct shunt_plan_opts po = SHUNT_PLAN_OPTS_INIT;
	struct shunt_cpu_budget b;
	struct shunt_plan *plan = NULL;
	char mask[256];
	int cpu = -1;
	int rc;

	(void)got("shunt_topo_budget", shunt_topo_budget(t, &b, sizeof(b)), 0);
	if (b.budget < 1)
		die("shunt_topo_budget: a budget of no cpu");
	po.policy = SHUNT_PIN_SCATTER;
	po.place = "all";
	rc = got("shunt_plan_create", shunt_plan_create(t, &po, &plan), DOC_PLAN);
	if (rc == 0)
		cpu = shunt_plan_worker_at(plan, 0)->os_cpu;
	shunt_plan_destroy(plan);
	if (!shunt_topo_is_live(t))
		return;
	if (cpu >= 0)
		(void)got("sh_topo_bind_thread", sh_topo_bind_thread(t, cpu), ERR(EPERM) | ERR(ENOMEM));
	(void)got("sh_topo_bind_thread", sh_topo_bind_thread(t, -1), ERR(EPERM) | ERR(ENOMEM));
	(void)got("sh_topo_readback", sh_topo_readback(mask, sizeof(mask), &cpu), ERR(ESYS));
	page[0] = 1;
	rc = sh_topo_bind_memory(t, page, sizeof(page), shunt_topo_node_at(t, 0)->os_node);
	if (atomic_load(&fault.fired) != 0) /* else the kernel may have refused */
		(void)got("sh_topo_bind_memory", rc, ERR(EPERM) | ERR(ENOMEM) | ERR(ENOSYS));
	rc = sh_topo_page_node(page);
	if (atomic_load(&fault.fired) != 0)
		(void)got("sh_topo_page_node", rc, ERR(ESYS) | ERR(EPERM) | ERR(ENOSYS));
}

static void part_topology(void)
{
	struct shunt_topo_opts o[3] = { SHUNT_TOPO_OPTS_INIT, SHUNT_TOPO_OPTS_INIT, SHUNT_TOPO_OPTS_INIT };
	uint32_t i;

	o[1].xml_file = SHUNT_TEST_SRCDIR "/tests/topo/four-nodes-memory-only.xml";
	o[2].synthetic = "numa:2 core:2 pu:2";
	for (i = 0; i < 3; i++) {
		struct shunt_topo *t = NULL;
		int rc = got("shunt_topo_open", shunt_topo_open(&t, &o[i]), DOC_TOPO_OPEN);

		if ((rc == 0) != (t != NULL))
			die("shunt_topo_open: %d, and *out is %s", rc, t ? "set" : "NULL");
		if (rc == 0)
			topology_use(t);
		shunt_topo_close(t);
	}
}

/* ---- jobs: what each was, and how it ended ---- */

#define JOBS 64u

struct job_seen {
	bool accepted;
	bool tracked;
	struct shunt_job_id id;
	atomic_uint ran, ended;
	atomic_int status;
	struct shunt_type_id other; /* for a handler that submits */
	struct job_seen *child;
};

static struct job_seen seen[JOBS];
static uint32_t seen_n;

static struct job_seen *job_new(void)
{
	if (seen_n >= JOBS)
		die("the test's table of jobs is too small");
	return &seen[seen_n++];
}

static void job_ended(void *arg, struct shunt_job_id id, const struct shunt_result *r)
{
	struct job_seen *j = arg;

	(void)id;
	atomic_store(&j->status, (int)r->status);
	(void)atomic_fetch_add(&j->ended, 1);
}

/* Submits need no resource: none may fail, whatever does. */
static struct job_seen *job_put(struct shunt_runtime *rt, struct shunt_type_id type, struct shunt_job_spec s, bool tracked)
{
	struct job_seen *j = job_new();

	s.type = type;
	s.arg = j;
	s.done = job_ended;
	s.done_arg = j;
	j->tracked = tracked;
	j->accepted = got("shunt_submit", shunt_submit(rt, &s, tracked ? &j->id : NULL), 0) == 0;
	return j;
}

static void job_join(struct shunt_runtime *rt, struct job_seen *j)
{
	struct shunt_result r;

	(void)got("shunt_wait", shunt_wait(rt, j->id, TU_LONG_NS, &r), 0);
	if (atomic_load(&j->status) != (int)r.status)
		die("a job ended as %d for its callback and %d for who waited", atomic_load(&j->status), (int)r.status);
}

static void jobs_check(void)
{
	uint32_t i;

	for (i = 0; i < seen_n; i++) {
		const struct job_seen *j = &seen[i];
		unsigned ran = atomic_load(&j->ran), ended = atomic_load(&j->ended);
		int status = atomic_load(&j->status);

		if (ended != (j->accepted ? 1u : 0u) || ran > 1 || (!j->accepted && ran > 0))
			die("job %u was %s, ran %u times and ended %u times", i, j->accepted ? "accepted" : "refused", ran, ended);
		if (j->accepted && (status == SHUNT_JOB_DONE || status == SHUNT_JOB_FAILED) != (ran == 1))
			die("job %u ended as %d and ran %u times", i, status, ran);
	}
}

static int run_plain(struct shunt_job_ctx *ctx, void *arg)
{
	struct job_seen *j = arg;

	(void)atomic_fetch_add(&j->ran, 1);
	return shunt_job_level(ctx) == 3 ? 7 : SHUNT_DONE;
}

static int run_async(struct shunt_job_ctx *ctx, void *arg)
{
	struct job_seen *j = arg;

	(void)atomic_fetch_add(&j->ran, 1);
	(void)got("shunt_complete", shunt_complete(shunt_job_runtime(ctx), shunt_job_self(ctx), 0), 0);
	return SHUNT_PENDING;
}

static int run_blocking(struct shunt_job_ctx *ctx, void *arg)
{
	struct job_seen *j = arg;

	(void)atomic_fetch_add(&j->ran, 1);
	if (got("shunt_block_begin", shunt_block_begin(ctx), ERR(ELIMIT)) == 0)
		shunt_block_end(ctx);
	return SHUNT_DONE;
}

/* Waits for a job of a key, which it cannot run itself: a spare is needed. */
static int run_waiting(struct shunt_job_ctx *ctx, void *arg)
{
	struct shunt_runtime *rt = shunt_job_runtime(ctx);
	struct job_seen *j = arg;
	struct shunt_job_spec s;

	(void)atomic_fetch_add(&j->ran, 1);
	memset(&s, 0, sizeof(s));
	s.flags = SHUNT_JOB_KEYED;
	s.key = 5;
	s.type = j->other;
	s.arg = s.done_arg = j->child;
	s.done = job_ended;
	j->child->accepted = got("shunt_submit", shunt_submit(rt, &s, &j->child->id), 0) == 0;
	if (got("shunt_wait in a job", shunt_wait(rt, j->child->id, TU_LONG_NS, NULL), ERR(EDEADLK)) != 0)
		(void)got("shunt_detach", shunt_detach(rt, j->child->id), 0);
	return SHUNT_DONE;
}

/* ---- runtime ---- */

struct scene {
	struct shunt_runtime *rt;
	struct shunt_pool_id a, b;
	struct shunt_type_id plain, async, blocking, waiting, other;
	bool ready;
};

static int type_make(struct scene *s, const char *name, struct shunt_pool_id pool, shunt_handler_fn fn, uint32_t flags,
		     struct shunt_type_id *out)
{
	struct shunt_type_opts to = SHUNT_TYPE_OPTS_INIT;
	int rc;

	to.name = name;
	to.pool = pool;
	to.handler = fn;
	to.flags = flags;
	rc = got("shunt_type_create", shunt_type_create(s->rt, &to, out), DOC_TYPE);
	if (rc != 0 && (out->v != 0 || shunt_type_find(s->rt, name, out) != SHUNT_ENOENT))
		die("shunt_type_create: the type %s failed and is there", name);
	return rc;
}

static int pool_make(struct scene *s, struct shunt_pool_opts *po, struct shunt_pool_id *out)
{
	int rc = got("shunt_pool_create", shunt_pool_create(s->rt, po, out), DOC_POOL);

	if (rc != 0 && (out->v != 0 || shunt_pool_find(s->rt, po->name, out) != SHUNT_ENOENT))
		die("shunt_pool_create: the pool %s failed and is there", po->name);
	return rc;
}

static int scene_make(struct scene *s)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts a = tu_pool_opts("a", 2), b = tu_pool_opts("b", 1);
	int rc;

	memset(s, 0, sizeof(*s));
	memset(seen, 0, sizeof(seen));
	seen_n = 0;
	ro.jobs_max = 128;
	ro.handles_max = 64;
	ro.groups_max = 4;
	ro.submitters_max = 4;
	rc = got("shunt_runtime_create", shunt_runtime_create(&s->rt, &ro), DOC_RUNTIME | DOC_TOPO_OPEN);
	if ((rc == 0) != (s->rt != NULL))
		die("shunt_runtime_create: %d, and *out is %s", rc, s->rt ? "set" : "NULL");
	if (rc != 0)
		return rc;
	a.idle = SHUNT_IDLE_PARK;
	a.nice = 1;
	b.pin = SHUNT_PIN_COMPACT;
	b.pin_required = 1;
	b.level_mode = SHUNT_LEVELS_WEIGHTED;
	rc = pool_make(s, &a, &s->a);
	rc = rc ? rc : type_make(s, "plain", s->a, run_plain, 0, &s->plain);
	rc = rc ? rc : type_make(s, "async", s->a, run_async, SHUNT_TYPE_ASYNC, &s->async);
	rc = rc ? rc : type_make(s, "blocking", s->a, run_blocking, 0, &s->blocking);
	rc = rc ? rc : type_make(s, "waiting", s->a, run_waiting, 0, &s->waiting);
	rc = rc ? rc : pool_make(s, &b, &s->b);
	rc = rc ? rc : type_make(s, "other", s->b, run_plain, 0, &s->other);
	s->ready = rc == 0;
	return rc;
}

static void *second_submitter(void *arg)
{
	static const struct shunt_job_spec plain;
	struct scene *s = arg;
	struct job_seen *j = job_put(s->rt, s->plain, plain, true);

	job_join(s->rt, j);
	return NULL;
}

static void scene_submit(struct scene *s)
{
	const struct shunt_job_opts on_1 = { .size = sizeof(on_1), .worker = 1 };
	struct shunt_job_spec spec;
	struct job_seen *j[16];
	pthread_t thread;
	uint32_t i;

	for (i = 0; i < 16; i++) {
		memset(&spec, 0, sizeof(spec));
		spec.level = i < 8 ? SHUNT_LEVEL(i % 4) : 0;
		spec.flags = (uint16_t)(i >= 8 && i < 10 ? SHUNT_JOB_KEYED : i == 10 ? SHUNT_JOB_ON_WORKER
										     : 0);
		spec.key = 9;
		spec.opts = i == 10 ? &on_1 : NULL;
		spec.on_full = i == 11 ? SHUNT_ON_FULL_INLINE : 0;
		j[i] = job_put(s->rt, i >= 12 && i < 14 ? s->other : i == 14 ? s->async
							     : i == 15       ? s->blocking
									     : s->plain,
			       spec,
			       i % 4 != 1);
	}
	for (i = 0; i < 16; i++)
		if (j[i]->tracked)
			job_join(s->rt, j[i]);
	memset(&spec, 0, sizeof(spec));
	j[0] = job_put(s->rt, s->plain, spec, true); /* may have been started, may have ended */
	(void)shunt_cancel(s->rt, j[0]->id);
	job_join(s->rt, j[0]);
	if (pthread_create(&thread, NULL, second_submitter, s) == 0)
		(void)pthread_join(thread, NULL);
}

static void scene_groups(struct scene *s)
{
	struct shunt_job_spec spec[4];
	struct shunt_group_id g = { 0 };
	int error = 0;
	size_t n;
	uint32_t i;

	(void)got("shunt_group_create", shunt_group_create(s->rt, &g), 0);
	memset(spec, 0, sizeof(spec));
	for (i = 0; i < 4; i++) {
		struct job_seen *j = job_new();

		spec[i] = tu_spec(s->plain, j);
		spec[i].group = g;
		spec[i].done = job_ended;
		spec[i].done_arg = j;
		j->accepted = true; /* may change below */
	}
	n = shunt_submit_batch(s->rt, spec, 4, NULL, &error);
	if (n != 4)
		die("shunt_submit_batch: %zu of 4: %s", n, shunt_error_name(error));
	(void)got("shunt_group_wait", shunt_group_wait(s->rt, g, TU_LONG_NS), 0);
	(void)got("shunt_group_destroy", shunt_group_destroy(s->rt, g), 0);
}

static void scene_wait(struct scene *s)
{
	struct shunt_job_spec spec;
	struct job_seen *j = job_new();

	j->child = job_new();
	j->other = s->plain;
	memset(&spec, 0, sizeof(spec));
	spec.type = s->waiting;
	spec.arg = spec.done_arg = j;
	spec.done = job_ended;
	j->accepted = got("shunt_submit", shunt_submit(s->rt, &spec, &j->id), 0) == 0;
	job_join(s->rt, j);
}

static void scene_cq(struct scene *s)
{
	struct shunt_job_opts opts = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec spec;
	struct shunt_completion c;
	struct job_seen *j;

	if (got("shunt_cq_create", shunt_cq_create(s->rt, NULL, &opts.cq), ERR(ENOMEM) | ERR(ESYS)) != 0)
		return;
	j = job_new();
	memset(&spec, 0, sizeof(spec));
	spec.type = s->plain;
	spec.arg = spec.done_arg = j;
	spec.opts = &opts;
	j->accepted = got("shunt_submit", shunt_submit(s->rt, &spec, NULL), 0) == 0;
	(void)got("shunt_cq_wait", shunt_cq_wait(opts.cq, TU_LONG_NS), 0);
	if (shunt_cq_take(opts.cq, &c, 1) != 1)
		die("shunt_cq_take: the job has not ended");
	job_ended(c.arg, c.id, &c.result);
	(void)got("shunt_cq_destroy", shunt_cq_destroy(opts.cq), 0);
}

static void scene_look(struct scene *s)
{
	struct shunt_snapshot *one = NULL, *two = NULL, *diff = NULL;

	(void)got("shunt_snapshot_create", shunt_snapshot_create(s->rt, &one), ERR(ENOMEM));
	(void)got("shunt_snapshot_create", shunt_snapshot_create(s->rt, &two), ERR(ENOMEM));
	if (one && two)
		(void)got("shunt_snapshot_diff", shunt_snapshot_diff(two, one, &diff), ERR(ENOMEM));
	shunt_snapshot_destroy(diff);
	shunt_snapshot_destroy(two);
	shunt_snapshot_destroy(one);
}

static void part_runtime(void)
{
	struct scene s;
	uint64_t cancelled;

	if (scene_make(&s) == 0) {
		scene_submit(&s);
		scene_groups(&s);
		scene_wait(&s);
		scene_cq(&s);
		scene_look(&s);
		(void)got("shunt_runtime_drain", shunt_runtime_drain(s.rt, TU_LONG_NS, NULL), 0);
		(void)got("shunt_runtime_resume", shunt_runtime_resume(s.rt), 0);
		(void)got("shunt_type_destroy", shunt_type_destroy(s.rt, s.other, TU_LONG_NS), 0);
		(void)got("shunt_pool_destroy", shunt_pool_destroy(s.rt, s.b), 0);
	}
	if (shunt_runtime_destroy(s.rt, &cancelled) != 0 || cancelled != 0)
		die("shunt_runtime_destroy: %llu jobs were left", (unsigned long long)cancelled);
	jobs_check();
}

/* ---- configuration ---- */

static const char yaml[] = "runtime: {name: sweep, levels: [urgent, usual], jobs_max: 128, handles_max: 64}\n"
			   "pools:\n"
			   "  io: {workers: 1, pin: none, level_mode: weighted, weights: {urgent: 3, usual: 1}}\n"
			   "types:\n"
			   "  fetch: {pool: io, level: urgent, handler: fetch_it}\n";

/* File, text, environment, flag, check: 0 when all of it was taken. */
static int configuration_load(struct shunt_config *c)
{
	static const char *const env[] = { "SHUNT_POOLS_IO_KEY_SLOTS=64", "SHUNT_POOLS_IO_WEIGHTS_USUAL=2", NULL };
	int rc;

	rc = got("shunt_config_load_text", shunt_config_load_text(c, "text", yaml, sizeof(yaml) - 1), DOC_CONFIG);
	rc = rc ? rc : got("shunt_config_load_env", shunt_config_load_env(c, env), DOC_CONFIG);
	rc = rc ? rc : got("shunt_config_set", shunt_config_set(c, "--queue", "pools.io.queue_max=32"), DOC_CONFIG);
	rc = rc ? rc : got("shunt_config_check", shunt_config_check(c), DOC_CONFIG);
	return rc ? rc : got("shunt_config_bind", shunt_config_bind(c, "fetch_it", run_plain), ERR(ENOMEM));
}

static void configuration_file(void)
{
	struct shunt_config *c = NULL;
	int rc;

	if (got("shunt_config_create", shunt_config_create(&c), ERR(ENOMEM)) != 0)
		return;
	rc = got("shunt_config_load_file", shunt_config_load_file(c, SHUNT_TEST_SRCDIR "/docs/examples/config_embed.yaml"),
		 DOC_CONFIG);
	if (rc == SHUNT_EIO && !strstr(shunt_config_errors(c), "cannot be read"))
		die("shunt_config_load_file: it cannot be read, and the report is '%s'", shunt_config_errors(c));
	shunt_config_destroy(c);
}

/* Loading what is wrong: the report says so, or there was no memory for it. */
static void configuration_wrong(void)
{
	struct shunt_config *c = NULL;
	int rc;

	if (got("shunt_config_create", shunt_config_create(&c), ERR(ENOMEM)) != 0)
		return;
	rc = shunt_config_load_text(c, "wrong", "pools: {cpu: {wrokers: 1}}\nruntime: {jobs_max: many}\n", 52);
	if (rc != SHUNT_ECONFIG)
		(void)got("shunt_config_load_text", rc, ERR(ENOMEM));
	if (rc >= 0)
		die("shunt_config_load_text: what is wrong was taken");
	if (rc == SHUNT_ECONFIG && !strstr(shunt_config_errors(c), "wrokers"))
		die("shunt_config_errors: '%s'", shunt_config_errors(c));
	shunt_config_destroy(c);
}

static int visit(void *arg, const char *key, const char *value, const char *origin, const char *help)
{
	(void)arg;
	(void)help;
	return key && value && origin ? 0 : 1;
}

/* The runtime that a configuration makes runs a job. */
static void configuration_run(struct shunt_config *c)
{
	uint64_t cancelled = 0;
	struct shunt_job_spec spec;
	struct shunt_runtime *rt = NULL;
	struct shunt_type_id type;
	int rc = got("shunt_config_runtime", shunt_config_runtime(c, NULL, NULL, &rt),
		     DOC_CONFIG | DOC_RUNTIME | DOC_TOPO_OPEN | DOC_POOL | DOC_TYPE);

	if ((rc == 0) != (rt != NULL))
		die("shunt_config_runtime: %d, and *out is %s", rc, rt ? "set" : "NULL");
	if (rc != 0)
		return;
	seen_n = 0;
	memset(seen, 0, sizeof(seen));
	memset(&spec, 0, sizeof(spec));
	(void)got("shunt_type_find", shunt_type_find(rt, "fetch", &type), 0);
	job_join(rt, job_put(rt, type, spec, true));
	if (shunt_runtime_destroy(rt, &cancelled) != 0 || cancelled != 0)
		die("shunt_runtime_destroy: a job was left");
	jobs_check();
}

static void part_configuration(void)
{
	struct shunt_config *c = NULL;

	configuration_file();
	configuration_wrong();
	if (got("shunt_config_create", shunt_config_create(&c), ERR(ENOMEM)) != 0)
		return;
	if (configuration_load(c) == 0) {
		(void)got("shunt_config_visit", shunt_config_visit(c, visit, NULL), ERR(ENOMEM));
		configuration_run(c);
	}
	shunt_config_destroy(c);
}

/* ---- records ---- */

static void records_write(const char *path, const struct shunt_hist *h)
{
	struct shunt_hlog *log = NULL;
	uint32_t i;

	if (got("shunt_hlog_open", shunt_hlog_open(path, &log), ERR(ENOMEM) | ERR(EIO)) != 0)
		return;
	for (i = 0; i < 3; i++)
		(void)got("shunt_hlog_write", shunt_hlog_write(log, "sweep", 1000000000ull + i, 2000000000ull + i, h),
			  ERR(ENOMEM) | ERR(EIO));
	(void)got("shunt_hlog_close", shunt_hlog_close(log), ERR(EIO));
}

/* Every line that was written whole is read back as it was. */
static void records_read(const char *path, struct shunt_hist *h)
{
	struct shunt_hlog_reader *r = NULL;
	struct shunt_hlog_entry entry;
	uint32_t bad = 0;
	int rc;

	if (got("shunt_hlog_reader_open", shunt_hlog_reader_open(path, &r), ERR(ENOMEM) | ERR(EIO)) != 0)
		return;
	while (bad < 8 && (rc = shunt_hlog_read_next(r, &entry, h)) != 0) {
		if (rc == 1 && shunt_hist_count(h) != 100)
			die("shunt_hlog_read_next: %llu values of 100", (unsigned long long)shunt_hist_count(h));
		if (rc < 0 && !shunt_error_detail()[0])
			die("shunt_hlog_read_next: nothing about an error");
		bad += got("shunt_hlog_read_next", rc, ERR(ENOMEM) | ERR(EIO)) < 0;
		if (rc == SHUNT_EIO)
			break;
	}
	shunt_hlog_reader_close(r);
}

static void part_records(void)
{
	char path[] = "/tmp/shunt-sweep-XXXXXX";
	struct shunt_hist *h = NULL;
	int fd = mkstemp(path);
	uint32_t i;

	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	(void)close(fd);
	if (got("shunt_hist_create", shunt_hist_create(&h), ERR(ENOMEM)) == 0) {
		for (i = 0; i < 100; i++)
			shunt_hist_record(h, 1000u * i);
		records_write(path, h);
		records_read(path, h);
	} else if (h) {
		die("shunt_hist_create: it failed, and *out is set");
	}
	shunt_hist_destroy(h);
	(void)unlink(path);
}

/* ---- balancer ---- */

static void part_balancer(void)
{
	struct shunt_balancer_opts o = SHUNT_BALANCER_OPTS_INIT;
	struct shunt_balancer *b = NULL;
	int rc;

	o.workers = 300; /* so many that a strategy of the user's needs memory of its own */
	o.strategy = SHUNT_SELECT_USER;
	o.select = tu_select_first;
	rc = got("shunt_balancer_create", shunt_balancer_create(&b, &o), ERR(EINVAL) | ERR(ENOMEM));
	if ((rc == 0) != (b != NULL))
		die("shunt_balancer_create: %d, and *out is %s", rc, b ? "set" : "NULL");
	if (rc == 0) {
		int w = got("shunt_balancer_start", shunt_balancer_start(b, 1, SHUNT_ANY), 0);

		(void)got("shunt_balancer_complete", shunt_balancer_complete(b, (uint32_t)w, 1000, 0), 0);
	}
	shunt_balancer_destroy(b);
}

/* ---- names: a registry that grows and is swept ---- */

#define NAMES 150u

static void part_names(void)
{
	struct sh_registry *r = NULL;
	bool there[NAMES];
	uint32_t i, id;
	char name[16];

	if (got("sh_registry_create", sh_registry_create(&r), ERR(ENOMEM) | ERR(ESYS)) != 0)
		return;
	for (i = 0; i < NAMES; i++) {
		(void)snprintf(name, sizeof(name), "n%u", i);
		there[i] = got("sh_registry_put", sh_registry_put(r, name, i), ERR(ENOMEM)) == 0;
	}
	for (i = 0; i < NAMES; i++) {
		(void)snprintf(name, sizeof(name), "n%u", i);
		if (sh_registry_find(r, name, &id) != there[i] || (there[i] && id != i))
			die("sh_registry_find: %s is %s", name, there[i] ? "lost, or another" : "there, though refused");
		if (i < NAMES - 10 && there[i])
			(void)got("sh_registry_remove", sh_registry_remove(r, name), 0);
	}
	sh_registry_free_retired(sh_registry_take_retired(r));
	sh_registry_destroy(r);
}

#endif
