// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How the host's scheduler is told of 70 and 30: by two control groups with the cpu controller, of
 * version 2 or 1 (Documentation/admin-guide/cgroup-v2.rst, "Threads"); where there is none that we
 * may use, by the nice levels whose weights come nearest. For bench/versus.
 */
#include "bench/versus.h"

#include "base/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define V1  "/sys/fs/cgroup/cpu"
#define V2  "/sys/fs/cgroup"
#define OUR "/matrix-versus"

/* sched_prio_to_weight[] in the kernel's kernel/sched/core.c, for nice 0 and 4. */
#define WEIGHT_NICE_0 1024.0
#define WEIGHT_NICE_4 423.0
#define NICE_LIGHT    4

/* In hundredths of a weight: the kernel rounds them. */
static const char *const cgroup_weights[2] = {"7000", "3000"};

static bool put(const char *path, const char *text)
{
    CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
    const ssize_t length = (ssize_t)strlen(text);
    return fd >= 0 && write(fd, text, (size_t)length) == length;
}

static bool make(const char *directory)
{
    return mkdir(directory, 0755) == 0 || errno == EEXIST;
}

/* Where this process is: what stands behind "N:cpu:", or behind "0::" for version 2. */
static bool find_home(const char *kind, const char *root, const char *file, char *home,
                      size_t bytes)
{
    char line[400];
    CLEANUP_FILE FILE *groups = fopen("/proc/self/cgroup", "re");
    while (groups && fgets(line, sizeof(line), groups)) {
        const char *colon = strchr(line, ':');
        if (!colon || strncmp(colon, kind, strlen(kind)) != 0)
            continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(home, bytes, "%s%s/%s", root, colon + strlen(kind), file);
        return true;
    }
    return false;
}

static void note(struct versus_weights *weights, const char *name, const char *heavy,
                 const char *light, const char *between)
{
    weights->name = name;
    snprintf(weights->paths[0], sizeof(weights->paths[0]), "%s", heavy);
    snprintf(weights->paths[1], sizeof(weights->paths[1]), "%s", light);
    if (between)
        snprintf(weights->between, sizeof(weights->between), "%s", between);
}

/* The process becomes the threaded domain, with two threaded groups below it. */
static bool begin_v2(struct versus_weights *weights)
{
    if (access(V2 "/cgroup.controllers", R_OK) < 0 ||
        !find_home("::", V2, "cgroup.procs", weights->home, sizeof(weights->home)))
        return false;
    note(weights, "cgroup v2, cpu.weight 7000 and 3000", V2 OUR "/heavy/cgroup.threads",
         V2 OUR "/light/cgroup.threads", V2 OUR "/cgroup.threads");
    put(V2 "/cgroup.subtree_control", "+cpu"); /* where it is not yet */
    return make(V2 OUR) && put(V2 OUR "/cgroup.procs", "0") && make(V2 OUR "/heavy") &&
           make(V2 OUR "/light") && put(V2 OUR "/heavy/cgroup.type", "threaded") &&
           put(V2 OUR "/light/cgroup.type", "threaded") &&
           put(V2 OUR "/cgroup.subtree_control", "+cpu") &&
           put(V2 OUR "/heavy/cpu.weight", cgroup_weights[0]) &&
           put(V2 OUR "/light/cpu.weight", cgroup_weights[1]);
}

static bool begin_v1(struct versus_weights *weights)
{
    if (!find_home(":cpu:", V1, "tasks", weights->between, sizeof(weights->between)))
        return false;
    note(weights, "cgroup v1, cpu.shares 7000 and 3000", V1 OUR "-heavy/tasks",
         V1 OUR "-light/tasks", NULL);
    return make(V1 OUR "-heavy") && make(V1 OUR "-light") &&
           put(V1 OUR "-heavy/cpu.shares", cgroup_weights[0]) &&
           put(V1 OUR "-light/cpu.shares", cgroup_weights[1]);
}

void versus_weights_begin(struct versus_weights *weights)
{
    *weights = (struct versus_weights){.heavy_share = 0.7};
    if (begin_v2(weights))
        return;
    versus_weights_end(weights);
    *weights = (struct versus_weights){.heavy_share = 0.7};
    if (begin_v1(weights))
        return;
    versus_weights_end(weights);
    *weights = (struct versus_weights){
        .name = "nice 0 and 4",
        .heavy_share = WEIGHT_NICE_0 / (WEIGHT_NICE_0 + WEIGHT_NICE_4),
        .nice = getpriority(PRIO_PROCESS, 0),
    };
}

bool versus_weights_enter(const struct versus_weights *weights, bool heavy)
{
    const char *path = weights->paths[heavy ? 0 : 1];
    if (path[0] != '\0')
        return put(path, "0"); /* the thread that writes */
    return setpriority(PRIO_PROCESS, (id_t)gettid(), heavy ? 0 : NICE_LIGHT) == 0;
}

bool versus_weights_leave(const struct versus_weights *weights)
{
    if (weights->paths[0][0] != '\0')
        return put(weights->between, "0");
    return setpriority(PRIO_PROCESS, (id_t)gettid(), weights->nice) == 0;
}

void versus_weights_end(const struct versus_weights *weights)
{
    if (weights->home[0] != '\0')
        put(weights->home, "0");
    rmdir(V2 OUR "/heavy");
    rmdir(V2 OUR "/light");
    rmdir(V2 OUR);
    rmdir(V1 OUR "-heavy");
    rmdir(V1 OUR "-light");
}
