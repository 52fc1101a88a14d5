// SPDX-License-Identifier: GPL-2.0-or-later
/* What a module writes to the kernel's log, by /dev/kmsg; see modules.h. */
#include "cli/modules.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Records have 1 KiB of text, escaped, and a head. Read with less room they fail with EINVAL. */
#define RECORD_BYTES 8192

void modules_log_open(struct module_log *log)
{
    log->fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (log->fd >= 0 && lseek(log->fd, 0, SEEK_END) < 0) {
        close(log->fd);
        log->fd = -1;
    }
}

void modules_log_close(struct module_log *log)
{
    if (log->fd >= 0)
        close(log->fd);
    log->fd = -1;
}

/* The kernel's own words about modules that are not its; they begin as those of the module do. */
static const char *const of_kernel[] = {
    " loading out-of-tree module taints kernel",
    " module verification failed: signature and/or required key missing",
};

/* "6,339,5140900,-;NAME: text\n KEY=value\n": Documentation/ABI/testing/dev-kmsg. */
const char *modules_log_text(char *record, const char *name)
{
    char *text = strchr(record, ';');
    const size_t length = strlen(name);
    if (!text)
        return NULL;
    text++;
    text[strcspn(text, "\n")] = '\0';
    if (strncmp(text, name, length) != 0 || text[length] != ':')
        return NULL;
    for (size_t i = 0; i < sizeof(of_kernel) / sizeof(of_kernel[0]); i++)
        if (strncmp(text + length + 1, of_kernel[i], strlen(of_kernel[i])) == 0)
            return NULL;
    return text;
}

void modules_log_read(const struct module_log *log, const char *name,
                      void (*line)(const char *text, void *context), void *context)
{
    char record[RECORD_BYTES];
    for (;;) {
        const ssize_t bytes = log->fd < 0 ? 0 : read(log->fd, record, sizeof(record) - 1);
        /* EPIPE: records were overwritten before we came to them; the next read goes on. */
        if (bytes < 0 && (errno == EINTR || errno == EPIPE))
            continue;
        if (bytes <= 0)
            return;
        record[bytes] = '\0';
        const char *text = modules_log_text(record, name);
        if (text)
            line(text, context);
    }
}
