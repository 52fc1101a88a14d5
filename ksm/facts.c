// SPDX-License-Identifier: GPL-2.0-or-later
/* What a recording says about its machine; see facts.h. */
#include "ksm/facts.h"

#include "base/cleanup.h"
#include "lens/proc_text.h"
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static void read_line(const char *path, char *line, size_t size)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t got = fd < 0 ? 0 : read(fd, line, size - 1);
    line[got > 0 ? got : 0] = '\0';
    line[strcspn(line, "\n")] = '\0';
}

static void read_processor(char *name, size_t size)
{
    CLEANUP_FILE FILE *file = fopen("/proc/cpuinfo", "re");
    char line[512];
    while (file && fgets(line, sizeof(line), file)) {
        if (strncmp(line, "model name", strlen("model name")) != 0)
            continue;
        const char *colon = strchr(line, ':');
        if (!colon)
            continue;
        snprintf(name, size, "%s", colon + 1 + strspn(colon + 1, " "));
        name[strcspn(name, "\n")] = '\0';
        return;
    }
}

void ksm_facts_read(struct ksm_facts *facts)
{
    struct utsname system = {0};
    const long pages = sysconf(_SC_PHYS_PAGES), cpus = sysconf(_SC_NPROCESSORS_ONLN);
    *facts = (struct ksm_facts){.page_bytes = (uint64_t)sysconf(_SC_PAGESIZE),
                                .cpus = cpus > 0 ? (uint64_t)cpus : 0};
    facts->memory_bytes = pages > 0 ? (uint64_t)pages * facts->page_bytes : 0;
    if (uname(&system) == 0)
        snprintf(facts->kernel, sizeof(facts->kernel), "%s %s", system.sysname, system.release);
    read_line("/proc/sys/kernel/random/boot_id", facts->boot, sizeof(facts->boot));
    read_processor(facts->processor, sizeof(facts->processor));
}

uint64_t ksm_facts_start_time_ns(pid_t pid)
{
    char path[48], text[1024];
    struct matrix_lens_task task;
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    text[got > 0 ? got : 0] = '\0';
    return proc_text_stat(text, (uint64_t)sysconf(_SC_CLK_TCK), &task) ? task.start_time_ns : 0;
}
