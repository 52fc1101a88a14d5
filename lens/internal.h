/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the lens know of each other; matrix/lens.h is what others see. */
#ifndef LENS_INTERNAL_H
#define LENS_INTERNAL_H

#include "lens/explain.h"
#include <matrix/lens.h>

/* How one source does what both can. Arguments were checked by lens.c. */
struct lens_source {
    const char *name;
    struct matrix_error *(*translate)(const struct matrix_lens *lens, pid_t pid, uint64_t address,
                                      size_t count, unsigned flags, uint64_t *entries);
    struct matrix_error *(*footprint)(const struct matrix_lens *lens, pid_t pid,
                                      struct matrix_footprint *footprint);
    struct matrix_error *(*running)(const struct matrix_lens *lens, struct matrix_task_list *list);
    struct matrix_error *(*children)(const struct matrix_lens *lens, pid_t pid,
                                     struct matrix_task_list *list);
};

struct matrix_lens {
    const struct lens_source *source;
    int device; /* /dev/matrix, or -1 with /proc */
    unsigned features;
    struct matrix_error
        *module_error; /* with /proc: why not the module; NULL: it was not asked for */
};

/* --- device.c: the module --------------------------------------------------------------------- */

extern const struct lens_source device_source;
struct matrix_error *device_open(int *fd, unsigned *features) MATRIX_MUST_CHECK;
struct matrix_error *device_byte(const struct matrix_lens *lens, const struct matrix_place *place,
                                 bool write, uint8_t *value) MATRIX_MUST_CHECK;
struct matrix_error *device_reparent(const struct matrix_lens *lens, pid_t pid, pid_t parent_pid,
                                     pid_t *old_parent_pid) MATRIX_MUST_CHECK;

/* --- pagemap.c, smaps.c, process.c: /proc ----------------------------------------------------- */

struct matrix_error *pagemap_translate(const struct matrix_lens *lens, pid_t pid, uint64_t address,
                                       size_t count, unsigned flags,
                                       uint64_t *entries) MATRIX_MUST_CHECK;
struct matrix_error *smaps_footprint(const struct matrix_lens *lens, pid_t pid,
                                     struct matrix_footprint *footprint) MATRIX_MUST_CHECK;
struct matrix_error *status_footprint(pid_t pid,
                                      struct matrix_footprint *footprint) MATRIX_MUST_CHECK;
struct matrix_error *process_running(const struct matrix_lens *lens,
                                     struct matrix_task_list *list) MATRIX_MUST_CHECK;
struct matrix_error *process_children(const struct matrix_lens *lens, pid_t pid,
                                      struct matrix_task_list *list) MATRIX_MUST_CHECK;
struct matrix_error *process_all(struct matrix_task_list *list) MATRIX_MUST_CHECK;
struct matrix_error *process_read(pid_t pid, struct matrix_lens_task *task) MATRIX_MUST_CHECK;

/*
 * Opens the directory of a process. It stays that process's: once that has ended, reads of what is
 * in it fail with ESRCH, also when the pid is in use again. request and subject are for the error.
 */
struct matrix_error *process_open(enum lens_request request, const struct lens_subject *subject,
                                  int *directory) MATRIX_MUST_CHECK;

/* Opens a file in such a directory for reading. */
struct matrix_error *process_open_file(enum lens_request request,
                                       const struct lens_subject *subject, int directory,
                                       const char *name, int *fd) MATRIX_MUST_CHECK;

/* 0: the process is alive, with memory; else why there is nothing to see: ESRCH or ENXIO. */
int process_memory_gone(int directory);

#endif
