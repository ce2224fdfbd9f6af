/*
 * virt/virt.h - many threads on one: the runtime's real source files run on fibers of a single thread, so that a test
 * tool decides who takes each step and what time it is. Used by tests/model (explores interleavings) and tests/sim
 * (simulates the whole scheduler under a virtual clock).
 *
 * Files under test are compiled with "-include virt/os.h": pthreads, sleeping, sched_* and membarrier become calls of
 * this module; base/futex.c and base/clock.c are replaced by it. Thread-local variables of the program are kept per
 * fiber. Everything here runs on one real thread; nothing is thread-safe and nothing needs to be.
 *
 * The tool supplies `struct virt_tool`. Whenever a thread cannot or need not go on, `schedule` names who goes on.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef VIRT_VIRT_H
#define VIRT_VIRT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VIRT_THREADS_MAX 512u
#define VIRT_FOREVER UINT64_MAX

enum virt_state {
	VIRT_FREE,  /* no such thread */
	VIRT_READY, /* runs or could run */
	VIRT_FUTEX, /* sleeps on a word, maybe with a deadline */
	VIRT_MUTEX, /* waits for a mutex */
	VIRT_JOIN,  /* waits for a thread's end */
	VIRT_SLEEP, /* sleeps until a time */
	VIRT_ENDED, /* returned; may be joined */
};

/* Why `schedule` is asked. */
enum virt_why {
	VIRT_BLOCKED, /* the current thread is not READY any more */
	VIRT_RELAX,   /* it spins: sh_cpu_relax, sched_yield */
	VIRT_POINT,   /* it reached an operation that others may see (virt_point) */
	VIRT_EXIT,    /* it ended */
};

/* What happened between two threads, for a tool that keeps happens-before. */
enum virt_sync {
	VIRT_CREATE,  /* the current thread created thread `id` */
	VIRT_JOINED,  /* the current thread saw the end of thread `id` */
	VIRT_LOCK,    /* the current thread took the mutex `object` */
	VIRT_UNLOCK,  /* it is about to give it back */
	VIRT_WAIT,    /* it is about to sleep on the word `object` */
	VIRT_WOKEN,   /* the current thread woke thread `id` from the word `object` */
	VIRT_BARRIER, /* membarrier: every thread passes a full fence now */
};

struct virt_thread {
	enum virt_state state;
	uint64_t deadline_ns; /* FUTEX and SLEEP: when it gives up; VIRT_FOREVER */
	const void *object;   /* FUTEX: the word; MUTEX: the mutex; at a VIRT_POINT: what the step acts on, or NULL */
	uint32_t target;      /* JOIN: the awaited thread */
	bool timed_out;       /* the last FUTEX sleep ended by its deadline */
	char name[24];
};

struct virt_tool {
	/* The thread to go on: READY. May be the current one unless why is BLOCKED or EXIT. May move the clock and call
	 * virt_expire. Runs on the current thread's stack. When nobody can run it must not return. */
	uint32_t (*schedule)(enum virt_why why);
	uint64_t (*now_ns)(void);
	/* May be NULL. */
	void (*sync)(enum virt_sync what, const void *object, uint32_t id);
	/* A named point of base/inject.h (built with SHUNT_INJECT); nonzero = let this operation fail. May be NULL. */
	int (*point)(const char *name);
	/* Says how a thread violated the rules of this module (unlock of a free mutex, ...). Must not return. */
	void (*fail)(const char *what);
};

/* One machine: the caller becomes thread 0, named "main". Ends the machine before, whose threads must not run again. */
void virt_begin(const struct virt_tool *tool);
/* Frees what the machine holds. Threads that have not ended are dropped where they are; what they hold leaks. */
void virt_end(void);

uint32_t virt_self(void);
uint32_t virt_threads(void); /* ids are below this */
const struct virt_thread *virt_get(uint32_t id);
bool virt_ready(uint32_t id);
/* A thread-local variable of the program: each fiber has its own value there. */
bool virt_is_local(const void *p);
/* A thread outside pthreads: a fiber that runs fn(arg). Its id. */
uint32_t virt_start(const char *name, void *(*fn)(void *), void *arg);
/* Blocks the current thread until `id` ended. */
void virt_join(uint32_t id);
/* Asks the tool who goes on, and goes on when this thread is named again. */
void virt_point(void);
void virt_relax(void);
void virt_sleep_until(uint64_t ns);
/* Makes a sleeper READY because its deadline came (futex: it sees a time-out). */
void virt_expire(uint32_t id);
/* Earliest deadline of all sleepers, VIRT_FOREVER when there is none. */
uint64_t virt_next_deadline(void);

/* Machine state for a tool that goes back: registers and states of all threads (stacks are in memory from `stacks`). */
size_t virt_save_bytes(void);
void virt_save(void *to);
void virt_restore(const void *from);
/* The calling fiber's stack. */
void virt_stack(uintptr_t *low, size_t *bytes);
/* Where fibers' stacks come from; NULL = mmap. Set before virt_begin. */
void virt_set_stacks(void *(*alloc)(size_t bytes), size_t bytes_each);

#endif
