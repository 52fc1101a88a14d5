/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The symbol table of a guest image, read only when a report needs names. */
#ifndef VMM_IMAGE_SYMBOLS_H
#define VMM_IMAGE_SYMBOLS_H

struct image_symbols;
void image_symbols_free(struct image_symbols *symbols);

#endif
