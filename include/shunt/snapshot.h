/*
 * shunt/snapshot.h - what the runtime counted: per type and level, per worker, per pool. Taking one never
 * stops a worker. Two snapshots subtract to an interval.
 *
 * The structs below are made by the library and may get more fields at their end; a program that was built with fewer
 * goes on. So reach each by its accessor, never by pointer arithmetic: the distance from one to the next is the library's.
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

struct shunt_snapshot;

struct shunt_series { /* one type at one level; only those that saw a job are listed */
	char pool[SHUNT_NAME_MAX];
	char type[SHUNT_NAME_MAX];
	char level_name[SHUNT_NAME_MAX];
	uint32_t level;
	uint64_t done, failed, cancelled;     /* terminal counts; their sum is what ended */
	struct shunt_hist *queue, *run, *total; /* ns; owned by the snapshot; never more jobs than done + failed */
	struct shunt_pool_id pool_id;
	struct shunt_type_id type_id; /* a later type of the same name is another series */
};

enum shunt_worker_state {
	SHUNT_WORKER_RUNNING = 0, /* running a job or looking for one */
	SHUNT_WORKER_PARKED = 1
};

struct shunt_worker_info {
	char pool[SHUNT_NAME_MAX];
	uint32_t index;          /* in its pool */
	uint32_t spare;          /* 1 = a thread that runs while a worker is blocked */
	enum shunt_worker_state state;
	int32_t cpu_planned;     /* -1 = not pinned */
	int32_t cpu_seen;        /* last cpu read back by the worker, -1 = unknown */
	int32_t pin_error;       /* 0, or why the pin did not hold when the worker started (SHUNT_EPERM ...) */
	uint32_t pin_verified;   /* 1 = the kernel's mask, read for this snapshot, is the planned cpu alone */
	int32_t node;            /* NUMA os index, -1 = unknown */
	uint64_t stack_bytes;    /* of its thread, read back; 0 = unknown */
	uint64_t signal_mask;    /* signals blocked when it started; bit n - 1 is signal n */
	int32_t nice;            /* when it started */
	int32_t nice_error;      /* 0, or why the pool's nice value was not set (SHUNT_EPERM ...) */
	uint64_t jobs;           /* handlers ended here */
	uint64_t stolen;         /* jobs it took from other workers' queues; some may have been taken from it again */
	uint64_t parks, wakes;   /* went to sleep / was woken by a submitter */
	uint64_t busy_ns;        /* sum of run times; a job that ran nested in another is counted once */
	uint64_t ewma_ns;        /* run-time EWMA */
	uint32_t speed_permille; /* 1000 = as fast as its peers */
	uint32_t in_flight;
	uint64_t work_left_ns;
	struct shunt_hist *queue, *run; /* ns, all types; owned by the snapshot */
	struct shunt_pool_id pool_id;
	/* cpus that the kernel lets its thread run on, read for this snapshot: "0-3,8"; cut with "...", "" = unknown */
	char cpu_mask[64];
	uint64_t replaced;              /* its threads that a handler or on_start ended, each replaced by a new one */
};

struct shunt_pool_info {
	char name[SHUNT_NAME_MAX];
	uint32_t workers, spares, spares_active, blocked;
	/*
	 * Accepted jobs, and those that ended (cancelled ones too); finished <= submitted. While threads are inside a
	 * submit, or a worker inside a handler, a few of the newest may not be counted yet.
	 */
	uint64_t submitted, finished;
	uint64_t backlog;       /* jobs in the pool's overflow queue */
	uint64_t rejected_full; /* submits refused because something was full */
	uint64_t ran_inline;
	uint64_t bytes; /* of the pool's memory arena */
	uint64_t bytes_mapped;
	uint32_t async_in_flight;
	struct shunt_pool_id id; /* a later pool of the same name is another one */
};

struct shunt_runtime_info {
	uint64_t taken_ns;     /* shunt_now_ns() */
	uint64_t wall_ns;      /* CLOCK_REALTIME */
	char name[SHUNT_NAME_MAX];
	const char *allocator;
	uint32_t threads;      /* worker threads, spares included */
	uint32_t over_budget;  /* 1 = more worker threads than cpus granted */
};

/*
 * Reads everything that is counted. 0, SHUNT_EINVAL, SHUNT_ENOMEM, SHUNT_EFORKED. Detail. Any thread, also inside jobs.
 * Blocks: on the runtime's control lock; reads cgroup files. The caller owns *out until shunt_snapshot_destroy.
 */
SHUNT_MUST_USE SHUNT_API int shunt_snapshot_create(struct shunt_runtime *rt, struct shunt_snapshot **out);
/*
 * newer - older of one runtime as a new snapshot (counters and histograms subtract; states are the newer's).
 * Counters never fall while their pool or type lives. What is not in the older snapshot counts from 0, and what is
 * gone in the newer one is left out; a pool or type that was made anew under its old name is another one. 0,
 * SHUNT_EINVAL (NULL, of two runtimes, older was taken later, or one is a difference), SHUNT_ENOMEM. Detail. The
 * caller owns *out.
 */
SHUNT_MUST_USE SHUNT_API int shunt_snapshot_diff(const struct shunt_snapshot *newer,
						 const struct shunt_snapshot *older, struct shunt_snapshot **out);
/* Frees it with its histograms; NULL is fine. */
SHUNT_API void shunt_snapshot_destroy(struct shunt_snapshot *s);

/*
 * What is in a snapshot: valid until it is destroyed, and owned by it. NULL is returned for an index past the end.
 * Thread: any, several at once. Blocks: never.
 */
SHUNT_API const struct shunt_runtime_info *shunt_snapshot_runtime(const struct shunt_snapshot *s);
SHUNT_API const struct shunt_cpu_budget *shunt_snapshot_budget(const struct shunt_snapshot *s);
SHUNT_API size_t shunt_snapshot_pool_count(const struct shunt_snapshot *s);
SHUNT_API const struct shunt_pool_info *shunt_snapshot_pool_at(const struct shunt_snapshot *s, size_t i);
SHUNT_API size_t shunt_snapshot_worker_count(const struct shunt_snapshot *s);
SHUNT_API const struct shunt_worker_info *shunt_snapshot_worker_at(const struct shunt_snapshot *s, size_t i);
SHUNT_API size_t shunt_snapshot_series_count(const struct shunt_snapshot *s);
SHUNT_API const struct shunt_series *shunt_snapshot_series_at(const struct shunt_snapshot *s, size_t i);

#ifdef __cplusplus
}
#endif
#endif
