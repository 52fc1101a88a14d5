// SPDX-License-Identifier: GPL-2.0-or-later
/* An address followed: guest-virtual, guest-physical, host-virtual, physical, and who else is
 * there. Called by translate. */
#include "base/cleanup.h"
#include "base/error.h"
#include "cli/translate.h"
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#define OFFSET (MATRIX_PAGE_BYTES - 1)

static void lacks(struct chain *chain, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void lacks(struct chain *chain, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(chain->missing, sizeof(chain->missing), format, arguments);
    va_end(arguments);
}

uint64_t chain_physical(const struct chain *chain)
{
    const bool is_known = chain->has_entry && chain->entry & MATRIX_PAGE_PRESENT &&
                          chain->entry & MATRIX_PAGE_ADDRESS;
    return is_known ? (chain->entry & MATRIX_PAGE_ADDRESS) + (chain->hva & OFFSET) : 0;
}

static bool is_merged(const struct chain *chain)
{
    return chain_physical(chain) && chain->entry & MATRIX_PAGE_KSM;
}

bool chain_shares(const struct translation *translation, const struct chain *chain,
                  const struct ksm_sharer *sharer)
{
    return is_merged(chain) && sharer->physical_address == (chain->entry & MATRIX_PAGE_ADDRESS) &&
           (sharer->subject->pid != translation->target.subject.pid ||
            sharer->hva != (chain->hva & ~OFFSET));
}

/* --- stages ---------------------------------------------------------------------------------- */

static struct matrix_error *follow_guest_virtual(struct translation *translation)
{
    const size_t count = translation->count;
    CLEANUP_FREE uint64_t *addresses = calloc(count, sizeof(*addresses));
    CLEANUP_FREE struct matrix_translation *results = calloc(count, sizeof(*results));
    if (!addresses || !results)
        return error_host(ENOMEM, "translate addresses");
    for (size_t i = 0; i < count; i++)
        addresses[i] = translation->chains[i].start;
    RETURN_IF_ERROR(control_translate(translation->target.vm, translation->options->vcpu, addresses,
                                      count, results));
    for (size_t i = 0; i < count; i++) {
        struct chain *chain = &translation->chains[i];
        chain->t = results[i];
        chain->has_gpa = results[i].mapped;
        chain->gpa = results[i].gpa;
        if (!results[i].mapped)
            lacks(chain, "the guest's page tables map nothing there");
    }
    return NULL;
}

static const struct ksm_region *find_region(const struct ksm_subject *subject, uint64_t gpa)
{
    for (size_t i = 0; i < subject->region_count; i++)
        if (gpa >= subject->regions[i].gpa &&
            gpa - subject->regions[i].gpa < subject->regions[i].bytes)
            return &subject->regions[i];
    return NULL;
}

static void follow_guest_physical(const struct target *target, struct chain *chain)
{
    const struct ksm_region *region = find_region(&target->subject, chain->gpa);
    if (!region) {
        lacks(chain, "the guest has no memory there");
        return;
    }
    chain->region = *region;
    chain->hva = region->hva + (chain->gpa - region->gpa);
    chain->has_hva = true;
    /* The monitor says it in two ways: by the page, and by the slot. */
    if (chain->first == STAGE_GUEST_VIRTUAL && chain->t.hva != chain->hva)
        lacks(chain,
              "the monitor contradicts itself: by the page 0x%" PRIx64 ", by the slot 0x%" PRIx64,
              chain->t.hva, chain->hva);
}

/* Without the right to physical addresses: what is known of the page all the same. */
static struct matrix_error *follow_host_virtual(const struct translation *translation,
                                                struct chain *chain)
{
    const pid_t pid = translation->target.subject.pid;
    const uint64_t page = chain->hva & ~OFFSET;
    struct matrix_error *error =
        matrix_lens_translate(translation->lens, pid, page, 1, 0, &chain->entry);
    if (error && error->number == EPERM) {
        lacks(chain, "physical addresses are told to root only (CAP_SYS_ADMIN): run it as root");
        matrix_error_free(error);
        error = matrix_lens_translate(translation->lens, pid, page, 1, MATRIX_LENS_NO_ADDRESSES,
                                      &chain->entry);
        if (error && error->number == EPERM) {
            lacks(chain, "it is another user's process (CAP_SYS_PTRACE): run it as root");
            matrix_error_free(error);
            return NULL;
        }
    }
    RETURN_IF_ERROR(error);
    chain->has_entry = true;
    if (chain->missing[0])
        return NULL;
    if (!(chain->entry & MATRIX_PAGE_MAPPED))
        lacks(chain, "the process maps nothing there");
    else if (chain->entry & MATRIX_PAGE_SWAPPED)
        lacks(chain, "its content is in swap");
    else if (!(chain->entry & MATRIX_PAGE_PRESENT))
        lacks(chain, "there is no page yet: nobody has touched it");
    return NULL;
}

/* --- sharers --------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    const uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;
    return first < second ? -1 : first > second;
}

static struct matrix_error *find_sharers(struct translation *translation)
{
    CLEANUP_FREE uint64_t *frames = calloc(translation->count + 1, sizeof(*frames));
    size_t count = 0;
    if (!frames)
        return error_host(ENOMEM, "look for merged pages");
    for (size_t i = 0; i < translation->count; i++) {
        struct chain *chain = &translation->chains[i];
        if (!is_merged(chain))
            continue;
        frames[count++] = chain->entry & MATRIX_PAGE_ADDRESS;
        chain->mappings = ksm_frame_mappings(chain->entry & MATRIX_PAGE_ADDRESS);
    }
    if (count == 0 || translation->options->alone)
        return NULL;
    qsort(frames, count, sizeof(*frames), by_number);
    RETURN_IF_ERROR(ksm_subject_find_all(&translation->subjects));
    return ksm_sharers_find(translation->lens, &translation->subjects, frames, count,
                            &translation->sharers);
}

/* The search took its time, and memory does not stand still. */
static struct matrix_error *look_again(struct translation *translation)
{
    for (size_t i = 0; i < translation->count; i++) {
        struct chain *chain = &translation->chains[i];
        uint64_t entry = 0;
        if (!is_merged(chain))
            continue;
        RETURN_IF_ERROR(matrix_lens_translate(translation->lens, translation->target.subject.pid,
                                              chain->hva & ~OFFSET, 1, 0, &entry));
        chain->has_moved = (entry ^ chain->entry) & MATRIX_PAGE_ADDRESS;
    }
    return NULL;
}

struct matrix_error *translate_follow(struct translation *translation)
{
    const struct target *target = &translation->target;
    if (target->first == STAGE_GUEST_VIRTUAL)
        RETURN_IF_ERROR(follow_guest_virtual(translation));
    for (size_t i = 0; i < translation->count; i++) {
        struct chain *chain = &translation->chains[i];
        if (chain->first == STAGE_GUEST_PHYSICAL) {
            chain->gpa = chain->start;
            chain->has_gpa = true;
        }
        if (chain->has_gpa)
            follow_guest_physical(target, chain);
        if (chain->first == STAGE_HOST_VIRTUAL) {
            chain->hva = chain->start;
            chain->has_hva = true;
        }
        if (chain->has_hva)
            RETURN_IF_ERROR(follow_host_virtual(translation, chain));
    }
    RETURN_IF_ERROR(find_sharers(translation));
    return look_again(translation);
}
