/*
 * shunt/runtime.h - runtimes, pools, job types: create, look up, drain, destroy.
 *
 * Several runtimes may live in one process. After fork() the child's copy is stopped by definition: calls
 * return SHUNT_EFORKED and shunt_runtime_destroy, outside of handlers, only frees. Control calls (create, drain,
 * destroy) take a lock of their runtime and may block; look-ups and submits never do. "Detail": a failure leaves its
 * text for shunt_error_detail().
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_RUNTIME_H
#define SHUNT_RUNTIME_H

#include <shunt/job.h>
#include <shunt/log.h>
#include <shunt/opts.h>
#include <shunt/topo.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SHUNT_POOLS_MAX 64
#define SHUNT_TYPES_MAX 1023
#define SHUNT_WORKERS_MAX 1024 /* per pool, spares not counted */

/* Bytes of a worker's stack: at least what the library needs inside a job, and 64 KiB for the handler. */
#define SHUNT_STACK_MIN (UINT64_C(128) << 10)
#define SHUNT_STACK_MAX (UINT64_C(1) << 30)

/*
 * Options of runtimes, pools and types. Begin with SHUNT_..._OPTS_INIT and set what is wanted; 0 is the default, and for
 * the words of the configuration: auto and unlimited are 0, none is SHUNT_ANY. Ranges and defaults are those of
 * docs/CONFIG.md, and so are the words of an error: all invalid fields are named in one message, each with its key, the
 * value and what would be right. A setting without effect (a spin_ns with SHUNT_IDLE_PARK) is an error too. A struct of an
 * older version is taken, with defaults for what it lacks; one that sets what this version does not know is SHUNT_EINVAL.
 */

struct shunt_runtime_opts {
	size_t size;                    /* sizeof(struct shunt_runtime_opts) */
	const char *name;               /* [a-z0-9_-], at most 31, default "shunt" */
	uint32_t levels;                /* 1..16, default 4 */
	const char *const *level_names; /* `levels` names, most urgent first, [a-z0-9_-]; default high, normal, low, batch */
	uint32_t jobs_max;              /* queued jobs of all pools, 64..2^27, default 2^20; cancelled: docs/API.md */
	/*
	 * jobs with a handle, callback, completion queue, group or key that have not ended or whose handle was not given
	 * back, and cancelled ones with a key that are still in their queue, 1..2^24-1, default 2^20
	 */
	uint32_t handles_max;
	uint32_t groups_max;            /* 1..2^20, default 4096 */
	uint32_t submitters_max;        /* threads with a submit cache of their own, 1..4096, default 256 */
	uint32_t cpu_budget;            /* cpus this runtime may assume, 0 = what the system grants */
	const struct shunt_topo *topo;  /* borrowed until destroy; NULL = this machine, opened by the runtime */
	shunt_log_fn log;               /* NULL = quiet */
	void *log_arg;                  /* with log */
	enum shunt_log_level log_level; /* default warn */
	/*
	 * cpus that the workers may use; default the affinity of the thread that creates the runtime and of the main
	 * thread, and a line in the log if the machine grants more. Not with topo, which has its own. See shunt/topo.h
	 */
	enum shunt_cpu_mask cpu_mask;
	uint64_t trim_after_ns; /* 1 ms to 24 h, default 5 s, SHUNT_FOREVER = never; see shunt_trim */
};
#define SHUNT_RUNTIME_OPTS_INIT SHUNT_OPTS_INIT(shunt_runtime_opts)

/*
 * 0, SHUNT_EINVAL, SHUNT_ENOMEM (the detail names the key and how much memory it needs), SHUNT_ESYS, SHUNT_ELIMIT (64
 * runtimes in this process). The caller owns *out until shunt_runtime_destroy. opts NULL = defaults. Detail.
 */
SHUNT_MUST_USE SHUNT_API int shunt_runtime_create(struct shunt_runtime **out, const struct shunt_runtime_opts *opts);
/*
 * Gives memory of past bursts back to the system at once, while jobs go on: records of jobs with a handle, a
 * callback, a group or a key, groups (384 KiB of each on each NUMA node stay, and pages with one in use), and what the
 * allocator keeps unused. By itself the runtime gives back memory of queued jobs without those as they run, and the
 * records, if more than twice as many are in memory as stay, when none has been taken or given back for
 * trim_after_ns: a worker looks that has become idle since, one of all (later and later, to 64 times as long, while
 * kept handles leave nothing to give). It stops when it gets a job, after at most 2,048 records or a 512th of all.
 * Meanwhile up to 1,800 records are withheld, of more than 64,000 up to 3 %, so that a submit may get SHUNT_EFULL so
 * much earlier. Nothing is given back where the program's own allocator serves.
 * 0, SHUNT_EINVAL, SHUNT_EFORKED, SHUNT_ESTOPPED, SHUNT_EBUSY (a worker trims at this moment; detail). *bytes (may be
 * NULL): records and groups that went back. Any thread. Blocks: on the runtime's control lock; about 70 ns for each
 * free record (60 ms for 900,000).
 */
