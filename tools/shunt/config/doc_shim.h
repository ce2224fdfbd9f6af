/*
 * shunt/config/doc_shim.h - docs/CONFIG.md from the table of options. Called by cmd_config.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_CONFIG_DOC_SHIM_H
#define SHUNT_CONFIG_DOC_SHIM_H

#include <stdio.h>

/* Prints the whole document. The caller checks ferror. */
void config_doc_print(FILE *f);

#endif
