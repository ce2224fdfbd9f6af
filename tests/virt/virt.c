/* virt/virt.c - see virt.h. SPDX-License-Identifier: MIT */
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "virt/virt.h"
#include "virt/virt_priv.h"

#if defined(__SANITIZE_ADDRESS__)
#define FIBERS_TOLD 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBERS_TOLD 1
#endif
#endif
#ifdef FIBERS_TOLD /* AddressSanitizer wants to know each stack that is left for another */
#include <sanitizer/common_interface_defs.h>
static const void *main_stack; /* the first fiber is entered from there */
static size_t main_stack_bytes;
#define FIBER_LEAVE(fake, to)                                                      \
	__sanitizer_start_switch_fiber((fake), (to)->stack ? (to)->stack : main_stack, \
				       (to)->stack ? (to)->stack_bytes : main_stack_bytes)
#define FIBER_ENTER(fake) __sanitizer_finish_switch_fiber((fake), NULL, NULL)
#define FIBER_FIRST()                                                                   \
	__sanitizer_finish_switch_fiber(NULL, main_stack_bytes ? NULL : &main_stack,    \
					main_stack_bytes ? NULL : &main_stack_bytes)
#else
#define FIBER_LEAVE(fake, to) ((void)(fake), (void)(to))
#define FIBER_ENTER(fake) ((void)(fake))
#define FIBER_FIRST() ((void)0)
#endif

#define KEYS_MAX 8u
#define STACK_DEFAULT (64u * 1024u)

struct thread {
	struct virt_thread pub; /* first: virt_get hands it out */
	void *sp;               /* where virt_switch left it */
	void *stack;
	size_t stack_bytes;
	void *(*fn)(void *);
	void *arg;
	void *value[KEYS_MAX];
	uint64_t order; /* of going to sleep: wakes are first come, first served */
	unsigned char *tls;
};

static struct {
	const struct virt_tool *tool;
	struct thread *thread; /* [VIRT_THREADS_MAX] */
	uint32_t n;
	uint32_t self;
	uint64_t order;
	struct {
		bool used;
		void (*destroy)(void *);
	} key[KEYS_MAX];
	unsigned char *tls; /* the program's thread-local block of the one real thread */
	const unsigned char *tls_image;
	size_t tls_bytes, tls_image_bytes;
	void *(*stack_alloc)(size_t);
	size_t stack_bytes;
	void *spare[VIRT_THREADS_MAX]; /* stacks of machines before */
	size_t spares;
} * m;

/* void virt_switch(void **save_sp, void *load_sp): keeps what the calling convention makes the callee keep. */
void virt_switch(void **save_sp, void *load_sp);
#if defined(__x86_64__)
__asm__(".text\n.globl virt_switch\n.type virt_switch,@function\nvirt_switch:\n"
	"	pushq %rbp\n	pushq %rbx\n	pushq %r12\n	pushq %r13\n	pushq %r14\n	pushq %r15\n"
	"	movq %rsp, (%rdi)\n	movq %rsi, %rsp\n"
	"	popq %r15\n	popq %r14\n	popq %r13\n	popq %r12\n	popq %rbx\n	popq %rbp\n	ret\n"
	".size virt_switch, .-virt_switch\n");
#define FRAME_WORDS 8u /* six registers, the entry, a return address that nobody uses */
#define FRAME_ENTRY 6u
#elif defined(__aarch64__)
__asm__(".text\n.globl virt_switch\n.type virt_switch,%function\nvirt_switch:\n"
	"	stp x29, x30, [sp, #-160]!\n	stp x19, x20, [sp, #16]\n	stp x21, x22, [sp, #32]\n"
	"	stp x23, x24, [sp, #48]\n	stp x25, x26, [sp, #64]\n	stp x27, x28, [sp, #80]\n"
	"	stp d8, d9, [sp, #96]\n	stp d10, d11, [sp, #112]\n	stp d12, d13, [sp, #128]\n	stp d14, d15, [sp, #144]\n"
	"	mov x9, sp\n	str x9, [x0]\n	mov sp, x1\n"
	"	ldp x19, x20, [sp, #16]\n	ldp x21, x22, [sp, #32]\n	ldp x23, x24, [sp, #48]\n"
	"	ldp x25, x26, [sp, #64]\n	ldp x27, x28, [sp, #80]\n"
	"	ldp d8, d9, [sp, #96]\n	ldp d10, d11, [sp, #112]\n	ldp d12, d13, [sp, #128]\n	ldp d14, d15, [sp, #144]\n"
	"	ldp x29, x30, [sp], #160\n	ret\n"
	".size virt_switch, .-virt_switch\n");
