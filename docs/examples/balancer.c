/*
 * balancer.c - the balancer on its own: a program that has workers (here four servers, of which one is ten times
 * slower) asks where each request goes, and tells how long it took. Time is simulated, so the run is short and
 * always the same. Exit code 0 when the slow server got no more than its share.
 *
 * Build: cc balancer.c $(pkg-config --cflags --libs shunt)
 *
 * SPDX-License-Identifier: MIT
 */
#include <shunt/balancer.h>
#include <shunt/error.h>

#include <stdio.h>
#include <stdlib.h>

#define SERVERS 4
#define PLACES 8
#define REQUESTS 20000

static const uint64_t service_ns[SERVERS] = { 1000000, 1000000, 1000000, 10000000 };
static uint64_t end_ns[SERVERS][PLACES]; /* when the request in each place ends, 0 = free */

/* Completes what has ended by now. */
static void complete_until(struct shunt_balancer *b, uint64_t now_ns)
{
	for (uint32_t s = 0; s < SERVERS; s++)
		for (int p = 0; p < PLACES; p++)
			if (end_ns[s][p] != 0 && end_ns[s][p] <= now_ns) {
				end_ns[s][p] = 0;
				if (shunt_balancer_complete(b, s, service_ns[s], 0) != 0)
					exit(1);
			}
}

int main(void)
{
	struct shunt_balancer_opts opts = SHUNT_BALANCER_OPTS_INIT;
	struct shunt_balancer *b;
	unsigned served[SERVERS] = { 0 }, refused = 0;
	int rc;

	opts.workers = SERVERS;
	opts.capacity = PLACES;
	opts.seed = 1;
	rc = shunt_balancer_create(&b, &opts);
	if (rc != 0) {
		fprintf(stderr, "balancer: %s: %s\n", shunt_strerror(rc), shunt_error_detail());
		return 1;
	}
	for (uint64_t r = 1; r <= REQUESTS; r++) {
		uint64_t now_ns = r * 60000; /* 60 us between requests: 67 % of what the four can do */
		int s, p = 0;

		complete_until(b, now_ns);
		s = shunt_balancer_start(b, 0, SHUNT_ANY);
		if (s < 0) { /* SHUNT_EAGAIN: all are full, an ordinary result */
			refused++;
			continue;
		}
		while (end_ns[s][p] != 0)
			p++; /* the balancer reserved a place, so there is one */
		end_ns[s][p] = now_ns + service_ns[s];
		served[s]++;
	}
	for (int s = 0; s < SERVERS; s++)
		printf("server %d: %5.1f %% of the requests, %4.0f us each\n", s, served[s] * 100.0 / REQUESTS,
			(double)service_ns[s] / 1e3);
	printf("refused: %u\n", refused);
	shunt_balancer_destroy(b);
	/* Its share by speed is 1 in 31. */
	return refused == 0 && served[3] * 31 <= REQUESTS ? 0 : 1;
}
