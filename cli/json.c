// SPDX-License-Identifier: GPL-2.0-or-later
/* Strings that a guest or a file has a say in, for JSON; see json.h. */
#include "cli/json.h"

#include "base/cleanup.h"
#include "cli/common.h"

json_t *cli_json_string(const char *text)
{
    json_t *value = json_string(text);
    if (value)
        return value;

    CLEANUP_FREE char *escaped = NULL;
    size_t size;
    FILE *file = open_memstream(&escaped, &size);
    if (!file)
        return NULL;
    cli_print_escaped(file, text);
    return fclose(file) == 0 ? json_string(escaped) : NULL;
}
