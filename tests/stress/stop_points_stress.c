/*
 * stress/stop_points_stress.c - a thread that stops for ever inside the library holds up nobody but itself.
 *
 * Invariant. Let one thread stop at a named point of the submit path (until the end of the round). Then every job
 * that another thread submits afterwards runs, whatever the point, the number of workers, the idle mode and the kind
 * of the jobs. Let one worker stop at a named point of its loop. Then, with other workers there, every job submitted
 * by others runs too, but for those in the stopped worker's hands: at most 1 at run.before_claim and
 * record.end.before_terminal, 8 at worker.steal.taken and worker.backlog.taken, 32 at run.before_handler,
 * worker.hand.taken and backlog.retire (a hand of short jobs), 1 at worker.park.before_scan (the job that it was woken
 * for). A worker that stops while it seems to spin (worker.spin.advertised, and the points where it takes its first
 * jobs) also keeps the one push that claimed it, until the next push to it. A key whose job or token it holds waits
 * with it. When the stopped thread is released everything that was accepted ends, its own jobs too.
 *
 * Progress is counted, no time is asserted: a round that stands still is ended by the watchdog of stress_util.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/futex.h"
#include "base/inject.h"
#include "sched/world.h"
#include "stress_util.h"

#define OTHERS 2u    /* submitters that must not be held up */
#define HANDS_MAX 8u /* jobs a stopped worker may hold, */
#define HAND_MAX 32u /* and short ones that it took to run them in one batch */
#define STOP_RING 2u /* capacity of the rings where a worker stops: what one push may leave to a spinner */
#define WARM_TRIES 1000u
#define BATCHES 8u   /* which worker stops is chance */
#define SLOW_NS 20000000u

enum kind { PLAIN, SAME_KEY, OTHER_KEY, TRACKED, BATCH, KINDS, DETACHED = KINDS };
static const char *const kind_names[] = { "plain", "keyed, same key", "keyed, other key", "tracked", "batch", "detached" };
static const char *const idle_names[] = { "default", "poll", "adaptive", "park" };

/* The victim is the first thread of the right sort that comes to the point. */
static struct trap {
	const char *point; /* sync: const while armed */
	bool worker;       /* sync: const while armed; a worker is to stop, else the victim submitter */
	sh_a32 armed;      /* 1 = open for a victim */
	sh_a32 caught;     /* 1 = a thread stands in it */
	sh_a32 released;
	sh_a64 hits; /* visits of the point by anybody */
} trap;

static _Thread_local int role; /* 1 = the submitter that is to stop, 2 = another user thread, 0 = a worker */

static const char *slow_point; /* sync: const while threads run; user threads are held there for a while */

static int on_point(void *arg, const char *point)
{
	uint32_t armed = 1;

	(void)arg;
	if (role == 2 && slow_point && strcmp(point, slow_point) == 0)
		stress_pause_ns(SLOW_NS);
	if (!sh_a32_load_sc(&trap.armed) || strcmp(point, trap.point) != 0)
		return 0;
	(void)sh_a64_add_sc(&trap.hits, 1);
	if (trap.worker ? role != 0 : role != 1)
		return 0;
	if (!sh_a32_cas_sc(&trap.armed, &armed, 0))
		return 0;
	sh_a32_store_sc(&trap.caught, 1);
	while (!sh_a32_load_sc(&trap.released))
		(void)sh_futex_wait(&trap.released, 0, SH_FOREVER);
	return 0;
}

static void trap_arm(const char *point, bool worker)
{
	trap.point = point;
	trap.worker = worker;
	sh_a32_store_sc(&trap.caught, 0);
	sh_a32_store_sc(&trap.released, 0);
	sh_a64_store_sc(&trap.hits, 0);
	sh_a32_store_sc(&trap.armed, 1);
}

static void trap_release(void)
{
	sh_a32_store_sc(&trap.armed, 0);
	sh_a32_store_sc(&trap.released, 1);
	(void)sh_futex_wake(&trap.released, 1024);
}

