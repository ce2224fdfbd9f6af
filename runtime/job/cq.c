/* job/cq.c - see cq.h. SPDX-License-Identifier: MIT */
#include "job/cq.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/inject.h"
#include "base/opts.h"
#include "base/thread.h"
#include "job/handle.h"
#include "sched/submitter.h"

#define CAPACITY_DEFAULT 4096u
#define CAPACITY_MAX ((1u << SH_RECORD_GEN_SHIFT) - 1)

#define IDLE 0u
#define WRITING 1u
#define WRITTEN 2u
#define STATE 3u
#define GENERATION 4u /* added by the reader */

/* ---- the pushing side: threads that end jobs ---- */

/* Tells the reader of what was pushed. */
static void notify(struct shunt_cq *cq)
{
	/* mo cq.1 <> cq.1@job/cq.c: pushed, then the state is read: the reader takes the entry, or this thread writes. */
	uint64_t s = sh_a64_load_sc(&cq->signal);
	const uint64_t one = 1;
	SH_NO_CANCEL;

	while ((s & STATE) != WRITTEN) {
		/* mo cq.1 <> cq.1@job/cq.c: as above. */
		if ((s & STATE) == IDLE && !sh_a64_cas_sc(&cq->signal, &s, s + WRITING))
			continue;
		s = (s & ~(uint64_t)STATE) | WRITING;
		/* mo rlx: before the write, by the kernel; a reader that misses it looks again. */
		(void)sh_a64_add_rlx(&cq->writes, 1);
		SH_POINT("cq.before_write");
		while (write(cq->fd, &one, sizeof(one)) < 0 && errno == EINTR)
			;
		/* mo cq.1 <> cq.1@job/cq.c: written in this generation; fails if the reader has looked since. */
		(void)sh_a64_cas_sc(&cq->signal, &s, s - WRITING + WRITTEN);
		return;
	}
}

static void push(struct shunt_cq *cq, uint64_t handle)
{
	struct shunt_runtime *rt = cq->rt;
	struct sh_record *t = sh_record_at(rt, handle);
	uint64_t top = sh_a64_load_rlx(&cq->list); /* mo rlx: re-checked by the CAS. */

	do {
		sh_a32_store_rlx(&t->cq_next, (uint32_t)top); /* mo rlx: published by the CAS. */
		SH_POINT("cq.push.before_cas");
		/* mo cq.2 -> cq.2@job/cq.c: the result and the link before the entry; cq.1: then the state is read. */
	} while (!sh_a64_cas_sc(&cq->list, &top, sh_record_index(handle)));
	notify(cq);
	/* mo cq.4 -> cq.4@job/cq.c: the last access of this thread to the queue. */
	(void)sh_a64_add_acq_rel(&cq->left, 1);
}

/* ---- the part ---- */

static int cq_admit(struct sh_submit *s)
{
	struct shunt_cq *cq = s->opts->cq;
	uint32_t n = sh_a32_load_rlx(&cq->places); /* mo rlx: re-checked by the CAS. */

	if (cq->rt != s->rt)
		return sh_error_set(SHUNT_EINVAL, "job.opts.cq: a queue of another runtime; want one of this");
	do {
		if (n >= cq->capacity)
			return SHUNT_EFULL;
		/* mo cq.3 <- cq.3@job/cq.c: sees what the reader released. */
	} while (!sh_a32_cas_acq_rel(&cq->places, &n, n + 1));
	s->record->cq = cq;
	return 0;
}

/* The job is terminal, and its record is held for the queue. A refused submit gives its place back. */
static void cq_release(struct sh_end *e)
{
	if (e->status != 0)
		push(e->cq, e->handle);
	else
		(void)sh_a32_sub_acq_rel(&e->cq->places, 1); /* mo cq.3 -> cq.3@job/cq.c: rolled back. */
}

const struct sh_part sh_part_cq = { .name = "cq", .admit = cq_admit, .release = cq_release };

/* ---- the reader ---- */

