// SPDX-License-Identifier: GPL-2.0-or-later
/* What guests cost in memory beyond their RAM, in this process and in the kernel. For bench/versus. */
#include "bench/versus.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "vmm/vm.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The sum of the lines "NAME: N kB" of a file of /proc, each with its sign: "+MemTotal", "-MemFree". */
static struct matrix_error *read_kib(const char *path, const char *const *names, double *bytes)
{
    char line[256];
    unsigned found = 0, wanted = 0;
    CLEANUP_FILE FILE *file = fopen(path, "re");
    if (!file)
        return error_host(errno, "open %s", path);
    *bytes = 0;
    while (names[wanted])
        wanted++;
    while (fgets(line, sizeof(line), file)) {
        char *colon = strchr(line, ':');
        if (!colon)
            continue;
        *colon = '\0';
        for (unsigned i = 0; i < wanted; i++)
            if (strcmp(line, names[i] + 1) == 0) {
                *bytes += (names[i][0] == '-' ? -1024 : 1024) * strtod(colon + 1, NULL);
                found++;
            }
    }
    return found == wanted ? NULL : error_host(0, "find what memory is used in %s", path);
}

/* How much of a guest's RAM is resident: the program touches little of it. */
static struct matrix_error *add_ram(const struct matrix_vm *vm, double *bytes)
{
    static unsigned char resident[MATRIX_MEMORY_MINIMUM / MATRIX_PAGE_BYTES];
    if (mincore(vm->memory.slots[0].hva, MATRIX_MEMORY_MINIMUM, resident) < 0)
        return error_host(errno, "ask how much of a guest's RAM is resident");
    for (size_t i = 0; i < sizeof(resident); i++)
        *bytes += (resident[i] & 1) * (double)MATRIX_PAGE_BYTES;
    return NULL;
}

struct matrix_error *versus_memory_read(struct matrix_vm *const *vms, unsigned count,
                                        struct versus_memory *memory)
{
    /* What the page cache has is not used by anybody in particular. */
    static const char *const machine[] = {"+MemTotal", "-MemFree", "-Buffers", "-Cached", NULL};
    static const char *const process[] = {"+Pss", NULL};
    *memory = (struct versus_memory){0};
    RETURN_IF_ERROR(read_kib("/proc/self/smaps_rollup", process, &memory->process_bytes));
    RETURN_IF_ERROR(read_kib("/proc/meminfo", machine, &memory->machine_bytes));
    for (unsigned i = 0; i < count; i++)
        RETURN_IF_ERROR(add_ram(vms[i], &memory->ram_bytes));
    return NULL;
}

struct matrix_error *versus_memory_add(const struct versus_round *round, struct versus_side *side)
{
    struct versus_memory now;
    RETURN_IF_ERROR(versus_memory_read(round->vms, round->count, &now));
    const double process = now.process_bytes - round->before.process_bytes;
    const double machine = now.machine_bytes - round->before.machine_bytes;
    bench_add(&side->memory, (process - now.ram_bytes) / round->count);
    bench_add(&side->machine, machine / round->count);
    return NULL;
}
