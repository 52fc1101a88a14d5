// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The control socket of a core that runs guests, as its clients meet it. Each test forks a client,
 * which ends with 0 if all was as it should be; the core runs until then.
 */
#include "tests/kvm/host.h"

#include "base/clock.h"
#include "control/client.h"
#include "control/directory.h"
#include "control/server.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIST_REQUEST "{\"version\":1,\"command\":\"list\"}\n"
#define CLIENTS_MAX  16

static char directory[64]; /* the runtime directory of these tests */
static char path[100];     /* of the socket */

/* What the client and the core's own process both know. */
static struct matrix_translation expected;

/* In a client, which is another process than the test: says what is not so, and ends. */
#define CLIENT_CHECK(condition)                                                       \
    do {                                                                              \
        if (!(condition)) {                                                           \
            fprintf(stderr, "# client, line %d: not so: %s\n", __LINE__, #condition); \
            _exit(1);                                                                 \
        }                                                                             \
    } while (0)

/* --- the core's side ------------------------------------------------------------------------- */

struct scene {
    pid_t client;
    int status; /* of the client; -1: it has not ended */
};

static void look_for_client(struct matrix_core *core, void *context)
{
    struct scene *scene = context;
    int status;
    if (waitpid(scene->client, &status, WNOHANG) != scene->client)
        return;
    scene->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    matrix_core_stop(core);
}

static pid_t start_client(void (*client)(void))
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
        alarm(60);
        client();
        _exit(0);
    }
    assert_true(pid > 0);
    return pid;
}

/* Runs the guests, by weight, until the client has ended well. The core is the caller's. */
static struct matrix_core *serve(const struct test_guest *guests, const unsigned *weights,
                                 size_t count, void (*client)(void))
{
    struct scene scene = {.status = -1};
    struct control_server *server = NULL;
    struct matrix_core *core =
        test_core_create((struct matrix_core_options){.cpu = -1,
                                                      .duration_ns = 60 * SECOND_NS,
                                                      .tick_ns = 10 * MILLISECOND_NS,
                                                      .tick = look_for_client,
                                                      .context = &scene},
                         guests, weights, count);
    assert_success(control_server_start(core, NULL, &server));
    snprintf(path, sizeof(path), "%s/%d.sock", directory, getpid());
    scene.client = start_client(client);
    test_core_run(core);
    control_server_stop(server);
    assert_int_equal(access(path, F_OK), -1);
    if (scene.status < 0) {
        kill(scene.client, SIGKILL);
        waitpid(scene.client, NULL, 0);
    }
    assert_int_equal(scene.status, 0);
    return core;
}

/* The same with one guest, which computes all the time. */
static void serve_spin(void (*client)(void))
{
    struct test_guest guest = test_guest("spin");
    matrix_core_destroy(serve(&guest, NULL, 1, client));
    test_guest_destroy(&guest);
}

/* --- the client's side ----------------------------------------------------------------------- */

static int connect_client(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    CLIENT_CHECK(fd >= 0);
    CLIENT_CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    return fd;
}

