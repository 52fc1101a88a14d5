// SPDX-License-Identifier: GPL-2.0-or-later
/* What the guest of `matrix run` printed lately, for `matrix logs`. Its input is the caller's own. */
#include "cli/run.h"

#include "control/command.h"
#include "control/console.h"
#include "control/server.h"
#include <string.h>

static json_t *command_logs(struct control_call *call)
{
    const struct run_console *run = call->context;
    struct control_logs_request request;
    struct matrix_vm_info info;
    struct matrix_core_guest guest;
    if (!control_console_read_logs(call, &request))
        return NULL;
    matrix_vm_info(run->vm, &info);
    json_t *name = control_string(info.name);
    const bool is_meant = !request.guest || strcmp(request.guest, json_string_value(name)) == 0;
    json_decref(name);
    if (!is_meant)
        return control_refuse(call, "no_such_guest", "there is no guest of that name");
    const struct control_console console = {
        .guest = info.name,
        .state = matrix_core_guest(run->core, 0, &guest) ? guest.state
                                                         : matrix_vm_state_name(info.state),
        .history = run->history,
        .starts = 1,
        .is_over = info.state != MATRIX_VM_ALIVE,
    };
    return control_console_logs(call, &console, &request);
}

static const struct control_command table[] = {
    {"logs", command_logs,
     "what the guest printed lately, a piece at a time: from (optional; the answer's next), max",
     .is_last = true},
};

void run_console_serve(struct run_console *run, struct control_server *server)
{
    run->commands =
        (struct control_commands){table, sizeof(table) / sizeof(table[0]), .context = run};
    if (server)
        control_server_extend(server, &run->commands);
}
