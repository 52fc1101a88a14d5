// SPDX-License-Identifier: GPL-2.0-or-later
/* `matrix logs`: what a guest printed lately, and what it prints from now on. */
#include "base/base64.h"
#include "base/error.h"
#include "cli/console.h"
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

/* As text, where it is UTF-8; else every byte beyond ASCII is a question mark. */
static json_t *text_of(const struct control_logs *logs)
{
    char copy[sizeof(logs->data)];
    json_t *text = json_stringn(logs->data, logs->bytes);
    for (size_t i = 0; !text && i < logs->bytes; i++)
        copy[i] = logs->data[i] & (char)0x80 ? '?' : logs->data[i];
    return text ? text : json_stringn(copy, logs->bytes);
}

static bool print_json(const struct console_guest *guest)
{
    const struct control_logs *logs = &guest->logs;
    char data[BASE64_TEXT_LENGTH(sizeof(logs->data)) + 1];
    base64_encode(logs->data, logs->bytes, data);
    json_t *object =
        json_pack("{s:i, s:s, s:s, s:i, s:I, s:I, s:I, s:o, s:s}", "version", 1, "guest",
                  guest->vm.name, "state", logs->state, "start", (int)logs->start, "from",
                  (json_int_t)logs->from, "next", (json_int_t)logs->next, "lost_bytes",
                  (json_int_t)logs->lost_bytes, "text", text_of(logs), "data", data);
    const bool is_printed =
        object && json_dumpf(object, stdout, JSON_COMPACT) == 0 && putchar('\n') != EOF;
    json_decref(object);
    return is_printed;
}

static struct matrix_error *print(struct console_show *show, const struct console_guest *guest)
{
    char text[CONSOLE_SHOWN_MAX(sizeof(guest->logs.data))];
    bool is_printed = true;
    if (show->options->json) {
        if (guest->logs.bytes || guest->logs.lost_bytes)
            is_printed = print_json(guest);
        show->start = guest->logs.start;
    } else {
        console_show_notes(show, guest);
        const size_t length = console_show_text(show, &guest->logs, text);
        is_printed = fwrite(text, 1, length, stdout) == length;
    }
    if (!is_printed || fflush(stdout) == EOF)
        return error_host(errno, "print what guest %s printed", guest->vm.name);
    return NULL;
}

static void wait_ms(unsigned ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

/* Of a piece, what comes before end. */
static void cut(struct control_logs *logs, uint64_t end)
{
    if (logs->next <= end)
        return;
    const uint64_t excess = logs->next - end;
    logs->bytes = excess < logs->bytes ? logs->bytes - (size_t)excess : 0;
    logs->next = end;
}

/* What was printed up to then: a guest that goes on printing does not keep us. */
static struct matrix_error *show_remembered(struct console_show *show, struct console_guest *guest)
{
    const uint64_t end = guest->logs.end;
    while (!guest->is_gone && guest->next < end) {
        RETURN_IF_ERROR(console_guest_ask(guest));
        cut(&guest->logs, end);
        RETURN_IF_ERROR(print(show, guest));
    }
    return NULL;
}

static struct matrix_error *follow(struct console_show *show, struct console_guest *guest)
{
    for (;;) {
        RETURN_IF_ERROR(console_guest_ask(guest));
        RETURN_IF_ERROR(print(show, guest));
        const bool has_all = guest->next == guest->logs.end;
        if (guest->is_gone || (has_all && guest->logs.is_over))
            break;
        if (has_all)
            wait_ms(guest->pause_ms);
    }
    console_show_end(guest);
    return NULL;
}

struct matrix_error *console_logs(const struct console_options *options, int *status)
{
    struct console_show show = {.options = options};
    struct console_guest guest;
    struct matrix_error *error = console_guest_open(options->guest, &guest);
    if (!error)
        error = console_guest_seek(&guest, options->lines);
    if (!error)
        error = options->follow ? follow(&show, &guest) : show_remembered(&show, &guest);
    console_guest_close(&guest);
    *status = 0;
    return error;
}
