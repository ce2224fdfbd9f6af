/*
 * bench/own/ideal.h - the yardstick of B6: what a scheduler without any overhead, that does not preempt, makes of the
 * very same trace. Called by levels.c after its measuring is over.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_OWN_IDEAL_H
#define BENCH_OWN_IDEAL_H

#include <stddef.h>
#include <stdint.h>

#define OWN_SERVERS_MAX 256u

/*
 * Two levels, 0 before 1, first in first out within each, `servers` equal servers; a free server takes the most urgent
 * job there is and keeps it to its end. arrive_ns ascends. wait_ns[i]: how long job i waits.
 */
void own_ideal_levels(const double *arrive_ns, const double *service_ns, const uint8_t *level, size_t n,
		      unsigned servers, double *wait_ns);

#endif
