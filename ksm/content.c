// SPDX-License-Identifier: GPL-2.0-or-later
/* Reads what stands in merged frames; see content.h. */
#include "ksm/content.h"

#include "base/cleanup.h"
#include "base/error.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
/* Inlined: a page's size is a constant, and no library is needed when it runs. */
#define XXH_INLINE_ALL
#include <xxhash.h>

/*
 * /proc/PID/mem, and not process_vm_readv(2): that one pins pages, and a merged page that is to be
 * pinned is copied first (FAULT_FLAG_UNSHARE, since Linux 5.19). Looking would unmerge it.
 */
static int open_memory(pid_t pid)
{
    char path[48];
    snprintf(path, sizeof(path), "/proc/%d/mem", pid);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static void read_content(int fd, uint64_t hva, struct ksm_content *content)
{
    char bytes[MATRIX_PAGE_BYTES];
    if (pread(fd, bytes, sizeof(bytes), (off_t)hva) != (ssize_t)sizeof(bytes))
        return;
    content->hash = XXH64(bytes, sizeof(bytes), 0);
    memcpy(content->first, bytes, sizeof(content->first));
    content->is_known = true;
}

static int compare_hashes(const void *a, const void *b)
{
    const uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;
    return (first > second) - (first < second);
}

static struct matrix_error *count_distinct(const struct ksm_map *map, struct ksm_contents *contents)
{
    CLEANUP_FREE uint64_t *hashes = calloc(map->group_count + 1, sizeof(*hashes));
    size_t count = 0;
    if (!hashes)
        return error_host(ENOMEM, "compare %zu frames", map->group_count);
    for (size_t i = 0; i < map->group_count; i++)
        if (contents->items[i].is_known && map->groups[i].mappings + map->groups[i].outside > 1)
            hashes[count++] = contents->items[i].hash;
    qsort(hashes, count, sizeof(*hashes), compare_hashes);
    for (size_t i = 0; i < count; i++)
        contents->distinct += i == 0 || hashes[i] != hashes[i - 1];
    return NULL;
}

/* Groups whose first place is the subject's. */
static struct matrix_error *read_subject(const struct ksm_map *map, size_t subject,
                                         struct ksm_contents *contents)
{
    CLEANUP_CLOSE int fd = -1;
    const pid_t pid = map->list->subjects[subject].pid;
    for (size_t i = 0; i < map->group_count; i++) {
        const struct ksm_place place = map->places[map->groups[i].first_place];
        if (place.subject != subject)
            continue;
        if (fd < 0)
            fd = open_memory(pid);
        if (fd < 0 && (errno == ENOENT || errno == ESRCH))
            return NULL; /* it has ended since */
        if (fd < 0)
            return error_new(MATRIX_ERROR_HOST, errno, "run it as root",
                             "read the memory of process %d", pid);
        read_content(fd, ksm_map_hva(map, place), &contents->items[i]);
    }
    return NULL;
}

static struct matrix_error *read_all(const struct ksm_map *map, struct ksm_contents *contents)
{
    for (size_t i = 0; i < map->list->count; i++)
        RETURN_IF_ERROR(read_subject(map, i, contents));
    return count_distinct(map, contents);
}

struct matrix_error *ksm_contents_read(const struct ksm_map *map, struct ksm_contents *contents)
{
    *contents =
        (struct ksm_contents){.items = calloc(map->group_count + 1, sizeof(*contents->items))};
    if (!contents->items)
        return error_host(ENOMEM, "keep the content of %zu frames", map->group_count);
    struct matrix_error *error = read_all(map, contents);
    if (error)
        ksm_contents_free(contents);
    return error;
}

void ksm_contents_free(struct ksm_contents *contents)
{
    free(contents->items);
    *contents = (struct ksm_contents){0};
}
