// SPDX-License-Identifier: GPL-2.0-or-later
/* Writes HTML; see ksm_html.h. */
#include "cli/ksm_html.h"

#include "base/cleanup.h"
#include "cli/common.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Of a picture no more is embedded. */
#define PICTURE_BYTES_MAX (32U << 20)

static void escape_line(FILE *file, const char *text, size_t length)
{
    CLEANUP_FREE char *line = strndup(text, length);
    CLEANUP_FREE char *plain = line ? cli_escape(line) : NULL;
    for (const char *c = plain ? plain : ""; *c; c++)
        switch (*c) {
        case '&':
            fputs("&amp;", file);
            break;
        case '<':
            fputs("&lt;", file);
            break;
        case '>':
            fputs("&gt;", file);
            break;
        case '"':
            fputs("&quot;", file);
            break;
        case '\'':
            fputs("&#39;", file);
            break;
        default:
            fputc(*c, file);
        }
}

/* Line by line: line ends and tabs are the only controls that stay. */
void html_text(FILE *file, const char *text)
{
    while (*text) {
        const size_t length = strcspn(text, "\n\t");
        escape_line(file, text, length);
        text += length;
        if (*text)
            fputc(*text++, file);
    }
}

void html_element(FILE *file, const char *tag, const char *format, ...)
{
    CLEANUP_FREE char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    fprintf(file, "<%s>", tag);
    html_text(file, text ? text : "");
    fprintf(file, "</%.*s>\n", (int)strcspn(tag, " "), tag);
}

static void base64(FILE *file, const unsigned char *bytes, size_t count)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < count; i += 3) {
        const size_t left = count - i;
        const unsigned three = (unsigned)bytes[i] << 16 | (left > 1 ? bytes[i + 1] << 8 : 0) |
                               (left > 2 ? bytes[i + 2] : 0);
        fputc(digits[three >> 18], file);
        fputc(digits[three >> 12 & 63], file);
        fputc(left > 1 ? digits[three >> 6 & 63] : '=', file);
        fputc(left > 2 ? digits[three & 63] : '=', file);
    }
}

bool html_picture(FILE *file, const char *path, const char *caption)
{
    CLEANUP_FILE FILE *picture = fopen(path, "re");
    CLEANUP_FREE unsigned char *bytes = picture ? malloc(PICTURE_BYTES_MAX) : NULL;
    const size_t count = bytes ? fread(bytes, 1, PICTURE_BYTES_MAX, picture) : 0;
    const char *dot = strrchr(path, '.');
    if (count == 0)
        return false;
    fprintf(file, "<figure><img alt=\"");
    html_text(file, caption);
    fprintf(file, "\" src=\"data:image/%s;base64,",
            dot && strcmp(dot, ".png") == 0 ? "png" : "svg+xml");
    base64(file, bytes, count);
    fputs("\">", file);
    html_element(file, "figcaption", "%s", caption);
    fputs("</figure>\n", file);
    return true;
}
