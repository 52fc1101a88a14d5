// SPDX-License-Identifier: GPL-2.0-or-later
/* The guests that `matrix ksm record --vm` names: the kernel counts by process, not by guest. */
#include "base/error.h"
#include "cli/common.h"
#include "cli/ksm_record.h"
#include "ksm/guests.h"
#include <stdio.h>
#include <stdlib.h>

static void tell_guests(const char *text, pid_t pid, const char *names)
{
    fputs(KSM_RECORD_PROGRAM ": --vm ", stderr);
    cli_print_escaped(stderr, text);
    fprintf(stderr, ": process %d runs ", pid);
    cli_print_escaped(stderr, names);
    fputs(": KSM counts by process, so its counters are those of all of them\n", stderr);
}

static struct matrix_error *add(struct ksm_sampler *sampler, const char *text,
                                const struct ksm_subject *subject)
{
    char names[KSM_NAME_BYTES];
    struct ksm_guests guests = {0};
    RETURN_IF_ERROR(ksm_guests_of(subject->pid, &guests));
    if (guests.count > 1) {
        ksm_guests_names(&guests, names, sizeof(names));
        tell_guests(text, subject->pid, names);
    }
    struct matrix_error *error =
        ksm_sampler_add(sampler, subject->pid, guests.count > 1 ? names : subject->name);
    free(guests.vms);
    return error;
}

struct matrix_error *ksm_record_add_guest(struct ksm_sampler *sampler, const char *text)
{
    struct ksm_subject_list list = {0};
    struct matrix_error *error = error_prefix(ksm_subject_find(text, &list), "--vm");
    for (size_t i = 0; i < list.count && !error; i++)
        if (i == 0 || list.subjects[i].pid != list.subjects[i - 1].pid)
            error = add(sampler, text, &list.subjects[i]);
    ksm_subject_list_free(&list);
    return error;
}
