/* machine/wake_cost.c - see wake_cost.h. SPDX-License-Identifier: MIT */
#include "machine/wake_cost.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/futex.h"
#include "base/inject.h"
#include "base/thread.h"

#define ROUNDS 21u
#define GAP_NS 20000u
#define WAKE_DEFAULT_NS UINT64_C(50000)
#define WAKE_MIN_NS UINT64_C(1000)
#define WAKE_MAX_NS UINT64_C(200000)

struct sleeper {
	sh_a32 word; /* number of the round that the sleeper waits for */
	sh_a32 ack;
	sh_a64 woke_ns;
};

static pthread_once_t wake_once = PTHREAD_ONCE_INIT;
static uint64_t wake_ns = WAKE_DEFAULT_NS;

static void *sleeper_main(void *arg)
{
	struct sleeper *s = arg;
	uint32_t round;

	for (round = 1; round <= ROUNDS; round++) {
		while (sh_a32_load_rlx(&s->word) < round) /* mo rlx: only its value matters. */
			(void)sh_futex_wait(&s->word, round - 1, SH_FOREVER);
		sh_a64_store_rlx(&s->woke_ns, sh_clock_ns()); /* mo rlx: published by ack. */
		/* mo wake.1 -> wake.1@machine/wake_cost.c: woke_ns before ack. */
		sh_a32_store_rel(&s->ack, round);
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void wait_until(uint64_t t)
{
	while (sh_clock_ns() < t)
		sh_cpu_relax();
}

static void calibrate(void)
{
	struct sleeper s;
	uint64_t took[ROUNDS];
	pthread_t thread;
	uint32_t round;

	sh_clock_setup();
	sh_a32_init(&s.word, 0);
	sh_a32_init(&s.ack, 0);
	sh_a64_init(&s.woke_ns, 0);
	if (SH_FAIL("calibrate.thread") || sh_thread_start(&thread, sleeper_main, &s, 0, 0) != 0)
		return;
	for (round = 1; round <= ROUNDS; round++) {
		uint64_t t0;

		/* lets the sleeper block; if not, the round is short and the median ignores it */
		wait_until(sh_clock_ns() + GAP_NS);
		t0 = sh_clock_ns();
		/* mo rlx: only its value matters; the kernel orders it before the wake. */
		sh_a32_store_rlx(&s.word, round);
		(void)sh_futex_wake(&s.word, 1);
		/* mo wake.1 <- wake.1@machine/wake_cost.c: woke_ns is written. */
		while (sh_a32_load_acq(&s.ack) != round)
			sh_cpu_relax();
		took[round - 1] = sh_a64_load_rlx(&s.woke_ns) - t0; /* mo rlx: acquired with ack. */
	}
	(void)pthread_join(thread, NULL);
	qsort(took, ROUNDS, sizeof(took[0]), compare);
	wake_ns = took[ROUNDS / 2];
	wake_ns = wake_ns < WAKE_MIN_NS ? WAKE_MIN_NS : wake_ns > WAKE_MAX_NS ? WAKE_MAX_NS : wake_ns;
}

uint64_t sh_calibrate_wake_ns(void)
{
	(void)pthread_once(&wake_once, calibrate);
	return wake_ns;
}
