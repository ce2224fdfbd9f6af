/*
 * model/lines/lines.c - how many cache lines of other threads one plain job touches: its submit, and the worker that
 * runs it. Says how that depends on the number of workers in the pool, and fails where a number is above its limit.
 *
 * The real runtime, as the explorer compiles it, on fibers (virt/virt.h). But nothing is explored: there is one
 * execution, every load returns the newest value, and a thread goes on until it waits. The calls of model/site.h, and
 * those by which -fsanitize=thread announces plain accesses, note who touches which line (seen.c).
 *
 * What counts. A line is *shared* if two threads touch it after the pool was made, and one of them writes it: these
 * are the lines that may travel. Lines of one thread alone do not count, nor do those that nobody writes any more. A
 * shared line is *fetched* if another thread wrote it since this thread had it, or if this thread writes it and
 * another one has it: what a coherent cache that forgets nothing would ask others for. Both are counted once per
 * window, and judged by the largest window of all jobs that were measured.
 *
 *   submit   from the call of shunt_submit to its end, the submitter
 *   run      from that call to the end of the handler, the worker that runs the job: how it finds the job and takes
 *            it. Busy workers: from the end of the job before
 *   rest     from there until all workers wait as before, the same worker: what it learned, and its way back to
 *            idleness
 *
 * Workers that are idle spin (poll mode) or are parked (park mode). Busy ones are in a job while more are queued.
 *
 * What grows with the number of workers: one that was woken looks into the ring of each other worker (2 lines) before
 * it runs the job, and again before it sleeps; one that becomes idle looks whether another one is prompt, a line each.
 * limit_of says so. Submits do not grow beyond 8 workers.
 *
 * Measured from the time on at which every worker ran enough jobs to be compared. Before, one choice in eight looks
 * for a worker that did not, and reads a line of each idle one on the way.
 *
 * Not seen: prefetches, which touch a line that is needed soon; the kernel's lines of a wake-up; what compilers leave
 * out at higher optimisation (-O1 here); the registry's and the clock's variables. Two submitters take turns, so that
 * a line that only submitters write is shared too. Lines are as in this program: variables that share one here may
 * not do so elsewhere.
 *
 * SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shunt/runtime.h>

#include "model/lines/lines.h"
#include "sched/world.h"
#include "virt/virt.h"

#define STEP_NS 200u /* of a look of a thread that waits */
#define GAP_NS 20000u
#define SUBMITTERS 2u
#define WARM 64u /* jobs at least, until every worker is measured */
#define MEASURED 200u
#define PATIENCE 4000000u

extern char __data_start[], _end[]; /* the linker's: the program's variables */

enum state { SPINNING,
	     PARKED,
	     BUSY };

static uint64_t time_ns;

/* What runs. */
static struct {
	struct shunt_runtime *rt;
	struct shunt_topo *topo;
	struct sh_pool *pool;
	struct shunt_type_id type, holding;
	uint32_t workers;
	enum state state;
	uint64_t job_ns;
	uint32_t jobs;                  /* of a turn, BUSY */
	uint32_t turn, turns;           /* turns so far; measured ones to come */
	uint32_t started, ran;          /* jobs that hold a worker, others */
	uint32_t by, left;              /* the thread of the last job; BUSY: jobs that are queued */
	uint64_t stolen[LINES_THREADS]; /* each worker's count at its last job */
	bool held, measured;
} t;

static void must(int rc)
{
	if (rc != 0)
		lines_fail(shunt_strerror(rc));
}

/* ---- the machine ---- */

static void expire_due(void)
{
	while (virt_next_deadline() <= time_ns)
		for (uint32_t i = 0; i < virt_threads(); i++) {
			const struct virt_thread *v = virt_get(i);

			if ((v->state == VIRT_FUTEX || v->state == VIRT_SLEEP) && v->deadline_ns <= time_ns)
				virt_expire(i);
		}
}

/* A thread goes on until it waits; then the next in turn. */
static uint32_t schedule(enum virt_why why)
{
	uint32_t self = virt_self(), n = virt_threads();

	if (why == VIRT_POINT && virt_ready(self))
		return self;
	if (why == VIRT_RELAX)
		time_ns += STEP_NS;
	for (;;) {
		expire_due();
		for (uint32_t k = 1; k <= n; k++)
			if (virt_ready((self + k) % n))
				return (self + k) % n;
		if (virt_next_deadline() == VIRT_FOREVER)
			lines_fail("everybody sleeps");
		time_ns = virt_next_deadline();
	}
}

