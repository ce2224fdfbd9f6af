/*
 * model/clients/litmus.c - tests of the explorer itself: textbook programs whose outcomes under C11 are known. Those that
 * must not happen are asserted; those that C11 permits, and all mistakes the explorer exists to find, are `fails` cases:
 * the explorer must find a failing execution.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/futex.h"

#include "client.h"

static sh_a32 x, y, z;
static uint32_t r[6];
static uint32_t plain;
static uint32_t *block;
static sh_a32 *cell;
static pthread_mutex_t a, b;

static void setup(void)
{
	sh_a32_init(&x, 0);
	sh_a32_init(&y, 0);
	sh_a32_init(&z, 0);
	memset(r, 0, sizeof(r));
	plain = 0;
	(void)pthread_mutex_init(&a, NULL);
	(void)pthread_mutex_init(&b, NULL);
}

static void setup_block(void)
{
	setup();
	block = client_alloc(sizeof(*block));
	cell = client_alloc(sizeof(*cell));
	sh_a32_init(cell, 0);
}

/* Store buffering: both loads may miss both stores, unless all four are seq_cst. */
static void sb_rlx_0(void) { sh_a32_store_rlx(&x, 1); r[0] = sh_a32_load_rlx(&y); }
static void sb_rlx_1(void) { sh_a32_store_rlx(&y, 1); r[1] = sh_a32_load_rlx(&x); }
static void sb_acq_0(void) { sh_a32_store_rel(&x, 1); r[0] = sh_a32_load_acq(&y); }
static void sb_acq_1(void) { sh_a32_store_rel(&y, 1); r[1] = sh_a32_load_acq(&x); }
static void sb_sc_0(void) { sh_a32_store_sc(&x, 1); r[0] = sh_a32_load_sc(&y); }
static void sb_sc_1(void) { sh_a32_store_sc(&y, 1); r[1] = sh_a32_load_sc(&x); }
static void sb_check(void) { client_assert(r[0] == 1 || r[1] == 1); }

/* Message passing. */
static void mp_rlx_0(void) { sh_a32_store_rlx(&x, 1); sh_a32_store_rlx(&y, 1); }
static void mp_rel_0(void) { sh_a32_store_rlx(&x, 1); sh_a32_store_rel(&y, 1); }
static void mp_rlx_1(void) { r[0] = sh_a32_load_rlx(&y); r[1] = sh_a32_load_rlx(&x); }
static void mp_acq_1(void) { r[0] = sh_a32_load_acq(&y); r[1] = sh_a32_load_rlx(&x); }
static void mp_check(void) { client_assert(r[0] == 0 || r[1] == 1); }

/* Independent reads of independent writes: two readers may disagree about the order, unless it is seq_cst. */
static void iriw_0(void) { sh_a32_store_rel(&x, 1); }
static void iriw_1(void) { sh_a32_store_rel(&y, 1); }
static void iriw_acq_2(void) { r[0] = sh_a32_load_acq(&x); r[1] = sh_a32_load_acq(&y); }
static void iriw_acq_3(void) { r[2] = sh_a32_load_acq(&y); r[3] = sh_a32_load_acq(&x); }
static void iriw_sc_0(void) { sh_a32_store_sc(&x, 1); }
static void iriw_sc_1(void) { sh_a32_store_sc(&y, 1); }
static void iriw_sc_2(void) { r[0] = sh_a32_load_sc(&x); r[1] = sh_a32_load_sc(&y); }
static void iriw_sc_3(void) { r[2] = sh_a32_load_sc(&y); r[3] = sh_a32_load_sc(&x); }
static void iriw_check(void) { client_assert(!(r[0] == 1 && r[1] == 0 && r[2] == 1 && r[3] == 0)); }

/* Two writes each, in opposite order: both first ones may end up last. */
static void ww_0(void) { sh_a32_store_rlx(&x, 1); sh_a32_store_rlx(&y, 2); }
static void ww_1(void) { sh_a32_store_rlx(&y, 1); sh_a32_store_rlx(&x, 2); }
static void ww_sc_0(void) { sh_a32_store_sc(&x, 1); sh_a32_store_sc(&y, 2); }
static void ww_sc_1(void) { sh_a32_store_sc(&y, 1); sh_a32_store_sc(&x, 2); }
static void ww_check(void) { client_assert(sh_a32_load_rlx(&x) != 1 || sh_a32_load_rlx(&y) != 1); }

/* Coherence: one location never goes back. */
static void co_0(void) { sh_a32_store_rlx(&x, 1); sh_a32_store_rlx(&x, 2); }
static void co_1(void) { r[0] = sh_a32_load_rlx(&x); r[1] = sh_a32_load_rlx(&x); }
static void co_check(void) { client_assert(r[0] <= r[1]); }

