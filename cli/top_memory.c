// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory of the processes that run guests, and what KSM saves: counters that the kernel keeps anyway. By guest it
 * would have to walk page tables: `matrix ksm map` does when somebody asks. See top.h.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "cli/metrics.h"
#include "cli/top.h"
#include "ksm/host.h"
#include "ksm/text.h"
#include <errno.h>
#include <matrix/lens.h>
#include <string.h>

static bool read_small(const char *path, char text[256])
{
    CLEANUP_FILE FILE *file = fopen(path, "re");
    const size_t bytes = file ? fread(text, 1, 255, file) : 0;
    text[bytes] = '\0';
    return bytes;
}

static int64_t resident_bytes(pid_t pid)
{
    char path[64], text[256];
    uint64_t pages;
    snprintf(path, sizeof(path), "/proc/%d/statm", pid);
    if (!read_small(path, text) || !ksm_text_resident(text, &pages) ||
        pages > INT64_MAX / MATRIX_PAGE_BYTES)
        return -1;
    return (int64_t)(pages * MATRIX_PAGE_BYTES);
}

static bool read_knob(const char *name, int64_t *number)
{
    char path[128], text[256];
    struct ksm_value value;
    snprintf(path, sizeof(path), KSM_HOST_ROOT "/%s", name);
    if (!read_small(path, text))
        return false;
    ksm_text_value(text, &value);
    *number = value.number;
    return value.kind == KSM_NUMBER;
}

/* Before Linux 6.4 the kernel does not say it, and it is reckoned as later ones do. */
static void read_host(struct top_memory *memory)
{
    struct ksm_profit_terms terms = {0};
    memory->has_saved = read_knob("general_profit", &memory->saved_bytes);
    if (memory->has_saved)
        return;
    memory->has_saved = read_knob("pages_shared", &terms.pages_shared) &&
                        read_knob("pages_sharing", &terms.pages_sharing) &&
                        read_knob("pages_unshared", &terms.pages_unshared) &&
                        read_knob("pages_volatile", &terms.pages_volatile) &&
                        ksm_text_profit(&terms, MATRIX_PAGE_BYTES, &memory->saved_bytes);
}

static void read_process(struct top_process *process, pid_t pid)
{
    const struct metrics_ksm ksm = metrics_ksm_read(pid);
    *process = (struct top_process){.pid = pid,
                                    .resident_bytes = resident_bytes(pid),
                                    .merged_bytes = ksm.knows_merged ? ksm.merged_bytes : -1,
                                    .has_profit = ksm.knows_profit,
                                    .profit_bytes = ksm.profit_bytes};
}

struct matrix_error *top_memory_look(struct top_memory *memory, const struct status *status)
{
    top_memory_free(memory);
    memory->processes = calloc(status->count + 1, sizeof(*memory->processes));
    if (!memory->processes)
        return error_host(ENOMEM, "look at the memory of processes");
    for (size_t i = 0; i < status->count; i++) {
        const struct status_core *core = &status->cores[i];
        struct top_process *process = &memory->processes[memory->count];
        /* Cores of a process stand side by side. */
        if (memory->count && process[-1].pid == core->from.pid)
            process--;
        else {
            read_process(process, core->from.pid);
            memory->count++;
        }
        for (size_t j = 0; j < core->guest_count; j++)
            process->guests_bytes += core->guests[j].memory_bytes;
    }
    read_host(memory);
    return NULL;
}

void top_memory_free(struct top_memory *memory)
{
    free(memory->processes);
    *memory = (struct top_memory){0};
}
