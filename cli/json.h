/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the programs that write JSON have in common, beside jansson. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <jansson.h>

/*
 * A JSON string; NULL without memory. What is not UTF-8 cannot stand in JSON: then everything that
 * cli_print_escaped would escape is escaped.
 */
json_t *cli_json_string(const char *text);

#endif
