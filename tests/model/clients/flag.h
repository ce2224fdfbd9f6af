/*
 * model/clients/flag.h - how the threads of a client tell each other "that happened" without ordering anything: relaxed
 * words to sleep on. Whatever order a client sees must come from the runtime. Used by the clients of this folder.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MODEL_CLIENTS_FLAG_H
#define MODEL_CLIENTS_FLAG_H

#include <limits.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/futex.h"

static inline SH_UNUSED void flag_raise(sh_a32 *flag)
{
	(void)sh_a32_add_rlx(flag, 1); /* mo rlx: must not order anything. */
	(void)sh_futex_wake(flag, INT_MAX);
}

/* Sleeps until the flag was raised n times. */
static inline SH_UNUSED void flag_await(sh_a32 *flag, uint32_t n)
{
	uint32_t seen;

	while ((seen = sh_a32_load_rlx(flag)) < n) /* mo rlx: as above. */
		(void)sh_futex_wait(flag, seen, SH_FOREVER);
}

#endif
