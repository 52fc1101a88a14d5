// SPDX-License-Identifier: GPL-2.0-or-later
/* What keys a terminal sends; see keys.h. */
#include "cli/keys.h"

#include <stdbool.h>

/* What stands behind ESC [ or ESC O: by xterm, the Linux console, tmux and screen, whose terminfo entries differ
 * in nothing but these. */
static const struct {
    char parameter, last; /* "5~"; without a parameter "A" */
    int key;
} sequences[] = {
    {0, 'A', KEY_UP},     {0, 'B', KEY_DOWN},  {0, 'C', KEY_RIGHT},     {0, 'D', KEY_LEFT},
    {0, 'H', KEY_HOME},   {0, 'F', KEY_END},   {'1', '~', KEY_HOME},    {'4', '~', KEY_END},
    {'7', '~', KEY_HOME}, {'8', '~', KEY_END}, {'5', '~', KEY_PAGE_UP}, {'6', '~', KEY_PAGE_DOWN},
};

static int find(char parameter, char last)
{
    for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++)
        if (sequences[i].parameter == parameter && sequences[i].last == last)
            return sequences[i].key;
    return KEY_OTHER;
}

/* ECMA-48, 5.4: parameters, then intermediate bytes, then one that ends it. */
static size_t decode_sequence(const char *bytes, size_t count, int *key)
{
    size_t at = 2;
    while (at < count && bytes[at] >= 0x20 && bytes[at] <= 0x3f)
        at++;
    if (at == count)
        return 0;
    *key = at == 2 ? find(0, bytes[2]) : at == 3 ? find(bytes[2], bytes[3]) : KEY_OTHER;
    return at + 1;
}

size_t keys_decode(const char *bytes, size_t count, int *key)
{
    *key = KEY_OTHER;
    if (count == 0)
        return 0;
    if (bytes[0] != KEY_ESCAPE) {
        *key = bytes[0] == '\r' ? KEY_ENTER : bytes[0] == '\b' ? KEY_BACKSPACE : bytes[0] & 0xff;
        return 1;
    }
    if (count == 1)
        return 0;
    if (bytes[1] == '[' || bytes[1] == 'O')
        return decode_sequence(bytes, count, key);
    *key = KEY_ESCAPE; /* and another key behind it */
    return 1;
}
