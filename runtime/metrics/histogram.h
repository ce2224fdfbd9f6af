/*
 * metrics/histogram.h - the histograms that workers record into at the end of every job, and the
 * plain copies that reports use. Called by the worker loop (record) and by snapshots
 * (sh_hist_snapshot). histogram.c and hlog_codec.c know the fields of struct shunt_hist.
 *
 * Layout: HdrHistogram (Gil Tene) with lowest discernible value 1 and two significant digits: 256
 * linear sub-buckets, and 128 in each further power of two. Index of v: let k = log2(v | 255) - 7;
 * index = 128 * k + (v >> k). Values below 256 are their own index; one hour has index 4561.
 *
 * struct sh_hist has one writer, or any number that all use the _shared call (never both on one
 * histogram). A new owner may continue the histogram of an old one if it synchronised with it (a
 * join, a mutex).
 *   call                  writer    together with
 *   sh_hist_record*       owner     any number of snapshots
 *   sh_hist_record_shared any       itself, any number of snapshots
 *   sh_hist_snapshot*     -         everything
 * Linearization: a record at the store to its bucket. A snapshot has no such point, it reads bucket
 * after bucket: it holds every record that happened before it, none that happened after it, and any
 * subset of the concurrent ones.
 *
 * Each counter is monotone, so a later snapshot by the same reader (or by one that synchronised
 * with it) is nowhere smaller. The total is the sum of the buckets read, not a separate counter;
 * min, max and sum are limited to what those buckets allow.
 * Progress: record is wait-free (no loop). record_shared is lock-free: its two loops repeat only
 * when another thread moved the extreme. A snapshot is wait-free, SH_HIST_BUCKETS steps.
 *
 * All zero is a valid empty histogram of nine pages. Pages of a lazy mapping stay unused until a
 * value falls into them.
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
	uint64_t lo;      /* sync: owner; values lo..lo + span change neither min nor max */
	uint64_t span;    /* sync: owner */
	uint64_t pad[2];
	/* sync: owner writes; [0, SH_HIST_BUCKETS) are used */
	sh_a64 counts[SH_HIST_BYTES / sizeof(sh_a64) - 8u];
} SH_ALIGNED(64);

_Static_assert(sizeof(struct sh_hist) == SH_HIST_BYTES, "nine pages");
_Static_assert(offsetof(struct sh_hist, counts) == SH_CACHELINE, "header is one cache line");
_Static_assert(SH_HIST_BYTES / sizeof(sh_a64) - 8u >= SH_HIST_BUCKETS, "every index has a counter");

/* The plain form: a snapshot, a merge, a line of a log. Invariant: count == sum of counts[]. */
struct shunt_hist {
	sh_u128 sum;        /* sync: owner; within the borders of the buckets */
	uint64_t count;     /* sync: owner */
	uint64_t min;       /* sync: owner; UINT64_MAX if empty */
	uint64_t max;       /* sync: owner; 0 if empty */
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
 * The same from a double: its exponent and the upper seven bits of its mantissa are the index, up
 * to a constant. Exact, because v < 2^53. For x86 cpus whose baseline bit scan is slow (Zen: 1.4
 * ns, this 0.4 ns).
 */
static inline size_t sh_hist_index_fp(uint64_t v)
{
	double d = (double)(int64_t)v;
	uint64_t bits;

	__builtin_memcpy(&bits, &d, sizeof(bits));
	bits = (bits >> (52u - SH_HIST_SUB_BITS)) - ((UINT64_C(1023) + SH_HIST_SUB_BITS - 1u) << SH_HIST_SUB_BITS);
	/* computes `bits` first, so that compilers select below and do not branch */
	__asm__("" : "+r"(bits));
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

/* log2 of the width of bucket i. */
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

/* The value that HdrHistogram reports for a bucket: lowest plus half its width. */
static inline uint64_t sh_hist_middle(size_t i)
{
	return sh_hist_lowest(i) + ((UINT64_C(1) << sh_hist_shift(i)) >> 1);
}

/* Histogram in the caller's memory: SH_HIST_BYTES zeroed bytes, cache-line or page aligned. */
struct sh_hist *sh_hist_init(void *zeroed);

/* Slow path of sh_hist_record: moves min or max, or clamps. Returns the value to count. */
SH_COLD uint64_t sh_hist_widen(struct sh_hist *h, uint64_t v);

/* Records v ns, n times. Thread: owner. Wait-free: no loop, no locked instruction. */
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

/* The bucket of low..high. SH_HIST_NONE: no common one, or an extreme moves. Thread: owner. */
static inline size_t sh_hist_bucket_of_all(const struct sh_hist *h, uint64_t low, uint64_t high)
{
	size_t i;

	if (low - h->lo > h->span || high - h->lo > h->span)
		return SH_HIST_NONE;
	i = sh_hist_index(low);
	return sh_hist_index(high) == i ? i : SH_HIST_NONE;
}

/* Records n values of that bucket with sum `sum`. Thread: owner. Wait-free. */
static inline void sh_hist_record_bucket(struct sh_hist *h, size_t bucket, uint64_t n, uint64_t sum)
{
	sh_a64_bump_owner(&h->counts[bucket], n);
	sh_a64_bump_owner(&h->sum, sum);
}

/* Records v ns in a histogram that several threads write with this call. Thread: any. Lock-free. */
void sh_hist_record_shared(struct sh_hist *h, uint64_t v);

/*
 * Sum of all values, ns, modulo 2^64: the monotone counter for exporters. Differs from a snapshot
 * by the records in flight, either way.
 */
static inline uint64_t sh_hist_sum(const struct sh_hist *h)
{
	/* mo rlx: statistic. */
	return sh_a64_load_rlx(&h->sum);
}

/* Adds the contents of `from` to h, which has no other writer, and `from` none at all. */
void sh_hist_add(struct sh_hist *h, const struct sh_hist *from);

/* Replaces *out by the contents of h. Thread: any, while others record. */
void sh_hist_snapshot(const struct sh_hist *h, struct shunt_hist *out);
/* Adds the contents of h to *out: a merge without a copy. Thread: any, while others record. */
void sh_hist_snapshot_add(const struct sh_hist *h, struct shunt_hist *out);

/* Number of values within a percentile, 1..count; count > 0. Rounds as HdrHistogram: a step down, then up. */
uint64_t sh_hist_rank(uint64_t count, double percentile);

/* Limits count, min, max and sum to what counts[] allows: for subtraction and decoding. */
void sh_hist_clamp(struct shunt_hist *h);

#endif
