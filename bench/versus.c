// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * share_error_100ms_vs_host and others: a core beside the host's own scheduler, which does the same with
 * the same guests, a thread for each. 2, 20, 200 and 1,000 guests on one CPU, that never exit, half
 * of them entitled to 70 and half to 30.
 */
#include "bench/versus.h"

#include "base/error.h"
#include "vmm/vm.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define FILES 4096 /* a guest has two */

/* Windows in samples. */
static const unsigned lengths[VERSUS_WINDOWS] = {1, 10, 50};

/* All have to come on twice before it counts; the host's slices may be 4 ms long. */
#define SETTLE_NS_PER_GUEST 8000000ULL
#define SETTLE_NS           1000000000ULL

static const struct scale {
    unsigned guests, rounds, seconds;
} scales[] = {{2, 3, 10}, {20, 3, 10}, {200, 1, 20}, {1000, 1, 20}},
  quick_scales[] = {{2, 1, 6}, {20, 1, 6}};

/* Not printed: code and data that all guests share come into memory. */
static const struct scale warm_up = {.guests = 2, .rounds = 1, .seconds = 1};

double versus_work(const struct versus_round *round)
{
    double sum = 0;
    for (unsigned i = 0; i < round->count; i++)
        sum += (double)*(const volatile uint64_t *)round->vms[i]->work;
    return sum;
}

static struct matrix_error *make_guests(struct matrix_kvm *kvm, struct versus_round *round)
{
    char path[PATH_MAX];
    const char *const argv[] = {"spin", NULL};
    const struct matrix_vm_options options = {
        .name = "spin", .argv = argv, .input_fd = -1, .memory_bytes = MATRIX_MEMORY_MINIMUM};
    snprintf(path, sizeof(path), "%s/guest/spin.elf", round->bench->build);
    for (unsigned i = 0; i < round->count; i++)
        RETURN_IF_ERROR(matrix_vm_create(kvm, path, &options, &round->vms[i]));
    return NULL;
}

static struct matrix_error *add_errors(const struct versus_round *round, struct versus_side *side)
{
    for (unsigned i = 0; i < VERSUS_WINDOWS; i++)
        RETURN_IF_ERROR(versus_errors_add(&round->samples, lengths[i], &side->errors[i]));
    return NULL;
}

static struct matrix_error *run_both(struct matrix_kvm *kvm, struct versus_round *round,
                                     struct versus_side *ours, struct versus_side *host)
{
    RETURN_IF_ERROR(versus_memory_read(NULL, 0, &round->before));
    RETURN_IF_ERROR(make_guests(kvm, round));
    RETURN_IF_ERROR(versus_run_ours(round, ours));
    RETURN_IF_ERROR(versus_memory_add(round, ours));
    RETURN_IF_ERROR(add_errors(round, ours));
    RETURN_IF_ERROR(versus_run_host(round, host));
    return add_errors(round, host);
}

static struct matrix_error *run_round(struct versus_round *round, const struct scale *scale,
                                      struct versus_side *ours, struct versus_side *host)
{
    struct matrix_kvm *kvm = NULL;
    round->vms = calloc(round->count, sizeof(struct matrix_vm *));
    struct matrix_error *error =
        round->vms ? NULL : error_host(ENOMEM, "note %u guests", round->count);
    if (!error)
        error = versus_samples_create(
            round->count, (unsigned)(scale->seconds * 1000000000ULL / VERSUS_SAMPLE_NS) + 1,
            &round->samples);
    if (!error)
        error = matrix_kvm_open(NULL, &kvm);
    if (!error)
        error = run_both(kvm, round, ours, host);
    for (unsigned i = 0; i < round->count && round->vms; i++)
        matrix_vm_destroy(round->vms[i]);
    matrix_kvm_close(kvm);
    versus_samples_free(&round->samples);
    free(round->vms);
    return error;
}

static struct matrix_error *run_scale(const struct bench *bench, const struct scale *scale,
                                      struct versus_side *ours, struct versus_side *host)
{
    uint64_t settle_ns = scale->guests * SETTLE_NS_PER_GUEST;
    if (settle_ns < SETTLE_NS)
        settle_ns = SETTLE_NS;
    struct versus_round round = {
        .bench = bench,
        .count = scale->guests,
        .cpu = bench_cpu(),
        .settle = (unsigned)(settle_ns / VERSUS_SAMPLE_NS),
    };
    /* Resident: it must not count as what guests need. */
    memset(ours, 0, sizeof(*ours));
    memset(host, 0, sizeof(*host));
    for (unsigned i = 0; i < scale->rounds; i++)
        RETURN_IF_ERROR(run_round(&round, scale, ours, host));
    if (scale != &warm_up)
        versus_print(&round, scale->rounds, ours, host);
    return NULL;
}

struct matrix_error *bench_main(const struct bench *bench)
{
    const struct scale *first = bench->quick ? quick_scales : scales;
    const size_t count = bench->quick ? sizeof(quick_scales) / sizeof(quick_scales[0])
                                      : sizeof(scales) / sizeof(scales[0]);
    static struct versus_side ours, host;
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < FILES) {
        files.rlim_cur = files.rlim_max < FILES ? files.rlim_max : FILES;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    RETURN_IF_ERROR(run_scale(bench, &warm_up, &ours, &host));
    for (size_t i = 0; i < count; i++)
        RETURN_IF_ERROR(run_scale(bench, &first[i], &ours, &host));
    return NULL;
}
