/*
 * model/clients/hist.c - clients of metrics/histogram.[ch]: the one writer, or two that share, against snapshots. Every
 * operation there is relaxed: shown is that nothing depends on more. Run by the explorer and by native.c.
 *
 * A snapshot reads 4562 buckets; those that no record touches are nobody else's and cost the explorer no step.
 *
 * SPDX-License-Identifier: MIT
 */
#include "metrics/histogram.h"

#include <string.h>

#include "client.h"

#define LOW 10u
#define HIGH 200u

static char memory[SH_HIST_BYTES] SH_ALIGNED(SH_CACHELINE);
static struct sh_hist *hist;
static struct shunt_hist first, second; /* plain: the reader's */

static void empty(void)
{
	memset(memory, 0, sizeof(memory));
	hist = sh_hist_init(memory);
	shunt_hist_reset(&first);
	shunt_hist_reset(&second);
}

static uint64_t bucket(uint64_t v)
{
	/* mo rlx: what a snapshot reads. */
	return sh_a64_load_rlx(&hist->counts[sh_hist_index(v)]);
}

/* Exactly these records, all of them over. */
static void holds(uint64_t low, uint64_t high, uint64_t saturated)
{
	sh_hist_snapshot(hist, &first);
	client_assert(first.count == low + high + saturated);
	client_assert(first.counts[LOW] == low && first.counts[HIGH] == high);
	client_assert(first.counts[SH_HIST_TOP] == saturated && first.saturated == saturated);
	client_assert(first.min == (low != 0 ? LOW : high != 0 ? HIGH
							       : first.min));
	if (saturated == 0) {
		client_assert(first.max == (high != 0 ? HIGH : LOW));
		client_assert(first.sum == low * LOW + high * HIGH);
		client_assert(sh_hist_sum(hist) == low * LOW + high * HIGH);
	}
}

static void record_low(void) { sh_hist_record_shared(hist, LOW); }
static void record_high(void) { sh_hist_record_shared(hist, HIGH); }
static void record_over(void) { sh_hist_record_shared(hist, UINT64_MAX); }
static void record_own(void)
{
	sh_hist_record(hist, HIGH);
	sh_hist_record(hist, LOW);
	sh_hist_record(hist, HIGH);
}

static void two_check(void) { holds(1, 1, 0); }
static void three_check(void) { holds(1, 1, 1); }
static void own_check(void) { holds(1, 2, 0); }

/* --- minimum and maximum of two values that share a bucket, so that nothing else tells them apart */

static void record_least(void) { sh_hist_record_shared(hist, 1000); }
static void record_most(void) { sh_hist_record_shared(hist, 1003); }

static void extremes_check(void)
{
	client_assert(sh_hist_index(1000) == sh_hist_index(1003));
	sh_hist_snapshot(hist, &first);
	client_assert(first.count == 2 && first.min == 1000 && first.max == 1003 && first.sum == 2003);
}

/* --- what a reader may see of a word: never smaller than before, never more than was recorded */

static void read_words(void)
{
	uint64_t high = bucket(HIGH), low = bucket(LOW), sum = sh_hist_sum(hist);

	client_assert(high <= 2 && low <= 1 && sum <= 2 * HIGH + LOW);
	client_assert(bucket(HIGH) >= high && bucket(LOW) >= low && sh_hist_sum(hist) >= sum);
}

/* --- two snapshots of one reader: each is a possible histogram, the later one nowhere smaller */

static void possible(const struct shunt_hist *h)
{
	uint64_t low = h->counts[LOW], high = h->counts[HIGH];

	client_assert(low <= 1 && high <= 2 && h->count == low + high && h->saturated == 0);
	client_assert(h->sum == low * LOW + high * HIGH); /* both values have a bucket of their own */
	if (h->count > 0) {
		client_assert(h->min == (low != 0 ? LOW : HIGH));
		client_assert(h->max == (high != 0 ? HIGH : LOW));
	}
}

static void snapshots(void)
{
	sh_hist_snapshot(hist, &first);
	possible(&first);
	sh_hist_snapshot(hist, &second);
	possible(&second);
	client_assert(second.count >= first.count && second.sum >= first.sum);
	client_assert(second.counts[LOW] >= first.counts[LOW] && second.counts[HIGH] >= first.counts[HIGH]);
}

static void snapshot_once(void)
{
	sh_hist_snapshot(hist, &second);
	possible(&second);
}

static void snapshots_check(void)
{
	sh_hist_snapshot(hist, &first);
	client_assert(second.count <= first.count);
}

const struct client clients[] = {
	{ .name = "hist.shared", .shows = "two shared records: nothing is lost", .setup = empty, .thread = { record_low, record_high }, .check = two_check },
	{ .name = "hist.shared_three", .shows = "three shared records, one out of range", .setup = empty, .thread = { record_low, record_high, record_over }, .check = three_check, .bound = 3, .bound_long = 4 },
	{ .name = "hist.extremes", .shows = "two shared records in one bucket: minimum and maximum are theirs", .setup = empty, .thread = { record_least, record_most }, .check = extremes_check },
	{ .name = "hist.words", .shows = "the owner's counters grow, and never past what was recorded", .setup = empty, .thread = { record_own, read_words }, .check = own_check, .bound = 4, .bound_long = 6 },
	{ .name = "hist.snapshot", .shows = "snapshots beside the owner are possible histograms and grow", .setup = empty, .thread = { record_own, snapshots }, .check = snapshots_check, .bound = 2, .bound_long = 3, .steps_max = 50000 },
	{ .name = "hist.snapshot_shared", .shows = "a snapshot beside two shared writers is a possible histogram", .setup = empty, .thread = { record_low, record_high, snapshot_once }, .check = snapshots_check, .bound = 2, .bound_long = 3, .steps_max = 50000 },
	{ 0 },
};
