// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The contract report splits at each change: what was promised and given between one change and the next.
 * A period is kept as what each guest's figures were at its beginning.
 */
#include "cli/cloud.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

/* Later changes are part of the last period: what is kept is bounded. */
#define PERIODS_MAX 1000

static struct cloud_figures figures_of(const struct cloud *cloud, unsigned index)
{
    struct matrix_core_guest guest;
    struct matrix_vm_info info;
    cloud_guest_look(cloud, index, &guest, &info);
    return (struct cloud_figures){.removed = cloud->config.guests[index].removed,
                                  .weight = guest.weight,
                                  .floor_ppm = guest.contract.floor_ppm,
                                  .ceiling_ppm = guest.contract.ceiling_ppm,
                                  .cpu_ns = guest.cpu_ns,
                                  .contended_cpu_ns = guest.contended_cpu_ns,
                                  .contended_total_ns = guest.contended_total_ns,
                                  .entitled_ns = guest.entitled_ns};
}

/* A period whose figures are still to come, from other cores. */
struct begin {
    struct cloud *cloud;
    size_t index;
};

static void fill_in(struct matrix_machine *machine, void *context)
{
    struct begin *begin = context;
    struct cloud_period *period = &begin->cloud->periods.list[begin->index];
    for (unsigned i = 0; i < period->guest_count; i++)
        period->guests[i] = figures_of(begin->cloud, i);
    free(begin);
}

/* The cores are asked after what began the period: their figures are of the time when it was so. */
static bool ask_for_figures(struct cloud *cloud, size_t index)
{
    struct begin *begin = malloc(sizeof(*begin));
    if (!begin)
        return false;
    *begin = (struct begin){cloud, index};
    struct matrix_error *error = matrix_machine_refresh(cloud->machine, fill_in, begin);
    if (error)
        free(begin);
    matrix_error_free(error);
    return !error;
}

void cloud_periods_split(struct cloud *cloud, const char *change, ...)
{
    struct matrix_machine_core first;
    struct cloud_periods *periods = &cloud->periods;
    if (periods->count == PERIODS_MAX)
        return;
    struct cloud_period *more = reallocarray(periods->list, periods->count + 1, sizeof(*more));
    if (!more)
        return; /* the report has one period less */
    periods->list = more;
    struct cloud_period *period = &more[periods->count];
    *period = (struct cloud_period){.guest_count = cloud->config.guest_count};
    period->guests = calloc(period->guest_count, sizeof(*period->guests));
    if (!period->guests)
        return;
    matrix_machine_core(cloud->machine, 0, &first);
    period->begin_ns = first.loop.wall_ns;
    va_list arguments;
    va_start(arguments, change);
    vsnprintf(period->change, sizeof(period->change), change, arguments);
    va_end(arguments);
    if (ask_for_figures(cloud, periods->count))
        periods->count++;
    else
        free(period->guests);
}

void cloud_periods_free(struct cloud *cloud)
{
    for (size_t i = 0; i < cloud->periods.count; i++)
        free(cloud->periods.list[i].guests);
    free(cloud->periods.list);
}

bool cloud_period_share(const struct cloud *cloud, size_t period, unsigned index,
                        struct cloud_figures *figures)
{
    const struct cloud_periods *periods = &cloud->periods;
    const struct cloud_period *begin = &periods->list[period];
    const bool is_last = period + 1 == periods->count;
    if (index >= begin->guest_count)
        return false; /* it came later */
    *figures = is_last ? figures_of(cloud, index) : begin[1].guests[index];
    const struct cloud_figures *first = &begin->guests[index];
    if (first->removed)
        return false;
    figures->weight = first->weight;
    figures->floor_ppm = first->floor_ppm;
    figures->ceiling_ppm = first->ceiling_ppm;
    figures->cpu_ns -= first->cpu_ns;
    figures->contended_cpu_ns -= first->contended_cpu_ns;
    figures->contended_total_ns -= first->contended_total_ns;
    figures->entitled_ns -= first->entitled_ns;
    return true;
}