struct round {
	struct shunt_runtime *rt;
	struct shunt_pool_id pool;
	struct shunt_type_id type, gate;
	uint32_t workers;
	enum shunt_idle idle;
	enum kind kind;
	uint64_t jobs;  /* of each other submitter */
	uint32_t group; /* jobs between two looks */
	sh_a32 quit;    /* the victim ends */
	sh_a32 gate_open;
	sh_a64 victim_accepted, accepted, ran, ran_others, gated;
};

static struct round *now; /* sync: const while threads run */

#define OTHER_TAG 1u
#define VICTIM_TAG 2u

static int run_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	if ((uintptr_t)arg == OTHER_TAG)
		(void)sh_a64_add_sc(&now->ran_others, 1);
	(void)sh_a64_add_sc(&now->ran, 1);
	stress_progress();
	return SHUNT_DONE;
}

/* Keeps its worker busy until the gate opens. */
static int run_gate(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	(void)sh_a64_add_sc(&now->gated, 1);
	while (!sh_a32_load_sc(&now->gate_open))
		stress_pause_ns(20000);
	return SHUNT_DONE;
}

static void fill_spec(struct shunt_job_spec *spec, enum kind kind, bool victim)
{
	memset(spec, 0, sizeof(*spec));
	spec->type = now->type;
	spec->arg = (void *)(uintptr_t)(victim ? VICTIM_TAG : OTHER_TAG);
	if (kind == SAME_KEY || kind == OTHER_KEY) {
		spec->flags = SHUNT_JOB_KEYED;
		spec->key = victim || kind == SAME_KEY ? 1 : 2;
	}
}

/* Submits `n` jobs one after the other; the tracked ones are awaited. */
static void submit_some(enum kind kind, bool victim, uint32_t n)
{
	struct shunt_job_spec spec[16];
	sh_a64 *count = victim ? &now->victim_accepted : &now->accepted;
	uint32_t i;

	fill_spec(&spec[0], kind, victim);
	for (i = 1; i < SH_COUNT(spec); i++)
		spec[i] = spec[0];
	for (i = 0; i < n; i++) {
		struct shunt_job_id id;
		int rc = 0;

		if (kind == BATCH) {
			size_t got = shunt_submit_batch(now->rt, spec, SH_COUNT(spec), NULL, &rc);

			(void)sh_a64_add_sc(count, got);
			STRESS_CHECK(rc == 0 || rc == SHUNT_EFULL, "batch: %d", rc);
			if (rc != 0)
				stress_pause_ns(100000);
			continue;
		}
		rc = shunt_submit(now->rt, &spec[0], kind == TRACKED || kind == DETACHED ? &id : NULL);
		STRESS_CHECK(rc == 0, "submit: %d", rc);
		(void)sh_a64_add_sc(count, 1);
		if (kind == TRACKED && !victim)
			STRESS_CHECK(shunt_wait(now->rt, id, SHUNT_FOREVER, NULL) == 0, "wait");
		else if (kind == TRACKED || kind == DETACHED)
			STRESS_CHECK(shunt_detach(now->rt, id) == 0, "detach");
	}
}

/* Submits until it has been stopped and released, or must give up. */
static void *victim_main(void *arg)
{
	uint32_t i;

	(void)arg;
	role = 1;
	for (i = 0; !sh_a32_load_sc(&now->quit) && !sh_a32_load_sc(&trap.caught); i++) {
		submit_some(now->kind, true, 1);
		if (i % 8 == 7) /* the workers fall asleep now and then, so that a wake-up is on the way too */
			stress_pause_ns(100000);
	}
	return NULL;
}

static bool others_done(void *arg)
{
	const struct round *r = arg;

	return sh_a64_load_sc(&now->ran_others) == sh_a64_load_sc(&now->accepted) && r != NULL;
}

static void *other_main(void *arg)
{
	uint64_t left = now->jobs;

	(void)arg;
	role = 2;
	while (left > 0) {
		uint32_t n = left < now->group ? (uint32_t)left : now->group;

		submit_some(now->kind, false, n);
		left -= n;
		stress_pause_ns(30000);
	}
	return NULL;
}

static bool all_ran(void *arg)
{
	(void)arg;
	return sh_a64_load_sc(&now->ran) == sh_a64_load_sc(&now->accepted) + sh_a64_load_sc(&now->victim_accepted);
}

