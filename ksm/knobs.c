// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads and writes the knobs of kernel same-page merging; see knobs.h.
 *
 * The order of writing is the kernel's (mm/ksm.c): max_page_sharing and merge_across_nodes change
 * only while no page is merged, so before anything else is started; a new advisor_mode resets
 * pages_to_scan, and with the advisor on pages_to_scan cannot be written, so the mode comes first
 * and pages_to_scan only if the mode is none; run comes last, when all else is in place.
 */
#include "ksm/knobs.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUSY_REMEDY                                                                            \
    "it changes only while nothing is merged: `echo 2 > /sys/kernel/mm/ksm/run` unmerges all " \
    "pages, "                                                                                  \
    "and takes the memory that merging saved"
#define ADVISOR_REMEDY \
    "with advisor_mode scan-time the advisor alone sets pages_to_scan: set it to none"

/*
 * Numbers from minimum to maximum, or one of the words. without: what a kernel that has no such knob does
 * anyway, so that it may be asked of each.
 */
static const struct {
    const char *name;
    uint64_t minimum, maximum;
    const char *words[3];
    const char *without;
} knobs_known[KSM_KNOB_COUNT] = {
    [KSM_KNOB_MAX_PAGE_SHARING] = {"max_page_sharing", 2, INT_MAX, {0}, NULL},
    [KSM_KNOB_MERGE_ACROSS_NODES] = {"merge_across_nodes", 0, 1, {0}, NULL},
    [KSM_KNOB_ADVISOR_MAX_CPU] = {"advisor_max_cpu", 0, 100, {0}, NULL},
    [KSM_KNOB_ADVISOR_MIN_PAGES_TO_SCAN] = {"advisor_min_pages_to_scan", 0, UINT_MAX, {0}, NULL},
    [KSM_KNOB_ADVISOR_MAX_PAGES_TO_SCAN] = {"advisor_max_pages_to_scan", 0, UINT_MAX, {0}, NULL},
    [KSM_KNOB_ADVISOR_TARGET_SCAN_TIME] = {"advisor_target_scan_time", 1, UINT_MAX, {0}, NULL},
    [KSM_KNOB_ADVISOR_MODE] = {"advisor_mode", 0, 0, {"none", "scan-time"}, "none"},
    [KSM_KNOB_PAGES_TO_SCAN] = {"pages_to_scan", 0, UINT_MAX, {0}, NULL},
    [KSM_KNOB_SLEEP_MILLISECS] = {"sleep_millisecs", 0, UINT_MAX, {0}, NULL},
    [KSM_KNOB_USE_ZERO_PAGES] = {"use_zero_pages", 0, 1, {0}, "0"},
    [KSM_KNOB_SMART_SCAN] = {"smart_scan", 0, 1, {0}, "0"},
    [KSM_KNOB_RUN] = {"run", 0, 2, {0}, NULL},
};

const char *ksm_knob_name(enum ksm_knob knob)
{
    return knobs_known[knob].name;
}

enum ksm_knob ksm_knob_find(const char *name, size_t length)
{
    unsigned knob = 0;
    while (knob < KSM_KNOB_COUNT && (strlen(knobs_known[knob].name) != length ||
                                     memcmp(knobs_known[knob].name, name, length) != 0))
        knob++;
    return knob;
}

struct matrix_error *ksm_knob_parse(enum ksm_knob knob, const char *text, struct ksm_knobs *knobs)
{
    uint64_t number;
    if (!knobs_known[knob].words[0]) {
        RETURN_IF_ERROR(error_prefix(
            parse_u64(text, knobs_known[knob].minimum, knobs_known[knob].maximum, &number), "%s",
            knobs_known[knob].name));
        snprintf(knobs->text[knob], KSM_KNOB_TEXT, "%" PRIu64, number);
        return NULL;
    }
    for (const char *const *word = knobs_known[knob].words; *word; word++)
        if (strcmp(text, *word) == 0) {
            snprintf(knobs->text[knob], KSM_KNOB_TEXT, "%s", *word);
            return NULL;
        }
    return error_usage("use none or scan-time", "%s: no such value: %s", knobs_known[knob].name,
                       text);
}

