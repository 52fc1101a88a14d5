/* SPDX-License-Identifier: GPL-2.0-or-later */
/* matrix-ksm: the observatory of kernel same-page merging. ksm.c has the table of subcommands. */
#ifndef CLI_KSM_H
#define CLI_KSM_H

/* Each is like a main: argv[0] is "matrix ksm NAME", and it returns the exit status. */
typedef int ksm_command(int argc, char **argv);

ksm_command ksm_map_main;
ksm_command ksm_experiment_main;

#endif