static uint64_t now_ns(void)
{
	return time_ns;
}

static const struct virt_tool tool = { schedule, now_ns, NULL, NULL, lines_fail };

/* ---- jobs ---- */

/* Keeps its worker busy. */
static int hold(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	t.started++;
	while (t.held)
		virt_relax();
	return 0;
}

static int job(struct shunt_job_ctx *ctx, void *arg)
{
	const uint64_t stolen = ctx->worker->stolen.v;

	(void)arg;
	virt_sleep_until(time_ns + t.job_ns);
	t.by = virt_self();
	if (t.left > 0) {
		/* a worker that has run out of jobs looks for those of others: no plain job */
		lines_close(t.by, t.measured && t.stolen[ctx->worker->slot] == stolen);
		lines_window(LINES_RUN, t.by);
		t.stolen[ctx->worker->slot] = stolen;
		t.left--;
	} else if (t.measured) {
		lines_close(t.by, true);
		lines_window(LINES_REST, t.by);
	}
	t.ran++;
	return 0;
}

/* Does worker i wait as it does in the long run? */
static bool waits(uint32_t i)
{
	const struct sh_pool *p = t.pool;

	if (t.state == PARKED)
		return p->worker[i]->state.v == SH_W_PARKED && (p->idle[i / 64u].v >> (i % 64u) & 1u);
	return (p->spinning[i / 64u].v >> (i % 64u) & 1u) != 0;
}

static void await_idle(void)
{
	for (uint32_t i = 0, n = 0; i < t.workers; i++, n++) {
		if (n == PATIENCE)
			lines_fail("the workers do not come to rest");
		if (waits(i))
			continue;
		virt_relax();
		i = UINT32_MAX; /* from the first one again */
	}
}

static void await(const uint32_t *counter, uint32_t value)
{
	for (uint32_t n = 0; *counter != value; n++) {
		if (n == PATIENCE)
			lines_fail("a job does not run");
		virt_relax();
	}
}

static void submit(struct shunt_type_id type, bool measured)
{
	const struct shunt_job_spec s = { .type = type };

	if (measured)
		lines_window(LINES_SUBMIT, virt_self());
	must(shunt_submit(t.rt, &s, NULL));
	lines_close(virt_self(), true);
}

/* One job; all workers are idle before. */
static void one_idle(void)
{
	uint32_t ran = t.ran;

	await_idle();
	virt_sleep_until(time_ns + GAP_NS);
	await_idle();
	for (uint32_t i = 0; t.measured && i < virt_threads(); i++)
		lines_window(LINES_RUN, i);
	submit(t.type, t.measured);
	await(&t.ran, ran + 1);
	await_idle();
	lines_close(t.by, t.measured);
	lines_close_all();
}

/* Every worker is in a job while more are queued; then they run. */
static void many_busy(void)
{
	uint32_t ran = t.ran, started = t.started;

	await_idle();
	t.held = true;
	for (uint32_t i = 1; i <= t.workers; i++) {
		submit(t.holding, false);
		await(&t.started, started + i);
	}
	for (uint32_t i = 0; i < t.jobs; i++) {
		virt_sleep_until(time_ns + GAP_NS);
		submit(t.type, t.measured);
	}
	t.left = t.jobs;
	t.held = false;
	await(&t.ran, ran + t.jobs);
	lines_close_all();
}

/* Warm: every worker ran enough jobs to be compared. */
static bool is_warm(void)
{
	return t.turn >= WARM && t.pool->unmeasured.v == 0;
}

static void *submitter(void *arg)
{
	uint32_t me = *(const uint32_t *)arg;

	while (t.turns > 0) {
		if (t.turn % SUBMITTERS != me) {
			virt_relax();
			continue;
		}
		if (!is_warm() || t.state != BUSY)
			one_idle();
		else
			many_busy();
		t.turn++;
		if (t.measured)
			t.turns--;
		t.measured = is_warm();
	}
	return NULL;
}

/* ---- cases ---- */

static struct shunt_type_id type_new(struct shunt_pool_id pool, const char *name, shunt_handler_fn fn)
{
	struct shunt_type_opts o = SHUNT_TYPE_OPTS_INIT;
	struct shunt_type_id id;

