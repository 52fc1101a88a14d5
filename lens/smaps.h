/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sums up /proc/PID/smaps and status from streams, so that tests can make them up. */
#ifndef LENS_SMAPS_H
#define LENS_SMAPS_H

#include <matrix/lens.h>
#include <stdio.h>

/* Both return 0 or an errno; ENXIO: there is no memory in it. shmem_bytes is RssShmem of status. */
int smaps_read(FILE *file, uint64_t shmem_bytes, struct matrix_footprint *footprint);
int status_read(FILE *file, struct matrix_footprint *footprint);

#endif
