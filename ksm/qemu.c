// SPDX-License-Identifier: GPL-2.0-or-later
/* Infers the layout of a QEMU guest's memory; see qemu.h. */
#include "ksm/qemu.h"

#include "base/cleanup.h"
#include "base/parse.h"
#include <matrix/lens.h>
#include <stdio.h>
#include <string.h>

#define MIB (1ULL << 20)
#define GIB (1ULL << 30)

/* QEMU's default without -m (MachineClass::default_ram_size). */
#define DEFAULT_RAM (128 * MIB)
#define ABOVE_4G    (4 * GIB)

/* Longer command lines are cut there: a guest's -m stands near their beginning. */
#define COMMAND_LINE_MAX ((size_t)256 * 1024)

/* RAM of limit and more is split: low below 4 GiB. */
static const struct machine {
    const char *name; /* a prefix: pc-q35-7.2 */
    uint64_t limit, low;
} machines[] = {
    {"q35", 0xb0000000, 0x80000000},
    {"pc-q35", 0xb0000000, 0x80000000},
    {"pc", 0xe0000000, 0xc0000000},
};

/* The base name of the program. */
static bool is_qemu(const char *program)
{
    static const char *const names[] = {"qemu-system-x86_64", "qemu-system-i386", "qemu-kvm",
                                        "kvm"};
    const char *slash = strrchr(program, '/');
    program = slash ? slash + 1 : program;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(program, names[i]) == 0)
            return true;
    return false;
}

/*
 * The value of a key in "first,key=value,...", in which ",," is a comma (QemuOpts); unnamed: the
 * first value may stand without its key. False if it is not there.
 */
static bool find_value(const char *options, const char *key, bool unnamed, char *value, size_t size)
{
    const size_t length = strlen(key);
    for (bool first = true; *options; first = false) {
        const char *equals = options + strcspn(options, ",=");
        const bool has_key = *equals == '=';
        const bool wanted =
            has_key ? (size_t)(equals - options) == length && memcmp(options, key, length) == 0
                    : first && unnamed;
        size_t used = 0;
        if (has_key)
            options = equals + 1;
        while (*options && (*options != ',' || options[1] == ',')) {
            options += *options == ',';
            if (used + 1 < size)
                value[used++] = *options;
            options++;
        }
        if (wanted) {
            value[used] = '\0';
            return true;
        }
        options += *options == ',';
    }
    return false;
}

/* A size of -m: mebibytes unless it has a unit. */
static bool parse_memory(const char *options, uint64_t *bytes)
{
    char value[64];
    if (!find_value(options, "size", true, value, sizeof(value)))
        return true; /* "-m maxmem=4G": the default stays */
    struct matrix_error *error = parse_size(value, bytes);
    matrix_error_free(error);
    if (error)
        return false;
    if (value[strspn(value, "0123456789")] == '\0' && __builtin_mul_overflow(*bytes, MIB, bytes))
        return false;
    return *bytes && *bytes % MATRIX_PAGE_BYTES == 0;
}

static bool parse_machine(const char *options, const struct machine **machine)
{
    char name[64];
    if (find_value(options, "max-ram-below-4g", false, name, sizeof(name)))
        return false;
    if (!find_value(options, "type", true, name, sizeof(name)))
        return true;
    for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
        const size_t length = strlen(machines[i].name);
        if (strncmp(name, machines[i].name, length) == 0 &&
            (name[length] == '\0' || name[length] == '-')) {
            *machine = &machines[i];
            return true;
        }
    }
    return false;
}

static bool parse_option(const char *option, const char *value, struct ksm_qemu *qemu,
                         const struct machine **machine)
{
    if (strcmp(option, "m") == 0)
        return parse_memory(value, &qemu->ram_bytes);
    if (strcmp(option, "M") == 0 || strcmp(option, "machine") == 0)
        return parse_machine(value, machine);
    if (strcmp(option, "name") == 0)
        find_value(value, "guest", true, qemu->name, sizeof(qemu->name));
    else if (strcmp(option, "numa") == 0)
        return !strstr(value, "mem"); /* mem=, memdev= */
    return true;
}

