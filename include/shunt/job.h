/*
 * shunt/job.h - jobs: submit, wait, poll, cancel, complete, groups, and what a handler may call.
 *
 * Threads: every function here may be called from any thread, from inside jobs too, unless it says "job"
 * (only inside a handler, with that handler's context). None of the submit functions allocates, locks or
 * blocks unless the caller chose SHUNT_ON_FULL_BLOCK. The first submit of a thread to a runtime claims a
 * submitter slot (lock-free); when all slots are taken a slower shared path serves.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_JOB_H
#define SHUNT_JOB_H

#include <stddef.h>
#include <stdint.h>

#include <shunt/error.h>
#include <shunt/opts.h>
#include <shunt/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

struct shunt_runtime;
struct shunt_job_ctx;
struct shunt_cq;

struct shunt_pool_id { uint32_t v; };  /* 0 = none */
struct shunt_type_id { uint32_t v; };  /* 0 = none */
struct shunt_job_id { uint64_t v; };   /* 0 = none; index and generation: a stale one is an error, never a crash */
struct shunt_group_id { uint64_t v; }; /* 0 = none */

#define SHUNT_LEVELS_MAX 16
#define SHUNT_NAME_MAX 32           /* bytes of a pool, type, level or runtime name, with the final NUL */
#define SHUNT_FOREVER UINT64_MAX    /* as timeout: no limit */
#define SHUNT_ANY UINT32_MAX        /* no worker, no node */
#define SHUNT_LEVEL(n) ((uint8_t)((n) + 1)) /* level n (0 is the most urgent) as a field where 0 means default */

/* What a handler returns. Any other value is a failure with that code; it reaches shunt_result.code. */
#define SHUNT_DONE 0
#define SHUNT_PENDING 0x7ffffffe /* completes later through shunt_complete; only types with SHUNT_TYPE_ASYNC */

typedef int (*shunt_handler_fn)(struct shunt_job_ctx *ctx, void *arg);

/* What to do when the arena or the pool's queue is full. */
enum shunt_on_full {
	SHUNT_ON_FULL_DEFAULT = 0, /* the pool's; the pool's default is SHUNT_ON_FULL_ERROR */
	SHUNT_ON_FULL_ERROR = 1,   /* return SHUNT_EFULL at once */
	/*
	 * Wait for capacity until the deadline of the submit; inside a job the worker is declared blocked. Inside a job
	 * give a full_timeout_ns (opts): capacity that only this job's own end frees (jobs of its key, jobs for its
	 * worker) never comes.
	 */
	SHUNT_ON_FULL_BLOCK = 2,
	/*
	 * Run the handler in the calling thread, now (not for jobs with a key, worker or node). It needs a record
	 * (handles_max) and a place in its completion queue, as any other job: without, SHUNT_EFULL.
	 */
	SHUNT_ON_FULL_INLINE = 3
};

enum shunt_status { /* the states of a tracked job; the last three are terminal and exclusive */
	SHUNT_JOB_QUEUED = 1,
	SHUNT_JOB_RUNNING = 2,
	SHUNT_JOB_DONE = 3,
	SHUNT_JOB_FAILED = 4,
	SHUNT_JOB_CANCELLED = 5
};

/* How a job came to its terminal status. */
enum shunt_detail {
	SHUNT_BY_NOTHING = 0,  /* not terminal yet */
	SHUNT_BY_HANDLER = 1,  /* its handler returned: `code` is the handler's own */
	SHUNT_BY_COMPLETE = 2, /* shunt_complete: `code` is what was handed to it */
	SHUNT_BY_CANCEL = 3,   /* shunt_cancel, before it started */
	SHUNT_BY_GROUP = 4,    /* its group was cancelled before it started */
	SHUNT_BY_STOP = 5,     /* the runtime was destroyed before it ended */
	SHUNT_BY_EXIT = 6      /* its handler did not return (ended its thread, or threw): SHUNT_EEXITED */
};

/* What became of a job. Its size stays: what comes later takes reserved bytes, 0 until then. */
struct shunt_result {
	enum shunt_status status;
	int code;             /* 0, or what the handler or shunt_complete said; SHUNT_ECANCELLED for a cancelled job */
	uint64_t queue_ns;    /* from the (intended) start of waiting until the handler started; 0 if it never did */
	uint64_t run_ns;      /* from handler start to completion, less what ran nested at its checkpoints */
	uint32_t worker;      /* index in its pool of the worker that ran the handler; SHUNT_ANY: inline, or never ran */
	uint16_t attempts;    /* how often its handler started: 1, or 0 if it never did */
	uint16_t detail;      /* enum shunt_detail */
	uint64_t reserved[2]; /* 0 */
};

/* Called once when a job reaches its terminal state, in the thread that ended it; must not block. */
typedef void (*shunt_done_fn)(void *done_arg, struct shunt_job_id id, const struct shunt_result *result);

