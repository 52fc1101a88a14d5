// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What KSM did for a process: /proc/PID/ksm_stat, a few counters that the kernel keeps anyway. By guest it
 * would have to walk page tables under the lock that the guest's own page faults need: `matrix ksm` and
 * `matrix translate` do so when somebody asks.
 */
#include "base/cleanup.h"
#include "cli/metrics.h"
#include "ksm/text.h"
#include <matrix/lens.h>
#include <string.h>

#define FILE_BYTES 1024 /* of some 150 */

/* As much as fits; nothing if there is no such file, or it is not for us. */
static void read_text(pid_t pid, const char *name, char text[FILE_BYTES])
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    CLEANUP_FILE FILE *file = fopen(path, "re");
    text[file ? fread(text, 1, FILE_BYTES - 1, file) : 0] = '\0';
}

static void take_pages(const struct ksm_value *value, bool *is_known, int64_t *bytes)
{
    *is_known = value->kind == KSM_NUMBER && value->number >= 0 &&
                !__builtin_mul_overflow(value->number, (int64_t)MATRIX_PAGE_BYTES, bytes);
}

struct metrics_ksm metrics_ksm_read(pid_t pid)
{
    struct metrics_ksm ksm = {0};
    char text[FILE_BYTES], name[KSM_NAME_BYTES];
    struct ksm_value value;
    read_text(pid, "ksm_stat", text);
    for (const char *rest = text; ksm_text_field(&rest, name, &value);) {
        if (strcmp(name, "ksm_merging_pages") == 0) {
            take_pages(&value, &ksm.knows_merged, &ksm.merged_bytes);
        } else if (strcmp(name, "ksm_zero_pages") == 0) {
            take_pages(&value, &ksm.knows_zero, &ksm.zero_bytes);
        } else if (strcmp(name, "ksm_process_profit") == 0 && value.kind == KSM_NUMBER) {
            ksm.knows_profit = true;
            ksm.profit_bytes = value.number;
        }
    }
    if (!ksm.knows_merged) { /* before Linux 6.4 that count stands only here */
        read_text(pid, "ksm_merging_pages", text);
        ksm_text_value(text, &value);
        take_pages(&value, &ksm.knows_merged, &ksm.merged_bytes);
    }
    return ksm;
}
