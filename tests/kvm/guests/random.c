// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes hypercalls with random registers: fuzz for the monitor, with a live guest around it.
 * Arguments: CALLS SEED tame|wild. A tame one leaves out what would end or change itself, and exits
 * with 0; a wild one does anything but ask for its own end, and may come to any.
 */
#include <matrix/guest/sdk.h>

static uint64_t state;

static uint64_t next(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545f4914f6cdd1d;
}

/* Values around which things go wrong, as well as any others. */
static uint64_t value(void)
{
    const struct matrix_start *start = matrix_start();
    const uint64_t edges[] = {
        0,
        1,
        10,
        16,
        MATRIX_BUFFER_MAX,
        UINT64_MAX,
        1UL << 63,
        0x7fffffffffff,
        0x800000000000,
        0xffff800000000000,
        0xc0000000,
        (uint64_t)start,
        start->heap,
        start->heap + start->heap_bytes,
        start->stack_top,
        start->stack_top - start->stack_bytes,
        (uint64_t)next,
        (uint64_t)&state,
        start->argv,
        start->work,
    };
    const uint64_t edge = edges[next() % (sizeof(edges) / sizeof(edges[0]))];

    switch (next() % 4) {
    case 0:
        return next();
    case 1:
        return next() >> next() % 64;
    case 2:
        return edge;
    default:
        return edge + next() % 33 - 16;
    }
}

static bool is_allowed(uint64_t number, bool wild)
{
    if (number == MATRIX_EXIT || number == MATRIX_SLEEP)
        return false;
    return wild ||
           (number != MATRIX_READ && number != MATRIX_VCPU_START && number != MATRIX_VCPU_STOP);
}

int main(int argc, char **argv, char **envp)
{
    uint64_t calls;

    if (argc != 4 || !matrix_parse_u64(argv[1], &calls) || !matrix_parse_u64(argv[2], &state))
        return 2;
    state |= 1UL << 40;
    for (uint64_t done = 0; done < calls;) {
        uint64_t number = next() % 8 ? next() % MATRIX_HYPERCALL_COUNT : value();

        if (!is_allowed(number, strcmp(argv[3], "wild") == 0))
            continue;
        matrix_hypercall(number, value(), value(), value());
        matrix_work_add(1);
        done++;
    }
    return 0;
}
