/*
 * base/inject.h - named points at which tests stop a thread or make a resource fail. Compiles to
 * nothing unless SHUNT_INJECT is defined (the test build of the library); the shipped library has
 * no trace of it.
 *
 *   SH_POINT(name)   the calling thread enters the hook, which may sleep, count or stop it for ever
 *   SH_FAIL(name)    true if the hook makes this operation fail (allocation, thread start, pin,
 *                    wake, file); then errno is set
 *
 * A point has one name at all places that fail alike. tests/unit/inject_sweep_test.c makes each
 * fail, and tests/e2e/failpoints.py finds calls without a point.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_BASE_INJECT_H
#define SH_BASE_INJECT_H

#ifdef SHUNT_INJECT
#include <shunt/visibility.h>

typedef int (*sh_inject_fn)(void *arg, const char *point);

/* Installs the hook (NULL removes it). Test builds only; call it while no runtime is active. */
SHUNT_API void sh_inject_set(sh_inject_fn fn, void *arg);
int sh_inject_hit(const char *point);

#define SH_POINT(name) ((void)sh_inject_hit(name))
#define SH_FAIL(name) (sh_inject_hit(name) != 0)
#else
#define SH_POINT(name) ((void)0)
#define SH_FAIL(name) (0)
#endif

#endif
