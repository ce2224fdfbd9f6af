/*
 * tests/guest/truth.c - what the kernel says about the machine, read from /sys and by system calls: neither hwloc nor
 * the library has a hand in it, so the checks compare two independent readings.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CPU "/sys/devices/system/cpu/"
#define NODE "/sys/devices/system/node/"
#define PAGE ((uintptr_t)4096)

const char *truth_text(char *buf, size_t len, const char *fmt, ...)
{
	char path[256];
	va_list ap;
	ssize_t n;
	int fd;

	va_start(ap, fmt);
	(void)vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	buf[0] = '\0';
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return buf;
	n = read(fd, buf, len - 1);
	(void)close(fd);
	buf[n > 0 ? n : 0] = '\0';
	if (n > 0 && buf[n - 1] == '\n')
		buf[n - 1] = '\0';
	return buf;
}

bool truth_write(const char *text, const char *fmt, ...)
{
	char path[256];
	va_list ap;
	bool ok;
	int fd;

	va_start(ap, fmt);
	(void)vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	(void)close(fd);
	return ok;
}

bool truth_cpu_online(uint32_t cpu, bool online)
{
	return truth_write(online ? "1" : "0", CPU "cpu%u/online", cpu);
}

uint64_t truth_mask(const char *list)
{
	uint64_t mask = 0;

	while (*list) {
		char *end;
		unsigned long a = strtoul(list, &end, 10), b = a;

		if (end == list)
			break;
		if (*end == '-')
			b = strtoul(end + 1, &end, 10);
		for (; a <= b && a < TRUTH_CPUS; a++)
			mask |= UINT64_C(1) << a;
		list = *end == ',' ? end + 1 : end;
	}
	return mask;
}

const char *truth_list(uint64_t mask, char *buf, size_t len)
{
	size_t at = 0;

	buf[0] = '\0';
	for (uint32_t a = 0, b; a < TRUTH_CPUS; a = b + 1) {
		b = a;
		if (!(mask >> a & 1u))
			continue;
		while (b + 1 < TRUTH_CPUS && (mask >> (b + 1) & 1u))
			b++;
		at += (size_t)snprintf(buf + at, len - at, b > a ? "%s%u-%u" : "%s%u", at ? "," : "", a, b);
		if (at >= len)
			break;
	}
	return buf;
}

/* The list in the file `head`n`tail`. */
static uint64_t mask_of(const char *head, uint32_t n, const char *tail)
{
	char text[256];

	return truth_mask(truth_text(text, sizeof(text), "%s%u%s", head, n, tail));
}

static void read_node(struct truth *m, uint32_t n)
{
	struct truth_node *node = &m->node[n];
	char text[2048], *at;

	if (!truth_text(text, sizeof(text), NODE "node%u/distance", n)[0])
		return;
	node->there = true;
	m->nodes = n + 1;
	at = text;
	for (uint32_t i = 0; i < TRUTH_NODES; i++)
		node->distance[i] = (uint32_t)strtoul(at, &at, 10);
	node->cpus = mask_of(NODE "node", n, "/cpulist");
	at = strstr(truth_text(text, sizeof(text), NODE "node%u/meminfo", n), "MemTotal:");
	if (at)
		node->memory_bytes = strtoull(at + strlen("MemTotal:"), NULL, 10) * 1024;
}

static void read_cpu(struct truth *m, uint32_t c)
{
	struct truth_cpu *cpu = &m->cpu[c];

	cpu->online = m->online >> c & 1u;
	cpu->node = UINT32_MAX;
	for (uint32_t n = 0; n < m->nodes; n++) {
		if (m->node[n].cpus >> c & 1u)
			cpu->node = n;
	}
	cpu->siblings = mask_of(CPU "cpu", c, "/topology/thread_siblings_list");
	cpu->l3 = mask_of(CPU "cpu", c, "/cache/index3/shared_cpu_list");
	cpu->package = mask_of(CPU "cpu", c, "/topology/package_cpus_list");
}

bool truth_read(struct truth *m)
{
	uint64_t present;
	char text[256];

	memset(m, 0, sizeof(*m));
	m->online = truth_mask(truth_text(text, sizeof(text), CPU "online"));
	present = truth_mask(truth_text(text, sizeof(text), CPU "present"));
	if (!m->online || !present)
		return false;
	m->cpus = 64u - (uint32_t)__builtin_clzll(present);
	for (uint32_t n = 0; n < TRUTH_NODES; n++)
		read_node(m, n);
	for (uint32_t c = 0; c < m->cpus; c++)
		read_cpu(m, c);
	return m->nodes > 0;
}

int truth_page_node(const void *p)
{
	uintptr_t page = (uintptr_t)p & ~(PAGE - 1);
	void *pages[1];
	int status = -EIO;

	memcpy(pages, &page, sizeof(page));
	if (syscall(SYS_move_pages, 0, 1UL, pages, NULL, &status, 0) < 0)
		return -errno;
	return status;
}

uint32_t truth_pages_elsewhere(const void *p, size_t len, uint32_t node, uint32_t *untouched)
{
	uintptr_t first = (uintptr_t)p & ~(PAGE - 1), end = (uintptr_t)p + len;
	uint32_t elsewhere = 0;

	*untouched = 0;
	for (uintptr_t page = first; page < end; page += PAGE) {
		int at = truth_page_node((const char *)p + (page - (uintptr_t)p));

		if (at == -ENOENT || at == -EFAULT) /* -EFAULT: read only, so it is the zero page */
			(*untouched)++;
		else if (at != (int)node)
			elsewhere++;
	}
	return elsewhere;
}

uint64_t truth_affinity(void)
{
	uint64_t mask[16] = { 0 }; /* the kernel wants room for all cpus that it could have */

	return syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask) < 0 ? 0 : mask[0];
}

bool truth_affinity_set(uint64_t mask)
{
	return syscall(SYS_sched_setaffinity, 0, sizeof(mask), &mask) == 0;
}

uint32_t truth_far(const struct truth *m, uint32_t a, uint32_t b)
{
	const struct truth_cpu *from = &m->cpu[a], *to = &m->cpu[b];

	if (a == b)
		return 0;
	if (from->siblings >> b & 1u)
		return 1;
	if (from->l3 >> b & 1u)
		return 2;
	if (from->node == to->node)
		return 3;
	return 1000 + m->node[from->node].distance[to->node];
}
