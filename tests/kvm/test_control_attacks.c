// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The control socket of a core that runs guests, and clients that are a burden: too long, too many,
 * silent, deaf, in floods, strangers. Others are answered all the same, and the guests have their
 * shares. And what else there may be where the socket is to stand.
 */
#include "tests/kvm/control_scene.h"

#include "base/clock.h"
#include "control/client.h"
#include "control/directory.h"
#include "control/server.h"
#include "tests/kvm/lag.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define CLIENTS_MAX 16

/* --- a burden each for itself ---------------------------------------------------------------- */

/* A line of exactly so many bytes, before its newline. */
static void send_padded(int fd, size_t bytes)
{
    char line[CONTROL_REQUEST_MAX + 8];
    const size_t used = strlen(LIST_REQUEST) - 1;
    memset(line, ' ', bytes);
    for (size_t i = 0; i < used; i++)
        line[i] = LIST_REQUEST[i];
    line[bytes] = '\n';
    CLIENT_CHECK(send(fd, line, bytes + 1, MSG_NOSIGNAL) == (ssize_t)bytes + 1);
}

static void client_sends_too_much(void)
{
    char byte;
    int fd = client_connect();
    send_padded(fd, CONTROL_REQUEST_MAX);
    client_expect(fd, "\"spin\"");
    send_padded(fd, CONTROL_REQUEST_MAX + 1);
    client_expect(fd, "\"too_long\"");
    CLIENT_CHECK(read(fd, &byte, 1) <= 0);
}

static void long_requests(void **state)
{
    scene_serve_spin(client_sends_too_much);
}

/* Others come, and say nothing, or half a word; and some go at once. */
static void client_comes_with_silent_ones(void)
{
    int fds[CLIENTS_MAX - 1];
    for (size_t i = 0; i < COUNT(fds); i++) {
        fds[i] = client_connect();
        if (i % 2)
            client_send(fds[i], "{\"version\":1,");
    }
    close(fds[3]);
    for (int i = 0; i < 3; i++) {
        const int fd = client_connect();
        client_ask(fd, "{\"version\":1,\"command\":\"list\"}", "\"guests\"");
        close(fd);
    }
    client_send(fds[1], "\"command\":\"list\"}\n");
    client_expect(fds[1], "\"guests\"");
}

static void clients_are_too_many(void)
{
    int fds[3 * CLIENTS_MAX];
    char byte;
    for (size_t i = 0; i < COUNT(fds); i++) {
        fds[i] = client_connect();
        client_ask(fds[i], "{\"version\":1,\"command\":\"list\"}", "\"guests\"");
    }
    for (size_t i = 0; i < COUNT(fds); i++)
        if (i < COUNT(fds) - CLIENTS_MAX)
            CLIENT_CHECK(read(fds[i], &byte, 1) <= 0);
        else
            client_ask(fds[i], "{\"version\":1,\"command\":\"list\"}", "\"guests\"");
}

/* One asks as long as it can without reading; others are answered all the same. */
static void client_does_not_read(void)
{
    const int deaf = client_connect();
    const int fd = client_connect();
    fcntl(deaf, F_SETFL, O_NONBLOCK);
    for (int i = 0, full = 0; full < 20 && i < 100000; i++) {
        struct pollfd room = {.fd = deaf, .events = POLLOUT};
        full = poll(&room, 1, 20) == 0 ? full + 1 : 0;
        send(deaf, LIST_REQUEST, strlen(LIST_REQUEST), MSG_NOSIGNAL);
        if (full % 10 == 9)
            client_ask(fd, "{\"version\":1,\"command\":\"list\"}", "\"guests\"");
    }
    client_ask(fd, "{\"version\":1,\"command\":\"list\"}", "\"guests\"");
}

static void silent_clients(void **state)
{
    scene_serve_spin(client_comes_with_silent_ones);
}

static void too_many_clients(void **state)
{
    scene_serve_spin(clients_are_too_many);
}

static void deaf_client(void **state)
{
    scene_serve_spin(client_does_not_read);
}

/* --- floods ---------------------------------------------------------------------------------- */

#define FLOODERS 4
#define FLOOD_NS (3 * SECOND_NS)

/* Writes requests, good and bad ones, and reads answers, as fast as it is let. */
static void flood(uint64_t until_ns)
{
    static char answers[1 << 16];
    const int fd = client_connect();
    fcntl(fd, F_SETFL, O_NONBLOCK);
    for (unsigned i = 0; clock_now_ns(CLOCK_MONOTONIC) < until_ns; i++) {
        struct pollfd ready = {.fd = fd, .events = POLLIN | POLLOUT};
        poll(&ready, 1, 10);
        send(fd, i % 3 ? LIST_REQUEST : "{{{{{\n", i % 3 ? strlen(LIST_REQUEST) : 6, MSG_NOSIGNAL);
        while (read(fd, answers, sizeof(answers)) > 0)
            ;
    }
    _exit(0);
}

