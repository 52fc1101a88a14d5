/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Answers of the control socket, read and checked: of bytes that anybody may have sent. Pure, so
 * that fuzzing reaches it. Called by client. */
#ifndef CONTROL_REPLY_H
#define CONTROL_REPLY_H

#include "control/client.h"
#include <jansson.h>

/* An answer, to be released; or the error that it is. */
struct matrix_error *reply_parse(const char *text, size_t bytes, json_t **answer) MATRIX_MUST_CHECK;

/* Appends its guests to a list. next: where the list goes on; 0: nowhere. */
struct matrix_error *reply_list(const json_t *answer, struct control_vm **vms, size_t *count,
                                size_t *next) MATRIX_MUST_CHECK;

/* With a board: how many cores there are. */
struct matrix_error *reply_cores(const json_t *answer, unsigned core,
                                 unsigned *cores) MATRIX_MUST_CHECK;

struct matrix_error *reply_regions(const json_t *answer,
                                   struct matrix_region regions[CONTROL_REGIONS_MAX],
                                   size_t *count) MATRIX_MUST_CHECK;

/* Exactly those that were asked for, in that order. */
struct matrix_error *reply_translations(const json_t *answer, const uint64_t *addresses,
                                        size_t count,
                                        struct matrix_translation *translations) MATRIX_MUST_CHECK;

#endif
