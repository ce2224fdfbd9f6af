/*
 * job/cq.h - completion queues (include/shunt/cq.h), as a part of a job. Reached through the table of
 * parts and by the public calls.
 *
 * Algorithm: the records of ended jobs are the queue's entries, so no memory is taken when a job
 * ends. Those that end jobs push records to a list by compare-and-swap; the reader takes the whole
 * list and reverses it. Nothing hides an entry: it is in the list or not there.
 * - Places: a count of jobs that were submitted and not taken, raised at submit.
 * - End: the pushes that have left the queue are counted; destroy waits until they are as many as
 *   the entries that were taken.
 * - Signal: the word {generation:62 | state:2}. IDLE: the reader has looked; the next push writes the
 *   eventfd. WRITING: a thread is about to. WRITTEN: the descriptor is readable. A pusher that finds
 *   WRITING writes too, so one that was stopped before its write delays nobody. The reader reads the
 *   eventfd, starts a new generation as IDLE, then takes the list.
 * - Late writes: one that comes after that leaves the descriptor readable in state IDLE. The writes
 *   that were begun are counted, the eventfd counts those that were made, and the reader reads it
 *   again while it misses one.
 *
 * Calls that may run together: all but take and wait, by one reader at a time.
 * Linearization: push - its CAS of the list; take - its exchange. Progress: a push is lock-free, with
 * at most one system call, of the first push behind a look of the reader; take is wait-free.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_JOB_CQ_H
#define SH_JOB_CQ_H

#include <shunt/cq.h>

#include "sched/part.h"

struct shunt_cq {
	sh_a64 list SH_ALIGNED(SH_CACHELINE); /* sync: atomic; newest record's index, 0 = empty */
	sh_a64 signal;                        /* sync: atomic; {generation | state} */
	sh_a64 left;                          /* sync: atomic; pushes that have ended */
	sh_a64 writes;                        /* sync: atomic; writes to the eventfd that were begun */
	sh_a32 places SH_ALIGNED(SH_CACHELINE); /* sync: atomic; jobs submitted and not taken */
	uint64_t taken;                         /* sync: reader; entries taken */
	uint64_t written;                       /* sync: reader; writes that it read */
	uint32_t first;                         /* sync: reader; entries taken from the list, oldest first; 0 = none */
	uint32_t capacity;                      /* sync: const */
	int fd;                                 /* sync: const */
	struct shunt_runtime *rt;               /* sync: const */
	struct shunt_cq *next;                  /* sync: lock(control) */
};

extern const struct sh_part sh_part_cq;

/* At the runtime's end, before it waits for threads in calls: ends every shunt_cq_wait. */
void sh_cq_wake_all(struct shunt_runtime *rt);
/* At the runtime's end: closes all that are left. No other thread uses them. */
void sh_cq_close_all(struct shunt_runtime *rt);

#endif
