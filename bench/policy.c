// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * policy_decision_ns_N: what one decision costs (who is next, for how long, charge what it ran) with N
 * guests that all can run, against the same with 10. policy_limits_decision_ns_N: the same in groups of
 * ten, which have floors, with guests that have floors and ceilings. The clock is simulated, so that
 * nothing else is measured; the CPU time is the thread's. bench/curve draws them.
 */
#include "bench/bench.h"

#include "base/clock.h"
#include "base/error.h"
#include "cloud/policy.h"
#include <errno.h>
#include <stdlib.h>

#define ROUNDS    15
#define DECISIONS 100000
#define SLICE_NS  1000000
#define GROUP     10

struct simulation {
    struct policy *policy;
    struct policy_entity *guests;
    size_t count;
    uint64_t now_ns;
};

static struct matrix_error *add_limited(struct simulation *simulation, size_t i,
                                        struct policy_entity **group)
{
    const uint32_t floor = (uint32_t)((size_t)POLICY_WHOLE / 2 * GROUP / simulation->count);
    const struct policy_contract tenant = {.weight = 100, .floor_ppm = floor};
    const struct policy_contract member = {
        .weight = 1 + (uint32_t)(i * 7 % 100),
        .floor_ppm = i % 3 ? 0 : floor / GROUP,
        .ceiling_ppm = i % 2 ? POLICY_WHOLE / 2 : 0,
    };
    if (i % GROUP == 0)
        RETURN_IF_ERROR(policy_add_group(simulation->policy, NULL, "tenant", &tenant, group));
    return policy_add(simulation->policy, *group, &simulation->guests[i], "guest", &member);
}

static struct matrix_error *begin(struct simulation *simulation, bool limits)
{
    struct policy_entity *group = NULL;
    RETURN_IF_ERROR(policy_create(SLICE_NS, NULL, &simulation->policy));
    simulation->guests = calloc(simulation->count, sizeof(*simulation->guests));
    if (!simulation->guests)
        return error_host(ENOMEM, "simulate %zu guests", simulation->count);
    for (size_t i = 0; i < simulation->count; i++) {
        if (limits)
            RETURN_IF_ERROR(add_limited(simulation, i, &group));
        else
            policy_entity_init(&simulation->guests[i], 1 + (uint32_t)(i * 7 % 100));
        RETURN_IF_ERROR(policy_join(simulation->policy, &simulation->guests[i]));
    }
    return NULL;
}

/* Three of four use all of their slice, as spinning guests do; the fourth leaves early. */
static double measure(struct simulation *simulation)
{
    const uint64_t start = clock_now_ns(CLOCK_THREAD_CPUTIME_ID);
    for (unsigned i = 0; i < DECISIONS; i++) {
        struct policy_entity *picked = policy_pick(simulation->policy, simulation->now_ns);
        if (!picked) {
            simulation->now_ns = policy_release_ns(simulation->policy);
            continue;
        }
        const uint64_t slice = policy_slice(simulation->policy, picked);
        const uint64_t ran = i % 4 ? slice : slice / 3;
        simulation->now_ns += ran;
        policy_charge(simulation->policy, picked, ran, simulation->now_ns);
    }
    return (double)(clock_now_ns(CLOCK_THREAD_CPUTIME_ID) - start) / DECISIONS;
}

static struct matrix_error *measure_size(size_t count, bool limits, unsigned rounds,
                                         struct bench_values *values)
{
    struct simulation simulation = {.count = count, .now_ns = 1};
    struct matrix_error *error = begin(&simulation, limits);
    values->count = 0;
    if (!error)
        measure(&simulation); /* warms up */
    for (unsigned i = 0; !error && i < rounds; i++)
        bench_add(values, measure(&simulation));
    policy_destroy(simulation.policy);
    free(simulation.guests);
    return error;
}

struct matrix_error *bench_main(const struct bench *bench)
{
    static struct bench_values values;
    const unsigned rounds = bench->quick ? 2 : ROUNDS;
    const size_t most = bench->quick ? 10000 : 1000000;
    RETURN_IF_ERROR(bench_pin(bench_cpu()));
    for (int limits = 0; limits < 2; limits++) {
        double few = 0;
        for (size_t count = 10; count <= most; count *= 10) {
            char name[64];
            RETURN_IF_ERROR(measure_size(count, limits, rounds, &values));
            const double median = bench_median(&values);
            few = count == 10 ? median : few;
            snprintf(name, sizeof(name), "policy_%sdecision_ns_%zu", limits ? "limits_" : "",
                     count);
            bench_print(&(struct bench_result){.name = name,
                                               .unit = "ns",
                                               .value = median,
                                               .baseline = "the same with 10 guests",
                                               .baseline_value = few,
                                               .runs = rounds});
        }
    }
    return NULL;
}
