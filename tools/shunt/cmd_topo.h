/*
 * shunt/cmd_topo.h - `shunt topo`: draws the machine and, beside it, who would run where. Called by main.
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_CMD_TOPO_H
#define SHUNT_CMD_TOPO_H

/* argv[0] is the name of the command. Returns the exit code: 0, 1 (cannot read or write), 2 (usage, bad place or input). */
int cmd_topo(int argc, char **argv);

#endif
