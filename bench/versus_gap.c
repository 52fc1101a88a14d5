// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How long the loop is outside of KVM_RUN: from where vcpu_run comes back to where it is called again,
 * in CPU time, for one call of eight. The core's own account says less: what it does with the signal
 * that ended a slice is charged to the guest. The linker (--wrap) has all calls of vcpu_run go here.
 * For bench/versus.
 */
#include "bench/versus.h"

#include "base/clock.h"
#include "vmm/vcpu.h"

#define SAMPLED_OF 8

static struct versus_gaps gaps;
static uint64_t left_ns; /* when the last call came back; 0: not measured */

enum vcpu_outcome __real_vcpu_run(struct vcpu *vcpu);
enum vcpu_outcome __wrap_vcpu_run(struct vcpu *vcpu);

enum vcpu_outcome __wrap_vcpu_run(struct vcpu *vcpu)
{
    if (left_ns) {
        gaps.measured_ns += (double)(clock_now_ns(CLOCK_THREAD_CPUTIME_ID) - left_ns);
        gaps.gaps++;
    }
    const enum vcpu_outcome outcome = __real_vcpu_run(vcpu);
    left_ns = gaps.calls++ % SAMPLED_OF ? 0 : clock_now_ns(CLOCK_THREAD_CPUTIME_ID);
    return outcome;
}

struct versus_gaps versus_gaps_read(void)
{
    return gaps;
}

double versus_clock_cost_ns(void)
{
    static struct bench_values costs;
    costs.count = 0;
    uint64_t last = clock_now_ns(CLOCK_THREAD_CPUTIME_ID);
    for (unsigned i = 0; i < BENCH_RUNS_MAX; i++) {
        const uint64_t now = clock_now_ns(CLOCK_THREAD_CPUTIME_ID);
        bench_add(&costs, (double)(now - last));
        last = now;
    }
    return bench_median(&costs);
}
