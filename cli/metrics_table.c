// SPDX-License-Identifier: GPL-2.0-or-later
/* Which metrics there are: name, unit, what it says, where it is on the board. docs/metrics.md has the same
 * list, and a test sees to that. See metrics.h. */
#include "cli/metrics.h"

#include <inttypes.h>
#include <matrix/vm.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- samples --------------------------------------------------------------------------------- */

/* The name of a sample and its labels, up to its value. */
static void print_name(FILE *file, const struct metrics_family *family, const char *labels)
{
    fprintf(file, METRICS_PREFIX "%s%s{%s} ", family->name,
            family->type == METRICS_COUNTER ? "_total" : "", labels);
}

static uint64_t field_u64(const struct metrics_family *family, const void *entry)
{
    uint64_t value;
    memcpy(&value, (const char *)entry + family->offset, sizeof(value));
    return value;
}

static uint32_t field_u32(const struct metrics_family *family, const void *entry)
{
    uint32_t value;
    memcpy(&value, (const char *)entry + family->offset, sizeof(value));
    return value;
}

static void write_u64(FILE *file, const struct metrics_family *family, const char *labels,
                      const void *entry)
{
    print_name(file, family, labels);
    fprintf(file, "%" PRIu64 "\n", field_u64(family, entry));
}

static void write_u32(FILE *file, const struct metrics_family *family, const char *labels,
                      const void *entry)
{
    print_name(file, family, labels);
    fprintf(file, "%" PRIu32 "\n", field_u32(family, entry));
}

/* To the nanosecond, which a double would not be after some months. */
static void print_seconds(FILE *file, uint64_t ns)
{
    fprintf(file, "%" PRIu64 ".%09" PRIu64, ns / 1000000000, ns % 1000000000);
}

static void write_seconds(FILE *file, const struct metrics_family *family, const char *labels,
                          const void *entry)
{
    print_name(file, family, labels);
    print_seconds(file, field_u64(family, entry));
    putc('\n', file);
}

/* A limit that is not set is no sample. */
static void write_ppm(FILE *file, const struct metrics_family *family, const char *labels,
                      const void *entry)
{
    const uint32_t ppm = field_u32(family, entry);
    if (!ppm)
        return;
    print_name(file, family, labels);
    fprintf(file, "%.6f\n", ppm / 1e6);
}

static void print_ratio(FILE *file, const struct metrics_family *family, const char *labels,
                        double ratio)
{
    print_name(file, family, labels);
    fprintf(file, "%.9f\n", ratio);
}

/* The three are of the time when others could run, too. A guest that never had company has none. */
static void write_promised(FILE *file, const struct metrics_family *family, const char *labels,
                           const void *entry)
{
    const struct matrix_board_guest *guest = entry;
    if (guest->contended_total_ns)
        print_ratio(file, family, labels,
                    (double)guest->entitled_ns / (double)guest->contended_total_ns);
}

static void write_given(FILE *file, const struct metrics_family *family, const char *labels,
                        const void *entry)
{
    const struct matrix_board_guest *guest = entry;
    if (guest->contended_total_ns)
        print_ratio(file, family, labels,
                    (double)guest->contended_cpu_ns / (double)guest->contended_total_ns);
}

static void write_error(FILE *file, const struct metrics_family *family, const char *labels,
                        const void *entry)
{
    const struct matrix_board_guest *guest = entry;
    if (guest->contended_total_ns)
        print_ratio(file, family, labels,
                    ((double)guest->contended_cpu_ns - (double)guest->entitled_ns) /
                        (double)guest->contended_total_ns);
}

static void write_exits(FILE *file, const struct metrics_family *family, const char *labels,
                        const void *entry)
{
    const struct matrix_board_guest *guest = entry;
    for (unsigned kind = 0; kind < MATRIX_EXIT_KIND_COUNT; kind++)
        fprintf(file, METRICS_PREFIX "%s_total{%s,kind=\"%s\"} %" PRIu64 "\n", family->name, labels,
                matrix_exit_kind_name(kind), guest->exits[kind]);
}

static void write_state(FILE *file, const struct metrics_family *family, const char *labels,
                        const void *entry)
{
    static const char *const states[] = {"running", "ready",  "paused",  "at ceiling", "sleeping",
                                         "waiting", "exited", "faulted", "stopped"};
    const struct matrix_board_guest *guest = entry;
    for (size_t i = 0; i < COUNT(states); i++)
        fprintf(file, METRICS_PREFIX "%s{%s," METRICS_PREFIX "%s=\"%s\"} %d\n", family->name,
                labels, family->name, states[i], strcmp(guest->state, states[i]) == 0);
}