static void send_all(int fd, const char *text)
{
    CLIENT_CHECK(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

/* Reads a line, without its newline; false at the end. */
static bool read_line(int fd, char *line, size_t size)
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

static void expect(int fd, const char *part)
{
    static char line[CONTROL_ANSWER_MAX];
    CLIENT_CHECK(read_line(fd, line, sizeof(line)));
    const bool is_there = strstr(line, part);
    if (!is_there)
        fprintf(stderr, "# got: %s\n", line);
    CLIENT_CHECK(is_there);
}

static void ask(int fd, const char *request, const char *part)
{
    send_all(fd, request);
    send_all(fd, "\n");
    expect(fd, part);
}

static void client_asks_by_library(void)
{
    struct control_vm *vms = NULL;
    struct matrix_region regions[CONTROL_REGIONS_MAX];
    struct matrix_translation t[2];
    size_t count = 0, silent = 1;
    CLIENT_CHECK(!control_list(0, &vms, &count, &silent));
    CLIENT_CHECK(count == 2 && silent == 0);
    CLIENT_CHECK(strcmp(vms[0].name, "first") == 0 && strcmp(vms[1].name, "second") == 0);
    CLIENT_CHECK(vms[0].pid == getppid() && vms[1].pid == getppid());
    CLIENT_CHECK(vms[0].memory_bytes == 16 << 20 && vms[1].memory_bytes == 8 << 20);
    CLIENT_CHECK(strcmp(vms[0].state, "running") == 0 || strcmp(vms[0].state, "ready") == 0);
    for (int tries = 0; strcmp(vms[1].state, "sleeping") != 0; tries++) {
        CLIENT_CHECK(tries < 100); /* it had to be loaded first */
        usleep(10000);
        free(vms);
        CLIENT_CHECK(!control_list(0, &vms, &count, NULL) && count == 2);
    }
    CLIENT_CHECK(!control_memory(&vms[1], regions, &count));
    CLIENT_CHECK(count == 2 && regions[0].gpa == 0 && regions[0].bytes == 8 << 20);
    CLIENT_CHECK(!control_translate(&vms[0], 0, (const uint64_t[]){expected.gva, 0x1000}, 2, t));
    CLIENT_CHECK(t[0].mapped && t[0].agree && t[0].gpa == expected.gpa);
    CLIENT_CHECK(t[0].hva == expected.hva && t[0].page_bytes == expected.page_bytes);
    CLIENT_CHECK(t[0].readable && t[0].executable == expected.executable);
    CLIENT_CHECK(!t[1].mapped && t[1].agree);
    free(vms);
}

static void client_asks_much(void)
{
    uint64_t addresses[300];
    struct matrix_translation t[300];
    struct control_vm *vms = NULL;
    size_t count = 0;
    CLIENT_CHECK(!control_list(getppid(), &vms, &count, NULL) && count == 1);
    for (size_t i = 0; i < COUNT(addresses); i++)
        addresses[i] = 0x400000 + i;
    CLIENT_CHECK(!control_translate(vms, 0, addresses, COUNT(addresses), t));
    for (size_t i = 0; i < COUNT(addresses); i++)
        CLIENT_CHECK(t[i].mapped && t[i].gpa == t[0].gpa + i);
    struct matrix_error *error = control_translate(vms, 5, addresses, 1, t);
    CLIENT_CHECK(error && strstr(error->message, "virtual CPU 5"));
    CLIENT_CHECK(!control_list(1, &vms, &count, NULL) && count == 0);
}

static const struct {
    const char *request, *answer;
} refused[] = {
    {"", "\"bad_json\""},
    {"{", "\"bad_json\""},
    {"nonsense", "\"bad_json\""},
    {"{\"version\":1,\"version\":1}", "\"bad_json\""},
    {"\xff\xfe", "\"bad_json\""},
    {"[]", "\"bad_request\""},
    {"{}", "version, a number"},
    {"{\"version\":\"1\",\"command\":\"list\"}", "version, a number"},
    {"{\"version\":2,\"command\":\"list\"}", "\"unknown_version\""},
    {"{\"version\":1}", "command, a string"},
    {"{\"version\":1,\"command\":7}", "command, a string"},
    {"{\"version\":1,\"command\":\"fly\"}", "\"unknown_command\""},
    {"{\"version\":1,\"command\":\"list\",\"x\":1}", "\"bad_request\""},
    {"{\"version\":1,\"command\":\"list\",\"from\":-1}", "\"bad_request\""},
    {"{\"version\":1,\"command\":\"list\",\"from\":\"0\"}", "\"bad_request\""},
    {"{\"version\":1,\"command\":\"memory\",\"guest\":\"nobody\"}", "\"no_such_guest\""},
    {"{\"version\":1,\"command\":\"memory\",\"guest\":1}", "\"bad_request\""},
    {"{\"version\":1,\"command\":\"translate\"}", "\"bad_request\""},
    {"{\"version\":1,\"command\":\"translate\",\"addresses\":[]}", "1 to 64"},
    {"{\"version\":1,\"command\":\"translate\",\"addresses\":[4096]}", "as strings"},
    {"{\"version\":1,\"command\":\"translate\",\"addresses\":[\"-1\"]}", "\"bad_request\""},
    {"{\"version\":1,\"command\":\"translate\",\"addresses\":[\"1\"],\"vcpu\":-1}", "negative"},
    {"{\"version\":1,\"command\":\"translate\",\"addresses\":[\"1\"],\"vcpu\":9}", "\"failed\""},
};

static void client_asks_nonsense(void)
{
    const int fd = connect_client();
    for (size_t i = 0; i < COUNT(refused); i++)
        ask(fd, refused[i].request, refused[i].answer);
    ask(fd, "{\"version\":1,\"command\":\"help\"}", "\"translate\"");
    ask(fd, "{\"version\":1,\"command\":\"list\",\"from\":99}", "\"guests\":[],\"next\":null");
}

static void client_asks_among_two(void)
{
    const int fd = connect_client();
    ask(fd, "{\"version\":1,\"command\":\"memory\"}", "\"which_guest\"");
    ask(fd, "{\"version\":1,\"command\":\"memory\",\"guest\":\"odd?\"}", "\"regions\"");
    ask(fd, "{\"version\":1,\"command\":\"list\"}", "\"odd?\"");
}

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
    int fd = connect_client();
    send_padded(fd, CONTROL_REQUEST_MAX);
    expect(fd, "\"spin\"");
    send_padded(fd, CONTROL_REQUEST_MAX + 1);
    expect(fd, "\"too_long\"");
    CLIENT_CHECK(read(fd, &byte, 1) <= 0);
}

static void client_sends_all_at_once(void)
{
    char many[100 * 80] = "", line[128];
    const int fd = connect_client();
    for (int i = 0; i < 100; i++) {
        snprintf(line, sizeof(line), "{\"version\":1,\"command\":\"%s%d\"}\n", i % 2 ? "x" : "list",
                 i);
        strcat(many, i % 2 ? line : LIST_REQUEST);
    }
    send_all(fd, many);
    shutdown(fd, SHUT_WR);
    for (int i = 0; i < 100; i++)
        expect(fd, i % 2 ? "\"unknown_command\"" : "\"guests\"");
    CLIENT_CHECK(!read_line(fd, line, sizeof(line)));
}

static void client_sends_byte_by_byte(void)
{
    const int fd = connect_client();
    for (const char *byte = LIST_REQUEST; *byte; byte++) {
        CLIENT_CHECK(send(fd, byte, 1, MSG_NOSIGNAL) == 1);
        usleep(3000);
    }
    expect(fd, "\"guests\"");
}

/* Others come, and say nothing, or half a word; and some go at once. */
static void client_comes_with_silent_ones(void)
{
    int fds[CLIENTS_MAX - 1];
    for (size_t i = 0; i < COUNT(fds); i++) {
        fds[i] = connect_client();
        if (i % 2)
            send_all(fds[i], "{\"version\":1,");
    }
    close(fds[3]);
    for (int i = 0; i < 3; i++) {
        const int fd = connect_client();
        ask(fd, "{\"version\":1,\"command\":\"list\"}", "\"guests\"");
        close(fd);
    }
    send_all(fds[1], "\"command\":\"list\"}\n");
    expect(fds[1], "\"guests\"");
}

static void clients_are_too_many(void)
{
    int fds[3 * CLIENTS_MAX];
    char byte;
    for (size_t i = 0; i < COUNT(fds); i++) {
        fds[i] = connect_client();
        ask(fds[i], "{\"version\":1,\"command\":\"list\"}", "\"guests\"");
    }
    for (size_t i = 0; i < COUNT(fds); i++)
        if (i < COUNT(fds) - CLIENTS_MAX)
            CLIENT_CHECK(read(fds[i], &byte, 1) <= 0);
        else
            ask(fds[i], "{\"version\":1,\"command\":\"list\"}", "\"guests\"");
}

/* One asks as long as it can without reading; others are answered all the same. */
static void client_does_not_read(void)
{
    const int deaf = connect_client();
    const int fd = connect_client();
    fcntl(deaf, F_SETFL, O_NONBLOCK);
    for (int i = 0, full = 0; full < 20 && i < 100000; i++) {
        struct pollfd room = {.fd = deaf, .events = POLLOUT};
        full = poll(&room, 1, 20) == 0 ? full + 1 : 0;
        send(deaf, LIST_REQUEST, strlen(LIST_REQUEST), MSG_NOSIGNAL);
        if (full % 10 == 9)
            ask(fd, "{\"version\":1,\"command\":\"list\"}", "\"guests\"");
    }
    ask(fd, "{\"version\":1,\"command\":\"list\"}", "\"guests\"");
}

/* --- floods ---------------------------------------------------------------------------------- */

#define FLOODERS 4
#define FLOOD_NS (3 * SECOND_NS)

/* Writes requests, good and bad ones, and reads answers, as fast as it is let. */
static void flood(uint64_t until_ns)
{
    static char answers[1 << 16];
    const int fd = connect_client();
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
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
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
        const int fd = connect_client();
        ask(fd, "{\"version\":1,\"command\":\"list\"}", "\"guests\"");
        close(fd);
        usleep(50000);
    }
    for (int i = 0; i < FLOODERS; i++)
        wait(NULL);
}

