// SPDX-License-Identifier: GPL-2.0-or-later
/* The thread that makes and destroys guests; see builder.h. */
#include "cloud/builder.h"

#include "base/error.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* Of builder_do(). */
struct errand {
    void (*work)(void *context);
    void (*done)(void *context);
    void *context;
};

/* What goes through the pipes: as one write of less than PIPE_BUF it stays whole. */
struct job {
    struct build *build;   /* to be made, or done */
    struct errand *errand; /* else: the same */
    struct matrix_vm *vm;  /* else: to be destroyed */
};

struct builder {
    struct matrix_kvm *kvm;
    struct matrix_core *core;
    builder_done *done;
    void *context;
    int jobs[2], results[2]; /* pipes; -1 if closed */
    pthread_t thread;
    bool has_thread;
};

static void *do_jobs(void *argument)
{
    struct builder *builder = argument;
    struct job job;
    while (read(builder->jobs[0], &job, sizeof(job)) == sizeof(job)) {
        struct build *build = job.build;
        if (build)
            build->error = matrix_vm_create(builder->kvm, build->path, &build->options, &build->vm);
        else if (job.errand)
            job.errand->work(job.errand->context);
        else
            matrix_vm_destroy(job.vm);
        if (job.vm)
            continue;
        /* There is always room: no more builds are under way than the pipe takes. */
        if (write(builder->results[1], &job, sizeof(job)) != sizeof(job))
            break;
    }
    return NULL;
}

static void end_errand(struct errand *errand)
{
    if (errand->done)
        errand->done(errand->context);
    free(errand);
}

static void fetch(struct matrix_core *core, int fd, void *context)
{
    struct builder *builder = context;
    struct job job;
    /* One at a time: what the caller does with it takes the core's time. */
    if (read(fd, &job, sizeof(job)) != sizeof(job))
        return;
    if (job.errand) {
        end_errand(job.errand);
        return;
    }
    builder->done(builder->context, job.build);
    free(job.build);
}

/* Signals are for the core's thread: here they are all blocked. */
static struct matrix_error *start_thread(struct builder *builder)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int number = pthread_create(&builder->thread, NULL, do_jobs, builder);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    builder->has_thread = number == 0;
    return number ? error_host(number, "start the thread that makes guests") : NULL;
}

static struct matrix_error *start(struct builder *builder)
{
    if (pipe2(builder->jobs, O_CLOEXEC) < 0 || pipe2(builder->results, O_CLOEXEC) < 0)
        return error_host(errno, "make pipes to the thread that makes guests");
    fcntl(builder->jobs[1], F_SETFL, O_NONBLOCK);
    fcntl(builder->results[0], F_SETFL, O_NONBLOCK);
    RETURN_IF_ERROR(matrix_core_watch(builder->core, builder->results[0], POLLIN, fetch, builder));
    return start_thread(builder);
}

struct matrix_error *builder_start(struct matrix_kvm *kvm, struct matrix_core *core,
                                   builder_done *done, void *context, struct builder **builder)
{
    struct builder *started = calloc(1, sizeof(*started));
    if (!started)
        return error_host(ENOMEM, "start the thread that makes guests");
    *started = (struct builder){.kvm = kvm,
                                .core = core,
                                .done = done,
                                .context = context,
                                .jobs = {-1, -1},
                                .results = {-1, -1}};
    struct matrix_error *error = start(started);
    if (error)
        builder_stop(started);
    else
        *builder = started;
    return error;
}

struct matrix_error *builder_make(struct builder *builder, struct build *build)
{
    const struct job job = {.build = build};
    if (write(builder->jobs[1], &job, sizeof(job)) == sizeof(job))
        return NULL;
    struct matrix_error *error =
        error_host(errno, "make guest %s beside so many others", build->options.name);
    free(build);
    return error;
}

void builder_destroy_guest(struct builder *builder, struct matrix_vm *vm)
{
    const struct job job = {.vm = vm};
    /* Too much to do: then here, and the others wait. */
    if (write(builder->jobs[1], &job, sizeof(job)) != sizeof(job))
        matrix_vm_destroy(vm);
}

void builder_do(struct builder *builder, void (*work)(void *context), void (*done)(void *context),
                void *context)
{
    struct errand *errand = malloc(sizeof(*errand));
    const struct job job = {.errand = errand};
    if (errand) {
        *errand = (struct errand){work, done, context};
        if (write(builder->jobs[1], &job, sizeof(job)) == sizeof(job))
            return;
        free(errand);
    }
    work(context);
    if (done)
        done(context);
}

void builder_hold(struct builder *builder, bool on)
{
    matrix_core_unwatch(builder->core, builder->results[0]);
    if (on)
        return;
    /* It was watched before, so that there is room. */
    matrix_error_free(
        matrix_core_watch(builder->core, builder->results[0], POLLIN, fetch, builder));
}

static void close_all(struct builder *builder)
{
    const int fds[] = {builder->jobs[0], builder->jobs[1], builder->results[0],
                       builder->results[1]};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

void builder_stop(struct builder *builder)
{
    if (!builder)
        return;
    if (builder->has_thread) {
        close(builder->jobs[1]);
        builder->jobs[1] = -1;
        pthread_join(builder->thread, NULL);
    }
    if (builder->results[0] >= 0)
        matrix_core_unwatch(builder->core, builder->results[0]);
    struct job job;
    while (builder->has_thread && read(builder->results[0], &job, sizeof(job)) == sizeof(job)) {
        if (job.errand) {
            end_errand(job.errand);
            continue;
        }
        matrix_vm_destroy(job.build->vm);
        matrix_error_free(job.build->error);
        free(job.build);
    }
    close_all(builder);
    free(builder);
}
