// SPDX-License-Identifier: GPL-2.0-or-later
/* Descriptors that a core watches while its guests run: matrix_core_watch. */
#include "tests/kvm/host.h"

#include "base/clock.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Pipes that a forked writer fills, and what came of it. */
struct scene {
    int read_fd, write_fd;
    unsigned calls, bytes;
    unsigned stop_after;
    bool unwatch;
    uint64_t last_ns, shortest_ns; /* between two calls */
};

static void on_ready(struct matrix_core *core, int fd, void *context)
{
    struct scene *scene = context;
    char byte;
    const uint64_t now = clock_now_ns(CLOCK_MONOTONIC);
    assert_int_equal(fd, scene->read_fd);
    if (scene->calls && now - scene->last_ns < scene->shortest_ns)
        scene->shortest_ns = now - scene->last_ns;
    scene->last_ns = now;
    scene->calls++;
    if (read(fd, &byte, 1) == 1)
        scene->bytes++;
    if (scene->unwatch)
        matrix_core_unwatch(core, fd);
    if (scene->bytes == scene->stop_after)
        matrix_core_stop(core);
}

static struct scene scene_create(void)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    return (struct scene){.read_fd = ends[0], .write_fd = ends[1], .shortest_ns = UINT64_MAX};
}

static void scene_close(struct scene *scene)
{
    close(scene->read_fd);
    close(scene->write_fd);
}

/* A process that writes so many bytes, with pauses between them (0: as fast as it can). */
static pid_t start_writer(const struct scene *scene, unsigned count, unsigned pause_us)
{
    const pid_t pid = fork();
    if (pid != 0)
        return pid;
    for (unsigned i = 0; i < count; i++) {
        struct pollfd room = {.fd = scene->write_fd, .events = POLLOUT};
        usleep(pause_us);
        poll(&room, 1, -1);
        if (write(scene->write_fd, "x", 1) != 1)
            _exit(1);
    }
    _exit(0);
}

static struct matrix_core *run_and_watch(struct scene *scene, const char *guest_name,
                                         const char *argument, uint64_t duration_ns, pid_t writer)
{
    struct test_guest guest = test_guest(guest_name, argument, "1");
    struct matrix_core *core = test_core_create(
        (struct matrix_core_options){.cpu = -1, .duration_ns = duration_ns}, &guest, NULL, 1);
    assert_success(matrix_core_watch(core, scene->read_fd, POLLIN, on_ready, scene));
    test_core_run(core);
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    assert_int_equal(fcntl(scene->read_fd, F_GETFL) & O_ASYNC, 0);
    test_guest_destroy(&guest);
    return core;
}

static void called_while_a_guest_computes(void **state)
{
    struct scene scene = scene_create();
    scene.stop_after = 20;
    const pid_t writer = start_writer(&scene, 20, 15000);
    matrix_core_destroy(run_and_watch(&scene, "spin", NULL, 60 * SECOND_NS, writer));
    assert_int_equal(scene.bytes, 20);
    assert_int_equal(scene.calls, 20);
    scene_close(&scene);
}

static void called_while_nobody_can_run(void **state)
{
    struct scene scene = scene_create();
    scene.stop_after = 20;
    const pid_t writer = start_writer(&scene, 20, 15000);
    matrix_core_destroy(run_and_watch(&scene, "nap", "60000000000", 60 * SECOND_NS, writer));
    assert_int_equal(scene.bytes, 20);
    scene_close(&scene);
}

static void called_for_what_came_before(void **state)
{
    struct scene scene = scene_create();
    scene.stop_after = 3;
    assert_int_equal(write(scene.write_fd, "abc", 3), 3);
    matrix_core_destroy(
        run_and_watch(&scene, "spin", NULL, 60 * SECOND_NS, start_writer(&scene, 0, 0)));
    assert_int_equal(scene.bytes, 3);
    scene_close(&scene);
}

static void a_flood_is_served_slowly(void **state)
{
    struct scene scene = scene_create();
    scene.stop_after = 200;
    const pid_t writer = start_writer(&scene, UINT32_MAX, 0);
    struct matrix_core *core = run_and_watch(&scene, "spin", NULL, 60 * SECOND_NS, writer);
    print_message("# %u calls, %.1f ms apart at least\n", scene.calls,
                  (double)scene.shortest_ns / MILLISECOND_NS);
    assert_int_equal(scene.calls, 200);
    /* No matter of speed: nobody is called sooner, and anybody may be later. */
    assert_true(scene.shortest_ns >= 2 * MILLISECOND_NS);
    matrix_core_destroy(core);
    scene_close(&scene);
}

