/* stress/chaos_load.c - see chaos_load.h. SPDX-License-Identifier: MIT */
#include "chaos_load.h"

#include <stdio.h>
#include <string.h>

#include "chaos_jobs.h"
#include "chaos_threads.h"

#define BATCH_MAX 8u
#define FULL_TIMEOUT_NS 1000000u
#define JOBS_PACED (CHAOS_JOBS / 4u * 3u)

struct chaos_load chaos_load;

/* ---- submitters ---- */

/*
 * The ledger is finite: three quarters of it are given out evenly over four times the planned duration, the rest slowly,
 * so that submitters still move when a scenario takes much longer.
 */
static bool paced(void)
{
	uint64_t elapsed = shunt_now_ns() - chaos_load.start_ns;
	uint64_t window = chaos_load.o.duration_ns * 4;
	uint64_t allowed = JOBS_PACED;

	if (elapsed < window)
		allowed = allowed * (elapsed >> 10) / (window >> 10) + 100;
	else
		allowed += (elapsed - window) / 1000000u;
	return sh_a32_load_rlx(&chaos_ledger->jobs) < allowed;
}

static enum chaos_kind draw_kind(struct sh_rng *rng)
{
	uint32_t roll = sh_rng_below(rng, 64);

	if (roll < 44)
		return CHAOS_PLAIN;
	return (enum chaos_kind)(CHAOS_FAIL + roll % (chaos_load.o.waits_in_jobs ? CHAOS_KINDS - 1u : CHAOS_BLOCK - 1u));
}

static void draw_placing(struct chaos_submitter *s, struct shunt_job_spec *spec, struct chaos_job *j)
{
	uint32_t k = sh_rng_below(&s->rng, CHAOS_KEYS_EACH);

	if (s->index < CHAOS_SUBMITTERS_MAX && sh_rng_below(&s->rng, 4) != 0) {
		j->key = s->index * CHAOS_KEYS_EACH + k;
		j->seq = ++s->key_seq[k];
		spec->flags = SHUNT_JOB_KEYED;
		spec->key = j->key;
	} else {
		spec->flags = SHUNT_JOB_ON_WORKER;
		j->opts.worker = sh_rng_below(&s->rng, chaos_load.o.workers);
		spec->opts = &j->opts;
	}
}

static bool draw_job(struct chaos_submitter *s, struct shunt_job_spec *spec, struct chaos_job **job)
{
	bool grouped = s->group.v != 0 && !s->group_cancelled && sh_rng_below(&s->rng, 8) == 0;
	bool held_up = sh_rng_below(&s->rng, 8) == 0 &&
		       sh_a64_load_sc(&chaos_ledger->held_up) + CHAOS_SUBMITTERS_MAX < chaos_load.o.held_up_max;
	uint32_t flags = (grouped || sh_rng_below(&s->rng, 4) == 0 ? CHAOS_CALLBACK : 0u) |
			 (held_up ? CHAOS_HELD_UP : 0u);
	uint32_t roll = sh_rng_below(&s->rng, 16);

	if (!chaos_job_open(draw_kind(&s->rng), flags, spec, job))
		return false;
	spec->level = (uint8_t)sh_rng_below(&s->rng, chaos_load.levels + 1);
	if (held_up)
		draw_placing(s, spec, *job);
	if (grouped)
		spec->group = s->group;
	if (roll < 8) {
		spec->on_full = SHUNT_ON_FULL_BLOCK;
		(*job)->opts.full_timeout_ns = chaos_load.o.forever && roll < 4 ? 0 : FULL_TIMEOUT_NS;
		spec->opts = &(*job)->opts;
	} else if (roll < 10) {
		spec->on_full = SHUNT_ON_FULL_INLINE;
	}
	return true;
}

static void count_attempt(struct chaos_submitter *s)
{
	if (s->thread)
		sh_a64_bump_owner(&s->thread->attempts, 1);
}

static void submit_one(struct chaos_submitter *s)
{
	bool keep = s->held_n < CHAOS_HELD_MAX && sh_rng_below(&s->rng, 3) == 0;
	struct shunt_job_id id = { 0 };
	struct shunt_job_spec spec;
	struct chaos_job *job;
	uint64_t start;
	int rc;

	if (!draw_job(s, &spec, &job))
		return;
	start = shunt_now_ns();
	rc = shunt_submit(chaos_load.rt, &spec, keep ? &id : NULL);
	chaos_job_submitted(job, &spec, rc, start, false);
	count_attempt(s);
	if (rc != 0) {
		stress_pause_ns(20000);
	} else if (keep) {
		s->held[s->held_n].id = id;
		s->held[s->held_n++].job = job;
	}
}

