/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an entry of the lens (MATRIX_PAGE_*) says, in words: the same in every command. */
#ifndef CLI_PAGE_FLAGS_H
#define CLI_PAGE_FLAGS_H

#include <jansson.h>
#include <stdint.h>

#define PAGE_FLAGS_BYTES 256

/* "mapped present anonymous"; "not mapped" where nothing is. Writes into buffer and returns it. */
char *page_flags_text(char buffer[PAGE_FLAGS_BYTES], uint64_t entry);

/* An array of the same words; empty where nothing is mapped. */
json_t *page_flags_json(uint64_t entry);

#endif
