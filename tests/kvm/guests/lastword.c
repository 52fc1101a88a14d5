// SPDX-License-Identifier: GPL-2.0-or-later
// Starts as many vCPUs as its argument says, of which the last faults; all others sleep for ever.
#include <matrix/guest/sdk.h>

static void wait(void *argument)
{
    for (;;)
        matrix_sleep(1000000000);
}

static void give_up(void *argument)
{
    __asm__ volatile("ud2");
}

int main(int argc, char **argv, char **envp)
{
    static uint8_t stacks[16][4096];
    uint64_t vcpus;

    if (argc != 2 || !matrix_parse_u64(argv[1], &vcpus) || vcpus > 15)
        return 2;
    for (uint64_t i = 0; i < vcpus; i++)
        matrix_vcpu_start(i + 1 < vcpus ? wait : give_up, NULL, stacks[i], sizeof(stacks[i]));
    wait(NULL);
    return 1;
}
