// SPDX-License-Identifier: GPL-2.0-or-later
// Runs several vCPUs, each counting in a cache line of its own, and waits until all are done.
#include <matrix/guest/sdk.h>

enum {
    VCPUS_MAX = 64,
    STACK_BYTES = 8192,
    COUNT_LIMIT = 100000,
};

struct counter {
    uint64_t count;
    int64_t vcpu;
} __attribute__((aligned(64)));

static struct counter counters[VCPUS_MAX];

static void count_up(void *argument)
{
    struct counter *counter = argument;

    __atomic_store_n(&counter->vcpu, matrix_vcpu_index(), __ATOMIC_RELAXED);
    for (uint64_t count = 1; count <= COUNT_LIMIT; count++) {
        matrix_work_add(1);
        __atomic_store_n(&counter->count, count, __ATOMIC_RELEASE);
    }
}

static void wait_for(const struct counter *counter)
{
    while (__atomic_load_n(&counter->count, __ATOMIC_ACQUIRE) < COUNT_LIMIT)
        matrix_sleep(1000000);
}

int main(int argc, char **argv, char **envp)
{
    uint8_t *stacks = (uint8_t *)matrix_start()->heap;
    uint64_t vcpus = 2;

    if (argc > 2 || (argc == 2 && !matrix_parse_u64(argv[1], &vcpus)) || vcpus < 1 ||
        vcpus > VCPUS_MAX || vcpus * STACK_BYTES > matrix_start()->heap_bytes) {
        matrix_printf("usage: vcpus [N], with N from 1 to %d\n", VCPUS_MAX);
        return 2;
    }
    for (uint64_t i = 1; i < vcpus; i++) {
        int64_t index =
            matrix_vcpu_start(count_up, &counters[i], stacks + i * STACK_BYTES, STACK_BYTES);

        if (index < 0) {
            matrix_printf("vCPU %lu did not start: error %ld\n", i, index);
            return 1;
        }
    }
    count_up(&counters[0]);
    for (uint64_t i = 0; i < vcpus; i++) {
        wait_for(&counters[i]);
        matrix_printf("vCPU %ld counted to %lu\n", counters[i].vcpu, counters[i].count);
    }
    return 0;
}
