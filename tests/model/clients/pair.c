/*
 * model/clients/pair.c - base/atomic.h's compare-and-swap of two words, in the explorer and on real threads: what is
 * published with it, which of two wins, what loads of the single words may see, and its place in the order of seq_cst
 * operations. The cases with a weaker order are mistakes that the explorer must notice.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/atomic.h"

#include "client.h"

/* The runtime has the seq_cst operation only. On real threads these are that one. */
#ifdef MODEL_DO_CAS_PAIR
#define cas_rlx(a, x, y, new_x, new_y) MODEL_DO_CAS_PAIR(MODEL_SITE("cas_rlx", CAS, RLX, RLX), a, x, y, new_x, new_y)
#define cas_acq_rel(a, x, y, new_x, new_y) \
	MODEL_DO_CAS_PAIR(MODEL_SITE("cas_acq_rel", CAS, ACQ_REL, RLX), a, x, y, new_x, new_y)
#else
#define cas_rlx sh_a128_cas_sc
#define cas_acq_rel sh_a128_cas_sc
#endif

static sh_a128 p, q;
static sh_a64 x;
static uint64_t r[6];
static bool done[3];
static uint32_t plain;

/* In all cases the second word is ten times the first one. */
static void setup(void)
{
	sh_a64_init(&p.lo, 0);
	sh_a64_init(&p.hi, 0);
	sh_a64_init(&q.lo, 0);
	sh_a64_init(&q.hi, 0);
	sh_a64_init(&x, 0);
	memset(r, 0, sizeof(r));
	memset(done, 0, sizeof(done));
	plain = 0;
}

/* Publication: who acquires the first word sees what was written before, and the second word that belongs to it. */
static void publish_0(void) { plain = 7; done[0] = sh_a128_cas_sc(&p, 0, 0, 1, 10); }
static void publish_rlx_0(void) { plain = 7; done[0] = cas_rlx(&p, 0, 0, 1, 10); }
static void publish_1(void)
{
	if (sh_a64_load_acq(&p.lo) == 1) {
		r[0] = plain;
		r[1] = sh_a64_load_rlx(&p.hi);
		client_assert(r[0] == 7 && r[1] == 10);
	}
}
static void publish_read_rlx_1(void)
{
	if (sh_a64_load_rlx(&p.lo) == 1)
		r[0] = plain;
}
static void publish_check(void) { client_assert(done[0]); }

/* The second word alone, without the payload: acquired with the first one, else an old one may be seen. */
static void words_0(void) { (void)sh_a128_cas_sc(&p, 0, 0, 1, 10); (void)sh_a128_cas_sc(&p, 1, 10, 2, 20); }
static void words_rlx_0(void) { (void)cas_rlx(&p, 0, 0, 1, 10); (void)cas_rlx(&p, 1, 10, 2, 20); }
static void words_acq_1(void) { r[0] = sh_a64_load_acq(&p.lo); r[1] = sh_a64_load_rlx(&p.hi); }
static void words_check(void) { client_assert(r[1] >= 10 * r[0]); }

/* Torn: relaxed loads may see an older second word, or a newer one. Nobody replaces such a pair. */
static void torn_1(void)
{
	r[0] = sh_a64_load_rlx(&p.lo);
	r[1] = sh_a64_load_rlx(&p.hi);
	done[1] = sh_a128_cas_sc(&p, r[0], r[1], 3, 30);
}
static void torn_check(void)
{
	client_assert(!done[1] || r[1] == 10 * r[0]);
	client_assert(sh_a64_load_rlx(&p.hi) == 10 * sh_a64_load_rlx(&p.lo));
	client_assert(sh_a64_load_rlx(&p.lo) != 0);
}
static void newer_check(void) { client_assert(r[1] <= 10 * r[0]); }

/* Coherence: each word of its own never goes back, also for the thread that replaced the pair. */
static void coherence_1(void)
{
	r[0] = sh_a64_load_rlx(&p.lo);
	r[1] = sh_a64_load_rlx(&p.lo);
	r[2] = sh_a64_load_rlx(&p.hi);
	done[1] = sh_a128_cas_sc(&p, 2, 20, 3, 30);
	r[3] = sh_a64_load_rlx(&p.lo);
	r[4] = sh_a64_load_rlx(&p.hi);
}
static void coherence_check(void)
{
	client_assert(r[0] <= r[1] && r[1] <= r[3] && r[2] <= r[4]);
	client_assert(!done[1] || (r[3] == 3 && r[4] == 30));
}

