/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel says about KSM, read: pure functions, so that tests and fuzzing reach them. Called
 * for each file of each sample.
 */
#ifndef KSM_TEXT_H
#define KSM_TEXT_H

#include "ksm/value.h"

/*
 * What a file of /sys/kernel/mm/ksm holds: a number if it is one that fits, else a text, as far as it
 * fits. Nothing if it is empty.
 */
void ksm_text_value(const char *text, struct ksm_value *value);

/*
 * The next line of /proc/PID/ksm_stat, "ksm_rmap_items 12" or "ksm_merge_any: no", and steps over
 * it. Lines that are not like that are left out. False at the end.
 */
bool ksm_text_field(const char **text, char name[KSM_NAME_BYTES], struct ksm_value *value);

/* The second number of /proc/PID/statm: resident pages. False if that is not what it is. */
bool ksm_text_resident(const char *text, uint64_t *pages);

/* CPU time: the first number of schedstat, in ns, or user and system time of stat, in ticks. */
bool ksm_text_schedstat(const char *text, uint64_t *ns);
bool ksm_text_stat_ticks(const char *text, uint64_t *ticks);

/* The unit of what a kernel's file of this name counts; "" if there is none, or it is not known. */
const char *ksm_text_unit(const char *name);

/*
 * general_profit by the kernel's formula (ksm_process_profit and general_profit_show of mm/ksm.c):
 * what is saved less a ksm_rmap_item for each page that is looked at. False if it does not fit.
 */
struct ksm_profit_terms {
    int64_t pages_shared, pages_sharing, pages_unshared, pages_volatile, zero_pages;
};
bool ksm_text_profit(const struct ksm_profit_terms *terms, uint64_t page_bytes, int64_t *bytes);

#endif
