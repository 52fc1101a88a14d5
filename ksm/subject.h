/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process, or a guest in one, whose memory is looked at: where guest-physical memory is in it.
 * Made for the merge map and for translation; found by pid or by name.
 */
#ifndef KSM_SUBJECT_H
#define KSM_SUBJECT_H

#include <matrix/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* gpa == hva for a plain process. All are multiples of the page's size, and bytes is not 0. */
struct ksm_region {
    uint64_t gpa;
    uint64_t hva;
    uint64_t bytes;
};

enum ksm_subject_kind { KSM_PROCESS, KSM_MATRIX_GUEST, KSM_QEMU };

struct ksm_subject {
    char name[64]; /* the guest's name, or the process's; whatever bytes they chose */
    pid_t pid;
    uint64_t start_time_ns; /* tells the process from a later one with its number */
    enum ksm_subject_kind kind;
    struct ksm_region *regions; /* in order of gpa */
    size_t region_count;
    bool is_required; /* a map without it is an error: somebody named it */
};

struct ksm_subject_list {
    struct ksm_subject *subjects;
    size_t count;
    size_t left_out; /* found, and too large: see ksm_subject_find_all */
};

/*
 * Appends what text names: a pid, or a running guest by NAME, PID:NAME or the path of its control
 * socket. A pid (or socket) of a `matrix cloud` gives a subject for each of its guests. The regions of
 * a guest of Matrix are its memory slots, the system area included.
 *
 * Of a QEMU process (x86, machine pc or q35) the guest's memory is inferred, from its command line
 * (-m, -machine) and its mappings; see ksm/qemu.h. Where that is not possible, and of any other
 * process, the regions are the mappings that can hold anonymous memory: private, and anonymous or
 * writable; without reservations (PROT_NONE, or KSM_RESERVATION_BYTES and more).
 *
 * ESRCH, EPERM and ENXIO as matrix/lens.h has them.
 */
struct matrix_error *ksm_subject_find(const char *text,
                                      struct ksm_subject_list *list) MATRIX_MUST_CHECK;

/* A mapping of that size is an allocator's or a sanitizer's reservation, and no memory. */
#define KSM_RESERVATION_BYTES (1ULL << 40)

/*
 * What guests and processes that nobody named may have in all, in parts of the host's memory: a map
 * takes 9 bytes a page, and everybody may have, or tell of, memory that nobody ever touches.
 */
#define KSM_MEMORY_FACTOR 4
uint64_t ksm_memory_max(void); /* in bytes */

/*
 * Appends every guest, and every process with memory that KSM may merge. Where they have more than
 * ksm_memory_max in all the largest are left out, and counted.
 */
struct matrix_error *ksm_subject_find_all(struct ksm_subject_list *list) MATRIX_MUST_CHECK;

/* Takes one out, and frees what is in it. */
void ksm_subject_list_drop(struct ksm_subject_list *list, size_t index);

/* Takes the largest from first on out, and counts them, until the others have so many bytes at most. */
void ksm_subject_list_limit(struct ksm_subject_list *list, size_t first, uint64_t bytes);

/* Frees what is in the list, and not the list. */
void ksm_subject_list_free(struct ksm_subject_list *list);

/* Its name; where another of the list has the same, with the pid behind it. Returns label. */
#define KSM_LABEL_BYTES 80
char *ksm_subject_label(const struct ksm_subject_list *list, size_t index,
                        char label[KSM_LABEL_BYTES]);

/* Pages of all regions. */
uint64_t ksm_subject_pages(const struct ksm_subject *subject);

#endif
