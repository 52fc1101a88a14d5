/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands for which a guest, or a core, is looked into, for the table in answer.c. */
#ifndef CONTROL_LOOKS_H
#define CONTROL_LOOKS_H

#include "control/command.h"

json_t *command_memory(struct control_call *call);
json_t *command_translate(struct control_call *call);
json_t *command_board(struct control_call *call);

#endif
