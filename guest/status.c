// SPDX-License-Identifier: MIT
// Exits with the status that its argument names.
#include <matrix/guest/sdk.h>

int main(int argc, char **argv, char **envp)
{
    uint64_t status;

    if (argc != 2 || !matrix_parse_u64(argv[1], &status) || status > 255) {
        matrix_printf("usage: status N, with N from 0 to 255\n");
        return 2;
    }
    return (int)status;
}
