// SPDX-License-Identifier: GPL-2.0-or-later
/* Processes with memory that KSM may merge; see mergeable.h. */
#include "bench/mergeable.h"

#include "base/cleanup.h"
#include "base/error.h"
#include <errno.h>
#include <fcntl.h>
#include <matrix/lens.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS  (MATRIX_PAGE_BYTES / sizeof(uint64_t))
#define WAIT_S 300
#define LOOKS  100 /* a second */

static void fill(uint64_t *memory, size_t bytes, unsigned number, mergeable_content *content)
{
    for (size_t page = 0; page < bytes / MATRIX_PAGE_BYTES; page++) {
        memory[page * WORDS] = content(number, page);
        memory[page * WORDS + WORDS - 1] = ~content(number, page);
    }
}

struct matrix_error *mergeable_start(unsigned number, size_t bytes, mergeable_content *content,
                                     struct ksm_subject *subject)
{
    int ready[2];
    char byte;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || pipe2(ready, O_CLOEXEC))
        return error_host(errno, "map %zu bytes", bytes);
    madvise(memory, bytes, MADV_NOHUGEPAGE);
    const pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        fill(memory, bytes, number, content);
        if (madvise(memory, bytes, MADV_MERGEABLE) == 0)
            (void)!write(ready[1], "", 1);
        for (;;)
            pause();
    }
    const int failed = errno;
    close(ready[1]);
    munmap(memory, bytes);
    const bool is_ready = pid > 0 && read(ready[0], &byte, 1) == 1;
    close(ready[0]);
    subject->pid = pid > 0 ? pid : 0;
    if (!is_ready)
        return error_host(pid < 0 ? failed : ENOSYS, "start a process with mergeable memory");
    subject->regions = calloc(1, sizeof(*subject->regions));
    if (!subject->regions)
        return error_host(ENOMEM, "start a process");
    subject->regions[0] =
        (struct ksm_region){.gpa = (uintptr_t)memory, .hva = (uintptr_t)memory, .bytes = bytes};
    subject->region_count = 1;
    return NULL;
}

void mergeable_stop(struct ksm_subject *subject)
{
    if (subject->pid > 0) {
        kill(subject->pid, SIGKILL);
        waitpid(subject->pid, NULL, 0);
    }
    free(subject->regions);
    *subject = (struct ksm_subject){0};
}

struct matrix_error *mergeable_wait(const struct ksm_subject *subject, size_t pages)
{
    char path[64];
    unsigned long merged = 0;
    snprintf(path, sizeof(path), "/proc/%d/ksm_merging_pages", subject->pid);
    for (unsigned looks = 0; looks < WAIT_S * LOOKS; looks++) {
        CLEANUP_FILE FILE *file = fopen(path, "re");
        if (!file || fscanf(file, "%lu", &merged) != 1)
            return error_host(errno, "read %s", path);
        if (merged >= pages)
            return NULL;
        usleep(1000000 / LOOKS);
    }
    return error_host(ETIMEDOUT, "wait for KSM to merge %zu pages of process %d: it has %lu", pages,
                      subject->pid, merged);
}

struct ksm_knobs mergeable_knobs(const char *pages_to_scan, const char *sleep_millisecs)
{
    struct ksm_knobs knobs = {{{0}}};
    snprintf(knobs.text[KSM_KNOB_PAGES_TO_SCAN], KSM_KNOB_TEXT, "%s", pages_to_scan);
    snprintf(knobs.text[KSM_KNOB_SLEEP_MILLISECS], KSM_KNOB_TEXT, "%s", sleep_millisecs);
    snprintf(knobs.text[KSM_KNOB_SMART_SCAN], KSM_KNOB_TEXT, "0");
    snprintf(knobs.text[KSM_KNOB_RUN], KSM_KNOB_TEXT, "1");
    return knobs;
}
