/*
 * config/check.h - the rules of base/options.h over what the sources of a configuration have set. Called by check.c
 * itself, which reports what is broken, and by apply.c, which drops what a stronger source has switched off.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CONFIG_CHECK_H
#define SH_CONFIG_CHECK_H

#include "config/config.h"

/*
 * Is rule `rule` of a pool broken? Then why is filled, *where is where its key is set, and *excused says that a
 * stronger source has set a key that decides, with the file unchanged: then the key only does not count.
 */
bool sh_config_pool_rule(struct shunt_config *c, const struct sh_named *item, uint32_t rule, char *why, size_t size,
			 struct sh_where *where, bool *excused);

#endif
