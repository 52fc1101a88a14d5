// SPDX-License-Identifier: GPL-2.0-or-later
// Does what is a burden to others, for ever, as its argument says: for tests of what they then have.
// Other attackers are guests that there are anyway: faulty, chatter, spin, random, touch.
#include <matrix/guest/sdk.h>

enum {
    VCPUS = 16,
    STACK_BYTES = 8192,
    PAGE_BYTES = 4096,
    LINE_BYTES = 1000,
};

/* In the heap; the test maps it to where there is no memory. */
#define OUTSIDE 0x600000400000

static char text[MATRIX_BUFFER_MAX + 1];

static void fill_text(char character)
{
    memset(text, character, MATRIX_BUFFER_MAX);
    text[MATRIX_BUFFER_MAX] = '\0';
}

static void calls(void)
{
    for (;;)
        matrix_abi();
}

static void unknown_calls(void)
{
    for (uint64_t number = MATRIX_HYPERCALL_COUNT;; number = number * 3 | 1 << 10)
        matrix_hypercall(number, number, number, number);
}

static void bad_pointers(void)
{
    static const uint64_t pointers[] = {0,
                                        1,
                                        0xfff,
                                        0x7fffffffffff,
                                        0x800000000000,
                                        0xffff800000000000,
                                        UINT64_MAX,
                                        (uint64_t)text + MATRIX_BUFFER_MAX};
    static const uint64_t lengths[] = {1, MATRIX_BUFFER_MAX, MATRIX_BUFFER_MAX + 1, UINT64_MAX};
    static const uint64_t numbers[] = {MATRIX_PRINT_STRING, MATRIX_WRITE, MATRIX_READ,
                                       MATRIX_GVA_TO_HVA, MATRIX_GVA_TO_GPA};

    for (uint64_t i = 0;; i++)
        matrix_hypercall(numbers[i % 5], pointers[i / 5 % 8], lengths[i / 40 % 4], 0);
}

/* The most work that one hypercall can be, without a line's end. */
static void long_writes(void)
{
    fill_text('x');
    for (;;)
        matrix_write(text, MATRIX_BUFFER_MAX);
}

static void long_lines(void)
{
    fill_text('x');
    text[LINE_BYTES - 1] = '\n';
    for (;;)
        matrix_write(text, LINE_BYTES);
}

/* Each byte becomes four where it is shown, and what has no end is looked for to the end. */
static void controls(void)
{
    fill_text('\a');
    for (;;)
        matrix_print_string(text);
}

static void characters(void)
{
    for (;;)
        matrix_print_char('\n');
}

static void sleeps(void)
{
    for (;;)
        matrix_sleep(1);
}

static void naps(void)
{
    for (;;)
        matrix_sleep(20000);
}

/* Works for almost a slice, and is gone before it ends. */
static void dodge(void)
{
    for (;;) {
        const int64_t end = matrix_clock(MATRIX_CLOCK_MONOTONIC) + 900000;

        while (matrix_clock(MATRIX_CLOCK_MONOTONIC) < end)
            matrix_work_add(1);
        matrix_sleep(1);
    }
}

static void yields(void)
{
    for (;;)
        matrix_yield();
}

static void spin(void *argument)
{
    for (;;)
        matrix_work_add(1);
}

static void vcpus(void)
{
    uint8_t *stacks = (uint8_t *)matrix_start()->heap;

    for (uint64_t i = 1; i < VCPUS; i++)
        matrix_vcpu_start(spin, NULL, stacks + i * STACK_BYTES, STACK_BYTES);
    spin(NULL);
}

static void fill_memory(void)
{
    const struct matrix_start *start = matrix_start();

    for (uint64_t round = 1;; round++)
        for (uint64_t at = 0; at < start->heap_bytes; at += PAGE_BYTES)
            *(volatile uint64_t *)(start->heap + at) = round;
}

static void fail(void)
{
    matrix_exit(1);
}

static void read_outside(void)
{
    *(volatile uint8_t *)OUTSIDE;
}

static void write_outside(void)
{
    *(volatile uint8_t *)OUTSIDE = 1;
}

static void execute_outside(void)
{
    ((void (*)(void))OUTSIDE)();
}

static const struct {
    const char *name;
    void (*go)(void);
} attacks[] = {
    {"calls", calls},
    {"unknown-calls", unknown_calls},
    {"bad-pointers", bad_pointers},
    {"long-writes", long_writes},
    {"long-lines", long_lines},
    {"controls", controls},
    {"characters", characters},
    {"sleeps", sleeps},
    {"naps", naps},
    {"dodge", dodge},
    {"yields", yields},
    {"vcpus", vcpus},
    {"fill-memory", fill_memory},
    {"fail", fail},
    {"read-outside", read_outside},
    {"write-outside", write_outside},
    {"execute-outside", execute_outside},
};

int main(int argc, char **argv, char **envp)
{
    for (size_t i = 0; argc == 2 && i < sizeof(attacks) / sizeof(attacks[0]); i++)
        if (strcmp(argv[1], attacks[i].name) == 0) {
            attacks[i].go();
            return 3;
        }
    return 2;
}