/* Causality through a third thread; the same thread's knowledge of a store by reading it. */
static void wrc_0(void) { sh_a32_store_rlx(&x, 1); }
static void wrc_1(void) { r[0] = sh_a32_load_rlx(&x); sh_a32_store_rel(&y, 1); }
static void wrc_2(void) { r[1] = sh_a32_load_acq(&y); r[2] = sh_a32_load_rlx(&x); }
static void wrc_check(void) { client_assert(!(r[0] == 1 && r[1] == 1 && r[2] == 0)); }

/* Release sequence: it goes on through read-modify-writes of others, not through their plain stores. */
static void rs_0(void) { plain = 1; sh_a32_store_rel(&x, 1); }
static void rs_add_1(void) { (void)sh_a32_add_rlx(&x, 1); }
static void rs_store_1(void)
{
	if (sh_a32_load_rlx(&x) == 1)
		sh_a32_store_rlx(&x, 2);
}
static void rs_2(void)
{
	if (sh_a32_load_acq(&x) == 2)
		r[0] = plain;
}
static void rs_check(void) { client_assert(sh_a32_load_rlx(&x) != 2 || r[0] <= 1); }

/* A failed compare-and-swap acquires only if its failure order says so. */
static void cas_0(void) { plain = 1; sh_a32_store_rel(&x, 2); }
static void cas_rlx_1(void)
{
	uint32_t e = 0;

	if (!sh_a32_cas_acq_rel(&x, &e, 1) && e == 2)
		r[0] = plain;
}
static void cas_acq_1(void)
{
	uint32_t e = 0;

	if (!sh_a32_cas_acq_rel_acq(&x, &e, 1) && e == 2)
		r[0] = plain;
}

/* Two read-modify-writes never read the same value; a load and a store in turn may. */
static void add_0(void) { r[0] = sh_a32_add_rlx(&x, 1); }
static void add_1(void) { r[1] = sh_a32_add_rlx(&x, 1); }
static void add_2(void) { r[2] = sh_a32_add_rlx(&x, 1); }
static void add_check(void) { client_assert(sh_a32_load_rlx(&x) == 3 && r[0] + r[1] + r[2] == 3); }
static void inc_0(void) { sh_a32_store_rlx(&x, sh_a32_load_rlx(&x) + 1); }
static void inc_check(void) { client_assert(sh_a32_load_rlx(&x) == 2); }

/* Plain accesses. */
static void race_0(void) { plain = 1; }
static void race_1(void) { r[0] = plain; }

/* Sleeping: the word is looked at by the kernel, so a wake-up after a store is not lost; before it, it is. */
static void sleep_0(void)
{
	while (sh_a32_load_acq(&x) == 0)
		(void)sh_futex_wait(&x, 0, SH_FOREVER);
}
static void wake_1(void) { sh_a32_store_rel(&x, 1); (void)sh_futex_wake(&x, 1); }
static void wake_early_1(void) { (void)sh_futex_wake(&x, 1); sh_a32_store_rel(&x, 1); }

/* Seq_cst loads between seq_cst stores of others: the total order need not be the order of execution, but there is one. */
static void sc_0(void) { sh_a32_store_sc(&x, 1); sh_a32_store_sc(&y, 1); }
static void sc_1(void) { r[0] = sh_a32_load_sc(&y); r[1] = sh_a32_load_sc(&x); }
static void sc_2(void) { sh_a32_store_sc(&z, 1); r[2] = sh_a32_load_sc(&y); }
static void sc_3(void) { r[3] = sh_a32_load_sc(&y); r[4] = sh_a32_load_sc(&z); }
static void sc_check(void)
{
	client_assert(!(r[0] == 1 && r[1] == 0));
	client_assert(!(r[3] == 1 && r[4] == 0 && r[2] == 0)); /* y before sc_3's loads before z before sc_2's load of y */
}

/* Spinning comes to its end. */
static void spin_0(void)
{
	while (sh_a32_load_acq(&x) == 0)
		client_relax();
	r[0] = plain;
}
static void spin_1(void) { plain = 7; sh_a32_store_rel(&x, 1); }
static void spin_check(void) { client_assert(r[0] == 7); }

/* Two mutexes, taken in opposite order. */
static void locks_0(void)
{
	(void)pthread_mutex_lock(&a);
	(void)pthread_mutex_lock(&b);
	(void)pthread_mutex_unlock(&b);
	(void)pthread_mutex_unlock(&a);
}
static void locks_1(void)
{
	(void)pthread_mutex_lock(&b);
	(void)pthread_mutex_lock(&a);
	(void)pthread_mutex_unlock(&a);
	(void)pthread_mutex_unlock(&b);
}

