/*
 * shunt/hist/cmd_hist.h - `shunt hist FILE.hlog`: the contents of an HdrHistogram log, one row per
 * series. Called by main.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_CMD_HIST_H
#define SHUNT_CMD_HIST_H

/* argv[0] is the command. Exit code: 0, 1 (cannot read or write), 2 (usage, damaged log). */
int cmd_hist(int argc, char **argv);

#endif
