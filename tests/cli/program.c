// SPDX-License-Identifier: GPL-2.0-or-later
/* Runs a program for a test; see program.h. Files take its output, so that no pipe fills up. */
#include "tests/cli/program.h"

#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* After those that it needs. */
#include <cmocka.h>

static void read_back(FILE *file, char *text, size_t size)
{
    rewind(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

void program_run(char *const argv[], const void *input, size_t input_bytes,
                 struct program_result *result)
{
    FILE *standard[3];
    posix_spawn_file_actions_t actions;

    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    for (int fd = 0; fd < 3; fd++) {
        standard[fd] = tmpfile();
        assert_non_null(standard[fd]);
        assert_int_equal(posix_spawn_file_actions_adddup2(&actions, fileno(standard[fd]), fd), 0);
    }
    assert_int_equal(pwrite(fileno(standard[0]), input, input_bytes, 0), input_bytes);

    pid_t pid;
    int status;
    assert_int_equal(posix_spawn(&pid, argv[0], &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    result->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    fclose(standard[0]);
    read_back(standard[1], result->output, sizeof(result->output));
    read_back(standard[2], result->errors, sizeof(result->errors));
}
