/*
 * shunt/load_hlog.h - service times out of an HdrHistogram interval log, as `shunt load --hist`, `shunt run --hist` and
 * programs write them. Called by load_dist.c for `--service hlog:PATH`.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_LOAD_HLOG_H
#define SHUNT_LOAD_HLOG_H

#include "load_dist.h"

/*
 * Fills value_ns, up_to, values and mean_ns from the series run.*, all intervals together; if there are none, from the
 * lines without a tag. False after a message that names the file, and a line that is damaged; nothing is left behind.
 */
bool load_hlog_read(const char *path, struct load_service *out);

#endif
