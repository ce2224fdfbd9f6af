/*
 * core/submitter.c - which submitter belongs to which thread. A thread claims one per runtime at its first submit and
 * gives it back when it ends; both without a lock on the submit path.
 *
 * The thread's own block remembers a few (runtime, submitter) pairs by runtime slot; the serial number tells runtimes
 * that used one slot apart, so a destroyed runtime is never touched. Thread ends and runtime ends meet under one
 * process lock (rank 0), which no submit takes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/inject.h"
#include "core/runtime.h"

#define RUNTIMES_MAX 64u
#define REMEMBERED 8u

struct thread_block {
	uint64_t serial[REMEMBERED];
	struct sh_submitter *sub[REMEMBERED];
	struct shunt_job_ctx *ctx; /* the innermost job that runs on this thread */
	int armed;                 /* 1 = the thread-end hook is set */
};

/* Small, so that a dlopen of the library finds room for it in the static TLS reserve; no call on the submit path. */
static _Thread_local struct thread_block block __attribute__((tls_model("initial-exec")));

static pthread_mutex_t runtimes_lock = PTHREAD_MUTEX_INITIALIZER;
static struct shunt_runtime *runtimes[RUNTIMES_MAX]; /* sync: lock(runtimes_lock) */
static uint64_t runtimes_serial;                     /* sync: lock(runtimes_lock) */
static pthread_key_t thread_key;                     /* sync: const after thread_key_ready */
static int thread_key_ready;                         /* sync: lock(runtimes_lock) */

uint32_t sh_fork_generation;

static void forked_child(void)
{
	sh_fork_generation++;
	/* The lock may have been held by a thread that does not exist here. */
	(void)pthread_mutex_init(&runtimes_lock, NULL);
}

static void submitter_release(struct shunt_runtime *rt, struct sh_submitter *sub)
{
	sh_slab_flush(&rt->jobs, &sub->jobs);
	sh_slab_flush(&rt->tracks, &sub->tracks);
	sub->worker = NULL;
	memset(sub->sticky, 0, sizeof(sub->sticky));
	sh_aptr_store_rlx(&sub->owner, NULL); /* mo rlx: only its own thread compares it. */
	/* mo C1 -> C1@core/submitter.c: the caches are empty before the next thread has them. */
	sh_a32_store_rel(&sub->claimed, 0);
}

/* Was this entry ever used? Keeps the walk off memory that nobody touched. */
static bool claimed(struct shunt_runtime *rt, uint32_t i)
{
	uint32_t max = rt->opts.submitters_max;

	/* mo N3 <- N3@core/runtime.c: our own claims are counted. */
	return i < max ? i < sh_a32_load_acq(&rt->submitters_used) : i - max < sh_a32_load_acq(&rt->workers_used);
}

/* Thread-end hook: gives everything this thread claimed back. */
static void thread_end(void *p)
{
	uint32_t r, i;

	(void)pthread_mutex_lock(&runtimes_lock);
	for (r = 0; r < RUNTIMES_MAX; r++) {
		struct shunt_runtime *rt = runtimes[r];

		if (!rt || rt->fork_gen != sh_fork_generation)
			continue;
		for (i = 0; i < rt->submitters; i++)
			if (claimed(rt, i) && sh_aptr_load_rlx(&rt->submitter[i].owner) == p) /* mo rlx: own store. */
				submitter_release(rt, &rt->submitter[i]);
	}
	(void)pthread_mutex_unlock(&runtimes_lock);
	/* Hooks of other keys may still submit from this thread: they must claim anew. */
	memset(((struct thread_block *)p)->serial, 0, sizeof(((struct thread_block *)p)->serial));
	((struct thread_block *)p)->armed = 0;
}

static void process_setup(void)
{
	if (thread_key_ready)
		return;
	if (pthread_key_create(&thread_key, thread_end) == 0)
		thread_key_ready = 1;
	(void)pthread_atfork(NULL, NULL, forked_child); /* undone by the C library when this object is unloaded */
}

/* The library leaves the process: no hook of it may run in threads that end later. */
__attribute__((destructor)) static void library_unload(void)
{
	if (thread_key_ready)
		(void)pthread_key_delete(thread_key);
}

int sh_submitter_register_runtime(struct shunt_runtime *rt)
{
	uint32_t r;
	int rc = SHUNT_ELIMIT;

	(void)pthread_mutex_lock(&runtimes_lock);
	process_setup();
	for (r = 0; r < RUNTIMES_MAX && rc != 0; r++) {
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

/* A free entry of first..last-1; `used` counts how far that range was ever claimed. */
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
		/* mo C1 <- C1@core/submitter.c: what the last owner left. */
		if (sh_a32_cas_acq(&sub->claimed, &free_value, 1)) {
			sh_aptr_store_rlx(&sub->owner, &block); /* mo rlx: only this thread compares it. */
			seen = sh_a32_load_rlx(used); /* mo rlx: re-checked by the CAS. */
			while (seen < i - first + 1) /* mo N3 -> N3@core/runtime.c: counted as used before its first attempt. */
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

static SH_NOINLINE struct sh_submitter *submitter_find(struct shunt_runtime *rt, bool worker)
{
	uint32_t place = rt->slot % REMEMBERED;
	struct sh_submitter *sub = NULL;
	uint32_t max = rt->opts.submitters_max;
	uint32_t used, i;

	if (!thread_key_ready || SH_FAIL("submitter.claim"))
		return NULL;
	used = sh_a32_load_acq(&rt->submitters_used); /* mo N3 <- N3@core/runtime.c: entries that may be ours. */
	for (i = 0; i < used && !sub; i++)
		if (sh_aptr_load_rlx(&rt->submitter[i].owner) == &block) /* mo rlx: own store. */
			sub = &rt->submitter[i];
	used = sh_a32_load_acq(&rt->workers_used); /* mo N3 <- N3@core/runtime.c: as above. */
	for (i = 0; i < used && !sub; i++)
		if (sh_aptr_load_rlx(&rt->submitter[max + i].owner) == &block) /* mo rlx: own store. */
			sub = &rt->submitter[max + i];
	if (!sub) {
		if (!block.armed && pthread_setspecific(thread_key, &block) != 0)
			return NULL;
		block.armed = 1;
		sub = worker ? submitter_claim(rt, max, rt->submitters, &rt->workers_used)
			     : submitter_claim(rt, 0, max, &rt->submitters_used);
		if (!sub)
			return NULL;
		sub->node = SHUNT_ANY;
		sub->node_slot = 0;
	}
	block.serial[place] = rt->serial;
	block.sub[place] = sub;
	return sub;
}

struct sh_submitter *sh_submitter_get(struct shunt_runtime *rt)
{
	uint32_t place = rt->slot % REMEMBERED;

	if (sh_likely(block.serial[place] == rt->serial))
		return block.sub[place];
	return submitter_find(rt, false);
}

struct sh_submitter *sh_submitter_claim_worker(struct shunt_runtime *rt)
{
	return submitter_find(rt, true);
}

struct shunt_job_ctx *sh_current_ctx(const struct shunt_runtime *rt)
{
	struct shunt_job_ctx *c = block.ctx;

	while (c && c->rt != rt)
		c = c->outer;
	return c;
}

struct shunt_job_ctx *sh_current_set(struct shunt_job_ctx *ctx)
{
	struct shunt_job_ctx *old = block.ctx;

	block.ctx = ctx;
	return old;
}
