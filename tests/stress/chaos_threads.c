/* stress/chaos_threads.c - see chaos_threads.h. SPDX-License-Identifier: MIT */
#include "chaos_threads.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/futex.h"

#define SIGNAL_STORM SIGUSR1
#define SIGNAL_STOP (SIGRTMIN + 2)
#define REACH_NS 100000000u /* how long a stop waits for its thread; under ThreadSanitizer a busy one may not come */

static _Thread_local struct chaos_thread *self;

/* A stop at any instruction: nothing here but the wait. A futex, not sigsuspend, so that no wake-up is missed. */
static void on_stop(int signal_number)
{
	int saved = errno;
	struct chaos_thread *t = self;

	(void)signal_number;
	if (t) {
		sh_a32_store_sc(&t->stopped, 1);
		while (sh_a32_load_sc(&t->want) != 0)
			(void)sh_futex_wait(&t->want, 1, SH_FOREVER);
		sh_a32_store_sc(&t->stopped, 0);
	}
	errno = saved;
}

static void on_storm(int signal_number)
{
	(void)signal_number;
}

void chaos_threads_init(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	(void)sigemptyset(&action.sa_mask);
	action.sa_handler = on_stop; /* no SA_RESTART: system calls see EINTR */
	STRESS_CHECK(sigaction(SIGNAL_STOP, &action, NULL) == 0, "sigaction");
	action.sa_handler = on_storm;
	STRESS_CHECK(sigaction(SIGNAL_STORM, &action, NULL) == 0, "sigaction");
}

struct chaos_thread *chaos_thread_self(void)
{
	return self;
}

struct chaos_thread *chaos_thread_enter(enum chaos_thread_kind kind)
{
	uint32_t i;

	for (i = 0; i < CHAOS_THREADS; i++) {
		struct chaos_thread *t = &chaos_ledger->thread[i];
		uint32_t none = 0;

		if (sh_a32_load_rlx(&t->tid) != 0 || !sh_a32_cas_sc(&t->tid, &none, CHAOS_TID_TAKEN))
			continue;
		sh_a32_store_sc(&t->want, 0);
		sh_a32_store_sc(&t->stopped, 0);
		sh_a64_store_sc(&t->attempts, 0);
		sh_a32_store_sc(&t->kind, (uint32_t)kind);
		self = t;
		sh_a32_store_sc(&t->tid, (uint32_t)syscall(SYS_gettid));
		return t;
	}
	return NULL;
}

void chaos_thread_leave(void)
{
	struct chaos_thread *t = self;

	self = NULL;
	if (t)
		sh_a32_store_sc(&t->tid, 0);
}

static bool thread_signal(const struct chaos_thread *t, int signal_number)
{
	uint32_t tid = sh_a32_load_sc(&t->tid);

	return tid != 0 && tid != CHAOS_TID_TAKEN && syscall(SYS_tgkill, getpid(), (pid_t)tid, signal_number) == 0;
}

bool chaos_thread_stop(struct chaos_thread *t)
{
	uint64_t start = shunt_now_ns();

	sh_a32_store_sc(&t->want, 1);
	if (!thread_signal(t, SIGNAL_STOP)) {
		sh_a32_store_sc(&t->want, 0);
		return false;
	}
	while (sh_a32_load_sc(&t->stopped) == 0) {
		if (shunt_now_ns() - start > REACH_NS) {
			chaos_thread_release(t);
			return false;
		}
		stress_pause_ns(20000);
	}
	return true;
}

void chaos_thread_release(struct chaos_thread *t)
{
	sh_a32_store_sc(&t->want, 0);
	(void)sh_futex_wake(&t->want, 1);
}

struct chaos_thread *chaos_thread_pick(struct sh_rng *rng, uint32_t kind)
{
	uint32_t start = sh_rng_below(rng, CHAOS_THREADS);
	struct chaos_thread *found[CHAOS_THREADS];
	uint32_t n = 0;
	uint32_t i;

	for (i = 0; i < CHAOS_THREADS; i++) {
		struct chaos_thread *t = &chaos_ledger->thread[i];
		uint32_t tid = sh_a32_load_sc(&t->tid);

		if (tid != 0 && tid != CHAOS_TID_TAKEN && (kind == 0 || sh_a32_load_sc(&t->kind) == kind))
			found[n++] = t;
	}
	return n == 0 ? NULL : found[start % n];
}

void chaos_thread_interrupt(const struct chaos_thread *t)
{
	(void)thread_signal(t, SIGNAL_STORM);
}

bool chaos_thread_mask(const struct chaos_thread *t, struct sh_rng *rng)
{
	uint32_t tid = sh_a32_load_sc(&t->tid);
	cpu_set_t allowed, mask;
	uint32_t n, i, k;

	if (tid == 0 || tid == CHAOS_TID_TAKEN || sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		return true;
	n = (uint32_t)CPU_COUNT(&allowed);
	CPU_ZERO(&mask);
	k = sh_rng_below(rng, n + 1); /* n = all of them */
	for (i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &allowed) && (k == n || k-- == 0))
			CPU_SET(i, &mask);
	if (CPU_COUNT(&mask) == 0)
		mask = allowed;
	return sched_setaffinity((pid_t)tid, sizeof(mask), &mask) == 0 || errno == ESRCH || errno == EINVAL;
}
