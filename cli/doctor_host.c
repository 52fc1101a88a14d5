// SPDX-License-Identifier: GPL-2.0-or-later
/* matrix-doctor's checks of the host's memory, timers and tools. */
#include "base/cleanup.h"
#include "base/parse.h"
#include "cli/doctor.h"
#include "ksm/lease.h"
#include <inttypes.h>
#include <matrix/vm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define MEMORY_LOW (64ULL << 20)
#define THP_PATH   "/sys/kernel/mm/transparent_hugepage/enabled"
#define KSM_PATH   "/sys/kernel/mm/ksm/run"
#define EMULATOR   "qemu-system-x86_64"

/* The first line of a small file, without its newline; false if there is none. */
static bool read_line(const char *path, char *line, size_t size)
{
    CLEANUP_FILE FILE *file = fopen(path, "re");
    if (!file || !fgets(line, (int)size, file))
        return false;
    line[strcspn(line, "\n")] = '\0';
    return true;
}

/* A field of /proc/meminfo, which are all in KiB, in bytes; 0 if it is not there. */
static uint64_t meminfo_bytes(const char *field)
{
    CLEANUP_FILE FILE *file = fopen("/proc/meminfo", "re");
    char line[128];
    while (file && fgets(line, sizeof(line), file))
        if (strncmp(line, field, strlen(field)) == 0 && line[strlen(field)] == ':')
            return strtoull(line + strlen(field) + 1, NULL, 10) << 10;
    return 0;
}

void doctor_check_memory(const struct doctor_host *host, struct doctor_line *line)
{
    char total[FORMAT_BYTES], available[FORMAT_BYTES];
    uint64_t bytes = meminfo_bytes("MemAvailable");

    doctor_found(line, bytes >= MEMORY_LOW ? DOCTOR_OK : DOCTOR_WARNING, "%s of %s are available",
                 format_size(available, bytes), format_size(total, meminfo_bytes("MemTotal")));
    if (line->status != DOCTOR_OK)
        doctor_remedy(line, "end other programs: a guest has 16 MiB unless told otherwise");
}

void doctor_check_locked_memory(const struct doctor_host *host, struct doctor_line *line)
{
    struct rlimit limit;
    char size[FORMAT_BYTES];

    if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
        doctor_found(line, DOCTOR_WARNING, "the limit is unknown");
    else if (limit.rlim_cur == RLIM_INFINITY)
        doctor_found(line, DOCTOR_OK, "no limit");
    else if (geteuid() == 0)
        doctor_found(line, DOCTOR_OK, "%s, which does not bind root",
                     format_size(size, limit.rlim_cur));
    else
        doctor_found(line, limit.rlim_cur >= MATRIX_MEMORY_DEFAULT ? DOCTOR_OK : DOCTOR_WARNING,
                     "at most %s, for guests whose memory is locked",
                     format_size(size, limit.rlim_cur));
    if (line->status != DOCTOR_OK)
        doctor_remedy(line, "ulimit -l, or memlock in /etc/security/limits.conf");
}

void doctor_check_huge_pages(const struct doctor_host *host, struct doctor_line *line)
{
    char modes[128];

    if (!read_line(THP_PATH, modes, sizeof(modes))) {
        doctor_found(line, DOCTOR_WARNING, "the kernel has no transparent huge pages");
        return;
    }
    bool never = strstr(modes, "[never]");
    doctor_found(line, never ? DOCTOR_WARNING : DOCTOR_OK, "%s", modes);
    if (never)
        doctor_remedy(line, "as root, echo madvise > " THP_PATH);
}

void doctor_check_ksm(const struct doctor_host *host, struct doctor_line *line)
{
    static const char *const states[] = {"stopped", "running", "stopped, and pages unmerged"};
    char run[16];

    if (!read_line(KSM_PATH, run, sizeof(run))) {
        doctor_found(line, DOCTOR_WARNING, "the kernel cannot merge pages (CONFIG_KSM)");
        doctor_remedy(line, "boot a kernel with CONFIG_KSM; `matrix lab` has one");
        return;
    }
    /* Stopped is how kernels come up, and nothing is wrong with it. */
    unsigned long state = strtoul(run, NULL, 10);
    doctor_found(line, DOCTOR_OK, "%s (run = %s)", state < 3 ? states[state] : "in a new state",
                 run);
    if (state != 1)
        doctor_remedy(line, "to merge pages: as root, echo 1 > " KSM_PATH);
}

bool doctor_check_knobs(const struct doctor_host *host, unsigned index, struct doctor_line *line)
{
    bool mended;
    if (index > 0)
        return false;
    CLEANUP_ERROR struct matrix_error *error = ksm_lease_mend(ksm_places(), &mended);
    if (error) {
        doctor_found(line, DOCTOR_WARNING, "%s", error->message);
        doctor_remedy(line, "%s", error->remedy ? error->remedy : "as root, matrix doctor");
    } else if (mended) {
        doctor_found(line, DOCTOR_OK, "an experiment was killed; the knobs are put back");
    }
    return error || mended;
}

void doctor_check_timers(const struct doctor_host *host, struct doctor_line *line)
{
    struct timespec resolution;

    if (clock_getres(CLOCK_MONOTONIC, &resolution) == 0 && resolution.tv_sec == 0 &&
        resolution.tv_nsec == 1) {
        doctor_found(line, DOCTOR_OK, "high resolution");
        return;
    }
    doctor_found(line, DOCTOR_WARNING, "coarse, %ld ns: slices end late", resolution.tv_nsec);
    doctor_remedy(line, "boot with highres=on, and a kernel with CONFIG_HIGH_RES_TIMERS");
}

/* Looks for program as execvp would. */
static bool find_in_path(const char *program, char *path, size_t size)
{
    const char *directories = getenv("PATH");
    CLEANUP_FREE char *copy = strdup(directories ? directories : "/usr/bin:/bin");
    char *rest = NULL;
    for (char *directory = copy ? strtok_r(copy, ":", &rest) : NULL; directory;
         directory = strtok_r(NULL, ":", &rest))
        if ((size_t)snprintf(path, size, "%s/%s", directory, program) < size &&
            access(path, X_OK) == 0)
            return true;
    return false;
}

void doctor_check_lab(const struct doctor_host *host, struct doctor_line *line)
{
    char path[128];

    if (find_in_path(EMULATOR, path, sizeof(path))) {
        doctor_found(line, DOCTOR_OK, "%s", path);
        return;
    }
    doctor_found(line, DOCTOR_WARNING, EMULATOR " is not in PATH");
    doctor_remedy(line, "apt-get install qemu-system-x86 (or `make deps`)");
}

void doctor_check_modules(const struct doctor_host *host, struct doctor_line *line)
{
    if (access("/proc/modules", R_OK) == 0)
        doctor_found(line, DOCTOR_OK, "this kernel can load modules");
    else
        doctor_found(line, DOCTOR_OK, "this kernel loads no modules; the lab's does");
}
