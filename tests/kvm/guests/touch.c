// SPDX-License-Identifier: GPL-2.0-or-later
// Reads, writes or calls an address, given as a number or by the name of a place, and exits with 0
// if that was possible. Arguments: read|write|call PLACE.
#include <matrix/guest/sdk.h>

static const uint8_t constant[] = {0xc3}; /* ret, where execution is not forbidden */
static uint8_t variable[] = {0xc3};

__attribute__((noinline)) static void routine(void)
{
    __asm__ volatile("");
}

static bool find(const char *name, uint64_t *address)
{
    const struct matrix_start *start = matrix_start();
    uint8_t local[] = {0xc3};
    const struct {
        const char *name;
        uint64_t address;
    } places[] = {
        {"text", (uint64_t)routine},
        {"constant", (uint64_t)constant},
        {"variable", (uint64_t)variable},
        {"stack", (uint64_t)local},
        {"heap", start->heap},
        {"start", (uint64_t)start},
        {"argument", start->argv},
        {"work", start->work},
        {"guard", start->stack_top - start->stack_bytes - 1},
        {"heap-end", start->heap + start->heap_bytes},
    };

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        if (strcmp(name, places[i].name) == 0) {
            *address = places[i].address;
            return true;
        }
    return matrix_parse_u64(name, address);
}

int main(int argc, char **argv, char **envp)
{
    uint64_t address;

    if (argc != 3 || !find(argv[2], &address))
        return 2;
    *(volatile uint8_t *)matrix_start()->heap = 0xc3;
    if (strcmp(argv[1], "read") == 0)
        __asm__ volatile("movb (%0), %%al" : : "r"(address) : "rax", "memory");
    else if (strcmp(argv[1], "write") == 0)
        __asm__ volatile("movb $0xc3, (%0)" : : "r"(address) : "memory");
    else if (strcmp(argv[1], "call") == 0)
        ((void (*)(void))address)();
    else
        return 2;
    return 0;
}