static void write_age(FILE *file, const struct metrics_family *family, const char *labels,
                      const void *entry)
{
    const struct metrics_process *process = entry;
    print_name(file, family, labels);
    print_seconds(file, process->seen_ns > process->core.published_ns
                            ? process->seen_ns - process->core.published_ns
                            : 0);
    putc('\n', file);
}

static void print_bucket(FILE *file, const struct metrics_family *family, const char *labels,
                         const char *end, uint64_t count)
{
    fprintf(file, METRICS_PREFIX "%s_bucket{%s,le=\"%s\"} %" PRIu64 "\n", family->name, labels, end,
            count);
}

/*
 * The board has 16 buckets for each power of two; here is one for each, from a microsecond to a second. It has
 * no sum of delays, and so there is none here: neither _sum nor, by the standard, _count.
 */
static void write_delays(FILE *file, const struct metrics_family *family, const char *labels,
                         const void *entry)
{
    const struct metrics_process *process = entry;
    const uint64_t first_ns = 1000, last_ns = 1ULL << 30;
    uint64_t sum = 0;
    for (unsigned bucket = 0; bucket < MATRIX_BOARD_BUCKETS; bucket++) {
        const uint64_t end_ns = matrix_board_bucket_ns(bucket);
        sum += process->core.delay_buckets[bucket];
        if (bucket % 16 != 15 || end_ns < first_ns || end_ns >= last_ns)
            continue;
        char end[32];
        snprintf(end, sizeof(end), "%.9f", (double)end_ns / 1e9);
        print_bucket(file, family, labels, end, sum);
    }
    print_bucket(file, family, labels, "+Inf", sum);
}

static void print_if(FILE *file, const struct metrics_family *family, const char *labels,
                     bool is_known, int64_t value)
{
    if (!is_known)
        return;
    print_name(file, family, labels);
    fprintf(file, "%" PRId64 "\n", value);
}

static void write_merged(FILE *file, const struct metrics_family *family, const char *labels,
                         const void *entry)
{
    const struct metrics_ksm *ksm = &((const struct metrics_process *)entry)->ksm;
    print_if(file, family, labels, ksm->knows_merged, ksm->merged_bytes);
}

static void write_zero(FILE *file, const struct metrics_family *family, const char *labels,
                       const void *entry)
{
    const struct metrics_ksm *ksm = &((const struct metrics_process *)entry)->ksm;
    print_if(file, family, labels, ksm->knows_zero, ksm->zero_bytes);
}

static void write_profit(FILE *file, const struct metrics_family *family, const char *labels,
                         const void *entry)
{
    const struct metrics_ksm *ksm = &((const struct metrics_process *)entry)->ksm;
    print_if(file, family, labels, ksm->knows_profit, ksm->profit_bytes);
}

static void write_saved(FILE *file, const struct metrics_family *family, const char *labels,
                        const void *entry)
{
    const struct metrics_merged *merged = entry;
    print_name(file, family, labels);
    fprintf(file, "%.0f\n", merged->saved_bytes);
}

/* --- tables ---------------------------------------------------------------------------------- */

#define GUEST(field) offsetof(struct matrix_board_guest, field)
#define CORE(field)  offsetof(struct metrics_process, core.field)
#define GAUGE        METRICS_GAUGE
#define COUNTER      METRICS_COUNTER

/* clang-format off */
static const struct metrics_family of_guests[] = {
    {"guest_promised_ratio", GAUGE, "ratio", "By contract, of the CPU time when others could run, too.", write_promised, 0},
    {"guest_given_ratio", GAUGE, "ratio", "In fact, of the CPU time when others could run, too.", write_given, 0},
    {"guest_error_ratio", GAUGE, "ratio", "Given less promised.", write_error, 0},
    {"guest_entitled_seconds", COUNTER, "seconds", "CPU time that was promised when others could run, too.", write_seconds, GUEST(entitled_ns)},
    {"guest_contended_cpu_seconds", COUNTER, "seconds", "CPU time that was given when others could run, too.", write_seconds, GUEST(contended_cpu_ns)},
    {"guest_contended_seconds", COUNTER, "seconds", "CPU time of all guests while this and another could run.", write_seconds, GUEST(contended_total_ns)},
    {"guest_alone_cpu_seconds", COUNTER, "seconds", "CPU time that was given when no other could run.", write_seconds, GUEST(alone_cpu_ns)},
    {"guest_cpu_seconds", COUNTER, "seconds", "CPU time that was charged.", write_seconds, GUEST(cpu_ns)},
    {"guest_exits", COUNTER, NULL, "Exits from the guest, by kind.", write_exits, 0},
    {"guest_slices", COUNTER, NULL, "Slices that were begun.", write_u64, GUEST(slices)},
    {"guest_preemptions", COUNTER, NULL, "Slices that the timer ended.", write_u64, GUEST(preemptions)},
    {"guest_io_switches", COUNTER, NULL, "Exits after which another guest came on.", write_u64, GUEST(io_switches)},
    {"guest_work", COUNTER, NULL, "Units of work that the guest says it has done.", write_u64, GUEST(work)},
    {"guest_state", METRICS_STATESET, NULL, "What the guest does.", write_state, 0},
    {"guest_memory_bytes", GAUGE, "bytes", "Guest-physical memory.", write_u64, GUEST(memory_bytes)},
    {"guest_vcpus", GAUGE, NULL, "Virtual CPUs.", write_u32, GUEST(vcpus)},
    {"guest_weight", GAUGE, NULL, "Weight, by contract.", write_u32, GUEST(weight)},
    {"guest_floor_ratio", GAUGE, "ratio", "Floor, by contract; none: there is no sample.", write_ppm, GUEST(floor_ppm)},
    {"guest_ceiling_ratio", GAUGE, "ratio", "Ceiling, by contract; none: there is no sample.", write_ppm, GUEST(ceiling_ppm)},
    {"guest_dropped_lines", COUNTER, NULL, "Lines of output that were dropped.", write_u64, GUEST(dropped_lines)},
    {"guest_dropped_bytes", COUNTER, "bytes", "Output that was dropped.", write_u64, GUEST(dropped_bytes)},
};