enum shunt_job_flags {
	/* `key` is valid: jobs of one key of one pool run one at a time, in submit order */
	SHUNT_JOB_KEYED = 1u << 0,
	/*
	 * only worker opts->worker of the pool runs it; never stolen while that worker lives. At most the pool's
	 * pinned_capacity are queued for a worker at a level, cancelled ones too
	 */
	SHUNT_JOB_ON_WORKER = 1u << 1,
	SHUNT_JOB_ON_NODE = 1u << 2,   /* queued to a worker on NUMA node opts->node; may be stolen by others */
	SHUNT_JOB_HELP = 1u << 3       /* a wait inside a job may run it though it takes longer than the wait's limit */
};

/*
 * The rare wishes of a job, outside of the spec so that it stays one cache line. The caller keeps it until the submit returns;
 * one may serve many specs. A field that is set and does not count, because the spec lacks what it goes with, is
 * SHUNT_EINVAL: a job would run elsewhere, or not wait, without a word. A struct of an older caller, which is smaller,
 * has 0 in what it lacks; a larger one is SHUNT_EINVAL if it says something that this library does not know.
 */
struct shunt_job_opts {
	size_t size;              /* sizeof(struct shunt_job_opts) */
	uint64_t full_timeout_ns; /* with SHUNT_ON_FULL_BLOCK (the pool's, too): how long to wait for capacity; 0 = for ever */
	uint32_t worker;          /* with SHUNT_JOB_ON_WORKER: index in its pool */
	uint32_t node;            /* with SHUNT_JOB_ON_NODE: NUMA os index */
	struct shunt_cq *cq;      /* completion queue (shunt/cq.h) that gets the result and done_arg; then `done` is NULL */
};
#define SHUNT_JOB_OPTS_INIT SHUNT_OPTS_INIT(shunt_job_opts)

/* 64 bytes where pointers have 8. All zero but the type is a plain job: no handle, no argument, default level. */
struct shunt_job_spec {
	struct shunt_type_id type;   /* required */
	uint8_t level;               /* 0 = the type's default, else SHUNT_LEVEL(n) */
	uint8_t on_full;             /* enum shunt_on_full */
	uint16_t flags;              /* enum shunt_job_flags */
	void *arg;                   /* handed to the handler; the caller keeps ownership, the job borrows it until terminal */
	uint64_t key;                /* with SHUNT_JOB_KEYED */
	struct shunt_group_id group; /* 0 = none */
	shunt_done_fn done;          /* NULL = none */
	void *done_arg;
	uint64_t arrival_ns;               /* intended start on the shunt_now_ns() clock; 0 = now. Queue delay counts from it */
	const struct shunt_job_opts *opts; /* NULL = none */
};

/*
 * Queues one job. With `id` the job is tracked: it can be waited for, polled and cancelled, and the caller
 * owes exactly one shunt_wait that succeeds, or one shunt_detach. With id == NULL it is fire-and-forget.
 * Errors: SHUNT_EINVAL (fields; a worker or node is asked for without opts, or opts say what does not count;
 * shunt_error_detail() says which and what would be right), SHUNT_ENOENT (type, worker, node, group), SHUNT_EFULL,
 * SHUNT_ETIMEDOUT, SHUNT_ESTOPPED (draining), SHUNT_EFORKED, SHUNT_EDEADLK (block inside a job and no spare thread is
 * left), SHUNT_EBUSY (in a signal handler that interrupted a submit of its own thread, or in a strategy; nothing has
 * changed). In a signal handler: docs/API.md, "Signal handlers".
 * Progress: lock-free. Since 0.1.
 */
SHUNT_MUST_USE SHUNT_API int shunt_submit(struct shunt_runtime *rt, const struct shunt_job_spec *spec,
					  struct shunt_job_id *id);

/*
 * Queues n jobs in order; cheaper per job than n calls. Returns how many were accepted, a prefix of the
 * array; if fewer than n, *error (may be NULL) says why. ids may be NULL, or an array of n.
 */
SHUNT_MUST_USE SHUNT_API size_t shunt_submit_batch(struct shunt_runtime *rt, const struct shunt_job_spec *specs,
						   size_t n, struct shunt_job_id *ids, int *error);