/* A thread that waited for a mutex takes it between two sections of another. */
static void between_0(void)
{
	(void)pthread_mutex_lock(&a);
	r[0] = sh_a32_add_acq_rel(&x, 1);
	(void)pthread_mutex_unlock(&a);
	(void)pthread_mutex_lock(&a);
	plain++;
	(void)pthread_mutex_unlock(&a);
}
static void between_1(void)
{
	(void)sh_a32_add_acq_rel(&x, 1);
	(void)pthread_mutex_lock(&a);
	r[1] = sh_a32_load_rlx(&x);
	r[2] = plain;
	(void)pthread_mutex_unlock(&a);
}
static void between_check(void) { client_assert(!(r[0] == 1 && r[1] == 2 && r[2] == 0)); }

/* Thread 0 is first at y only if it goes on after thread 2's store and before thread 1 began. */
static void third_0(void) { r[0] = sh_a32_load_sc(&x); r[1] = sh_a32_add_rlx(&y, 1); }
static void third_1(void) { r[2] = sh_a32_add_rlx(&y, 1); sh_a32_store_sc(&x, 2); }
static void third_2(void) { sh_a32_store_sc(&x, 1); }
static void third_check(void) { client_assert(!(r[0] == 1 && r[1] == 0 && r[2] == 1)); }

/* Freed by one thread while another may still look: found though nobody looks afterwards, atomic or not. */
static void freed_0(void) { *block = 1; }
static void freed_1(void) { free(block); }
static void freed_atomic_0(void) { sh_a32_store_rel(cell, 1); }
static void freed_atomic_1(void) { free(cell); }
static void freed_after_0(void) { *block = 1; sh_a32_store_rel(&x, 1); }
static void freed_after_1(void)
{
	if (sh_a32_load_acq(&x) == 1) {
		free(block);
		block = NULL;
	}
}
static void setup_freed(void)
{
	setup();
	block = calloc(1, sizeof(*block));
	if (!block)
		abort();
}
static void teardown_freed(void) { free(block); }

/* An object is prepared, then published. */
static void init_0(void) { sh_a32_init(cell, 1); sh_a32_store_rel(&x, 1); }
static void init_rlx_0(void) { sh_a32_init(cell, 1); sh_a32_store_rlx(&x, 1); }
static void init_1(void)
{
	if (sh_a32_load_acq(&x) == 1)
		r[0] = sh_a32_load_rlx(cell);
}

static void bad_pointer_0(void)
{
	if (sh_a32_load_rlx(&x) == 1)
		block = NULL;
	*block = 1;
}
static void bad_pointer_1(void) { sh_a32_store_rlx(&x, 1); }

