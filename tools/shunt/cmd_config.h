/*
 * shunt/cmd_config.h - `shunt config`: checks configuration files, and shows every value and where it comes from.
 * Called by main.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_CMD_CONFIG_H
#define SHUNT_CMD_CONFIG_H

/* argv[0] is the name of the command. Returns the exit code: 0, 1 (cannot write), 2 (usage, bad configuration). */
int cmd_config(int argc, char **argv);

#endif
