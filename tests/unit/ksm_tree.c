// SPDX-License-Identifier: GPL-2.0-or-later
/* Made-up trees in place of the kernel's; see ksm_tree.h. */
#include "tests/unit/ksm_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

char tree_root[64], tree_ksm[80], tree_proc[80];

void succeed(struct matrix_error *error)
{
    if (error)
        fail_msg("%s", error->message);
}

void put(const char *name, const char *format, ...)
{
    char path[256], *slash;
    snprintf(path, sizeof(path), "%s/%s", tree_root, name);
    for (slash = path + strlen(tree_root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(file, format, arguments);
    va_end(arguments);
    fclose(file);
}

void put_process(pid_t pid, const char *name, unsigned flags, unsigned start, pid_t parent)
{
    char path[64];
    snprintf(path, sizeof(path), "proc/%d/stat", pid);
    put(path,
        "%d (%s) S %d 1 1 0 -1 %u 1 1 1 1 11 22 0 0 20 0 1 0 %u 1000 10 1 1 1 1 1 1 0 0 0 0 0 0 17 "
        "0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
        pid, name, parent, flags, start);
    snprintf(path, sizeof(path), "proc/%d/statm", pid);
    put(path, "5000 300 20 1 0 40 0\n");
    snprintf(path, sizeof(path), "proc/%d/ksm_stat", pid);
    put(path, "ksm_rmap_items 12\nksm_zero_pages 0\nksm_merging_pages 7\n"
              "ksm_process_profit -768\nksm_merge_any: no\nksm_mergeable: yes\n");
}

int tree_make(void **state)
{
    snprintf(tree_root, sizeof(tree_root), "%s/matrix-ksm-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(tree_root))
        return -1;
    snprintf(tree_ksm, sizeof(tree_ksm), "%s/ksm", tree_root);
    snprintf(tree_proc, sizeof(tree_proc), "%s/proc", tree_root);
    put("ksm/pages_shared", "10\n");
    put("ksm/pages_sharing", "100\n");
    put("ksm/pages_unshared", "1000\n");
    put("ksm/pages_volatile", "3\n");
    put("proc/meminfo", "MemTotal:  100 kB\nMemFree:   40 kB\nMemAvailable:   60 kB\n");
    put_process(1, "init", 0, 5, 0);
    put_process(36, "ksmd", 0, 50, 1); /* no kernel thread: an impostor */
    put_process(37, "ksmd", 0x200000, 50, 2);
    put("proc/37/schedstat", "123456789 5 6\n");
    put("proc/37/statm", "0 0 0 0 0 0 0\n");
    put("proc/self", "no process\n");
    return 0;
}

int tree_remove(void **state)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", tree_root);
    return system(command); /* NOLINT(cert-env33-c): a name of ours */
}

struct ksm_sampler *sampler_of(enum ksm_follow follow, bool watch_ends)
{
    struct ksm_sampler *sampler;
    const struct ksm_sampler_options options = {
        .ksm_root = tree_ksm, .proc_root = tree_proc, .follow = follow, .watch_ends = watch_ends};
    succeed(ksm_sampler_open(&options, &sampler));
    return sampler;
}

int64_t number_of(const struct ksm_source *source, const char *counter)
{
    const struct ksm_value *value = ksm_source_value(source, counter);
    assert_non_null(value);
    assert_int_equal(value->kind, KSM_NUMBER);
    return value->number;
}
