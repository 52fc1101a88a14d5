// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Starts and ends the lab's QEMU. All wires to it are socket pairs that it inherits, so no
 * file or socket of a run stands anywhere in the file system. Called by lab/lab.c.
 */
#include "lab/internal.h"

#include "base/child.h"
#include "base/cleanup.h"
#include "base/error.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define QEMU "qemu-system-x86_64"

/* An argument list that grows; without memory, failed is set and stays set. */
struct arguments {
    char **items;
    size_t count;
    bool failed;
};

__attribute__((format(printf, 2, 3))) static void add(struct arguments *list, const char *format,
                                                      ...)
{
    char **items = realloc(list->items, (list->count + 2) * sizeof(*items));
    if (!items) {
        list->failed = true;
        return;
    }
    list->items = items;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&items[list->count], format, arguments) < 0)
        list->failed = true;
    else
        list->count++;
    va_end(arguments);
    items[list->count] = NULL;
}

static void free_arguments(struct arguments *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
}

/* A host directory as a 9p device. In QEMU's options a comma is written twice. */
static void add_directory(struct arguments *list, const char *tag, const char *path,
                          const char *options)
{
    CLEANUP_FREE char *doubled = malloc(2 * strlen(path) + 1);
    if (!doubled) {
        list->failed = true;
        return;
    }
    char *to = doubled;
    for (; *path; path++) {
        if (*path == ',')
            *to++ = ',';
        *to++ = *path;
    }
    *to = '\0';
    add(list, "-fsdev");
    add(list, "local,id=%s,path=%s,security_model=none,multidevs=remap%s", tag, doubled, options);
    add(list, "-device");
    add(list, "virtio-9p-pci,fsdev=%s,mount_tag=%s", tag, tag);
}

/*
 * panic=-1 with -no-reboot makes a panic end QEMU; an oops is made a panic, so that what it
 * leaves locked cannot hang the run until the time limit (but not under a person's hands).
 * nokaslr: the boot is 0.4 s shorter, and addresses in reports are those of the symbol table.
 * mitigations=off: there is no secret inside, and they cost a tenth of the time.
 * secretmem.enable: kernels before 6.5 have memfd_secret(2) only when told so here.
 */
static void add_kernel(struct arguments *list, const struct lab_options *options,
                       const struct lab_image *image, const struct lab_job *job)
{
    add(list, "-kernel");
    add(list, "%s", image->kernel);
    add(list, "-initrd");
    add(list, "%s", image->initramfs);
    add(list, "-append");
    add(list,
        "console=ttyS0 panic=-1 %s nokaslr mitigations=off cryptomgr.notests "
        "secretmem.enable=1 matrix.job=%zu",
        options->terminal ? "" : "oops=panic", job->script_length);
}

static void add_channels(struct arguments *list, const int *channels)
{
    static const char *const names[] = {
        [LAB_TERMINAL] = "terminal", [LAB_CONTROL] = "control", [LAB_INPUT] = "input",
        [LAB_OUTPUT] = "output",     [LAB_ERRORS] = "errors",
    };
    add(list, "-chardev");
    add(list, "socket,id=log,fd=%d", channels[LAB_LOG]);
    add(list, "-serial");
    add(list, "chardev:log");
    add(list, "-device");
    add(list, "virtio-serial-pci");
    for (int channel = LAB_TERMINAL; channel <= LAB_ERRORS; channel++) {
        add(list, "-chardev");
        add(list, "socket,id=%s,fd=%d", names[channel], channels[channel]);
        add(list, "-device");
        add(list, "%s,chardev=%s,nr=%d,name=%s",
            channel == LAB_TERMINAL ? "virtconsole" : "virtserialport", names[channel], channel,
            names[channel]);
    }
}

static struct matrix_error *compose(const struct lab_options *options,
                                    const struct lab_image *image, const struct lab_job *job,
                                    const int *channels, struct arguments *list)
{
    static const char *const fixed[] = {
        QEMU,   "-name", "matrix-lab",  "-machine",        "q35",      "-accel", "tcg,thread=multi",
        "-cpu", "max",   "-nodefaults", "-no-user-config", "-display", "none",   "-no-reboot",
    };
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        add(list, "%s", fixed[i]);
    add(list, "-smp");
    add(list, "%u", options->cpus);
    add(list, "-m");
    add(list, "%lluM", (unsigned long long)(options->memory_bytes >> 20));
    add_kernel(list, options, image, job);
    add_channels(list, channels);
    add_directory(list, "root", "/", ",readonly=on");
    for (size_t i = 0; i < options->share_count; i++) {
        char tag[32];
        snprintf(tag, sizeof(tag), "share%zu", i);
        add_directory(list, tag, options->share[i], "");
    }
    return list->failed ? error_host(ENOMEM, "compose QEMU's arguments") : NULL;
}

/* In the child. Nobody reads our terminal's signals but matrix-lab itself: a new session. */
static int prepare_qemu(const void *context)
{
    const int *channels = context;
    setsid();
    for (int channel = 0; channel < LAB_MESSAGES; channel++)
        fcntl(channels[channel], F_SETFD, 0);
    return 0;
}

static struct matrix_error *spawn(char *const *arguments, const int *channels, pid_t *pid)
{
    CLEANUP_CLOSE int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const struct child child = {.argv = (const char *const *)arguments,
                                .input_fd = nothing,
                                .output_fd = channels[LAB_MESSAGES],
                                .dies_with_us = true,
                                .prepare = prepare_qemu,
                                .context = channels};
    const int number = child_start(&child, pid);
    if (number == 0)
        return NULL;
    return error_new(MATRIX_ERROR_HOST, number,
                     number == ENOENT ? "apt-get install qemu-system-x86" : NULL, "start %s", QEMU);
}

struct matrix_error *lab_machine_start(const struct lab_options *options,
                                       const struct lab_image *image, const struct lab_job *job,
                                       struct lab_machine *machine)
{
    int theirs[LAB_CHANNELS];
    memset(theirs, -1, sizeof(theirs));
    memset(machine->channels, -1, sizeof(machine->channels));
    machine->pid = 0;

    struct matrix_error *error = NULL;
    for (int channel = 0; channel < LAB_CHANNELS && !error; channel++) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
            error = error_host(errno, "make a socket pair for QEMU");
            break;
        }
        machine->channels[channel] = pair[0];
        theirs[channel] = pair[1];
        fcntl(pair[0], F_SETFL, O_NONBLOCK);
    }

    struct arguments arguments = {0};
    if (!error)
        error = compose(options, image, job, theirs, &arguments);
    if (!error)
        error = spawn(arguments.items, theirs, &machine->pid);
    free_arguments(&arguments);
    for (int channel = 0; channel < LAB_CHANNELS; channel++)
        if (theirs[channel] >= 0)
            close(theirs[channel]);
    if (error)
        lab_machine_stop(machine);
    return error;
}

void lab_machine_stop(struct lab_machine *machine)
{
    if (machine->pid > 0) {
        kill(machine->pid, SIGKILL);
        while (waitpid(machine->pid, NULL, 0) < 0 && errno == EINTR)
            ;
        machine->pid = 0;
    }
    for (int channel = 0; channel < LAB_CHANNELS; channel++) {
        if (machine->channels[channel] >= 0)
            close(machine->channels[channel]);
        machine->channels[channel] = -1;
    }
}
