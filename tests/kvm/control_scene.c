// SPDX-License-Identifier: GPL-2.0-or-later
/* A core with a control socket and its client; see control_scene.h. */
#include "tests/kvm/control_scene.h"

#include "control/client.h"
#include "control/server.h"
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

char scene_directory[64], scene_socket[100];

/* --- the core's side ------------------------------------------------------------------------- */

static void look_for_client(struct matrix_core *core, void *context)
{
    struct scene *scene = context;
    int status;
    if (waitpid(scene->client, &status, WNOHANG) != scene->client)
        return;
    scene->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    matrix_core_stop(core);
}

struct matrix_core *scene_core_create(struct scene *scene, const struct test_guest *guests,
                                      const unsigned *weights, size_t count)
{
    return test_core_create((struct matrix_core_options){.cpu = -1,
                                                         .duration_ns = 240 * SECOND_NS,
                                                         .tick_ns = 10 * MILLISECOND_NS,
                                                         .tick = look_for_client,
                                                         .context = scene},
                            guests, weights, count);
}

pid_t scene_start_client(void (*client)(void))
{
    const pid_t pid = fork();
    if (pid == 0) {
        cpu_set_t others;
        CPU_ZERO(&others);
        for (int cpu = 1; cpu < sysconf(_SC_NPROCESSORS_ONLN); cpu++)
            CPU_SET(cpu, &others);
        /* Beside the core, if there is room: it is not the host's scheduler that is tested here. */
        sched_setaffinity(0, sizeof(others), &others);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(240);
        client();
        _exit(0);
    }
    assert_true(pid > 0);
    return pid;
}

struct matrix_core *scene_serve(const struct test_guest *all, const unsigned *weights, size_t count,
                                void (*client)(void))
{
    struct scene scene = {.status = -1};
    struct control_server *server = NULL;
    struct matrix_core *core = scene_core_create(&scene, all, weights, count);
    const struct control_guests guests = control_guests_of_core(core);
    int board;
    assert_success(matrix_core_board(core, &board));
    assert_success(control_server_start(&guests, NULL, &server));
    snprintf(scene_socket, sizeof(scene_socket), "%s/%d.sock", scene_directory, getpid());
    scene.client = scene_start_client(client);
    test_core_run(core);
    control_server_stop(server);
    assert_int_equal(access(scene_socket, F_OK), -1);
    if (scene.status < 0) {
        kill(scene.client, SIGKILL);
        waitpid(scene.client, NULL, 0);
    }
    assert_int_equal(scene.status, 0);
    return core;
}

void scene_serve_spin(void (*client)(void))
{
    struct test_guest guest = test_guest("spin");
    matrix_core_destroy(scene_serve(&guest, NULL, 1, client));
    test_guest_destroy(&guest);
}

/* --- the client's side ----------------------------------------------------------------------- */

int client_connect(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", scene_socket);
    CLIENT_CHECK(fd >= 0);
    CLIENT_CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    return fd;
}

void client_send(int fd, const char *text)
{
    CLIENT_CHECK(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

bool client_read_line(int fd, char *line, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        const ssize_t got = read(fd, &line[i], 1);
        if (got <= 0)
            return false;
        if (line[i] == '\n') {
            line[i] = '\0';
            return true;
        }
    }
    CLIENT_CHECK(!"a line that fits");
    return false;
}

void client_expect(int fd, const char *part)
{
    static char line[CONTROL_ANSWER_MAX];
    CLIENT_CHECK(client_read_line(fd, line, sizeof(line)));
    const bool is_there = strstr(line, part);
    if (!is_there)
        fprintf(stderr, "# got: %s\n", line);
    CLIENT_CHECK(is_there);
}

void client_ask(int fd, const char *request, const char *part)
{
    client_send(fd, request);
    client_send(fd, "\n");
    client_expect(fd, part);
}

/* --- the program ----------------------------------------------------------------------------- */

int scene_run_tests(int argc, char **argv, const char *group, const struct CMUnitTest *tests,
                    size_t count)
{
    snprintf(scene_directory, sizeof(scene_directory), "/tmp/matrix-test-XXXXXX");
    if (!mkdtemp(scene_directory) || setenv("MATRIX_RUNTIME_DIR", scene_directory, 1) < 0)
        return 2;
    const int status = host_run_tests(argc, argv, group, tests, count);
    rmdir(scene_directory);
    return status;
}
