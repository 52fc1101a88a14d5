// SPDX-License-Identifier: GPL-2.0-or-later
/* What ksmd costs; see ksmd.h. */
#include "ksm/ksmd.h"

#include "base/cleanup.h"
#include "ksm/host.h"
#include "ksm/text.h"
#include "lens/proc_text.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_S   1000000000ULL
#define TEXT_BYTES 1024

/* A process may call itself ksmd; a kernel thread is one. */
static bool is_ksmd(int process)
{
    char text[TEXT_BYTES];
    struct matrix_lens_task task;
    CLEANUP_CLOSE int fd = openat(process, "stat", O_RDONLY | O_CLOEXEC);
    return fd >= 0 && ksm_read_again(fd, text, sizeof(text)) == 0 &&
           proc_text_stat(text, (uint64_t)sysconf(_SC_CLK_TCK), &task) && task.kernel_thread &&
           strcmp(task.name, "ksmd") == 0;
}

static void open_time(int process, struct ksmd *ksmd)
{
    uint64_t ns;
    ksmd->fd = openat(process, "schedstat", O_RDONLY | O_CLOEXEC);
    if (ksmd->fd >= 0 && ksmd_read(ksmd, &ns))
        return;
    ksmd_close(ksmd);
    ksmd->fd = openat(process, "stat", O_RDONLY | O_CLOEXEC);
    ksmd->in_ticks = true;
}

void ksmd_open(const char *proc_root, struct ksmd *ksmd)
{
    *ksmd = (struct ksmd){.fd = -1};
    DIR *directory = opendir(proc_root);
    if (!directory)
        return;
    for (const struct dirent *entry; ksmd->fd < 0 && (entry = readdir(directory));) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
            continue;
        CLEANUP_CLOSE int process =
            openat(dirfd(directory), entry->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (process >= 0 && is_ksmd(process))
            open_time(process, ksmd);
    }
    closedir(directory);
}

void ksmd_close(struct ksmd *ksmd)
{
    if (ksmd->fd >= 0)
        close(ksmd->fd);
    ksmd->fd = -1;
}

bool ksmd_read(const struct ksmd *ksmd, uint64_t *cpu_ns)
{
    char text[TEXT_BYTES];
    uint64_t ticks;
    if (ksmd->fd < 0 || ksm_read_again(ksmd->fd, text, sizeof(text)))
        return false;
    if (!ksmd->in_ticks)
        return ksm_text_schedstat(text, cpu_ns);
    return ksm_text_stat_ticks(text, &ticks) &&
           !__builtin_mul_overflow(ticks, NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK), cpu_ns);
}
