// SPDX-License-Identifier: GPL-2.0-or-later
/* The sums of what processes' counters say; see sums.h. */
#include "ksm/sums.h"

#include <string.h>

#define BIT(sum) (1U << (sum))
#define MERGED   (BIT(KSM_SUM_SHARED) | BIT(KSM_SUM_SHARING))
/* Each page that ksmd knows is one of these: pages_volatile is what is left of all. */
#define KNOWN (MERGED | BIT(KSM_SUM_UNSHARED) | BIT(KSM_SUM_VOLATILE))
#define ZERO  BIT(KSM_SUM_ZERO)

#define SAMPLES_STILL 2

static const char *const names[KSM_SUMS] = {
    [KSM_SUM_SHARED] = "pages_shared",     [KSM_SUM_SHARING] = "pages_sharing",
    [KSM_SUM_UNSHARED] = "pages_unshared", [KSM_SUM_VOLATILE] = "pages_volatile",
    [KSM_SUM_ZERO] = "ksm_zero_pages",
};

static const struct {
    const char *counter;
    unsigned sums;
} counters[] = {
    {"ksm_rmap_items", KNOWN},
    {"ksm_merging_pages", MERGED},
    {"ksm_zero_pages", ZERO},
    {"ksm_process_profit", KNOWN | ZERO},
    /* What the program has asked for: no number at all, and may be known a little later. */
    {"ksm_merge_any", 0},
    {"ksm_mergeable", 0},
};

unsigned ksm_sums_of(const char *counter)
{
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
        if (strcmp(counters[i].counter, counter) == 0)
            return counters[i].sums;
    return KSM_SUMS_NONE;
}

unsigned ksm_sums_look(struct ksm_sums *sums, const struct ksm_source *host)
{
    unsigned still = 0;
    for (size_t i = 0; i < KSM_SUMS; i++) {
        const struct ksm_value *value = ksm_source_value(host, names[i]);
        const bool is_known = value && value->kind == KSM_NUMBER;
        if (!is_known || value->number != sums->last[i])
            sums->samples[i] = 0;
        else if (sums->samples[i] < SAMPLES_STILL)
            sums->samples[i]++;
        if (is_known)
            sums->last[i] = value->number;
        if (sums->samples[i] == SAMPLES_STILL)
            still |= BIT(i);
    }
    return still;
}