/* A strategy: every job is put before worker 0. */
static int first_worker(void *arg, const struct shunt_loads *loads, uint64_t key, uint32_t home)
{
	(void)arg;
	(void)loads;
	(void)key;
	(void)home;
	return 0;
}

static void open_round(struct round *r, uint32_t ring, enum shunt_strategy strategy)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct shunt_pool_opts po = SHUNT_POOL_OPTS_INIT;
	struct shunt_type_opts to = SHUNT_TYPE_OPTS_INIT;
	int rc;

	now = r;
	ro.jobs_max = 8192;
	STRESS_CHECK(shunt_runtime_create(&r->rt, &ro) == 0, "runtime create");
	po.name = "stop";
	po.workers = r->workers;
	po.pin = SHUNT_PIN_NONE;
	po.idle = r->idle;
	po.ring_capacity = ring;
	po.strategy = strategy;
	if (strategy == SHUNT_SELECT_USER)
		po.select = first_worker;
	po.key_slots = 64;
	rc = shunt_pool_create(r->rt, &po, &r->pool);
	to.name = "job";
	to.pool = r->pool;
	to.handler = run_job;
	rc |= shunt_type_create(r->rt, &to, &r->type);
	to.name = "gate";
	to.handler = run_gate;
	rc |= shunt_type_create(r->rt, &to, &r->gate);
	STRESS_CHECK(rc == 0, "set up");
}

static void close_round(struct round *r)
{
	uint64_t left = 0;
	int rc;

	sh_a32_store_sc(&r->gate_open, 1);
	do {
		rc = shunt_runtime_drain(r->rt, 1000000000u, NULL);
	} while (rc == SHUNT_ETIMEDOUT);
	STRESS_CHECK(rc == 0, "drain: %d", rc);
	STRESS_CHECK(all_ran(NULL), "after the drain: ran %llu of %llu", (unsigned long long)sh_a64_load_sc(&r->ran),
		(unsigned long long)(sh_a64_load_sc(&r->accepted) + sh_a64_load_sc(&r->victim_accepted)));
	STRESS_CHECK(shunt_runtime_destroy(r->rt, &left) == 0 && left == 0, "jobs were left");
}

static void describe(char *text, size_t size, const struct round *r, const char *point)
{
	(void)snprintf(
		text, size, "%s, %u workers, %s, %s", point, r->workers, idle_names[r->idle], kind_names[r->kind]);
	stress_at(text);
}

static bool victim_quiesced(void *arg)
{
	(void)arg;
	return sh_a32_load_sc(&trap.caught) || sh_a64_load_sc(&now->victim_accepted) >= WARM_TRIES;
}

/* One submitter stops at `point`; returns false when it never came there (the mix does not reach it). */
static bool submitter_stops(struct round *r, const char *point)
{
	static char text[160];
	pthread_t victim, other[OTHERS];
	bool caught;
	uint32_t i;

	describe(text, sizeof(text), r, point);
	open_round(r, r->workers == 1 ? 256 : 4, SHUNT_SELECT_DEFAULT);
	stress_round(0, r->rt);
	trap_arm(point, false);
	STRESS_CHECK(pthread_create(&victim, NULL, victim_main, NULL) == 0, "thread");
	stress_until(victim_quiesced, NULL, text);
	caught = sh_a32_load_sc(&trap.caught) != 0;
	sh_a32_store_sc(&r->quit, 1);
	if (caught) {
		for (i = 0; i < OTHERS; i++)
			STRESS_CHECK(pthread_create(&other[i], NULL, other_main, NULL) == 0, "thread");
		for (i = 0; i < OTHERS; i++)
			(void)pthread_join(other[i], NULL);
		stress_until(others_done, r, text);
	}
	trap_release();
	(void)pthread_join(victim, NULL);
	close_round(r);
	stress_round(0, NULL);
	return caught;
}

/* ---- a stopped worker ---- */

struct worker_point {
	const char *point;
	uint64_t hands, left; /* jobs that the stopped worker may hold; that may be left to it */
};

