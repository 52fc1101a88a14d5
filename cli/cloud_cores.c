// SPDX-License-Identifier: GPL-2.0-or-later
/* The cores of a cloud: how many there are, which host CPUs they are pinned to, and what their loops did. */
#include "cli/cloud.h"

#include "base/error.h"
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#define ANY_CPU (-1)

/* The last CPUs that this process may use: interrupts mostly go to the first. Where there are fewer than cores,
 * some share one. */
static struct matrix_error *choose_cpus(struct cloud *cloud)
{
    cpu_set_t allowed;
    const bool is_known = sched_getaffinity(0, sizeof(allowed), &allowed) == 0;
    int cpu = CPU_SETSIZE;
    if (!is_known || CPU_COUNT(&allowed) == 0)
        return error_host(errno, "ask which CPUs may be used");
    for (unsigned k = cloud->cores; k-- > 0;) {
        do
            cpu = cpu > 0 ? cpu - 1 : CPU_SETSIZE - 1;
        while (!CPU_ISSET(cpu, &allowed));
        cloud->cpus[k] = cpu;
    }
    return NULL;
}

/* Whose word counts: the command line's, where it says something, in place of the file's. */
struct wish {
    int core;
    unsigned cores;
    const int *cpus;
};

static struct wish wish_of(const struct cloud_options *options, const struct cloud_config *config)
{
    if (options->cores)
        return (struct wish){options->core != CONFIG_CORE_UNSET ? options->core
                             : config->core == CONFIG_CORE_ANY  ? CONFIG_CORE_ANY
                                                                : CONFIG_CORE_UNSET,
                             options->cores, options->cpus};
    if (options->core >= 0)
        return (struct wish){options->core, 1, NULL};
    if (options->core == CONFIG_CORE_ANY)
        return (struct wish){CONFIG_CORE_ANY, config->cores, NULL};
    return (struct wish){config->core, config->cores, config->cpus};
}

struct matrix_error *cloud_cores_choose(struct cloud *cloud, const struct cloud_options *options)
{
    const struct wish wish = wish_of(options, &cloud->config);
    cloud->cores = wish.cores ? wish.cores : 1;
    cloud->rebalance_ns =
        options->has_rebalance ? options->rebalance_ns : cloud->config.rebalance_ns;
    cloud->moves = options->moves ? options->moves : cloud->config.moves;
    if (options->moves && !cloud->rebalance_ns)
        return error_usage("say how often: --rebalance", "--moves: nobody is moved");
    if (wish.core >= 0 && (wish.cores > 1 || wish.cpus))
        return error_usage("list host CPUs: --cpus", "one host CPU, %d, for several cores",
                           wish.core);
    cloud->cpus = calloc(cloud->cores, sizeof(*cloud->cpus));
    cloud->seen_cpu_ns = calloc(cloud->cores, sizeof(*cloud->seen_cpu_ns));
    if (!cloud->cpus || !cloud->seen_cpu_ns)
        return error_host(ENOMEM, "choose the cores");
    if (!wish.cpus && wish.core == CONFIG_CORE_UNSET)
        return choose_cpus(cloud);
    for (unsigned k = 0; k < cloud->cores; k++)
        cloud->cpus[k] = wish.cpus                      ? wish.cpus[k]
                         : wish.core == CONFIG_CORE_ANY ? ANY_CPU
                                                        : wish.core;
    return NULL;
}

void cloud_cores_warn(const struct cloud *cloud)
{
    for (unsigned k = 1; k < cloud->cores; k++)
        if (cloud->cpus[k] >= 0 && cloud->cpus[k] == cloud->cpus[0]) {
            fprintf(stderr,
                    PROGRAM
                    ": %u cores share %u host CPU%s: contracts hold within each core, but a "
                    "core is less than a CPU\n",
                    cloud->cores, k, k == 1 ? "" : "s");
            return;
        }
}

/* Of delays the greatest: how those of several cores are distributed together is not known here. */
static void add_up(struct matrix_core_statistics *sum, const struct matrix_core_statistics *loop)
{
    sum->wall_ns = loop->wall_ns > sum->wall_ns ? loop->wall_ns : sum->wall_ns;
    sum->guests_cpu_ns += loop->guests_cpu_ns;
    sum->overhead_ns += loop->overhead_ns;
    sum->idle_wall_ns += loop->idle_wall_ns;
    sum->decisions += loop->decisions;
    sum->switches += loop->switches;
    sum->timer_signals += loop->timer_signals;
    sum->stale_signals += loop->stale_signals;
    sum->guests += loop->guests;
    if (loop->delay_worst_ns > sum->delay_worst_ns)
        sum->delay_worst_ns = loop->delay_worst_ns;
    if (loop->delay_median_ns > sum->delay_median_ns)
        sum->delay_median_ns = loop->delay_median_ns;
    if (loop->delay_p99_ns > sum->delay_p99_ns)
        sum->delay_p99_ns = loop->delay_p99_ns;
}

void cloud_cores_sum(const struct cloud *cloud, struct matrix_core_statistics *sum)
{
    struct matrix_machine_core core;
    *sum = (struct matrix_core_statistics){0};
    for (unsigned k = 0; matrix_machine_core(cloud->machine, k, &core); k++)
        add_up(sum, &core.loop);
}