const struct client clients[] = {
	{ .name = "litmus.sb_rlx", .shows = "store buffering, relaxed", .setup = setup, .thread = { sb_rlx_0, sb_rlx_1 },
	  .check = sb_check, .fails = true },
	{ .name = "litmus.sb_acq", .shows = "store buffering, release and acquire", .setup = setup,
	  .thread = { sb_acq_0, sb_acq_1 }, .check = sb_check, .fails = true },
	{ .name = "litmus.sb_sc", .shows = "store buffering, seq_cst", .setup = setup, .thread = { sb_sc_0, sb_sc_1 },
	  .check = sb_check },
	{ .name = "litmus.sb_half", .shows = "store buffering, one load only acquire", .setup = setup,
	  .thread = { sb_sc_0, sb_acq_1 }, .check = sb_check, .fails = true },
	{ .name = "litmus.mp_rlx", .shows = "message passing, relaxed", .setup = setup, .thread = { mp_rlx_0, mp_rlx_1 },
	  .check = mp_check, .fails = true },
	{ .name = "litmus.mp_rel", .shows = "message passing, release only", .setup = setup, .thread = { mp_rel_0, mp_rlx_1 },
	  .check = mp_check, .fails = true },
	{ .name = "litmus.mp_acq", .shows = "message passing, acquire only", .setup = setup, .thread = { mp_rlx_0, mp_acq_1 },
	  .check = mp_check, .fails = true },
	{ .name = "litmus.mp", .shows = "message passing, release and acquire", .setup = setup,
	  .thread = { mp_rel_0, mp_acq_1 }, .check = mp_check },
	{ .name = "litmus.iriw_acq", .shows = "two readers of two writers, acquire", .setup = setup,
	  .thread = { iriw_0, iriw_1, iriw_acq_2, iriw_acq_3 }, .check = iriw_check, .fails = true },
	{ .name = "litmus.iriw_sc", .shows = "two readers of two writers, seq_cst", .setup = setup,
	  .thread = { iriw_sc_0, iriw_sc_1, iriw_sc_2, iriw_sc_3 }, .check = iriw_check },
	{ .name = "litmus.ww_rlx", .shows = "two stores each in opposite order, relaxed", .setup = setup,
	  .thread = { ww_0, ww_1 }, .check = ww_check, .fails = true },
	{ .name = "litmus.ww_sc", .shows = "two stores each in opposite order, seq_cst", .setup = setup,
	  .thread = { ww_sc_0, ww_sc_1 }, .check = ww_check },
	{ .name = "litmus.coherence", .shows = "a location never goes back", .setup = setup, .thread = { co_0, co_1 },
	  .check = co_check },
	{ .name = "litmus.wrc", .shows = "what was read before a release is seen after its acquire", .setup = setup,
	  .thread = { wrc_0, wrc_1, wrc_2 }, .check = wrc_check },
	{ .name = "litmus.sequence", .shows = "a release sequence goes on through a read-modify-write", .setup = setup,
	  .thread = { rs_0, rs_add_1, rs_2 }, .check = rs_check },
	{ .name = "litmus.sequence_cut", .shows = "a release sequence ends at another thread's store", .setup = setup,
	  .thread = { rs_0, rs_store_1, rs_2 }, .fails = true },
	{ .name = "litmus.cas_rlx", .shows = "a failed compare-and-swap, failure order relaxed", .setup = setup,
	  .thread = { cas_0, cas_rlx_1 }, .fails = true },
	{ .name = "litmus.cas_acq", .shows = "a failed compare-and-swap, failure order acquire", .setup = setup,
	  .thread = { cas_0, cas_acq_1 } },
	{ .name = "litmus.add", .shows = "read-modify-writes lose nothing", .setup = setup, .thread = { add_0, add_1, add_2 },
	  .check = add_check },
	{ .name = "litmus.increment", .shows = "load and store in turn lose an increment", .setup = setup,
	  .thread = { inc_0, inc_0 }, .check = inc_check, .fails = true },
	{ .name = "litmus.race", .shows = "a data race", .setup = setup, .thread = { race_0, race_1 }, .fails = true },
	{ .name = "litmus.wake", .shows = "store, then wake", .setup = setup, .thread = { sleep_0, wake_1 } },
	{ .name = "litmus.wake_early", .shows = "wake, then store: the sleeper sleeps on", .setup = setup,
	  .thread = { sleep_0, wake_early_1 }, .fails = true },
	{ .name = "litmus.total_order", .shows = "seq_cst operations have one order", .setup = setup,
	  .thread = { sc_0, sc_1, sc_2, sc_3 }, .check = sc_check },
	{ .name = "litmus.spin", .shows = "a thread that spins sees the store in the end", .setup = setup,
	  .thread = { spin_0, spin_1 }, .check = spin_check },
	{ .name = "litmus.deadlock", .shows = "two mutexes taken in opposite order", .setup = setup,
	  .thread = { locks_0, locks_1 }, .fails = true },
	{ .name = "litmus.between", .shows = "a waiter gets the mutex between two sections", .setup = setup,
	  .thread = { between_0, between_1 }, .check = between_check, .fails = true },
	{ .name = "litmus.third", .shows = "an order that needs a third thread first", .setup = setup,
	  .thread = { third_0, third_1, third_2 }, .check = third_check, .fails = true },
	{ .name = "litmus.freed", .shows = "freed while another may write", .setup = setup_block,
	  .thread = { freed_0, freed_1 }, .fails = true },
	{ .name = "litmus.freed_atomic", .shows = "freed while another may store", .setup = setup_block,
	  .thread = { freed_atomic_0, freed_atomic_1 }, .fails = true },
	{ .name = "litmus.freed_after", .shows = "freed after the last use", .setup = setup_freed,
	  .thread = { freed_after_0, freed_after_1 }, .teardown = teardown_freed },
	{ .name = "litmus.init", .shows = "prepared, then published", .setup = setup_block, .thread = { init_0, init_1 } },
	{ .name = "litmus.init_rlx", .shows = "prepared, published relaxed", .setup = setup_block,
	  .thread = { init_rlx_0, init_1 }, .fails = true },
	{ .name = "litmus.pointer", .shows = "an invalid address", .setup = setup_block,
	  .thread = { bad_pointer_0, bad_pointer_1 }, .fails = true },
	{ .name = "litmus.bounded", .shows = "store buffering within two deviations", .setup = setup,
	  .thread = { sb_rlx_0, sb_rlx_1 }, .check = sb_check, .bound = 2, .fails = true },
	{ .name = "litmus.random", .shows = "store buffering, random", .setup = setup, .thread = { sb_rlx_0, sb_rlx_1 },
	  .check = sb_check, .random_only = true, .fails = true },
	{ 0 }
};
