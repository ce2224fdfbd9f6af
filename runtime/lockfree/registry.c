/* lockfree/registry.c - see registry.h. SPDX-License-Identifier: MIT */
#include "lockfree/registry.h"

#include <shunt/error.h>

#include <ck_hs.h>
#include <dlfcn.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <urcu-bp.h>

#include "base/inject.h"
#include "base/mem.h"
#include "base/rng.h"

#if defined(__SANITIZE_THREAD__)
#define TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TSAN 1
#endif
#endif

/*
 * ThreadSanitizer does not instrument ck and liburcu. Two edges are annotated, each where the
 * library has it:
 * - an entry's contents before its put -> the reader that finds it
 * - the end of a section -> the return of synchronize
 *
 * Both ends of an edge name one address. More annotations would hide races of this code.
 */
#ifdef TSAN
#include <sanitizer/tsan_interface.h>
static char section_end_tag;
#define tsan_acquire(p) __tsan_acquire((void *)(uintptr_t)(p))
#define tsan_release(p) __tsan_release((void *)(uintptr_t)(p))
#define tsan_section_end() __tsan_release(&section_end_tag)
#define tsan_grace() __tsan_acquire(&section_end_tag)
#else
#define tsan_acquire(p) ((void)(p))
#define tsan_release(p) ((void)(p))
#define tsan_section_end() ((void)0)
#define tsan_grace() ((void)0)
#endif

#define BLOCK_ALIGN 16u
#define NAMES_FIRST 64u /* entries that fit before the first growth */

/* Header of all memory allocated here. Links what a forked child cannot free yet. */
struct block {
	struct block *next; /* sync: owner until pushed to orphans, then const */
	size_t bytes;       /* sync: const; this header included, which keeps the payload aligned to 16 */
};

struct entry {
	uint32_t id; /* sync: const once entered */
	char name[]; /* sync: const once entered; ck_hs holds its address: a name is a key */
};

struct sh_registry {
	struct ck_hs set;      /* sync: rcu; written under the caller's lock */
	size_t swept_after;    /* sync: lock(caller); removes until the tombstones are swept */
	struct block *retired; /* sync: lock(caller); removed, and readers may still look at it */
	uint32_t born;         /* sync: const; fork generation of its creation */
	sh_a64 count;          /* sync: atomic; written under the caller's lock */
};

/* The registry that this thread writes: ck names none to its allocator. */
static _Thread_local struct sh_registry *writing __attribute__((tls_model("initial-exec")));
static sh_a32 setup_done; /* sync: atomic; the fork handler is installed */
static sh_a32 generation; /* sync: atomic; forks since the first set-up, inherited */
static sh_a32 live;       /* sync: atomic; registries of this generation that are not destroyed */
static sh_aptr orphans;   /* sync: atomic; blocks of a forked child, freed with its last registry */

/* Runs in the child, in its only thread. The parent owns what was counted. */
static void forked(void)
{
	/* mo rlx: the only thread of the process. */
	(void)sh_a32_add_rlx(&generation, 1);
	sh_a32_store_rlx(&live, 0);
}

static uint32_t generation_now(void)
{
	/* mo rlx: changes only in forked(), before any other thread of the process exists. */
	return sh_a32_load_rlx(&generation);
}

/* Pins liburcu-bp: a thread that has read calls its destructor on exit. Best effort. */
static void urcu_pin(void)
{
	void (*fn)(void) = urcu_bp_read_lock;
	void *addr, *handle;
	Dl_info info;

	memcpy(&addr, &fn, sizeof(addr));
	if (dladdr(addr, &info) == 0 || info.dli_fname == NULL)
		return;
	/* In a statically linked program this names the program, and fails without harm. */
	handle = SH_FAIL("registry_pin") ? NULL : dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
	if (handle != NULL)
		(void)dlclose(handle);
}

/* Concurrent first calls may all set up: harmless. The next call repeats a failed set-up. */
static int rcu_setup(void)
{
	/* mo rlx: the C library's lock orders the handler before any fork. */
	if (sh_a32_load_rlx(&setup_done) != 0)
		return 0;
	urcu_pin();
	/* The C library removes the handler when this code is unloaded. */
	if (SH_FAIL("registry_atfork") || pthread_atfork(NULL, NULL, forked) != 0)
		return SHUNT_ESYS;
	sh_a32_store_rlx(&setup_done, 1); /* mo rlx: as above. */
	return 0;
}

