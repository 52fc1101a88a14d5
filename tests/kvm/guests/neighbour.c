// SPDX-License-Identifier: GPL-2.0-or-later
// An honest guest: works until its counter of work is set to 2^63 or more from outside, looks at memory of its
// own all the time, and says at the end what it found. Argument: the STATUS to end with if all is as it was.
#include <matrix/guest/sdk.h>

enum {
    WORDS = 8192,
    ROUNDS_PER_CALL = 16,
};

static uint64_t memory[WORDS];

static uint64_t expected(uint64_t index)
{
    return (index + 1) * 0x9e3779b97f4a7c15;
}

static bool is_unharmed(void)
{
    for (uint64_t i = 0; i < WORDS; i++)
        if (((volatile uint64_t *)memory)[i] != expected(i))
            return false;
    return true;
}

int main(int argc, char **argv, char **envp)
{
    const volatile uint64_t *work = (const volatile uint64_t *)matrix_start()->work;
    uint64_t status, rounds = 0;

    if (argc != 2 || !matrix_parse_u64(argv[1], &status))
        return 2;
    for (uint64_t i = 0; i < WORDS; i++)
        memory[i] = expected(i);
    for (; *work >> 63 == 0; rounds++) {
        if (!is_unharmed()) {
            matrix_printf("after %lu rounds memory has changed\n", rounds);
            return 1;
        }
        if (rounds % ROUNDS_PER_CALL == 0) /* it does some I/O, too */
            matrix_clock(MATRIX_CLOCK_CPU);
        matrix_work_add(1);
    }
    matrix_printf("memory is as it was\n");
    return (int)status;
}
