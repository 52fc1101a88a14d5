/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * YAML by a libcyaml schema, with complaints that say what and where, and limits for files that
 * mean harm. Used by the readers of configuration; linked only into the programs that have one. Names
 * here do not begin with yaml_: libyaml has those, its own yaml_free among them, and would call ours.
 */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include <cyaml/cyaml.h>
#include <matrix/error.h>
#include <stddef.h>

#define YAML_BYTES_MAX (1U << 20)

/*
 * Reads bytes of text into a new document; name stands for the file in messages, remedy is that of
 * what does not fit the schema. *document is NULL where the text has none, which is no error.
 */
struct matrix_error *document_load(const char *text, size_t bytes, const char *name,
                                   const cyaml_schema_value_t *schema, const char *remedy,
                                   void **document) MATRIX_MUST_CHECK;

void document_free(const cyaml_schema_value_t *schema, void *document);

/* Reads a file of no more than YAML_BYTES_MAX; *text is to be freed. */
struct matrix_error *document_read_file(const char *path, char **text,
                                        size_t *bytes) MATRIX_MUST_CHECK;

/* A key whose value is text. flags: CYAML_FLAG_DEFAULT where it must be there, or _OPTIONAL. */
#define YAML_TEXT(key, flags, structure, member)                                      \
    CYAML_FIELD_STRING_PTR((key), CYAML_FLAG_POINTER | (flags), structure, member, 0, \
                           CYAML_UNLIMITED)

#endif
