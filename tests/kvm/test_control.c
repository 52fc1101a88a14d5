// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The control socket of a core that runs guests: what is asked there, and what it answers, also to
 * what makes no sense. What clients do to it besides is for test_control_attacks.c.
 */
#include "tests/kvm/control_scene.h"

#include "control/client.h"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* What the client and the core's own process both know. */
static struct matrix_translation expected;

/* --- clients --------------------------------------------------------------------------------- */

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
        CLIENT_CHECK(tries < 3000); /* it had to be loaded first */
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
    const int fd = client_connect();
    for (size_t i = 0; i < COUNT(refused); i++)
        client_ask(fd, refused[i].request, refused[i].answer);
    client_ask(fd, "{\"version\":1,\"command\":\"help\"}", "\"translate\"");
    client_ask(fd, "{\"version\":1,\"command\":\"list\",\"from\":99}",
               "\"guests\":[],\"next\":null");
}

static void client_asks_among_two(void)
{
    const int fd = client_connect();
    client_ask(fd, "{\"version\":1,\"command\":\"memory\"}", "\"which_guest\"");
    client_ask(fd, "{\"version\":1,\"command\":\"memory\",\"guest\":\"odd?\"}", "\"regions\"");
    client_ask(fd, "{\"version\":1,\"command\":\"list\"}", "\"odd?\"");
}

static void client_sends_all_at_once(void)
{
    char many[100 * 80] = "", line[128];
    const int fd = client_connect();
    for (int i = 0; i < 100; i++) {
        snprintf(line, sizeof(line), "{\"version\":1,\"command\":\"%s%d\"}\n", i % 2 ? "x" : "list",
                 i);
        strcat(many, i % 2 ? line : LIST_REQUEST);
    }
    client_send(fd, many);
    shutdown(fd, SHUT_WR);
    for (int i = 0; i < 100; i++)
        client_expect(fd, i % 2 ? "\"unknown_command\"" : "\"guests\"");
    CLIENT_CHECK(!client_read_line(fd, line, sizeof(line)));
}

static void client_sends_byte_by_byte(void)
{
    const int fd = client_connect();
    for (const char *byte = LIST_REQUEST; *byte; byte++) {
        CLIENT_CHECK(send(fd, byte, 1, MSG_NOSIGNAL) == 1);
        usleep(3000);
    }
    client_expect(fd, "\"guests\"");
}

/* --- tests ----------------------------------------------------------------------------------- */

static void guests_are_listed_and_translated(void **state)
{
    struct test_guest guests[] = {
        test_guest_create((struct matrix_vm_options){.argv = ARGUMENTS("spin"), .name = "first"}),
        test_guest_create((struct matrix_vm_options){.argv = ARGUMENTS("nap", "600000000000", "1"),
                                                     .name = "second",
                                                     .memory_bytes = 8 << 20}),
    };
    assert_success(matrix_vm_translate(guests[0].vm, 0x400123, &expected));
    assert_true(expected.mapped);
    matrix_core_destroy(scene_serve(guests, NULL, 2, client_asks_by_library));
    test_guest_destroy(&guests[0]);
    test_guest_destroy(&guests[1]);
}

static void many_addresses(void **state)
{
    scene_serve_spin(client_asks_much);
}

static void nonsense_is_refused(void **state)
{
    scene_serve_spin(client_asks_nonsense);
}

static void guest_must_be_named(void **state)
{
    struct test_guest guests[] = {
        test_guest_create((struct matrix_vm_options){.argv = ARGUMENTS("spin"), .name = "a"}),
        test_guest_create((struct matrix_vm_options){.argv = ARGUMENTS("spin"), .name = "odd\xff"}),
    };
    matrix_core_destroy(scene_serve(guests, NULL, 2, client_asks_among_two));
    test_guest_destroy(&guests[0]);
    test_guest_destroy(&guests[1]);
}

static void requests_in_one_piece(void **state)
{
    scene_serve_spin(client_sends_all_at_once);
}

static void requests_in_many_pieces(void **state)
{
    scene_serve_spin(client_sends_byte_by_byte);
}

/* While nobody can run there is no KVM_RUN to be interrupted. */
static void guests_that_sleep(void **state)
{
    struct test_guest guest = test_guest_create(
        (struct matrix_vm_options){.argv = ARGUMENTS("nap", "600000000000", "1"), .name = "spin"});
    matrix_core_destroy(scene_serve(&guest, NULL, 1, client_asks_nonsense));
    test_guest_destroy(&guest);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guests_are_listed_and_translated),
        cmocka_unit_test(many_addresses),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(guest_must_be_named),
        cmocka_unit_test(requests_in_one_piece),
        cmocka_unit_test(requests_in_many_pieces),
        cmocka_unit_test(guests_that_sleep),
    };
    return scene_run_tests(argc, argv, "control", tests, COUNT(tests));
}
