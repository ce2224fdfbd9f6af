/* shunt/run/walk.c - see run/walk.h. SPDX-License-Identifier: MIT */
#include "run/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <shunt/error.h>
#include <shunt/snapshot.h>

#include "common/cli.h"
#include "run/file.h"

#define SCAN_PIECE 256u /* entries of a directory that one scan job reads */
#define SCANS_A_WORKER 2u
#define FILES_A_WORKER 1024u

struct walk_scratch {
	struct walk_scratch *next;   /* sync: lock */
	struct run_buffers *buffers; /* sync: owner; those that no job of the thread uses */
	sh_a64 n[WALK_COUNTS];      /* sync: atomic, one writer */
};

static _Thread_local struct walk_scratch *mine;

static int scan_job(struct shunt_job_ctx *ctx, void *arg);
static int probe_job(struct shunt_job_ctx *ctx, void *arg);

const struct setup_type walk_types[WALK_TYPES] = {
	[WALK_SCAN] = { "scan", scan_job, 0, 100000 },
	[WALK_HASH] = { "hash", run_file_hash, 1, 200000 },
	[WALK_COMPRESS] = { "compress", run_file_compress, 2, 500000 },
	[WALK_PROBE] = { "probe", probe_job, 0, 1000 },
};

/* ---- counting ---- */

static struct walk_scratch *scratch_get(struct walk *w)
{
	struct walk_scratch *s = mine;

	if (sh_likely(s != NULL))
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	for (size_t i = 0; i < WALK_COUNTS; i++)
		sh_a64_init(&s->n[i], 0);
	(void)pthread_mutex_lock(&w->lock);
	s->next = w->scratches;
	w->scratches = s;
	(void)pthread_mutex_unlock(&w->lock);
	mine = s;
	return s;
}

/* A job that runs nested at a checkpoint of another one finds the buffers of that one taken, and gets others. */
struct run_buffers *walk_buffers_take(struct walk *w)
{
	struct walk_scratch *s = scratch_get(w);
	struct run_buffers *b = s ? s->buffers : NULL;

	if (!b)
		return s ? run_buffers_create() : NULL;
	s->buffers = run_buffers_next(b, NULL);
	return b;
}

void walk_buffers_give(struct walk *w, struct run_buffers *b)
{
	struct walk_scratch *s = scratch_get(w);

	assert(s); /* there since walk_buffers_take */
	(void)run_buffers_next(b, s->buffers);
	s->buffers = b;
}

void walk_count(struct walk *w, enum walk_count what, uint64_t n)
{
	struct walk_scratch *s = scratch_get(w);

	if (s)
		sh_a64_bump_owner(&s->n[what], n);
}

static enum walk_error error_kind(int err)
{
	switch (err) {
	case 0:
		return WALK_E_CHANGED;
	case EACCES:
	case EPERM:
		return WALK_E_DENIED;
	case ENOENT:
	case ENOTDIR:
	case ESTALE:
		return WALK_E_VANISHED;
	case ENAMETOOLONG:
	case ELOOP:
		return WALK_E_NAME;
	case ENOMEM:
		return WALK_E_MEMORY;
	default:
		return WALK_E_READ;
	}
}

/* "dir/name" on the heap; NULL = out of memory. */
static char *full_path(const struct walk_dir *dir, const char *name)
{
	bool slash = dir->len > 0 && dir->path[dir->len - 1] != '/';
	size_t n = name ? strlen(name) : 0;
	char *p = malloc(dir->len + n + 2);

	if (!p)
		return NULL;
	(void)memcpy(p, dir->path, dir->len);
	if (!name) {
		p[dir->len] = '\0';
		return p;
	}
	p[dir->len] = '/';
	(void)memcpy(p + dir->len + slash, name, n + 1);
	return p;
}

void walk_error(struct walk *w, int err, const struct walk_dir *dir, const char *name)
{
	enum walk_error kind = error_kind(err);
	uint64_t n = sh_a64_add_rlx(&w->error[kind], 1); /* mo rlx: statistic. */
	char *path;

	if (n >= WALK_SAMPLES_MAX)
		return;
	path = full_path(dir, name);
	(void)pthread_mutex_lock(&w->lock);
	w->example[kind][n] = path;
	(void)pthread_mutex_unlock(&w->lock);
}