/* The first line of a file of the directory; empty, with errno, where it cannot be read. */
static bool read_line(const char *directory, const char *name, char *line, size_t size)
{
    char path[PATH_MAX];
    line[0] = '\0';
    if (snprintf(path, sizeof(path), "%s/%s", directory, name) >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return false;
    }
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    const ssize_t length = read(fd, line, size - 1);
    if (length < 0)
        return false;
    line[length] = '\0';
    line[strcspn(line, "\n")] = '\0';
    return true;
}

/* Of "none [scan-time]" the word in brackets. */
static const char *chosen_word(char *line)
{
    char *word = strchr(line, '[');
    if (!word)
        return line;
    word[strcspn(word, "]")] = '\0';
    return word + 1;
}

/* text is empty where this kernel has no such knob. */
static struct matrix_error *read_knob(const char *directory, enum ksm_knob knob,
                                      struct ksm_knobs *knobs)
{
    char line[128];
    knobs->text[knob][0] = '\0';
    if (!read_line(directory, knobs_known[knob].name, line, sizeof(line)))
        return errno == ENOENT ? NULL
                               : error_host(errno, "read %s/%s", directory, knobs_known[knob].name);
    return error_prefix(ksm_knob_parse(knob, chosen_word(line), knobs), "read %s", directory);
}

struct matrix_error *ksm_knobs_read(const char *directory, struct ksm_knobs *knobs)
{
    if (access(directory, F_OK))
        return error_new(MATRIX_ERROR_HOST, errno,
                         "use a kernel with CONFIG_KSM; `matrix lab` has one, and `matrix ksm "
                         "experiment --lab` runs there",
                         "look for kernel same-page merging in %s", directory);
    for (unsigned knob = 0; knob < KSM_KNOB_COUNT; knob++)
        RETURN_IF_ERROR(read_knob(directory, knob, knobs));
    return NULL;
}

static const char *remedy_for(enum ksm_knob knob, int number)
{
    if (number == EACCES || number == EPERM || number == EROFS)
        return "run it as root, or in the lab: `matrix ksm experiment --lab`";
    if (number == EBUSY)
        return BUSY_REMEDY;
    if (number == EINVAL && knob == KSM_KNOB_PAGES_TO_SCAN)
        return ADVISOR_REMEDY;
    return NULL;
}

struct matrix_error *ksm_knob_write(const char *directory, enum ksm_knob knob, const char *text)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s/%s", directory, knobs_known[knob].name) >= PATH_MAX)
        return error_host(ENAMETOOLONG, "write %s", knobs_known[knob].name);
    CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC | O_TRUNC);
    if (fd < 0 && errno == ENOENT)
        return error_new(MATRIX_ERROR_HOST, 0, "leave it out, or use a newer kernel",
                         "this kernel has no knob %s", knobs_known[knob].name);
    if (fd >= 0 && write(fd, text, strlen(text)) >= 0)
        return NULL;
    const int number = errno;
    return error_new(MATRIX_ERROR_HOST, number, remedy_for(knob, number), "set %s to %s", path,
                     text);
}

/* Whether this kernel has no such knob, and does nevertheless what is wanted. */
static bool is_so_anyway(enum ksm_knob knob, const char *now, const char *wanted)
{
    const char *without = knobs_known[knob].without;
    return now[0] == '\0' && without && strcmp(wanted, without) == 0;
}

struct matrix_error *ksm_knobs_write(const char *directory, const struct ksm_knobs *knobs)
{
    for (unsigned knob = 0; knob < KSM_KNOB_COUNT; knob++) {
        struct ksm_knobs now;
        const char *wanted = knobs->text[knob];
        if (wanted[0] == '\0')
            continue;
        RETURN_IF_ERROR(read_knob(directory, knob, &now));
        if (strcmp(now.text[knob], wanted) == 0 || is_so_anyway(knob, now.text[knob], wanted))
            continue;
        RETURN_IF_ERROR(ksm_knob_write(directory, knob, wanted));
        RETURN_IF_ERROR(read_knob(directory, knob, &now));
        if (strcmp(now.text[knob], wanted) != 0)
            return error_host(0, "set %s/%s to %s: it is %s afterwards", directory,
                              knobs_known[knob].name, wanted, now.text[knob]);
    }
    return NULL;
}

bool ksm_counter_read(const char *directory, const char *name, int64_t *value)
{
    char line[64], *end;
    if (!read_line(directory, name, line, sizeof(line)))
        return false;
    errno = 0;
    *value = strtoll(line, &end, 10);
    return end != line && *end == '\0' && errno == 0;
}
