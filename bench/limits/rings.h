/*
 * bench/limits/rings.h - the plainest fast queues there are, as a floor: a ring for one producer and one consumer
 * (each side keeps a copy of the other's index) and a bounded ring for many (Vyukov's, a sequence number in each
 * slot). No sleeping, no features. Used by bench/limits and the subject raw_mpmc; the library's own queues are not
 * these.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_RINGS_H
#define BENCH_RINGS_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define RAW_RING_SLOTS 4096u

struct raw_item {
	void (*fn)(void *arg);
	void *arg;
};

struct raw_spsc {
	alignas(64) _Atomic uint32_t head; /* consumer's line */
	uint32_t tail_seen;
	alignas(64) _Atomic uint32_t tail; /* producer's line */
	uint32_t head_seen;
	alignas(64) struct raw_item slot[RAW_RING_SLOTS];
};

static inline bool raw_spsc_push(struct raw_spsc *r, struct raw_item item)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	if (tail - r->head_seen == RAW_RING_SLOTS) {
		r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
		if (tail - r->head_seen == RAW_RING_SLOTS)
			return false;
	}
	r->slot[tail % RAW_RING_SLOTS] = item;
	atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
	return true;
}

static inline bool raw_spsc_pop(struct raw_spsc *r, struct raw_item *item)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	if (head == r->tail_seen) {
		r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
		if (head == r->tail_seen)
			return false;
	}
	*item = r->slot[head % RAW_RING_SLOTS];
	atomic_store_explicit(&r->head, head + 1, memory_order_release);
	return true;
}

struct raw_mpmc_slot {
	_Atomic uint32_t turn;
	struct raw_item item;
};

struct raw_mpmc {
	alignas(64) _Atomic uint32_t head;
	alignas(64) _Atomic uint32_t tail;
	alignas(64) struct raw_mpmc_slot slot[RAW_RING_SLOTS];
};

static inline void raw_mpmc_init(struct raw_mpmc *r)
{
	atomic_init(&r->head, 0);
	atomic_init(&r->tail, 0);
	for (uint32_t i = 0; i < RAW_RING_SLOTS; i++)
		atomic_init(&r->slot[i].turn, i);
}

static inline bool raw_mpmc_push(struct raw_mpmc *r, struct raw_item item)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	for (;;) { /* bound: each turn another producer got a slot, or the ring is full */
		struct raw_mpmc_slot *s = &r->slot[tail % RAW_RING_SLOTS];
		int32_t ahead = (int32_t)(atomic_load_explicit(&s->turn, memory_order_acquire) - tail);

		if (ahead < 0)
			return false;
		if (ahead > 0) {
			tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
		} else if (atomic_compare_exchange_weak_explicit(&r->tail, &tail, tail + 1, memory_order_relaxed,
								 memory_order_relaxed)) {
			s->item = item;
			atomic_store_explicit(&s->turn, tail + 1, memory_order_release);
			return true;
		}
	}
}

static inline bool raw_mpmc_pop(struct raw_mpmc *r, struct raw_item *item)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	for (;;) { /* bound: each turn another consumer got an item, or the ring is empty */
		struct raw_mpmc_slot *s = &r->slot[head % RAW_RING_SLOTS];
		int32_t ahead = (int32_t)(atomic_load_explicit(&s->turn, memory_order_acquire) - (head + 1));

		if (ahead < 0)
			return false;
		if (ahead > 0) {
			head = atomic_load_explicit(&r->head, memory_order_relaxed);
		} else if (atomic_compare_exchange_weak_explicit(&r->head, &head, head + 1, memory_order_relaxed,
								 memory_order_relaxed)) {
			*item = s->item;
			atomic_store_explicit(&s->turn, head + RAW_RING_SLOTS, memory_order_release);
			return true;
		}
	}
}

#endif
