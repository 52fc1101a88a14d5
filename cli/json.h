/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the programs that write JSON have in common, beside jansson. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <jansson.h>
#include <matrix/error.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A JSON string; NULL without memory. What is not UTF-8 cannot stand in JSON: then everything that
 * cli_print_escaped would escape is escaped.
 */
json_t *cli_json_string(const char *text);

/* An address as JSON has it: "0x1000". Its numbers may be doubles to who reads them. */
json_t *cli_json_address(uint64_t address);

/* Prints and frees an object, indented or on one line. NULL means that there was no memory. */
struct matrix_error *cli_json_print(json_t *root, bool one_line) MATRIX_MUST_CHECK;

#endif