/* --- tests ----------------------------------------------------------------------------------- */

static void guests_are_listed_and_translated(void **state)
{
    struct test_guest guests[] = {
        test_guest_create((struct matrix_vm_options){.argv = ARGUMENTS("spin"), .name = "first"}),
        test_guest_create((struct matrix_vm_options){.argv = ARGUMENTS("nap", "60000000000", "1"),
                                                     .name = "second",
                                                     .memory_bytes = 8 << 20}),
    };
    assert_success(matrix_vm_translate(guests[0].vm, 0x400123, &expected));
    assert_true(expected.mapped);
    matrix_core_destroy(serve(guests, NULL, 2, client_asks_by_library));
    test_guest_destroy(&guests[0]);
    test_guest_destroy(&guests[1]);
}

static void many_addresses(void **state)
{
    serve_spin(client_asks_much);
}

static void nonsense_is_refused(void **state)
{
    serve_spin(client_asks_nonsense);
}

static void guest_must_be_named(void **state)
{
    struct test_guest guests[] = {
        test_guest_create((struct matrix_vm_options){.argv = ARGUMENTS("spin"), .name = "a"}),
        test_guest_create((struct matrix_vm_options){.argv = ARGUMENTS("spin"), .name = "odd\xff"}),
    };
    matrix_core_destroy(serve(guests, NULL, 2, client_asks_among_two));
    test_guest_destroy(&guests[0]);
    test_guest_destroy(&guests[1]);
}

