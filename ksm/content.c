// SPDX-License-Identifier: GPL-2.0-or-later
/* Reads what stands in merged frames; see content.h. */
#include "ksm/content.h"

#include "base/cleanup.h"
#include "base/error.h"
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
/* Inlined: a page's size is a constant, and no library is needed when it runs. */
#define XXH_INLINE_ALL
#include <xxhash.h>

/* Pages read by one system call. */
#define BATCH 64

struct batch {
    char bytes[BATCH][MATRIX_PAGE_BYTES];
    struct iovec remote[BATCH];
    size_t groups[BATCH];
    size_t count;
    pid_t pid;
};

static void enter(struct ksm_contents *contents, size_t group, const char *bytes)
{
    struct ksm_content *content = &contents->items[group];
    content->hash = XXH64(bytes, MATRIX_PAGE_BYTES, 0);
    memcpy(content->first, bytes, sizeof(content->first));
    content->is_known = true;
}

/* Reads what is in a batch; a page that cannot be read is stepped over. Returns 0 or an errno. */
static int flush(struct batch *batch, struct ksm_contents *contents)
{
    for (size_t done = 0; done < batch->count;) {
        const struct iovec local = {.iov_base = batch->bytes[done],
                                    .iov_len = (batch->count - done) * MATRIX_PAGE_BYTES};
        const ssize_t bytes =
            process_vm_readv(batch->pid, &local, 1, batch->remote + done, batch->count - done, 0);
        if (bytes < 0 && errno != EFAULT && errno != ESRCH)
            return errno;
        const size_t pages = bytes < 0 ? 0 : (size_t)bytes / MATRIX_PAGE_BYTES;
        for (size_t i = done; i < done + pages; i++)
            enter(contents, batch->groups[i], batch->bytes[i]);
        done += pages ? pages : 1;
    }
    batch->count = 0;
    return 0;
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

static struct matrix_error *read_all(const struct ksm_map *map, struct ksm_contents *contents)
{
    CLEANUP_FREE struct batch *batch = calloc(1, sizeof(*batch));
    if (!batch)
        return error_host(ENOMEM, "read %zu frames", map->group_count);
    for (size_t i = 0; i <= map->group_count; i++) {
        const struct ksm_place *place =
            i < map->group_count ? &map->places[map->groups[i].first_place] : NULL;
        const pid_t pid = place ? map->list->subjects[place->subject].pid : 0;
        if (batch->count == BATCH || pid != batch->pid) {
            const int number = batch->count ? flush(batch, contents) : 0;
            if (number)
                return error_new(MATRIX_ERROR_HOST, number, "run it as root",
                                 "read the memory of process %d", batch->pid);
        }
        if (!place)
            break;
        batch->pid = pid;
        batch->groups[batch->count] = i;
        batch->remote[batch->count++] = (struct iovec){
            .iov_base = (void *)(uintptr_t)ksm_map_hva(map, *place), .iov_len = MATRIX_PAGE_BYTES};
    }
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
