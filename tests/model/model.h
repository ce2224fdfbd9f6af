/*
 * model/model.h - inside the explorer. explore.c decides (who steps, what a load returns), memory.c and order.c know what C11
 * permits, plain.c watches plain accesses, arena.c is the memory that is put back, run.c runs clients, report.c prints.
 *
 * All mutable state of the explorer is in *E, outside the memory that is put back between executions.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/client.h"
#include "model/site.h"
#include "virt/virt.h"

#define MODEL_THREADS 16u
#define MODEL_STEPS_DEFAULT 2000u
#define MODEL_NONE UINT32_MAX

struct clock {
	uint32_t at[MODEL_THREADS];
};

enum model_mode {
	MODEL_SETUP, /* one possible schedule, newest values; nothing is remembered */
	MODEL_EXPLORE,
	MODEL_CHECK, /* as SETUP, after the execution */
};

enum model_search {
	MODEL_ALL,     /* every execution: dynamic partial-order reduction with sleep sets */
	MODEL_BOUNDED, /* every execution with at most `bound` deviations */
	MODEL_RANDOM,  /* PCT: random priorities, random change points, random old values */
};

/* What a thread is about to do, or did: enough to tell whether two steps commute. */
struct step {
	const void *addr; /* NULL = touches nothing shared */
	const void *also; /* the second word of a pair; else NULL */
	bool write;
	bool all; /* commutes with nothing: membarrier */
};

struct trace_line {
	char thread[20];
	const struct model_site *site; /* NULL = text */
	const void *addr;
	unsigned bytes;
	uint64_t before, after;
	uint64_t before_hi, after_hi; /* a pair's second word */
	uint32_t older;               /* newer values that a load passed over */
	bool done;                    /* CAS */
	char text[88];
};

struct stats {
	uint64_t executions; /* complete */
	uint64_t pruned;     /* ended early: equal to one that was explored */
	uint64_t cut;        /* ended early: too long */
	uint64_t steps;
	bool finished; /* the search ran to its end */
	double seconds;
};

struct limits {
	enum model_search search;
	unsigned bound;
	uint64_t executions_max; /* RANDOM: how many; else 0 = no limit */
	double seconds_max;      /* 0 = no limit */
	uint64_t seed;           /* RANDOM */
	unsigned depth;          /* RANDOM: change points */
};

struct decision; /* explore.c */

struct engine {
	const struct client *client;
	enum model_mode mode;
	bool verbose; /* keep a trace */
	bool failed;
	bool over; /* this execution is over: the next switch goes home */
	bool truncated, redundant;
	char failure[512]; /* what, first */
	/* threads */
	struct clock now[MODEL_THREADS]; /* what happened before */
	struct step next[MODEL_THREADS];
	bool relaxing[MODEL_THREADS]; /* spins until somebody writes */
	uint32_t home;                /* the thread that runs clients: 0 */
	uint32_t first_client, clients;
	uint32_t steps, steps_max;
	uint32_t idle_rounds;
	uint64_t time_ns, time_mark_ns;
	/* searched executions */
	struct limits limits;
	struct stats stats;
	uint8_t *weak;   /* [sites] 1 = this operation's order is relaxed */
	bool *seen_site; /* [sites] ran in EXPLORE */
	struct trace_line *trace;
	uint32_t trace_n, trace_max;
};

extern struct engine *E;
/* The table of sites: one symbol from the linker for each end. */
extern const struct model_site __start_model_sites[], __stop_model_sites[];

/* explore.c */
extern const struct virt_tool model_tool;
void explore_begin(void);              /* before the executions of one client */
void explore_start(void);              /* before one execution */
bool explore_next(void);               /* after one; false = the search is at its end */
uint32_t explore_value(uint32_t n);    /* 0..n-1; 0 = newest */
void explore_wrote(void);              /* spinners may look again */
bool explore_shared(const void *addr); /* other threads were seen here */
void explore_share(const void *addr);
/* The current thread is about to do this, to one word or to two (also != NULL); others may go first. */
void explore_point(const void *addr, const void *also, bool write);
void explore_expire(void);                /* time passes: the next sleeper goes on */
void explore_over(void);                  /* ends the execution; does not return */
void explore_replay(const char *choices); /* the next execution follows these */
bool explore_grew(void);
void explore_choices(char *out, size_t bytes);

/* memory.c */
void memory_start(void);
void clock_join(struct clock *to, const struct clock *from);
void memory_sync(enum virt_sync what, const void *object, uint32_t id);

/* order.c */
#define ORDER_WORDS 8u
struct order_set {
	uint64_t w[ORDER_WORDS];
};
void order_start(void);
void order_add(struct order_set *s, uint32_t event);
void order_join(struct order_set *to, const struct order_set *from);
void order_known(struct order_set *s, const struct clock *now);
bool order_fits(const struct order_set *before, const struct order_set *after);
uint32_t order_event(uint32_t thread, uint32_t at, const struct order_set *before, const struct order_set *after);

/* plain.c */
void plain_start(void);
void plain_freed(const void *p, size_t bytes);
void plain_check(const void *p, size_t bytes);              /* fails when it was freed */
void plain_atomic(const void *p, size_t bytes, bool write); /* an atomic operation, after it acquired */
void plain_write(const void *p, size_t bytes);              /* as an assignment */

/* arena.c */
void arena_open(void);
void *virt_arena_calloc(size_t n, size_t size); /* as virt/os.h has it */
void arena_mark(void);                          /* what is now is what comes back */
void arena_put_back(void);
void arena_reset(void);                        /* empties it, for the next client */
void arena_touch(const void *p, size_t bytes); /* about to be written */
bool arena_own_stack(const void *p);
const char *arena_name(const void *p, char *out, size_t bytes); /* for traces */

/* run.c */
_Noreturn void model_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
struct trace_line *trace_add(void);
/* Explores one client within limits, or repeats one execution (replay != NULL). False = it failed: E->failure says how,
 * E->trace is the way there, the choices are those of the last execution. */
bool run_client(const struct client *c, const struct limits *limits, const char *replay);
const char *run_choices(void);

/* report.c */
bool report_variable(const void *addr, char *out, size_t bytes);
void report_trace(void);
void report_where(const struct model_site *site, char *out, size_t bytes); /* "lockfree/ring.c:52" */

#endif
