/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `matrix ksm map`: what ksm_map.c has found out, and how it is told. */
#ifndef CLI_KSM_MAP_H
#define CLI_KSM_MAP_H

#include "ksm/content.h"
#include "ksm/map.h"

struct ksm_map_report {
    const struct ksm_map *map;
    const struct ksm_contents *contents;      /* NULL: nobody asked */
    const struct ksm_difference *differences; /* by subject; NULL: it was taken once */
    uint64_t between_ns;                      /* from one to the other map */
    const size_t *top;                        /* groups */
    size_t top_count;
};

/* ksm_map_text.c */
struct matrix_error *ksm_map_print(const struct ksm_map_report *report) MATRIX_MUST_CHECK;
/* ksm_map_json.c */
struct matrix_error *ksm_map_print_json(const struct ksm_map_report *report) MATRIX_MUST_CHECK;

/* Pages with memory of their own behind them: neither untouched nor swapped. */
uint64_t ksm_map_resident_pages(const struct ksm_map *map);

#endif
