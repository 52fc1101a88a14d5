// SPDX-License-Identifier: GPL-2.0-or-later
/* Reads /proc/PID/maps, and the flags in smaps; see mappings.h. */
#include "ksm/mappings.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "lens/explain.h"
#include "lens/proc_text.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

bool ksm_mapping_parse(const char *line, struct ksm_mapping *mapping)
{
    struct proc_mapping range;
    if (!proc_text_mapping(line, &range))
        return false;
    /* "START-END rw-p OFFSET DEVICE INODE PATH"; the lens has checked as far as the rights. */
    const char *rights = strchr(line, ' ') + 1;
    const char *field = rights;
    for (int i = 0; i < 3; i++) {
        field = strchr(field, ' ');
        if (!field)
            return false;
        field++;
    }
    const char *path = field + strcspn(field, " \n");
    path += strspn(path, " ");
    *mapping = (struct ksm_mapping){
        .start = range.start,
        .end = range.end,
        .no_access = range.no_access,
        .is_private = rights[3] == 'p',
        .is_writable = rights[1] == 'w',
        .is_anonymous = *field == '0' && (field[1] == ' ' || field[1] == '\n' || !field[1]),
        .is_special = range.is_gate || strncmp(path, "[v", 2) == 0,
    };
    return true;
}

static struct matrix_error *fail(pid_t pid, int number)
{
    const struct lens_subject subject = {.pid = pid};
    return lens_explain(LENS_FOOTPRINT, &subject,
                        number == ENOENT   ? ESRCH
                        : number == EACCES ? EPERM
                                           : number);
}

static FILE *open_file(pid_t pid, const char *name)
{
    char path[48];
    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    return fopen(path, "re");
}

/* Returns 0 or an errno. */
static int append(struct ksm_mapping **mappings, size_t *count, size_t *capacity,
                  const struct ksm_mapping *mapping)
{
    if (*count == *capacity) {
        const size_t larger = *capacity ? 2 * *capacity : 64;
        struct ksm_mapping *grown = reallocarray(*mappings, larger, sizeof(*grown));
        if (!grown)
            return ENOMEM;
        *mappings = grown;
        *capacity = larger;
    }
    (*mappings)[(*count)++] = *mapping;
    return 0;
}

struct matrix_error *ksm_mappings_read(pid_t pid, struct ksm_mapping **mappings, size_t *count)
{
    CLEANUP_FREE struct ksm_mapping *found = NULL;
    CLEANUP_FREE char *line = NULL;
    size_t size = 0, capacity = 0, known = 0;
    uint64_t seen = 0; /* where the last one ended: they ascend, or it is none of the kernel's */
    CLEANUP_FILE FILE *file = open_file(pid, "maps");
    if (!file)
        return fail(pid, errno);
    errno = 0;
    while (getline(&line, &size, file) > 0) {
        struct ksm_mapping mapping;
        if (!ksm_mapping_parse(line, &mapping) || mapping.start < seen)
            continue;
        seen = mapping.end;
        if (append(&found, &known, &capacity, &mapping))
            return fail(pid, ENOMEM);
    }
    if (ferror(file))
        return fail(pid, errno ? errno : EIO);
    if (!known)
        return fail(pid, ENXIO);
    *mappings = TAKE(found);
    *count = known;
    return NULL;
}

bool ksm_mappings_cover(const struct ksm_mapping *mappings, size_t count, uint64_t start,
                        uint64_t bytes)
{
    uint64_t left = bytes;
    for (size_t i = 0; i < count && left; i++) {
        const uint64_t at = start + (bytes - left); /* the first that is not found yet */
        if (mappings[i].start <= at && at < mappings[i].end)
            left -= left < mappings[i].end - at ? left : mappings[i].end - at;
    }
    return left == 0;
}

bool ksm_mappings_any_mergeable(pid_t pid)
{
    CLEANUP_FREE char *line = NULL;
    size_t size = 0;
    CLEANUP_FILE FILE *file = open_file(pid, "smaps");
    if (!file)
        return false;
    while (getline(&line, &size, file) > 0)
        if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " mg"))
            return true;
    return false;
}
