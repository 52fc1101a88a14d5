// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The minimal C program that bench/start and bench/memory hold against `matrix run`. Without
 * an argument its guest prints a line and exits, as hello does; with "spin" it never ends.
 */
#include "bench/raw.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const uint8_t print_code[] = {0xe6, 0x4d, 0xe6, 0x4d}; /* outb %al, $0x4d; twice */
static const uint8_t spin_code[] = {0xeb, 0xfe};              /* jmp . */

int main(int argc, char **argv)
{
    const bool spin = argc == 2 && strcmp(argv[1], "spin") == 0;
    struct kvm_cpuid2 *cpuid;
    struct raw_vm vm;
    int kvm = raw_open(&cpuid);
    if (kvm < 0 || !raw_create(kvm, cpuid, spin ? spin_code : print_code,
                               spin ? sizeof(spin_code) : sizeof(print_code), &vm))
        return 1;
    if (spin)
        dprintf(STDERR_FILENO, "hva %p\n", (void *)vm.ram); /* for bench/memory */

    static const char line[] = "Hello from hello, with 16384 KiB of memory.\n";
    if (!raw_run(&vm) || write(STDOUT_FILENO, line, sizeof(line) - 1) < 0)
        return 1;
    return raw_run(&vm) ? 0 : 1;
}
