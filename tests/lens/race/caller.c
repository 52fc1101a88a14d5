// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A caller of the race: every request of the driver, half of them with random arguments.
 *
 * What may be written is bounded, since the driver does as it is told: bytes only where a worker's
 * window was seen, whose pid and address the driver checks; and nobody is moved but processes of
 * the race.
 */
#include "tests/lens/device.h"
#include "tests/lens/race/race.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BUFFER_SIZE (4UL << 20)
#define BATCH_MAX   200 /* requests for one open file */

/* Where no RAM is, on any machine of the lab. */
#define NOWHERE (1ULL << 45)

static char *buffer;    /* a guard behind it ends what writes beyond */
static char *arguments; /* a page, and a guard */
static char *readonly;  /* a page */

static pid_t choose_worker(uint64_t *seed)
{
    return tally->workers[random_below(seed, WORKERS)];
}

/* Of the race itself, younger than its first process, or of nobody. */
static pid_t choose_pid(uint64_t *seed)
{
    static const pid_t special[] = {0, -1, INT_MIN, INT_MAX};
    switch (random_below(seed, 4)) {
    case 0:
        return special[random_below(seed, COUNT(special))];
    case 1:
        return tally->main + 1 + (pid_t)random_below(seed, 2000);
    default:
        return choose_worker(seed);
    }
}

/* Mostly good memory; else none, the kernel's, unaligned, not writable, or ending too soon. */
static uint64_t choose_pointer(uint64_t *seed)
{
    switch (random_below(seed, 8)) {
    case 0:
        return random_below(seed, 2) ? 0 : (uintptr_t)readonly;
    case 1:
        return 0xffff888000000000ULL + (random_below(seed, 1 << 20) << 12);
    case 2:
        return (uintptr_t)buffer + BUFFER_SIZE - random_below(seed, 256);
    case 3:
        return (uintptr_t)buffer + random_below(seed, BUFFER_SIZE);
    default:
        return (uintptr_t)buffer;
    }
}

static uint64_t choose_window_address(uint64_t *seed)
{
    return (uintptr_t)WINDOW + random_below(seed, WINDOW_SIZE / PAGE) * PAGE;
}

static uint32_t choose_flags(uint64_t *seed)
{
    return random_below(seed, 4) ? (uint32_t)random_below(seed, 4) : (uint32_t)random_next(seed);
}

/* In place of the size that is right. */
static uint32_t choose_size(uint64_t *seed, uint32_t size)
{
    static const uint32_t sizes[] = {0, 1, 4, 4096, 4097, UINT32_MAX};
    switch (random_below(seed, 8)) {
    case 0:
        return sizes[random_below(seed, COUNT(sizes))];
    case 1:
        return size + (uint32_t)random_below(seed, 17) - 8;
    default:
        return size;
    }
}

/*
 * Makes the request, with the argument among zeros; or at the end of what is mapped, or a byte too
 * far; or nowhere. Gets back what the driver has changed in it.
 */
static int request(int device, unsigned int number, void *argument, size_t size, uint64_t *seed)
{
    char *place = arguments;
    memset(arguments, 0, 256);
    switch (random_below(seed, 32)) {
    case 0:
        place = random_below(seed, 2) ? NULL : (char *)0xffffffff81000000ULL;
        break;
    case 1:
        place = arguments + PAGE - size + 1;
        memcpy(place, argument, size - 1);
        break;
    case 2:
        place = arguments + PAGE - size;
        memcpy(place, argument, size);
        break;
    default:
        memcpy(place, argument, size);
    }
    unsigned long command = _IOC(_IOC_READ | _IOC_WRITE, MATRIX_LENS_IOCTL, number, size);
    int result = ioctl(device, command, place) ? errno : 0;
    if (place == arguments)
        memcpy(argument, place, size);
    atomic_fetch_add(&tally->answers[number][result < ERRNOS ? result : ERRNOS - 1], 1);
    return result;
}

