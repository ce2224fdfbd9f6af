/*
 * model/report.c - prints one execution: a line a step, who did what where, which values were passed over, and the line of
 * source behind it. Names of variables come from the program's own symbol table.
 *
 * SPDX-License-Identifier: MIT
 */
#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/model.h"

#define LINES_MAX 400u
#define SOURCE_WIDTH 72

/* The program as it lies on disk; NULL = not readable, then addresses stay numbers. */
static const unsigned char *program(void)
{
	struct stat st;
	void *p = MAP_FAILED;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && fstat(fd, &st) == 0)
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (fd >= 0)
		(void)close(fd);
	return p == MAP_FAILED ? NULL : p;
}

static int load_base(struct dl_phdr_info *info, size_t size, void *out)
{
	(void)size;
	*(uintptr_t *)out = info->dlpi_addr;
	return 1; /* the program is first */
}

/* "ring+0x40" for an address inside a variable; false = none there. */
bool report_variable(const void *addr, char *out, size_t bytes)
{
	static const unsigned char *exe; /* stays mapped */
	const ElfW(Ehdr) * head;
	const ElfW(Shdr) * section;
	uintptr_t base = 0, at;

	if (!exe && !(exe = program()))
		return false;
	(void)dl_iterate_phdr(load_base, &base);
	at = (uintptr_t)addr - base;
	head = (const void *)exe;
	section = (const void *)(exe + head->e_shoff);
	for (unsigned i = 0; i < head->e_shnum; i++) {
		const ElfW(Sym) *sym = (const void *)(exe + section[i].sh_offset);
		const char *names = (const char *)exe + section[section[i].sh_link].sh_offset;

		if (section[i].sh_type != SHT_SYMTAB)
			continue;
		for (size_t k = 0; k < section[i].sh_size / sizeof(*sym); k++)
			if (ELF64_ST_TYPE(sym[k].st_info) == STT_OBJECT && at >= sym[k].st_value && at < sym[k].st_value + sym[k].st_size) {
				size_t off = at - sym[k].st_value;

				if (off)
					(void)snprintf(out, bytes, "%s+0x%zx", names + sym[k].st_name, off);
				else
					(void)snprintf(out, bytes, "%s", names + sym[k].st_name);
				return true;
			}
	}
	return false;
}

void report_where(const struct model_site *site, char *out, size_t bytes)
{
	const char *file = strstr(site->file, "runtime/");

	file = file ? file + strlen("runtime/") : strrchr(site->file, '/') ? strrchr(site->file, '/') + 1
									   : site->file;
	(void)snprintf(out, bytes, "%s:%d", file, site->line);
}

static void print_source(const struct model_site *site)
{
	FILE *f = fopen(site->file, "r");
	char line[256] = "", *text = line;

	for (int i = 0; f && i < site->line; i++)
		if (!fgets(line, sizeof(line), f))
			break;
	if (f)
		(void)fclose(f);
	while (*text == '\t' || *text == ' ')
		text++;
	text[strcspn(text, "\n")] = 0;
	printf("   %.*s", SOURCE_WIDTH, text);
}

static void print_step(const struct trace_line *t)
{
	char where[128], what[96], value[96];

	report_where(t->site, where, sizeof(where));
	if (t->site->kind == MODEL_LOAD)
		(void)snprintf(value, sizeof(value), "= %" PRIx64, t->before);
	else if (t->bytes == 16 && !t->done)
		(void)snprintf(value, sizeof(value), "failed: %" PRIx64 ":%" PRIx64, t->before, t->before_hi);
	else if (t->bytes == 16)
		(void)snprintf(value, sizeof(value), "%" PRIx64 ":%" PRIx64 " -> %" PRIx64 ":%" PRIx64, t->before,
			       t->before_hi, t->after, t->after_hi);
	else if (t->site->kind == MODEL_CAS && !t->done)
		(void)snprintf(value, sizeof(value), "failed: %" PRIx64, t->before);
	else
		(void)snprintf(value, sizeof(value), "%" PRIx64 " -> %" PRIx64, t->before, t->after);
	printf("%-22s %-12s %-16s %-26s", where, t->site->op, arena_name(t->addr, what, sizeof(what)), value);
	if (t->older)
		printf(" (%s %u newer)", t->site->kind == MODEL_LOAD ? "passed over" : "in front of", t->older);
	if (E->weak[t->site - __start_model_sites])
		printf(" (weakened)");
	print_source(t->site);
	printf("\n");
}

void report_trace(void)
{
	uint32_t first = E->trace_n > LINES_MAX ? E->trace_n - LINES_MAX : 0;

	if (first)
		printf("    (the first %u steps are left out)\n", first);
	for (uint32_t i = first; i < E->trace_n; i++) {
		const struct trace_line *t = &E->trace[i];

		printf("    %4u %-10s ", i, t->thread);
		if (t->site)
			print_step(t);
		else
			printf("-- %s\n", t->text);
	}
}