/* Takes the list, which is newest first, and reverses it. */
static void fetch(struct shunt_cq *cq)
{
	struct shunt_runtime *rt = cq->rt;
	uint32_t top, below;
	uint64_t s = sh_a64_load_rlx(&cq->signal); /* mo rlx: only the reader starts a generation. */

	/* mo rlx: the kernel orders it with the write that woke the reader. */
	if ((s & STATE) != IDLE || sh_a64_load_rlx(&cq->writes) != cq->written) {
		uint64_t count = 0;

		while (read(cq->fd, &count, sizeof(count)) < 0 && errno == EINTR)
			;
		cq->written += count;
		/* mo cq.1 <> cq.1@job/cq.c: a new generation, then the list is taken. */
		sh_a64_store_sc(&cq->signal, (s & ~(uint64_t)STATE) + GENERATION);
	}
	/* mo cq.2 <- cq.2@job/cq.c: the results; cq.1: after the state. */
	top = (uint32_t)sh_a64_xchg_sc(&cq->list, 0);
	while (top != 0) {
		struct sh_record *t = sh_slab_at(&rt->records, top);

		below = sh_a32_load_rlx(&t->cq_next); /* mo rlx: acquired with the list. */
		sh_a32_store_rlx(&t->cq_next, cq->first); /* mo rlx: only the reader has it now. */
		cq->first = top;
		top = below;
	}
}

size_t shunt_cq_take(struct shunt_cq *cq, struct shunt_completion *out, size_t n)
{
	struct shunt_runtime *rt = cq ? cq->rt : NULL;
	size_t i = 0;
	SH_NO_CANCEL;

	if (!cq || !out || sh_runtime_forked(rt))
		return 0;
	while (i < n) {
		struct sh_record *t;
		uint64_t handle;
		uint32_t index = cq->first;

		if (index == 0) {
			fetch(cq);
			index = cq->first;
			if (index == 0)
				break;
		}
		t = sh_slab_at(&rt->records, index);
		cq->first = sh_a32_load_rlx(&t->cq_next); /* mo rlx: only the reader has it. */
		handle = sh_record_handle(rt, index);
		sh_record_completion(rt, handle, &out[i++]);
		(void)sh_record_unhold(rt, NULL, handle, SH_RECORD_UNREAD);
	}
	cq->taken += i;
	if (i > 0)
		(void)sh_a32_sub_acq_rel(&cq->places, (uint32_t)i); /* mo cq.3 -> cq.3@job/cq.c: the places are free. */
	return i;
}

int shunt_cq_fd(const struct shunt_cq *cq)
{
	return cq ? cq->fd : -1;
}

uint32_t shunt_cq_pending(const struct shunt_cq *cq)
{
	return cq ? sh_a32_load_rlx(&cq->places) : 0; /* mo rlx: a statistic. */
}

static int wait_inside(struct shunt_cq *cq, uint64_t timeout_ns)
{
	struct pollfd p = { cq->fd, POLLIN, 0 };
	uint64_t deadline = sh_clock_deadline(timeout_ns);
	int rc = -1;

	/* woken because it is closed, or too late for that wake-up */
	while (cq->first == 0 && !sh_runtime_closed(cq->rt)) {
		uint64_t left = sh_clock_left(deadline);
		struct timespec ts = { (time_t)(left / 1000000000u), (long)(left % 1000000000u) };

		rc = ppoll(&p, 1, left == SH_FOREVER ? NULL : &ts, NULL);
		if (rc < 0 && errno != EINTR)
			return SHUNT_ESYS;
		if (rc >= 0)
			break;
	}
	if (sh_runtime_closed(cq->rt))
		return SHUNT_ESTOPPED;
	return rc == 0 ? SHUNT_ETIMEDOUT : 0;
}

int shunt_cq_wait(struct shunt_cq *cq, uint64_t timeout_ns)
{
	struct shunt_runtime *rt = cq ? cq->rt : NULL;
	SH_NO_CANCEL;
	SH_CALL(call);
	int rc = sh_call_enter(rt, &call);

	return rc == 0 ? wait_inside(cq, timeout_ns) : rc;
}