/* Several with the same expectation: one wins, and the pair is the winner's. */
static void win_0(void) { done[0] = sh_a128_cas_sc(&p, 0, 0, 1, 10); }
static void win_1(void) { done[1] = sh_a128_cas_sc(&p, 0, 0, 2, 20); }
static void win_2(void) { done[2] = sh_a128_cas_sc(&p, 0, 0, 3, 30); }
static void win_check(void)
{
	uint64_t lo = sh_a64_load_rlx(&p.lo);

	client_assert(done[0] + done[1] + done[2] == 1);
	client_assert(lo >= 1 && lo <= 3 && done[lo - 1] && sh_a64_load_rlx(&p.hi) == 10 * lo);
}

/* It fails when either word differs, and then writes neither. */
static void differs_0(void) { done[0] = sh_a128_cas_sc(&p, 0, 0, 0, 10); }
static void differs_1(void) { done[1] = sh_a128_cas_sc(&p, 0, 0, 1, 0); }
static void differs_check(void)
{
	client_assert(done[0] != done[1]);
	client_assert(sh_a64_load_rlx(&p.lo) == (done[0] ? 0 : 1) && sh_a64_load_rlx(&p.hi) == (done[0] ? 10 : 0));
}

/* A release sequence goes on through another thread's relaxed one. */
static void sequence_1(void) { done[1] = cas_rlx(&p, 1, 10, 2, 20); }
static void sequence_2(void)
{
	if (sh_a64_load_acq(&p.lo) == 2)
		r[0] = plain;
}

/* Store buffering with another word: not both miss the other, whichever word of the pair is looked at. */
static void sb_0(void) { done[0] = sh_a128_cas_sc(&p, 0, 0, 1, 10); r[0] = sh_a64_load_sc(&x); }
static void sb_acq_rel_0(void) { done[0] = cas_acq_rel(&p, 0, 0, 1, 10); r[0] = sh_a64_load_sc(&x); }
static void sb_lo_1(void) { sh_a64_store_sc(&x, 1); r[1] = sh_a64_load_sc(&p.lo); }
static void sb_hi_1(void) { sh_a64_store_sc(&x, 1); r[1] = sh_a64_load_sc(&p.hi); }
static void sb_acq_1(void) { sh_a64_store_sc(&x, 1); r[1] = sh_a64_load_acq(&p.lo); }
static void sb_check(void) { client_assert(done[0] && (r[0] != 0 || r[1] != 0)); }

/* Two pairs: each thread replaces one and looks at the other. */
static void cross_0(void) { done[0] = sh_a128_cas_sc(&p, 0, 0, 1, 10); r[0] = sh_a64_load_sc(&q.hi); }
static void cross_1(void) { done[1] = sh_a128_cas_sc(&q, 0, 0, 1, 10); r[1] = sh_a64_load_sc(&p.lo); }
static void cross_acq_rel_1(void) { done[1] = cas_acq_rel(&q, 0, 0, 1, 10); r[1] = sh_a64_load_sc(&p.lo); }

/* Two readers of two pairs agree which came first, though they look at different words. */
static void iriw_0(void) { (void)sh_a128_cas_sc(&p, 0, 0, 1, 10); }
static void iriw_1(void) { (void)sh_a128_cas_sc(&q, 0, 0, 1, 10); }
static void iriw_acq_rel_0(void) { (void)cas_acq_rel(&p, 0, 0, 1, 10); }
static void iriw_2(void) { r[0] = sh_a64_load_sc(&p.lo); r[1] = sh_a64_load_sc(&q.hi); }
static void iriw_3(void) { r[2] = sh_a64_load_sc(&q.lo); r[3] = sh_a64_load_sc(&p.hi); }
static void iriw_check(void) { client_assert(!(r[0] != 0 && r[1] == 0 && r[2] != 0 && r[3] == 0)); }

