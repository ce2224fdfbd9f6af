/*
 * tests/unit/cq_test.c - completion queues: what they deliver, when their descriptor is readable, what a full one does,
 * and who may end one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <shunt/cq.h>

#define MANY TU_TSAN_SCALE(40000u, 4000u)

static atomic_uint ran;

static int code_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	atomic_fetch_add(&ran, 1);
	return (int)(intptr_t)arg;
}

static int pending_job(struct shunt_job_ctx *ctx, void *arg)
{
	*(_Atomic uint64_t *)arg = shunt_job_self(ctx).v;
	return SHUNT_PENDING;
}

struct world {
	struct shunt_runtime *rt;
	struct shunt_pool_id pool;
	struct shunt_type_id code, gate, pending;
	struct shunt_cq *cq;
	struct shunt_job_opts opts;
};

static void open_world(struct world *w, uint32_t workers, uint32_t capacity)
{
	struct shunt_cq_opts o = SHUNT_CQ_OPTS_INIT;
	struct shunt_type_opts to = SHUNT_TYPE_OPTS_INIT;

	memset(w, 0, sizeof(*w));
	atomic_store(&ran, 0);
	w->rt = tu_runtime();
	w->pool = tu_pool(w->rt, "main", workers);
	w->code = tu_type(w->rt, w->pool, "code", code_job);
	w->gate = tu_type(w->rt, w->pool, "gate", tu_gate_job);
	to.name = "pending";
	to.pool = w->pool;
	to.handler = pending_job;
	to.flags = SHUNT_TYPE_ASYNC;
	assert_int_equal(shunt_type_create(w->rt, &to, &w->pending), 0);
	o.capacity = capacity;
	assert_int_equal(shunt_cq_create(w->rt, &o, &w->cq), 0);
	w->opts = (struct shunt_job_opts)SHUNT_JOB_OPTS_INIT;
	w->opts.cq = w->cq;
}

static struct shunt_job_spec spec_of(struct world *w, struct shunt_type_id type, void *arg, uintptr_t tag)
{
	struct shunt_job_spec s = tu_spec(type, arg);

	s.opts = &w->opts;
	s.done_arg = (void *)tag;
	return s;
}

static bool readable(const struct shunt_cq *cq)
{
	struct pollfd p = { shunt_cq_fd(cq), POLLIN, 0 };

	return poll(&p, 1, 0) == 1;
}

static void test_results(void **state)
{
	struct shunt_completion c[4];
	struct world w;
	struct shunt_job_spec s;
	struct shunt_job_id id;
	uint32_t i, n = 0;

	(void)state;
	open_world(&w, 1, 8);
	assert_false(readable(w.cq));
	assert_int_equal(shunt_cq_take(w.cq, c, 4), 0);
	for (i = 0; i < 3; i++) {
		s = spec_of(&w, w.code, (void *)(intptr_t)(i == 1 ? 77 : 0), 100 + i);
		assert_int_equal(shunt_submit(w.rt, &s, NULL), 0);
	}
	while (n < 3) {
		assert_int_equal(shunt_cq_wait(w.cq, TU_LONG_NS), 0);
		n += (uint32_t)shunt_cq_take(w.cq, &c[n], 4 - n);
	}
	for (i = 0; i < 3; i++) {
		assert_true(c[i].arg == (void *)(uintptr_t)(100 + i));
		assert_true(c[i].id.v == 0 && c[i].type.v == w.code.v);
		assert_int_equal(c[i].result.status, i == 1 ? SHUNT_JOB_FAILED : SHUNT_JOB_DONE);
		assert_int_equal(c[i].result.code, i == 1 ? 77 : 0);
		assert_true(c[i].result.worker == 0 && c[i].result.attempts == 1);
	}
	assert_false(readable(w.cq));
	assert_int_equal(shunt_cq_pending(w.cq), 0);
	/* with a handle: it is still the caller's */
	s = spec_of(&w, w.code, NULL, 7);
	assert_int_equal(shunt_submit(w.rt, &s, &id), 0);
	assert_int_equal(shunt_cq_wait(w.cq, TU_LONG_NS), 0);
	assert_int_equal(shunt_cq_take(w.cq, c, 4), 1);
	assert_true(c[0].id.v == id.v);
	tu_join(w.rt, id, SHUNT_JOB_DONE);
	assert_int_equal(shunt_detach(w.rt, id), SHUNT_ESTALE);
	/* waited for first */
	assert_int_equal(shunt_submit(w.rt, &s, &id), 0);
	tu_join(w.rt, id, SHUNT_JOB_DONE);
	assert_int_equal(shunt_cq_wait(w.cq, TU_LONG_NS), 0);
	assert_int_equal(shunt_cq_take(w.cq, c, 4), 1);
	assert_true(c[0].id.v == 0 && c[0].arg == (void *)(uintptr_t)7);
	assert_int_equal(shunt_cq_destroy(w.cq), 0);
	tu_close(w.rt);
}

