/*
 * virt/virt_priv.h - what virt/virt.c offers to virt/os.c beyond virt.h: words to sleep on, mutexes, thread-specific
 * values.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef VIRT_VIRT_PRIV_H
#define VIRT_VIRT_PRIV_H

#include "virt/virt.h"

uint64_t virt_now_ns(void);
/* False = the time was over. */
bool virt_futex_wait(const void *word, uint32_t expected, uint64_t timeout_ns);
int virt_futex_wake(const void *word, int n);
void virt_mutex_lock(uint32_t *holder);
void virt_mutex_unlock(uint32_t *holder);
void virt_barrier(void);
void virt_set_name(uint32_t id, const char *name);
bool virt_key_create(unsigned *key, void (*destroy)(void *));
void virt_key_delete(unsigned key);
void **virt_key_value(unsigned key);

#endif