#define FRAME_WORDS 20u
#define FRAME_ENTRY 1u
#else
#error "virt_switch is written for x86-64 and aarch64"
#endif

static int find_tls(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type != PT_TLS)
			continue;
		m->tls = info->dlpi_tls_data;
		m->tls_image = (const unsigned char *)(info->dlpi_addr + p->p_vaddr);
		m->tls_bytes = p->p_memsz;
		m->tls_image_bytes = p->p_filesz;
	}
	return 1; /* the program itself comes first; libraries keep their thread-locals shared */
}

static void fail(const char *what)
{
	m->tool->fail(what);
	abort();
}

static void *must(void *p)
{
	if (!p || p == MAP_FAILED) {
		(void)fprintf(stderr, "virt: out of memory\n");
		abort();
	}
	return p;
}

static void go(uint32_t to)
{
	struct thread *a = &m->thread[m->self], *b = &m->thread[to];
	void *fake = NULL;

	if (a == b)
		return;
	if (m->tls_bytes) {
		memcpy(a->tls, m->tls, m->tls_bytes);
		memcpy(m->tls, b->tls, m->tls_bytes);
	}
	m->self = to;
	FIBER_LEAVE(a->pub.state == VIRT_ENDED ? NULL : &fake, b);
	virt_switch(&a->sp, b->sp);
	FIBER_ENTER(fake);
}

static void reschedule(enum virt_why why)
{
	uint32_t to = m->tool->schedule(why);

	if (to >= m->n || m->thread[to].pub.state != VIRT_READY)
		fail("the tool named a thread that cannot run");
	go(to);
}

static void sync_event(enum virt_sync what, const void *object, uint32_t id)
{
	if (m->tool->sync)
		m->tool->sync(what, object, id);
}

static void entry(void)
{
	struct thread *t = &m->thread[m->self];

	FIBER_FIRST();
	(void)t->fn(t->arg);
	for (uint32_t k = 0; k < KEYS_MAX; k++) {
		void *v = t->value[k];

		t->value[k] = NULL;
		if (v && m->key[k].used && m->key[k].destroy)
			m->key[k].destroy(v);
	}
	t->pub.state = VIRT_ENDED;
	for (uint32_t i = 0; i < m->n; i++)
		if (m->thread[i].pub.state == VIRT_JOIN && m->thread[i].pub.target == m->self)
			m->thread[i].pub.state = VIRT_READY;
	reschedule(VIRT_EXIT);
	fail("an ended thread was named again");
}

void virt_stack(uintptr_t *low, size_t *bytes)
{
	*low = (uintptr_t)m->thread[m->self].stack;
	*bytes = m->thread[m->self].stack_bytes;
}

void virt_set_stacks(void *(*alloc)(size_t bytes), size_t bytes_each)
{
	if (!m)
		m = must(calloc(1, sizeof(*m)));
	m->stack_alloc = alloc;
	m->stack_bytes = bytes_each;
}

void virt_begin(const struct virt_tool *tool)
{
	if (!m)
		m = must(calloc(1, sizeof(*m)));
	virt_end();
	if (m->stack_bytes == 0)
		m->stack_bytes = STACK_DEFAULT;
	m->tool = tool;
	m->order = 0;
	memset(m->key, 0, sizeof(m->key));
	m->thread = must(calloc(VIRT_THREADS_MAX, sizeof(*m->thread)));
	if (!m->tls)
		(void)dl_iterate_phdr(find_tls, NULL);
	m->n = 1;
	m->self = 0;
	m->thread[0].pub.state = VIRT_READY;
	m->thread[0].tls = must(calloc(1, m->tls_bytes + 1));
	(void)strcpy(m->thread[0].pub.name, "main");
}

void virt_end(void)
{
	if (!m || !m->thread)
		return;
	for (uint32_t i = 0; i < m->n; i++) {
		struct thread *t = &m->thread[i];

		if (t->stack && !m->stack_alloc)
			m->spare[m->spares++] = t->stack;
		free(t->tls);
	}
	if (m->tls && m->self == 0) { /* the next machine starts with fresh thread-locals */
		memset(m->tls, 0, m->tls_bytes);
		memcpy(m->tls, m->tls_image, m->tls_image_bytes);
	}
	free(m->thread);
	m->thread = NULL;
	m->n = 0;
}