/* Cancelled, of a cancelled group, asynchronous: each end is delivered once. */
static void test_every_end(void **state)
{
	struct tu_gate gate = { 0, 0 };
	_Atomic uint64_t self = 0;
	struct shunt_completion c[4];
	struct shunt_group_id g;
	struct shunt_job_spec s;
	struct shunt_job_id id;
	struct world w;

	(void)state;
	open_world(&w, 1, 8);
	(void)shunt_detach(w.rt, tu_hold(w.rt, w.gate, &gate));
	s = spec_of(&w, w.code, NULL, 1);
	assert_int_equal(shunt_submit(w.rt, &s, &id), 0);
	assert_int_equal(shunt_cancel(w.rt, id), 0);
	assert_int_equal(shunt_detach(w.rt, id), 0);
	assert_int_equal(shunt_cq_wait(w.cq, 0), 0);
	assert_int_equal(shunt_cq_take(w.cq, c, 4), 1);
	assert_int_equal(c[0].result.status, SHUNT_JOB_CANCELLED);
	assert_int_equal(c[0].result.detail, SHUNT_BY_CANCEL);
	assert_int_equal(shunt_group_create(w.rt, &g), 0);
	s.group = g;
	s.key = 3;
	s.flags = SHUNT_JOB_KEYED;
	assert_int_equal(shunt_submit(w.rt, &s, NULL), 0);
	assert_int_equal(shunt_group_cancel(w.rt, g), 0);
	atomic_store(&gate.open, 1);
	assert_int_equal(shunt_cq_wait(w.cq, TU_LONG_NS), 0);
	assert_int_equal(shunt_cq_take(w.cq, c, 4), 1);
	assert_int_equal(c[0].result.detail, SHUNT_BY_GROUP);
	s = spec_of(&w, w.pending, &self, 2);
	assert_int_equal(shunt_submit(w.rt, &s, NULL), 0);
	tu_wait_until(atomic_load(&self) != 0);
	assert_int_equal(shunt_cq_wait(w.cq, 0), SHUNT_ETIMEDOUT);
	id.v = atomic_load(&self);
	tu_wait_until(shunt_complete(w.rt, id, 5) == 0);
	assert_int_equal(shunt_cq_wait(w.cq, 0), 0);
	assert_int_equal(shunt_cq_take(w.cq, c, 4), 1);
	assert_true(c[0].arg == (void *)(uintptr_t)2 && c[0].result.code == 5 && c[0].result.detail == SHUNT_BY_COMPLETE);
	assert_int_equal(atomic_load(&ran), 0);
	assert_int_equal(shunt_cq_destroy(w.cq), 0);
	tu_close(w.rt);
}

/* Is the process's first thread, which runs the tests, asleep? */
static bool tester_sleeps(void)
{
	char path[64], state = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)getpid());
	f = fopen(path, "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*d (%*[^)]) %c", &state), 1);
	(void)fclose(f);
	return state == 'S';
}

static atomic_uint submitting;

