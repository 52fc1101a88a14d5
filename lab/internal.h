/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the lab's parts show each other and nobody else: image (what boots), job (what
 * runs), machine (QEMU), relay (bytes and time), terminal.
 */
#ifndef LAB_INTERNAL_H
#define LAB_INTERNAL_H

#include "lab/flow.h"
#include "lab/lab.h"
#include <sys/types.h>

/* What prepare.sh made. Paths are absolute. */
struct lab_image {
    char *kernel; /* an uncompressed kernel with a PVH entry, or a bzImage */
    char *initramfs;
    char *modules; /* holds RELEASE/, a kernel's modules */
};

struct matrix_error *lab_image_prepare(const char *package, struct lab_image *image);
void lab_image_free(struct lab_image *image);

/*
 * The job: a script that lab/session runs inside. mark is what follows the last byte of
 * the command's outputs there, so that the host knows that it has them all.
 */
struct lab_job {
    char mark[FLOW_MARK_LENGTH + 1];
    bool input; /* the command reads this process's standard input */
    char *script;
    size_t script_length;
};

struct matrix_error *lab_job_compose(const struct lab_options *options,
                                     const struct lab_image *image, struct lab_job *job);
void lab_job_free(struct lab_job *job);

/* The machine's wires to us. The first five are virtio ports with these numbers: lab/session. */
enum lab_channel {
    LAB_TERMINAL,
    LAB_CONTROL,
    LAB_INPUT,
    LAB_OUTPUT,
    LAB_ERRORS,
    LAB_LOG,      /* the kernel's serial console */
    LAB_MESSAGES, /* QEMU's own standard output and error */
    LAB_CHANNELS,
};

struct lab_machine {
    pid_t pid; /* 0: gone */
    int channels[LAB_CHANNELS];
};

/* The machine dies with this process, however that ends. */
struct matrix_error *lab_machine_start(const struct lab_options *options,
                                       const struct lab_image *image, const struct lab_job *job,
                                       struct lab_machine *machine);
void lab_machine_stop(struct lab_machine *machine);

/* Carries everything between machine and host until the machine is gone. */
struct matrix_error *lab_relay(const struct lab_options *options, const struct lab_job *job,
                               struct lab_machine *machine, struct lab_result *result);

#endif
