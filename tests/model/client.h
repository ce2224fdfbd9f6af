/*
 * model/client.h - a client: a small closed program of a few threads on the runtime's real source files. The explorer
 * runs it under every schedule and every value that C11 allows a load; compiled with native.c instead it is an ordinary
 * C11 + pthreads program that passes alone, so that other model checkers can run the same source.
 *
 * A client file defines its state as globals, functions, and one table:
 *
 *     const struct client clients[] = { { .name = "...", ... }, { 0 } };
 *
 * The explorer runs setup() once per client, remembers all memory, and puts it back before each execution; so setup may
 * be expensive and threads may leave a mess. native.c runs setup() before each round: it must not count on zeroed globals.
 * Threads must end; they loop only around client_relax() (or code of the runtime that relaxes, sleeps or blocks).
 * Reading the results of a thread is allowed in check(), which runs after all have ended.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MODEL_CLIENT_H
#define MODEL_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#define CLIENT_THREADS_MAX 6

struct client {
	const char *name;  /* "ring.push_push": file and case */
	const char *shows; /* one line: what holds at the end of every execution */
	void (*setup)(void);
	void (*thread[CLIENT_THREADS_MAX])(void); /* those that are not NULL start after setup, at once */
	void (*check)(void);                      /* may be NULL */
	/*
	 * Deviations of an execution from "go on with the same thread, read the newest value": at most this many in the
	 * exhaustive search. 0 = no bound: every execution there is. Waits and ends of threads cost nothing.
	 */
	unsigned bound;
	unsigned bound_long;    /* the same with --long; 0 = as bound */
	unsigned steps_max;     /* longer executions are cut, counted, and not judged; 0 = 2000 */
	bool fails;             /* the explorer must find a failing execution: a test of the explorer; not run natively */
	bool random_only;       /* too large to exhaust even with a bound: PCT only */
	void (*teardown)(void); /* native only: frees what setup made; may be NULL */
};

extern const struct client clients[];

/* Fails the execution, naming the condition, with the trace that led here. */
#define client_assert(x) ((x) ? (void)0 : client_fail(#x, __FILE__, __LINE__))
_Noreturn void client_fail(const char *what, const char *file, int line);
/* In a loop that waits for another thread. */
void client_relax(void);
/* Memory that setup and threads may use; zeroed. The explorer puts its contents back; native.c frees it after the round. */
void *client_alloc(unsigned long bytes);
/* A label in the trace; formatting like printf with up to 3 integers. */
void client_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
