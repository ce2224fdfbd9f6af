/*
 * shunt/run/walk.h - the work of `shunt run`: jobs that spawn jobs walk a tree. Called by
 * cmd_run.c.
 *
 *   scan     first level   a piece of a directory: a hash job per regular file
 *   hash     middle level  SHA-256 of one file in pieces; then a compress job, unless it is empty
 *   compress last level    deflates the first sample_max bytes, to measure the compressibility
 *   probe    first level   does nothing: its queue delay is what an urgent job waits here
 *
 * What is in flight is bounded. Directories found wait in a list, the newest first, and get a scan job when fewer than
 * `scans_max` of these and fewer than `files_max` files are in work; each end of one looks whether the next may start.
 * A scan job reads SCAN_PIECE entries; the rest of its directory goes on before any other. So neither the memory nor
 * the wait of a scan job grows with the tree.
 *
 * Hash and compress jobs call shunt_checkpoint after each piece of RUN_PIECE bytes: a scan or a probe need not wait for
 * the end of a large file.
 *
 * No deadlock when the runtime is full: hash and compress jobs then run inside their submitter
 * (nested scan, hash, compress and no deeper). A directory without a job goes back to the list if anything else is in
 * work, whose end takes it up again, and is scanned in place if nothing is.
 *
 * File reads are not declared as blocking (shunt_block_begin): most are served by the page cache,
 * and a spare thread per read would only mean more runnable threads than cpus.
 *
 * Ownership: a walk_dir or walk_file lives while it is referenced. Every submitted job holds a
 * reference and drops it in its done callback, which also runs for cancelled jobs. A file
 * references its directory; the list of digests references each file in it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_RUN_WALK_H
#define SHUNT_RUN_WALK_H

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/atomic.h"
#include "common/setup.h"

#define WALK_OUTPUTS_MAX 4u
#define WALK_SAMPLES_MAX 3u /* example paths kept of each kind of error */

/* A file found ends in exactly one of HASHED, EMPTY, FAILED, SKIPPED, CUT, CANCELLED. */
enum walk_count {
	WALK_DIRS, /* scanned to the end */
	WALK_DIRS_FAILED,
	WALK_DIRS_CUT, /* not scanned, or not to the end, because of a signal */
	/* scanned by the job of another directory, because the runtime was at capacity */
	WALK_DIRS_IN_PLACE,
	WALK_FILES, /* regular files found */
	WALK_HASHED,
	WALK_EMPTY,
	WALK_FAILED,
	/* this command's own output files, or no regular file any more at the open */
	WALK_SKIPPED,
	WALK_CUT,        /* stopped half way because of a signal */
	WALK_CANCELLED,  /* never opened because of a signal */
	WALK_BYTES,      /* hashed */
	WALK_SAMPLED,    /* files whose compressibility was measured */
	WALK_UNSAMPLED,  /* not read a second time: an error, or a signal came first */
	WALK_SAMPLE_IN,  /* bytes before */
	WALK_SAMPLE_OUT, /* and after compression */
	WALK_PACKS_WELL, /* files below 50 % */
	WALK_PACKS_SOME, /* 50 to 90 % */
	WALK_PACKS_NOT,
	WALK_SYMLINKS,
	WALK_SPECIAL, /* fifos, sockets, devices */
	WALK_OTHER_FS,
	WALK_COUNTS
};

/* The job types, by their index in walk_types and setup->type. */
enum walk_type {
	WALK_SCAN,
	WALK_HASH,
	WALK_COMPRESS,
	WALK_PROBE,
	WALK_TYPES
};

enum walk_error { WALK_E_DENIED,
		  WALK_E_VANISHED,
		  WALK_E_CHANGED,
		  WALK_E_READ,
		  WALK_E_NAME,
		  WALK_E_MEMORY,
		  WALK_ERRORS };

struct walk;

struct walk_dir {
	sh_a32 refs; /* sync: atomic */
	struct walk *walk;
	struct walk_dir *next; /* in a list of directories that wait; sync: gate */
	DIR *stream;           /* a scan job stopped half way; sync: the job, or gate in a list */
	size_t len;
	char path[];
};

