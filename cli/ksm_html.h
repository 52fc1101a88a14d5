/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What ksm_report.c writes HTML with: nothing foreign reaches the file unescaped. */
#ifndef CLI_KSM_HTML_H
#define CLI_KSM_HTML_H

#include <stdbool.h>
#include <stdio.h>

/* Text, as content or as a value in quotes. What is not UTF-8, or a control, comes out as \xNN. */
void html_text(FILE *file, const char *text);

/* "<TAG>TEXT</TAG>"; tag is ours, and may have attributes. format's arguments are escaped. */
void html_element(FILE *file, const char *tag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A picture as a data: URI, with a caption. false where there is no such file. */
bool html_picture(FILE *file, const char *path, const char *caption);

#endif
