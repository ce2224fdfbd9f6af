/*
 * metrics/histogram.h - the histograms that workers fill at the end of every job, and the plain copies that
 * reports are made of. Called by the worker loop (record), by snapshots (sh_hist_snapshot) and by hist_api.c
 * and hlog_codec.c, which know the fields of struct shunt_hist.
 *
 * Layout: HdrHistogram (Gil Tene) with lowest discernible value 1, two significant digits, so 256 linear
 * sub-buckets and half as many in each further power of two. Index of v: let k = log2(v | 255) - 7;
 * index = 128 * k + (v >> k). Values below 256 are their own index; one hour has index 4561.
 *
 * struct sh_hist: one writer, or any number that all use the _shared call (never both on one histogram). A new
 * owner may go on with an old one's histogram if it synchronised with it (a join, a mutex).
 *   call                  writer    together with
 *   sh_hist_record*       owner     any number of snapshots
 *   sh_hist_record_shared any       itself, any number of snapshots
 *   sh_hist_snapshot*     -         everything
 * Linearization point: of a record, the store to its bucket; a snapshot has none, it reads bucket after
 * bucket. So a snapshot holds every record that happened before it, none that happened after it, and any
 * subset of those that ran meanwhile. Each counter alone is monotone, so a later snapshot by the same reader
 * (or by one that synchronised with it) is nowhere smaller. The total is the sum of the buckets read, never a
 * separate counter; min, max and sum are held to what those buckets allow.
 * Progress: record is wait-free (no loop); record_shared is lock-free, its two loops repeat only when another
 * thread moved the extreme meanwhile; a snapshot is wait-free, SH_HIST_BUCKETS steps.
 *
 * All zero is a valid empty histogram, nine pages large: pages of a lazy mapping stay unused until a value
 * falls into them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_METRICS_HISTOGRAM_H
#define SH_METRICS_HISTOGRAM_H

#include <shunt/hist.h>

#include "base/atomic.h"
#include "base/compiler.h"

#define SH_HIST_SUB_BITS 7u /* 128 sub-buckets in each power of two, 256 in the first range */
#define SH_HIST_DIGITS 2u
#define SH_HIST_TOP 4561u /* index of SHUNT_HIST_HIGHEST_NS */
#define SH_HIST_BUCKETS (SH_HIST_TOP + 1u)
#define SH_HIST_BYTES 36864u

struct sh_hist {
	sh_a64 sum;       /* sync: owner writes; sum of the values modulo 2^64 */
	sh_a64 max;       /* sync: owner writes */
	sh_a64 min_inv;   /* sync: owner writes; ~min, so that zero means "none yet" */
	sh_a64 saturated; /* sync: owner writes; values above the range */
	uint64_t lo;      /* sync: owner; values lo..lo + span move neither min nor max */
	uint64_t span;    /* sync: owner */
	uint64_t pad[2];
	sh_a64 counts[SH_HIST_BYTES / sizeof(sh_a64) - 8u]; /* sync: owner writes; [0, SH_HIST_BUCKETS) are used */
} SH_ALIGNED(64);

_Static_assert(sizeof(struct sh_hist) == SH_HIST_BYTES, "nine pages");
_Static_assert(offsetof(struct sh_hist, counts) == SH_CACHELINE, "header is one cache line");
_Static_assert(SH_HIST_BYTES / sizeof(sh_a64) - 8u >= SH_HIST_BUCKETS, "every index has a counter");

/* The plain form: a snapshot, a merge, a line of a log. Invariant: count == sum of counts[]. */
struct shunt_hist {
	sh_u128 sum;        /* sync: owner; within the borders of the buckets */
	uint64_t count;     /* sync: owner */
	uint64_t min;       /* sync: owner; UINT64_MAX when empty */
	uint64_t max;       /* sync: owner; 0 when empty */
	uint64_t saturated; /* sync: owner; <= counts[SH_HIST_TOP] */
	uint64_t counts[SH_HIST_BUCKETS]; /* sync: owner */
};

/* Bucket of a value, by its highest bit; v <= SHUNT_HIST_HIGHEST_NS. */
static inline size_t sh_hist_index_clz(uint64_t v)
{
	unsigned k = sh_log2_u64(v | 255u) - SH_HIST_SUB_BITS;

	return ((size_t)k << SH_HIST_SUB_BITS) + (size_t)(v >> k);
}

/*
 * The same out of a double: exponent and upper seven bits of the mantissa are the index, up to a constant.
 * Exact, because v < 2^53. For x86 cpus on which the baseline's bit scan is slow (Zen: 1.4 ns against 0.4).
 */
