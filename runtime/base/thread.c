/* base/thread.c - see thread.h. SPDX-License-Identifier: MIT */
/*
 * With exceptions on, pthread_cleanup_push is a cleanup of the compiler, and clang makes an end of the thread inside
 * one an abort. Without, it is a jump to the frame that pushed: sh_thread_guard needs that.
 */
#undef __EXCEPTIONS

#include "base/thread.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <shunt/error.h>

#include "base/inject.h"
#include "base/mem.h"
#include "base/signals.h"

#define SIGNALS 64 /* of Linux, on every machine that it runs on but MIPS */

static void blocked_fill(sigset_t *set, uint64_t signals)
{
	uint64_t taken = signals | sh_signals_own_faults();
	int n;

	(void)sigfillset(set);
	for (n = 1; n <= SIGNALS; n++)
		if (taken >> (n - 1) & 1u)
			(void)sigdelset(set, n);
}

uint64_t sh_thread_stack(uint64_t stack_bytes)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	pthread_attr_t attr;
	size_t size = 0;

	if (stack_bytes != 0)
		return (stack_bytes + page - 1) / page * page;
	if (pthread_attr_init(&attr) == 0) {
		(void)pthread_attr_getstacksize(&attr, &size);
		(void)pthread_attr_destroy(&attr);
	}
	return size;
}

/* The C library says EAGAIN both for the number of threads and for the memory of a stack: a stack is tried. */
static int start_error(int error, uint64_t stack_bytes)
{
	if (error == EINVAL)
		return SHUNT_EINVAL;
	return error == ENOMEM || !sh_mem_fits(sh_thread_stack(stack_bytes)) ? SHUNT_ENOMEM : SHUNT_ESYS;
}

int sh_thread_start(pthread_t *out, void *(*main)(void *), void *arg, uint64_t signals, uint64_t stack_bytes)
{
	pthread_attr_t attr;
	sigset_t blocked, before;
	int rc = 0;

	if (pthread_attr_init(&attr) != 0)
		return SHUNT_ESYS;
	if (stack_bytes != 0)
		rc = pthread_attr_setstacksize(&attr, sh_thread_stack(stack_bytes));
	if (rc == 0) {
		/* A thread begins with the mask of its maker: no signal finds it without its own. */
		blocked_fill(&blocked, signals);
		(void)pthread_sigmask(SIG_SETMASK, &blocked, &before);
		rc = pthread_create(out, &attr, main, arg);
		(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	(void)pthread_attr_destroy(&attr);
	return rc == 0 ? 0 : start_error(rc, stack_bytes);
}

int sh_thread_nice(int32_t nice)
{
	errno = 0;
	if (SH_FAIL("thread.nice"))
		return SHUNT_EPERM;
	if (setpriority(PRIO_PROCESS, (id_t)gettid(), nice) == 0) /* on Linux of the thread alone */
		return 0;
	return errno == EACCES || errno == EPERM ? SHUNT_EPERM : SHUNT_ESYS;
}

void sh_thread_look(struct sh_thread_seen *out)
{
	pthread_attr_t attr;
	sigset_t blocked;
	size_t size = 0;
	void *base = NULL;
	int n;

	*out = (struct sh_thread_seen){ 0 };
	if (!SH_FAIL("thread.look") && pthread_getattr_np(pthread_self(), &attr) == 0) {
		(void)pthread_attr_getstack(&attr, &base, &size);
		(void)pthread_attr_destroy(&attr);
	}
	out->stack_bytes = size;
	out->stack_low = (uintptr_t)base;
	out->nice = getpriority(PRIO_PROCESS, (id_t)gettid());
	(void)sigemptyset(&blocked);
	(void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	for (n = 1; n <= SIGNALS; n++)
		if (sigismember(&blocked, n) == 1)
			out->signal_mask |= UINT64_C(1) << (n - 1);
}

void sh_thread_guard(void (*run)(void *), void (*lost)(void *), void *arg)
{
	pthread_cleanup_push(lost, arg);
	run(arg);
	pthread_cleanup_pop(0);
}
