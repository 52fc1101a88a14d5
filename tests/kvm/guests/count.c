// SPDX-License-Identifier: GPL-2.0-or-later
// Makes as many hypercalls as its argument says, and no other: all yields, then the exit.
#include <matrix/guest/sdk.h>

int main(int argc, char **argv, char **envp)
{
    uint64_t calls;

    if (argc != 2 || !matrix_parse_u64(argv[1], &calls))
        return 2;
    while (calls--) {
        matrix_yield();
        matrix_work_add(1);
    }
    return 0;
}