SHUNT_MUST_USE SHUNT_API int shunt_trim(struct shunt_runtime *rt, uint64_t *bytes);
/*
 * Stops accepting, and waits up to timeout_ns (0 = just look, SHUNT_FOREVER = no limit) until every accepted job is
 * terminal. 0 when all ended; SHUNT_ETIMEDOUT when jobs are left (they stay queued; destroy cancels and counts them).
 * SHUNT_EDEADLK inside a job of this runtime, or in a callback or hook that its worker runs. SHUNT_ESTOPPED: another
 * thread destroys the runtime meanwhile.
 * *left (may be NULL): how many accepted jobs were not terminal at the last look; 0 but for SHUNT_ETIMEDOUT. Detail.
 */
SHUNT_MUST_USE SHUNT_API int shunt_runtime_drain(struct shunt_runtime *rt, uint64_t timeout_ns, uint64_t *left);
/* Lets a drained runtime accept again. 0, SHUNT_ESTOPPED while it is destroyed. Detail. */
SHUNT_MUST_USE SHUNT_API int shunt_runtime_resume(struct shunt_runtime *rt);
/*
 * Stops the workers after their running job, cancels what is still queued (each job ends CANCELLED, counted, and
 * is logged by type), joins every thread and frees everything. Blocks until running handlers return: one that waits for an
 * asynchronous job must be able to end (a timeout, or somebody who completes it). Asynchronous jobs that nobody completed
 * are cancelled after that.
 * Threads that are inside a call meanwhile come back before anything is freed: a submit that waits for room, a wait for
 * a group or a completion queue, a drain and the removal of a type with SHUNT_ESTOPPED, a wait for a job with the job's
 * end. A call that begins after this one began is the caller's mistake, as with free().
 * *cancelled (may be NULL): how many jobs destroy cancelled. rt NULL: nothing to do, 0.
 * Returns 0; SHUNT_EDEADLK inside a job, a callback, a hook or a strategy of this runtime, also in a forked child, and
 * then nothing was done. Detail.
 */
SHUNT_MUST_USE SHUNT_API int shunt_runtime_destroy(struct shunt_runtime *rt, uint64_t *cancelled);

/*
 * A pinned worker's thread may run on one cpu, and its timers are exact. Threads and child processes that a job starts
 * inherit both. Called by such a thread, or in the child between fork and exec, this gives it all cpus that the runtime
 * may use and the timer slack of the thread that made the runtime. Pools, runtimes and threads of shunt's own that are
 * made in a job need no call. A worker that calls it is not pinned any more.
 * 0, SHUNT_EINVAL (NULL), SHUNT_ENOSYS (the topology is not this machine), SHUNT_EPERM, SHUNT_ESYS. Any thread, also in
 * a signal handler and in a forked child; never blocks. Since 0.1.
 */
SHUNT_MUST_USE SHUNT_API int shunt_thread_unpin(struct shunt_runtime *rt);

enum shunt_idle {
	SHUNT_IDLE_DEFAULT = 0,  /* adaptive */
	SHUNT_IDLE_POLL = 1,     /* never sleeps: lowest latency, burns its cpu */
	SHUNT_IDLE_ADAPTIVE = 2, /* spins about as long as a wake-up costs on this machine, then sleeps */
	SHUNT_IDLE_PARK = 3      /* sleeps at once */
};

enum shunt_level_mode {
	SHUNT_LEVELS_DEFAULT = 0,  /* strict */
	SHUNT_LEVELS_STRICT = 1,   /* most urgent first; one pick in `guard_every` serves the waiting lower levels in turn */
	SHUNT_LEVELS_WEIGHTED = 2, /* level i gets weights[i] of every sum(weights) picks while it waits */
	SHUNT_LEVELS_RESERVED = 3  /* reserved[i] workers never take a level below i; the rest are strict */
};

enum shunt_strategy {
	SHUNT_SELECT_DEFAULT = 0,      /* least work left */
	SHUNT_SELECT_LEAST_WORK = 1,   /* learned time of everything queued, x speed, of some sampled workers */
	SHUNT_SELECT_PEAK_EWMA = 2,    /* two random choices, latency EWMA that jumps up and decays, x in-flight */
	SHUNT_SELECT_LEAST_LOADED = 3, /* fewest in flight per capacity */
	SHUNT_SELECT_ROUND_ROBIN = 4,
	SHUNT_SELECT_RANDOM = 5,
	SHUNT_SELECT_KEYED = 6,    /* by hash of the key (or of the submitter when there is none) */
	SHUNT_SELECT_LOCALITY = 7, /* best (1/(1+latency/100us) + free/capacity) x 2 at home */
	SHUNT_SELECT_USER = 8
};

