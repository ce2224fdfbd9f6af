/*
 * shunt/run_walk.h - the work of `shunt run`: a tree is walked by jobs that spawn jobs. Called by cmd_run.c.
 *
 *   scan     first level   one directory: a scan job for each directory in it, a hash job for each regular file
 *   hash     middle level  SHA-256 of one file, read in pieces; then one compress job, unless the file is empty
 *   compress last level    deflates the first sample_max bytes of the file, to see how well they compress
 *
 * No deadlock when the runtime is full: hash and compress jobs then run inside their submitter (the nesting is scan,
 * hash, compress and no deeper), and a directory that finds no room is scanned by the same job, in a loop.
 * File reads are not declared as blocking (shunt_block_begin): most come from the page cache, and a spare thread
 * beside every read would only mean more runnable threads than cpus.
 *
 * Ownership: a walk_dir or walk_file lives while somebody holds a reference. Every submitted job holds one and gives
 * it back in its done callback, which also comes for cancelled jobs; a file holds one of its directory; the list of
 * digests holds one of each file in it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_RUN_WALK_H
#define SHUNT_RUN_WALK_H

#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/atomic.h"
#include "setup.h"

#define WALK_OUTPUTS_MAX 4u
#define WALK_SAMPLES_MAX 3u /* example paths kept of each kind of error */

/* What is counted. A file found ends in exactly one of HASHED, EMPTY, FAILED, SKIPPED, CUT, CANCELLED. */
enum walk_count {
	WALK_DIRS,           /* scanned to the end */
	WALK_DIRS_FAILED,
	WALK_DIRS_CUT,       /* not scanned, or not to the end, because of a signal */
	WALK_DIRS_IN_PLACE,  /* scanned by the job of another directory, because there was no room for a job */
	WALK_FILES,          /* regular files found */
	WALK_HASHED,
	WALK_EMPTY,
	WALK_FAILED,
	WALK_SKIPPED,        /* our own output files, or no regular file any more when it was opened */
	WALK_CUT,            /* given up half way because of a signal */
	WALK_CANCELLED,      /* not even opened because of a signal */
	WALK_BYTES,          /* hashed */
	WALK_SAMPLED,        /* files whose compressibility was seen */
	WALK_UNSAMPLED,      /* could not be read a second time, or a signal came first */
	WALK_SAMPLE_IN,      /* bytes before */
	WALK_SAMPLE_OUT,     /* and after compression */
	WALK_PACKS_WELL,     /* files below 50 % */
	WALK_PACKS_SOME,     /* 50 to 90 % */
	WALK_PACKS_NOT,
	WALK_SYMLINKS,
	WALK_SPECIAL,        /* fifos, sockets, devices */
	WALK_OTHER_FS,
	WALK_COUNTS
};

enum walk_error { WALK_E_DENIED, WALK_E_VANISHED, WALK_E_CHANGED, WALK_E_READ, WALK_E_NAME, WALK_E_MEMORY, WALK_ERRORS };

struct walk;

struct walk_dir {
	sh_a32 refs;           /* sync: atomic */
	struct walk *walk;
	struct walk_dir *next; /* in the list of directories to scan in place; sync: owner */
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
	uint64_t sample_max;   /* bytes of a file that are compressed */
	bool one_fs;
	bool keep_digests;
	/* the walk's own */
	struct setup *setup;
	struct shunt_group_id group;
	dev_t dev;
	struct { dev_t dev; ino_t ino; } output[WALK_OUTPUTS_MAX]; /* files we write ourselves */
	size_t outputs;
	sh_aptr digests;       /* sync: atomic; newest walk_file */
	pthread_mutex_t lock;  /* the list of scratches, the examples */
	struct walk_scratch *scratches;
	sh_a64 error[WALK_ERRORS]; /* sync: atomic */
	char *example[WALK_ERRORS][WALK_SAMPLES_MAX]; /* sync: lock */
};

struct walk_totals {
	uint64_t n[WALK_COUNTS];
	uint64_t error[WALK_ERRORS];
	uint64_t unfinished; /* jobs queued or running */
};

/* The job types in the order that walk_start expects in setup->type. */
extern const struct setup_type walk_types[3];

void walk_init(struct walk *w);
/* A file that must not be hashed, because we are writing it. */
void walk_output(struct walk *w, int fd);
/* Submits the root. CLI_OK, or the exit code after a message. Every job is in w->group. */
int walk_start(struct walk *w, struct setup *setup);
/* Sums up what the threads counted so far. Any thread. */
void walk_totals(struct walk *w, struct walk_totals *t);
/*
 * Writes the digests in the format of sha256sum, sorted by path. After the last job. CLI_OK or CLI_FAILED (memory);
 * errors of the stream are left in it. *lines is how many.
 */
int walk_write_digests(struct walk *w, FILE *f, uint64_t *lines);
/* Frees everything. After the runtime was destroyed. */
void walk_fini(struct walk *w);

/* ---- between run_walk.c and run_file.c ---- */
struct walk_scratch *walk_scratch_get(struct walk *w); /* NULL = out of memory */
void walk_count(struct walk *w, enum walk_count what, uint64_t n);
/* Counts and keeps a few paths of each kind; `err` is an errno, 0 = the file changed while it was read. */
void walk_error(struct walk *w, int err, const struct walk_dir *dir, const char *name);
/* Opens path (of any length) for reading; never blocks on a fifo. name NULL = the directory itself. -1 and errno. */
int walk_open(const struct walk_dir *dir, const char *name, int flags);
bool walk_is_output(const struct walk *w, const struct stat *st);
void walk_file_put(struct walk_file *f);
struct walk_file *walk_file_ref(struct walk_file *f);
/* One more file for the list of digests; takes a reference. */
void walk_digest_add(struct walk *w, struct walk_file *f);

#endif
