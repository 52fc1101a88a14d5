// SPDX-License-Identifier: GPL-2.0-or-later
/* Base64; see base64.h. */
#include "base/base64.h"

#include <stdint.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const void *data, size_t bytes, char *text)
{
    const unsigned char *from = data;
    for (; bytes; text += 4) {
        const size_t part = bytes < 3 ? bytes : 3;
        uint32_t group = 0;
        for (size_t i = 0; i < 3; i++)
            group = group << 8 | (i < part ? from[i] : 0u);
        for (size_t i = 0; i < 4; i++)
            text[i] = i <= part ? alphabet[group >> (18 - 6 * i) & 63] : '=';
        from += part;
        bytes -= part;
    }
    *text = '\0';
}

/* What a character stands for; negative: nothing. */
static int value_of(char character)
{
    const char *found = character ? strchr(alphabet, character) : NULL;
    return found ? (int)(found - alphabet) : -1;
}

/* Four characters, of which the last ones may be padding; how many bytes they are, 0: none. */
static size_t decode_group(const char text[4], bool is_last, unsigned char bytes[3])
{
    const size_t characters = !is_last || text[3] != '=' ? 4 : text[2] != '=' ? 3 : 2;
    uint32_t group = 0;
    for (size_t i = 0; i < 4; i++) {
        const int value = i < characters ? value_of(text[i]) : 0;
        if (value < 0)
            return 0;
        group = group << 6 | (uint32_t)value;
    }
    for (size_t i = 0; i < 3; i++)
        bytes[i] = (unsigned char)(group >> (16 - 8 * i));
    /* Bits that no byte needs are 0, so that there is one text for each data. */
    const bool is_clean = characters == 4 || bytes[characters - 1] == 0;
    return is_clean ? characters - 1 : 0;
}

bool base64_decode(const char *text, size_t length, void *data, size_t *bytes)
{
    unsigned char *to = data;
    *bytes = 0;
    if (length % 4)
        return false;
    for (size_t done = 0; done < length; done += 4) {
        unsigned char group[3];
        const size_t part = decode_group(text + done, done + 4 == length, group);
        if (!part)
            return false;
        memcpy(to + *bytes, group, part);
        *bytes += part;
    }
    return true;
}
