/* machine/bind.c - see bind.h. Only this file and topo.c use hwloc. SPDX-License-Identifier: MIT */
#include "machine/bind.h"

#include <errno.h>
#include <hwloc.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <string.h>

#include "base/inject.h"

static int bind_error(int e)
{
	if (e == ENOSYS)
		return SHUNT_ENOSYS;
	return e == ENOMEM ? SHUNT_ENOMEM : SHUNT_EPERM;
}

/* The raw call, as in sh_cpus_affinity: hwloc allocates for it, and crashes when out of memory. */
static int bind_to(const struct sh_cpus *set)
{
	if (SH_FAIL("topo.pin"))
		return SHUNT_EPERM;
	return syscall(SYS_sched_setaffinity, 0, sizeof(set->w), set->w) < 0 ? bind_error(errno) : SHUNT_OK;
}

int sh_topo_bind_thread(const struct shunt_topo *t, int cpu)
{
	struct sh_cpus set;

	assert(t != NULL);
	if (!t->live)
		return SHUNT_ENOSYS;
	if (cpu < 0)
		return bind_to(&t->allowed);
	if (cpu >= (int)SH_CPUS_MAX || !sh_cpus_has(&t->allowed, (uint32_t)cpu))
		return SHUNT_EPLACE;
	memset(&set, 0, sizeof(set));
	sh_cpus_add(&set, (uint32_t)cpu);
	return bind_to(&set);
}

int sh_topo_bind_thread_as(const struct sh_cpus *mask)
{
	struct sh_cpus now;

	if (sh_cpus_affinity(&now, 0) == 0 && memcmp(&now, mask, sizeof(now)) == 0)
		return SHUNT_OK;
	return bind_to(mask);
}

int sh_topo_readback(char *mask, size_t len, int *cpu_now)
{
	struct sh_cpus set;
	int rc = sh_cpus_affinity(&set, 0);

	if (rc < 0)
		return rc;
	if (mask && len)
		(void)sh_cpus_format(&set, mask, len);
	if (cpu_now)
		*cpu_now = SH_FAIL("topo.getcpu") ? -1 : sched_getcpu();
	return cpu_now && *cpu_now < 0 ? SHUNT_ESYS : SHUNT_OK;
}

int sh_topo_bind_memory(const struct shunt_topo *t, void *p, size_t len, unsigned os_node)
{
	hwloc_bitmap_t set;
	int rc = SHUNT_OK;

	assert(t != NULL);
	if (!p || !len || sh_topo_node_find(t, os_node) == SHUNT_TOPO_NONE)
		return SHUNT_EINVAL;
	if (!t->live)
		return SHUNT_ENOSYS;
	if (SH_FAIL("topo.membind"))
		return SHUNT_EPERM;
	set = SH_FAIL("topo.bitmap") ? NULL : hwloc_bitmap_alloc();
	if (!set)
		return SHUNT_ENOMEM;
	if (SH_FAIL("topo.bitmap") || hwloc_bitmap_only(set, os_node) < 0)
		rc = SHUNT_ENOMEM;
	else if (hwloc_set_area_membind(t->hw, p, len, set, HWLOC_MEMBIND_BIND,
					HWLOC_MEMBIND_BYNODESET | HWLOC_MEMBIND_MIGRATE) < 0)
		rc = bind_error(errno);
	hwloc_bitmap_free(set);
	return rc;
}

int sh_topo_page_node(const void *p)
{
	uintptr_t page = (uintptr_t)p & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
	unsigned char resident;
	void *pages[1];
	int status = -1;

	memcpy(pages, &page, sizeof(page));
	if (SH_FAIL("topo.page_node"))
		return SHUNT_ESYS;
	/* hwloc_get_area_memlocation returns a set and hides "not touched yet". */
	if (syscall(SYS_move_pages, 0, 1UL, pages, NULL, &status, 0) < 0) {
		if (errno == ENOSYS)
			return SHUNT_ENOSYS;
		return errno == EPERM || errno == EACCES ? SHUNT_EPERM : SHUNT_ESYS;
	}
	if (status >= 0)
		return status;
	if (status == -ENOENT)
		return SHUNT_EAGAIN;
	if (status != -EFAULT)
		return SHUNT_ESYS;
	/* Linux 6.1 reports the same for pages that are unmapped, untouched, or only read. */
	return mincore(pages[0], 1, &resident) == 0 ? SHUNT_EAGAIN : SHUNT_EINVAL;
}
