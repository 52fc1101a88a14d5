/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of the control socket share: a core that answers there until a client, a process
 * that is forked, has ended well; and what such a client does. Used by tests/kvm/test_control*.c.
 */
#ifndef TESTS_KVM_CONTROL_SCENE_H
#define TESTS_KVM_CONTROL_SCENE_H

#include "tests/kvm/host.h"

#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#define LIST_REQUEST "{\"version\":1,\"command\":\"list\"}\n"

extern char scene_directory[64]; /* the runtime directory of these tests */
extern char scene_socket[100];   /* the path where clients meet the core */

/* Runs the tests of one program in a runtime directory of their own, to be returned from main. */
int scene_run_tests(int argc, char **argv, const char *group, const struct CMUnitTest *tests,
                    size_t count);

/* --- the core's side ------------------------------------------------------------------------- */

struct scene {
    pid_t client;
    int status; /* of the client; -1: it has not ended */
};

/* A core of these guests, by weight, which stops when the scene's client has ended. */
struct matrix_core *scene_core_create(struct scene *scene, const struct test_guest *guests,
                                      const unsigned *weights, size_t count);

/* Forks a client, which ends with 0 if client() returns. */
pid_t scene_start_client(void (*client)(void));

/* Runs the guests, by weight, until the client has ended well. The core is the caller's. */
struct matrix_core *scene_serve(const struct test_guest *all, const unsigned *weights, size_t count,
                                void (*client)(void));

/* The same with one guest, which computes all the time. */
void scene_serve_spin(void (*client)(void));

/* --- the client's side ----------------------------------------------------------------------- */

/* In a client, which is another process than the test: says what is not so, and ends. */
#define CLIENT_CHECK(condition)                                                               \
    do {                                                                                      \
        if (!(condition)) {                                                                   \
            fprintf(stderr, "# client, %s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            _exit(1);                                                                         \
        }                                                                                     \
    } while (0)

int client_connect(void);

void client_send(int fd, const char *text);

/* Reads a line, without its newline; false at the end. */
bool client_read_line(int fd, char *line, size_t size);

/* Reads an answer, which must have that part. */
void client_expect(int fd, const char *part);

/* Sends a request, without its newline, whose answer must have that part. */
void client_ask(int fd, const char *request, const char *part);

#endif
