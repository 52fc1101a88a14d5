/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests made and destroyed beside a running core: both take milliseconds (the host maps memory and waits
 * for its readers of the old memory map), which the other guests are not to wait for. A thread of its own
 * does it; what is asked for and what is done go through two pipes, so that nothing is locked, and the
 * core's loop hears of what is done as it hears of a control socket. Used by `matrix cloud`.
 */
#ifndef CLOUD_BUILDER_H
#define CLOUD_BUILDER_H

#include <limits.h>
#include <matrix/core.h>
#include <matrix/vm.h>

struct builder;

/* A guest to be made. The strings stay the caller's, and stay; so does options->output. */
struct build {
    unsigned index; /* the caller's */
    char path[PATH_MAX];
    struct matrix_vm_options options;
    struct matrix_vm *vm;       /* out: the caller's; NULL: see error */
    struct matrix_error *error; /* out: the caller's */
};

/* Is called in the core's thread for every build that is done, which is freed afterwards. */
typedef void builder_done(void *context, struct build *build);

/* Starts the thread, before the core runs (it is not to be pinned as the core is). kvm and core outlive it. */
struct matrix_error *builder_start(struct matrix_kvm *kvm, struct matrix_core *core,
                                   builder_done *done, void *context,
                                   struct builder **builder) MATRIX_MUST_CHECK;

/* Asks for a guest; *build, of malloc(), is the builder's from now on. Fails if too much is asked for. */
struct matrix_error *builder_make(struct builder *builder, struct build *build) MATRIX_MUST_CHECK;

/* Destroys a guest which has ended, at some later time. */
void builder_destroy_guest(struct builder *builder, struct matrix_vm *vm);

/*
 * Has work called in the thread, after all that was asked for before, and then done (NULL: nothing) in the
 * core's. If too much is asked for, both are called here and now.
 */
void builder_do(struct builder *builder, void (*work)(void *context), void (*done)(void *context),
                void *context);

/* While on, nothing that is done comes back: neither builds nor the second half of builder_do(). */
void builder_hold(struct builder *builder, bool on);

/* Waits for what was asked for, destroys guests that nobody has fetched, and ends the thread. To be called
 * before the core is destroyed. done of builder_do() is called here, if need be. NULL is allowed. */
void builder_stop(struct builder *builder);

#endif
