/*
 * stress/chaos_scen_fork.c - fork under load: in the child every call of the library says SHUNT_EFORKED and nothing
 * hangs; the parent goes on and conserves. See chaos_scenarios.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chaos_jobs.h"
#include "chaos_scenarios.h"

#define CHILD_LIMIT_S 30u /* a hang in the forked child ends with SIGALRM */
#define JOBS 50u

enum forked_exit { FORKED_OK = 0,
		   FORKED_WRONG = 1,
		   FORKED_DESTROY = 2,
		   FORKED_ANEW = 3 };

static struct shunt_job_id tracked;
static struct shunt_group_id group;

/* No allocation, no stdio: other threads may have held their locks. */
static void say(const char *what, int64_t rc)
{
	char text[160];
	int n = snprintf(text, sizeof(text), "forked child: %s: %lld\n", what, (long long)rc);

	if (n > 0)
		(void)!write(2, text, (size_t)n);
}

static bool calls_refused(struct shunt_runtime *rt)
{
	struct shunt_pool_opts po = SHUNT_POOL_OPTS_INIT;
	struct shunt_type_opts to = SHUNT_TYPE_OPTS_INIT;
	struct shunt_job_spec spec = { 0 };
	struct shunt_snapshot *snapshot = NULL;
	struct shunt_group_id new_group;
	struct shunt_pool_id pool = chaos_load.pool;
	struct shunt_type_id type = chaos_load.plain;
	struct shunt_job_id id;
	bool right = true;
	size_t i;
	int rc = 0;

	spec.type = type;
	po.name = "forked";
	to.name = "forked";
	to.pool = pool;
	to.handler = chaos_run;
	if (shunt_submit_batch(rt, &spec, 1, NULL, &rc) != 0)
		rc = 0;
	{
		const struct {
			const char *name;
			int64_t rc;
		} call[] = {
			{ "submit_batch", rc },
			{ "submit", shunt_submit(rt, &spec, NULL) },
			{ "submit tracked", shunt_submit(rt, &spec, &id) },
			{ "wait", shunt_wait(rt, tracked, SHUNT_FOREVER, NULL) },
			{ "poll", shunt_poll(rt, tracked, NULL) },
			{ "cancel", shunt_cancel(rt, tracked) },
			{ "complete", shunt_complete(rt, tracked, 0) },
			{ "detach", shunt_detach(rt, tracked) },
			{ "group_create", shunt_group_create(rt, &new_group) },
			{ "group_wait", shunt_group_wait(rt, group, SHUNT_FOREVER) },
			{ "group_pending", shunt_group_pending(rt, group) },
			{ "group_cancel", shunt_group_cancel(rt, group) },
			{ "group_destroy", shunt_group_destroy(rt, group) },
			{ "drain", shunt_runtime_drain(rt, SHUNT_FOREVER, NULL) },
			{ "resume", shunt_runtime_resume(rt) },
			{ "pool_create", shunt_pool_create(rt, &po, &pool) },
			{ "pool_find", shunt_pool_find(rt, "main", &pool) },
			{ "pool_destroy", shunt_pool_destroy(rt, chaos_load.pool) },
			{ "type_create", shunt_type_create(rt, &to, &type) },
			{ "type_find", shunt_type_find(rt, "plain", &type) },
			{ "type_destroy", shunt_type_destroy(rt, chaos_load.plain, SHUNT_FOREVER) },
			{ "snapshot_create", shunt_snapshot_create(rt, &snapshot) },
		};

		for (i = 0; i < SH_COUNT(call); i++) {
			if (call[i].rc == SHUNT_EFORKED)
				continue;
			say(call[i].name, call[i].rc);
			right = false;
		}
	}
	return right;
}

static int count_up(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)sh_a32_add_sc(arg, 1);
	return SHUNT_DONE;
}

