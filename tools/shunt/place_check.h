/*
 * shunt/place_check.h - is a text a place expression? Asked by `shunt config`, which must not care whether this machine
 * has the place: the file may be meant for another one.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_PLACE_CHECK_H
#define SHUNT_PLACE_CHECK_H

#include <stddef.h>

/*
 * 0; SHUNT_EPLACE: the grammar is wrong, `why` says where and what would be right; SHUNT_ENOMEM and what else
 * shunt_topo_open returns.
 */
int place_check(const char *text, char *why, size_t size);

#endif