static const struct metrics_family of_cores[] = {
    {"core_run_seconds", COUNTER, "seconds", "How long the run has been going on.", write_seconds, CORE(wall_ns)},
    {"core_guests_cpu_seconds", COUNTER, "seconds", "CPU time of all guests.", write_seconds, CORE(guests_cpu_ns)},
    {"core_overhead_seconds", COUNTER, "seconds", "CPU time of the loop itself, charged to no guest.", write_seconds, CORE(overhead_ns)},
    {"core_idle_seconds", COUNTER, "seconds", "Time when no guest could run.", write_seconds, CORE(idle_wall_ns)},
    {"core_board_cpu_seconds", COUNTER, "seconds", "Of the overhead: for publishing what is read here.", write_seconds, CORE(publish_cpu_ns)},
    {"core_decisions", COUNTER, NULL, "Decisions who runs next.", write_u64, CORE(decisions)},
    {"core_switches", COUNTER, NULL, "Decisions for another guest than before.", write_u64, CORE(switches)},
    {"core_timer_signals", COUNTER, NULL, "Signals of the slice timer.", write_u64, CORE(timer_signals)},
    {"core_stale_signals", COUNTER, NULL, "Signals of the slice timer that came for a slice that was over.", write_u64, CORE(stale_signals)},
    {"core_slice_seconds", GAUGE, "seconds", "Length of a slice.", write_seconds, CORE(slice_ns)},
    {"core_delay_seconds", METRICS_HISTOGRAM, "seconds", "From a slice's end to the loop's having the core back.", write_delays, 0},
    {"core_delay_worst_seconds", GAUGE, "seconds", "The worst of these delays.", write_seconds, CORE(delay_worst_ns)},
    {"core_guests", GAUGE, NULL, "Guests of the core, those that have ended included.", write_u64, CORE(guests)},
    {"core_guests_unlisted", GAUGE, NULL, "Guests for which the board had no room.", write_u64, CORE(guests_unlisted)},
    {"core_age_seconds", GAUGE, "seconds", "How old the core's counters are.", write_age, 0},
};

static const struct metrics_family of_processes[] = {
    {"process_ksm_merged_bytes", GAUGE, "bytes", "Memory of the process whose pages KSM has merged.", write_merged, 0},
    {"process_ksm_zero_bytes", GAUGE, "bytes", "Memory of the process for which KSM has put the zero page.", write_zero, 0},
    {"process_ksm_profit_bytes", GAUGE, "bytes", "What KSM saves in this process less what it costs; can be negative.", write_profit, 0},
};

static const struct metrics_family of_merged[] = {
    {"guest_ksm_merged_bytes", GAUGE, "bytes", "Memory of the guest whose pages KSM has merged, by the last map.", write_u64, offsetof(struct metrics_merged, merged_bytes)},
    {"guest_ksm_saved_bytes", GAUGE, "bytes", "The guest's part of what that saves.", write_saved, 0},
};
/* clang-format on */

const struct metrics_table metrics_of_guests = {of_guests, COUNT(of_guests)};
const struct metrics_table metrics_of_cores = {of_cores, COUNT(of_cores)};
const struct metrics_table metrics_of_processes = {of_processes, COUNT(of_processes)};
const struct metrics_table metrics_of_merged = {of_merged, COUNT(of_merged)};
