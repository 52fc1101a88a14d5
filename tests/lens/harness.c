// SPDX-License-Identifier: GPL-2.0-or-later
/* What the tests of the device share; see harness.h. */
#include "tests/lens/harness.h"

#include "tests/lens/device.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int lens_fd = -1;

int harness_run(const char *group, const struct CMUnitTest *tests, size_t count)
{
    if (!getenv("MATRIX_LAB")) {
        printf("1..0 # SKIP %s: runs inside the lab (tests/lab/modules.sh)\n", group);
        return 0;
    }
    lens_fd = device_open();
    if (lens_fd < 0) {
        printf("1..1\nnot ok 1 - %s: cannot open %s: %s\n", group, MATRIX_LENS_DEVICE,
               strerror(errno));
        return 1;
    }
    return _cmocka_run_group_tests(group, tests, count, NULL, NULL);
}

static pid_t fork_bound(void)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return child;
}

pid_t child_start(void)
{
    pid_t child = fork_bound();
    if (child == 0)
        for (;;)
            pause();
    return child;
}

void child_end(pid_t child)
{
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

int child_do(int (*function)(void *argument), void *argument)
{
    int *result = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(result != MAP_FAILED);
    pid_t child = fork_bound();
    if (child == 0) {
        *result = function(argument);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (status != 0)
        fail_msg("the child ended with wait status %#x", (unsigned)status);
    int value = *result;
    munmap(result, PAGE);
    return value;
}

bool file_read_number(const char *path, unsigned long long *number)
{
    FILE *file = fopen(path, "re");
    bool read = file && fscanf(file, "%llu", number) == 1;
    if (file)
        fclose(file);
    return read;
}

int file_write(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int number = write(fd, text, strlen(text)) < 0 ? errno : 0;
    close(fd);
    return number;
}
