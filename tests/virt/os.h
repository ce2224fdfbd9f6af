/*
 * virt/os.h - included before each runtime source file that runs on fibers (-include virt/os.h): what these files ask of
 * the operating system about threads and time is asked of virt/virt.c instead. System headers come first, so that only
 * uses are renamed, not declarations.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef VIRT_OS_H
#define VIRT_OS_H

#include <linux/membarrier.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/compiler.h"

int virt_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int virt_pthread_join(pthread_t t, void **result);
pthread_t virt_pthread_self(void);
int virt_pthread_setname_np(pthread_t t, const char *name);
int virt_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attr);
int virt_pthread_mutex_destroy(pthread_mutex_t *m);
int virt_pthread_mutex_lock(pthread_mutex_t *m);
int virt_pthread_mutex_trylock(pthread_mutex_t *m);
int virt_pthread_mutex_unlock(pthread_mutex_t *m);
int virt_pthread_once(pthread_once_t *once, void (*fn)(void));
int virt_pthread_key_create(pthread_key_t *key, void (*destroy)(void *));
int virt_pthread_key_delete(pthread_key_t key);
int virt_pthread_setspecific(pthread_key_t key, const void *value);
void *virt_pthread_getspecific(pthread_key_t key);
int virt_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int virt_nanosleep(const struct timespec *want, struct timespec *left);
int virt_clock_gettime(clockid_t clock, struct timespec *out);
int virt_sched_yield(void);
int virt_sched_getcpu(void);
long virt_syscall(long number, ...);
int virt_prctl(int option, ...);
void virt_relax(void);
/* An eventfd of its own; other descriptors are the real ones. */
int virt_eventfd(unsigned count, int flags);
ssize_t virt_read(int fd, void *to, size_t n);
ssize_t virt_write(int fd, const void *from, size_t n);
int virt_close(int fd);
int virt_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask);

#ifndef VIRT_REAL /* for code that keeps something a real thread: it is not under test, and fibers share it */
#define pthread_create virt_pthread_create
#define pthread_join virt_pthread_join
#define pthread_self virt_pthread_self
#define pthread_setname_np virt_pthread_setname_np
#define pthread_mutex_init virt_pthread_mutex_init
#define pthread_mutex_destroy virt_pthread_mutex_destroy
#define pthread_mutex_lock virt_pthread_mutex_lock
#define pthread_mutex_trylock virt_pthread_mutex_trylock
#define pthread_mutex_unlock virt_pthread_mutex_unlock
#define pthread_once virt_pthread_once
#define pthread_key_create virt_pthread_key_create
#define pthread_key_delete virt_pthread_key_delete
#define pthread_setspecific virt_pthread_setspecific
#define pthread_getspecific virt_pthread_getspecific
#define pthread_atfork virt_pthread_atfork
#define nanosleep virt_nanosleep
#define clock_gettime virt_clock_gettime
#define sched_yield virt_sched_yield
#define sched_getcpu virt_sched_getcpu
#define syscall virt_syscall
#define prctl virt_prctl
#define sh_cpu_relax virt_relax
#define eventfd(count, flags) virt_eventfd(count, flags)
#define read(fd, to, n) virt_read(fd, to, n)
#define write(fd, from, n) virt_write(fd, from, n)
#define close(fd) virt_close(fd)
#define ppoll(fds, n, timeout, mask) virt_ppoll(fds, n, timeout, mask)
#endif

/* The explorer's memory (tests/model/arena.c). */
void *virt_arena_calloc(size_t n, size_t size);
void virt_arena_free(void *p);
void *virt_arena_memcpy(void *to, const void *from, size_t n); /* the compiler announces plain accesses, not these */
void *virt_arena_memset(void *to, int c, size_t n);
void *virt_loose_block_alloc(size_t size, size_t align);
void virt_loose_block_free(void *p, size_t size, size_t align);

#ifdef VIRT_LOOSE /* as VIRT_ARENA, for code that the compiler does not watch */
#define sh_block_alloc virt_loose_block_alloc
#define sh_block_free virt_loose_block_free
#elif defined(VIRT_ARENA) /* the tool goes back in time: all memory must be its own */
#undef memcpy
#define memcpy virt_arena_memcpy
#undef memset
#define memset virt_arena_memset
#define calloc virt_arena_calloc
#define free virt_arena_free
#endif

#endif
