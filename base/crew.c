// SPDX-License-Identifier: GPL-2.0-or-later
/* Threads for one piece of work; see crew.h. */
#include "base/crew.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

struct crew {
    int (*part)(void *context, size_t index);
    void *context;
    size_t count;
    atomic_size_t next;
    atomic_int failed; /* an errno; 0: none */
};

static void *work(void *context)
{
    struct crew *crew = context;
    size_t index;
    while (!atomic_load(&crew->failed) &&
           (index = atomic_fetch_add(&crew->next, 1)) < crew->count) {
        const int number = crew->part(crew->context, index);
        int none = 0;
        if (number)
            atomic_compare_exchange_strong(&crew->failed, &none, number);
    }
    return NULL;
}

static size_t crew_size(size_t count, size_t per_thread)
{
    cpu_set_t allowed;
    const size_t cpus =
        sched_getaffinity(0, sizeof(allowed), &allowed) == 0 ? (size_t)CPU_COUNT(&allowed) : 1;
    const size_t useful = count / per_thread, most = cpus < CREW_MAX ? cpus : CREW_MAX;
    return useful < most ? useful : most;
}

int crew_do(size_t count, size_t per_thread, int (*part)(void *context, size_t index),
            void *context)
{
    struct crew crew = {.part = part, .context = context, .count = count};
    const size_t size = crew_size(count, per_thread);
    pthread_t threads[CREW_MAX];
    size_t started = 0;
    sigset_t all, before;

    /* Signals are the caller's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (started + 1 < size && pthread_create(&threads[started], NULL, work, &crew) == 0)
        started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    work(&crew);
    while (started)
        pthread_join(threads[--started], NULL);
    return atomic_load(&crew.failed);
}
