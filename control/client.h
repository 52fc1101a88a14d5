/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asks those who run guests, over their control sockets. What they answer is checked: whoever sits
 * at a socket may be anybody. A process that is known is waited for for CONTROL_PATIENCE_NS at most. At a
 * socket of which only the name is known it is CONTROL_START_PATIENCE_NS: where systemd holds it, who is to
 * answer may only be being started.
 */
#ifndef CONTROL_CLIENT_H
#define CONTROL_CLIENT_H

#include "control/protocol.h"
#include <jansson.h>
#include <limits.h>
#include <matrix/board.h>
#include <matrix/vm.h>
#include <sys/types.h>

#define CONTROL_PATIENCE_NS       2000000000ULL
#define CONTROL_START_PATIENCE_NS 30000000000ULL

/* A guest that somebody runs. */
struct control_vm {
    char name[CONTROL_NAME_BYTES]; /* of any characters */
    pid_t pid;                     /* of the process that runs it, as the kernel says */
    char state[16];
    uint64_t memory_bytes;
    unsigned vcpus;
    unsigned index;      /* among those of its process */
    char path[PATH_MAX]; /* of the socket */
};

/*
 * The guests of every socket in the runtime directory; for root, of every user's. Sockets at which
 * nobody answers are left out. To be freed with free().
 *
 * pid: only those that this process runs; 0: all.
 * silent: out, how many of them are there, but did not answer (stopped, or not of our kind); NULL
 * is allowed.
 */
struct matrix_error *control_list(pid_t pid, struct control_vm **vms, size_t *count,
                                  size_t *silent) MATRIX_MUST_CHECK;

/* The guests of one socket. */
struct matrix_error *control_list_at(const char *path, struct control_vm **vms,
                                     size_t *count) MATRIX_MUST_CHECK;

/* Asks for a command about one guest; members: what else the request says, taken over; NULL: nothing.
 * *answer is to be released. */
struct matrix_error *control_command(const struct control_vm *vm, const char *command,
                                     json_t *members, json_t **answer) MATRIX_MUST_CHECK;

/* The same about none in particular, at a socket. pid: who must be there; 0: whoever is. */
struct matrix_error *control_command_at(const char *path, pid_t pid, const char *command,
                                        json_t *members, json_t **answer) MATRIX_MUST_CHECK;

/* A board of the process at a socket, to be closed: that of a core, counted from 0. cores: out, how many it
 * has. pid: as in a list; 0: whoever is there, and out. */
struct matrix_error *control_board(const char *path, pid_t *pid, unsigned core, unsigned *cores,
                                   struct matrix_board **board) MATRIX_MUST_CHECK;

#define CONTROL_REGIONS_MAX 16

/* Where a guest's memory is in that process: in order of gpa, none reaching into another. */
struct matrix_error *control_memory(const struct control_vm *vm,
                                    struct matrix_region regions[CONTROL_REGIONS_MAX],
                                    size_t *count) MATRIX_MUST_CHECK;

/* Follows guest-virtual addresses, any number of them. kvm_mapped and kvm_gpa are not told. */
struct matrix_error *control_translate(const struct control_vm *vm, unsigned vcpu,
                                       const uint64_t *addresses, size_t count,
                                       struct matrix_translation *translations) MATRIX_MUST_CHECK;

#endif