struct walk_file {
	sh_a32 refs;            /* sync: atomic */
	struct walk_dir *dir;   /* a reference */
	struct walk_file *next; /* in the list of digests; const once there */
	uint8_t digest[32];     /* written by the hash job */
	char name[];
};

/* A thread's buffers and counters; made on its first job, freed by walk_fini. */
struct walk_scratch;

struct walk {
	/* set by the caller before walk_start */
	const char *tree;
	uint64_t sample_max; /* bytes of a file that are compressed */
	bool one_fs;
	bool keep_digests;
	/* private to the walk */
	struct setup *setup;
	struct shunt_group_id group;
	dev_t dev;
	/* files that this command writes */
	struct {
		dev_t dev;
		ino_t ino;
	} output[WALK_OUTPUTS_MAX];
	size_t outputs;
	sh_aptr digests;      /* sync: atomic; newest walk_file */
	pthread_mutex_t lock; /* the list of scratches, the examples */
	struct walk_scratch *scratches;
	pthread_mutex_t gate;                         /* what is in flight and what waits for that; not held while anything else is taken */
	struct walk_dir *begun, *waiting;             /* sync: gate; begun: stopped half way, and first */
	uint64_t scans, scans_max;                    /* sync: gate; scan jobs queued and running; the most */
	uint64_t files, files_max;                    /* sync: gate; files found and not ended; from here on no scan starts */
	uint64_t files_peak;                          /* sync: gate, while jobs run; most files at one time */
	uint64_t probes_refused;                      /* sync: owner, the thread that submits them */
	sh_a64 error[WALK_ERRORS];                    /* sync: atomic */
	char *example[WALK_ERRORS][WALK_SAMPLES_MAX]; /* sync: lock */
};

struct walk_totals {
	uint64_t n[WALK_COUNTS];
	uint64_t error[WALK_ERRORS];
	uint64_t unfinished; /* jobs queued or running */
};

extern const struct setup_type walk_types[WALK_TYPES];

void walk_init(struct walk *w);
/* Excludes a file from hashing, because this command writes it. */
void walk_output(struct walk *w, int fd);
/* Submits the root. CLI_OK, or the exit code after a message. Every job is in w->group. */
int walk_start(struct walk *w, struct setup *setup);
/* Submits a probe. One thread. */
void walk_probe(struct walk *w);
/* After a signal, when no job runs any more: what still waits is given up, and counted. */
void walk_give_up(struct walk *w);
/* Sums what the threads have counted so far. Any thread. */
void walk_totals(struct walk *w, struct walk_totals *t);
/*
 * Writes the digests in the format of sha256sum, sorted by path; *lines = how many. After the last
 * job. CLI_OK or CLI_FAILED (memory); the caller checks the stream for errors.
 */
int walk_write_digests(struct walk *w, FILE *f, uint64_t *lines);
/* Frees everything, after the runtime was destroyed. */
void walk_fini(struct walk *w);

/* ---- between run/walk.c and run/file.c ---- */
struct run_buffers;
/* For one job, in its thread; walk_buffers_give before its end. NULL = out of memory. */
struct run_buffers *walk_buffers_take(struct walk *w);
void walk_buffers_give(struct walk *w, struct run_buffers *b);
/* The last job of a file has ended: more directories may start. `ctx` is that of the running job. */
void walk_file_ended(struct walk *w, struct shunt_job_ctx *ctx);
void walk_count(struct walk *w, enum walk_count what, uint64_t n);
/* Counts, and keeps a few paths per kind. `err`: an errno, 0 = changed during the read. */
void walk_error(struct walk *w, int err, const struct walk_dir *dir, const char *name);
/* Opens a path of any length for reading, without blocking. name NULL = dir. -1 and errno. */
int walk_open(const struct walk_dir *dir, const char *name, int flags);
bool walk_is_output(const struct walk *w, const struct stat *st);
void walk_file_put(struct walk_file *f);
struct walk_file *walk_file_ref(struct walk_file *f);
/* Adds a file to the list of digests; takes a reference. */
void walk_digest_add(struct walk *w, struct walk_file *f);

#endif