static void read_lock(void)
{
	if (sh_likely(generation_now() == 0))
		urcu_bp_read_lock();
}

static void read_unlock(void)
{
	if (sh_likely(generation_now() == 0)) {
		tsan_section_end();
		urcu_bp_read_unlock();
	}
}

/*
 * liburcu decides when it is loaded whether it waits by membarrier, and ends the process if the system refuses that later:
 * a seccomp filter which was set meanwhile does. So it is tried first. Weak: a build of liburcu that knows no other way has
 * no such variable.
 */
extern int urcu_bp_has_sys_membarrier __attribute__((weak));

bool sh_registry_can_wait(void)
{
	int *used = &urcu_bp_has_sys_membarrier;

	if (used && *used == 0)
		return true;
	return !SH_FAIL("registry_membarrier") && syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

/*
 * Waits until every section open at the call has ended. False where it cannot wait: in a forked child, and where the
 * system refuses what the wait needs.
 */
static bool synchronize(void)
{
	if (generation_now() != 0 || !sh_registry_can_wait())
		return false;
	assert(!urcu_bp_read_ongoing());
	urcu_bp_synchronize_rcu();
	tsan_grace();
	return true;
}

static void *block_alloc(size_t size)
{
	struct block *b;

	if (SH_FAIL("registry_alloc") || size > SIZE_MAX - sizeof(*b))
		return NULL;
	b = sh_block_alloc(sizeof(*b) + size, BLOCK_ALIGN);
	if (b == NULL)
		return NULL;
	b->bytes = sizeof(*b) + size;
	return b + 1;
}

static void block_free(void *p)
{
	struct block *b = p == NULL ? NULL : (struct block *)p - 1;

	if (b != NULL)
		sh_block_free(b, b->bytes, BLOCK_ALIGN);
}

static void orphan_push(struct block *b)
{
	/* mo rlx: initial guess; the exchange checks it. */
	void *head = sh_aptr_load_rlx(&orphans);

	do {
		b->next = head;
		/* mo retire.3 -> retire.4@lockfree/registry.c: the taker sees the link. Bound: lock-free. */
	} while (!sh_aptr_cas_rel(&orphans, &head, b));
}

static void block_retire(struct sh_registry *r, void *p)
{
	struct block *b = (struct block *)p - 1;

	b->next = r->retired;
	r->retired = b;
}

void *sh_registry_take_retired(struct sh_registry *r)
{
	struct block *taken = r->retired;

	r->retired = NULL;
	return taken;
}

/* Frees a list, or keeps its blocks for the last registry. */
static void blocks_end(struct block *b, bool unseen)
{
	while (b != NULL) {
		struct block *next = b->next;

		if (unseen)
			block_free(b + 1);
		else
			orphan_push(b);
		b = next;
	}
}

/* Where no grace period can be waited for, they are freed with the last registry. */
void sh_registry_free_retired(void *retired)
{
	blocks_end(retired, retired != NULL && synchronize());
}

/*
 * Uncounts a registry. The last one frees what a forked child could not free before. The list is
 * taken before `live` is decremented, so that it holds no block of a registry that is created
 * meanwhile.
 */
static void live_drop(void)
{
	/* mo retire.4 <- retire.3@lockfree/registry.c: sees every link. */
	struct block *taken = sh_aptr_xchg_acq(&orphans, NULL);
	/* mo retire.2 <> retire.1@lockfree/registry.c: one counted later pushes after the list was taken. */
	bool last = sh_a32_sub_acq_rel(&live, 1) == 1;

	blocks_end(taken, last);
}

static void table_free(void *p, size_t size, bool defer)
{
	(void)size;
	if (defer)
		block_retire(writing, p);
	else
		block_free(p);
}

static void *table_alloc(size_t size)
{
	return SH_FAIL("registry_table") ? NULL : block_alloc(size);
}

static struct ck_malloc allocator = { .malloc = table_alloc, .free = table_free }; /* sync: const */

static unsigned long name_hash(const void *name, unsigned long seed)
{
	/* FNV-1a, then a finaliser: ck_hs uses both ends of the hash */
	uint64_t h = UINT64_C(0xcbf29ce484222325) ^ seed;

	for (const unsigned char *p = name; *p != 0; p++)
		h = (h ^ *p) * UINT64_C(0x100000001b3);
	return (unsigned long)sh_mix64(h);
}

/* ck passes the entered name first, the searched name second. */
static bool name_equal(const void *entered, const void *name)
{
	tsan_acquire(entered);
	return strcmp(entered, name) == 0;
}

static struct entry *entry_of(void *name)
{
	return (struct entry *)(void *)((char *)name - offsetof(struct entry, name));
}

static bool name_valid(const char *name)
{
	size_t len = name == NULL ? 0 : strnlen(name, SH_REGISTRY_NAME_MAX + 1);

	return len >= 1 && len <= SH_REGISTRY_NAME_MAX;
}

int sh_registry_create(struct sh_registry **out)
{
	struct sh_registry *r;
	int rc;

	if (out == NULL)
		return SHUNT_EINVAL;
	*out = NULL;
	rc = rcu_setup();
	if (rc != 0)
		return rc;
	r = block_alloc(sizeof(*r));
	if (r == NULL)
		return SHUNT_ENOMEM;
	if (!ck_hs_init(&r->set, CK_HS_MODE_SPMC | CK_HS_MODE_OBJECT, name_hash, name_equal, &allocator, NAMES_FIRST, 0)) {
		block_free(r);
		return SHUNT_ENOMEM;
	}
	r->swept_after = NAMES_FIRST;
	r->born = generation_now();
	sh_a64_init(&r->count, 0);
	/* mo retire.1 <> retire.2@lockfree/registry.c: its blocks come after the older list was taken. */
	(void)sh_a32_add_acq_rel(&live, 1);
	*out = r;
	return 0;
}

void sh_registry_destroy(struct sh_registry *r)
{
	ck_hs_iterator_t it = CK_HS_ITERATOR_INITIALIZER;
	void *name;

	if (r == NULL)
		return;
	while (ck_hs_next(&r->set, &it, &name))
		block_free(entry_of(name));
	ck_hs_destroy(&r->set);
	blocks_end(r->retired, true);
	if (r->born == generation_now())
		live_drop();
	block_free(r);
}

int sh_registry_put(struct sh_registry *r, const char *name, uint32_t id)
{
	struct entry *e;
	unsigned long hash;
	size_t len;

	if (r == NULL || !name_valid(name))
		return SHUNT_EINVAL;
	if (r->born != generation_now())
		return SHUNT_EFORKED;
	hash = CK_HS_HASH(&r->set, name_hash, name);
	if (ck_hs_get(&r->set, hash, name) != NULL)
		return SHUNT_EEXIST;
	len = strlen(name);
	e = block_alloc(sizeof(*e) + len + 1);
	if (e == NULL)
		return SHUNT_ENOMEM;
	e->id = id;
	memcpy(e->name, name, len + 1);
	tsan_release(e->name);
	writing = r;
	if (!ck_hs_put(&r->set, hash, e->name)) {
		/* No memory for a larger table: the name was absent. The old one is unchanged. */
		block_free(e);
		return SHUNT_ENOMEM;
	}
	/* mo rlx: statistic; one writer at a time. */
	(void)sh_a64_add_rlx(&r->count, 1);
	return 0;
}

int sh_registry_remove(struct sh_registry *r, const char *name)
{
	void *found;

	if (r == NULL || !name_valid(name))
		return SHUNT_EINVAL;
	if (r->born != generation_now())
		return SHUNT_EFORKED;
	found = ck_hs_remove(&r->set, CK_HS_HASH(&r->set, name_hash, name), name);
	if (found == NULL)
		return SHUNT_ENOENT;
	/* mo rlx: statistic; one writer at a time. */
	(void)sh_a64_sub_rlx(&r->count, 1);
	SH_POINT("registry_removed");
	block_retire(r, entry_of(found));
	/* Tombstones slow down look-ups of absent names. Short of memory they stay. */
	writing = r;
	if (--r->swept_after == 0) {
		(void)ck_hs_rebuild(&r->set);
		r->swept_after = NAMES_FIRST + ck_hs_count(&r->set);
	}
	return 0;
}

bool sh_registry_find(struct sh_registry *r, const char *name, uint32_t *id)
{
	void *found;

	if (r == NULL || !name_valid(name) || r->born != generation_now())
		return false;
	read_lock();
	found = ck_hs_get(&r->set, CK_HS_HASH(&r->set, name_hash, name), name);
	SH_POINT("registry_found");
	if (found != NULL && id != NULL)
		*id = entry_of(found)->id;
	read_unlock();
	return found != NULL;
}

size_t sh_registry_count(const struct sh_registry *r)
{
	/* mo rlx: statistic. */
	return r == NULL ? 0 : (size_t)sh_a64_load_rlx(&r->count);
}
