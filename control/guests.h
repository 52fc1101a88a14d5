/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guests of a process, as its control socket sees them: those of a core, or of a machine of several. All
 * functions are called in the thread that serves the socket, which is the first core's.
 */
#ifndef CONTROL_GUESTS_H
#define CONTROL_GUESTS_H

#include <matrix/core.h>
#include <matrix/machine.h>

/* What can be known of a guest without looking into it. */
struct control_guest {
    struct matrix_vm *vm;
    struct matrix_vm_info info;
    const char *state;
    unsigned core;
};

/* What is to be done in the thread of a core, and then in this thread: done is called exactly once if it
 * could be asked for, perhaps before that function returns. */
struct control_visit {
    void (*look)(struct matrix_vm *vm, void *context);      /* into a guest */
    void (*visit)(struct matrix_core *core, void *context); /* of a core */
    void (*done)(void *context);
    void *context;
};

struct control_guests {
    struct matrix_core *core; /* whose thread serves the socket */
    unsigned cores;
    void *owner; /* the core, or the machine */
    bool (*guest)(const struct control_guests *guests, size_t index, struct control_guest *guest);
    struct matrix_error *(*look)(const struct control_guests *guests, struct matrix_vm *vm,
                                 struct control_visit *visit);
    struct matrix_error *(*visit)(const struct control_guests *guests, unsigned core,
                                  struct control_visit *visit);
};

struct control_guests control_guests_of_core(struct matrix_core *core);
struct control_guests control_guests_of_machine(struct matrix_machine *machine, unsigned cores);

#endif