static void *stack_get(void)
{
	if (m->stack_alloc)
		return must(m->stack_alloc(m->stack_bytes));
	if (m->spares)
		return m->spare[--m->spares];
	return must(mmap(NULL, m->stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
}

uint32_t virt_start(const char *name, void *(*fn)(void *), void *arg)
{
	uint32_t id = m->n;
	struct thread *t = &m->thread[id];
	uintptr_t *frame;

	if (id >= VIRT_THREADS_MAX)
		fail("more threads than VIRT_THREADS_MAX");
	memset(t, 0, sizeof(*t));
	t->stack = stack_get();
	t->stack_bytes = m->stack_bytes;
	t->fn = fn;
	t->arg = arg;
	t->tls = must(calloc(1, m->tls_bytes + 1));
	if (m->tls_image_bytes)
		memcpy(t->tls, m->tls_image, m->tls_image_bytes);
	frame = (uintptr_t *)((uintptr_t)t->stack + t->stack_bytes) - FRAME_WORDS;
	memset(frame, 0, FRAME_WORDS * sizeof(*frame));
	frame[FRAME_ENTRY] = (uintptr_t)entry;
	t->sp = frame;
	(void)snprintf(t->pub.name, sizeof(t->pub.name), "%s", name);
	t->pub.state = VIRT_READY;
	m->n++;
	sync_event(VIRT_CREATE, NULL, id);
	return id;
}

void virt_join(uint32_t id)
{
	struct thread *t = &m->thread[m->self];

	virt_point();
	if (id >= m->n)
		fail("join of a thread that does not exist");
	if (m->thread[id].pub.state != VIRT_ENDED) {
		t->pub.state = VIRT_JOIN;
		t->pub.target = id;
		reschedule(VIRT_BLOCKED);
	}
	sync_event(VIRT_JOINED, NULL, id);
}

uint32_t virt_self(void)
{
	return m->self;
}

uint32_t virt_threads(void)
{
	return m->n;
}

const struct virt_thread *virt_get(uint32_t id)
{
	return &m->thread[id].pub;
}

bool virt_ready(uint32_t id)
{
	return id < m->n && m->thread[id].pub.state == VIRT_READY;
}

bool virt_is_local(const void *p)
{
	return (size_t)((const unsigned char *)p - m->tls) < m->tls_bytes;
}

void virt_set_name(uint32_t id, const char *name)
{
	if (id < m->n)
		(void)snprintf(m->thread[id].pub.name, sizeof(m->thread[id].pub.name), "%s", name);
}

void virt_point(void)
{
	reschedule(VIRT_POINT);
}

/* The step that follows acts on `object`. */
static void point_at(const void *object)
{
	m->thread[m->self].pub.object = object;
	reschedule(VIRT_POINT);
	m->thread[m->self].pub.object = NULL;
}

void virt_relax(void)
{
	reschedule(VIRT_RELAX);
}

void virt_barrier(void)
{
	virt_point();
	sync_event(VIRT_BARRIER, NULL, 0);
}

uint64_t virt_now_ns(void)
{
	return m->tool->now_ns();
}

void virt_sleep_until(uint64_t ns)
{
	struct thread *t = &m->thread[m->self];

	if (m->tool->now_ns() >= ns) {
		virt_relax();
		return;
	}
	t->pub.state = VIRT_SLEEP;
	t->pub.deadline_ns = ns;
	reschedule(VIRT_BLOCKED);
}

void virt_expire(uint32_t id)
{
	struct virt_thread *t = &m->thread[id].pub;

	if (t->state != VIRT_FUTEX && t->state != VIRT_SLEEP)
		fail("only a sleeper's time can be over");
	t->timed_out = t->state == VIRT_FUTEX;
	t->state = VIRT_READY;
}

uint64_t virt_next_deadline(void)
{
	uint64_t first = VIRT_FOREVER;

	for (uint32_t i = 0; i < m->n; i++) {
		const struct virt_thread *t = &m->thread[i].pub;

		if ((t->state == VIRT_FUTEX || t->state == VIRT_SLEEP) && t->deadline_ns < first)
			first = t->deadline_ns;
	}
	return first;
}

bool virt_futex_wait(const void *word, uint32_t expected, uint64_t timeout_ns)
{
	struct thread *t = &m->thread[m->self];
	uint64_t now;

	point_at(word);
	sync_event(VIRT_WAIT, word, m->self);
	if (*(const volatile uint32_t *)word != expected)
		return true;
	now = m->tool->now_ns();
	t->pub.deadline_ns = timeout_ns >= VIRT_FOREVER - now ? VIRT_FOREVER : now + timeout_ns;
	t->pub.object = word;
	t->pub.state = VIRT_FUTEX;
	t->pub.timed_out = false;
	t->order = m->order++;
	reschedule(VIRT_BLOCKED);
	t->pub.object = NULL;
	return !t->pub.timed_out;
}

int virt_futex_wake(const void *word, int n)
{
	int woken = 0;

	point_at(word);
	while (woken < n) {
		struct thread *first = NULL;

		for (uint32_t i = 0; i < m->n; i++) {
			struct thread *t = &m->thread[i];

			if (t->pub.state == VIRT_FUTEX && t->pub.object == word && (!first || t->order < first->order))
				first = t;
		}
		if (!first)
			break;
		first->pub.state = VIRT_READY;
		woken++;
		sync_event(VIRT_WOKEN, word, (uint32_t)(first - m->thread));
	}
	return woken;
}

void virt_mutex_lock(uint32_t *holder)
{
	struct thread *t = &m->thread[m->self];

	point_at(holder);
	while (*holder != 0) {
		if (*holder == m->self + 1)
			fail("a thread locks a mutex that it holds");
		t->pub.state = VIRT_MUTEX;
		t->pub.object = holder;
		reschedule(VIRT_BLOCKED);
		t->pub.object = NULL;
	}
	*holder = m->self + 1;
	sync_event(VIRT_LOCK, holder, m->self);
}

void virt_mutex_unlock(uint32_t *holder)
{
	if (*holder != m->self + 1)
		fail("a thread unlocks a mutex that it does not hold");
	sync_event(VIRT_UNLOCK, holder, m->self);
	*holder = 0;
	for (uint32_t i = 0; i < m->n; i++)
		if (m->thread[i].pub.state == VIRT_MUTEX && m->thread[i].pub.object == holder)
			m->thread[i].pub.state = VIRT_READY;
}

bool virt_key_create(unsigned *key, void (*destroy)(void *))
{
	for (unsigned k = 0; k < KEYS_MAX; k++)
		if (!m->key[k].used) {
			m->key[k].used = true;
			m->key[k].destroy = destroy;
			*key = k;
			return true;
		}
	return false;
}

void virt_key_delete(unsigned key)
{
	m->key[key].used = false;
}

void **virt_key_value(unsigned key)
{
	return &m->thread[m->self].value[key];
}

/* One flat copy: the machine, its threads, their thread-locals. Stacks are the tool's memory. */
size_t virt_save_bytes(void)
{
	return sizeof(*m) + m->n * (sizeof(*m->thread) + m->tls_bytes);
}

void virt_save(void *to)
{
	unsigned char *p = to;

	if (m->tls_bytes)
		memcpy(m->thread[m->self].tls, m->tls, m->tls_bytes);
	memcpy(p, m, sizeof(*m));
	p += sizeof(*m);
	memcpy(p, m->thread, m->n * sizeof(*m->thread));
	p += m->n * sizeof(*m->thread);
	for (uint32_t i = 0; i < m->n; i++, p += m->tls_bytes)
		memcpy(p, m->thread[i].tls, m->tls_bytes);
}

void virt_restore(const void *from)
{
	const unsigned char *p = from;
	uint32_t n = m->n;

	memcpy(m, p, sizeof(*m));
	p += sizeof(*m);
	for (uint32_t i = m->n; i < n; i++)
		free(m->thread[i].tls);
	memcpy(m->thread, p, m->n * sizeof(*m->thread));
	p += m->n * sizeof(*m->thread);
	for (uint32_t i = 0; i < m->n; i++, p += m->tls_bytes)
		memcpy(m->thread[i].tls, p, m->tls_bytes);
	if (m->tls_bytes)
		memcpy(m->tls, m->thread[m->self].tls, m->tls_bytes);
}
