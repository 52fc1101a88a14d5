// SPDX-License-Identifier: GPL-2.0-or-later
/* A guest's output, one line at a time. */
#include "vmm/console.h"

#include "base/clock.h"
#include "vmm/history.h"
#include <stdio.h>
#include <string.h>

#define SECOND_NS 1000000000ULL

void console_init(struct console *console, const struct matrix_vm_options *options, const char *tag)
{
    /* The line buffer is left untouched: a quiet guest costs no memory for it. */
    console->output = options->output;
    console->history = options->history;
    console->tag = tag;
    console->lossy = options->output_lossy;
    console->escape = options->output_escape;
    console->rate = options->output_rate;
    console->credit = options->output_rate;
    console->credit_ns = 0;
    console->dropped_lines = console->dropped_bytes = 0;
    console->ticket = (struct output_ticket){0};
    if (console->output)
        output_join(console->output);
    console->length = 0;
    console->controls = (struct controls){0};
}

void console_destroy(struct console *console)
{
    if (console->output)
        output_leave(console->output);
    console->output = NULL;
}

/* Pays for bytes from the guest's allowance (a token bucket of one second); false: too poor. */
static bool pay(struct console *console, size_t bytes)
{
    if (console->rate == 0)
        return true;
    uint64_t now = clock_now_ns(CLOCK_MONOTONIC);
    uint64_t passed = now - console->credit_ns;
    if (passed >= SECOND_NS) {
        console->credit = console->rate;
        console->credit_ns = now;
    } else {
        /* Bytes are whole: the clock moves on only by what was turned into credit. */
        uint64_t earned = (unsigned __int128)passed * console->rate / SECOND_NS;
        console->credit += earned;
        console->credit_ns += (unsigned __int128)earned * SECOND_NS / console->rate;
        if (console->credit > console->rate)
            console->credit = console->rate;
    }
    if (console->credit < bytes)
        return false;
    console->credit -= bytes;
    return true;
}

/* Passes on what has been gathered, with the tag and an end of line as asked. */
static bool emit(struct console *console, bool end_of_line)
{
    char text[CONSOLE_LINE_BYTES + 256];
    size_t length = 0;
    if (console->tag)
        length = (size_t)snprintf(text, 128, "%.64s: ", console->tag);
    memcpy(text + length, console->line, console->length);
    length += console->length;
    if (end_of_line)
        text[length++] = '\n';

    bool taken = console->lossy && !pay(console, length)
                     ? false
                     : output_put(console->output, &console->ticket, text, length);
    if (!taken && !console->lossy)
        return false;
    if (!taken) {
        console->dropped_lines++;
        console->dropped_bytes += length;
    }
    console->length = 0;
    return true;
}

/* Adds a character; needs up to four bytes of room. */
static void append(struct console *console, char character)
{
    static const char digits[] = "0123456789abcdef";
    if (!console->escape || !controls_next(&console->controls, (unsigned char)character)) {
        console->line[console->length++] = character;
        return;
    }
    const char escaped[] = {'\\', 'x', digits[(unsigned char)character >> 4],
                            digits[character & 15]};
    memcpy(console->line + console->length, escaped, sizeof(escaped));
    console->length += sizeof(escaped);
}

/* Returns how much of it was taken. */
static size_t pass_on(struct console *console, const char *text, size_t bytes)
{
    for (size_t done = 0; done < bytes; done++) {
        if (text[done] == '\n') {
            console->controls.left = 0; /* no character goes over the end of a line */
            if (!emit(console, true))
                return done;
            continue;
        }
        if (console->length > CONSOLE_LINE_BYTES - 5 && !emit(console, console->tag != NULL))
            return done;
        append(console, text[done]);
    }
    return bytes;
}

size_t console_write(struct console *console, const char *text, size_t bytes)
{
    const size_t taken = console->output ? pass_on(console, text, bytes) : bytes;
    if (console->history)
        history_add(console->history, text, taken);
    return taken;
}

void console_show_partial(struct console *console)
{
    if (console->output && !console->tag && console->length)
        emit(console, false);
}

void console_finish(struct console *console)
{
    if (console->output && console->length) {
        /* The last chance: what the queue cannot take is lost, and must be counted. */
        if (!console->lossy)
            console->rate = 0; /* no limit has ever held here */
        console->lossy = true;
        emit(console, console->tag != NULL);
    }
}
