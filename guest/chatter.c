// SPDX-License-Identifier: GPL-2.0-or-later
// Prints numbered lines as fast as it can, for ever or as many as its argument says.
#include <matrix/guest/sdk.h>

int main(int argc, char **argv, char **envp)
{
    uint64_t lines = UINT64_MAX;

    if (argc > 2 || (argc == 2 && !matrix_parse_u64(argv[1], &lines))) {
        matrix_printf("usage: chatter [LINES]\n");
        return 2;
    }
    for (uint64_t line = 1; line <= lines; line++) {
        matrix_printf("line %lu\n", line);
        matrix_work_add(1);
    }
    return 0;
}