/* Takes one completion when the tester sleeps in its submit, for it finds no place. */
static void *late_reader(void *arg)
{
	struct world *w = arg;
	struct shunt_completion c[2];

	tu_wait_until(atomic_load(&submitting) != 0 && tester_sleeps());
	return (void *)(uintptr_t)shunt_cq_take(w->cq, c, 1);
}

/* A full queue refuses, runs inline not at all, or lets the submitter wait for the reader. */
static void test_full(void **state)
{
	struct shunt_completion c[4];
	struct shunt_job_spec s;
	pthread_t t;
	struct world w;
	void *taken = NULL;
	uint32_t i;

	(void)state;
	open_world(&w, 1, 2);
	s = spec_of(&w, w.code, NULL, 1);
	for (i = 0; i < 2; i++)
		assert_int_equal(shunt_submit(w.rt, &s, NULL), 0);
	tu_wait_until(atomic_load(&ran) == 2);
	assert_int_equal(shunt_submit(w.rt, &s, NULL), SHUNT_EFULL);
	s.on_full = SHUNT_ON_FULL_INLINE; /* there is no place for its end either */
	assert_int_equal(shunt_submit(w.rt, &s, NULL), SHUNT_EFULL);
	s.on_full = SHUNT_ON_FULL_BLOCK;
	w.opts.full_timeout_ns = 5000000;
	assert_int_equal(shunt_submit(w.rt, &s, NULL), SHUNT_ETIMEDOUT);
	assert_int_equal(shunt_cq_pending(w.cq), 2);
	assert_int_equal(shunt_cq_destroy(w.cq), SHUNT_EBUSY);
	w.opts.full_timeout_ns = 0;
	assert_int_equal(pthread_create(&t, NULL, late_reader, &w), 0);
	atomic_store(&submitting, 1);
	assert_int_equal(shunt_submit(w.rt, &s, NULL), 0);
	(void)pthread_join(t, &taken);
	assert_true(taken == (void *)(uintptr_t)1);
	tu_wait_until(atomic_load(&ran) == 3);
	assert_int_equal(shunt_runtime_drain(w.rt, TU_LONG_NS, NULL), 0);
	assert_int_equal(shunt_cq_take(w.cq, c, 4), 2);
	assert_int_equal(shunt_cq_destroy(w.cq), 0);
	tu_close(w.rt);
}

static void test_refused(void **state)
{
	struct shunt_cq_opts o = SHUNT_CQ_OPTS_INIT;
	struct shunt_runtime *other = tu_runtime();
	struct shunt_cq *cq = NULL;
	struct shunt_completion c;
	struct shunt_job_spec s;
	struct world w;

	(void)state;
	open_world(&w, 1, 2);
	o.capacity = 1u << 24;
	assert_int_equal(shunt_cq_create(w.rt, &o, &cq), SHUNT_EINVAL);
	assert_non_null(strstr(shunt_error_detail(), "capacity 16777216"));
	assert_int_equal(shunt_cq_create(NULL, NULL, &cq), SHUNT_EINVAL);
	assert_int_equal(shunt_cq_create(w.rt, NULL, NULL), SHUNT_EINVAL);
	assert_int_equal(shunt_cq_destroy(NULL), SHUNT_EINVAL);
	assert_int_equal(shunt_cq_fd(NULL), -1);
	assert_int_equal(shunt_cq_take(NULL, &c, 1), 0);
	assert_int_equal(shunt_cq_take(w.cq, NULL, 1), 0);
	assert_int_equal(shunt_cq_wait(NULL, 0), SHUNT_EINVAL);
	assert_int_equal(shunt_cq_create(other, NULL, &cq), 0);
	w.opts.cq = cq;
	s = spec_of(&w, w.code, NULL, 1);
	assert_int_equal(shunt_submit(w.rt, &s, NULL), SHUNT_EINVAL);
	assert_non_null(strstr(shunt_error_detail(), "another runtime"));
	assert_int_equal(shunt_cq_pending(cq), 0);
	tu_close(other); /* ends its queue */
	tu_close(w.rt);
}

