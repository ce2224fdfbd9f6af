/*
 * shunt/run/cmd_run.h - `shunt run`: hashes and test-compresses every file of a directory tree by
 * jobs that spawn jobs, and reports what the runtime did. Called by main.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_CMD_RUN_H
#define SHUNT_CMD_RUN_H

/* argv[0] is the command. Exit code: 0, 1 (failed), 2 (usage), 130 (stopped by a signal). */
int cmd_run(int argc, char **argv);

#endif
