/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guests by name or path, the same in every command. */
#ifndef CLI_FIND_IMAGE_H
#define CLI_FIND_IMAGE_H

#include <limits.h>

/*
 * Writes the path of the image that a person means by given: what has no slash and is no file in
 * directory may be a guest that comes with Matrix; else it is a path, from directory on ("" is the
 * current one). Whether it exists is found out when it is opened.
 */
void find_image(const char *given, const char *directory, char path[PATH_MAX]);

#endif
