/*
 * shunt/load/cmd_load.h - `shunt load`: open-loop load with latency from the intended start, and
 * the machine's own limits measured in the same run. Called by main.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_CMD_LOAD_H
#define SHUNT_CMD_LOAD_H

/* argv[0] is the command. Exit code: 0, 1 (failed), 2 (usage), 130 (stopped by a signal). */
int cmd_load(int argc, char **argv);

#endif
