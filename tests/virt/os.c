/*
 * virt/os.c - the calls of virt/os.h, and what replaces base/futex.c and base/clock.c, on top of virt/virt.c. Compiled
 * once per tool, with that tool's atomics.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <shunt/error.h>

#include "base/clock.h"
#include "base/futex.h"
#include "base/thread.h"
#include "sched/worker.h"
#include "virt/virt_priv.h"

#define HANDLER_BYTES ((size_t)24 << 10)

struct sh_clock sh_clock_global; /* source 0: every read comes to sh_clock_monotonic_ns */

void sh_clock_setup(void)
{
}

uint64_t sh_clock_monotonic_ns(void)
{
	return virt_now_ns();
}

int sh_futex_wait(sh_a32 *word, uint32_t expected, uint64_t timeout_ns)
{
	return virt_futex_wait(word, expected, timeout_ns) ? 0 : SHUNT_ETIMEDOUT;
}

int sh_futex_wake(sh_a32 *word, int n)
{
	return virt_futex_wake(word, n);
}

#include "virt/os.h"

int virt_nanosleep(const struct timespec *want, struct timespec *left)
{
	(void)left;
	virt_sleep_until(virt_now_ns() + (uint64_t)want->tv_sec * UINT64_C(1000000000) + (uint64_t)want->tv_nsec);
	return 0;
}

int virt_clock_gettime(clockid_t clock, struct timespec *out)
{
	uint64_t now = virt_now_ns();

	(void)clock;
	out->tv_sec = (time_t)(now / UINT64_C(1000000000));
	out->tv_nsec = (long)(now % UINT64_C(1000000000));
	return 0;
}

int virt_sched_yield(void)
{
	virt_relax();
	return 0;
}

int virt_sched_getcpu(void)
{
	return 0;
}

/*
 * Eventfds: a count each, to sleep on. They order nothing, unlike the kernel's: what depends on more than that something
 * can be read is seen.
 */
#define FD_FIRST 100000
#define FDS_MAX 8

static struct {
	bool open;
	sh_a32 count;
} fds[FDS_MAX];

#undef eventfd
#undef read
#undef write
#undef close
#undef ppoll

static sh_a32 *count_of(int fd)
{
	if (fd < FD_FIRST || fd >= FD_FIRST + FDS_MAX || !fds[fd - FD_FIRST].open)
		return NULL;
	return &fds[fd - FD_FIRST].count;
}

int virt_eventfd(unsigned count, int flags)
{
	(void)flags;
	for (int i = 0; i < FDS_MAX; i++) {
		if (fds[i].open)
			continue;
		fds[i].open = true;
		sh_a32_init(&fds[i].count, count);
		return FD_FIRST + i;
	}
	errno = EMFILE;
	return -1;
}

ssize_t virt_read(int fd, void *to, size_t n)
{
	sh_a32 *count = count_of(fd);
	uint64_t got;

	if (fd < FD_FIRST)
		return read(fd, to, n);
	if (!count || n < sizeof(got))
		abort(); /* it was closed */
	got = sh_a32_xchg_rlx(count, 0); /* mo rlx: must not order anything. */
	if (got == 0) {
		errno = EAGAIN;
		return -1;
	}
	memcpy(to, &got, sizeof(got));
	return sizeof(got);
}

ssize_t virt_write(int fd, const void *from, size_t n)
{
	sh_a32 *count = count_of(fd);
	uint64_t more;

	if (fd < FD_FIRST)
		return write(fd, from, n);
	if (!count || n != sizeof(more))
		abort(); /* as above */
	memcpy(&more, from, sizeof(more));
	(void)sh_a32_add_rlx(count, (uint32_t)more); /* mo rlx: as above. */
	(void)virt_futex_wake(count, INT32_MAX);
	return sizeof(more);
}

int virt_close(int fd)
{
	if (fd < FD_FIRST)
		return close(fd);
	if (!count_of(fd))
		abort(); /* closed twice */
	fds[fd - FD_FIRST].open = false;
	return 0;
}

