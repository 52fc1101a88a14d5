/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a counter of KSM, or of whoever shares memory, may hold; and one sample of all of them. */
#ifndef KSM_VALUE_H
#define KSM_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The longest text, "[none] scan-time" say, with its end; what is longer is cut. */
#define KSM_TEXT_BYTES 48

enum ksm_value_kind {
    KSM_NOTHING, /* the counter is not there now: its file or process is gone, or unreadable */
    KSM_NUMBER,
    KSM_TEXT,
};

struct ksm_value {
    enum ksm_value_kind kind;
    int64_t number;
    char text[KSM_TEXT_BYTES];
};

enum ksm_scope { KSM_SCOPE_HOST, KSM_SCOPE_PROCESS };

#define KSM_NAME_BYTES 64
#define KSM_UNIT_BYTES 16

/* What a number counts. A kernel's file keeps the kernel's name; our own end with their unit. */
struct ksm_counter {
    char name[KSM_NAME_BYTES];
    char unit[KSM_UNIT_BYTES]; /* "pages", "bytes", "ns", "ms", "percent"; "" for mere numbers */
    bool computed; /* by us, by the kernel's formula, since the kernel does not say it */
};

struct ksm_reading {
    struct ksm_counter counter;
    struct ksm_value value;
    int64_t series; /* the store's, which sets it; 0: none yet */
};

/* What the readings are of: the host, or one process. */
struct ksm_source {
    enum ksm_scope scope;
    char name[KSM_NAME_BYTES]; /* the process's, or the guest's in it; "host" */
    pid_t pid;
    uint64_t start_time_ns; /* since boot: tells the process from a later one with its number */
    bool ended;             /* in this sample; it is not in the next */
    struct ksm_reading *readings;
    size_t count;
    /*
     * Which readings may be others than the store has, by their index: whoever changes one adds its
     * bit, the store takes them away. Not kept unless it says so; then the store looks at all.
     */
    bool keeps_changes;
    uint64_t changes;
    int64_t subject; /* the store's, which sets it; 0: none yet */
    uint64_t store;  /* the store that these numbers are of */
};

/*
 * One look at everything. Who takes samples keeps one of these and takes each anew into it, so that
 * the store need not look for its series again.
 */
struct ksm_sample {
    uint64_t monotonic_ns; /* CLOCK_MONOTONIC */
    uint64_t realtime_ns;  /* CLOCK_REALTIME, which may jump */
    uint64_t missed;       /* samples that should have been taken before this one and were not */
    struct ksm_source host;
    struct ksm_source *processes;
    size_t process_count;
};

/* The value of a counter of a source; NULL if it has none of that name. */
const struct ksm_value *ksm_source_value(const struct ksm_source *source, const char *counter);

bool ksm_value_equal(const struct ksm_value *a, const struct ksm_value *b);

#endif
