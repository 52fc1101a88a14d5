// SPDX-License-Identifier: GPL-2.0-or-later
// Sleeps for so many nanoseconds, so many times; counts each as work, and checks that none was
// too short. Arguments: NANOSECONDS TIMES.
#include <matrix/guest/sdk.h>

int main(int argc, char **argv, char **envp)
{
    uint64_t length, times;

    if (argc != 3 || !matrix_parse_u64(argv[1], &length) || !matrix_parse_u64(argv[2], &times))
        return 2;
    while (times--) {
        int64_t before = matrix_clock(MATRIX_CLOCK_MONOTONIC);

        matrix_sleep(length);
        if (matrix_clock(MATRIX_CLOCK_MONOTONIC) - before < (int64_t)length)
            return 1;
        matrix_work_add(1);
    }
    return 0;
}
