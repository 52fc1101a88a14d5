// SPDX-License-Identifier: GPL-2.0-or-later
/* The guests under contract on one core, sampled from its tick. For bench/versus. */
#include "bench/versus.h"

#include "base/error.h"
#include "vmm/vm.h"

/* What is counted from the first sample to the last. */
struct counted {
    struct matrix_core_statistics statistics;
    struct versus_gaps gaps;
    double work;
};

struct run {
    struct versus_round *round;
    unsigned ticks;
    struct counted first, last;
};

static void count(struct matrix_core *core, const struct run *run, struct counted *counted)
{
    matrix_core_statistics(core, &counted->statistics);
    counted->gaps = versus_gaps_read();
    counted->work = versus_work(run->round);
}

/* Every 100 ms, between two slices: no guest runs meanwhile. */
static void tick(struct matrix_core *core, void *context)
{
    struct run *run = context;
    struct versus_samples *samples = &run->round->samples;
    if (run->ticks++ < run->round->settle)
        return;
    uint64_t *times = versus_samples_next(samples);
    for (unsigned i = 0; i < samples->guests; i++)
        times[i] = run->round->vms[i]->cpu_ns;
    if (samples->count++ == 0)
        count(core, run, &run->first);
    if (samples->count == samples->wanted) {
        count(core, run, &run->last);
        matrix_core_stop(core);
    }
}

static void add_figures(const struct run *run, struct versus_side *side)
{
    const struct counted *first = &run->first, *last = &run->last;
    const double own = (double)(last->statistics.overhead_ns - first->statistics.overhead_ns);
    const double cpu =
        own + (double)(last->statistics.guests_cpu_ns - first->statistics.guests_cpu_ns);
    const double calls = (double)(last->gaps.calls - first->gaps.calls);
    const double gap_ns = (last->gaps.measured_ns - first->gaps.measured_ns) /
                              (double)(last->gaps.gaps - first->gaps.gaps) -
                          versus_clock_cost_ns();
    bench_add(&side->delays, (double)last->statistics.delay_median_ns);
    bench_add(&side->switches,
              own / (double)(last->statistics.switches - first->statistics.switches));
    bench_add(&side->overhead, gap_ns * calls / cpu);
    bench_add(&side->by_account, own / cpu);
    bench_add(&side->work, 1e9 * (last->work - first->work) / cpu);
}

static struct matrix_error *run_core(struct matrix_core *core, struct run *run)
{
    struct matrix_core_result end;
    for (unsigned i = 0; i < run->round->count; i++)
        RETURN_IF_ERROR(
            matrix_core_add(core, run->round->vms[i],
                            versus_is_heavy(i) ? VERSUS_WEIGHT_HEAVY : VERSUS_WEIGHT_LIGHT));
    RETURN_IF_ERROR(matrix_core_run(core, &end));
    if (run->round->samples.count == run->round->samples.wanted)
        return NULL;
    return error_host(0, "run %u guests until all samples were taken", run->round->count);
}

struct matrix_error *versus_run_ours(struct versus_round *round, struct versus_side *side)
{
    struct run run = {.round = round};
    const struct matrix_core_options options = {
        .cpu = round->cpu, .tick_ns = VERSUS_SAMPLE_NS, .tick = tick, .context = &run};
    struct matrix_core *core;
    round->samples.count = 0;
    round->samples.heavy_share =
        (double)VERSUS_WEIGHT_HEAVY / (VERSUS_WEIGHT_HEAVY + VERSUS_WEIGHT_LIGHT);
    RETURN_IF_ERROR(matrix_core_create(&options, &core));
    struct matrix_error *error = run_core(core, &run);
    matrix_core_destroy(core);
    RETURN_IF_ERROR(error);
    add_figures(&run, side);
    return NULL;
}
