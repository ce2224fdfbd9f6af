/* machine/cpulist.c - see cpulist.h. SPDX-License-Identifier: MIT */
#include "machine/cpulist.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <shunt/error.h>

#include "base/inject.h"

uint32_t sh_cpus_count(const struct sh_cpus *s)
{
	uint32_t n = 0;

	for (size_t i = 0; i < SH_COUNT(s->w); i++)
		n += (uint32_t)__builtin_popcountll(s->w[i]);
	return n;
}

void sh_cpus_and(struct sh_cpus *dst, const struct sh_cpus *src)
{
	for (size_t i = 0; i < SH_COUNT(dst->w); i++)
		dst->w[i] &= src->w[i];
}

void sh_cpus_or(struct sh_cpus *dst, const struct sh_cpus *src)
{
	for (size_t i = 0; i < SH_COUNT(dst->w); i++)
		dst->w[i] |= src->w[i];
}

static const char *skip_blank(const char *p)
{
	while (isspace((unsigned char)*p))
		p++;
	return p;
}

/* Reads one cpu number; NULL when there is none, it is too large, or it begins with 0 as the number of a mask does. */
static const char *read_cpu(const char *p, uint32_t *out)
{
	uint32_t v = 0;

	if (!isdigit((unsigned char)*p) || (p[0] == '0' && isdigit((unsigned char)p[1])))
		return NULL;
	for (; isdigit((unsigned char)*p); p++) {
		v = v * 10 + (uint32_t)(*p - '0');
		if (v >= SH_CPUS_MAX)
			return NULL;
	}
	*out = v;
	return p;
}

int sh_cpus_parse(struct sh_cpus *s, const char *text)
{
	const char *p = skip_blank(text);
	uint32_t a = 0, b = 0;

	memset(s, 0, sizeof(*s));
	if (!*p)
		return SHUNT_OK;
	for (;;) {
		p = read_cpu(skip_blank(p), &a);
		if (!p)
			return SHUNT_EINVAL;
		b = a;
		if (*p == '-') {
			p = read_cpu(p + 1, &b);
			if (!p || b < a)
				return SHUNT_EINVAL;
		}
		for (uint32_t c = a; c <= b; c++)
			sh_cpus_add(s, c);
		p = skip_blank(p);
		if (!*p)
			return SHUNT_OK;
		if (*p++ != ',')
			return SHUNT_EINVAL;
	}
}

size_t sh_cpus_format(const struct sh_cpus *s, char *buf, size_t len)
{
	size_t at = 0;

	assert(len > 0);
	buf[0] = '\0';
	for (uint32_t a = 0; a < SH_CPUS_MAX; a++) {
		char item[32];
		uint32_t b = a;
		int n;

		if (!sh_cpus_has(s, a))
			continue;
		while (sh_cpus_has(s, b + 1))
			b++;
		if (b == a)
			n = snprintf(item, sizeof(item), "%s%u", at ? "," : "", a);
		else
			n = snprintf(item, sizeof(item), "%s%u-%u", at ? "," : "", a, b);
		if (at < len)
			(void)snprintf(buf + at, len - at, "%s", item);
		at += (size_t)n;
		a = b;
	}
	return at;
}

int sh_cpus_affinity(struct sh_cpus *s, int tid)
{
	memset(s, 0, sizeof(*s));
	if (SH_FAIL("cpus.affinity"))
		return SHUNT_ESYS;
	/* The raw call fills as many words as the kernel's masks have, glibc's only cpu_set_t. */
	if (syscall(SYS_sched_getaffinity, tid, sizeof(s->w), s->w) < 0)
		return errno == ESRCH ? SHUNT_ENOENT : SHUNT_ESYS;
	return SHUNT_OK;
}
