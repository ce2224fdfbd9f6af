/* model/hooks.c - see hooks.h. SPDX-License-Identifier: MIT */
#include "model/hooks.h"

/* The compiler's calls. It declares them nowhere. */
#define HOOK(bytes) \
	void __tsan_read##bytes(void *p); \
	void __tsan_write##bytes(void *p); \
	void __tsan_unaligned_read##bytes(void *p); \
	void __tsan_unaligned_write##bytes(void *p); \
	void __tsan_read##bytes(void *p) { hook_access(p, bytes, false); } \
	void __tsan_write##bytes(void *p) { hook_access(p, bytes, true); } \
	void __tsan_unaligned_read##bytes(void *p) { hook_access(p, bytes, false); } \
	void __tsan_unaligned_write##bytes(void *p) { hook_access(p, bytes, true); }

HOOK(1)
HOOK(2)
HOOK(4)
HOOK(8)
HOOK(16)

void __tsan_init(void);
void __tsan_func_entry(void *pc);
void __tsan_func_exit(void *pc);
void __tsan_read_range(void *p, unsigned long bytes);
void __tsan_write_range(void *p, unsigned long bytes);
void *virt_arena_memcpy(void *to, const void *from, size_t n);
void *virt_arena_memset(void *to, int c, size_t n);

void __tsan_init(void)
{
}

void __tsan_func_entry(void *pc)
{
	(void)pc;
}

void __tsan_func_exit(void *pc)
{
	(void)pc;
}

void __tsan_read_range(void *p, unsigned long bytes)
{
	hook_access(p, bytes, false);
}

void __tsan_write_range(void *p, unsigned long bytes)
{
	hook_access(p, bytes, true);
}

void *virt_arena_memcpy(void *to, const void *from, size_t n)
{
	hook_access(from, n, false);
	hook_access(to, n, true);
	return memcpy(to, from, n);
}

void *virt_arena_memset(void *to, int c, size_t n)
{
	hook_access(to, n, true);
	return memset(to, c, n);
}