static const struct worker_point worker_points[] = {
	{ "run.before_claim", 1, 0 },
	{ "run.before_handler", HAND_MAX, 0 },
	{ "worker.hand.taken", HAND_MAX, 0 },
	{ "record.end.before_terminal", 1, 0 },
	{ "worker.steal.taken", HANDS_MAX, STOP_RING },
	{ "worker.backlog.taken", HANDS_MAX, STOP_RING },
	{ "backlog.retire", HAND_MAX, STOP_RING },
	{ "worker.park.before_scan", 1, 0 },
	{ "worker.spin.advertised", 0, STOP_RING },
};

static bool ran_but_hands(void *arg)
{
	const uint64_t *hands = arg;

	return sh_a64_load_sc(&now->ran_others) + *hands >= sh_a64_load_sc(&now->accepted);
}

static bool worker_caught(void *arg)
{
	(void)arg;
	return sh_a32_load_sc(&trap.caught) != 0;
}

static bool gates_taken(void *arg)
{
	(void)arg;
	return sh_a64_load_sc(&now->gated) >= 1;
}

/* A job keeps a worker busy until the gate opens: worker 0 with SHUNT_JOB_ON_WORKER in `flags`. */
static void hold_worker(struct round *r, uint16_t flags)
{
	const struct shunt_job_opts on_0 = SHUNT_JOB_OPTS_INIT;
	struct shunt_job_spec gate = { 0 };

	gate.type = r->gate;
	gate.flags = flags;
	gate.opts = flags ? &on_0 : NULL;
	STRESS_CHECK(shunt_submit(r->rt, &gate, NULL) == 0, "gate");
	stress_until(gates_taken, NULL, "the gate job");
}

/* One gate job holds a worker, so that its queue is stolen from, and bursts overflow the small rings. */
static void feed_until_caught(struct round *r, const char *point)
{
	uint32_t tries;

	hold_worker(r, 0);
	trap_arm(point, true); /* the gate's own worker has passed */
	for (tries = 0; tries < WARM_TRIES && !sh_a32_load_sc(&trap.caught); tries++) {
		submit_some(r->kind, false, 1 + tries % 40);
		/* Until the queues are empty: a worker that is about to sleep comes by. */
		while (!sh_a32_load_sc(&trap.caught) && !others_done(r))
			stress_pause_ns(20000);
	}
}

/*
 * One worker stops; the others do all the rest but for `hands` jobs, and for what one push `left` to it as a spinner: until
 * there are more pushes.
 */
static bool worker_stops(struct round *r, const struct worker_point *at)
{
	static char text[160];
	uint64_t none = 0, first = at->hands + at->left, hands = at->hands;
	bool caught;
	uint32_t i;

	describe(text, sizeof(text), r, at->point);
	open_round(r, STOP_RING, SHUNT_SELECT_ROUND_ROBIN);
	stress_round(0, r->rt);
	role = 2;
	feed_until_caught(r, at->point);
	caught = worker_caught(NULL);
	if (caught) {
		stress_until(ran_but_hands, &first, text);
		for (i = 0; i < 20; i++) { /* and new jobs are not held up */
			submit_some(PLAIN, false, 10);
			stress_until(ran_but_hands, &hands, text);
		}
	}
	trap_release();
	sh_a32_store_sc(&r->gate_open, 1);
	stress_until(ran_but_hands, &none, text);
	close_round(r);
	stress_round(0, NULL);
	return caught;
}

/* A case of its own: the frame of a round. */
static void begin_case(struct round *r, const char *what, uint32_t ring, enum shunt_strategy strategy)
{
	stress_at(what);
	open_round(r, ring, strategy);
	stress_round(0, r->rt);
	role = 2;
}

static void end_case(struct round *r)
{
	trap_release();
	close_round(r);
	stress_round(0, NULL);
}