static void long_requests(void **state)
{
    serve_spin(client_sends_too_much);
}

static void requests_in_one_piece(void **state)
{
    serve_spin(client_sends_all_at_once);
}

static void requests_in_many_pieces(void **state)
{
    serve_spin(client_sends_byte_by_byte);
}

static void silent_clients(void **state)
{
    serve_spin(client_comes_with_silent_ones);
}

static void too_many_clients(void **state)
{
    serve_spin(clients_are_too_many);
}

static void deaf_client(void **state)
{
    serve_spin(client_does_not_read);
}

/* While nobody can run there is no KVM_RUN to be interrupted. */
static void guests_that_sleep(void **state)
{
    struct test_guest guest = test_guest_create(
        (struct matrix_vm_options){.argv = ARGUMENTS("nap", "60000000000", "1"), .name = "spin"});
    matrix_core_destroy(serve(&guest, NULL, 1, client_asks_nonsense));
    test_guest_destroy(&guest);
}

static void shares_hold_in_a_flood(void **state)
{
    struct test_guest guests[] = {
        test_guest_create(
            (struct matrix_vm_options){.argv = ARGUMENTS("neo", "--every", "0"), .name = "neo"}),
        test_guest_create((struct matrix_vm_options){.argv = ARGUMENTS("morpheus", "--every", "0"),
                                                     .name = "morpheus"}),
    };
    struct matrix_core *core = serve(guests, (const unsigned[]){70, 30}, 2, clients_flood);
    assert_share(core, 0, 0.7);
    assert_share(core, 1, 0.3);
    const struct matrix_core_statistics loop = test_core_statistics(core);
    print_message("# the loop took %.2f %% of the CPU time\n",
                  100.0 * (double)loop.overhead_ns /
                      (double)(loop.overhead_ns + loop.guests_cpu_ns));
    matrix_core_destroy(core);
    test_guest_destroy(&guests[0]);
    test_guest_destroy(&guests[1]);
}