static void submit_batch(struct chaos_submitter *s)
{
	struct shunt_job_spec spec[BATCH_MAX];
	struct chaos_job *job[BATCH_MAX];
	uint32_t n = 0;
	uint32_t i;
	uint64_t start;
	size_t accepted;
	int rc = 0;

	for (i = 2 + sh_rng_below(&s->rng, BATCH_MAX - 1); i > 0 && draw_job(s, &spec[n], &job[n]); i--)
		n++;
	start = shunt_now_ns();
	accepted = shunt_submit_batch(chaos_load.rt, spec, n, NULL, &rc);
	STRESS_CHECK(accepted <= n && (rc == 0) == (accepted == n), "batch: %zu of %u, %d", accepted, n, rc);
	for (i = 0; i < n; i++) {
		if (i > accepted)
			spec[i].on_full = SHUNT_ON_FULL_ERROR; /* never tried */
		chaos_job_submitted(job[i], &spec[i], i < accepted ? 0 : i == accepted ? rc
										       : SHUNT_EFULL,
				    start, false);
	}
	count_attempt(s);
	if (rc != 0)
		stress_pause_ns(20000);
}

static void let_go(struct chaos_submitter *s, uint32_t i)
{
	s->held[i] = s->held[--s->held_n];
}

/* A wait of a random length; gives the handle back when it is over. */
static void join_one(struct chaos_submitter *s, uint32_t i, uint64_t timeout_ns)
{
	const struct chaos_held *h = &s->held[i];
	struct shunt_result result;
	uint64_t start = shunt_now_ns();
	int rc = shunt_wait(chaos_load.rt, h->id, timeout_ns, &result);

	STRESS_CHECK(rc == 0 || (rc == SHUNT_ETIMEDOUT && timeout_ns != SHUNT_FOREVER), "wait: %s", shunt_error_name(rc));
	if (rc == SHUNT_ETIMEDOUT) {
		chaos_timeout_check(start, timeout_ns, "a wait");
		return;
	}
	chaos_job_joined(h->job, &result);
	STRESS_CHECK(shunt_wait(chaos_load.rt, h->id, 0, NULL) == SHUNT_ESTALE, "a handle was joined twice");
	let_go(s, i);
}

static void resolve_one(struct chaos_submitter *s)
{
	static const uint64_t timeouts[] = { 0, 50000, 300000, 2000000, SHUNT_FOREVER };
	uint32_t i = sh_rng_below(&s->rng, s->held_n);
	uint32_t roll = sh_rng_below(&s->rng, 16);
	struct shunt_result result;
	int rc;

	if (roll < 8) {
		uint32_t last = chaos_load.o.forever ? 5 : 4;

		join_one(s, i, timeouts[sh_rng_below(&s->rng, last)]);
		return;
	}
	if (roll < 10) {
		rc = shunt_poll(chaos_load.rt, s->held[i].id, &result);
		STRESS_CHECK(rc == 0 || rc == SHUNT_EAGAIN, "poll: %s", shunt_error_name(rc));
		if (rc == 0)
			chaos_job_joined(s->held[i].job, &result);
	} else if (roll < 13) {
		if (chaos_job_cancel(s->held[i].id, s->held[i].job))
			join_one(s, i, SHUNT_FOREVER);
	} else {
		rc = shunt_detach(chaos_load.rt, s->held[i].id);
		STRESS_CHECK(rc == 0, "detach: %s", shunt_error_name(rc));
		let_go(s, i);
	}
}

