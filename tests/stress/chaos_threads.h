/*
 * stress/chaos_threads.h - the threads of a chaos scenario by kernel id: stops one anywhere by a signal whose handler
 * waits, interrupts random ones at a rate, changes their cpu masks (from the parent too).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_STRESS_CHAOS_THREADS_H
#define SH_STRESS_CHAOS_THREADS_H

#include "chaos_ledger.h"

/* Installs the handlers; before the first thread that is to be stopped. */
void chaos_threads_init(void);
/* The calling thread joins the table; NULL = the table is full. */
struct chaos_thread *chaos_thread_enter(enum chaos_thread_kind kind);
void chaos_thread_leave(void);
/* The calling thread's place, NULL = none. */
struct chaos_thread *chaos_thread_self(void);

/* Stops the thread wherever it is; true once it stands. False: it could not be reached in time and will not stop. */
bool chaos_thread_stop(struct chaos_thread *t);
void chaos_thread_release(struct chaos_thread *t);
/* A random thread of the kind (0 = any), NULL = none. */
struct chaos_thread *chaos_thread_pick(struct sh_rng *rng, uint32_t kind);
/* One signal without a meaning, so that its system call returns EINTR. */
void chaos_thread_interrupt(const struct chaos_thread *t);
/* Sets a random cpu mask of the cpus that this process may use; any process. False = the kernel refused. */
bool chaos_thread_mask(const struct chaos_thread *t, struct sh_rng *rng);

#endif
