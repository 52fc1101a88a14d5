/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What keys a terminal sends when they are pressed. Pure. Used by `matrix top`. */
#ifndef CLI_KEYS_H
#define CLI_KEYS_H

#include <stddef.h>

/* A key is its character, or one of these. */
enum key {
    KEY_OTHER = -1, /* one that nobody asked for */
    KEY_ESCAPE = 0x1b,
    KEY_BACKSPACE = 0x7f,
    KEY_ENTER = '\n',
    KEY_UP = 0x100,
    KEY_DOWN,
    KEY_LEFT,
    KEY_RIGHT,
    KEY_HOME,
    KEY_END,
    KEY_PAGE_UP,
    KEY_PAGE_DOWN,
};

/*
 * The first key in bytes, and how many they are of it; 0: its rest has not come yet (or, if nothing comes, the
 * first byte is a key by itself).
 */
size_t keys_decode(const char *bytes, size_t count, int *key);

#endif
