/*
 * shunt/config/place_check.h - is a text a place expression? Called by `shunt config`, which
 * ignores whether this machine has the place: the file may be for another one.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_PLACE_CHECK_H
#define SHUNT_PLACE_CHECK_H

#include <stddef.h>

/*
 * 0; SHUNT_EPLACE: the grammar is wrong, `why` has where and what would be right; SHUNT_ENOMEM and
 * the other errors of shunt_topo_open.
 */
int place_check(const char *text, char *why, size_t size);

#endif
