// SPDX-License-Identifier: GPL-2.0-or-later
/* The figures of bench/versus: ours, with the host's as their baseline. */
#include "bench/versus.h"

#define NAME_BYTES     64
#define BASELINE_BYTES 160

/* The goals of the share error, ours over the host's; 0: none. */
static const struct window {
    const char *name;
    double goal;
} windows[VERSUS_WINDOWS] = {{"100ms", 1.0 / 3}, {"1s", 1}, {"5s", 0}};

static const char *const groups[2] = {"heavy", "light"};

/* Two guests are what the named figures are about. */
static void print_headline(const struct window *window, const struct bench_result *result)
{
    char name[NAME_BYTES];
    struct bench_result headline = *result;
    snprintf(name, sizeof(name), "share_error_%s_vs_host", window->name);
    headline.name = name;
    headline.goal_is = BENCH_GOAL_RATIO;
    bench_print(&headline);
}

static void print_errors(const struct versus_round *round, const struct window *window,
                         struct versus_errors *ours, struct versus_errors *host)
{
    char name[NAME_BYTES], baseline[BASELINE_BYTES];
    struct bench_result result = {
        .name = name,
        .unit = "percentage points",
        .value = bench_median(&ours->furthest),
        .baseline = baseline,
        .baseline_value = bench_median(&host->furthest),
        .runs = ours->furthest.count,
        .goal_is = window->goal > 0 ? BENCH_GOAL_RATIO : BENCH_NO_GOAL,
        .goal = window->goal,
    };
    snprintf(baseline, sizeof(baseline), "the host's scheduler, a thread per guest, %s",
             round->host_weights);
    if (round->count == 2 && window->goal > 0)
        print_headline(window, &result);
    snprintf(name, sizeof(name), "share_error_%s_%u", window->name, round->count);
    bench_print(&result);

    snprintf(baseline, sizeof(baseline), "the same, the worst window");
    snprintf(name, sizeof(name), "share_error_worst_%s_%u", window->name, round->count);
    result.goal_is = BENCH_NO_GOAL;
    result.value = bench_quantile(&ours->furthest, 1);
    result.baseline_value = bench_quantile(&host->furthest, 1);
    bench_print(&result);

    for (unsigned i = 0; i < 2 && round->count > 2; i++) {
        snprintf(baseline, sizeof(baseline),
                 "the same, of its share, the middle one of those at %u",
                 i == 0 ? VERSUS_WEIGHT_HEAVY : VERSUS_WEIGHT_LIGHT);
        snprintf(name, sizeof(name), "share_error_%s_%s_%u", groups[i], window->name, round->count);
        result.unit = "%";
        result.value = bench_median(&ours->relative[i]);
        result.baseline_value = bench_median(&host->relative[i]);
        bench_print(&result);
    }
}

/* What has no baseline, or one that is not the host's scheduler. */
static void print_overhead(unsigned guests, unsigned rounds, struct versus_side *ours)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof(name), "overhead_%u_guests", guests);
    bench_print(&(struct bench_result){
        .name = name,
        .unit = "of CPU time",
        .value = bench_median(&ours->overhead),
        .baseline =
            "by the core's own account, which charges guests for the signals that end slices",
        .baseline_value = bench_median(&ours->by_account),
        .runs = rounds,
        .goal_is = guests == 1000 ? BENCH_GOAL_VALUE : BENCH_NO_GOAL,
        .goal = 0.02,
    });
}

void versus_print(const struct versus_round *round, unsigned rounds, struct versus_side *ours,
                  struct versus_side *host)
{
    const struct {
        const char *name, *unit, *baseline;
        struct bench_values *ours, *host;
    } rows[] = {
        {"delay_vs_host_%u", "ns", "until a real-time thread has the CPU that a timer woke",
         &ours->delays, &host->delays},
        {"switch_vs_host_%u", "ns", "between two threads that only yield", &ours->switches,
         &host->switches},
        {"work_vs_host_%u", "per CPU second", "what the guests' threads did", &ours->work,
         &host->work},
        {"memory_vs_host_%u", "bytes per guest", "with a thread per guest", &ours->memory,
         &host->memory},
        {"memory_machine_vs_host_%u", "bytes per guest", "with a thread per guest", &ours->machine,
         &host->machine},
    };
    for (unsigned i = 0; i < VERSUS_WINDOWS; i++)
        print_errors(round, &windows[i], &ours->errors[i], &host->errors[i]);
    print_overhead(round->count, rounds, ours);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof(name), rows[i].name, round->count);
        bench_print(&(struct bench_result){
            .name = name,
            .unit = rows[i].unit,
            .value = bench_median(rows[i].ours),
            .baseline = rows[i].baseline,
            .baseline_value = bench_median(rows[i].host),
            .runs = rounds,
        });
    }
}