/* ---- create, destroy ---- */

int shunt_cq_create(struct shunt_runtime *rt, const struct shunt_cq_opts *opts, struct shunt_cq **out)
{
	struct shunt_cq_opts o = SHUNT_CQ_OPTS_INIT;
	struct sh_submitter *call;
	struct shunt_cq *cq;
	SH_NO_CANCEL;
	int rc;

	sh_error_detail_clear();
	if (!rt || !out)
		return sh_error_set(SHUNT_EINVAL, "completion queue: " SH_NO_ARGUMENT);
	*out = NULL;
	if (sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	if (opts) {
		rc = sh_opts_take(&o, sizeof(o), opts, opts->size);
		if (rc != 0)
			return sh_error_set(rc, "completion queue: options of another version of the library");
	}
	o.capacity = o.capacity ? o.capacity : CAPACITY_DEFAULT;
	if (o.capacity > CAPACITY_MAX)
		return sh_error_set(SHUNT_EINVAL, "completion queue: capacity %u; want 1 to %u", o.capacity, CAPACITY_MAX);
	cq = sh_mem_alloc(&rt->mem, sizeof(*cq), SH_CACHELINE);
	if (!cq)
		return sh_error_set(SHUNT_ENOMEM, "completion queue: no memory");
	cq->fd = SH_FAIL("cq.eventfd") ? -1 : eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (cq->fd < 0) {
		sh_mem_free(&rt->mem, cq, sizeof(*cq), SH_CACHELINE);
		return sh_error_set(SHUNT_ESYS, "completion queue: no eventfd: errno %d", errno);
	}
	cq->rt = rt;
	cq->capacity = o.capacity;
	call = sh_call_begin(rt);
	(void)pthread_mutex_lock(&rt->control);
	cq->next = rt->cqs;
	rt->cqs = cq;
	(void)pthread_mutex_unlock(&rt->control);
	sh_call_end(rt, call);
	*out = cq;
	return 0;
}

static void cq_free(struct shunt_cq *cq)
{
	(void)close(cq->fd);
	sh_mem_free(&cq->rt->mem, cq, sizeof(*cq), SH_CACHELINE);
}

int shunt_cq_destroy(struct shunt_cq *cq)
{
	struct shunt_runtime *rt = cq ? cq->rt : NULL;
	struct timespec pause = { 0, 50000 };
	struct shunt_cq **at;
	SH_NO_CANCEL;

	sh_error_detail_clear();
	if (!cq)
		return sh_error_set(SHUNT_EINVAL, "completion queue: " SH_NO_ARGUMENT);
	if (sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	if (sh_a32_load_acq(&cq->places) != 0) /* mo cq.3 <- cq.3@job/cq.c: what the last job did with the queue. */
		return sh_error_set(SHUNT_EBUSY, "completion queue: %u jobs have not been taken", shunt_cq_pending(cq));
	/* mo cq.4 <- cq.4@job/cq.c: who pushed the last entries may still be about to write. */
	while (sh_a64_load_acq(&cq->left) != cq->taken)
		(void)nanosleep(&pause, NULL);
	(void)pthread_mutex_lock(&rt->control);
	for (at = &rt->cqs; *at && *at != cq; at = &(*at)->next)
		;
	if (*at)
		*at = cq->next;
	(void)pthread_mutex_unlock(&rt->control);
	cq_free(cq);
	return 0;
}

void sh_cq_wake_all(struct shunt_runtime *rt)
{
	const uint64_t one = 1;

	(void)pthread_mutex_lock(&rt->control);
	for (const struct shunt_cq *cq = rt->cqs; cq; cq = cq->next)
		/* full: it is readable anyhow */
		(void)!write(cq->fd, &one, sizeof(one));
	(void)pthread_mutex_unlock(&rt->control);
}

void sh_cq_close_all(struct shunt_runtime *rt)
{
	while (rt->cqs) {
		struct shunt_cq *cq = rt->cqs;

		rt->cqs = cq->next;
		cq_free(cq);
	}
}
