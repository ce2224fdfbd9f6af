/*
 * machine/place.h - the language of place expressions (shunt/topo.h describes it): text in, cpus
 * out, or one message that says what is wrong, where, and what would be right. Called by the pin
 * plan. Works on the flat arrays of the topology and does not allocate. Its work is bounded by the
 * text (4095 characters) and the machine.
 *
 *   expr  = term { "," term }         term  = [ "!" ] ( "all" | list | path )
 *   path  = level { "." level }       level = name ":" index
 *                                           | "kind:" ( "performance" | "efficiency" )
 *   index = "*" | list                list  = item { "+" item }       item = number [ "-" number ]
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_CORE_PLACE_EXPR_H
#define SH_CORE_PLACE_EXPR_H

#include "machine/topo.h"

#define SH_PLACE_TEXT_MAX 4095u /* characters of an expression */
#define SH_PLACE_DEPTH_MAX 6u   /* levels of a path: one of each name, kind included */
#define SH_PLACE_ITEMS_MAX 64u  /* numbers and ranges of one index */

/*
 * Fills pus (capacity t->pus_n) with indexes into t->pus, each once, all allowed, in the order of
 * the expression. 0 and *n >= 1, or SHUNT_EPLACE with the error's detail. expr NULL = all.
 */
int sh_place_parse(const struct shunt_topo *t, const char *expr, uint16_t *pus, uint32_t *n);

#endif