static void client_is_a_stranger(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char byte;
    CLIENT_CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    /* As it should be: not even by the file's mode. */
    CLIENT_CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 && errno == EACCES);
    /* Through a descriptor of it that somebody has left open for all. */
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/open", directory);
    for (int tries = 0; connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0; tries++) {
        CLIENT_CHECK(tries < 1000);
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
    char open_path[sizeof(directory) + 8];
    struct stat status;
    struct matrix_core *core =
        test_core_create((struct matrix_core_options){.cpu = -1,
                                                      .duration_ns = 60 * SECOND_NS,
                                                      .tick_ns = 10 * MILLISECOND_NS,
                                                      .tick = look_for_client,
                                                      .context = &scene},
                         &guest, NULL, 1);
    snprintf(open_path, sizeof(open_path), "%s/open", directory);
    assert_success(control_server_start(core, open_path, &server));
    assert_int_equal(stat(open_path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    snprintf(path, sizeof(path), "%s", open_path);
    scene.client = start_client(client_is_a_stranger);
    usleep(100000); /* it tries in vain */
    assert_int_equal(chmod(open_path, 0666), 0);
    assert_int_equal(chmod(directory, 0755), 0);
    test_core_run(core);
    assert_int_equal(chmod(directory, 0700), 0);
    control_server_stop(server);
    assert_int_equal(scene.status, 0);
    matrix_core_destroy(core);
    test_guest_destroy(&guest);
}

static void make_socket(const char *name, char full[100])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(full, 100, "%s/%s", directory, name);
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
    snprintf(name, sizeof(name), "%d.sock", getpid());
    make_socket("2147483646.sock", old); /* beyond any pid */
    make_socket(name, own);
    make_socket("1.sock", living);
    snprintf(file, sizeof(file), "%s/2147483645.sock", directory);
    close(open(file, O_CREAT | O_WRONLY, 0600));
    assert_success(control_server_start(core, NULL, &server));
    assert_int_equal(access(old, F_OK), -1);
    assert_int_equal(access(own, F_OK), 0);
    assert_int_equal(access(living, F_OK), 0);
    assert_int_equal(access(file, F_OK), 0); /* no socket: not ours */
    struct control_server *second = NULL;
    assert_refused(control_server_start(core, file, &second), MATRIX_ERROR_HOST, "already in use");
    assert_refused(control_server_start(core, own, &second), MATRIX_ERROR_HOST, "already in use");
    control_server_stop(server);
    assert_int_equal(access(own, F_OK), -1);
    unlink(living);
    unlink(file);
    matrix_core_destroy(core);
    test_guest_destroy(&guest);
}

static void directory_must_be_ones_own(void **state)
{
    char other[sizeof(directory) + 16], link[sizeof(directory) + 16];
    struct stat status;
    int fd;
    snprintf(other, sizeof(other), "%s/other", directory);
    snprintf(link, sizeof(link), "%s/link", directory);
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
        cmocka_unit_test(guests_are_listed_and_translated),
        cmocka_unit_test(many_addresses),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(guest_must_be_named),
        cmocka_unit_test(long_requests),
        cmocka_unit_test(requests_in_one_piece),
        cmocka_unit_test(requests_in_many_pieces),
        cmocka_unit_test(silent_clients),
        cmocka_unit_test(too_many_clients),
        cmocka_unit_test(deaf_client),
        cmocka_unit_test(guests_that_sleep),
        cmocka_unit_test(shares_hold_in_a_flood),
        cmocka_unit_test(strangers_are_refused),
        cmocka_unit_test(what_was_left_behind_goes),
        cmocka_unit_test(directory_must_be_ones_own),
    };
    snprintf(directory, sizeof(directory), "/tmp/matrix-test-XXXXXX");
    if (!mkdtemp(directory) || setenv("MATRIX_RUNTIME_DIR", directory, 1) < 0)
        return 2;
    const int status = host_run_tests(argc, argv, "control", tests, COUNT(tests));
    rmdir(directory);
    return status;
}
