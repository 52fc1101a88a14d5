// SPDX-License-Identifier: MIT
// Makes the cheapest hypercall as often as its argument says: what `bench/exits` times.
#include <matrix/guest/sdk.h>

int main(int argc, char **argv, char **envp)
{
    uint64_t count;

    if (argc != 2 || !matrix_parse_u64(argv[1], &count))
        return 2;
    while (count--)
        matrix_abi();
    return 0;
}
