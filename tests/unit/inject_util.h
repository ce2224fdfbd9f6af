/*
 * tests/unit/inject_util.h - makes resources fail and looks what is left behind. Used by inject_sweep_test.c only: it
 * defines malloc and its kin, so that the program counts what any library under it takes and can make any of that fail.
 *
 *   fault_*    which use of which point fails, and how
 *   got        judges what a call returned: documented there, and what the point stands for
 *   left_*     memory, file descriptors and threads that were there before and are there now
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TEST_INJECT_UTIL_H
#define TEST_INJECT_UTIL_H

#include "testutil.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <shunt/error.h>

#include "base/inject.h"

#define OWN_MALLOC (!TU_ASAN && !TU_TSAN) /* the sanitizers have their own, and theirs finds leaks too */

#define POINTS_MAX 64u
#define ERR_BIT(code) (1u << (-10000 - (code))) /* the library's codes count down from -10000 */
#define ERR(name) ERR_BIT(SHUNT_##name)

enum fault_how {
	FAULT_NONE,   /* only count */
	FAULT_ONCE,   /* the n-th use fails */
	FAULT_ON,     /* the n-th and all later ones */
	FAULT_LATE,   /* the n-th is late */
	FAULT_LATE_ON /* the n-th and all later ones */
};

struct fault_point {
	const char *name;
	uint32_t codes; /* ERR() of what may come out; 0: nobody may notice */
	uint32_t flags; /* enum fault_flags */
};

enum fault_flags {
	LATE = 1u << 0,  /* cannot fail, but can be late */
	MAY = 1u << 1,   /* not reached on every machine, or not in every build */
	QUIET = 1u << 2, /* has codes, but a part may do without and say nothing */
	CUSTOM = 1u << 3 /* with an allocator of the program's */
};

/* Seen by the parent when its child has died. */
struct fault_shared {
	char at[256];  /* the case, for who reports a crash or a hang */
	char why[512]; /* what was wrong, or "" */
	uint32_t hits[POINTS_MAX];
	uint32_t cases, fired, errors;
};

static struct fault_shared *shared;
static const struct fault_point *points; /* ends with a NULL name */

static struct {
	const char *point;
	uint32_t codes;
	enum fault_how how;
	atomic_uint left; /* uses before the one that fails */
	atomic_uint fired;
	atomic_bool on;
} fault;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(shared->why, sizeof(shared->why), fmt, ap);
	va_end(ap);
	_exit(1);
}

/* Is this use the one? */
static bool fault_now(void)
{
	unsigned left = atomic_load(&fault.left);

	while (left > 0)
		if (atomic_compare_exchange_weak(&fault.left, &left, left - 1))
			return false;
	if (atomic_fetch_add(&fault.fired, 1) > 0 && (fault.how == FAULT_ONCE || fault.how == FAULT_LATE))
		return false;
	return true;
}

static void fault_late(void)
{
	struct timespec pause = { 0, 1000000 };

	(void)nanosleep(&pause, NULL);
}

static void fault_count(const char *name)
{
	uint32_t i;

	for (i = 0; points[i].name; i++)
		if (strcmp(points[i].name, name) == 0)
			(void)__atomic_fetch_add(&shared->hits[i], 1, __ATOMIC_RELAXED);
}

static int fault_hook(void *arg, const char *name)
{
	(void)arg;
	if (!atomic_load(&fault.on))
		return 0;
	if (fault.how == FAULT_NONE) {
		fault_count(name);
		return 0;
	}
	if (strcmp(name, fault.point) != 0 || !fault_now())
		return 0;
	if (fault.how == FAULT_LATE || fault.how == FAULT_LATE_ON) {
		fault_late();
		return 0;
	}
	return 1;
}

/* A call's result, if it is one that its header documents and that the failing point stands for; else the end. */
static int got(const char *call, int64_t rc, uint32_t documented)
{
	if (rc >= 0)
		return (int)rc;
	if (rc < -10031 || rc > -10000 || !(ERR_BIT(rc) & documented))
		die("%s: %s is not documented there", call, shunt_error_name((int)rc));
	if (atomic_load(&fault.fired) == 0)
		die("%s: %s, and nothing had failed", call, shunt_error_name((int)rc));
	if (!(ERR_BIT(rc) & fault.codes))
		die("%s: %s is not what %s stands for", call, shunt_error_name((int)rc), fault.point);
	shared->errors++;
	return (int)rc;
}

/* ---- what is left ---- */

struct left {
	long blocks;
	uint32_t files, threads;
};