/* A retry loop: increments by two threads, each reads again after a failure. */
static void retry(void)
{
	for (;;) {
		uint64_t lo = sh_a64_load_rlx(&p.lo), hi = sh_a64_load_rlx(&p.hi);

		if (sh_a128_cas_sc(&p, lo, hi, lo + 1, hi + 10))
			return;
		client_relax();
	}
}
static void retry_check(void) { client_assert(sh_a64_load_rlx(&p.lo) == 2 && sh_a64_load_rlx(&p.hi) == 20); }

/* It looks at nothing older than what its thread has seen of either word, and what it looked at is seen. */
static void known_lo_1(void) { client_assert(sh_a64_load_rlx(&p.lo) == 0 || sh_a128_cas_sc(&p, 1, 10, 2, 20)); }
static void known_hi_1(void) { client_assert(sh_a64_load_rlx(&p.hi) == 0 || sh_a128_cas_sc(&p, 1, 10, 2, 20)); }
static void known_failed_1(void)
{
	if (!sh_a128_cas_sc(&p, 0, 0, 2, 20))
		client_assert(sh_a64_load_rlx(&p.hi) == 10 && sh_a64_load_rlx(&p.lo) == 1);
}

/* A reader of the second word alone, which starts first, may see the new pair. */
static void second_0(void) { r[0] = sh_a64_load_rlx(&p.hi); }
static void second_check(void) { client_assert(r[0] == 0); }

/* An owner prepares a pair with two stores and hands it on. Who had it before fails, also in between. */
static void prepare_0(void)
{
	while (sh_a64_load_acq(&p.lo) != 1)
		client_relax();
	sh_a64_store_rlx(&p.lo, 7);
	sh_a64_store_rlx(&p.hi, 0);
	sh_a64_store_rel(&x, 1);
}
static void prepare_1(void)
{
	if (sh_a64_load_acq(&x) == 0)
		return;
	client_assert(sh_a64_load_rlx(&p.hi) == 0);
	done[1] = sh_a128_cas_sc(&p, 7, 0, 8, 80);
	r[0] = 1;
}
static void prepare_2(void)
{
	(void)sh_a128_cas_sc(&p, 0, 0, 1, 10);
	done[2] = sh_a128_cas_sc(&p, 0, 0, 3, 30) || sh_a128_cas_sc(&p, 1, 0, 3, 30);
}
static void prepare_check(void)
{
	client_assert(!done[2] && done[1] == (r[0] == 1));
	client_assert(sh_a64_load_rlx(&p.lo) == (done[1] ? 8 : 7) && sh_a64_load_rlx(&p.hi) == (done[1] ? 80 : 0));
}
static void half_0(void) { (void)sh_a128_cas_sc(&p, 0, 0, 1, 10); sh_a64_store_rlx(&p.lo, 2); sh_a64_store_rlx(&p.hi, 20); }
static void half_1(void) { done[1] = sh_a128_cas_sc(&p, 2, 10, 3, 30); }
static void half_seen_check(void) { client_assert(!done[1]); }

/* The explorer refuses a store that is not known to be the word's last, before or after, and an initialisation beside it. */
static void alone_0(void) { win_0(); sh_a64_store_rel(&p.hi, 5); }
static void alone_1(void) { sh_a64_store_rel(&p.hi, 6); win_1(); }
static void init_1(void) { r[0] = sh_a64_load_rlx(&p.lo); r[1] = sh_a64_load_rlx(&p.hi); sh_a64_init(&p.hi, 0); }