static inline size_t sh_hist_index_fp(uint64_t v)
{
	double d = (double)(int64_t)v;
	uint64_t bits;

	__builtin_memcpy(&bits, &d, sizeof(bits));
	bits = (bits >> (52u - SH_HIST_SUB_BITS)) - ((UINT64_C(1023) + SH_HIST_SUB_BITS - 1u) << SH_HIST_SUB_BITS);
	__asm__("" : "+r"(bits)); /* known here, so that compilers select below instead of branching around it */
	return (size_t)(v < 256u ? v : bits);
}

static inline size_t sh_hist_index(uint64_t v)
{
#if defined(__x86_64__) && !defined(__LZCNT__)
	return sh_hist_index_fp(v);
#else
	return sh_hist_index_clz(v);
#endif
}

/* Power of two by which bucket i is wide. */
static inline unsigned sh_hist_shift(size_t i)
{
	return i < 256u ? 0u : (unsigned)(i >> SH_HIST_SUB_BITS) - 1u;
}

/* Smallest value of bucket i; i < SH_HIST_BUCKETS. */
static inline uint64_t sh_hist_lowest(size_t i)
{
	unsigned k = sh_hist_shift(i);

	return (uint64_t)(i - ((size_t)k << SH_HIST_SUB_BITS)) << k;
}

/* Largest value of bucket i; i < SH_HIST_BUCKETS. */
static inline uint64_t sh_hist_highest(size_t i)
{
	return sh_hist_lowest(i) + (UINT64_C(1) << sh_hist_shift(i)) - 1u;
}

/* The value HdrHistogram lets a bucket stand for: lowest plus half its width. */
static inline uint64_t sh_hist_middle(size_t i)
{
	return sh_hist_lowest(i) + ((UINT64_C(1) << sh_hist_shift(i)) >> 1);
}

/* Histogram in the caller's memory: SH_HIST_BYTES zeroed bytes, cache-line aligned (a page is better). */
struct sh_hist *sh_hist_init(void *zeroed);

/* The part of sh_hist_record that is rarely taken: moves min or max, or clamps. Returns the value to count. */
SH_COLD uint64_t sh_hist_widen(struct sh_hist *h, uint64_t v);

/* Counts v ns, n times. Thread: the one owner. Wait-free: no loop, no locked instruction, one rare branch. */
static inline void sh_hist_record_n(struct sh_hist *h, uint64_t v, uint64_t n)
{
	if (sh_unlikely(v - h->lo > h->span))
		v = sh_hist_widen(h, v);
	sh_a64_bump_owner(&h->counts[sh_hist_index(v)], n);
	sh_a64_bump_owner(&h->sum, v * n);
}

static inline void sh_hist_record(struct sh_hist *h, uint64_t v)
{
	sh_hist_record_n(h, v, 1);
}

#define SH_HIST_NONE SIZE_MAX

/* The bucket of all values between low and high, if it is one and none of them moves an extreme; else SH_HIST_NONE. Owner. */
static inline size_t sh_hist_bucket_of_all(const struct sh_hist *h, uint64_t low, uint64_t high)
{
	size_t i;

	if (low - h->lo > h->span || high - h->lo > h->span)
		return SH_HIST_NONE;
	i = sh_hist_index(low);
	return sh_hist_index(high) == i ? i : SH_HIST_NONE;
}

/* Counts n values of that bucket, which sum up to `sum`. Thread: the one owner. Wait-free. */
static inline void sh_hist_record_bucket(struct sh_hist *h, size_t bucket, uint64_t n, uint64_t sum)
{
	sh_a64_bump_owner(&h->counts[bucket], n);
	sh_a64_bump_owner(&h->sum, sum);
}

/* Counts v ns in a histogram that several threads fill with this call. Thread: any. Lock-free. */
void sh_hist_record_shared(struct sh_hist *h, uint64_t v);

/*
 * Sum of all values, ns, modulo 2^64: the monotone counter for exporters. It may be ahead of or behind a
 * snapshot by the records in flight.
 */
static inline uint64_t sh_hist_sum(const struct sh_hist *h)
{
	/* mo rlx: statistic. */
	return sh_a64_load_rlx(&h->sum);
}

/* Replaces *out by what h holds. Thread: any, while others record. */
void sh_hist_snapshot(const struct sh_hist *h, struct shunt_hist *out);
/* Adds what h holds to *out, for merging workers without a copy between. Thread: any, while others record. */
void sh_hist_snapshot_add(const struct sh_hist *h, struct shunt_hist *out);

/* Holds count, min, max and sum to what counts[] allows: for subtraction and decoding. */
void sh_hist_settle(struct shunt_hist *h);

#endif
