/*
 * tests/e2e/allocator_probe.c - a life of the whole library under eyes: the program's malloc, mmap and their kin
 * count the calls that come from libshunt's text. Built and run by allocator.sh, once with an allocator of the
 * program's ("custom": no such call may come, and all of the allocator's bytes come back), once without ("own":
 * they must be seen).
 *
 * SPDX-License-Identifier: MIT
 */
#include <dlfcn.h>
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <shunt/shunt.h>

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);
void __libc_free(void *p);

static atomic_long heap_calls, map_calls; /* from libshunt */
static atomic_long taken, given;          /* bytes of the allocator */
static uintptr_t text_first, text_end;

static void look(atomic_long *calls, const void *from)
{
	if ((uintptr_t)from >= text_first && (uintptr_t)from < text_end)
		(void)atomic_fetch_add(calls, 1);
}
#define LOOK(calls) look(&(calls), __builtin_return_address(0))

void *malloc(size_t n)
{
	LOOK(heap_calls);
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	LOOK(heap_calls);
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	LOOK(heap_calls);
	return __libc_realloc(p, n);
}

void *aligned_alloc(size_t align, size_t n)
{
	LOOK(heap_calls);
	return __libc_memalign(align, n);
}

int posix_memalign(void **out, size_t align, size_t n)
{
	LOOK(heap_calls);
	*out = __libc_memalign(align, n);
	return *out ? 0 : 12;
}

void free(void *p)
{
	LOOK(heap_calls);
	__libc_free(p);
}

void *mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset)
{
	LOOK(map_calls);
	return (void *)syscall(SYS_mmap, at, n, prot, flags, fd, offset);
}

int munmap(void *p, size_t n)
{
	LOOK(map_calls);
	return (int)syscall(SYS_munmap, p, n);
}

int madvise(void *p, size_t n, int advice)
{
	LOOK(map_calls);
	return (int)syscall(SYS_madvise, p, n, advice);
}

/* hwloc's ends in a jump to free, which would seem to come from its caller: here it comes from us. */
void hwloc_topology_destroy(void *t);
void hwloc_topology_destroy(void *t)
{
	void *found = dlsym(RTLD_NEXT, "hwloc_topology_destroy");
	void (*next)(void *);

	memcpy(&next, &found, sizeof(next));
	next(t);
	atomic_signal_fence(memory_order_seq_cst); /* the call above is none of the last, and so no jump */
}

static int find_text(struct dl_phdr_info *info, size_t size, void *arg)
{
	int i;

	(void)size;
	(void)arg;
	if (!strstr(info->dlpi_name, "libshunt.so"))
		return 0;
	for (i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X)) {
			text_first = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
			text_end = text_first + info->dlpi_phdr[i].p_memsz;
		}
	return 1;
}

static void *custom_alloc(void *arg, size_t bytes, size_t align)
{
	(void)arg;
	(void)atomic_fetch_add(&taken, (long)bytes);
	return __libc_memalign(align, bytes);
}

static void custom_free(void *arg, void *p, size_t bytes, size_t align)
{
	(void)arg;
	(void)align;
	(void)atomic_fetch_add(&given, (long)bytes);
	__libc_free(p);
}

static void want(int ok, const char *what)
{
	if (ok)
		return;
	(void)fprintf(stderr, "allocator_probe: %s\n", what);
	exit(1);
}

static int job(struct shunt_job_ctx *ctx, void *arg)
{
	struct shunt_job_spec spec = { 0 };
	int i;

	if (arg)
		return SHUNT_DONE;
	want(shunt_block_begin(ctx) == 0, "no spare");
	shunt_block_end(ctx);
	spec.type = shunt_job_type(ctx);
	spec.arg = &spec;
	for (i = 0; i < 1000; i++)
		want(shunt_submit(shunt_job_runtime(ctx), &spec, NULL) == 0, "submit");
	return SHUNT_DONE;
}

