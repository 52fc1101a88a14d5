// SPDX-License-Identifier: GPL-2.0-or-later
/* What memory is left, in made-up trees of /proc and /sys: the least of host and cgroups, and the words for it. */
#include "cloud/memory_left.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* After those that it needs. */
#include <cmocka.h>

#define MIB (1ULL << 20)

static char root[64];

/* Writes a file of the tree, and the directories that it is in. */
static void write_file(const char *path, const char *text)
{
    char full[200];
    snprintf(full, sizeof(full), "%s%s", root, path);
    for (char *slash = strchr(full + strlen(root) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(full, 0700);
        *slash = '/';
    }
    FILE *file = fopen(full, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int make_tree(void **state)
{
    snprintf(root, sizeof(root), "/tmp/matrix-test-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_tree(void **state)
{
    char command[100];
    snprintf(command, sizeof(command), "rm -r '%s'", root);
    return system(command);
}

static struct memory_left left_there(void)
{
    struct memory_left left;
    memory_left_read(root, &left);
    return left;
}

static void write_host(void)
{
    write_file("/proc/meminfo",
               "MemTotal: 4194304 kB\nMemAvailable: 1048576 kB\nSwapFree: 1024 kB\n");
}

static void nothing_is_known(void **state)
{
    assert_true(left_there().bytes == UINT64_MAX);
    assert_null(memory_left_check(&(struct memory_left){.bytes = UINT64_MAX}, "a", UINT64_MAX));
}

static void the_host_alone(void **state)
{
    write_host();
    assert_true(left_there().bytes == 1025 * MIB);
    write_file("/proc/self/cgroup", "0::/\n");
    assert_true(left_there().bytes == 1025 * MIB);
    assert_string_equal(left_there().cgroup, "");
}

static void the_narrowest_cgroup_counts(void **state)
{
    write_host();
    write_file("/proc/self/cgroup", "1:name=systemd:/x\n0::/out/in\n");
    write_file("/sys/fs/cgroup/out/in/memory.max", "max\n");
    write_file("/sys/fs/cgroup/out/in/memory.current", "1\n");
    write_file("/sys/fs/cgroup/out/memory.max", "104857600\n");
    write_file("/sys/fs/cgroup/out/memory.current", "94371840\n");
    assert_true(left_there().bytes == 10 * MIB);
    assert_string_equal(left_there().cgroup, "/out");
    /* Pages of files are given up first. */
    write_file("/sys/fs/cgroup/out/memory.stat", "anon 1\nfile 52428800\nfile_mapped 1\n");
    assert_true(left_there().bytes == 60 * MIB);
    write_file("/sys/fs/cgroup/out/in/memory.max", "4096\n");
    assert_true(left_there().bytes == 4095);
    assert_string_equal(left_there().cgroup, "/out/in");
    write_file("/sys/fs/cgroup/out/in/memory.current", "8192\n");
    assert_true(left_there().bytes == 0);
}

static void it_is_said_of_what(void **state)
{
    struct memory_left left = {.bytes = 100 * MIB, .cgroup = "/out"};
    assert_null(memory_left_check(&left, "neo", 100 * MIB));
    struct matrix_error *error = memory_left_check(&left, "neo", 200 * MIB);
    assert_non_null(error);
    assert_int_equal(error->kind, MATRIX_ERROR_HOST);
    assert_non_null(strstr(error->message,
                           "make guest neo with 200 MiB of memory: the cgroup /out has "
                           "100 MiB left"));
    matrix_error_free(error);
    *left.cgroup = '\0';
    error = memory_left_check(&left, "neo", 200 * MIB);
    assert_non_null(strstr(error->message, "the host has 100 MiB left"));
    matrix_error_free(error);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_tree, remove_tree)
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_known),
        TEST(the_host_alone),
        TEST(the_narrowest_cgroup_counts),
        TEST(it_is_said_of_what),
    };
    return cmocka_run_group_tests_name("memory_left", tests, NULL, NULL);
}