/* One of these descriptors, to read. */
int virt_ppoll(struct pollfd *p, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	sh_a32 *count = n == 1 ? count_of(p->fd) : NULL;
	uint64_t ns = timeout ? (uint64_t)timeout->tv_sec * UINT64_C(1000000000) + (uint64_t)timeout->tv_nsec : VIRT_FOREVER;

	if (!count)
		return ppoll(p, n, timeout, mask);
	while (sh_a32_load_rlx(count) == 0) /* mo rlx: must not order anything. */
		if (ns == 0 || !virt_futex_wait(count, 0, ns))
			return 0;
	p->revents = POLLIN;
	return 1;
}

#undef syscall
long virt_syscall(long number, ...)
{
	long a[5];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 5; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_membarrier) {
		if (a[0] == MEMBARRIER_CMD_PRIVATE_EXPEDITED)
			virt_barrier();
		return 0;
	}
	return syscall(number, a[0], a[1], a[2], a[3], a[4]);
}

/* Timer slack: virtual time has none. */
int virt_prctl(int option, ...)
{
	(void)option;
	return 0;
}

int virt_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	uint32_t id = virt_start("thread", fn, arg);

	(void)attr;
	*out = (pthread_t)id;
	return 0;
}

int virt_pthread_join(pthread_t t, void **result)
{
	virt_join((uint32_t)t);
	if (result)
		*result = NULL;
	return 0;
}

/* base/thread.h */
int sh_thread_start(pthread_t *out, void *(*main)(void *), void *arg, uint64_t signals, uint64_t stack_bytes)
{
	(void)signals;
	(void)stack_bytes;
	return virt_pthread_create(out, NULL, main, arg) == 0 ? 0 : SHUNT_ESYS;
}

uint64_t sh_thread_stack(uint64_t stack_bytes)
{
	return stack_bytes;
}

int sh_thread_nice(int32_t nice)
{
	(void)nice;
	return 0;
}

/* No handler of a simulated or explored world ends its thread. */
void sh_thread_guard(void (*run)(void *), void (*lost)(void *), void *arg)
{
	(void)lost;
	run(arg);
}

void sh_thread_look(struct sh_thread_seen *out)
{
	uintptr_t low;
	size_t bytes;

	memset(out, 0, sizeof(*out));
	virt_stack(&low, &bytes);
	/* fibers have small stacks, and small handlers: HANDLER_BYTES is room enough for one */
	out->stack_low = low - (SH_STACK_RESERVE - HANDLER_BYTES);
	out->stack_bytes = bytes + (SH_STACK_RESERVE - HANDLER_BYTES);
}

pthread_t virt_pthread_self(void)
{
	return (pthread_t)virt_self();
}

int virt_pthread_setname_np(pthread_t t, const char *name)
{
	virt_set_name((uint32_t)t, name);
	return 0;
}

/* A mutex's first word is its holder plus one; all zero, as PTHREAD_MUTEX_INITIALIZER, is free. */
int virt_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attr)
{
	(void)attr;
	*(uint32_t *)m = 0;
	return 0;
}

int virt_pthread_mutex_destroy(pthread_mutex_t *m)
{
	return *(uint32_t *)m == 0 ? 0 : EBUSY;
}

int virt_pthread_mutex_lock(pthread_mutex_t *m)
{
	virt_mutex_lock((uint32_t *)m);
	return 0;
}

int virt_pthread_mutex_trylock(pthread_mutex_t *m)
{
	virt_point();
	if (*(uint32_t *)m != 0)
		return EBUSY;
	virt_mutex_lock((uint32_t *)m);
	return 0;
}

int virt_pthread_mutex_unlock(pthread_mutex_t *m)
{
	virt_mutex_unlock((uint32_t *)m);
	return 0;
}

int virt_pthread_once(pthread_once_t *once, void (*fn)(void))
{
	while (*once == 1)
		virt_relax();
	if (*once == 0) {
		*once = 1;
		fn();
		*once = 2;
	}
	return 0;
}

int virt_pthread_key_create(pthread_key_t *key, void (*destroy)(void *))
{
	return virt_key_create(key, destroy) ? 0 : EAGAIN;
}

int virt_pthread_key_delete(pthread_key_t key)
{
	virt_key_delete(key);
	return 0;
}

int virt_pthread_setspecific(pthread_key_t key, const void *value)
{
	*virt_key_value(key) = (void *)(uintptr_t)value;
	return 0;
}

void *virt_pthread_getspecific(pthread_key_t key)
{
	return *virt_key_value(key);
}

int virt_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
	(void)prepare;
	(void)parent;
	(void)child;
	return 0;
}