static void all_of_many_have_their_turn(void **state)
{
    struct scene scenes[8];
    const unsigned turns = 20;
    struct test_guest guest = test_guest("spin");
    struct matrix_core *core = test_core_create(
        (struct matrix_core_options){.cpu = -1, .duration_ns = 60 * SECOND_NS}, &guest, NULL, 1);
    for (size_t i = 0; i < COUNT(scenes); i++) {
        scenes[i] = scene_create();
        scenes[i].stop_after = turns;
        char text[4096] = "";
        assert_int_equal(write(scenes[i].write_fd, text, sizeof(text)), sizeof(text));
        assert_success(matrix_core_watch(core, scenes[i].read_fd, POLLIN, on_ready, &scenes[i]));
    }
    test_core_run(core);
    for (size_t i = 0; i < COUNT(scenes); i++) {
        assert_in_range(scenes[i].calls, turns - 1, turns);
        scene_close(&scenes[i]);
    }
    matrix_core_destroy(core);
    test_guest_destroy(&guest);
}

static void no_longer_called_when_unwatched(void **state)
{
    struct scene scene = scene_create();
    scene.unwatch = true;
    for (uint64_t ns = SECOND_NS / 2; scene.calls == 0 && ns <= TEST_LONGEST_NS; ns *= 2) {
        const pid_t writer = start_writer(&scene, 50, 2000);
        matrix_core_destroy(run_and_watch(&scene, "spin", NULL, ns, writer));
    }
    assert_int_equal(scene.calls, 1);
    scene_close(&scene);
}

static void hangup_is_told(void **state)
{
    struct scene scene = scene_create();
    scene.unwatch = true;
    close(scene.write_fd);
    for (uint64_t ns = SECOND_NS / 4; scene.calls == 0 && ns <= TEST_LONGEST_NS; ns *= 2)
        matrix_core_destroy(run_and_watch(&scene, "spin", NULL, ns, start_writer(&scene, 0, 0)));
    assert_int_equal(scene.calls, 1);
    assert_int_equal(scene.bytes, 0);
    close(scene.read_fd);
}

/* Without anything coming there is nothing to pay: no signal, no look. */
static void silence_costs_nothing(void **state)
{
    struct scene scene = scene_create();
    struct matrix_core *core =
        run_and_watch(&scene, "spin", NULL, SECOND_NS, start_writer(&scene, 0, 0));
    const struct matrix_core_statistics loop = test_core_statistics(core);
    assert_int_equal(scene.calls, 0);
    assert_in_range(loop.decisions, 1, 20);
    matrix_core_destroy(core);
    scene_close(&scene);
}

static void too_many_are_refused(void **state)
{
    struct test_guest guest = test_guest("spin");
    struct matrix_core *core =
        test_core_create((struct matrix_core_options){.cpu = -1}, &guest, NULL, 1);
    for (int i = 0; i < 32; i++)
        assert_success(matrix_core_watch(core, 1000 + i, POLLIN, on_ready, NULL));
    assert_success(matrix_core_watch(core, 1000, POLLOUT, on_ready, NULL));
    assert_refused(matrix_core_watch(core, 2000, POLLIN, on_ready, NULL), MATRIX_ERROR_HOST,
                   "more than 32");
    matrix_core_unwatch(core, 1031);
    matrix_core_unwatch(core, 1031);
    assert_success(matrix_core_watch(core, 2000, POLLIN, on_ready, NULL));
    matrix_core_destroy(core);
    test_guest_destroy(&guest);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(called_while_a_guest_computes),
        cmocka_unit_test(called_while_nobody_can_run),
        cmocka_unit_test(called_for_what_came_before),
        cmocka_unit_test(a_flood_is_served_slowly),
        cmocka_unit_test(all_of_many_have_their_turn),
        cmocka_unit_test(no_longer_called_when_unwatched),
        cmocka_unit_test(hangup_is_told),
        cmocka_unit_test(silence_costs_nothing),
        cmocka_unit_test(too_many_are_refused),
    };
    return host_run_tests(argc, argv, "watch", tests, COUNT(tests));
}