bool ksm_qemu_parse(const char *words, size_t size, struct ksm_qemu *qemu)
{
    const struct machine *machine = &machines[2];
    const char *end = words + size;
    *qemu = (struct ksm_qemu){.ram_bytes = DEFAULT_RAM};
    if (!size || end[-1] != '\0' || !is_qemu(words))
        return false;
    for (const char *word = words + strlen(words) + 1; word < end; word += strlen(word) + 1) {
        const char *value = word + strlen(word) + 1;
        if (*word != '-' || value >= end)
            continue;
        /* One dash or two: QEMU takes both. */
        if (!parse_option(word + 1 + (word[1] == '-'), value, qemu, &machine))
            return false;
    }
    qemu->low_bytes = qemu->ram_bytes < machine->limit ? qemu->ram_bytes : machine->low;
    return true;
}

/* Pieces that differ in advice only, and follow one another, may be one. */
static bool goes_on(const struct ksm_mapping *last, const struct ksm_mapping *next)
{
    return last->end == next->start && last->is_private == next->is_private &&
           last->is_anonymous == next->is_anonymous && last->is_writable == next->is_writable &&
           next->is_anonymous;
}

/* The address of the only mapping of that size, or the only row of pieces. */
static uint64_t find_only(uint64_t bytes, bool anonymous, bool in_pieces,
                          const struct ksm_mapping *mappings, size_t count)
{
    uint64_t address = 0;
    unsigned found = 0;
    size_t next;
    for (size_t i = 0; i < count; i = next) {
        next = i + 1;
        while (in_pieces && next < count && goes_on(&mappings[next - 1], &mappings[next]))
            next++;
        const bool is_anonymous = mappings[i].is_private && mappings[i].is_anonymous;
        if (mappings[next - 1].end - mappings[i].start != bytes || !mappings[i].is_writable ||
            is_anonymous != anonymous)
            continue;
        address = mappings[i].start;
        found++;
    }
    return found == 1 ? address : 0;
}

uint64_t ksm_qemu_find_ram(const struct ksm_qemu *qemu, const struct ksm_mapping *mappings,
                           size_t count)
{
    static const struct {
        bool anonymous, in_pieces;
    } attempts[] = {{true, false}, {true, true}, {false, false}};
    uint64_t address = 0;
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]) && !address; i++)
        address = find_only(qemu->ram_bytes, attempts[i].anonymous, attempts[i].in_pieces, mappings,
                            count);
    return address;
}

static size_t read_command_line(pid_t pid, char *words)
{
    char path[48];
    snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
    CLEANUP_FILE FILE *file = fopen(path, "re");
    size_t size = file ? fread(words, 1, COMMAND_LINE_MAX - 1, file) : 0;
    if (size && words[size - 1] != '\0')
        words[size++] = '\0';
    return size;
}

bool ksm_qemu_detect(struct ksm_subject *subject, const struct ksm_mapping *mappings, size_t count)
{
    struct ksm_qemu qemu;
    CLEANUP_FREE char *words = malloc(COMMAND_LINE_MAX);
    if (!words || !ksm_qemu_parse(words, read_command_line(subject->pid, words), &qemu))
        return false;
    const uint64_t ram = ksm_qemu_find_ram(&qemu, mappings, count);
    struct ksm_region *regions = ram ? calloc(2, sizeof(*regions)) : NULL;
    if (!regions)
        return false;
    regions[0] = (struct ksm_region){.gpa = 0, .hva = ram, .bytes = qemu.low_bytes};
    regions[1] = (struct ksm_region){
        .gpa = ABOVE_4G, .hva = ram + qemu.low_bytes, .bytes = qemu.ram_bytes - qemu.low_bytes};
    subject->kind = KSM_QEMU;
    subject->regions = regions;
    subject->region_count = regions[1].bytes ? 2 : 1;
    if (qemu.name[0])
        memcpy(subject->name, qemu.name, sizeof(subject->name));
    return true;
}
