// SPDX-License-Identifier: GPL-2.0-or-later
// Counts the primes below its argument with the sieve of Eratosthenes, and verifies the count.
#include <matrix/guest/sdk.h>

/* How many primes lie below a limit: https://oeis.org/A006880. */
static const struct {
    uint64_t limit;
    uint64_t count;
} known[] = {
    {10, 4},        {100, 25},        {1000, 168},        {10000, 1229},
    {100000, 9592}, {1000000, 78498}, {10000000, 664579}, {100000000, 5761455},
};

enum { KNOWN_COUNT = sizeof(known) / sizeof(known[0]) };

/* Sets composite[n] for every composite n below the limit. */
static void sieve(uint8_t *composite, uint64_t limit)
{
    memset(composite, 0, limit);
    for (uint64_t n = 2; n * n < limit; n++) {
        if (composite[n])
            continue;
        for (uint64_t multiple = n * n; multiple < limit; multiple += n)
            composite[multiple] = 1;
        matrix_work_add(1);
    }
}

/* Counts the primes, and compares with every known count on the way. */
static bool count_primes(const uint8_t *composite, uint64_t limit, uint64_t *count)
{
    int next = 0;

    *count = 0;
    for (uint64_t n = 2; n <= limit; n++) {
        if (next < KNOWN_COUNT && n == known[next].limit && *count != known[next++].count) {
            matrix_printf("wrong: %lu primes below %lu\n", *count, n);
            return false;
        }
        if (n < limit && !composite[n])
            ++*count;
    }
    return true;
}

int main(int argc, char **argv, char **envp)
{
    uint8_t *composite = (uint8_t *)matrix_start()->heap;
    uint64_t limit = 100000, count;

    if (argc > 2 || (argc == 2 && !matrix_parse_u64(argv[1], &limit))) {
        matrix_printf("usage: primes [N]\n");
        return 2;
    }
    if (limit > matrix_start()->heap_bytes) {
        matrix_printf("primes below %lu need as many bytes of heap; there are %lu\n", limit,
                      matrix_start()->heap_bytes);
        return 2;
    }
    sieve(composite, limit);
    if (!count_primes(composite, limit, &count))
        return 1;
    matrix_printf("%lu primes below %lu\n", count, limit);
    return 0;
}
