/*
 * base/thread.h - the threads that the library starts: their stack, their nice value, the signals that they take.
 * A thread of the library blocks all signals but those that it causes itself, so that the program's signals come
 * to threads of the program; others may be let through. Called when a worker is made, by the worker itself, and by
 * wake_cost.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_BASE_THREAD_H
#define SH_BASE_THREAD_H

#include <pthread.h>

#include "base/compiler.h"

/* What the kernel and the C library say of the calling thread. */
struct sh_thread_seen {
	uint64_t stack_bytes; /* 0 = unknown */
	uintptr_t stack_low;  /* its lowest address */
	uint64_t signal_mask; /* blocked; bit n - 1 is signal n */
	int32_t nice;
};

/*
 * Starts a thread that takes `signals` (signals.h) beside its own faults, with a stack of at least `stack_bytes`
 * rounded up to pages, 0 = the system's default. 0; SHUNT_ENOMEM (no memory for the stack), SHUNT_EINVAL (the stack
 * has no room for the thread-local data of the process), SHUNT_ESYS (no more threads, most likely). Any thread; its own
 * mask is as before when the call returns.
 */
int sh_thread_start(pthread_t *out, void *(*main)(void *), void *arg, uint64_t signals,
		    uint64_t stack_bytes) SH_MUST_USE;
/* What sh_thread_start makes of `stack_bytes`. */
uint64_t sh_thread_stack(uint64_t stack_bytes);
/* Sets the calling thread's nice value. 0, SHUNT_EPERM, SHUNT_ESYS. */
int sh_thread_nice(int32_t nice) SH_MUST_USE;
void sh_thread_look(struct sh_thread_seen *out);

/*
 * Calls run(arg). If the thread ends in there (pthread_exit, cancellation), calls lost(arg) before it does, outside of
 * what it unwinds; if it ends in lost, calls lost again (glibc). An exception goes past both.
 */
void sh_thread_guard(void (*run)(void *), void (*lost)(void *), void *arg);

/* Keeps the calling thread from being cancelled; returns what sh_cancel_back needs. */
static inline int sh_cancel_off(void)
{
	int before = PTHREAD_CANCEL_ENABLE;

	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	return before;
}

static inline void sh_cancel_back(const int *before)
{
	(void)pthread_setcancelstate(*before, NULL);
}

/*
 * The calling thread is not cancelled until the end of this block: for code that has a cancellation point (nanosleep,
 * files, joins, the log's hook) and something to give back.
 */
#define SH_NO_CANCEL const int sh_cancel_before SH_CLEANUP(sh_cancel_back) SH_UNUSED = sh_cancel_off()

#endif