/* Destroying the runtime delivers what it cancels, to nobody; nothing leaks. */
static void test_runtime_ends(void **state)
{
	struct tu_gate gate = { 0, 0 };
	struct shunt_job_spec s;
	struct world w;
	uint64_t cancelled = 0;
	uint32_t i;

	(void)state;
	open_world(&w, 1, 16);
	(void)shunt_detach(w.rt, tu_hold(w.rt, w.gate, &gate));
	s = spec_of(&w, w.code, NULL, 1);
	for (i = 0; i < 8; i++)
		assert_int_equal(shunt_submit(w.rt, &s, NULL), 0);
	atomic_store(&gate.open, 1);
	assert_int_equal(shunt_runtime_destroy(w.rt, &cancelled), 0);
	assert_true(cancelled + atomic_load(&ran) == 8);
}

struct sender {
	struct world *w;
	uintptr_t first;
	uint32_t n;
};

static void *send_many(void *arg)
{
	struct sender *me = arg;

	for (uint32_t i = 0; i < me->n; i++) {
		struct shunt_job_spec s = spec_of(me->w, me->w->code, NULL, me->first + i);

		s.on_full = SHUNT_ON_FULL_BLOCK;
		if (i % 3 == 0) {
			s.flags = SHUNT_JOB_KEYED;
			s.key = i % 7;
		}
		if (shunt_submit(me->w->rt, &s, NULL) != 0)
			return me;
	}
	return NULL;
}

/* An event loop that sleeps in epoll gets every end once, whatever comes in between its look and its sleep. */
static void test_many(void **state)
{
	static uint8_t seen[2 * 40000 + 1];
	struct shunt_completion c[16];
	struct epoll_event ev = { .events = EPOLLIN };
	struct sender s[2];
	pthread_t t[2];
	struct world w;
	uint32_t got = 0, wakeups = 0, i;
	int ep = epoll_create1(EPOLL_CLOEXEC);
	void *bad = NULL;

	(void)state;
	assert_true(ep >= 0);
	memset(seen, 0, sizeof(seen));
	open_world(&w, 2, 512);
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, shunt_cq_fd(w.cq), &ev), 0);
	for (i = 0; i < 2; i++) {
		s[i] = (struct sender){ &w, 1 + i * MANY, MANY };
		assert_int_equal(pthread_create(&t[i], NULL, send_many, &s[i]), 0);
	}
	while (got < 2 * MANY) {
		size_t n;

		assert_int_equal(epoll_wait(ep, &ev, 1, TU_DEADLINE_S * 1000), 1);
		wakeups++;
		do {
			n = shunt_cq_take(w.cq, c, 16);
			for (i = 0; i < n; i++) {
				uintptr_t tag = (uintptr_t)c[i].arg;

				assert_true(tag >= 1 && tag <= 2 * MANY && seen[tag]++ == 0);
			}
			got += (uint32_t)n;
		} while (n == 16);
	}
	for (i = 0; i < 2; i++) {
		(void)pthread_join(t[i], &bad);
		assert_null(bad);
	}
	print_message("%u completions in %u wake-ups\n", got, wakeups);
	assert_int_equal(shunt_cq_take(w.cq, c, 16), 0);
	assert_int_equal(shunt_cq_destroy(w.cq), 0);
	(void)close(ep);
	tu_close(w.rt);
}

static void test_fork(void **state)
{
	struct shunt_completion c;
	struct world w;
	int status = 0;
	pid_t child;

	(void)state;
	open_world(&w, 1, 2);
	child = fork();
	if (child == 0)
		_exit(shunt_cq_take(w.cq, &c, 1) == 0 && shunt_cq_wait(w.cq, 0) == SHUNT_EFORKED
				      && shunt_cq_destroy(w.cq) == SHUNT_EFORKED
			      ? 0
			      : 1);
	assert_true(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(shunt_cq_destroy(w.cq), 0);
	tu_close(w.rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_every_end),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_runtime_ends),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