/* --- One function a request ----------------------------------------------------------------- */

static void call_info(int device, uint64_t *seed, bool random)
{
    struct matrix_lens_info info = {.size = sizeof(info)};
    if (random)
        info.size = choose_size(seed, info.size);
    request(device, 0, &info, sizeof(info), seed);
}

static void call_translate(int device, uint64_t *seed, bool random)
{
    struct matrix_lens_translate translate = {
        .size = sizeof(translate),
        .flags = (uint32_t)random_below(seed, 2),
        .pid = choose_worker(seed),
        .address = choose_window_address(seed),
        .count = random_below(seed, 2048),
        .entries = (uintptr_t)buffer,
    };
    if (random) {
        translate.size = choose_size(seed, translate.size);
        translate.flags = choose_flags(seed);
        translate.pid = choose_pid(seed);
        translate.address = random_next(seed) >> random_below(seed, 64);
        if (random_below(seed, 4))
            translate.address &= ~(PAGE - 1);
        translate.count = random_next(seed) >> random_below(seed, 64);
        translate.entries = choose_pointer(seed);
        translate.reserved = random_below(seed, 8) == 0;
    }
    request(device, 1, &translate, sizeof(translate), seed);
}

static void call_footprint(int device, uint64_t *seed, bool random)
{
    struct matrix_lens_footprint footprint = {.size = sizeof(footprint),
                                              .pid = choose_worker(seed)};
    if (random) {
        footprint.size = choose_size(seed, footprint.size);
        footprint.flags = random_below(seed, 4) == 0;
        footprint.pid = choose_pid(seed);
    }
    request(device, 2, &footprint, sizeof(footprint), seed);
}

/* Seen a moment ago, that is: the page may have moved since, and the driver must notice. */
static uint64_t find_physical(int device, pid_t pid, uint64_t address)
{
    uint64_t entry = 0;
    if (device_translate(device, pid, (const void *)address, 1, &entry) ||
        !(entry & MATRIX_PAGE_PRESENT))
        return NOWHERE;
    return (entry & MATRIX_PAGE_ADDRESS) + address % PAGE;
}

static void call_byte(int device, uint64_t *seed, bool random, unsigned int number)
{
    struct matrix_lens_byte byte = {.size = sizeof(byte), .pid = choose_worker(seed), .value = 'w'};
    byte.virtual_address = choose_window_address(seed);
    byte.physical_address = find_physical(device, byte.pid, byte.virtual_address);
    byte.virtual_address += byte.value;
    byte.physical_address += byte.value;
    if (random_below(seed, 2))
        byte.flags = MATRIX_LENS_FORCE;
    if (random) {
        byte.size = choose_size(seed, byte.size);
        byte.pid = choose_pid(seed);
        byte.flags = choose_flags(seed);
        byte.reserved[random_below(seed, 3)] = random_below(seed, 8) == 0;
        if (random_below(seed, 2))
            byte.virtual_address = random_next(seed);
        if (random_below(seed, 2))
            byte.physical_address = NOWHERE + random_below(seed, NOWHERE);
        if (number == 3)
            byte.physical_address = random_next(seed) >> random_below(seed, 64);
        if (byte.flags & MATRIX_LENS_PHYSICAL) {
            byte.pid = 0;
            byte.virtual_address = 0;
        }
    }
    /* A write to an address alone is checked by nothing: it would hit whoever has it by now. */
    if (number == 4 && byte.flags & MATRIX_LENS_PHYSICAL)
        byte.physical_address |= NOWHERE;
    request(device, number, &byte, sizeof(byte), seed);
}

static void call_read_byte(int device, uint64_t *seed, bool random)
{
    call_byte(device, seed, random, 3);
}

static void call_write_byte(int device, uint64_t *seed, bool random)
{
    call_byte(device, seed, random, 4);
}