void walk_totals(struct walk *w, struct walk_totals *t)
{
	int64_t pending = shunt_group_pending(w->setup->rt, w->group);

	(void)memset(t, 0, sizeof(*t));
	(void)pthread_mutex_lock(&w->lock);
	for (struct walk_scratch *s = w->scratches; s; s = s->next)
		for (size_t i = 0; i < WALK_COUNTS; i++)
			t->n[i] += sh_a64_load_rlx(&s->n[i]); /* mo rlx: statistics. */
	(void)pthread_mutex_unlock(&w->lock);
	for (size_t i = 0; i < WALK_ERRORS; i++)
		t->error[i] = sh_a64_load_rlx(&w->error[i]); /* mo rlx: statistics. */
	t->unfinished = pending > 0 ? (uint64_t)pending : 0;
}

/* ---- directories and files ---- */

static struct walk_dir *dir_create(struct walk *w, const struct walk_dir *parent, const char *name)
{
	size_t len = parent ? parent->len : 0;
	size_t n = strlen(name);
	struct walk_dir *d = malloc(sizeof(*d) + len + n + 2);

	if (!d)
		return NULL;
	sh_a32_init(&d->refs, 1);
	d->walk = w;
	d->next = NULL;
	d->stream = NULL;
	if (parent) {
		(void)memcpy(d->path, parent->path, len);
		if (len > 0 && d->path[len - 1] != '/')
			d->path[len++] = '/';
	}
	(void)memcpy(d->path + len, name, n + 1);
	d->len = len + n;
	return d;
}

static void dir_put(struct walk_dir *d)
{
	/* mo W1 <> W1@shunt/run_walk.c: every use of the directory before its free. */
	if (!d || sh_a32_sub_acq_rel(&d->refs, 1) != 1)
		return;
	if (d->stream)
		(void)closedir(d->stream);
	free(d);
}

static struct walk_file *file_create(struct walk_dir *dir, const char *name)
{
	size_t n = strlen(name) + 1;
	struct walk_file *f = malloc(sizeof(*f) + n);

	if (!f)
		return NULL;
	sh_a32_init(&f->refs, 1);
	(void)sh_a32_add_rlx(&dir->refs, 1); /* mo rlx: the caller holds a reference already. */
	f->dir = dir;
	f->next = NULL;
	(void)memset(f->digest, 0, sizeof(f->digest));
	(void)memcpy(f->name, name, n);
	return f;
}

struct walk_file *walk_file_ref(struct walk_file *f)
{
	(void)sh_a32_add_rlx(&f->refs, 1); /* mo rlx: the caller holds a reference already. */
	return f;
}

void walk_file_put(struct walk_file *f)
{
	/* mo W2 <> W2@shunt/run_walk.c: every use of the file before its free. */
	if (!f || sh_a32_sub_acq_rel(&f->refs, 1) != 1)
		return;
	dir_put(f->dir);
	free(f);
}

void walk_digest_add(struct walk *w, struct walk_file *f)
{
	void *head = sh_aptr_load_rlx(&w->digests); /* mo rlx: the exchange checks it. */

	(void)walk_file_ref(f);
	do /* bound: another thread added a file each time */
		f->next = head;
	/* mo W3 -> W3@shunt/run_walk.c: the file before it is listed. */
	while (!sh_aptr_cas_rel(&w->digests, &head, f));
}

