/*
 * bench/harness/subject.h - the one interface of whatever can run jobs: shunt, its peers, a raw ring. One small file
 * of bench/subjects or bench/peers defines `bench_subject`; linked with the harness it is the program subject_<name>.
 * Usable from C11, from C++17 (by position) and from
 * other languages (by layout): the structs do not change, what only one subject needs is a weak symbol beside them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_SUBJECT_H
#define BENCH_SUBJECT_H

#ifdef __cplusplus
extern "C" {
#endif

struct bench_setup {
	unsigned workers;
	const char *idle; /* one of the subject's idle_modes */
	const int *cpus;  /* for the workers, worker i on cpus[i]; pin if the subject can, else keep to the set */
	unsigned ncpus;   /* = workers */
};

typedef void (*bench_fn)(void *arg);

/* One run hands the same fn to every submit and spawn. Jobs are counted in fn, so the subject need not count. */
struct bench_subject {
	const char *name;
	const char *(*version)(void);
	const char *idle_policy;       /* one sentence */
	const char *const *idle_modes; /* NULL-terminated, at least one; the first is taken without --idle */
	/* NULL = failed, says why on stderr. */
	void *(*open)(const struct bench_setup *setup);
	/* Any outside thread; never blocks for long, retries when full. */
	void (*submit)(void *self, bench_fn fn, void *arg);
	/* NULL = has none. */
	void (*submit_batch)(void *self, bench_fn fn, void *const *args, unsigned n);
	/* From inside a job; NULL = submit. */
	void (*spawn)(void *self, bench_fn fn, void *arg);
	/* A producer thread registers and leaves; NULL = nothing. */
	void (*thread_enter)(void *self);
	void (*thread_leave)(void *self);
	/* After all jobs ended. */
	void (*close)(void *self);
};

extern const struct bench_subject bench_subject;

/* Rarely needed; a subject may define them, the harness looks whether it did. */
/* Calls body(arg) inside whatever must be around everything, from before open until after close. */
extern void bench_around(const struct bench_setup *setup, void (*body)(void *arg), void *arg) __attribute__((weak));
/* The works it cannot do, NULL-terminated. */
extern const char *const bench_cannot[] __attribute__((weak));

/* Helpers of the harness that a subject may use. */
/* Pins the calling thread to these cpus (threads that it creates inherit that). 0, or -1 where the kernel refused. */
int bench_pin(const int *cpus, unsigned n);
/* Lets the calling thread run where the process could run at its start. */
void bench_unpin(void);
/* "what" for the humans, exit code 1. For what a subject cannot go on from. */
void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#ifdef __cplusplus
}
#endif
#endif