/*
 * Joins a tracked job: waits until it is terminal, at most timeout_ns (0 = just look, SHUNT_FOREVER), fills
 * *result (may be NULL) and gives the handle back. Inside a job it first tries to run the awaited job itself (of one
 * for this worker alone: with those before it), unless jobs of its type take longer than timeout_ns, by what was
 * learned or by expected_ns; where nothing is known (or 1 us was said), 1 s counts. SHUNT_JOB_HELP of the job chooses
 * otherwise. Else it declares its worker blocked, so that a spare thread serves the queue meanwhile. Also if the stack
 * has no room for one more handler: 80 KiB, and as much as the calling one has used.
 * Returns 0, SHUNT_ETIMEDOUT (handle still valid), SHUNT_ESTALE, SHUNT_EDEADLK (the wait would close a circle of waits,
 * over jobs, keys, workers, groups and runtimes; or no spare thread is left), SHUNT_EFORKED.
 * Blocks: up to the timeout. If the runtime is destroyed meanwhile, the job ends (CANCELLED by SHUNT_BY_STOP if it was
 * queued), and so does the wait.
 */
SHUNT_MUST_USE SHUNT_API int shunt_wait(struct shunt_runtime *rt, struct shunt_job_id id, uint64_t timeout_ns,
					struct shunt_result *result);
/*
 * Looks without joining: 0 and *result when terminal, SHUNT_EAGAIN before (of the result only the status says something),
 * SHUNT_ESTALE. Never blocks.
 */
SHUNT_MUST_USE SHUNT_API int shunt_poll(struct shunt_runtime *rt, struct shunt_job_id id, struct shunt_result *result);
/* Gives a handle back without waiting; the job itself goes on. 0 or SHUNT_ESTALE. Never blocks. */
SHUNT_MUST_USE SHUNT_API int shunt_detach(struct shunt_runtime *rt, struct shunt_job_id id);
/*
 * Cancels: a queued job becomes CANCELLED at once (its handler never runs) and 0 is returned. A running one
 * gets its cancel token set (shunt_job_cancelled) and SHUNT_EBUSY is returned; it ends as its handler says, done or
 * failed. SHUNT_ESTALE, or SHUNT_EAGAIN if it was terminal already: that is final, a later call says the same. Does not
 * give the handle back. Never blocks.
 */
SHUNT_MUST_USE SHUNT_API int shunt_cancel(struct shunt_runtime *rt, struct shunt_job_id id);
/*
 * Ends an asynchronous job (its handler returned, or is about to return, SHUNT_PENDING): code 0 = done, else
 * failed with that code. Exactly one call per job wins; SHUNT_ESTALE for the others, and before the job has started;
 * SHUNT_EINVAL for a job whose type is not asynchronous. Any thread. Never blocks.
 */
SHUNT_MUST_USE SHUNT_API int shunt_complete(struct shunt_runtime *rt, struct shunt_job_id id, int code);

/* ---- groups: a counter of unfinished jobs ---- */
/* Makes an empty group. 0, SHUNT_EFULL when all groups are taken (options: groups_max). */
SHUNT_MUST_USE SHUNT_API int shunt_group_create(struct shunt_runtime *rt, struct shunt_group_id *out);
/*
 * Waits until every job submitted to the group so far is terminal, at most timeout_ns (0 = just look,
 * SHUNT_FOREVER = no limit). Inside a job it runs queued jobs of the group that sit in its own worker's deque, and jobs
 * that are queued for that worker alone up to the group's last one, each unless it takes longer than what is left (as
 * shunt_wait); else it declares the worker blocked. 0, SHUNT_ETIMEDOUT,
 * SHUNT_ESTALE, SHUNT_EDEADLK (as shunt_wait; also called by a member of the group), SHUNT_ESTOPPED (the
 * runtime is destroyed meanwhile: its queued jobs were cancelled).
 */
SHUNT_MUST_USE SHUNT_API int shunt_group_wait(struct shunt_runtime *rt, struct shunt_group_id group,
					      uint64_t timeout_ns);
/* Unfinished jobs now, or a negative error. */
SHUNT_MUST_USE SHUNT_API int64_t shunt_group_pending(struct shunt_runtime *rt, struct shunt_group_id group);
/* Queued jobs of the group that have not started become CANCELLED when a worker reaches them. 0 or SHUNT_ESTALE. */
SHUNT_MUST_USE SHUNT_API int shunt_group_cancel(struct shunt_runtime *rt, struct shunt_group_id group);
/*
 * Frees an idle group; SHUNT_EBUSY while jobs are pending. A member leaves just after its end was announced (wait, callback,
 * completion queue): shunt_group_wait returns when all have left.
 */
SHUNT_MUST_USE SHUNT_API int shunt_group_destroy(struct shunt_runtime *rt, struct shunt_group_id group);