static void call_tasks(int device, uint64_t *seed, bool random, unsigned int number)
{
    struct matrix_lens_tasks tasks = {
        .size = sizeof(tasks),
        .pid = number == 5 ? 0 : choose_worker(seed),
        .capacity = (uint32_t)random_below(seed, 300),
        .tasks = (uintptr_t)buffer,
    };
    if (random) {
        tasks.size = choose_size(seed, tasks.size);
        tasks.flags = random_below(seed, 8) == 0;
        tasks.reserved = random_below(seed, 8) == 0;
        tasks.pid = number == 5 && random_below(seed, 2) ? 0 : choose_pid(seed);
        tasks.capacity = (uint32_t)(random_next(seed) >> random_below(seed, 64));
        tasks.tasks = choose_pointer(seed);
    }
    request(device, number, &tasks, sizeof(tasks), seed);
}

static void call_running(int device, uint64_t *seed, bool random)
{
    call_tasks(device, seed, random, 5);
}

static void call_children(int device, uint64_t *seed, bool random)
{
    call_tasks(device, seed, random, 6);
}

/* A worker's child, to another worker. */
static void call_reparent(int device, uint64_t *seed, bool random)
{
    static struct matrix_lens_task children[64];
    struct matrix_lens_reparent reparent = {.size = sizeof(reparent),
                                            .parent_pid = choose_worker(seed)};
    uint32_t count = 0;
    if (device_children(device, choose_worker(seed), children, COUNT(children), &count) == 0 &&
        count > 0)
        reparent.pid = children[random_below(seed, count < 64 ? count : 64)].pid;
    if (random) {
        reparent.size = choose_size(seed, reparent.size);
        reparent.flags = random_below(seed, 8) == 0;
        reparent.reserved = random_below(seed, 8) == 0;
        reparent.pid = choose_pid(seed);
        reparent.parent_pid = random_below(seed, 4) ? choose_pid(seed) : tally->main;
    }
    request(device, 7, &reparent, sizeof(reparent), seed);
}

static void (*const calls[REQUESTS])(int device, uint64_t *seed, bool random) = {
    call_info,       call_translate, call_footprint, call_read_byte,
    call_write_byte, call_running,   call_children,  call_reparent,
};

/* Other numbers, types and directions. */
static void call_unknown(int device, uint64_t *seed)
{
    unsigned long command = random_next(seed);
    if (random_below(seed, 2))
        command = _IOC(random_below(seed, 3), MATRIX_LENS_IOCTL, random_below(seed, 256), 32);
    bool is_known = _IOC_TYPE(command) == MATRIX_LENS_IOCTL && _IOC_NR(command) < REQUESTS &&
                    _IOC_DIR(command) == (_IOC_READ | _IOC_WRITE);
    if (is_known)
        return;
    int result = ioctl(device, command, buffer) ? errno : 0;
    /* Generic requests (FIONBIO and the like) are not the driver's, but they are there. */
    atomic_fetch_add(result == ENOTTY || _IOC_TYPE(command) != MATRIX_LENS_IOCTL ? &tally->others
                                                                                 : &tally->wrong,
                     1);
}

static char *map_guarded(size_t size)
{
    char *memory =
        mmap(NULL, size + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory + size, PAGE, PROT_NONE))
        exit(1);
    return memory;
}

void call(uint64_t seed)
{
    buffer = map_guarded(BUFFER_SIZE);
    arguments = map_guarded(PAGE);
    readonly = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (;;) {
        /* While nobody has it open, the module may be unloaded. */
        int device = device_open();
        for (uint64_t i = random_below(&seed, BATCH_MAX); device >= 0 && i > 0 && !tally->wanted;
             i--) {
            calls[random_below(&seed, REQUESTS)](device, &seed, i % 2);
            if (i % 8 == 0)
                call_unknown(device, &seed);
        }
        if (device >= 0)
            close(device);
        do
            usleep((useconds_t)random_below(&seed, 20000));
        while (tally->wanted && random_below(&seed, 8));
        race_reap();
    }
}
