/* machine/pins.c - see pins.h. SPDX-License-Identifier: MIT */
#include "machine/pins.h"

#include <unistd.h>

#include "base/atomic.h"
#include "machine/cpulist.h"

static sh_a32 owner;               /* sync: atomic; the process whose workers are counted */
static sh_a32 pinned[SH_CPUS_MAX]; /* sync: atomic; bound workers, by the kernel's number of the cpu */

void sh_pins_begin(void)
{
	uint32_t me = (uint32_t)getpid();

	/* mo rlx: of two first callers each may clear; what they count is a preference. */
	if (sh_a32_load_rlx(&owner) == me)
		return;
	for (uint32_t i = 0; i < SH_CPUS_MAX; i++)
		sh_a32_store_rlx(&pinned[i], 0); /* mo rlx: as above. */
	sh_a32_store_rlx(&owner, me);            /* mo rlx: as above. */
}

uint32_t sh_pins_count(uint32_t os_cpu)
{
	return os_cpu < SH_CPUS_MAX ? sh_a32_load_rlx(&pinned[os_cpu]) : 0; /* mo rlx: a preference. */
}

void sh_pins_add(uint32_t os_cpu)
{
	if (os_cpu < SH_CPUS_MAX)
		(void)sh_a32_add_rlx(&pinned[os_cpu], 1); /* mo rlx: a preference. */
}

void sh_pins_drop(uint32_t os_cpu)
{
	if (os_cpu < SH_CPUS_MAX && sh_a32_load_rlx(&pinned[os_cpu]) > 0) /* mo rlx: as above; never below zero. */
		(void)sh_a32_sub_rlx(&pinned[os_cpu], 1);                 /* mo rlx: as above. */
}
