// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Guests leave the machine of a cloud that runs, and outputs are closed: what they did stays for the report. By
 * cloud_reload_apply.c; in the first core's thread.
 *
 * The core where a guest is may be another thread's. So a guest that leaves is asked to stop; when it is told that
 * it has, its figures are final, and it is removed; when that is done, nobody uses it any more, its place is
 * free in the books, and it is destroyed.
 */
#include "cli/cloud.h"

#include "base/cleanup.h"
#include "base/error.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

/* Until the machine has let go of a guest. */
struct cloud_leaving {
    struct matrix_core_guest figures; /* once they are final */
    struct matrix_output *output; /* where it prints, if that is to be closed; NULL: it is not */
    int output_fd;
};

/* --- figures of before ------------------------------------------------------------------------- */

void cloud_add_figures(struct matrix_core_guest *sum, const struct matrix_core_guest *more)
{
    sum->cpu_ns += more->cpu_ns;
    sum->contended_cpu_ns += more->contended_cpu_ns;
    sum->alone_cpu_ns += more->alone_cpu_ns;
    sum->contended_total_ns += more->contended_total_ns;
    sum->entitled_ns += more->entitled_ns;
    sum->slices += more->slices;
    sum->preemptions += more->preemptions;
    sum->io_switches += more->io_switches;
    const double total = (double)sum->contended_total_ns;
    sum->promised = total > 0 ? (double)sum->entitled_ns / total : NAN;
    sum->given = total > 0 ? (double)sum->contended_cpu_ns / total : NAN;
}

/* --- what is not needed any more ---------------------------------------------------------------- */

/* Something to be freed when nobody can use it any more; see cloud_retire(). */
struct retired {
    struct builder *builder;
    void (*release)(void *what);
    void *what;
};

static void nothing(void *context)
{
}

static void release(void *context)
{
    struct retired *retired = context;
    retired->release(retired->what);
    free(retired);
}

static void release_later(void *context)
{
    struct retired *retired = context;
    builder_do(retired->builder, release, NULL, retired);
}

void cloud_retire(struct cloud *cloud, void (*function)(void *what), void *what)
{
    struct retired *retired = malloc(sizeof(*retired));
    if (!retired)
        return; /* rather lost than used after it is gone */
    *retired = (struct retired){cloud->builder, function, what};
    builder_do(cloud->builder, nothing, release_later, retired);
}

struct closing {
    struct matrix_output *output;
    int fd;
};

static void close_output(void *context)
{
    struct closing *closing = context;
    matrix_output_destroy(closing->output);
    close(closing->fd);
    free(closing);
}

/* When nobody prints there any more. */
static void retire_output(struct cloud *cloud, struct matrix_output *output, int fd)
{
    struct closing *closing = output ? malloc(sizeof(*closing)) : NULL;
    if (!closing)
        return; /* rather lost */
    *closing = (struct closing){output, fd};
    cloud_retire(cloud, close_output, closing);
}

void cloud_close_output(struct cloud *cloud, unsigned index)
{
    struct cloud_guest *guest = &cloud->guests[index];
    if (guest->leaving && guest->output) {
        guest->leaving->output = guest->output;
        guest->leaving->output_fd = guest->output_fd;
    } else {
        retire_output(cloud, guest->output, guest->output_fd);
    }
    guest->output = NULL;
    guest->output_fd = -1;
    guest->loss_told = false;
}

/* --- off the machine ----------------------------------------------------------------------------- */

/* Whoever waits for it need not any more. */
static void count_off(struct cloud *cloud, unsigned index)
{
    free(TAKE(cloud->guests[index].leaving));
    cloud->leaving--;
    cloud_reload_wake(cloud);
}

/* It has ended, and so what it was given is final. */
static struct matrix_error *take_off(struct cloud *cloud, unsigned index)
{
    struct cloud_guest *guest = &cloud->guests[index];
    struct matrix_machine_guest now;
    if (cloud_guest_on_machine(cloud, index, &now))
        guest->leaving->figures = now.guest;
    return matrix_machine_remove(cloud->machine, guest->vm);
}

struct matrix_error *cloud_leave_machine(struct cloud *cloud, unsigned index)
{
    struct cloud_guest *guest = &cloud->guests[index];
    if (!guest->vm || guest->leaving)
        return NULL;
    guest->leaving = calloc(1, sizeof(*guest->leaving));
    if (!guest->leaving)
        return error_host(ENOMEM, "take guest %s off the machine",
                          cloud->config.guests[index].name);
    cloud->leaving++;
    struct matrix_error *error = guest->ended == guest->vm
                                     ? take_off(cloud, index)
                                     : matrix_machine_stop_guest(cloud->machine, guest->vm);
    if (error)
        count_off(cloud, index);
    return error;
}

void cloud_leaving_ended(struct cloud *cloud, unsigned index)
{
    struct matrix_error *error = take_off(cloud, index);
    if (!error)
        return;
    /* Without memory it keeps its place, where it does nothing. */
    matrix_error_free(error);
    count_off(cloud, index);
}

/* Those that came on the machine after it move up. */
static void forget_place(struct cloud *cloud, size_t place)
{
    cloud->on_machine--;
    for (unsigned i = 0; i < cloud->config.guest_count; i++)
        if (cloud->guests[i].machine_index > place)
            cloud->guests[i].machine_index--;
}

bool cloud_has_left(struct cloud *cloud, struct matrix_vm *vm)
{
    unsigned index = 0;
    struct matrix_vm_info info;
    while (index < cloud->config.guest_count &&
           (!cloud->guests[index].leaving || cloud->guests[index].vm != vm))
        index++;
    if (index == cloud->config.guest_count)
        return false;
    struct cloud_guest *guest = &cloud->guests[index];
    cloud_add_figures(&guest->left, &guest->leaving->figures);
    cloud_keep_fault(guest, vm);
    cloud_guest_ends_as(guest, vm);
    matrix_vm_info(vm, &info);
    guest->past.state = info.state;
    guest->past.status = info.status;
    guest->vm = guest->ended = NULL;
    guest->fault_shown = false;
    forget_place(cloud, guest->machine_index);
    builder_destroy_guest(cloud->builder, vm);
    retire_output(cloud, guest->leaving->output, guest->leaving->output_fd);
    count_off(cloud, index);
    return true;
}