/* A waker stopped before its system call, the other worker busy: a job queued behind the busy one must be seen to. */
static bool waker_stops_other_busy(enum shunt_strategy strategy)
{
	struct round r = { .workers = 2, .idle = SHUNT_IDLE_PARK, .kind = PLAIN };
	pthread_t victim;
	bool caught;
	uint32_t i;

	begin_case(&r, "waker stopped, the other worker busy", 256, strategy);
	hold_worker(&r, 0);
	trap_arm("submit.before_wake", false);
	STRESS_CHECK(pthread_create(&victim, NULL, victim_main, NULL) == 0, "thread");
	stress_until(victim_quiesced, NULL, "waker stopped, the other worker busy");
	caught = sh_a32_load_sc(&trap.caught) != 0;
	sh_a32_store_sc(&r.quit, 1);
	for (i = 0; caught && i < 50; i++) {
		submit_some(i % 5 == 4 ? BATCH : PLAIN, false, 1);
		stress_until(others_done, &r, "waker stopped, the other worker busy: one job");
	}
	trap_release();
	(void)pthread_join(victim, NULL);
	end_case(&r);
	return caught;
}

/*
 * Of a batch the first jobs go to a ring and wake a worker. It has run them and is stopped on its way back to sleep,
 * where submitters take it for a sleeper, when the other jobs come to the backlog: one may wait for it, the rest have
 * somebody else.
 */
static bool sleeper_stops_in_batch(enum shunt_strategy strategy)
{
	struct round r = { .workers = 2, .idle = SHUNT_IDLE_PARK, .kind = BATCH };
	uint64_t one = 1, none = 0;
	bool caught;

	begin_case(&r, "sleeper stopped in a batch", 2, strategy);
	slow_point = "submit.before_backlog";
	trap_arm("worker.park.before_scan", true);
	submit_some(BATCH, false, 1);
	slow_point = NULL;
	caught = worker_caught(NULL);
	stress_until(ran_but_hands, &one, "sleeper stopped in a batch");
	trap_release();
	stress_until(ran_but_hands, &none, "sleeper stopped in a batch: released");
	end_case(&r);
	return caught;
}

/* The same for a batch that is queued behind a busy worker. */
static bool sleeper_stops_beside_busy(void)
{
	struct round r = { .workers = 3, .idle = SHUNT_IDLE_PARK, .kind = BATCH };
	uint64_t one = 1, none = 0;
	bool caught;

	begin_case(&r, "sleeper stopped beside a busy worker", 256, SHUNT_SELECT_USER);
	hold_worker(&r, SHUNT_JOB_ON_WORKER);
	trap_arm("worker.park.before_scan", true);
	submit_some(PLAIN, false, 1);
	stress_until(worker_caught, NULL, "sleeper stopped beside a busy worker: stop");
	caught = worker_caught(NULL);
	stress_until(ran_but_hands, &none, "sleeper stopped beside a busy worker: before it");
	submit_some(BATCH, false, 1);
	stress_until(ran_but_hands, &one, "sleeper stopped beside a busy worker");
	end_case(&r);
	return caught;
}

/* A spinner stops; all jobs are put before it. One push may claim it; the next one is seen by the other worker. */
static bool spinner_stops(void)
{
	struct round r = { .workers = 2, .idle = SHUNT_IDLE_POLL, .kind = PLAIN };
	bool caught;
	uint32_t i;

	begin_case(&r, "spinner stopped", 256, SHUNT_SELECT_USER);
	trap_arm("worker.spin.advertised", true);
	submit_some(PLAIN, false, 1);
	stress_until(others_done, &r, "spinner stopped: before it");
	stress_until(worker_caught, NULL, "spinner stopped: stop");
	caught = worker_caught(NULL);
	for (i = 0; i < 20; i++) {
		submit_some(PLAIN, false, 2);
		stress_until(others_done, &r, "spinner stopped: two jobs");
	}
	end_case(&r);
	return caught;
}

/*
 * Of two workers that sleep when they can, worker 0 is prompt and worker 1 watches it, when worker 0 stops inside a job that
 * was always short. Pushes to it wake nobody; the watcher must find them.
 */
