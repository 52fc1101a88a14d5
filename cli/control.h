/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The option --control of the programs that run guests. */
#ifndef CLI_CONTROL_H
#define CLI_CONTROL_H

#include "control/server.h"

#define CLI_CONTROL_HELP                                                                  \
    "where the control socket is; auto: in the runtime directory, or an error (default: " \
    "there, or none)"

/*
 * Starts the control socket that option asks for. NULL, nothing was said: where that cannot be done
 * the guests run without one.
 */
struct matrix_error *cli_control_start(const struct control_guests *guests, const char *option,
                                       struct control_server **server) MATRIX_MUST_CHECK;

#endif
