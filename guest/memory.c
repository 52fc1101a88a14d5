// SPDX-License-Identifier: GPL-2.0-or-later
// Fills megabytes of its heap with a pattern and reads them back: food for KSM, and a test of
// guest memory. With --hold it stays, and reads all of it again every second.
#include <matrix/guest/sdk.h>

enum {
    PAGE_BYTES = 4096,
    WORDS_PER_PAGE = PAGE_BYTES / sizeof(uint64_t),
};

/* A well-mixed function of its argument: the finaliser of MurmurHash3. */
static uint64_t mix(uint64_t value)
{
    value ^= value >> 33;
    value *= 0xff51afd7ed558ccd;
    value ^= value >> 33;
    value *= 0xc4ceb9fe1a85ec53;
    return value ^ value >> 33;
}

static uint64_t word_zero(uint64_t seed, uint64_t word)
{
    return 0;
}

static uint64_t word_constant(uint64_t seed, uint64_t word)
{
    return 0x4d61747269784d61;
}

static uint64_t word_mixed(uint64_t seed, uint64_t word)
{
    return mix(seed ^ mix(word + 1));
}

/* The pages of `unique` differ from each other and from those of guests of other names. */
static uint64_t seed_from_name(void)
{
    uint64_t seed = 0;

    for (const char *name = (const char *)matrix_start()->name; *name; name++)
        seed = mix(seed ^ (unsigned char)*name);
    return seed;
}

static const struct pattern {
    const char *name;
    uint64_t (*word)(uint64_t seed, uint64_t word);
    const char *description;
} patterns[] = {
    {"zero", word_zero, "every page all zeros"},
    {"constant", word_constant, "every page the same"},
    {"unique", word_mixed, "no page like another, here or in guests of other names"},
    {"seed", word_mixed, "no page like another here; the same in guests with the same SEED"},
};

enum { PATTERN_COUNT = sizeof(patterns) / sizeof(patterns[0]) };

struct options {
    uint64_t bytes;
    const struct pattern *pattern;
    uint64_t seed;
    bool hold;
};

/* Reads "MEGABYTES PATTERN [SEED] [--hold]". */
static bool parse_options(int argc, char **argv, struct options *options)
{
    uint64_t megabytes;

    *options = (struct options){.seed = seed_from_name()};
    if (argc > 1 && strcmp(argv[argc - 1], "--hold") == 0) {
        options->hold = true;
        argc--;
    }
    if (argc < 3 || !matrix_parse_u64(argv[1], &megabytes) || megabytes > UINT64_MAX >> 20)
        return false;
    options->bytes = megabytes << 20;
    for (int i = 0; i < PATTERN_COUNT; i++)
        if (strcmp(argv[2], patterns[i].name) == 0)
            options->pattern = &patterns[i];
    if (!options->pattern)
        return false;
    if (strcmp(argv[2], "seed") == 0)
        return argc == 4 && matrix_parse_u64(argv[3], &options->seed);
    return argc == 3;
}

static void print_usage(void)
{
    matrix_printf("usage: memory MEGABYTES PATTERN [SEED] [--hold]\n");
    for (int i = 0; i < PATTERN_COUNT; i++)
        matrix_printf("  %-8s  %s\n", patterns[i].name, patterns[i].description);
}

static void fill(uint64_t *words, const struct options *options)
{
    for (uint64_t i = 0; i < options->bytes / sizeof(*words); i++) {
        words[i] = options->pattern->word(options->seed, i);
        if (i % WORDS_PER_PAGE == 0)
            matrix_work_add(1);
    }
}

/* Reads everything back; the checksum depends on each word and its place. */
static bool verify(const uint64_t *words, const struct options *options, uint64_t *checksum)
{
    *checksum = 0;
    for (uint64_t i = 0; i < options->bytes / sizeof(*words); i++) {
        if (words[i] != options->pattern->word(options->seed, i)) {
            matrix_printf("wrong: %016lx at %p\n", words[i], (const void *)&words[i]);
            return false;
        }
        *checksum = *checksum * 31 + words[i];
        if (i % WORDS_PER_PAGE == 0)
            matrix_work_add(1);
    }
    return true;
}

int main(int argc, char **argv, char **envp)
{
    uint64_t *words = (uint64_t *)matrix_start()->heap;
    struct options options;
    uint64_t checksum;

    if (!parse_options(argc, argv, &options)) {
        print_usage();
        return 2;
    }
    if (options.bytes > matrix_start()->heap_bytes) {
        matrix_printf("%s MiB do not fit into the heap of %lu KiB\n", argv[1],
                      matrix_start()->heap_bytes / 1024);
        return 2;
    }
    fill(words, &options);
    if (!verify(words, &options, &checksum))
        return 1;
    matrix_printf("%s MiB, %s, checksum %016lx\n", argv[1], options.pattern->name, checksum);
    while (options.hold) {
        matrix_sleep(1000000000);
        if (!verify(words, &options, &checksum))
            return 1;
    }
    return 0;
}
