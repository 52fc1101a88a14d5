// SPDX-License-Identifier: GPL-2.0-or-later
/* matrix-doctor's check of the lens: whether its kernel module is loaded, or can be. */
#include "base/cleanup.h"
#include "cli/doctor.h"
#include "cli/modules.h"
#include <matrix/lens.h>
#include <stdio.h>

/* It is loaded: can it be used, and for what? */
static void found_loaded(struct doctor_line *line)
{
    struct matrix_lens *lens;
    CLEANUP_ERROR struct matrix_error *error = matrix_lens_open(MATRIX_LENS_MODULE, &lens);
    if (error) {
        doctor_found(line, DOCTOR_WARNING, "%s", error->message);
        if (error->remedy)
            doctor_remedy(line, "%s", error->remedy);
        return;
    }
    const unsigned features = matrix_lens_features(lens);
    doctor_found(line, DOCTOR_OK, "the module is loaded%s%s",
                 features & MATRIX_LENS_CAN_WRITE ? "" : "; no writing, the kernel is locked down",
                 features & MATRIX_LENS_CAN_REPARENT ? "" : "; no reparenting under PREEMPT_RT");
    matrix_lens_close(lens);
}

void doctor_check_lens(const struct doctor_host *host, struct doctor_line *line)
{
    struct kmod_ctx *context;
    struct module_state state;
    CLEANUP_ERROR struct matrix_error *error = NULL;
    if (access(MATRIX_LENS_DEVICE, F_OK) == 0) {
        found_loaded(line);
        return;
    }
    if (modules_supported()) {
        error = modules_open(&context);
        if (error) {
            doctor_found(line, DOCTOR_WARNING, "%s", error->message);
            return;
        }
        modules_look(context, MODULES_DEFAULT, &state);
        kmod_unref(context);
        if (state.fits) {
            doctor_found(line, DOCTOR_OK, "the module is not loaded; /proc takes its place");
            doctor_remedy(line, "to load it: as root, matrix modules load");
            return;
        }
        error = modules_explain_missing(MODULES_DEFAULT, &state);
    } else {
        error = modules_explain_unsupported("load", MODULES_DEFAULT);
    }
    /* No warning: /proc does all but to write and to move processes. */
    doctor_found(line, DOCTOR_OK, "/proc only; %s", error->message);
    doctor_remedy(line, "for the module: %s", error->remedy);
}