/*
 * What a strategy sees of one worker. Values are recent, not exact. More fields may come at the end: a strategy reaches
 * each worker's by shunt_loads_at, and shunt_balancer_load takes the size that its caller knows.
 */
struct shunt_worker_load {
	uint64_t work_left_ns;   /* learned time of everything queued and running here; of long jobs 2^40 at most */
	uint64_t ewma_ns;        /* EWMA of run time of the jobs it ran */
	uint32_t in_flight;      /* queued and running */
	uint32_t capacity;       /* jobs it may hold at a time; 1 for plain workers */
	uint32_t speed_permille; /* 1000 = as fast as its peers; 10000 = ten times slower */
	uint32_t fail_permille;  /* EWMA of failed jobs */
	uint32_t node;           /* NUMA os index, SHUNT_ANY = unknown */
	uint32_t usable;         /* 0 = must not be chosen now */
};

/* The workers that a strategy chooses from. Made by the library; more fields may come at the end. */
struct shunt_loads {
	const struct shunt_worker_load *first;
	size_t stride; /* bytes from one to the next: the library's sizeof, which may be more than the caller's */
	uint32_t n;
};

/* What is known of worker i; NULL for i >= n. Thread: the strategy's. Blocks: never. Valid until it returns. */
static inline const struct shunt_worker_load *shunt_loads_at(const struct shunt_loads *l, uint32_t i)
{
	const void *at = (const char *)l->first + l->stride * i;

	return i < l->n ? (const struct shunt_worker_load *)at : NULL;
}

/*
 * A user strategy: returns an index in 0..loads->n - 1 of a usable worker, or -1 for "no available worker".
 * Thread: the submitter's; must not block, allocate or submit. `home` is the submitter's NUMA node or SHUNT_ANY.
 */
typedef int (*shunt_select_fn)(void *arg, const struct shunt_loads *loads, uint64_t key, uint32_t home);

/* Runs in each worker thread after pinning / before it ends; worker index in pool. Must not make control calls (see above). */
typedef void (*shunt_worker_hook_fn)(void *arg, uint32_t worker);

struct shunt_pool_opts {
	size_t size;                           /* sizeof(struct shunt_pool_opts) */
	const char *name;                      /* required, [a-z0-9_-], unique in the runtime */
	uint32_t workers;                      /* 1..1024, 0 = cpu budget */
	uint32_t spares_max;                   /* spares: threads that run while workers are blocked, default 64; SHUNT_ANY = none */
	const char *place;                     /* place expression (docs/TUNING.md), NULL = every allowed cpu */
	enum shunt_pin_policy pin;             /* default compact, or none (shunt/topo.h); taken cpus come last */
	uint32_t pin_required;                 /* 1 = a pin that fails is an error of create; 0 = a warning and visible */
	enum shunt_idle idle;
	uint64_t spin_ns;                      /* adaptive: spin this long, up to 1 s; 0 = calibrated; see below */
	enum shunt_level_mode level_mode;
	uint32_t guard_every;                  /* strict, reserved: aging interval against starvation: one pick in so many
	                                          serves the waiting lower levels in turn; 2..1024, default 64 */
	uint32_t weights[SHUNT_LEVELS_MAX];    /* weighted: 1..100 each, 0 = default (8 4 2 1 1 ...) */
	uint32_t reserved[SHUNT_LEVELS_MAX];   /* reserved: workers reserved for level i and above; sum < workers.
	                                          A spare takes every level */
	enum shunt_strategy strategy;
	shunt_select_fn select;                /* with SHUNT_SELECT_USER */
	void *select_arg;                      /* the same */
	uint32_t queue_max;                    /* unfinished jobs of the pool; 0 = bounded by jobs_max alone (faster) */
	enum shunt_on_full on_full;               /* when the pool is full; default error */
	uint32_t async_max;                    /* asynchronous jobs in flight per worker, default 64; a worker at it starts no job
	                                          of any kind, so completions must not depend on this pool's queue */
	uint32_t async_pool_max;               /* of the whole pool, 0 = workers x async_max */
	uint32_t key_slots;                    /* slots for job keys; keys that share a slot run one at a time; power of two, default 1024 */
	uint32_t ring_capacity;                /* jobs per worker and level before the pool's backlog is used; power of two, default 256 */
	shunt_worker_hook_fn on_start, on_stop;
	void *hook_arg;                        /* with one of them, at least */
	/* of each worker's stack, SHUNT_STACK_MIN..SHUNT_STACK_MAX, rounded up to pages; 0 = the system's default */
	uint64_t stack_bytes;
	/* of the workers' threads, spares too, -20..19; 0 = that of the thread that makes the pool. A kernel that refuses
	 * is a warning and visible (shunt_worker_info.nice_error) */
	int32_t nice;
	/* signals that a worker takes beside its own faults (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS):
	 * "usr1,prof", "rt0", "all", in small letters or capitals; NULL or "none" = none */
	const char *signals;
	/* queued jobs per worker and level that are for this worker alone (SHUNT_JOB_ON_WORKER); one more is refused as
	 * full; power of two, default 256 */
	uint32_t pinned_capacity;
};
#define SHUNT_POOL_OPTS_INIT SHUNT_OPTS_INIT(shunt_pool_opts)