static bool prompt_stops(void)
{
	struct round r = { .workers = 2, .idle = SHUNT_IDLE_PARK, .kind = PLAIN };
	uint64_t hands = HAND_MAX;
	struct sh_pool *p;
	bool caught;
	uint32_t i;

	begin_case(&r, "prompt worker stopped", 256, SHUNT_SELECT_USER);
	p = sh_runtime_pool(r.rt, r.pool.v);
	for (i = 0; i < WARM_TRIES && sh_a32_load_sc(&p->watcher) == 0; i++) {
		submit_some(BATCH, false, 4);
		stress_until(others_done, &r, "prompt worker stopped: warm");
	}
	trap_arm("run.before_handler", true);
	submit_some(PLAIN, false, 1);
	stress_until(worker_caught, NULL, "prompt worker stopped: stop");
	caught = worker_caught(NULL);
	for (i = 0; i < 20; i++) {
		submit_some(PLAIN, false, 40);
		stress_until(ran_but_hands, &hands, "prompt worker stopped: forty jobs");
	}
	end_case(&r);
	return caught;
}

static sh_a32 removed;

static void *remove_main(void *arg)
{
	struct round *r = arg;

	role = 2;
	STRESS_CHECK(shunt_type_destroy(r->rt, r->type, SHUNT_FOREVER) == 0, "type destroy");
	STRESS_CHECK(shunt_type_destroy(r->rt, r->gate, SHUNT_FOREVER) == 0, "type destroy");
	STRESS_CHECK(shunt_pool_destroy(r->rt, r->pool) == 0, "pool destroy");
	sh_a32_store_sc(&removed, 1);
	return NULL;
}

/* The type's name is gone: what its removal does next is to wait for its jobs. */
static bool type_goes(void *arg)
{
	const struct round *r = arg;
	struct shunt_type_id type;

	return shunt_type_find(r->rt, "job", &type) == SHUNT_ENOENT;
}

/* The pool's name is gone: what its removal does next is to wait for submitters. */
static bool pool_goes(void *arg)
{
	const struct round *r = arg;
	struct shunt_pool_id pool;

	return shunt_pool_find(r->rt, "stop", &pool) == SHUNT_ENOENT;
}

/*
 * A submitter stands between its push and the end of its submit, and the job has ended (or cannot be seen yet): the pool
 * that it will look at must not go away under it. (A remove that returns early is seen here or by the address sanitizer.)
 * `goes` says that the remover has come to where it must wait for this submitter.
 */
static bool remove_under_submitter(const char *point, bool (*goes)(void *round))
{
	uint64_t left = 0;
	struct round r = { .workers = 2, .idle = SHUNT_IDLE_PARK, .kind = PLAIN };
	pthread_t victim, remover;
	bool caught;

	begin_case(&r, "pool removed under a stopped submitter", 256, SHUNT_SELECT_DEFAULT);
	sh_a32_store_sc(&removed, 0);
	trap_arm(point, false);
	STRESS_CHECK(pthread_create(&victim, NULL, victim_main, NULL) == 0, "thread");
	stress_until(victim_quiesced, NULL, "pool removed under a stopped submitter: stop");
	caught = sh_a32_load_sc(&trap.caught) != 0;
	sh_a32_store_sc(&r.quit, 1);
	STRESS_CHECK(pthread_create(&remover, NULL, remove_main, &r) == 0, "thread");
	stress_until(goes, &r, "pool removed under a stopped submitter: remove");
	stress_pause_ns(20000000); /* for a removal that does not wait to end */
	STRESS_CHECK(!caught || !sh_a32_load_sc(&removed), "the pool was removed while a submitter was inside");
	trap_release();
	(void)pthread_join(victim, NULL);
	(void)pthread_join(remover, NULL);
	STRESS_CHECK(all_ran(NULL), "jobs were left");
	stress_round(0, NULL);
	STRESS_CHECK(shunt_runtime_destroy(r.rt, &left) == 0 && left == 0, "jobs were left");
	return caught;
}

static const char *const submit_points[] = {
	"submit.before_enqueue",
	"submit.chosen",
	"ring.push.before_cas",
	"ring.push.after_cas",
	"submit.before_wake",
	"submit.after_enqueue",
	"submit.before_backlog",
	"backlog.install",
	"backlog.push.before_cas",
	"backlog.push.after_cas",
	"strand.push.before_cas",
	"strand.push.after_cas",
	"submit.token.before_count",
	"slab.pop.before_cas",
	"slab.push.before_cas",
};

static const enum shunt_idle idles[] = { SHUNT_IDLE_PARK, SHUNT_IDLE_ADAPTIVE, SHUNT_IDLE_POLL };