static uint32_t left_entries(const char *path)
{
	DIR *d = opendir(path);
	uint32_t n = 0;

	if (!d)
		die("%s: %s", path, strerror(errno));
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

#if OWN_MALLOC
static atomic_long blocks; /* taken and not given back */

static _Thread_local uint32_t spared __attribute__((tls_model("initial-exec"))); /* depth inside hwloc */

static bool block_fails(void)
{
	if (spared > 0 || fault_hook(NULL, "any allocation") == 0)
		return false;
	errno = ENOMEM;
	return true;
}

/* The allocator that the program would have had. What looking it up takes itself comes from `early`. */
static void *next_of(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

static char early[4096] __attribute__((aligned(16)));
static size_t early_used;

static bool is_early(const void *p)
{
	return (const char *)p >= early && (const char *)p < early + sizeof(early);
}

#define NEXT(type, name, ...) \
	static type (*next)(__VA_ARGS__); \
	if (!next) { \
		void *found = next_of(name); \
		memcpy(&next, &found, sizeof(next)); \
	}

void *malloc(size_t n)
{
	NEXT(void *, "malloc", size_t)
	void *p = block_fails() ? NULL : next(n);

	if (p)
		(void)atomic_fetch_add(&blocks, 1);
	return p;
}

void *calloc(size_t n, size_t size)
{
	static _Thread_local bool busy __attribute__((tls_model("initial-exec")));
	static void *(*next)(size_t, size_t);
	void *p;

	if (!next && busy) {
		p = early + early_used;
		early_used += (n * size + 15u) & ~(size_t)15u;
		return p;
	}
	if (!next) {
		void *found;

		busy = true;
		found = next_of("calloc");
		memcpy(&next, &found, sizeof(next));
		busy = false;
	}
	p = block_fails() ? NULL : next(n, size);
	if (p)
		(void)atomic_fetch_add(&blocks, 1);
	return p;
}

void *realloc(void *old, size_t n)
{
	NEXT(void *, "realloc", void *, size_t)
	void *p = block_fails() ? NULL : next(old, n);

	if (p && !old)
		(void)atomic_fetch_add(&blocks, 1);
	return p;
}

int posix_memalign(void **out, size_t align, size_t n)
{
	NEXT(int, "posix_memalign", void **, size_t, size_t)
	int rc = block_fails() ? ENOMEM : next(out, align, n);

	if (rc == 0)
		(void)atomic_fetch_add(&blocks, 1);
	return rc;
}

void *aligned_alloc(size_t align, size_t n)
{
	NEXT(void *, "aligned_alloc", size_t, size_t)
	void *p = block_fails() ? NULL : next(align, n);

	if (p)
		(void)atomic_fetch_add(&blocks, 1);
	return p;
}

void free(void *p)
{
	NEXT(void, "free", void *)
	if (!p || is_early(p))
		return;
	(void)atomic_fetch_sub(&blocks, 1);
	next(p);
}

/* hwloc asserts that it has memory when it reads a machine: there "any allocation" spares it. */
#define SPARED(name, ...) \
	NEXT(int, name, __VA_ARGS__) \
	int rc; \
	spared++;

int hwloc_topology_init(void *t);
int hwloc_topology_set_xml(void *t, const char *path);
int hwloc_topology_set_synthetic(void *t, const char *text);
int hwloc_topology_load(void *t);

int hwloc_topology_init(void *t)
{
	SPARED("hwloc_topology_init", void *)
	rc = next(t);
	spared--;
	return rc;
}

int hwloc_topology_set_xml(void *t, const char *path)
{
	SPARED("hwloc_topology_set_xml", void *, const char *)
	rc = next(t, path);
	spared--;
	return rc;
}

int hwloc_topology_set_synthetic(void *t, const char *text)
{
	SPARED("hwloc_topology_set_synthetic", void *, const char *)
	rc = next(t, text);
	spared--;
	return rc;
}

int hwloc_topology_load(void *t)
{
	SPARED("hwloc_topology_load", void *)
	rc = next(t);
	spared--;
	return rc;
}

static long left_blocks(void)
{
	return atomic_load(&blocks);
}
#else
static long left_blocks(void)
{
	return 0;
}
#endif

static struct left left_now(void)
{
	return (struct left){ left_blocks(), left_entries("/proc/self/fd"), left_entries("/proc/self/task") };
}

/* A thread that was joined may still be seen for a moment. */
static bool left_same(const struct left *before, struct left *after)
{
	(void)tu_until((*after = left_now()).threads <= before->threads);
	return after->blocks <= before->blocks && after->files == before->files && after->threads == before->threads;
}

#if TU_ASAN
int __lsan_do_recoverable_leak_check(void);
#endif

static void left_sanitizer(void)
{
#if TU_ASAN
	if (__lsan_do_recoverable_leak_check() != 0)
		die("LeakSanitizer found a leak; its report is above");
#endif
}

#endif