/* ---- inside a handler (thread: job) ---- */
SHUNT_API struct shunt_runtime *shunt_job_runtime(const struct shunt_job_ctx *ctx);
SHUNT_API struct shunt_job_id shunt_job_self(const struct shunt_job_ctx *ctx); /* {0} if the job is not tracked */
SHUNT_API struct shunt_type_id shunt_job_type(const struct shunt_job_ctx *ctx);
SHUNT_API unsigned shunt_job_level(const struct shunt_job_ctx *ctx);           /* 0 = most urgent */
SHUNT_API uint32_t shunt_job_worker(const struct shunt_job_ctx *ctx);          /* index in its pool; SHUNT_ANY when run inline */
SHUNT_API uint64_t shunt_job_queue_ns(const struct shunt_job_ctx *ctx);
/* 1 when somebody asked this job (or its group) to stop; poll it in long handlers. */
SHUNT_API int shunt_job_cancelled(const struct shunt_job_ctx *ctx);
/*
 * Declares that the handler is about to block in the kernel, or to wait for another job in a way of its own; a spare
 * thread takes over until the end call. A worker takes jobs of types that it knows as very short (150 ns) up to 32 at a
 * time, and those are not stolen: one of them that waits for another without saying so waits for ever.
 * 0, or SHUNT_ELIMIT when no spare thread is left (the handler may block all the same). Calls nest.
 */
SHUNT_MUST_USE SHUNT_API int shunt_block_begin(struct shunt_job_ctx *ctx);
SHUNT_API void shunt_block_end(struct shunt_job_ctx *ctx);

#define SHUNT_CHECKPOINT_JOBS_MAX 32 /* jobs that one shunt_checkpoint runs at most */
/*
 * Lets more urgent work pass. Jobs of strictly higher levels than the caller's that wait for this worker (its queues,
 * the pool's backlog; other workers' queues when the pool's hint says that there is something) run nested: on this
 * stack, inside this call, the most urgent first, one after another until none is waiting, at most
 * SHUNT_CHECKPOINT_JOBS_MAX. A nested job may call it too, for levels above its own. Call it where a handler that runs
 * long holds nothing, every few microseconds; less than 2 ns when nothing waits.
 * Thread: job (this job's own context, in the thread that runs it). Blocks: as long as the jobs that it runs.
 * Returns the number of handlers that ran, 0 or more; or
 *   SHUNT_EINVAL   no context; not the context of the job that this thread is in (a job below it on the stack, one that
 *                  has ended, another thread's); between shunt_block_begin and _end; inside a user strategy
 *   SHUNT_EBUSY    between shunt_hold_begin and shunt_hold_end, or inside a done callback
 *   SHUNT_EFORKED  in a forked child
 * and then nothing was run. A library built with assertions checks all of this at every call and logs what is wrong;
 * without them, a wrong context or strategy is noticed only when something waits. 0, always, in a job that runs inline
 * (SHUNT_ON_FULL_INLINE) or that a wait inside another job runs: the handler below it on the stack did not agree to that.
 *
 * Bound: a job that calls this every c ns for x ns of its own work, with jobs of at most h ns above it, ends within
 * x + (x / c + 1) * SHUNT_CHECKPOINT_JOBS_MAX * h of its start (h with what runs nested in those), and is delayed by no
 * more than the work of higher levels that waits or arrives meanwhile. Nested jobs do not count as picks in the slot
 * table of levels: the wait bound of every level (docs/CONCURRENCY.md) holds with that time in place of the longest
 * job's.
 *
 * Time: nested jobs are counted as any others, under their own type and level. Their time is not part of the outer
 * job's run time (run_ns, histograms, learned times), only of its total; an asynchronous job that is completed after
 * its handler returned counts run_ns from its start, with everything.
 *
 * What the handler must not hold across the call, because any handler of a higher level may run inside it, in this
 * thread:
 *   - locks that such a handler takes, or that are held while its result is waited for: it would wait for ever
 *   - data half changed that such a handler reads
 *   - state of this thread that it borrows: errno, static buffers, a per-thread arena, connection or transaction, a
 *     read-side section (RCU, hazard pointers), a changed locale, signal mask or priority
 *   - more stack than leaves room for `levels` handlers on top of each other
 * And a nested handler must not wait for work of the levels below it: of the job that it interrupts (SHUNT_EDEADLK
 * where that can be known), of its key, or of its group.
 */
SHUNT_MUST_USE SHUNT_API int shunt_checkpoint(struct shunt_job_ctx *ctx);
/*
 * Marks a part of a handler in which nothing may run nested: shunt_checkpoint of this job, however deep below, returns
 * SHUNT_EBUSY. For code that takes a lock and then calls what may have checkpoints. Calls nest. NULL: nothing happens.
 * Thread: job. Never blocks. Waits inside jobs (shunt_wait, shunt_group_wait) are not affected.
 */
SHUNT_API void shunt_hold_begin(struct shunt_job_ctx *ctx);
SHUNT_API void shunt_hold_end(struct shunt_job_ctx *ctx);

/* Nanoseconds on the runtime's clock (comparable with CLOCK_MONOTONIC within 100 ppm). Any thread. */
SHUNT_API uint64_t shunt_now_ns(void);

#ifdef __cplusplus
}
#endif
#endif