	o.name = name;
	o.pool = pool;
	o.handler = fn;
	must(shunt_type_create(t.rt, &o, &id));
	return id;
}

static void create(void)
{
	struct shunt_topo_opts to = SHUNT_TOPO_OPTS_INIT;
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = SHUNT_POOL_OPTS_INIT;
	struct shunt_pool_id pool;

	to.synthetic = "core:256 pu:1";
	to.cpu_budget_config = 256;
	must(shunt_topo_open(&t.topo, &to));
	ro.topo = t.topo;
	must(shunt_runtime_create(&t.rt, &ro));
	po.name = "p";
	po.workers = t.workers;
	po.spares_max = SHUNT_ANY;
	po.pin = SHUNT_PIN_NONE;
	po.idle = t.state == PARKED ? SHUNT_IDLE_PARK : SHUNT_IDLE_POLL;
	must(shunt_pool_create(t.rt, &po, &pool));
	t.pool = sh_runtime_pool(t.rt, pool.v);
	t.type = type_new(pool, "t", job);
	t.holding = type_new(pool, "h", hold);
}

/* Limits, in lines. */
struct limit {
	uint32_t shared, fetched;
};

/*
 * What a choice among workers that do not spin reads beside the lines of the chosen one: a line of each of up to 8
 * workers; beyond, one of each of 4 random ones and of their weights, and at times of one that is tried to learn of it.
 */
static uint32_t candidates(void)
{
	return t.workers <= 8 ? t.workers : 10;
}

static struct limit limit_of(enum lines_kind kind)
{
	const uint32_t n = t.workers;

	switch (kind) {
	case LINES_SUBMIT:
		if (t.state == SPINNING) /* above 8: a look into the ring of the one that is chosen */
			return n <= 8 ? (struct limit){ 9, 5 } : (struct limit){ 11, 7 };
		return (struct limit){ 11 + candidates(), 7 + candidates() };
	case LINES_RUN:
		/* one that was woken looks into the ring of each other worker before it runs the job */
		if (t.state == PARKED)
			return (struct limit){ 8 + 2 * n, 6 + 2 * n };
		if (t.state == SPINNING)
			return (struct limit){ 9, 5 };
		/* now and then it compares what it learned with the weights of all, 16 to a line */
		return (struct limit){ 13 + (n + 15) / 16, 5 + (n + 15) / 16 };
	default:
		/* is another one prompt? And before a sleep, the rings */
		return t.state == PARKED ? (struct limit){ 8 + 3 * n, 4 + 2 * n } : (struct limit){ 7 + n, 4 };
	}
}

/* "worker 3 +0x40", "queues of worker 3 +0x80" */
static void line_name(uintptr_t a, char *out, size_t bytes)
{
#define INSIDE(p, n) (a - (uintptr_t)(p) < (n))
#define OFFSET(p) ((size_t)(a - (uintptr_t)(p)))
	(void)snprintf(out, bytes, INSIDE(__data_start, (size_t)(_end - __data_start)) ? "variables" : "memory");
	if (INSIDE(t.pool, sizeof(*t.pool)))
		(void)snprintf(out, bytes, "pool +0x%zx", OFFSET(t.pool));
	if (INSIDE(t.rt, sizeof(*t.rt)))
		(void)snprintf(out, bytes, "runtime +0x%zx", OFFSET(t.rt));
	if (INSIDE(t.rt->type, SHUNT_TYPES_MAX * sizeof(*t.rt->type)))
		(void)snprintf(out, bytes, "types +0x%zx", OFFSET(t.rt->type));
	if (INSIDE(t.rt->submitter, t.rt->submitters * sizeof(*t.rt->submitter)))
		(void)snprintf(out, bytes, "submitter %zu +0x%zx", OFFSET(t.rt->submitter) / sizeof(*t.rt->submitter),
			       OFFSET(t.rt->submitter) % sizeof(*t.rt->submitter));
	for (uint32_t i = 0; i < t.workers; i++) {
		const struct sh_worker *w = t.pool->worker[i];

		if (INSIDE(w, sizeof(*w)))
			(void)snprintf(out, bytes, "worker %u +0x%zx", i, OFFSET(w));
		if (INSIDE(w->queue_mem, w->queue_bytes))
			(void)snprintf(out, bytes, "queues of worker %u +0x%zx", i, OFFSET(w->queue_mem));
	}
#undef INSIDE
#undef OFFSET
}

