// SPDX-License-Identifier: GPL-2.0-or-later
// Writes a word of its own into the first, the last and every so-many-th page of its heap, then
// reads all of them back: memory of any size is checked while little of it is touched. Argument: the
// distance in bytes.
#include <matrix/guest/sdk.h>

int main(int argc, char **argv, char **envp)
{
    const struct matrix_start *start = matrix_start();
    const uint64_t last = (start->heap + start->heap_bytes - 8) & ~7UL;
    uint64_t distance;

    if (argc != 2 || !matrix_parse_u64(argv[1], &distance) || distance == 0)
        return 2;
    for (uint64_t at = start->heap; at < last; at += distance)
        *(volatile uint64_t *)at = ~at;
    *(volatile uint64_t *)last = ~last;
    for (uint64_t at = start->heap; at < last; at += distance)
        if (*(volatile uint64_t *)at != ~at)
            return 1;
    return *(volatile uint64_t *)last != ~last;
}
