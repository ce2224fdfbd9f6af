/*
 * stress/chaos_ledger.h - the ledger of one chaos scenario, in memory that the scenario's process and the judging parent
 * share: one entry per job, counters per thread, the order of each key, and what the scenario is at. It outlives a
 * process that was stopped or killed, so conservation can be checked then too.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_STRESS_CHAOS_LEDGER_H
#define SH_STRESS_CHAOS_LEDGER_H

#include "stress_util.h"

#define CHAOS_JOBS (1u << 20)
#define CHAOS_THREADS 512u
#define CHAOS_KEYS 256u
#define CHAOS_AT 96u

#if defined(__SANITIZE_THREAD__)
#define CHAOS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CHAOS_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define CHAOS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CHAOS_ASAN 1
#endif
#endif
#ifndef CHAOS_TSAN
#define CHAOS_TSAN 0
#endif
#ifndef CHAOS_ASAN
#define CHAOS_ASAN 0
#endif
#define CHAOS_SANITIZED (CHAOS_TSAN || CHAOS_ASAN)

enum chaos_job_flags {
	CHAOS_KNOWN = 1u << 0,    /* the entry is filled */
	CHAOS_CALLBACK = 1u << 1, /* a done callback was asked for */
	CHAOS_FAILS = 1u << 2,    /* ends with CHAOS_CODE */
	CHAOS_HELD_UP = 1u << 3   /* keyed or for one worker: may pile up behind a stopped worker */
};
#define CHAOS_CODE 77

struct chaos_job {       /* the counters say how often; entries are never used twice */
	sh_a32 flags;    /* before the submit */
	sh_a32 accepted; /* the submit returned 0 */
	sh_a32 entered;
	sh_a32 ended; /* the handler reached its end, or its completion won */
	sh_a32 callbacks;
	sh_a32 cancelled;
	uint32_t kind;
	uint32_t key;               /* SHUNT_ANY = none */
	uint64_t seq;               /* in its key */
	struct shunt_job_opts opts; /* of its spec, where that has some */
};

struct chaos_key {
	sh_a32 inside SH_ALIGNED(SH_CACHELINE);
	uint64_t last; /* sync: the job that runs */
};

enum chaos_thread_kind { CHAOS_WORKER = 1,
			 CHAOS_SUBMITTER = 2,
			 CHAOS_SIDE = 3 };

struct chaos_thread {
	sh_a32 tid SH_ALIGNED(SH_CACHELINE); /* 0 = free, CHAOS_TID_TAKEN = being filled */
	sh_a32 kind;
	sh_a32 want;     /* 1 = shall stand still in its signal handler */
	sh_a32 stopped;  /* 1 = does */
	sh_a64 attempts; /* submits that returned */
};
#define CHAOS_TID_TAKEN UINT32_MAX

enum chaos_phase { CHAOS_STARTING = 0,
		   CHAOS_RUNNING = 1,
		   CHAOS_QUIESCING = 2,
		   CHAOS_QUIESCED = 3 };

struct chaos_ledger {
	sh_a32 phase;
	sh_a32 jobs;     /* entries taken; may run past CHAOS_JOBS */
	sh_a64 progress; /* steps of the scenario's main thread: what the parent's watchdog looks at */
	sh_a64 accepted, refused, over;
	sh_a64 held_up; /* jobs that may pile up behind a stopped worker and have not ended */
	sh_a64 acts;    /* stops, masks, forks ...: how much chaos there was */
	char at[CHAOS_AT];
	struct chaos_thread thread[CHAOS_THREADS];
	struct chaos_key key[CHAOS_KEYS];
	struct chaos_job job[CHAOS_JOBS];
};

struct chaos_sums {
	uint64_t accepted, refused, done, failed, cancelled;
};

/* The ledger of this process: made by the parent, mapped from `fd` by the child. */
extern struct chaos_ledger *chaos_ledger;

/* Parent: a fresh, empty ledger as a file that a child can inherit; -1 = none. */
int chaos_ledger_create(void);
/* Maps the ledger behind fd as chaos_ledger; false = it failed. */
bool chaos_ledger_map(int fd);
void chaos_ledger_unmap(void);

/* Next entry, zeroed; NULL = the ledger is full. */
struct chaos_job *chaos_ledger_take(void);
/* Says what the scenario does now; resets the parent's watchdog. */
void chaos_at(const char *format, ...) SH_PRINTF(1, 2);
void chaos_tick(void);

/*
 * The checks; 0, or the number of wrong entries, each named on stderr (the first few). What must hold of every entry at
 * any instant, also of a process that was killed: nothing entered, ended or called back twice, nothing ran and was
 * cancelled, nothing ran that nobody submitted.
 */
uint64_t chaos_ledger_check_live(const char *who);
/* When everything has quiesced: besides, each accepted job has exactly one end, and no refused one has any. */
uint64_t chaos_ledger_check_quiesced(const char *who);
struct chaos_sums chaos_ledger_sums(void);

#endif
