/*
 * shunt/advise/cmd_advise.h - `shunt advise`: runs a load on every sensible configuration of this
 * machine and reports the best one. Called by main.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_CMD_ADVISE_H
#define SHUNT_CMD_ADVISE_H

/*
 * argv[0] is the name of the command. Returns the exit code: 0, 1 (failed, or no row carries the
 * load), 2 (usage), 130 (stopped by a signal).
 */
int cmd_advise(int argc, char **argv);

#endif