/* Waits for its group, and takes a new one when nothing is pending; now and then cancels it first. */
static void change_group(struct chaos_submitter *s, uint64_t timeout_ns)
{
	uint64_t start = shunt_now_ns();
	int rc;

	if (s->group.v == 0) {
		rc = shunt_group_create(chaos_load.rt, &s->group);
		STRESS_CHECK(rc == 0 || rc == SHUNT_EFULL, "group create: %s", shunt_error_name(rc));
		return;
	}
	if (!s->group_cancelled && sh_rng_below(&s->rng, 4) == 0) {
		STRESS_CHECK(shunt_group_cancel(chaos_load.rt, s->group) == 0, "group cancel");
		s->group_cancelled = true;
	}
	rc = shunt_group_wait(chaos_load.rt, s->group, timeout_ns);
	STRESS_CHECK(rc == 0 || rc == SHUNT_ETIMEDOUT, "group wait: %s", shunt_error_name(rc));
	if (rc != 0) {
		chaos_timeout_check(start, timeout_ns, "a group wait");
		return;
	}
	STRESS_CHECK(shunt_group_pending(chaos_load.rt, s->group) == 0, "a group that was waited for has jobs");
	STRESS_CHECK(shunt_group_destroy(chaos_load.rt, s->group) == 0, "group destroy");
	s->group.v = 0;
	s->group_cancelled = false;
}

void chaos_submitter_init(struct chaos_submitter *s, uint32_t index, uint64_t seed)
{
	memset(s, 0, sizeof(*s));
	s->index = index;
	sh_rng_init(&s->rng, seed);
}

void chaos_submitter_turn(struct chaos_submitter *s)
{
	uint32_t roll = sh_rng_below(&s->rng, 64);

	if (!paced()) {
		count_attempt(s); /* it could, were it not for the pace */
		stress_pause_ns(50000);
	} else if (roll < 56) {
		submit_one(s);
	} else {
		submit_batch(s);
	}
	if (s->held_n > 0 && sh_rng_below(&s->rng, 4) == 0)
		resolve_one(s);
	if (sh_rng_below(&s->rng, 256) == 0)
		change_group(s, 500000);
}

void chaos_submitter_fini(struct chaos_submitter *s, bool wait)
{
	while (s->held_n > 0) {
		if (wait) {
			join_one(s, s->held_n - 1, SHUNT_FOREVER);
		} else {
			STRESS_CHECK(shunt_detach(chaos_load.rt, s->held[s->held_n - 1].id) == 0, "detach");
			s->held_n--;
		}
	}
	while (s->group.v != 0)
		change_group(s, SHUNT_FOREVER);
}

static void rest(struct chaos_submitter *s)
{
	(void)sh_a32_add_sc(&chaos_load.lulled, 1);
	while (sh_a32_load_sc(&chaos_load.lull) != 0) {
		stress_pause_ns(20000);
		count_attempt(s);
	}
	(void)sh_a32_sub_sc(&chaos_load.lulled, 1);
}

static void *submitter_main(void *arg)
{
	struct chaos_submitter *s = arg;

	s->thread = chaos_thread_enter(CHAOS_SUBMITTER);
	while (!sh_a32_load_sc(&chaos_load.stop)) {
		if (sh_a32_load_sc(&chaos_load.lull) != 0)
			rest(s);
		chaos_submitter_turn(s);
	}
	chaos_submitter_fini(s, true);
	chaos_thread_leave();
	return NULL;
}

static void *completer_main(void *arg)
{
	(void)arg;
	(void)chaos_thread_enter(CHAOS_SIDE);
	for (;;) {
		if (!chaos_jobs_complete_some()) {
			if (sh_a32_load_sc(&chaos_load.completers_stop))
				break;
			stress_pause_ns(50000);
		}
	}
	chaos_thread_leave();
	return NULL;
}

/* ---- start and end ---- */

static void worker_started(void *arg, uint32_t worker)
{
	(void)arg;
	(void)worker;
	(void)chaos_thread_enter(CHAOS_WORKER);
}

static void worker_stopped(void *arg, uint32_t worker)
{
	(void)arg;
	(void)worker;
	chaos_thread_leave();
}

void chaos_load_defaults(struct chaos_load_opts *o, struct sh_rng *rng, uint64_t seed, uint64_t duration_ns)
{
	static const uint32_t spares[] = { 2, 8, 16 };

	memset(o, 0, sizeof(*o));
	o->seed = seed;
	o->salt = sh_rng_next(rng);
	o->duration_ns = duration_ns;
	o->workers = 1 + sh_rng_below(rng, 6);
	o->submitters = 3 + sh_rng_below(rng, 4);
	o->idle = sh_rng_below(rng, 2) ? SHUNT_IDLE_ADAPTIVE : SHUNT_IDLE_PARK;
	o->pin = SHUNT_PIN_NONE;
	o->jobs_max = 4096;
	o->submitters_max = sh_rng_below(rng, 3) == 0 ? 2 : 64; /* 2: the others go the shared way */
	o->spares_max = spares[sh_rng_below(rng, SH_COUNT(spares))];
	o->held_up_max = 512;
	o->waits_in_jobs = true;
	o->forever = true;
}

