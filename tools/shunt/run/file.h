/*
 * shunt/run/file.h - the two jobs on one file: SHA-256 (OpenSSL) and compressibility (zlib). Called
 * by run/walk.c as handlers, and directly when the runtime is at capacity even for a job inside the
 * submitter.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_RUN_FILE_H
#define SHUNT_RUN_FILE_H

#include <shunt/job.h>

#include "run/walk.h"

#define RUN_PIECE (64u * 1024u) /* bytes between two checkpoints */

struct run_buffers; /* of one job at a time: read buffer, digest and deflate state */

struct run_buffers *run_buffers_create(void); /* NULL = out of memory */
void run_buffers_destroy(struct run_buffers *b);
/* Links b before `next` in a list that its caller keeps; returns what was linked there. */
struct run_buffers *run_buffers_next(struct run_buffers *b, struct run_buffers *next);

/* Handlers; arg is a struct walk_file. */
int run_file_hash(struct shunt_job_ctx *ctx, void *arg);
int run_file_compress(struct shunt_job_ctx *ctx, void *arg);
/* Their done callbacks. */
void run_file_hash_done(void *file, struct shunt_job_id id, const struct shunt_result *result);
void run_file_compress_done(void *file, struct shunt_job_id id, const struct shunt_result *result);

#endif
