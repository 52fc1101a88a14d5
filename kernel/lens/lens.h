/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The requests of /dev/matrix. Each takes a copy of the caller's argument, already checked for
 * size, and changes it where the caller is to get something back. What each returns stands in
 * include/matrix/uapi/matrix_lens.h.
 */
#ifndef MATRIX_LENS_H
#define MATRIX_LENS_H

#include <matrix/uapi/matrix_lens.h>

long lens_translate(void *argument);
long lens_footprint(void *argument);
long lens_read_byte(void *argument);
long lens_write_byte(void *argument);
long lens_running(void *argument);
long lens_children(void *argument);
long lens_reparent(void *argument);

/* Not on PREEMPT_RT: lens/reparent.c says why. */
#define LENS_CAN_REPARENT (!IS_ENABLED(CONFIG_PREEMPT_RT))

#endif
