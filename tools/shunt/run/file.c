/* shunt/run/file.c - see run/file.h. SPDX-License-Identifier: MIT */
#include "run/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <zlib.h>

#include "common/cli.h"

#define PACKED_BYTES (16u * 1024u) /* only counted, never kept */

struct run_buffers {
	struct run_buffers *next;
	uint8_t *in;
	uint8_t *out;
	EVP_MD *sha256;
	EVP_MD_CTX *md;
	z_stream z;
	bool z_ready;
};

void run_buffers_destroy(struct run_buffers *b)
{
	if (!b)
		return;
	if (b->z_ready)
		(void)deflateEnd(&b->z);
	EVP_MD_CTX_free(b->md);
	EVP_MD_free(b->sha256);
	free(b->out);
	free(b->in);
	free(b);
}

struct run_buffers *run_buffers_create(void)
{
	struct run_buffers *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->in = malloc(RUN_PIECE);
	b->out = malloc(PACKED_BYTES);
	b->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	b->md = EVP_MD_CTX_new();
	b->z_ready = deflateInit(&b->z, 1) == Z_OK;
	if (b->in && b->out && b->sha256 && b->md && b->z_ready)
		return b;
	run_buffers_destroy(b);
	return NULL;
}

struct run_buffers *run_buffers_next(struct run_buffers *b, struct run_buffers *next)
{
	struct run_buffers *before = b->next;

	b->next = next;
	return before;
}

enum outcome { OUT_DONE, OUT_FAILED, OUT_SKIPPED, OUT_CUT, OUT_CANCELLED };

static ssize_t read_some(int fd, void *buf, size_t n)
{
	ssize_t got;

	do /* bound: signals that arrive */
		got = read(fd, buf, n);
	while (got < 0 && errno == EINTR);
	return got;
}

