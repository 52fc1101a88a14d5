/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which bytes of a text a terminal may take for controls. Used where guests' text is made safe: by
 * vmm/console and the commands that show what guests printed. */
#ifndef BASE_CONTROLS_H
#define BASE_CONTROLS_H

#include <stdbool.h>

/* Where in a character the text is; zero it at the beginning, and at a line's end. */
struct controls {
    unsigned char lead, left;
};

/*
 * Whether the next byte is one: C0 but for the tab, DEL, and C1 (U+0080 to U+009F), which is one byte to
 * some and two, the first of them 0xc2, to those that read UTF-8. The same bytes inside longer characters
 * are no controls.
 */
static inline bool controls_next(struct controls *controls, unsigned char byte)
{
    const unsigned char lead = controls->lead;
    const bool continues = byte >= 0x80 && byte < 0xc0;
    if (!continues) {
        controls->left = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : byte >= 0xc0 ? 1 : 0;
        controls->lead = byte;
        return (byte < 0x20 && byte != '\t') || byte == 0x7f;
    }
    const bool inside = controls->left > 0 && lead != 0xc2;
    controls->left -= controls->left > 0;
    return byte < 0xa0 && !inside;
}

#endif
