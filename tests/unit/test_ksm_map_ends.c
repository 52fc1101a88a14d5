// SPDX-License-Identifier: GPL-2.0-or-later
/* Merge maps of real processes that have ended, or begun another program, since they were listed. Needs root. */
#include "ksm/map.h"
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka.h needs the above */
#include <cmocka.h>

#define PAGES 16
#define COUNT 4 /* processes in a list */

static struct matrix_lens *lens;
static char *memory; /* PAGES, written, in this process and its children */

/* A child with the memory; by its standard input's end it begins another program. */
static pid_t start(int *go_on)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        char byte;
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* should a test fail */
        close(ends[1]);
        (void)!read(ends[0], &byte, 1);
        execl("/bin/sleep", "sleep", "600", NULL);
        _exit(1);
    }
    close(ends[0]);
    *go_on = ends[1];
    return pid;
}

static void add(struct ksm_subject_list *list, pid_t pid)
{
    struct matrix_lens_task task;
    assert_null(matrix_lens_process(lens, pid, &task));
    struct ksm_subject *subject = &list->subjects[list->count++];
    *subject = (struct ksm_subject){.pid = pid, .start_time_ns = task.start_time_ns};
    memcpy(subject->name, task.name, sizeof(task.name));
    subject->regions = calloc(1, sizeof(*subject->regions));
    assert_non_null(subject->regions);
    *subject->regions = (struct ksm_region){(uintptr_t)memory, (uintptr_t)memory,
                                            PAGES * (uint64_t)MATRIX_PAGE_BYTES};
    subject->region_count = 1;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Until the memory that it had with us is another program's. */
static void await_program(pid_t pid)
{
    char path[32], name[16] = "";
    snprintf(path, sizeof(path), "/proc/%d/comm", pid);
    while (strcmp(name, "sleep\n") != 0) {
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        if (!fgets(name, sizeof(name), file))
            name[0] = '\0';
        fclose(file);
        usleep(1000);
    }
}

static int make_list(void **state)
{
    struct ksm_subject_list *list = calloc(1, sizeof(*list));
    if (!list)
        return -1;
    list->subjects = calloc(COUNT, sizeof(*list->subjects));
    *state = list;
    return list->subjects ? 0 : -1;
}

static int free_list(void **state)
{
    ksm_subject_list_free(*state);
    free(*state);
    return 0;
}

static struct ksm_map *take(struct ksm_subject_list *list)
{
    struct ksm_map *map;
    struct matrix_error *error = ksm_map_take(lens, list, &map);
    if (error)
        fail_msg("%s", error->message);
    return map;
}

static void who_has_ended_is_left_out(void **state)
{
    struct ksm_subject_list *list = *state;
    pid_t pids[3];
    int go_on[3];
    for (int i = 0; i < 3; i++) {
        pids[i] = start(&go_on[i]);
        add(list, pids[i]);
        if (i == 0)
            add(list, getpid());
    }
    end(pids[0]);
    end(pids[2]);
    struct ksm_map *map = take(list);
    assert_int_equal(list->count, 2);
    assert_int_equal(list->subjects[0].pid, getpid());
    assert_int_equal(list->subjects[1].pid, pids[1]);
    for (size_t i = 0; i < 2; i++) {
        uint64_t pages = 0;
        for (unsigned kind = 0; kind < KSM_STATES; kind++)
            pages += map->counts[i].pages[kind];
        assert_int_equal(pages, PAGES);
        assert_int_equal(map->counts[i].pages[KSM_UNTOUCHED], 0);
    }
    ksm_map_free(map);
    end(pids[1]);
    for (int i = 0; i < 3; i++)
        close(go_on[i]);
}

static void nobody_is_left(void **state)
{
    struct ksm_subject_list *list = *state;
    int go_on;
    const pid_t pid = start(&go_on);
    add(list, pid);
    end(pid);
    close(go_on);
    assert_null(take(list));
    assert_int_equal(list->count, 0);
}

static void who_is_required_is_an_error(void **state)
{
    struct ksm_subject_list *list = *state;
    struct ksm_map *map;
    char wanted[64];
    int go_on;
    const pid_t pid = start(&go_on);
    add(list, getpid());
    add(list, pid);
    list->subjects[1].is_required = true;
    end(pid);
    close(go_on);
    struct matrix_error *error = ksm_map_take(lens, list, &map);
    assert_non_null(error);
    snprintf(wanted, sizeof(wanted), "process %d has ended meanwhile", pid);
    assert_non_null(strstr(error->message, wanted));
    assert_int_equal(error->number, ESRCH);
    matrix_error_free(error);
    assert_int_equal(list->count, 2);
}

/* Its number and its start time stay: what is not mapped any more is merely untouched, or another's. */
static void another_program_is_no_error(void **state)
{
    struct ksm_subject_list *list = *state;
    int go_on;
    const pid_t pid = start(&go_on);
    add(list, pid);
    close(go_on);
    await_program(pid);
    struct ksm_map *map = take(list);
    ksm_map_free(map);
    end(pid);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_list, free_list)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_has_ended_is_left_out),
        TEST(nobody_is_left),
        TEST(who_is_required_is_an_error),
        TEST(another_program_is_no_error),
    };
    if (geteuid() || access("/proc/kpageflags", R_OK)) {
        puts("1..0 # SKIP needs root, and a kernel with /proc/kpageflags");
        return 0;
    }
    memory = mmap(NULL, PAGES * (size_t)MATRIX_PAGE_BYTES, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED || matrix_lens_open(MATRIX_LENS_PROC, &lens))
        return 1;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    matrix_lens_close(lens);
    return failed;
}