const struct client clients[] = {
	{ .name = "pair.publish", .shows = "who acquires the first word has the payload and the second word", .setup = setup,
	  .thread = { publish_0, publish_1 }, .check = publish_check },
	{ .name = "pair.publish_rlx", .shows = "publication, relaxed", .setup = setup, .thread = { publish_rlx_0, publish_1 },
	  .fails = true },
	{ .name = "pair.publish_read_rlx", .shows = "publication, read relaxed", .setup = setup,
	  .thread = { publish_0, publish_read_rlx_1 }, .fails = true },
	{ .name = "pair.words", .shows = "with the first word comes the second one or a newer", .setup = setup,
	  .thread = { words_0, words_acq_1 }, .check = words_check },
	{ .name = "pair.words_rlx", .shows = "the same, relaxed", .setup = setup, .thread = { words_rlx_0, words_acq_1 },
	  .check = words_check, .fails = true },
	{ .name = "pair.torn", .shows = "a pair that was never there is not replaced", .setup = setup,
	  .thread = { words_0, torn_1 }, .check = torn_check },
	{ .name = "pair.torn_older", .shows = "relaxed loads see an older second word", .setup = setup,
	  .thread = { words_0, torn_1 }, .check = words_check, .fails = true },
	{ .name = "pair.torn_newer", .shows = "the loads see a newer second word", .setup = setup,
	  .thread = { words_0, words_acq_1 }, .check = newer_check, .fails = true },
	{ .name = "pair.coherence", .shows = "no word goes back", .setup = setup, .thread = { words_0, coherence_1 },
	  .check = coherence_check },
	{ .name = "pair.win", .shows = "one of three wins, whole", .setup = setup, .thread = { win_0, win_1, win_2 },
	  .check = win_check },
	{ .name = "pair.differs", .shows = "it fails when either word differs", .setup = setup,
	  .thread = { differs_0, differs_1 }, .check = differs_check },
	{ .name = "pair.sequence", .shows = "a release sequence goes on through another's", .setup = setup,
	  .thread = { publish_0, sequence_1, sequence_2 } },
	{ .name = "pair.sb", .shows = "store buffering with another word, seq_cst", .setup = setup,
	  .thread = { sb_0, sb_lo_1 }, .check = sb_check },
	{ .name = "pair.sb_hi", .shows = "the same, seen in the second word", .setup = setup, .thread = { sb_0, sb_hi_1 },
	  .check = sb_check },
	{ .name = "pair.sb_acq_rel", .shows = "store buffering, acquire and release", .setup = setup,
	  .thread = { sb_acq_rel_0, sb_lo_1 }, .check = sb_check, .fails = true },
	{ .name = "pair.sb_acq", .shows = "store buffering, the load of the pair only acquire", .setup = setup,
	  .thread = { sb_0, sb_acq_1 }, .check = sb_check, .fails = true },
	{ .name = "pair.cross", .shows = "store buffering with two pairs", .setup = setup, .thread = { cross_0, cross_1 },
	  .check = sb_check },
	{ .name = "pair.cross_acq_rel", .shows = "the same, one acquire and release", .setup = setup,
	  .thread = { cross_0, cross_acq_rel_1 }, .check = sb_check, .fails = true },
	{ .name = "pair.iriw", .shows = "two readers of two pairs agree", .setup = setup,
	  .thread = { iriw_0, iriw_1, iriw_2, iriw_3 }, .check = iriw_check },
	{ .name = "pair.iriw_acq_rel", .shows = "the same, one acquire and release", .setup = setup,
	  .thread = { iriw_acq_rel_0, iriw_1, iriw_2, iriw_3 }, .check = iriw_check, .fails = true },
	{ .name = "pair.retry", .shows = "two retry loops come to their end", .setup = setup, .thread = { retry, retry },
	  .check = retry_check },
	{ .name = "pair.known_lo", .shows = "it does not look back behind the first word seen", .setup = setup,
	  .thread = { win_0, known_lo_1 } },
	{ .name = "pair.known_hi", .shows = "it does not look back behind the second word seen", .setup = setup,
	  .thread = { win_0, known_hi_1 } },
	{ .name = "pair.known_failed", .shows = "a failed one has seen both words", .setup = setup,
	  .thread = { win_0, known_failed_1 } },
	{ .name = "pair.second", .shows = "the second word alone is seen", .setup = setup, .thread = { second_0, win_0 },
	  .check = second_check, .fails = true },
	{ .name = "pair.prepare", .shows = "two stores of an owner, then the pair as those left it", .setup = setup,
	  .thread = { prepare_0, prepare_1, prepare_2 }, .check = prepare_check },
	{ .name = "pair.half", .shows = "a pair between the two stores of an owner is found", .setup = setup,
	  .thread = { half_0, half_1 }, .check = half_seen_check, .fails = true },
	{ .name = "pair.alone", .shows = "a word stored alone beside others", .setup = setup,
	  .thread = { alone_0, alone_1 }, .fails = true },
	{ .name = "pair.init", .shows = "a word initialised while others replace the pair", .setup = setup,
	  .thread = { win_0, init_1 }, .fails = true },
	{ 0 }
};