/* A runtime that the forked child makes itself is its own. */
static bool works_anew(void)
{
	uint64_t left = 0;
	struct shunt_pool_opts po = SHUNT_POOL_OPTS_INIT;
	struct shunt_type_opts to = SHUNT_TYPE_OPTS_INIT;
	struct shunt_job_spec spec = { 0 };
	struct shunt_runtime *rt;
	sh_a32 ran;
	uint32_t i;
	int rc = shunt_runtime_create(&rt, NULL);

	if (rc != 0) {
		say("runtime_create", rc);
		return false;
	}
	sh_a32_init(&ran, 0);
	po.name = "anew";
	po.workers = 2;
	po.pin = SHUNT_PIN_NONE;
	rc = shunt_pool_create(rt, &po, &to.pool);
	to.name = "count";
	to.handler = count_up;
	if (rc == 0)
		rc = shunt_type_create(rt, &to, &spec.type);
	spec.arg = &ran;
	for (i = 0; rc == 0 && i < JOBS; i++)
		rc = shunt_submit(rt, &spec, NULL);
	if (rc == 0)
		rc = shunt_runtime_drain(rt, SHUNT_FOREVER, NULL);
	if (rc != 0 || sh_a32_load_sc(&ran) != JOBS || shunt_runtime_destroy(rt, &left) != 0 || left != 0) {
		say("a runtime of its own", rc);
		return false;
	}
	return true;
}

static _Noreturn void forked_child(bool in_job, bool anew)
{
	int rc;

	(void)alarm(CHILD_LIMIT_S);
	if (!calls_refused(chaos_load.rt))
		_exit(FORKED_WRONG);
	if (CHAOS_ASAN) /* another thread may have held a lock of its allocator, which fork does not release */
		_exit(FORKED_OK);
	rc = shunt_runtime_destroy(chaos_load.rt, NULL);
	if (rc != (in_job ? SHUNT_EDEADLK : 0)) { /* the handler would return through what is freed */
		say("runtime_destroy", rc);
		_exit(FORKED_DESTROY);
	}
	_exit(!anew || works_anew() ? FORKED_OK : FORKED_ANEW);
}

static void fork_once(bool in_job, bool anew)
{
	pid_t pid = fork();
	int status = 0;

	STRESS_CHECK(pid >= 0, "fork");
	if (pid == 0)
		forked_child(in_job, anew);
	while (waitpid(pid, &status, 0) != pid)
		STRESS_CHECK(errno == EINTR, "waitpid");
	STRESS_CHECK(!(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM), "a forked child hung");
	STRESS_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == FORKED_OK, "a forked child: %s %d",
		     WIFEXITED(status) ? "exit" : "signal", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	(void)sh_a64_add_rlx(&chaos_ledger->acts, 1);
}

/* From a worker, inside a job. */
static void fork_in_job(void)
{
	fork_once(true, false);
}

void chaos_inside_fork(struct chaos_child *c)
{
	uint64_t end = shunt_now_ns() + c->duration_ns;
	struct chaos_load_opts o;
	struct shunt_job_spec spec;
	struct chaos_job *job;
	struct shunt_result result;
	int rc;

	chaos_load_defaults(&o, &c->rng, c->seed, c->duration_ns);
	chaos_load_start(&o);
	chaos_load.visit = fork_in_job;
	STRESS_CHECK(shunt_group_create(chaos_load.rt, &group) == 0, "group create");
	while (shunt_now_ns() < end) {
		STRESS_CHECK(chaos_job_open(CHAOS_PLAIN, 0, &spec, &job), "the ledger is full");
		rc = shunt_submit(chaos_load.rt, &spec, &tracked);
		chaos_job_submitted(job, &spec, rc, 0, false);
		chaos_at("fork; the forked child's calls are refused");
		/* ThreadSanitizer does not support threads in such a child, AddressSanitizer no allocation. */
		fork_once(false, !CHAOS_SANITIZED && sh_rng_below(&c->rng, 2) == 0);
		if (rc == 0) {
			STRESS_CHECK(shunt_wait(chaos_load.rt, tracked, SHUNT_FOREVER, &result) == 0, "wait");
			chaos_job_joined(job, &result);
		}
		sh_a32_store_sc(&chaos_load.visit_wanted, 1);
		chaos_load_until_moved(20, "after a fork; the parent's jobs go on");
	}
	while (sh_a32_load_sc(&chaos_load.visit_wanted) != 0) /* a job takes it; nothing forks while we quiesce */
		stress_pause_ns(50000);
	STRESS_CHECK(shunt_group_destroy(chaos_load.rt, group) == 0, "group destroy");
	chaos_load_finish();
}
