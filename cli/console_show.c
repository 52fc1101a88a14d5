// SPDX-License-Identifier: GPL-2.0-or-later
/* What a guest printed, shown; see console.h. */
#include "base/parse.h"
#include "cli/common.h"
#include "cli/console.h"
#include <stdio.h>

static bool is_to_escape(struct console_show *show, unsigned char byte)
{
    if (!show->options->escapes)
        return false;
    if (byte != '\n')
        return controls_next(&show->controls, byte);
    show->controls.left = 0;
    return false;
}

size_t console_show_text(struct console_show *show, const struct control_logs *logs, char *text)
{
    static const char digits[] = "0123456789abcdef";
    size_t length = 0;
    for (size_t i = 0; i < logs->bytes; i++) {
        const unsigned char byte = (unsigned char)logs->data[i];
        if (is_to_escape(show, byte)) {
            text[length++] = '\\';
            text[length++] = 'x';
            text[length++] = digits[byte >> 4];
            text[length++] = digits[byte & 15];
        } else {
            text[length++] = (char)byte;
        }
    }
    return length;
}

static void say(const struct console_guest *guest, const char *text)
{
    fprintf(stderr, "%s: ", console_program());
    cli_print_escaped(stderr, guest->vm.name);
    fprintf(stderr, " %s\n", text);
}

void console_show_notes(struct console_show *show, const struct console_guest *guest)
{
    const struct control_logs *logs = &guest->logs;
    char text[96], count[FORMAT_BYTES];
    if (logs->lost_bytes) {
        snprintf(text, sizeof(text), "printed %s bytes %s that are lost",
                 format_count(count, logs->lost_bytes), show->start ? "more" : "before");
        say(guest, text);
    }
    if (show->start && logs->start != show->start)
        say(guest, "started again");
    show->start = logs->start;
}

void console_show_end(const struct console_guest *guest)
{
    if (guest->is_gone) {
        say(guest, "is gone, and who ran it");
        return;
    }
    fprintf(stderr, "%s: ", console_program());
    cli_print_escaped(stderr, guest->vm.name);
    fputs(" has ended: ", stderr);
    cli_print_escaped(stderr, guest->logs.state);
    fputc('\n', stderr);
}
