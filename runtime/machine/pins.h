/*
 * machine/pins.h - how many workers of this process are bound to each cpu, of all its runtimes and pools together, so
 * that a pin plan takes free cpus first. plan.c counts the workers that it seats; life/pool.c gives them back. Only
 * plans for the machine that we run on are counted.
 *
 * Thread: any, all at once. Blocks: never. Two plans that are made at the same instant may take the same cpu. A forked
 * child starts with none: the threads of its parent do not exist there.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_MACHINE_PINS_H
#define SH_MACHINE_PINS_H

#include "base/compiler.h"

/* Before the counts are read or changed for a new plan: forgets those of the process that forked this one. */
void sh_pins_begin(void);
uint32_t sh_pins_count(uint32_t os_cpu);
void sh_pins_add(uint32_t os_cpu);
/* Once for each sh_pins_add of the same process. */
void sh_pins_drop(uint32_t os_cpu);

#endif