/* open() for paths longer than the kernel accepts: in pieces, each relative to the previous one. */
static int open_pieces(const char *path, int flags)
{
	char piece[PATH_MAX];
	int at = AT_FDCWD;
	int fd = -1;

	while (strlen(path) >= PATH_MAX) { /* bound: the length of the path */
		size_t cut = PATH_MAX - 1;
		int next;

		while (cut > 0 && path[cut] != '/')
			cut--;
		if (cut == 0) {
			errno = ENAMETOOLONG;
			goto out;
		}
		(void)memcpy(piece, path, cut);
		piece[cut] = '\0';
		next = openat(at, piece, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (next < 0)
			goto out;
		if (at != AT_FDCWD)
			(void)close(at);
		at = next;
		path += cut + 1;
	}
	fd = openat(at, path, flags);
out:
	if (at != AT_FDCWD) {
		int err = errno;

		(void)close(at);
		errno = err;
	}
	return fd;
}

int walk_open(const struct walk_dir *dir, const char *name, int flags)
{
	char buf[PATH_MAX];
	char *path;
	int fd;

	flags |= O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	if (!name && dir->len < PATH_MAX)
		return open(dir->path, flags);
	if (name && dir->len + strlen(name) + 2 <= sizeof(buf)) {
		(void)snprintf(buf, sizeof(buf), "%s%s%s", dir->path, dir->path[dir->len - 1] == '/' ? "" : "/", name);
		return open(buf, flags);
	}
	path = full_path(dir, name);
	if (!path) {
		errno = ENOMEM;
		return -1;
	}
	fd = open_pieces(path, flags);
	if (fd < 0) {
		int err = errno;

		free(path);
		errno = err;
		return -1;
	}
	free(path);
	return fd;
}

bool walk_is_output(const struct walk *w, const struct stat *st)
{
	for (size_t i = 0; i < w->outputs; i++)
		if (w->output[i].dev == st->st_dev && w->output[i].ino == st->st_ino)
			return true;
	return false;
}

/* ---- the scan job ---- */

static void scan_done(void *arg, struct shunt_job_id id, const struct shunt_result *result)
{
	struct walk_dir *d = arg;

	(void)id;
	if (result->status == SHUNT_JOB_CANCELLED)
		walk_count(d->walk, WALK_DIRS_CUT, 1);
	dir_put(d);
}

static int submit_scan(struct walk *w, struct walk_dir *d)
{
	struct shunt_job_spec spec;

	(void)memset(&spec, 0, sizeof(spec));
	spec.type = w->setup->type[WALK_SCAN];
	spec.on_full = SHUNT_ON_FULL_ERROR;
	spec.arg = d;
	spec.group = w->group;
	spec.done = scan_done;
	spec.done_arg = d;
	return shunt_submit(w->setup->rt, &spec, NULL);
}

/* ---- what is in flight ---- */

static void list_push(struct walk_dir **list, struct walk_dir *d)
{
	d->next = *list;
	*list = d;
}

/* The next directory to scan, counted as a scan job; NULL = none, or not now. */
static struct walk_dir *next_dir(struct walk *w)
{
	struct walk_dir **list;
	struct walk_dir *d;

	(void)pthread_mutex_lock(&w->gate);
	list = w->begun ? &w->begun : &w->waiting;
	d = w->scans < w->scans_max && w->files < w->files_max ? *list : NULL;
	if (d) {
		*list = d->next;
		w->scans++;
	}
	(void)pthread_mutex_unlock(&w->gate);
	return d;
}

/* A directory that got no job goes back to its list. False if nothing is in work whose end would look there. */
static bool put_back(struct walk *w, struct walk_dir *d)
{
	bool others;

	(void)pthread_mutex_lock(&w->gate);
	others = w->scans > 1 || w->files > 0;
	if (others) {
		w->scans--;
		list_push(d->stream ? &w->begun : &w->waiting, d);
	}
	(void)pthread_mutex_unlock(&w->gate);
	return others;
}

static void scan_ended(struct walk *w)
{
	(void)pthread_mutex_lock(&w->gate);
	w->scans--;
	(void)pthread_mutex_unlock(&w->gate);
}

static bool scan_piece(struct shunt_job_ctx *ctx, struct walk_dir *dir);

/* Submits scan jobs for as many directories as may be in flight. Called at the end of each job. */
static void start_scans(struct walk *w, struct shunt_job_ctx *ctx)
{
	struct walk_dir *d;

	while (!cli_stopped() && (d = next_dir(w)) != NULL) { /* bound: scans_max, and in place the directories */
		if (submit_scan(w, d) == 0)
			continue;
		if (put_back(w, d))
			return;
		walk_count(w, WALK_DIRS_IN_PLACE, 1);
		while (!scan_piece(ctx, d)) /* bound: the entries of the directory */
			;
		dir_put(d);
		scan_ended(w);
	}
}

void walk_file_ended(struct walk *w, struct shunt_job_ctx *ctx)
{
	(void)pthread_mutex_lock(&w->gate);
	w->files--;
	(void)pthread_mutex_unlock(&w->gate);
	start_scans(w, ctx);
}

void walk_give_up(struct walk *w)
{
	struct walk_dir *list[2];
	uint64_t n = 0;

	(void)pthread_mutex_lock(&w->gate);
	list[0] = w->begun;
	list[1] = w->waiting;
	w->begun = w->waiting = NULL;
	(void)pthread_mutex_unlock(&w->gate);
	for (size_t i = 0; i < SH_COUNT(list); i++)
		while (list[i]) { /* bound: the directories found */
			struct walk_dir *d = list[i];

			list[i] = d->next;
			dir_put(d);
			n++;
		}
	if (n > 0)
		walk_count(w, WALK_DIRS_CUT, n);
}

static void found_dir(struct walk *w, const struct walk_dir *parent, const char *name)
{
	struct walk_dir *d = dir_create(w, parent, name);

	if (!d) {
		walk_count(w, WALK_DIRS_FAILED, 1);
		walk_error(w, ENOMEM, parent, name);
		return;
	}
	(void)pthread_mutex_lock(&w->gate);
	list_push(&w->waiting, d);
	(void)pthread_mutex_unlock(&w->gate);
}

static void found_file(struct walk *w, struct shunt_job_ctx *ctx, struct walk_dir *dir, const char *name)
{
	struct walk_file *f = file_create(dir, name);
	struct shunt_job_spec spec;

	walk_count(w, WALK_FILES, 1);
	if (!f) {
		walk_count(w, WALK_FAILED, 1);
		walk_error(w, ENOMEM, dir, name);
		return;
	}
	(void)pthread_mutex_lock(&w->gate);
	if (++w->files > w->files_peak)
		w->files_peak = w->files;
	(void)pthread_mutex_unlock(&w->gate);
	(void)memset(&spec, 0, sizeof(spec));
	spec.type = w->setup->type[WALK_HASH];
	spec.on_full = SHUNT_ON_FULL_INLINE;
	spec.arg = f;
	spec.group = w->group;
	spec.done = run_file_hash_done;
	spec.done_arg = f;
	if (shunt_submit(w->setup->rt, &spec, NULL) == 0)
		return;
	/* no free handle either: called directly */
	(void)run_file_hash(ctx, f);
	walk_file_put(f);
}

static unsigned char entry_type(int dirfd, const struct dirent *e, bool want_dev, dev_t *dev, int *err)
{
	struct stat st;

	*err = 0;
	if (e->d_type != DT_UNKNOWN && !(e->d_type == DT_DIR && want_dev))
		return e->d_type;
	if (fstatat(dirfd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		*err = errno;
		return DT_UNKNOWN;
	}
	*dev = st.st_dev;
	return S_ISREG(st.st_mode) ? DT_REG : S_ISDIR(st.st_mode) ? DT_DIR : S_ISLNK(st.st_mode) ? DT_LNK : DT_CHR;
}

static void scan_entry(struct walk *w, struct shunt_job_ctx *ctx, struct walk_dir *dir, int fd, const struct dirent *e)
{
	dev_t dev = w->dev;
	int err = 0;
	unsigned char type = entry_type(fd, e, w->one_fs, &dev, &err);

	if (err) {
		walk_count(w, WALK_FILES, 1);
		walk_count(w, WALK_FAILED, 1);
		walk_error(w, err, dir, e->d_name);
	} else if (type == DT_DIR && dev != w->dev) {
		walk_count(w, WALK_OTHER_FS, 1);
	} else if (type == DT_DIR) {
		found_dir(w, dir, e->d_name);
	} else if (type == DT_REG) {
		found_file(w, ctx, dir, e->d_name);
	} else {
		walk_count(w, type == DT_LNK ? WALK_SYMLINKS : WALK_SPECIAL, 1);
	}
}

static void scan_failed(struct walk_dir *dir, int err)
{
	walk_count(dir->walk, WALK_DIRS_FAILED, 1);
	walk_error(dir->walk, err, dir, NULL);
}

/* False after a message in the counts. */
static bool scan_open(struct walk_dir *dir)
{
	bool root = strcmp(dir->path, dir->walk->tree) == 0;
	int fd = walk_open(dir, NULL, O_DIRECTORY | (root ? 0 : O_NOFOLLOW));
	int err;

	if (fd < 0) {
		scan_failed(dir, errno);
		return false;
	}
	dir->stream = fdopendir(fd);
	if (dir->stream)
		return true;
	err = errno;
	(void)close(fd);
	scan_failed(dir, err);
	return false;
}

/* Reads the next piece of a directory. True at its end, at an error, and after a signal. */
static bool scan_piece(struct shunt_job_ctx *ctx, struct walk_dir *dir)
{
	struct walk *w = dir->walk;
	const struct dirent *e = NULL;
	int err = 0;

	if (!cli_stopped() && !dir->stream && !scan_open(dir))
		return true;
	for (unsigned n = 0; !cli_stopped(); n++) { /* bound: SCAN_PIECE */
		if (n == SCAN_PIECE)
			return false;
		errno = 0;
		e = readdir(dir->stream);
		err = errno;
		if (!e)
			break;
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			scan_entry(w, ctx, dir, dirfd(dir->stream), e);
	}
	if (dir->stream)
		(void)closedir(dir->stream);
	dir->stream = NULL;
	if (err)
		scan_failed(dir, err);
	else
		walk_count(w, cli_stopped() ? WALK_DIRS_CUT : WALK_DIRS, 1);
	return true;
}

static int scan_job(struct shunt_job_ctx *ctx, void *arg)
{
	struct walk_dir *d = arg;
	struct walk *w = d->walk;

	if (!scan_piece(ctx, d)) {
		(void)sh_a32_add_rlx(&d->refs, 1); /* mo rlx: the job holds a reference. */
		(void)pthread_mutex_lock(&w->gate);
		list_push(&w->begun, d);
		(void)pthread_mutex_unlock(&w->gate);
	}
	scan_ended(w);
	start_scans(w, ctx);
	/* a read error is counted; it is no failure of this worker */
	return SHUNT_DONE;
}

/* ---- the probe ---- */

static int probe_job(struct shunt_job_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	return SHUNT_DONE;
}

void walk_probe(struct walk *w)
{
	struct shunt_job_spec spec;

	(void)memset(&spec, 0, sizeof(spec));
	spec.type = w->setup->type[WALK_PROBE];
	spec.on_full = SHUNT_ON_FULL_ERROR;
	w->probes_refused += shunt_submit(w->setup->rt, &spec, NULL) != 0;
}

/* ---- life ---- */

void walk_init(struct walk *w)
{
	(void)memset(w, 0, sizeof(*w));
	sh_aptr_init(&w->digests, NULL);
	for (size_t i = 0; i < WALK_ERRORS; i++)
		sh_a64_init(&w->error[i], 0);
	(void)pthread_mutex_init(&w->lock, NULL);
	(void)pthread_mutex_init(&w->gate, NULL);
}

void walk_output(struct walk *w, int fd)
{
	struct stat st;

	if (w->outputs == WALK_OUTPUTS_MAX || fstat(fd, &st) != 0)
		return;
	w->output[w->outputs].dev = st.st_dev;
	w->output[w->outputs++].ino = st.st_ino;
}

/* The bounds of what is in flight, from the number of workers. */
static int set_bounds(struct walk *w)
{
	struct shunt_snapshot *s = NULL;
	uint64_t workers = 0;
	int rc = shunt_snapshot_create(w->setup->rt, &s);

	if (rc != 0)
		return rc;
	for (size_t i = 0; i < shunt_snapshot_pool_count(s); i++)
		workers += shunt_snapshot_pool_at(s, i)->workers;
	shunt_snapshot_destroy(s);
	w->scans_max = SCANS_A_WORKER * workers;
	w->files_max = FILES_A_WORKER * workers;
	return 0;
}

int walk_start(struct walk *w, struct setup *setup)
{
	struct walk_dir *root;
	struct stat st;
	int rc;

	w->setup = setup;
	if (stat(w->tree, &st) != 0) {
		cli_error("--tree: '%s': %s", w->tree, strerror(errno));
		return CLI_USAGE;
	}
	w->dev = st.st_dev;
	rc = set_bounds(w);
	if (rc == 0)
		rc = shunt_group_create(setup->rt, &w->group);
	if (rc != 0) {
		cli_error("%s", shunt_strerror(rc));
		return CLI_FAILED;
	}
	root = dir_create(w, NULL, w->tree);
	w->scans = 1; /* no job runs yet */
	rc = root ? submit_scan(w, root) : SHUNT_ENOMEM;
	if (rc != 0) {
		cli_error("%s", shunt_strerror(rc));
		dir_put(root);
		return CLI_FAILED;
	}
	return CLI_OK;
}

struct digest_line {
	char *path;
	const struct walk_file *file;
};

static int by_path(const void *a, const void *b)
{
	const struct digest_line *x = a;
	const struct digest_line *y = b;

	return strcmp(x->path, y->path);
}

/* As sha256sum: a backslash in front; backslash, newline and carriage return escaped. */
static void write_digest(FILE *f, const struct digest_line *l)
{
	if (strpbrk(l->path, "\\\n\r"))
		(void)fputc('\\', f);
	for (size_t i = 0; i < sizeof(l->file->digest); i++)
		(void)fprintf(f, "%02x", l->file->digest[i]);
	(void)fputs("  ", f);
	for (const char *p = l->path; *p; p++) {
		if (*p == '\\')
			(void)fputs("\\\\", f);
		else if (*p == '\n')
			(void)fputs("\\n", f);
		else if (*p == '\r')
			(void)fputs("\\r", f);
		else
			(void)fputc(*p, f);
	}
	(void)fputc('\n', f);
}

int walk_write_digests(struct walk *w, FILE *f, uint64_t *lines)
{
	/* mo W3 <- W3@shunt/run_walk.c: complete files. */
	const struct walk_file *head = sh_aptr_load_acq(&w->digests);
	struct digest_line *line;
	size_t n = 0;
	size_t i = 0;
	int code = CLI_OK;

	for (const struct walk_file *x = head; x; x = x->next)
		n++;
	line = calloc(n ? n : 1, sizeof(*line));
	if (!line)
		goto no_memory;
	for (const struct walk_file *x = head; x; x = x->next, i++) {
		line[i].file = x;
		line[i].path = full_path(x->dir, x->name);
		if (!line[i].path)
			goto no_memory;
	}
	qsort(line, n, sizeof(*line), by_path);
	for (i = 0; i < n; i++)
		write_digest(f, &line[i]);
	*lines = n;
	goto out;
no_memory:
	cli_error("--digests: %s", shunt_strerror(SHUNT_ENOMEM));
	code = CLI_FAILED;
out:
	for (i = 0; line && i < n; i++)
		free(line[i].path);
	free(line);
	return code;
}

void walk_fini(struct walk *w)
{
	/* mo W3 <- W3@shunt/run_walk.c: complete files. */
	struct walk_file *f = sh_aptr_load_acq(&w->digests);
	struct walk_scratch *s = w->scratches;
	struct walk_dir *dir;

	while ((dir = w->begun ? w->begun : w->waiting) != NULL) { /* bound: the directories found */
		*(w->begun ? &w->begun : &w->waiting) = dir->next;
		dir_put(dir);
	}
	while (f) {
		struct walk_file *next = f->next;

		walk_file_put(f);
		f = next;
	}
	while (s) {
		struct walk_scratch *next = s->next;

		while (s->buffers) {
			struct run_buffers *b = s->buffers;

			s->buffers = run_buffers_next(b, NULL);
			run_buffers_destroy(b);
		}
		free(s);
		s = next;
	}
	for (size_t i = 0; i < WALK_ERRORS; i++)
		for (size_t k = 0; k < WALK_SAMPLES_MAX; k++)
			free(w->example[i][k]);
	(void)pthread_mutex_destroy(&w->gate);
	(void)pthread_mutex_destroy(&w->lock);
	mine = NULL;
}
