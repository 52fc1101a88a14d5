// SPDX-License-Identifier: GPL-2.0-or-later
// Puts a word of its own, made of its address and its name, into places of its memory, prints where
// they are and what is there ("PLACE ADDRESS WORD"), then "ready", and stays as it is.
#include <matrix/guest/sdk.h>

static uint64_t variable;

static uint64_t word(uint64_t address)
{
    for (const char *name = (const char *)matrix_start()->name; *name; name++)
        address = address * 31 + (unsigned char)*name;
    return address * 0x9e3779b97f4a7c15;
}

static void tell(const char *place, uint64_t *address)
{
    *(volatile uint64_t *)address = word((uint64_t)address);
    matrix_printf("%s %lx %lx\n", place, (uint64_t)address, *(volatile uint64_t *)address);
}

int main(int argc, char **argv, char **envp)
{
    const struct matrix_start *start = matrix_start();
    const uint64_t last = (start->heap + start->heap_bytes - 8) & ~7UL;
    uint64_t local;

    tell("variable", &variable);
    tell("stack", &local);
    tell("heap", (uint64_t *)start->heap);
    tell("odd", (uint64_t *)(start->heap + 0x5123 * 8));
    tell("last", (uint64_t *)last);
    matrix_printf("ready\n");
    for (;;)
        matrix_sleep(1000000000);
    return 0;
}
