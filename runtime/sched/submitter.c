/*
 * sched/submitter.c - see submitter.h.
 *
 * The thread's own block remembers a few (runtime, submitter) pairs by runtime slot. The serial
 * number distinguishes runtimes that used one slot, so a destroyed runtime is never touched. Ends
 * of threads and of runtimes are serialized by one process lock (rank 0).
 *
 * SPDX-License-Identifier: MIT
 */
#include "sched/submitter.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "base/clock.h"
#include "base/inject.h"
#include "sched/credit.h"
#include "sched/deadlock.h"
#include "sched/inherit.h"
#include "sched/world.h"

#define RUNTIMES_MAX 64u

_Thread_local struct sh_thread sh_thread;

static pthread_mutex_t runtimes_lock = PTHREAD_MUTEX_INITIALIZER;
static struct shunt_runtime *runtimes[RUNTIMES_MAX]; /* sync: lock(runtimes_lock) */
static uint64_t runtimes_serial;                     /* sync: lock(runtimes_lock) */
static pthread_key_t thread_key;                     /* sync: const after thread_key_ready */
static int thread_key_ready;                         /* sync: lock(runtimes_lock) */
static int fork_hook_ready;                          /* sync: lock(runtimes_lock) */

static sh_a64 threads; /* sync: atomic; number of threads that were ever numbered */

uint32_t sh_fork_generation;

static void forked_child(void)
{
	struct shunt_job_ctx *ctx;

	sh_fork_generation++;
	for (ctx = sh_thread.ctx; ctx; ctx = ctx->outer) {
		/* the jobs around the fork: their next checkpoint, and the end of their handler, take the slow path */
		ctx->above = 0;
		ctx->blocked = SH_BLOCKED_FORKED;
	}
	if (sh_thread.worker) /* its loop ends without another look at the queues */
		/* mo rlx: the only thread. */
		sh_a32_store_rlx(&sh_thread.worker->pool->stop, 1);
	/* The locks may have been held by threads that do not exist in the child. */
	(void)pthread_mutex_init(&runtimes_lock, NULL);
	sh_sleepers_forked();
	sh_boosts_forked();
}

static void submitter_release(struct shunt_runtime *rt, struct sh_submitter *sub)
{
	sh_credit_flush(rt, sub);
	sh_slab_flush(&rt->records, &sub->records);
	sub->worker = NULL;
	memset(sub->sticky, 0, sizeof(sub->sticky));
	memset(&sub->recent, 0, sizeof(sub->recent));
	sh_a64_store_rlx(&sub->owner, 0); /* mo rlx: only its own thread compares it. */
	/* mo submitter.1 -> submitter.1@sched/submitter.c: the caches are empty before the next thread has them. */
	sh_a32_store_rel(&sub->claimed, 0);
}

/* Gives back the entries, of n, that the thread with this number claimed. */
static void release_own(struct shunt_runtime *rt, struct sh_submitter *sub, uint32_t n, uint64_t number)
{
	for (uint32_t i = 0; i < n; i++)
		if (sh_a64_load_rlx(&sub[i].owner) == number) /* mo rlx: own store. */
			submitter_release(rt, &sub[i]);
}

/* Thread-end hook: gives back everything that this thread claimed. */
static void thread_end(void *p)
{
	struct sh_thread *b = p;
	uint32_t r;

	(void)pthread_mutex_lock(&runtimes_lock);
	for (r = 0; r < RUNTIMES_MAX; r++) {
		struct shunt_runtime *rt = runtimes[r];

		if (!rt || rt->fork_gen != sh_fork_generation)
			continue;
		/* mo count.3 <- count.3@life/drain.c: this thread's own claims are counted. */
		release_own(rt, rt->submitter, sh_a32_load_acq(&rt->submitters_used), b->number);
		release_own(rt, rt->submitter + rt->opts.submitters_max, sh_a32_load_acq(&rt->workers_used), b->number);
	}
	(void)pthread_mutex_unlock(&runtimes_lock);
	/* Hooks of other keys may still submit from this thread: they must claim anew. */
	memset(b->serial, 0, sizeof(b->serial));
	b->armed = 0;
}

/*
 * Sets up both, or fails: without the key no worker could start, without the hook a child would
 * take itself for its parent.
 */
static int process_setup(void)
{
	if (!fork_hook_ready) { /* the C library removes it when this object is unloaded */
		if (SH_FAIL("process.atfork") || pthread_atfork(NULL, NULL, forked_child) != 0)
			return SHUNT_ESYS;
		fork_hook_ready = 1;
	}
	if (!thread_key_ready) {
		if (SH_FAIL("process.key") || pthread_key_create(&thread_key, thread_end) != 0)
			return SHUNT_ESYS;
		thread_key_ready = 1;
	}
	return 0;
}

/* Unload: no hook of this library may run in threads that end later. */
__attribute__((destructor)) static void library_unload(void)
{
	if (thread_key_ready)
		(void)pthread_key_delete(thread_key);
}