/* A burst of 40000 jobs waits, so that the drain has descriptors to give back. */
static void run(struct shunt_config *config)
{
	struct shunt_runtime *rt;
	struct shunt_snapshot *a, *b, *d;
	struct shunt_pool_opts po = SHUNT_POOL_OPTS_INIT;
	struct shunt_pool_id pool;
	struct shunt_job_spec spec = { 0 };
	int i;

	i = shunt_config_runtime(config, NULL, NULL, &rt);
	want(i == 0, shunt_config_errors(config));
	po.name = "more";
	want(shunt_pool_create(rt, &po, &pool) == 0, "pool");
	want(shunt_snapshot_create(rt, &a) == 0, "snapshot");
	want(shunt_type_find(rt, "work", &spec.type) == 0, "type");
	for (i = 0; i < 40; i++)
		want(shunt_submit(rt, &spec, NULL) == 0, "submit");
	want(shunt_runtime_drain(rt, SHUNT_FOREVER, NULL) == 0, "drain");
	want(shunt_snapshot_create(rt, &b) == 0 && shunt_snapshot_diff(b, a, &d) == 0, "snapshot");
	(void)printf("%s: %llu jobs\n", shunt_snapshot_runtime(d)->allocator, (unsigned long long)shunt_snapshot_pool_at(d, 0)->finished);
	shunt_snapshot_destroy(d);
	shunt_snapshot_destroy(b);
	shunt_snapshot_destroy(a);
	want(shunt_runtime_destroy(rt, NULL) == 0, "destroy");
}

static void records(const char *path)
{
	struct shunt_hlog_entry entry;
	struct shunt_hlog_reader *r;
	struct shunt_hlog *log;
	struct shunt_hist *h;

	want(shunt_hist_create(&h) == 0, "hist");
	want(shunt_hist_record_n(h, 1000, 10) == 0, "record");
	want(shunt_hlog_open(path, &log) == 0 && shunt_hlog_write(log, "x", 1, 2, h) == 0, "log");
	want(shunt_hlog_close(log) == 0, "close the log");
	want(shunt_hlog_reader_open(path, &r) == 0 && shunt_hlog_read_next(r, &entry, h) == 1, "read the log");
	shunt_hlog_reader_close(r);
	shunt_hist_destroy(h);
}

static void plan(void)
{
	struct shunt_balancer_opts bo = SHUNT_BALANCER_OPTS_INIT;
	struct shunt_plan_opts po = SHUNT_PLAN_OPTS_INIT;
	struct shunt_balancer *b;
	struct shunt_topo *t;
	struct shunt_plan *p;

	po.policy = SHUNT_PIN_SCATTER;
	po.workers = 3;
	want(shunt_topo_open(&t, NULL) == 0 && shunt_plan_create(t, &po, &p) == 0, "plan");
	shunt_plan_destroy(p);
	shunt_topo_close(t);
	bo.workers = 3;
	want(shunt_balancer_create(&b, &bo) == 0, "balancer");
	shunt_balancer_destroy(b);
}

int main(int argc, char **argv)
{
	static const char yaml[] = "runtime: {levels: [a, b], jobs_max: 65536}\n"
				   "pools: {io: {workers: 1, pin: none, level_mode: weighted, weights: {a: 3}}}\n"
				   "types: {work: {pool: io, level: a}}\n";
	static const char *const env[] = { "SHUNT_POOLS_IO_KEY_SLOTS=64", NULL };
	struct shunt_allocator a = { sizeof(a), custom_alloc, custom_free, NULL };
	int custom = argc > 2 && strcmp(argv[1], "custom") == 0;
	struct shunt_config *config;

	want(argc > 2 && dl_iterate_phdr(find_text, NULL) == 1 && text_end > text_first, "libshunt.so is not loaded");
	want(!custom || shunt_allocator_set(&a) == 0, "shunt_allocator_set");
	want(shunt_config_create(&config) == 0, "config");
	want(shunt_config_load_text(config, "text", yaml, sizeof(yaml) - 1) == 0, "yaml");
	want(shunt_config_load_env(config, env) == 0 && shunt_config_bind(config, "work", job) == 0, "env");
	run(config);
	shunt_config_destroy(config);
	records(argv[2]);
	plan();
	(void)printf("%ld calls of malloc, %ld of mmap and their kin from libshunt, %ld bytes taken, %ld given back\n",
		     atomic_load(&heap_calls), atomic_load(&map_calls), atomic_load(&taken), atomic_load(&given));
	want(atomic_load(&taken) == atomic_load(&given), "bytes are left");
	want(shunt_allocator_set(NULL) == 0, "something is left");
	if (custom)
		want(atomic_load(&heap_calls) == 0 && atomic_load(&map_calls) == 0, "libshunt called the C library");
	else
		want(atomic_load(&heap_calls) > 50 && atomic_load(&map_calls) > 50, "calls of libshunt are not seen");
	want((atomic_load(&taken) > 0) == custom, "the allocator was not used as it was set");
	return 0;
}