/* Comes and goes, as fast as it is let. */
static void flood_connections(uint64_t until_ns)
{
    while (clock_now_ns(CLOCK_MONOTONIC) < until_ns) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", scene_socket);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
            usleep(100); /* too many wait already */
        close(fd);
    }
    _exit(0);
}

static void clients_flood(void)
{
    const uint64_t until_ns = clock_now_ns(CLOCK_MONOTONIC) + FLOOD_NS;
    for (int i = 0; i < FLOODERS; i++)
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            i ? flood(until_ns) : flood_connections(until_ns);
        }
    /* Whose turn comes is answered in the middle of it, too. */
    while (clock_now_ns(CLOCK_MONOTONIC) < until_ns) {
        const int fd = client_connect();
        client_ask(fd, "{\"version\":1,\"command\":\"list\"}", "\"guests\"");
        close(fd);
        usleep(50000);
    }
    for (int i = 0; i < FLOODERS; i++)
        wait(NULL);
}

/* At every stay on the core, and not only in the end, the two are as near to their shares as when nobody asks:
 * so no client has delayed a slice, or ended one early, by more than the policy made good at once. */
static void assert_lag(struct matrix_core *core, const unsigned weights[2])
{
    static struct matrix_board_stay stays[4096];
    struct lag lag = {.slice_ns = MATRIX_SLICE_DEFAULT_NS};
    struct matrix_board *board;
    uint64_t next = 0, lost = 0, cpu_ns[2] = {0};
    size_t count, total = 0;
    int fd;
    assert_success(matrix_core_board(core, &fd));
    assert_success(matrix_board_open(fd, &board));
    do {
        assert_success(matrix_board_stays(board, &next, stays, COUNT(stays), &count, &lost));
        for (size_t i = 0; i < count; i++) {
            assert_in_range(stays[i].guest, 1, 2);
            cpu_ns[stays[i].guest - 1] += stays[i].cpu_ns;
            lag_add(&lag, lag_of_two(weights, cpu_ns), &stays[i]);
        }
        total += count;
    } while (count);
    matrix_board_close(board);
    print_message("# %zu stays, worst lag %.3f slices, %.3f less what runs exceeded theirs by\n",
                  total, lag.worst_ns / MATRIX_SLICE_DEFAULT_NS,
                  lag.beyond_ns / MATRIX_SLICE_DEFAULT_NS);
    assert_int_equal(lost, 0);
    assert_true(lag.beyond_ns <= LAG_BOUND_SLICES * MATRIX_SLICE_DEFAULT_NS);
}

static void shares_hold_in_a_flood(void **state)
{
    static const unsigned weights[] = {70, 30};
    struct test_guest guests[] = {
        test_guest_create(
            (struct matrix_vm_options){.argv = ARGUMENTS("neo", "--every", "0"), .name = "neo"}),
        test_guest_create((struct matrix_vm_options){.argv = ARGUMENTS("morpheus", "--every", "0"),
                                                     .name = "morpheus"}),
    };
    struct matrix_core *core = scene_serve(guests, weights, 2, clients_flood);
    assert_share(core, 0, 0.7);
    assert_share(core, 1, 0.3);
    assert_lag(core, weights);
    const struct matrix_core_statistics loop = test_core_statistics(core);
    print_message("# the loop took %.2f %% of the CPU time\n",
                  100.0 * (double)loop.overhead_ns /
                      (double)(loop.overhead_ns + loop.guests_cpu_ns));
    matrix_core_destroy(core);
    test_guest_destroy(&guests[0]);
    test_guest_destroy(&guests[1]);
}

/* --- strangers, and what stands there already ------------------------------------------------- */

static int in_vain[2]; /* a pipe: the stranger says that he has tried */

static void client_is_a_stranger(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char byte;
    CLIENT_CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", scene_socket);
    /* As it should be: not even by the file's mode. */
    CLIENT_CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 && errno == EACCES);
    CLIENT_CHECK(write(in_vain[1], "", 1) == 1);
    /* Through a descriptor of it that somebody has left open for all. */
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/open", scene_directory);
    for (int tries = 0; connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0; tries++) {
        CLIENT_CHECK(tries < 60000);
        usleep(1000);
    }
    send(fd, LIST_REQUEST, strlen(LIST_REQUEST), MSG_NOSIGNAL);
    CLIENT_CHECK(read(fd, &byte, 1) <= 0);
}

