/* bench/micro/select_shim.h - a pool's choice over made-up workers, in plain functions. SPDX-License-Identifier: MIT */
#ifndef BENCH_SELECT_SHIM_H
#define BENCH_SELECT_SHIM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct select_shim;

struct select_shim *select_shim_create(uint32_t workers); /* NULL = out of memory */
void select_shim_destroy(struct select_shim *s);
void select_shim_idle(struct select_shim *s);           /* a fifth of them spins, the others have 1 to 16 jobs */
void select_shim_busy(struct select_shim *s);           /* all have 1 to 17 */
void select_shim_equal(struct select_shim *s);          /* all have 1 */
uint32_t select_shim_spinning(struct select_shim *s);   /* an idle one */
uint32_t select_shim_least_work(struct select_shim *s); /* nobody idle: the cheapest of those looked at */

#ifdef __cplusplus
}
#endif
#endif
