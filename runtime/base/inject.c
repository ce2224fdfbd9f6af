/* base/inject.c - the hook of the test build; see inject.h. SPDX-License-Identifier: MIT */
#include "base/inject.h"

#ifdef SHUNT_INJECT
#include <errno.h>
#include <stddef.h>

#include "base/atomic.h"

static sh_aptr inject_fn;
static sh_aptr inject_arg;

void sh_inject_set(sh_inject_fn fn, void *arg)
{
	void *p = NULL;

	__builtin_memcpy(&p, &fn, sizeof(p));
	sh_aptr_store_sc(&inject_arg, arg); /* mo inject.1 -> inject.1@base/inject.c: before the hook. */
	sh_aptr_store_sc(&inject_fn, p);    /* mo inject.1 -> inject.1@base/inject.c: as above. */
}

int sh_inject_hit(const char *point)
{
	sh_inject_fn fn = 0;
	void *p = sh_aptr_load_sc(&inject_fn); /* mo inject.1 <- inject.1@base/inject.c: hook first. */

	if (!p)
		return 0;
	__builtin_memcpy(&fn, &p, sizeof(fn));
	if (fn(sh_aptr_load_sc(&inject_arg), point) == 0) /* mo inject.1 <- inject.1@base/inject.c: as above. */
		return 0;
	errno = EIO; /* as the failed call would set it, not the errno of an earlier call */
	return 1;
}
#else
typedef int sh_inject_unused; /* ISO C forbids an empty translation unit */
#endif
