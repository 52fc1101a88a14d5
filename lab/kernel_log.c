// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keeps the lab kernel's console log and knows which of its lines are complaints. What
 * counts stands in two tables; filled by lab/relay.c, printed by cli/lab.c.
 */
#include "lab/kernel_log.h"

#include "base/cleanup.h"
#include "base/error.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* More than any sane run writes; beyond it only the file gets the log. */
#define LOG_BYTES_MAX ((size_t)64 << 20)

#define LINES_BEFORE 5
#define LINES_AFTER  30

struct kernel_log {
    char *text;
    size_t length, capacity;
    FILE *file, *echo;
};

/*
 * Texts that only a kernel in trouble writes. A fault of a program ("traps: faulty[12]
 * general protection fault ip:...") must match none of them: that is the program's business.
 */
static const char *const complaints[] = {
    "Kernel panic - not syncing",
    "kernel BUG at",
    "BUG: ",       /* page faults, KASAN, soft lockups, scheduling while atomic, ... */
    "BUG kmalloc", /* SLUB's own reports: "BUG <cache> (...): ..." */
    "WARNING: ",   /* WARN(), and lockdep: circular or recursive locking, suspicious RCU */
    "INFO: task ", /* hung task: "blocked for more than 120 seconds" */
    "INFO: trying to register non-static key",
    "INFO: possible ", /* lockdep's older spelling */
    "INFO: suspicious RCU",
    "self-detected stall on CPU",
    "detected stalls on CPUs",
    "rcu_preempt kthread starved",
    "possible circular locking dependency",
    "possible recursive locking",
    "suspicious RCU usage",
    "inconsistent lock state",
    "KASAN: ",
    "UBSAN: ",
    "KCSAN: ",
    "kmemleak: ", /* "N new suspected memory leaks"; it says nothing when all is well */
    "general protection fault, ",
    "general protection fault: ",
    "double fault: ",
    "0000 [#", /* any oops: "divide error: 0000 [#1]" */
    "Oops: ",
    "refcount_t: ",
    "list_add corruption",
    "list_del corruption",
    "Bad page state",
    "Bad rss-counter state",
    "nobody cared", /* irq N: nobody cared */
    "Unable to mount root fs",
};

/* Lines that match above and are known to be harmless in this machine, each with its reason. */
static const char *const harmless[] = {
    /* kmemleak's greetings, on debug kernels. */
    "kmemleak: Kernel memory leak detector initialized",
    "kmemleak: Automatic memory scanning thread",
    /* The processor's known weaknesses are listed at boot; they say nothing about the run. */
    "Spectre V2 : WARNING: ",
};

static bool contains_any(const char *line, size_t length, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (memmem(line, length, texts[i], strlen(texts[i])))
            return true;
    return false;
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

bool kernel_log_line_is_complaint(const char *line, size_t length)
{
    return contains_any(line, length, complaints, COUNT(complaints)) &&
           !contains_any(line, length, harmless, COUNT(harmless));
}

struct matrix_error *kernel_log_open(const char *path, FILE *echo, struct kernel_log **log)
{
    CLEANUP_FREE struct kernel_log *opened = calloc(1, sizeof(*opened));
    if (!opened)
        return error_host(ENOMEM, "keep the kernel's log");
    opened->echo = echo;
    if (path && !(opened->file = fopen(path, "we")))
        return error_host(errno, "open %s for the kernel's log", path);
    *log = TAKE(opened);
    return NULL;
}

void kernel_log_free(struct kernel_log *log)
{
    if (!log)
        return;
    if (log->file)
        fclose(log->file);
    free(log->text);
    free(log);
}

/* Without memory the text is cut: the file still gets it, and the taint mask tells the rest. */
static void append_text(struct kernel_log *log, const char *bytes, size_t length)
{
    if (log->length + length > log->capacity) {
        size_t capacity = (log->length + length) * 2;
        char *text = capacity <= LOG_BYTES_MAX ? realloc(log->text, capacity) : NULL;
        if (!text)
            return;
        log->text = text;
        log->capacity = capacity;
    }
    /* The serial console ends lines with CR LF. */
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != '\r')
            log->text[log->length++] = bytes[i];
}

void kernel_log_append(struct kernel_log *log, const char *bytes, size_t length)
{
    append_text(log, bytes, length);
    FILE *const copies[] = {log->file, log->echo};
    for (size_t i = 0; i < COUNT(copies); i++) {
        if (!copies[i])
            continue;
        fwrite(bytes, 1, length, copies[i]);
        fflush(copies[i]);
    }
}

/* Steps through the log; *line starts as NULL. Returns false behind the last line. */
static bool next_line(const struct kernel_log *log, const char **line, size_t *length)
{
    const char *end = log->text + log->length;
    const char *start = *line ? *line + *length + 1 : log->text;
    if (!start || start >= end)
        return false;
    const char *newline = memchr(start, '\n', (size_t)(end - start));
    *line = start;
    *length = (size_t)((newline ? newline : end) - start);
    return true;
}

size_t kernel_log_count_complaints(const struct kernel_log *log)
{
    size_t count = 0, length = 0;
    const char *line = NULL;
    while (next_line(log, &line, &length))
        count += kernel_log_line_is_complaint(line, length);
    return count;
}

/* The line count lines before line, or the log's first. */
static const char *step_back(const struct kernel_log *log, const char *line, size_t count)
{
    while (line > log->text) {
        const char *newline = memrchr(log->text, '\n', (size_t)(line - 1 - log->text));
        if (count-- == 0)
            break;
        line = newline ? newline + 1 : log->text;
    }
    return line;
}

void kernel_log_write_complaints(const struct kernel_log *log, FILE *to)
{
    const char *line = NULL, *written = log->text;
    size_t length = 0, after = 0;
    while (next_line(log, &line, &length)) {
        bool complaint = kernel_log_line_is_complaint(line, length);
        if (complaint) {
            const char *from = step_back(log, line, LINES_BEFORE);
            if (from < written)
                from = written;
            else if (from > written && written > log->text)
                fputs("  ...\n", to);
            for (size_t before; from < line; from += before + 1) {
                before = (size_t)((const char *)memchr(from, '\n', (size_t)(line - from)) - from);
                fprintf(to, "  %.*s\n", (int)before, from);
            }
            after = LINES_AFTER + 1;
        }
        if (after > 0) {
            fprintf(to, "%s%.*s\n", complaint ? "> " : "  ", (int)length, line);
            written = line + length + 1;
            after--;
        }
    }
}

void kernel_log_write_end(const struct kernel_log *log, size_t lines, FILE *to)
{
    if (log->length == 0)
        return;
    const char *end = log->text + log->length;
    const char *from = step_back(log, end, lines);
    size_t length = 0;
    for (const char *line = from; line < end; line += length + 1) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        length = (size_t)((newline ? newline : end) - line);
        fprintf(to, "  %.*s\n", (int)length, line);
    }
}