/* A shared line of the largest window. */
static void show(uintptr_t address, bool fetched, const struct model_site *site)
{
	const char *from = site ? strstr(site->file, "runtime/") : NULL;
	char name[64];

	line_name(address, name, sizeof(name));
	printf("    %-32s %-8s ", name, fetched ? "fetched" : "");
	if (from)
		printf("%s:%d\n", from + strlen("runtime/"), site->line);
	else
		printf("plain\n");
}

static bool shows; /* --show */
static int failed;

/* A row of the table, and what is wrong with it. */
static void report(const struct lines_count c[LINES_KINDS])
{
	static const char *const state_name[] = { "spinning", "parked", "busy" };
	static const char *const kind_name[] = { "submit", "run", "rest" };
	char name[64];

	(void)snprintf(name, sizeof(name), "%-8s %4" PRIu64 " ns %3u workers", state_name[t.state], t.job_ns,
		       t.workers);
	printf("%-36s", name);
	for (uint32_t k = 0; k < LINES_KINDS; k++)
		if (c[k].windows > 0)
			printf(" %3u (%5.1f) %3u (%5.1f) ", c[k].shared_max, (double)c[k].shared / c[k].windows,
			       c[k].fetched_max, (double)c[k].fetched / c[k].windows);
	printf("\n");
	for (uint32_t k = 0; k < LINES_KINDS; k++) {
		const struct limit l = limit_of((enum lines_kind)k);
		bool above = c[k].shared_max > l.shared || c[k].fetched_max > l.fetched;

		if (c[k].windows < (k == LINES_REST && t.state == BUSY ? 0 : MEASURED / 2)) {
			printf("FAILED: %s: %s: only %u jobs were measured\n", name, kind_name[k], c[k].windows);
			failed = 1;
		}
		if (above) {
			printf("FAILED: %s: %s: touches %u lines, fetches %u; want at most %u and %u:\n", name,
			       kind_name[k], c[k].shared_max, c[k].fetched_max, l.shared, l.fetched);
			failed = 1;
		} else if (shows && c[k].windows > 0) {
			printf("  %s:\n", kind_name[k]);
		}
		if (above || shows)
			lines_each(c[k].largest, show);
	}
	(void)fflush(stdout);
}

static void run_case(enum state state, uint32_t workers, uint64_t job_ns)
{
	const uint32_t me[SUBMITTERS] = { 0, 1 };
	struct lines_count count[LINES_KINDS];
	uint32_t id[SUBMITTERS];

	memset(&t, 0, sizeof(t));
	t.state = state;
	t.workers = workers;
	t.job_ns = job_ns;
	t.turns = state == BUSY ? SUBMITTERS : MEASURED;
	t.jobs = 8 * workers < MEASURED ? MEASURED : 8 * workers;
	time_ns = UINT64_C(1000000000);
	lines_reset();
	virt_begin(&tool);
	create();
	lines_watch(true);
	for (uint32_t i = 0; i < SUBMITTERS; i++)
		id[i] = virt_start("submitter", submitter, (void *)(uintptr_t)&me[i]);
	for (uint32_t i = 0; i < SUBMITTERS; i++)
		virt_join(id[i]);
	lines_watch(false);
	lines_count(count);
	report(count);
	must(shunt_runtime_destroy(t.rt, NULL));
	shunt_topo_close(t.topo);
	virt_end();
}

int main(int argc, char **argv)
{
	static const uint32_t workers[] = { 2, 5, 8, 17, 65 };
	static const uint64_t job_ns[] = { 300, 5000 };

	shows = argc == 2 && strcmp(argv[1], "--show") == 0;
	if (argc > 1 && !shows)
		lines_fail("the only option is --show: prints the lines of each largest window");
	lines_open();
	virt_set_stacks(lines_stack, LINES_STACK_BYTES);
	printf("Shared lines that a plain job touches, and those of them that it fetches: most, and (mean)\n");
	printf("%-36s %-24s  %-24s  %s\n", "", "submit", "run", "rest");
	for (enum state s = SPINNING; s <= BUSY; s++)
		for (size_t j = 0; j < sizeof(job_ns) / sizeof(job_ns[0]); j++)
			for (size_t i = 0; i < sizeof(workers) / sizeof(workers[0]); i++)
				run_case(s, workers[i], job_ns[j]);
	return failed;
}
