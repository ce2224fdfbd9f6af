/* core/topo_bind.c - see topo_bind.h. With topo.c the only home of hwloc. SPDX-License-Identifier: MIT */
#include "core/topo_bind.h"

#include <errno.h>
#include <hwloc.h>
#include <sched.h>
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

static int bind_to(const struct shunt_topo *t, const struct sh_cpus *set)
{
	hwloc_bitmap_t hw = hwloc_bitmap_alloc();
	int rc = SHUNT_OK;

	if (!hw)
		return SHUNT_ENOMEM;
	for (uint32_t c = 0; c < SH_CPUS_MAX; c++) {
		if (sh_cpus_has(set, c) && hwloc_bitmap_set(hw, c) < 0)
			rc = SHUNT_ENOMEM;
	}
	if (rc == SHUNT_OK && hwloc_set_cpubind(t->hw, hw, HWLOC_CPUBIND_THREAD) < 0)
		rc = bind_error(errno);
	hwloc_bitmap_free(hw);
	return rc;
}

int sh_topo_bind_thread(const struct shunt_topo *t, int cpu)
{
	struct sh_cpus set;

	assert(t != NULL);
	if (!t->live)
		return SHUNT_ENOSYS;
	if (cpu < 0)
		return bind_to(t, &t->allowed);
	if (cpu >= (int)SH_CPUS_MAX || !sh_cpus_has(&t->allowed, (uint32_t)cpu))
		return SHUNT_EPLACE;
	if (SH_FAIL("topo.pin"))
		return SHUNT_EPERM;
	memset(&set, 0, sizeof(set));
	sh_cpus_add(&set, (uint32_t)cpu);
	return bind_to(t, &set);
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
		*cpu_now = sched_getcpu();
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
	set = hwloc_bitmap_alloc();
	if (!set)
		return SHUNT_ENOMEM;
	if (hwloc_bitmap_only(set, os_node) < 0)
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
	void *pages[1];
	int status = -1;

	memcpy(pages, &page, sizeof(page));
	/* hwloc_get_area_memlocation would give a set and hide "not touched yet", so the call is made here. */
	if (syscall(SYS_move_pages, 0, 1UL, pages, NULL, &status, 0) < 0) {
		if (errno == ENOSYS)
			return SHUNT_ENOSYS;
		return errno == EPERM || errno == EACCES ? SHUNT_EPERM : SHUNT_ESYS;
	}
	if (status >= 0)
		return status;
	if (status == -ENOENT)
		return SHUNT_EAGAIN;
	return status == -EFAULT ? SHUNT_EINVAL : SHUNT_ESYS;
}
