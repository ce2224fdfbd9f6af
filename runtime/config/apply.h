/*
 * config/apply.h - converts settings into options structs. Called by shunt_config_runtime (apply.c)
 * and by the test that shows that every key of the table reaches a field.
 *
 * Every field that a key names is written, defaults too, so that what `shunt config` prints is what is used; a key that
 * has no effect in the mode that is set leaves its field 0.
 * Texts point into c and live until it changes. Thread: one at a time per config. Blocks: never.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CONFIG_APPLY_H
#define SH_CONFIG_APPLY_H

#include "config/config.h"

void sh_config_runtime_opts(struct shunt_config *c, struct shunt_runtime_opts *out);
/* Pool `i` of sh_config_used_count(c, SH_POOLS). */
void sh_config_pool_opts(struct shunt_config *c, uint32_t i, struct shunt_pool_opts *out);
/*
 * Type `i` of sh_config_used_count(c, SH_TYPES). opts.pool and opts.handler stay empty; *pool is
 * the index of the pool, and *handler the name of the handler.
 */
void sh_config_type_opts(struct shunt_config *c, uint32_t i, struct shunt_type_opts *out, uint32_t *pool,
			 const char **handler);

#endif