static void strangers_are_refused(void **state)
{
    if (geteuid() != 0)
        SKIP_BECAUSE("only root can be another user");
    struct test_guest guest = test_guest("spin");
    struct scene scene = {.status = -1};
    struct control_server *server = NULL;
    char byte;
    char open_path[sizeof(scene_directory) + 8];
    struct stat status;
    struct matrix_core *core = scene_core_create(&scene, &guest, NULL, 1);
    const struct control_guests guests = control_guests_of_core(core);
    snprintf(open_path, sizeof(open_path), "%s/open", scene_directory);
    assert_success(control_server_start(&guests, open_path, &server));
    assert_int_equal(stat(open_path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    snprintf(scene_socket, sizeof(scene_socket), "%s", open_path);
    assert_int_equal(pipe2(in_vain, O_CLOEXEC), 0);
    scene.client = scene_start_client(client_is_a_stranger);
    close(in_vain[1]);
    (void)!read(in_vain[0], &byte, 1); /* nothing, if he ends before: then his status says so */
    close(in_vain[0]);
    assert_int_equal(chmod(open_path, 0666), 0);
    assert_int_equal(chmod(scene_directory, 0755), 0);
    test_core_run(core);
    assert_int_equal(chmod(scene_directory, 0700), 0);
    control_server_stop(server);
    assert_int_equal(scene.status, 0);
    matrix_core_destroy(core);
    test_guest_destroy(&guest);
}

static void make_socket(const char *name, char full[100])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(full, 100, "%s/%s", scene_directory, name);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", full);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
}

static void what_was_left_behind_goes(void **state)
{
    struct test_guest guest = test_guest("spin");
    struct control_server *server = NULL;
    char old[100], own[100], living[100], file[100], name[32];
    struct matrix_core *core =
        test_core_create((struct matrix_core_options){.cpu = -1}, &guest, NULL, 1);
    const struct control_guests guests = control_guests_of_core(core);
    snprintf(name, sizeof(name), "%d.sock", getpid());
    make_socket("2147483646.sock", old); /* beyond any pid */
    make_socket(name, own);
    make_socket("1.sock", living);
    snprintf(file, sizeof(file), "%s/2147483645.sock", scene_directory);
    close(open(file, O_CREAT | O_WRONLY, 0600));
    assert_success(control_server_start(&guests, NULL, &server));
    assert_int_equal(access(old, F_OK), -1);
    assert_int_equal(access(own, F_OK), 0);
    assert_int_equal(access(living, F_OK), 0);
    assert_int_equal(access(file, F_OK), 0); /* no socket: not ours */
    struct control_server *second = NULL;
    assert_refused(control_server_start(&guests, file, &second), MATRIX_ERROR_HOST,
                   "already in use");
    assert_refused(control_server_start(&guests, own, &second), MATRIX_ERROR_HOST,
                   "already in use");
    control_server_stop(server);
    assert_int_equal(access(own, F_OK), -1);
    unlink(living);
    unlink(file);
    matrix_core_destroy(core);
    test_guest_destroy(&guest);
}

static void directory_must_be_ones_own(void **state)
{
    char other[sizeof(scene_directory) + 16], link[sizeof(scene_directory) + 16];
    struct stat status;
    int fd;
    snprintf(other, sizeof(other), "%s/other", scene_directory);
    snprintf(link, sizeof(link), "%s/link", scene_directory);
    assert_success(control_directory_make(other, &fd));
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    close(fd);
    assert_int_equal(chmod(other, 0777), 0);
    assert_refused(control_directory_make(other, &fd), MATRIX_ERROR_HOST, "others may write");
    assert_int_equal(chmod(other, 0700), 0);
    assert_int_equal(symlink(other, link), 0);
    assert_refused(control_directory_make(link, &fd), MATRIX_ERROR_HOST, "open the runtime");
    unlink(link);
    if (geteuid() == 0) {
        assert_int_equal(chown(other, 65534, 65534), 0);
        assert_refused(control_directory_make(other, &fd), MATRIX_ERROR_HOST, "another user's");
    }
    rmdir(other);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_requests),
        cmocka_unit_test(silent_clients),
        cmocka_unit_test(too_many_clients),
        cmocka_unit_test(deaf_client),
        cmocka_unit_test(shares_hold_in_a_flood),
        cmocka_unit_test(strangers_are_refused),
        cmocka_unit_test(what_was_left_behind_goes),
        cmocka_unit_test(directory_must_be_ones_own),
    };
    return scene_run_tests(argc, argv, "control_attacks", tests, COUNT(tests));
}
