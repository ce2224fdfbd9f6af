/*
 * machine/cpulist.h - a fixed-size set of kernel cpu numbers and the kernel's list format
 * ("0-3,8"). Called by the topology, budget and place modules. No allocation; a set is 1 KiB, so
 * sets live on the stack.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CORE_CPULIST_H
#define SH_CORE_CPULIST_H

#include "base/compiler.h"

#define SH_CPUS_MAX 8192u

struct sh_cpus {
	uint64_t w[SH_CPUS_MAX / 64];
};

static inline bool sh_cpus_has(const struct sh_cpus *s, uint32_t cpu)
{
	return cpu < SH_CPUS_MAX && (s->w[cpu / 64] >> (cpu % 64) & 1) != 0;
}

static inline void sh_cpus_add(struct sh_cpus *s, uint32_t cpu)
{
	assert(cpu < SH_CPUS_MAX);
	s->w[cpu / 64] |= UINT64_C(1) << (cpu % 64);
}

static inline void sh_cpus_del(struct sh_cpus *s, uint32_t cpu)
{
	assert(cpu < SH_CPUS_MAX);
	s->w[cpu / 64] &= ~(UINT64_C(1) << (cpu % 64));
}

uint32_t sh_cpus_count(const struct sh_cpus *s);
/* dst becomes dst & src. */
void sh_cpus_and(struct sh_cpus *dst, const struct sh_cpus *src);
/* dst becomes dst | src. */
void sh_cpus_or(struct sh_cpus *dst, const struct sh_cpus *src);
/*
 * Parses "0-3,8". Blanks around items and a final newline are allowed; an empty text is an empty
 * set. 0, or SHUNT_EINVAL for anything else: a reversed range, an empty item, a number over 8191.
 */
int sh_cpus_parse(struct sh_cpus *s, const char *text);
/* Writes the list, terminated and cut to len (which must be > 0). Returns the full length. */
size_t sh_cpus_format(const struct sh_cpus *s, char *buf, size_t len);
/* Affinity of a thread (0 = the caller). 0, SHUNT_ESYS, SHUNT_ENOENT (the thread has ended). */
int sh_cpus_affinity(struct sh_cpus *s, int tid);

#endif