struct tally {
	uint32_t rounds, reached;
	uint32_t seen[SH_COUNT(submit_points) + SH_COUNT(worker_points)];
};

static void all_submit_points(struct tally *t, const struct stress_opts *o, uint32_t seed)
{
	static const uint32_t workers[] = { 1, 4 };
	uint32_t p, w, i, k;

	for (p = 0; p < SH_COUNT(submit_points); p++)
		for (w = 0; w < SH_COUNT(workers); w++)
			for (i = 0; i < SH_COUNT(idles); i++)
				for (k = 0; k < KINDS; k++) {
					struct round r = { 0 };

					r.workers = workers[w];
					r.idle = idles[i];
					r.kind = (enum kind)k;
					r.jobs = o->jobs;
					r.group = 1 + (seed + k) % 7;
					t->rounds++;
					if (submitter_stops(&r, submit_points[p])) {
						t->reached++;
						t->seen[p]++;
					}
				}
}

static void all_worker_points(struct tally *t)
{
	uint32_t p, i, k;

	for (p = 0; p < SH_COUNT(worker_points); p++)
		for (i = 0; i < SH_COUNT(idles); i++)
			for (k = 0; k < KINDS; k++) {
				struct round r = { 0 };

				if (k == SAME_KEY) /* waits for the stopped job: its meaning */
					continue;
				if (idles[i] == SHUNT_IDLE_POLL && strstr(worker_points[p].point, "park"))
					continue;
				if (idles[i] == SHUNT_IDLE_PARK && strstr(worker_points[p].point, "spin"))
					continue;
				r.workers = 4;
				r.idle = idles[i];
				r.kind = k == OTHER_KEY ? PLAIN : k == TRACKED ? DETACHED : (enum kind)k;
				t->rounds++;
				if (worker_stops(&r, &worker_points[p])) {
					t->reached++;
					t->seen[SH_COUNT(submit_points) + p]++;
				}
			}
}

static void special_cases(struct tally *t)
{
	uint32_t i;

	t->rounds += 6 + 3 * BATCHES;
	t->reached += spinner_stops();
	t->reached += sleeper_stops_beside_busy();
	t->reached += remove_under_submitter("submit.after_enqueue", pool_goes);
	t->reached += remove_under_submitter("ring.push.after_cas", type_goes);
	t->reached += waker_stops_other_busy(SHUNT_SELECT_ROUND_ROBIN);
	t->reached += waker_stops_other_busy(SHUNT_SELECT_DEFAULT);
	for (i = 0; i < BATCHES; i++) {
		t->reached += prompt_stops();
		t->reached += sleeper_stops_in_batch(SHUNT_SELECT_ROUND_ROBIN);
		t->reached += sleeper_stops_in_batch(SHUNT_SELECT_DEFAULT);
	}
}

int main(int argc, char **argv)
{
	static const struct stress_size size = { 40, 2000, 1, 5 };
	static struct tally t;
	struct stress_opts o;
	uint32_t s, p;

	stress_init(&o, "stop_points_stress", argc, argv, &size);
	sh_inject_set(on_point, NULL);
	for (s = 0; s < o.seeds; s++) {
		all_submit_points(&t, &o, s);
		all_worker_points(&t);
		special_cases(&t);
	}
	sh_inject_set(NULL, NULL);
	for (p = 0; p < SH_COUNT(t.seen); p++) {
		const char *name = p < SH_COUNT(submit_points) ? submit_points[p]
							       : worker_points[p - SH_COUNT(submit_points)].point;

		(void)printf("  %-28s stopped a thread in %u rounds\n", name, t.seen[p]);
		/* What a mix must reach, it must have reached: else the round showed nothing. Two are reached by chance. */
		STRESS_CHECK(t.seen[p] > 0 || strcmp(name, "slab.push.before_cas") == 0 || strcmp(name, "worker.hand.taken") == 0,
			     "point %s was never reached", name);
	}
	(void)printf("stop_points_stress: %u rounds, %u with a stopped thread, nobody else was held up\n", t.rounds,
		     t.reached);
	return 0;
}
