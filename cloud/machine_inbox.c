// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Letters from thread to thread. Whoever writes puts a letter in front of a list, and rings the bell, a byte in
 * a pipe, if the list was empty; who reads empties the pipe first, and then takes the whole list. So it
 * waits for nobody, it cannot be full, and no letter stays behind a bell that was heard already. Called by
 * machine and machine_core.
 */
#include "cloud/machine.h"

#include "base/error.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct letter *letter_create(enum letter_kind kind)
{
    struct letter *letter = calloc(1, sizeof(*letter));
    if (letter)
        letter->kind = kind;
    return letter;
}

void letter_free(struct letter *letter)
{
    if (!letter)
        return;
    matrix_error_free(letter->error);
    letter_free(letter->spare);
    free(letter->lines);
    free(letter);
}

struct matrix_error *inbox_create(struct inbox *inbox)
{
    atomic_init(&inbox->head, NULL);
    inbox->bell[0] = inbox->bell[1] = -1;
    if (pipe2(inbox->bell, O_CLOEXEC | O_NONBLOCK) < 0)
        return error_new(MATRIX_ERROR_HOST, errno,
                         errno == EMFILE ? "raise the limit of open files (ulimit -n)" : NULL,
                         "make a pipe for a core");
    return NULL;
}

void inbox_destroy(struct inbox *inbox)
{
    struct letter *letter = atomic_load(&inbox->head);
    while (letter) {
        struct letter *next = letter->next;
        letter_free(letter);
        letter = next;
    }
    for (int end = 0; end < 2; end++)
        if (inbox->bell[end] >= 0)
            close(inbox->bell[end]);
}

void inbox_put(struct inbox *inbox, struct letter *letter)
{
    /* As soon as it is in the list the letter is the reader's: it is not looked into any more. */
    struct letter *head = atomic_load_explicit(&inbox->head, memory_order_relaxed);
    do
        letter->next = head;
    while (!atomic_compare_exchange_weak_explicit(&inbox->head, &head, letter, memory_order_acq_rel,
                                                  memory_order_relaxed));
    /* A pipe that is full has rung already. */
    if (!head)
        while (write(inbox->bell[1], "", 1) < 0 && errno == EINTR)
            ;
}

struct letter *inbox_take_all(struct inbox *inbox)
{
    char bytes[16];
    while (read(inbox->bell[0], bytes, sizeof(bytes)) > 0)
        ;
    struct letter *taken = atomic_exchange_explicit(&inbox->head, NULL, memory_order_acq_rel);
    struct letter *in_order = NULL;
    while (taken) {
        struct letter *next = taken->next;
        taken->next = in_order;
        in_order = taken;
        taken = next;
    }
    return in_order;
}