static void create_pool(struct sh_rng *rng)
{
	static const uint32_t rings[] = { 2, 16, 256 };
	static const uint32_t strands[] = { 1, 16, 1024 };
	const struct chaos_load_opts *o = &chaos_load.o;
	struct shunt_pool_opts po = SHUNT_POOL_OPTS_INIT;
	struct shunt_type_opts to = SHUNT_TYPE_OPTS_INIT;
	int rc;

	po.name = "main";
	po.workers = o->workers;
	po.pin = o->pin;
	po.idle = o->idle;
	po.spares_max = o->spares_max;
	po.queue_max = o->queue_max;
	po.ring_capacity = rings[sh_rng_below(rng, SH_COUNT(rings))];
	po.key_slots = strands[sh_rng_below(rng, SH_COUNT(strands))];
	po.async_max = sh_rng_below(rng, 2) ? 2 : 64;
	po.level_mode = (enum shunt_level_mode)(1 + sh_rng_below(rng, 2));
	if (chaos_load.levels == 1)
		po.level_mode = SHUNT_LEVELS_STRICT; /* the others want levels */
	po.strategy = (enum shunt_strategy)sh_rng_below(rng, SHUNT_SELECT_USER);
	po.on_start = worker_started;
	po.on_stop = worker_stopped;
	rc = shunt_pool_create(chaos_load.rt, &po, &chaos_load.pool);
	STRESS_CHECK(rc == 0, "pool create: %s", shunt_error_name(rc));
	(void)printf("  workers %u submitters %u (%u slots) idle %d pin %d spares %u ring %u strands %u arena %u bound %u "
		     "strategy %d\n",
		     o->workers, o->submitters, o->submitters_max, (int)o->idle, (int)o->pin, o->spares_max, po.ring_capacity,
		     po.key_slots, o->jobs_max, o->queue_max, (int)po.strategy);
	to.pool = chaos_load.pool;
	to.name = "plain";
	to.handler = chaos_run;
	rc = shunt_type_create(chaos_load.rt, &to, &chaos_load.plain);
	to.name = "async";
	to.flags = SHUNT_TYPE_ASYNC;
	rc |= shunt_type_create(chaos_load.rt, &to, &chaos_load.async);
	STRESS_CHECK(rc == 0, "type create");
}

void chaos_load_start(const struct chaos_load_opts *o)
{
	struct shunt_runtime_opts ro = SHUNT_RUNTIME_OPTS_INIT;
	struct sh_rng rng;
	uint32_t i;

	memset(&chaos_load, 0, sizeof(chaos_load));
	chaos_load.o = *o;
	sh_rng_init(&rng, o->salt);
	chaos_load.levels = ro.levels = 1 + sh_rng_below(&rng, 4);
	ro.jobs_max = o->jobs_max;
	ro.handles_max = o->jobs_max + 4096; /* never what is full: a blocked submitter may hold handles */
	ro.submitters_max = o->submitters_max;
	STRESS_CHECK(shunt_runtime_create(&chaos_load.rt, &ro) == 0, "runtime create");
	stress_round(o->seed, chaos_load.rt);
	create_pool(&rng);
	chaos_load.start_ns = shunt_now_ns();
	for (i = 0; i < 2; i++)
		STRESS_CHECK(
			pthread_create(&chaos_load.completer[i], NULL, completer_main, NULL) == 0, "thread create");
	for (i = 0; i < o->submitters; i++) {
		chaos_submitter_init(&chaos_load.submitter[i], i, sh_rng_next(&rng));
		STRESS_CHECK(pthread_create(&chaos_load.thread[i], NULL, submitter_main, &chaos_load.submitter[i]) == 0,
			     "thread create");
	}
	chaos_load_until_moved(20, "the load gets going");
	sh_a32_store_sc(&chaos_ledger->phase, CHAOS_RUNNING);
}

uint64_t chaos_load_over(void)
{
	return sh_a64_load_rlx(&chaos_ledger->over);
}

