/*
 * sched/part.h - the parts of a job: what it may have besides a handler and an argument. Each part
 * is one file of job/ and one row of its table (job/parts.c). submit.c and run.c call the hooks of
 * the parts that a job has. submit.c knows by name who asks for a part, run.c no more than the handle
 * and the place in a strand. A job without parts pays one test of a word.
 *
 * The order of enum sh_part_id is the order of admission and of start. Parts are released in
 * reverse: first what others may rely on when they learn of the end (capacity), then the result,
 * then what lets other jobs go on.
 *
 *   hook      thread              when                        result
 *   admit     submitter           submit, before the job is   0, or an error: those before are released
 *                                 queued
 *   commit    submitter           all parts are admitted
 *   queued    submitter           the job of a group is queued; it may have ended, and its record serve
 *                                 another job
 *   start     runner              before the handler          run, end without a handler, or drop
 *   finish    runner              the handler returned        end, or detached: another thread ends it;
 *                                                             not called for what shunt_complete ends
 *   release   the one that ends   exactly once for each admitted part, whatever the end; also for a
 *             the job             refused submit (status 0)
 *
 * Calls that may run together: hooks of different jobs. Hooks of one job are ordered by its queue and
 * by its record's word. Progress: admit, commit, start and finish never block, but where a part says
 * so; release as callbacks.
 * Invariant: for each part, admitted = released when no job is pending. Builds with assertions count
 * both (shunt_runtime.part_balance) and check at destroy.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_SCHED_PART_H
#define SH_SCHED_PART_H

#include "sched/world.h"

enum sh_part_id {
	SH_KEY,    /* its place in a strand */
	SH_GROUP,  /* counted in a group */
	SH_CQ,     /* a place in a completion queue */
	SH_HANDLE, /* a handle, a callback, an asynchronous type: its end is announced */
	SH_PINNED, /* for one worker */
	SH_NODE,   /* queued to a worker of one node */
	SH_FAR,    /* its intended start is given, and an item cannot carry it (submit.c: plain_item) */
	SH_ASYNC,  /* its type may return SHUNT_PENDING */
	SH_BOUND,  /* its pool has a queue_max */
	SH_PARTS
};

#define SH_PART(name) (1u << SH_##name)
#define SH_PARTS_ROUTE (SH_PART(KEY) | SH_PART(PINNED) | SH_PART(NODE)) /* they choose the queue; no inline run */
/* Those that need a record. A job with others only (a bound, a node) is its item. */
#define SH_PARTS_RECORD (SH_PART(KEY) | SH_PART(GROUP) | SH_PART(CQ) | SH_PART(HANDLE) | SH_PART(FAR) | SH_PART(ASYNC))

/* Where a job is queued. */
enum sh_route { SH_ROUTE_ANY, SH_ROUTE_NODE, SH_ROUTE_WORKER, SH_ROUTE_STRAND };

/* One submit of a job with parts. */
struct sh_submit {
	struct shunt_runtime *rt;
	const struct shunt_job_spec *spec;
	const struct shunt_job_opts *opts; /* the spec's, with what an older caller lacks; never NULL */
	struct sh_submitter *sub;          /* NULL = shared path */
	struct shunt_job_ctx *ctx;         /* the job that submits, NULL = none */
	struct sh_pool *pool;
	struct sh_type *type;
	uint64_t now_ns;
	uint64_t submit_ns;
	uint32_t type_index;
	uint32_t level;
	uint32_t parts;   /* wanted */
	bool wants_id;    /* the caller gets the handle */
	bool inlined;     /* runs in this thread, no queue */
	/* made by admission */
	struct sh_record *record; /* NULL = none is needed */
	uint64_t handle;
	uint32_t group;
	uint32_t strand;
	enum sh_route route;
	uint32_t target; /* worker or node */
};

/* One job on its way to its end. */
struct sh_end {
	struct shunt_runtime *rt;
	struct sh_worker *w; /* the worker that records it; NULL = shared counters */
	struct sh_pool *pool;
	struct sh_submitter *sub; /* of this thread, may be NULL */
	struct sh_record *record; /* NULL = none; may serve another job once PART_HANDLE is released */
	uint64_t handle;
	uint64_t submit_ns;
	uint64_t start_ns;
	uint32_t parts; /* not released yet */
	uint32_t group;
	uint32_t strand;
	uint16_t type;
	uint8_t level;
	bool inlined;
	bool nested; /* runs inside another job of this thread */
	bool pass;   /* its thread holds the job's strand and hands it on */
	/* how it ended */
	uint8_t status;   /* SH_RECORD_DONE, FAILED, CANCELLED; 0 = the submit was refused */
	uint8_t detail;   /* enum shunt_detail */
	uint8_t attempts; /* handlers that started */
	int code;
	uint32_t worker; /* slot, SHUNT_ANY = inline or never ran */
	struct shunt_cq *cq;
	uint64_t queue_ns, run_ns, total_ns;
};

enum sh_go { SH_GO_RUN, SH_GO_END, SH_GO_DROP };
enum sh_done { SH_DONE_END, SH_DONE_DETACHED };

struct sh_part {
	const char *name;
	int (*admit)(struct sh_submit *s);
	void (*commit)(struct sh_submit *s);
	void (*queued)(const struct sh_submit *s);
	enum sh_go (*start)(struct sh_end *e);
	enum sh_done (*finish)(struct sh_end *e, int code);
	void (*release)(struct sh_end *e);
};

/* Admits the wanted parts in order. On an error nothing stays admitted. */
int sh_parts_admit(struct sh_submit *s);
/* Releases what a refused submit was admitted. */
void sh_parts_rollback(struct sh_submit *s);
/* Runs the start hooks. SH_GO_END: *e says how it ends. SH_GO_DROP: another thread ended it. */
enum sh_go sh_parts_start(struct sh_end *e);
enum sh_done sh_parts_finish(struct sh_end *e, int code);
/* Releases `mask` of the job's parts, in reverse order. */
void sh_parts_release(struct sh_end *e, uint32_t mask);

#endif
