/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `matrix translate`: options and target (translate.c), an address followed from stage to stage
 * (translate_chain.c), and what is printed (translate_print.c).
 */
#ifndef CLI_TRANSLATE_H
#define CLI_TRANSLATE_H

#include "ksm/guests.h"
#include "ksm/sharers.h"
#include <matrix/lens.h>
#include <matrix/vm.h>

#define PROGRAM "matrix translate"

/* Where a chain begins. */
enum stage { STAGE_GUEST_VIRTUAL, STAGE_GUEST_PHYSICAL, STAGE_HOST_VIRTUAL };

struct translate_options {
    const char *target;
    char *const *addresses;
    size_t address_count;
    enum matrix_lens_source source;
    unsigned vcpu;
    bool json, physical, host, alone, has_vcpu;
};

/* Whose addresses they are. */
struct target {
    struct control_vm *vm;      /* a guest of Matrix; NULL: a process, or a QEMU guest */
    struct ksm_subject subject; /* of a guest: with its memory */
    enum stage first;
};

/* One address, as far as it could be followed. */
struct chain {
    enum stage first;
    uint64_t start;              /* the address that was given */
    struct matrix_translation t; /* with STAGE_GUEST_VIRTUAL */
    bool has_gpa, has_hva, has_entry;
    uint64_t gpa, hva;
    struct ksm_region region; /* that gpa is in */
    uint64_t entry;           /* MATRIX_PAGE_* of the page at hva */
    bool has_moved;           /* it was elsewhere when it was looked at once more, at the end */
    uint64_t mappings;        /* of the frame, as the kernel counts; 0: not told */
    char missing[256];        /* why it ends early, or what it lacks; "" */
};

struct translation {
    const struct translate_options *options;
    struct matrix_lens *lens;
    struct target target;
    struct chain *chains; /* one for each address */
    size_t count;
    struct ksm_subject_list subjects; /* where sharers were looked for */
    struct ksm_sharer_list sharers;   /* of all frames */
};

/* The physical address behind a chain; 0: none is known. */
uint64_t chain_physical(const struct chain *chain);

/* Whether this page is another than that at which the chain ends, and at the same merged frame. */
bool chain_shares(const struct translation *translation, const struct chain *chain,
                  const struct ksm_sharer *sharer);

/* Follows every address, and finds who shares merged pages with them. */
struct matrix_error *translate_follow(struct translation *translation) MATRIX_MUST_CHECK;

void translate_print(const struct translation *translation);
struct matrix_error *translate_print_json(const struct translation *translation) MATRIX_MUST_CHECK;

#endif
