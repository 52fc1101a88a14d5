// SPDX-License-Identifier: MIT
// Says hello: the smallest guest, and one to copy from.
#include <matrix/guest/sdk.h>

int main(int argc, char **argv, char **envp)
{
    const struct matrix_start *start = matrix_start();

    matrix_printf("Hello from %s, with %lu KiB of memory.\n", (const char *)start->name,
                  start->memory_bytes / 1024);
    for (int i = 1; i < argc; i++)
        matrix_printf("argument %d: %s\n", i, argv[i]);
    return 0;
}
