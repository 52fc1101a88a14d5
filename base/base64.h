/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Base64 (RFC 4648, section 4): any bytes as text that JSON can hold. Used at both ends of the control
 * socket. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* Characters that so many bytes become, and the most bytes that so many characters come to. */
#define BASE64_TEXT_LENGTH(bytes) (((size_t)(bytes) + 2) / 3 * 4)
#define BASE64_BYTES_MAX(length)  ((size_t)(length) / 4 * 3)

/* Writes BASE64_TEXT_LENGTH(bytes) characters, and an end. */
void base64_encode(const void *data, size_t bytes, char *text);

/*
 * Reads so many characters into data, which has room for BASE64_BYTES_MAX(length). False: that is not what
 * base64_encode writes of anything; no spaces, no missing padding.
 */
bool base64_decode(const char *text, size_t length, void *data, size_t *bytes);

#endif