void chaos_load_until_moved(uint64_t n, const char *what)
{
	uint64_t target = chaos_load_over() + n;

	chaos_at("%s", what);
	while (chaos_load_over() < target)
		stress_pause_ns(50000);
	chaos_tick();
}

void chaos_load_lull(void)
{
	chaos_at("a lull: every accepted job ends");
	sh_a32_store_sc(&chaos_load.lull, 1);
	while (sh_a32_load_sc(&chaos_load.lulled) < chaos_load.o.submitters ||
	       chaos_load_over() != sh_a64_load_rlx(&chaos_ledger->accepted))
		stress_pause_ns(20000);
	sh_a32_store_sc(&chaos_load.lull, 0);
	while (sh_a32_load_sc(&chaos_load.lulled) != 0)
		stress_pause_ns(20000);
	chaos_tick();
}

static void check_snapshot(void)
{
	struct chaos_sums sum = chaos_ledger_sums();
	struct shunt_snapshot *s = NULL;
	const struct shunt_pool_info *p;
	uint64_t done = 0, failed = 0, cancelled = 0;
	size_t i;

	STRESS_CHECK(shunt_snapshot_create(chaos_load.rt, &s) == 0, "snapshot");
	for (i = 0; i < shunt_snapshot_series_count(s); i++) {
		const struct shunt_series *x = shunt_snapshot_series_at(s, i);

		done += x->done;
		failed += x->failed;
		cancelled += x->cancelled;
	}
	STRESS_CHECK(shunt_snapshot_pool_count(s) == 1, "%zu pools", shunt_snapshot_pool_count(s));
	p = shunt_snapshot_pool_at(s, 0);
	STRESS_CHECK(p->submitted == sum.accepted && p->finished == sum.accepted,
		     "snapshot: submitted %llu finished %llu; ledger: %llu", (unsigned long long)p->submitted,
		     (unsigned long long)p->finished, (unsigned long long)sum.accepted);
	if (chaos_load.o.cells_may_lack && done <= sum.done && failed <= sum.failed && cancelled <= sum.cancelled) {
		(void)printf("  series lack %llu jobs that ended without memory for a histogram\n",
			     (unsigned long long)(sum.done - done + sum.failed - failed + sum.cancelled - cancelled));
		sum.done = done;
		sum.failed = failed;
		sum.cancelled = cancelled;
	}
	STRESS_CHECK(done == sum.done && failed == sum.failed && cancelled == sum.cancelled,
		     "snapshot: done %llu failed %llu cancelled %llu; ledger: %llu %llu %llu", (unsigned long long)done,
		     (unsigned long long)failed, (unsigned long long)cancelled, (unsigned long long)sum.done,
		     (unsigned long long)sum.failed, (unsigned long long)sum.cancelled);
	STRESS_CHECK(p->async_in_flight == 0 && p->blocked == 0, "async %u blocked %u after the drain",
		     p->async_in_flight, p->blocked);
	shunt_snapshot_destroy(s);
}

void chaos_load_finish(void)
{
	uint64_t left;
	uint32_t i;
	int rc;

	sh_a32_store_sc(&chaos_ledger->phase, CHAOS_QUIESCING);
	sh_a32_store_sc(&chaos_load.stop, 1);
	chaos_at("quiescing: the submitters end");
	for (i = 0; i < chaos_load.o.submitters; i++) {
		(void)pthread_join(chaos_load.thread[i], NULL);
		chaos_tick();
	}
	chaos_at("quiescing: drain");
	rc = shunt_runtime_drain(chaos_load.rt, SHUNT_FOREVER, NULL);
	STRESS_CHECK(rc == 0, "drain: %s", shunt_error_name(rc));
	sh_a32_store_sc(&chaos_load.completers_stop, 1);
	for (i = 0; i < 2; i++)
		(void)pthread_join(chaos_load.completer[i], NULL);
	STRESS_CHECK(chaos_ledger_check_quiesced("quiesced") == 0, "the ledger of jobs does not add up");
	check_snapshot();
	chaos_at("quiescing: destroy");
	stress_round(chaos_load.o.seed, NULL);
	STRESS_CHECK(shunt_runtime_destroy(chaos_load.rt, &left) == 0, "destroy");
	STRESS_CHECK(left == 0, "destroy after a drain cancelled %llu jobs", (unsigned long long)left);
	sh_a32_store_sc(&chaos_ledger->phase, CHAOS_QUIESCED);
}