static bool same_state(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Reads fd to its end; lets urgent jobs pass after each piece. *err is an errno, 0 = the file changed meanwhile. */
static enum outcome hash_fd(struct shunt_job_ctx *ctx, int fd, struct run_buffers *b, const struct stat *before,
			    uint8_t digest[32], uint64_t *bytes, int *err)
{
	struct stat after;

	if (EVP_DigestInit_ex(b->md, b->sha256, NULL) != 1) {
		*err = ENOMEM;
		return OUT_FAILED;
	}
	*bytes = 0;
	for (;;) { /* bound: the end of the file, or a signal */
		ssize_t n = read_some(fd, b->in, RUN_PIECE);

		if (n < 0) {
			*err = errno;
			return OUT_FAILED;
		}
		if (n == 0)
			break;
		*bytes += (uint64_t)n;
		if (EVP_DigestUpdate(b->md, b->in, (size_t)n) != 1) {
			*err = ENOMEM;
			return OUT_FAILED;
		}
		if (cli_stopped() && (size_t)n == RUN_PIECE)
			return OUT_CUT;
		(void)shunt_checkpoint(ctx); /* how many jobs ran nested does not matter */
	}
	if (EVP_DigestFinal_ex(b->md, digest, NULL) != 1) {
		*err = ENOMEM;
		return OUT_FAILED;
	}
	*err = 0;
	if (fstat(fd, &after) != 0 || !same_state(before, &after))
		return OUT_FAILED;
	return OUT_DONE;
}

static enum outcome hash_file(struct shunt_job_ctx *ctx, struct walk *w, struct walk_file *f, uint64_t *bytes, int *err)
{
	struct run_buffers *b = walk_buffers_take(w);
	enum outcome result = OUT_FAILED;
	struct stat st;
	int fd;

	if (!b) {
		*err = ENOMEM;
		return OUT_FAILED;
	}
	fd = walk_open(f->dir, f->name, O_NOFOLLOW);
	if (fd < 0) {
		*err = errno;
		walk_buffers_give(w, b);
		/* a symbolic link, socket or driverless device since the directory was read */
		return *err == ELOOP || *err == ENXIO ? OUT_SKIPPED : OUT_FAILED;
	}
	if (fstat(fd, &st) != 0)
		*err = errno;
	else if (!S_ISREG(st.st_mode) || walk_is_output(w, &st))
		result = OUT_SKIPPED;
	else
		result = hash_fd(ctx, fd, b, &st, f->digest, bytes, err);
	(void)close(fd);
	walk_buffers_give(w, b);
	return result;
}

static void submit_compress(struct walk *w, struct shunt_job_ctx *ctx, struct walk_file *f)
{
	struct shunt_job_spec spec;

	(void)memset(&spec, 0, sizeof(spec));
	spec.type = w->setup->type[WALK_COMPRESS];
	spec.on_full = SHUNT_ON_FULL_INLINE;
	spec.arg = walk_file_ref(f);
	spec.group = w->group;
	spec.done = run_file_compress_done;
	spec.done_arg = f;
	if (shunt_submit(w->setup->rt, &spec, NULL) == 0)
		return;
	(void)run_file_compress(ctx, f);
	walk_file_put(f);
}

int run_file_hash(struct shunt_job_ctx *ctx, void *arg)
{
	struct walk_file *f = arg;
	struct walk *w = f->dir->walk;
	bool packed = false;
	uint64_t bytes = 0;
	int err = 0;

	switch (cli_stopped() ? OUT_CANCELLED : hash_file(ctx, w, f, &bytes, &err)) {
	case OUT_DONE:
		walk_count(w, bytes ? WALK_HASHED : WALK_EMPTY, 1);
		walk_count(w, WALK_BYTES, bytes);
		if (w->keep_digests)
			walk_digest_add(w, f);
		packed = bytes && !cli_stopped();
		if (bytes && !packed)
			walk_count(w, WALK_UNSAMPLED, 1);
		break;
	case OUT_FAILED:
		walk_count(w, WALK_FAILED, 1);
		walk_error(w, err, f->dir, f->name);
		break;
	case OUT_SKIPPED:
		walk_count(w, WALK_SKIPPED, 1);
		break;
	case OUT_CUT:
		walk_count(w, WALK_CUT, 1);
		break;
	case OUT_CANCELLED:
		walk_count(w, WALK_CANCELLED, 1);
		break;
	}
	if (packed)
		submit_compress(w, ctx, f);
	else
		walk_file_ended(w, ctx);
	return SHUNT_DONE;
}

void run_file_hash_done(void *file, struct shunt_job_id id, const struct shunt_result *result)
{
	struct walk_file *f = file;

	(void)id;
	if (result->status == SHUNT_JOB_CANCELLED)
		walk_count(f->dir->walk, WALK_CANCELLED, 1);
	walk_file_put(f);
}

/* Deflates n bytes of b->in (last: `flush` Z_FINISH), counts the output. False on an error. */
static bool deflate_some(struct run_buffers *b, size_t n, int flush, uint64_t *packed)
{
	int rc;

	b->z.next_in = b->in;
	b->z.avail_in = (uInt)n;
	do { /* bound: deflate's output is little larger than its input */
		b->z.next_out = b->out;
		b->z.avail_out = PACKED_BYTES;
		rc = deflate(&b->z, flush);
		if (rc == Z_STREAM_ERROR)
			return false;
		*packed += PACKED_BYTES - b->z.avail_out;
	} while (b->z.avail_out == 0);
	return true;
}

/* Deflates the first `max` bytes of fd; lets urgent jobs pass after each piece. */
static bool compress_fd(struct shunt_job_ctx *ctx, int fd, struct run_buffers *b, uint64_t max, uint64_t *plain,
			uint64_t *packed)
{
	if (deflateReset(&b->z) != Z_OK)
		return false;
	while (*plain < max) { /* bound: max */
		uint64_t left = max - *plain;
		ssize_t n = read_some(fd, b->in, left < RUN_PIECE ? (size_t)left : RUN_PIECE);

		if (n < 0 || cli_stopped())
			return false;
		if (n == 0)
			break;
		*plain += (uint64_t)n;
		if (!deflate_some(b, (size_t)n, Z_NO_FLUSH, packed))
			return false;
		(void)shunt_checkpoint(ctx); /* how many jobs ran nested does not matter */
	}
	return *plain > 0 && deflate_some(b, 0, Z_FINISH, packed);
}

int run_file_compress(struct shunt_job_ctx *ctx, void *arg)
{
	struct walk_file *f = arg;
	struct walk *w = f->dir->walk;
	struct run_buffers *b = cli_stopped() ? NULL : walk_buffers_take(w);
	uint64_t plain = 0;
	uint64_t packed = 0;
	bool good = false;
	int fd;

	if (b) {
		fd = walk_open(f->dir, f->name, O_NOFOLLOW);
		if (fd >= 0) {
			good = compress_fd(ctx, fd, b, w->sample_max, &plain, &packed);
			(void)close(fd);
		}
		walk_buffers_give(w, b);
	}
	walk_count(w, good ? WALK_SAMPLED : WALK_UNSAMPLED, 1);
	if (good) {
		walk_count(w, WALK_SAMPLE_IN, plain);
		walk_count(w, WALK_SAMPLE_OUT, packed);
		walk_count(w, packed * 2 < plain ? WALK_PACKS_WELL : packed * 10 < plain * 9 ? WALK_PACKS_SOME : WALK_PACKS_NOT, 1);
	}
	walk_file_ended(w, ctx);
	return SHUNT_DONE;
}

void run_file_compress_done(void *file, struct shunt_job_id id, const struct shunt_result *result)
{
	struct walk_file *f = file;

	(void)id;
	if (result->status == SHUNT_JOB_CANCELLED)
		walk_count(f->dir->walk, WALK_UNSAMPLED, 1);
	walk_file_put(f);
}
