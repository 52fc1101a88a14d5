// SPDX-License-Identifier: GPL-2.0-or-later
/* What guests print and read, over the control socket; see console.h. */
#include "control/console.h"

#include <inttypes.h>
#include <matrix/vm.h>
#include <string.h>

bool control_console_read_logs(struct control_call *call, struct control_logs_request *request)
{
    *request = (struct control_logs_request){.max = CONTROL_LOGS_MAX};
    if (!control_unpack(call, "s?s, s?I, s?I", "guest", &request->guest, "from", &request->from,
                        "max", &request->max))
        return false;
    if (request->from < 0 || request->max < 1)
        return control_refuse(call, "bad_request", "from: 0 or more; max: 1 or more");
    return true;
}

bool control_console_read_input(struct control_call *call, struct control_input_request *request)
{
    const char *text = "";
    *request = (struct control_input_request){0};
    if (!control_unpack(call, "s:s, s?s, s?b", "guest", &request->guest, "data", &text, "eof",
                        &request->is_last))
        return false;
    const size_t length = strlen(text);
    if (length > BASE64_TEXT_LENGTH(CONTROL_INPUT_MAX) ||
        !base64_decode(text, length, request->data, &request->bytes) ||
        request->bytes > CONTROL_INPUT_MAX)
        return control_refuse(call, "bad_request", "data: base64 of at most %d bytes",
                              CONTROL_INPUT_MAX);
    return true;
}

/* Copies a piece, all of which was printed after the same start. Returns its length. */
static size_t copy(const struct control_console *console,
                   const struct control_logs_request *request, uint64_t *from, char *data)
{
    const size_t max =
        request->max < CONTROL_LOGS_MAX ? (size_t)request->max : (size_t)CONTROL_LOGS_MAX;
    const size_t bytes =
        console->history ? matrix_history_read(console->history, from, data, max) : 0;
    const uint64_t until_start = console->start_from - *from;
    return *from < console->start_from && until_start < bytes ? (size_t)until_start : bytes;
}

json_t *control_console_logs(struct control_call *call, const struct control_console *console,
                             const struct control_logs_request *request)
{
    char data[CONTROL_LOGS_MAX], text[BASE64_TEXT_LENGTH(CONTROL_LOGS_MAX) + 1];
    const uint64_t asked = (uint64_t)request->from;
    uint64_t from = asked;
    /* What is there is counted afterwards, so that next is never beyond it. */
    const size_t bytes = copy(console, request, &from, data);
    const uint64_t end = console->history ? matrix_history_end(console->history) : 0;
    if (asked > end)
        return control_refuse(call, "bad_request", "from: %" PRIu64 " bytes were printed so far",
                              end);
    const uint64_t lost = from - asked;
    const uint64_t next = from + bytes;
    base64_encode(data, bytes, text);
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:i, s:b, s:b}", "guest", console->guest,
                     "state", console->state, "from", (json_int_t)from, "next", (json_int_t)next,
                     "end", (json_int_t)end, "lost_bytes", (json_int_t)lost, "data", text, "start",
                     (int)(console->starts - (from < console->start_from)), "over",
                     console->is_over, "takes_input", console->takes_input);
}