int sh_submitter_register_runtime(struct shunt_runtime *rt)
{
	uint32_t r;
	int rc;

	(void)pthread_mutex_lock(&runtimes_lock);
	rc = process_setup();
	rc = rc == 0 ? SHUNT_ELIMIT : rc;
	for (r = 0; r < RUNTIMES_MAX && rc == SHUNT_ELIMIT; r++) {
		if (runtimes[r])
			continue;
		runtimes[r] = rt;
		rt->slot = r;
		rt->serial = ++runtimes_serial;
		rc = 0;
	}
	rt->fork_gen = sh_fork_generation;
	(void)pthread_mutex_unlock(&runtimes_lock);
	return rc;
}

void sh_submitter_forget_runtime(struct shunt_runtime *rt)
{
	(void)pthread_mutex_lock(&runtimes_lock);
	if (runtimes[rt->slot] == rt)
		runtimes[rt->slot] = NULL;
	(void)pthread_mutex_unlock(&runtimes_lock);
}

/* Claims a free entry of first..last-1; `used` is how far that range was ever claimed. */
static struct sh_submitter *submitter_claim(struct shunt_runtime *rt, uint32_t first, uint32_t last, sh_a32 *used)
{
	uint32_t i;

	assert(rt->submitter != NULL);
	for (i = first; i < last; i++) {
		struct sh_submitter *sub = &rt->submitter[i];
		uint32_t seen;
		uint32_t free_value = 0;

		if (sh_a32_load_rlx(&sub->claimed) != 0) /* mo rlx: re-checked by the CAS. */
			continue;
		/* mo submitter.1 <- submitter.1@sched/submitter.c: what the last owner left. */
		if (sh_a32_cas_acq(&sub->claimed, &free_value, 1)) {
			/* mo rlx: only this thread compares it. */
			sh_a64_store_rlx(&sub->owner, sh_thread.number);
			seen = sh_a32_load_rlx(used); /* mo rlx: re-checked by the CAS. */
			/* mo count.3 -> count.3@life/drain.c: counted as used before its first attempt. */
			while (seen < i - first + 1)
				if (sh_a32_cas_sc(used, &seen, i - first + 1))
					break;
			if (sub->select.rng.s == 0) { /* never used before */
				sub->index = i;
				sh_rng_init(&sub->select.rng, i + sh_clock_ns());
				sub->select.next = i;
				sub->select.seed_key = i;
			}
			return sub;
		}
	}
	return NULL;
}

/*
 * The node where the thread runs now: its records come from there, and it is its local node for
 * placement. Worker threads set the node of their plan.
 */
static void submitter_home(const struct shunt_runtime *rt, struct sh_submitter *sub)
{
	unsigned cpu = 0, node = 0;

	sub->node = SHUNT_ANY;
	sub->node_slot = 0;
	if (rt->nodes < 2 || !shunt_topo_is_live(rt->topo) || getcpu(&cpu, &node) != 0)
		return;
	sub->node = node;
	sub->node_slot = sh_runtime_node_slot(rt, node);
}

SH_NOINLINE struct sh_submitter *sh_submitter_find(struct shunt_runtime *rt, bool worker)
{
	uint32_t place = rt->slot % SH_REMEMBERED;
	struct sh_submitter *sub = NULL;
	uint32_t max = rt->opts.submitters_max;
	uint32_t used, i;

	if (!thread_key_ready || SH_FAIL("submitter.claim"))
		return NULL;
	/* A number, not an address: a later thread may get the memory of one that ended. */
	if (sh_thread.number == 0)
		/* mo rlx: only its value counts. */
		sh_thread.number = 1 + sh_a64_add_rlx(&threads, 1);
	/* mo count.3 <- count.3@life/drain.c: entries that may be this thread's. */
	used = sh_a32_load_acq(&rt->submitters_used);
	for (i = 0; i < used && !sub; i++)
		/* mo rlx: own store. */
		if (sh_a64_load_rlx(&rt->submitter[i].owner) == sh_thread.number)
			sub = &rt->submitter[i];
	used = sh_a32_load_acq(&rt->workers_used); /* mo count.3 <- count.3@life/drain.c: as above. */
	for (i = 0; i < used && !sub; i++)
		/* mo rlx: own store. */
		if (sh_a64_load_rlx(&rt->submitter[max + i].owner) == sh_thread.number)
			sub = &rt->submitter[max + i];
	if (!sub) {
		if (!sh_thread.armed && (SH_FAIL("submitter.setspecific") || pthread_setspecific(thread_key, &sh_thread) != 0))
			return NULL;
		sh_thread.armed = 1;
		sub = worker ? submitter_claim(rt, max, rt->submitters, &rt->workers_used)
			     : submitter_claim(rt, 0, max, &rt->submitters_used);
		if (!sub)
			return NULL;
		submitter_home(rt, sub);
	}
	sh_thread.serial[place] = rt->serial;
	sh_thread.sub[place] = sub;
	return sub;
}