/*
 * Starts a pool. With more workers than cpus, or on one cpu, none spins; a spin_ns is a warning in the log then.
 * 0; SHUNT_EINVAL, SHUNT_EEXIST, SHUNT_ELIMIT (64 pools; 2048 worker threads in all of them), SHUNT_EPLACE (the detail
 * names the allowed cpus), SHUNT_EPERM (pin_required and the kernel refused), SHUNT_ENOMEM (the detail names the key and
 * how much: workers, key_slots, or stack_bytes), SHUNT_ESYS (the detail says how many threads the system allowed). A
 * stack_bytes without room for the thread-local data of the process is SHUNT_EINVAL. On error nothing is left behind.
 * Detail.
 */
SHUNT_MUST_USE SHUNT_API int shunt_pool_create(struct shunt_runtime *rt, const struct shunt_pool_opts *opts,
					       struct shunt_pool_id *out);
/* Looks a pool up by name; lock-free. 0 or SHUNT_ENOENT. */
SHUNT_MUST_USE SHUNT_API int shunt_pool_find(struct shunt_runtime *rt, const char *name, struct shunt_pool_id *out);
/*
 * Destroys a pool that no type names any more (shunt_type_destroy waited for their jobs): joins its threads, frees it.
 * Blocks until they have ended, on_stop included, and the submits of this moment, of any pool, have returned; other
 * calls go on meanwhile, and its name is free at once.
 * 0, SHUNT_ENOENT, SHUNT_EBUSY while types name it, SHUNT_EDEADLK as shunt_runtime_drain. Detail.
 */
SHUNT_MUST_USE SHUNT_API int shunt_pool_destroy(struct shunt_runtime *rt, struct shunt_pool_id pool);

enum shunt_type_flags {
	SHUNT_TYPE_ASYNC = 1u << 0 /* the handler may return SHUNT_PENDING; every job of the type is tracked */
};

struct shunt_type_opts {
	size_t size;                /* sizeof(struct shunt_type_opts) */
	const char *name;           /* required, [a-z0-9_-], unique in the runtime */
	struct shunt_pool_id pool;  /* required */
	shunt_handler_fn handler;   /* required */
	uint8_t level;              /* 0 = level 1 when there is one, else SHUNT_LEVEL(n) */
	uint32_t flags;             /* enum shunt_type_flags */
	uint64_t expected_ns;       /* first guess of the run time, up to 24 h, 0 = 1 us; learned afterwards */
};
#define SHUNT_TYPE_OPTS_INIT SHUNT_OPTS_INIT(shunt_type_opts)

/* 0, SHUNT_EINVAL, SHUNT_EEXIST, SHUNT_ENOENT (pool), SHUNT_ELIMIT (1023 types), SHUNT_ENOMEM. Detail. */
SHUNT_MUST_USE SHUNT_API int shunt_type_create(struct shunt_runtime *rt, const struct shunt_type_opts *opts,
					       struct shunt_type_id *out);
/* Looks a type up by name; lock-free. 0 or SHUNT_ENOENT. */
SHUNT_MUST_USE SHUNT_API int shunt_type_find(struct shunt_runtime *rt, const char *name, struct shunt_type_id *out);
/*
 * Destroys a type: submits of it return SHUNT_ENOENT from now on; waits up to timeout_ns (0 = just look,
 * SHUNT_FOREVER = no limit) until its accepted jobs are terminal (the handler of an asynchronous job that was completed
 * early may still be returning). 0, SHUNT_ENOENT, SHUNT_ETIMEDOUT (it stays closed; call again), SHUNT_EDEADLK as
 * shunt_runtime_drain. Detail.
 */
SHUNT_MUST_USE SHUNT_API int shunt_type_destroy(struct shunt_runtime *rt, struct shunt_type_id type,
						uint64_t timeout_ns);

#ifdef __cplusplus
}
#endif
#endif
