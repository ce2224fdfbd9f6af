/*
 * shunt/load/hlog.h - service times from an HdrHistogram interval log, as `shunt load --hist`,
 * `shunt run --hist` and programs write it. Called by load/dist.c for `--service hlog:PATH`.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_LOAD_HLOG_H
#define SHUNT_LOAD_HLOG_H

#include "load/dist.h"

/*
 * Fills value_ns, up_to, values and mean_ns from all intervals of the series run.*, or if there are
 * none from the lines without a tag. False after a message that names the file and a damaged line;
 * then nothing is left behind.
 */
bool load_hlog_read(const char *path, struct load_service *out);

#endif
