// SPDX-License-Identifier: GPL-2.0-or-later
/* The board of another process, by its control socket: read while its guests run, and asked for without end. */
#include "tests/kvm/control_scene.h"

#include "control/client.h"
#include <string.h>
#include <sys/socket.h>

static void client_watches(void)
{
    unsigned cores;
    struct matrix_board *board = NULL;
    static struct matrix_board_core core;
    struct matrix_board_guest guest, later = {0};
    struct matrix_board_stay stays[64];
    uint64_t next = 0, lost = 0;
    size_t count, seen = 0;
    pid_t pid = 0;
    CLIENT_CHECK(!control_board(scene_socket, &pid, 0, &cores, &board));
    CLIENT_CHECK(pid == getppid() && matrix_board_pid(board) == (uint32_t)pid);
    CLIENT_CHECK(!matrix_board_core(board, &core) && core.begun_ns && !core.ended_ns);
    CLIENT_CHECK(!matrix_board_guest(board, 0, &guest) && strcmp(guest.name, "spin") == 0);
    /* Nothing is asked from here on, and yet it goes on. */
    for (int tries = 0; tries < 3000 && (seen < 5 || later.cpu_ns == guest.cpu_ns); tries++) {
        usleep(10000);
        CLIENT_CHECK(!matrix_board_guest(board, 0, &later));
        CLIENT_CHECK(!matrix_board_stays(board, &next, stays, COUNT(stays), &count, &lost));
        seen += count;
    }
    CLIENT_CHECK(seen >= 5);
    CLIENT_CHECK(later.cpu_ns > guest.cpu_ns);
    matrix_board_close(board);
}

static void another_process_watches(void **state)
{
    scene_serve_spin(client_watches);
}

/* Asks, and does not look at what comes. */
static void client_hoards(void)
{
    const int fd = client_connect();
    for (unsigned i = 0; i < 3000; i++)
        if (send(fd, "{\"version\":1,\"command\":\"board\"}\n", 32, MSG_NOSIGNAL | MSG_DONTWAIT) !=
            32)
            break;
    usleep(300000);
    client_watches();
    close(fd);
}

static void boards_that_nobody_takes(void **state)
{
    scene_serve_spin(client_hoards);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_process_watches),
        cmocka_unit_test(boards_that_nobody_takes),
    };
    return scene_run_tests(argc, argv, "board_socket", tests, COUNT(tests));
}
