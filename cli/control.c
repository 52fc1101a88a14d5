// SPDX-License-Identifier: GPL-2.0-or-later
/* The option --control; see control.h. Used by `matrix run` and `matrix cloud`. */
#include "cli/control.h"

#include "base/error.h"
#include <string.h>

struct matrix_error *cli_control_start(const struct control_guests *guests, const char *option,
                                       struct control_server **server)
{
    if (option && strcmp(option, "none") == 0)
        return NULL;
    const bool has_path = option && strcmp(option, "auto") != 0;
    struct matrix_error *error = control_server_start(guests, has_path ? option : NULL, server);
    if (!error || option)
        return error_prefix(error, "--control");
    matrix_error_free(error);
    return NULL;
}
