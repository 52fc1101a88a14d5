// SPDX-License-Identifier: GPL-2.0-or-later
/* Which processes have come since the last look; see scan.h. */
#include "ksm/scan.h"

#include "base/error.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct pids {
    pid_t *items;
    size_t count, capacity;
};

static bool add(struct pids *pids, pid_t pid)
{
    if (pids->count == pids->capacity) {
        const size_t capacity = pids->capacity ? 2 * pids->capacity : 256;
        pid_t *items = reallocarray(pids->items, capacity, sizeof(*items));
        if (!items)
            return false;
        pids->items = items;
        pids->capacity = capacity;
    }
    pids->items[pids->count++] = pid;
    return true;
}

/* A pid, or 0: /proc has other names, too. */
static pid_t read_pid(const char *name)
{
    long pid = 0;
    for (; *name >= '0' && *name <= '9' && pid < 100000000; name++)
        pid = 10 * pid + (*name - '0');
    return *name ? 0 : (pid_t)pid;
}

static int compare(const void *a, const void *b)
{
    const pid_t first = *(const pid_t *)a, second = *(const pid_t *)b;
    return (first > second) - (first < second);
}

static bool list(const char *proc_root, struct pids *pids, int *number)
{
    DIR *directory = opendir(proc_root);
    bool enough = true;
    *number = errno;
    if (!directory)
        return false;
    for (const struct dirent *entry; enough && (entry = readdir(directory));) {
        const pid_t pid = read_pid(entry->d_name);
        enough = pid == 0 || add(pids, pid);
    }
    closedir(directory);
    *number = ENOMEM;
    if (pids->count)
        qsort(pids->items, pids->count, sizeof(pids->items[0]), compare);
    return enough;
}

struct matrix_error *ksm_scan_look(struct ksm_scan *scan, const char *proc_root, bool again)
{
    struct pids now = {0}, candidates = {.items = scan->candidates, .capacity = scan->capacity};
    int number;
    bool enough = list(proc_root, &now, &number);
    for (size_t i = 0, old = 0; enough && i < now.count; i++) {
        while (old < scan->count && scan->pids[old] < now.items[i])
            old++;
        const bool is_old = old < scan->count && scan->pids[old] == now.items[i];
        if (!is_old || (again && (unsigned)now.items[i] % KSM_SCAN_TURNS == scan->turn)) {
            number = ENOMEM;
            enough = add(&candidates, now.items[i]);
        }
    }
    scan->turn = (scan->turn + 1) % KSM_SCAN_TURNS;
    scan->candidates = candidates.items;
    scan->candidate_count = candidates.count;
    scan->capacity = candidates.capacity;
    if (!enough) {
        free(now.items);
        return error_host(number, "list the processes in %s", proc_root);
    }
    free(scan->pids);
    scan->pids = now.items;
    scan->count = now.count;
    return NULL;
}

static pid_t *find(const struct ksm_scan *scan, pid_t pid)
{
    return scan->count ? bsearch(&pid, scan->pids, scan->count, sizeof(pid), compare) : NULL;
}

bool ksm_scan_has(const struct ksm_scan *scan, pid_t pid)
{
    return find(scan, pid);
}

void ksm_scan_forget(struct ksm_scan *scan, pid_t pid)
{
    pid_t *at = find(scan, pid);
    if (at)
        memmove(at, at + 1, (size_t)(scan->pids + --scan->count - at) * sizeof(*at));
}

void ksm_scan_free(struct ksm_scan *scan)
{
    free(scan->pids);
    free(scan->candidates);
    *scan = (struct ksm_scan){0};
}
