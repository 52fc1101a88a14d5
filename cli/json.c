// SPDX-License-Identifier: GPL-2.0-or-later
/* What the programs that write JSON have in common; see json.h. */
#include "cli/json.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "cli/common.h"
#include <errno.h>
#include <inttypes.h>

/* Of times and rates: a microsecond in a day. */
#define REAL_DIGITS JSON_REAL_PRECISION(11)

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

json_t *cli_json_address(uint64_t address)
{
    char text[24];
    snprintf(text, sizeof(text), "0x%" PRIx64, address);
    return json_string(text);
}

struct matrix_error *cli_json_print(json_t *root, bool one_line)
{
    if (!root)
        return error_host(ENOMEM, "make JSON");
    const int failed =
        json_dumpf(root, stdout, (one_line ? JSON_COMPACT : JSON_INDENT(2)) | REAL_DIGITS);
    json_decref(root);
    if (failed || putchar('\n') == EOF || fflush(stdout))
        return error_host(errno, "write to standard output");
    return NULL;
}
