/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Answers of the control socket, read and checked: of bytes that anybody may have sent. Pure, so
 * that fuzzing reaches it. Called by client. */
#ifndef CONTROL_REPLY_H
#define CONTROL_REPLY_H

#include "base/base64.h"
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

/* A piece of what a guest printed. */
struct control_logs {
    char state[16];
    uint64_t from, next, end, lost_bytes;
    unsigned start;
    bool is_over, takes_input;
    size_t bytes;
    char data[BASE64_BYTES_MAX(BASE64_TEXT_LENGTH(CONTROL_LOGS_MAX))];
};

/* What was asked for from there on. */
struct matrix_error *reply_logs(const json_t *answer, uint64_t asked,
                                struct control_logs *logs) MATRIX_MUST_CHECK;

/* How many of so many bytes of input were taken, and whether its end was. */
struct matrix_error *reply_input(const json_t *answer, size_t bytes, size_t *taken,
                                 bool *is_last) MATRIX_MUST_CHECK;

#endif
