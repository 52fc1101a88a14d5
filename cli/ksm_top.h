/* SPDX-License-Identifier: GPL-2.0-or-later */
/* matrix ksm top: what a look has found (ksm_top.c), and how it is shown (ksm_top_show.c). */
#ifndef CLI_KSM_TOP_H
#define CLI_KSM_TOP_H

#include "ksm/value.h"
#include <matrix/error.h>

/* Values that are kept for the sparklines: no terminal is wider. */
#define TOP_HISTORY 512

enum top_row {
    TOP_SHARED,
    TOP_SHARING,
    TOP_UNSHARED,
    TOP_VOLATILE,
    TOP_PROFIT,
    TOP_KSMD, /* thousandths of a core */
    TOP_MERGES,
    TOP_ROWS,
};

enum top_unit { TOP_PAGES, TOP_BYTES, TOP_SHARE, TOP_RATE };

struct top_kind {
    const char *title, *json;
    enum top_unit unit;
};
extern const struct top_kind top_kinds[TOP_ROWS];

struct top_history {
    int64_t values[TOP_HISTORY];
    size_t count;
    bool known; /* the newest; what the kernel does not tell is not shown */
};

struct top_process {
    const struct ksm_source *source;
    int64_t profit_bytes, merging_pages, resident_bytes;
    bool has_profit;
};

struct top {
    uint64_t interval_ns, duration_ns;
    unsigned shown_processes;
    bool json, live, keys, utf8, computed;
    double time_s;
    int64_t run; /* the knob; -1: not told */
    uint64_t page_bytes, available_bytes;
    struct top_history rows[TOP_ROWS];
    struct top_process *processes; /* the greatest gain first */
    size_t process_count;
    unsigned lines; /* on the screen */
};

struct matrix_error *top_show(struct top *top) MATRIX_MUST_CHECK;

#endif
