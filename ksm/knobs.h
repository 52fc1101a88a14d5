/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The knobs of kernel same-page merging: the files of /sys/kernel/mm/ksm that can be written, in the
 * order in which the kernel takes them. Used by ksm/lease, which puts them back, and by the
 * experiment's file.
 */
#ifndef KSM_KNOBS_H
#define KSM_KNOBS_H

#include <matrix/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KSM_DIRECTORY "/sys/kernel/mm/ksm"

/* In the order of writing; see knobs.c. */
enum ksm_knob {
    KSM_KNOB_MAX_PAGE_SHARING,
    KSM_KNOB_MERGE_ACROSS_NODES,
    KSM_KNOB_ADVISOR_MAX_CPU,
    KSM_KNOB_ADVISOR_MIN_PAGES_TO_SCAN,
    KSM_KNOB_ADVISOR_MAX_PAGES_TO_SCAN,
    KSM_KNOB_ADVISOR_TARGET_SCAN_TIME,
    KSM_KNOB_ADVISOR_MODE,
    KSM_KNOB_PAGES_TO_SCAN,
    KSM_KNOB_SLEEP_MILLISECS,
    KSM_KNOB_USE_ZERO_PAGES,
    KSM_KNOB_SMART_SCAN,
    KSM_KNOB_RUN,
    KSM_KNOB_COUNT,
};

#define KSM_KNOB_TEXT 24

/* What each knob is, or shall be; "": this kernel has no such knob, or it is left as it is. */
struct ksm_knobs {
    char text[KSM_KNOB_COUNT][KSM_KNOB_TEXT];
};

/* The name of the file, and the key in YAML. */
const char *ksm_knob_name(enum ksm_knob knob);

/* The knob of that name, or KSM_KNOB_COUNT. */
enum ksm_knob ksm_knob_find(const char *name, size_t length);

/* Checks a value and keeps it as the kernel prints it: "yes" is no number, "010" becomes "10". */
struct matrix_error *ksm_knob_parse(enum ksm_knob knob, const char *text,
                                    struct ksm_knobs *knobs) MATRIX_MUST_CHECK;

/* Reads all that there are. Fails where there is no KSM at all. */
struct matrix_error *ksm_knobs_read(const char *directory,
                                    struct ksm_knobs *knobs) MATRIX_MUST_CHECK;

/*
 * Writes those that are set and differ from what is there, in order, and reads each back. Fails at
 * the first that the kernel refuses. A knob that this kernel does not have is an error, too, unless
 * the value is what it does without: smart_scan, use_zero_pages 0, advisor_mode none.
 */
struct matrix_error *ksm_knobs_write(const char *directory,
                                     const struct ksm_knobs *knobs) MATRIX_MUST_CHECK;

/* Writes one, whether it differs or not. */
struct matrix_error *ksm_knob_write(const char *directory, enum ksm_knob knob,
                                    const char *text) MATRIX_MUST_CHECK;

/* Reads a counter of the directory, such as "pages_shared"; false where there is none. */
bool ksm_counter_read(const char *directory, const char *name, int64_t *value);

#endif
