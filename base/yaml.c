// SPDX-License-Identifier: GPL-2.0-or-later
/* Reads YAML by a schema; see yaml.h. */
#include "base/yaml.h"

#include "base/cleanup.h"
#include "base/error.h"
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <yaml.h>

/* What libcyaml says when it refuses a file: the reason first, then where, innermost first. */
struct complaint {
    char text[512];
    size_t length;
};

static void keep_complaint(cyaml_log_t level, void *context, const char *format, va_list arguments)
{
    struct complaint *complaint = context;
    char line[256];
    if (level < CYAML_LOG_ERROR)
        return;
    vsnprintf(line, sizeof(line), format, arguments);
    char *text = line + (strncmp(line, "Load: ", 6) == 0 ? 6 : 0);
    text += strspn(text, " ");
    text[strcspn(text, "\n")] = '\0';
    if (strncmp(text, "Backtrace", 9) == 0)
        return;
    int added =
        snprintf(complaint->text + complaint->length, sizeof(complaint->text) - complaint->length,
                 "%s%s", complaint->length ? ", " : "", text);
    complaint->length += (size_t)added;
    if (complaint->length >= sizeof(complaint->text))
        complaint->length = sizeof(complaint->text) - 1;
}

static const cyaml_config_t *cyaml_settings(struct complaint *complaint, cyaml_config_t *settings)
{
    *settings = (cyaml_config_t){
        .log_fn = keep_complaint,
        .log_ctx = complaint,
        .mem_fn = cyaml_mem,
        .log_level = CYAML_LOG_ERROR,
        /* Aliases can make a short file huge. */
        .flags = CYAML_CFG_NO_ALIAS,
    };
    return settings;
}

void document_free(const cyaml_schema_value_t *schema, void *document)
{
    struct complaint complaint = {.length = 0};
    cyaml_config_t settings;
    if (document)
        cyaml_free(cyaml_settings(&complaint, &settings), schema, document, 0);
}

/* libcyaml reads the first document of a text and says nothing of what follows it. Here that is a mistake, also
 * where it cannot be read. */
static struct matrix_error *check_rest(const char *text, size_t bytes, const char *name)
{
    yaml_parser_t parser;
    yaml_event_t event;
    unsigned documents = 0;
    bool is_fine = true, is_over = false;
    if (!yaml_parser_initialize(&parser))
        return error_host(ENOMEM, "read %s", name);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, bytes);
    while (is_fine && !is_over) {
        is_fine = yaml_parser_parse(&parser, &event);
        documents += event.type == YAML_DOCUMENT_START_EVENT;
        is_fine &= documents <= 1;
        is_over = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    const size_t line = parser.mark.line + 1;
    yaml_parser_delete(&parser);
    if (is_fine)
        return NULL;
    return error_usage(
        "one file has one document: what follows \"---\" or \"...\" goes into a file of its own",
        "%s: another document after the first (line: %zu)", name, line);
}

struct matrix_error *document_load(const char *text, size_t bytes, const char *name,
                                   const cyaml_schema_value_t *schema, const char *remedy,
                                   void **document)
{
    struct complaint complaint = {.length = 0};
    cyaml_config_t settings;
    *document = NULL;
    cyaml_err_t failure =
        cyaml_load_data((const uint8_t *)text, bytes, cyaml_settings(&complaint, &settings), schema,
                        document, NULL);
    if (failure != CYAML_OK) {
        *document = NULL;
        return error_usage(remedy, "%s: %s%s%s", name, cyaml_strerror(failure),
                           complaint.length ? ": " : "", complaint.text);
    }
    struct matrix_error *error = check_rest(text, bytes, name);
    if (error) {
        document_free(schema, *document);
        *document = NULL;
    }
    return error;
}

struct matrix_error *document_read_file(const char *path, char **text, size_t *bytes)
{
    CLEANUP_FILE FILE *file = fopen(path, "re");
    if (!file)
        return error_new(MATRIX_ERROR_USAGE, errno, NULL, "read %s", path);
    CLEANUP_FREE char *read = malloc(YAML_BYTES_MAX + 1);
    if (!read)
        return error_host(ENOMEM, "read %s", path);
    *bytes = fread(read, 1, YAML_BYTES_MAX + 1, file);
    if (ferror(file))
        return error_new(MATRIX_ERROR_USAGE, errno, NULL, "read %s", path);
    if (*bytes > YAML_BYTES_MAX)
        return error_usage(NULL, "%s is larger than %u bytes", path, YAML_BYTES_MAX);
    *text = TAKE(read);
    return NULL;
}
