/*
 * shunt/topo/cmd_topo.h - `shunt topo`: draws the machine, and the workers on its cpus. Called by
 * main.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_CMD_TOPO_H
#define SHUNT_CMD_TOPO_H

/* argv[0] is the command. Exit code: 0, 1 (cannot read or write), 2 (usage, bad place or input). */
int cmd_topo(int argc, char **argv);

#endif
