/*
 * shunt/config/cmd_config.h - `shunt config`: checks configuration files, and shows every value
 * with its origin. Called by main.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_CMD_CONFIG_H
#define SHUNT_CMD_CONFIG_H

/* argv[0] is the command. Exit code: 0, 1 (cannot write), 2 (usage, bad configuration). */
int cmd_config(int argc, char **argv);

#endif
