/*
 * shunt/snapshot.h - what the runtime counted: per type and level, per worker, per pool. Taking one never
 * stops a worker. Two snapshots subtract to an interval.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_SNAPSHOT_H
#define SHUNT_SNAPSHOT_H

#include <shunt/hist.h>
#include <shunt/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

struct shunt_series { /* one type at one level; only those that saw a job are listed */
	char pool[SHUNT_NAME_MAX];
	char type[SHUNT_NAME_MAX];
	char level_name[SHUNT_NAME_MAX];
	uint32_t level;
	uint64_t done, failed, cancelled;     /* terminal counts; their sum is what ended */
	struct shunt_hist *queue, *run, *total; /* ns; owned by the snapshot */
};

enum shunt_worker_state {
	SHUNT_WORKER_RUNNING = 0, /* running a job or looking for one */
	SHUNT_WORKER_PARKED = 1
};

struct shunt_worker_info {
	char pool[SHUNT_NAME_MAX];
	uint32_t index;          /* in its pool */
	uint32_t spare;          /* 1 = stands in for blocked workers */
	enum shunt_worker_state state;
	int32_t cpu_planned;     /* -1 = not pinned */
	int32_t cpu_seen;        /* last cpu read back by the worker, -1 = unknown */
	int32_t pin_error;       /* 0, or why the pin did not hold (SHUNT_EPERM ...) */
	uint32_t pin_verified;   /* 1 = the kernel's mask was read back and equals the plan */
	int32_t node;            /* NUMA os index, -1 = unknown */
	uint64_t jobs;           /* handlers ended here */
	uint64_t stolen;         /* jobs it took from other workers' queues; some may have been taken from it again */
	uint64_t parks, wakes;   /* went to sleep / was woken by a submitter */
	uint64_t busy_ns;        /* sum of run times; a job that ran nested in another is counted once */
	uint64_t ewma_ns;        /* run-time EWMA */
	uint32_t speed_permille; /* 1000 = as fast as its peers */
	uint32_t in_flight;
	uint64_t work_left_ns;
	struct shunt_hist *queue, *run; /* ns, all types; owned by the snapshot */
};

struct shunt_pool_info {
	char name[SHUNT_NAME_MAX];
	uint32_t workers, spares, spares_active, blocked;
	uint64_t submitted, finished; /* finished includes cancelled */
	uint64_t backlog;             /* jobs in the pool's overflow queue */
	uint64_t rejected_full;       /* submits refused because something was full */
	uint64_t ran_inline;
	uint64_t bytes;               /* of the pool's memory arena */
	uint64_t bytes_mapped;
	uint32_t async_in_flight;
};

struct shunt_snapshot {
	uint64_t taken_ns;   /* shunt_now_ns() */
	uint64_t wall_ns;    /* CLOCK_REALTIME */
	char runtime[SHUNT_NAME_MAX];
	const char *allocator;
	struct shunt_cpu_budget budget;
	uint32_t threads;    /* worker threads, spares included */
	uint32_t over_budget;/* 1 = more worker threads than cpus granted */
	size_t n_pools, n_workers, n_series;
	struct shunt_pool_info *pools;
	struct shunt_worker_info *workers;
	struct shunt_series *series;
};

/* 0, SHUNT_ENOMEM, SHUNT_EFORKED. Any thread, also inside jobs. Blocks: on the runtime's control lock; reads cgroup files. */
SHUNT_API int shunt_snapshot_take(struct shunt_runtime *rt, struct shunt_snapshot **out);
/* newer - older of one runtime as a new snapshot (counters and histograms subtract; states are the newer's). */
SHUNT_API int shunt_snapshot_diff(const struct shunt_snapshot *newer, const struct shunt_snapshot *older, struct shunt_snapshot **out);
SHUNT_API void shunt_snapshot_free(struct shunt_snapshot *s);

#ifdef __cplusplus
}
#endif
#endif
