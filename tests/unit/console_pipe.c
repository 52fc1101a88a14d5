// SPDX-License-Identifier: GPL-2.0-or-later
/* A pipe on which guests print; see console_pipe.h. */
#include "tests/unit/console_pipe.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

int pipe_reader, pipe_writer;
struct matrix_output *pipe_output;
struct console console, other;
char pipe_text[1 << 20];

int pipe_make(void **state)
{
    int fds[2];
    signal(SIGPIPE, SIG_IGN);
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -1;
    pipe_reader = fds[0], pipe_writer = fds[1];
    fcntl(pipe_reader, F_SETFL, O_NONBLOCK);
    return matrix_output_create(pipe_writer, &pipe_output) ? -1 : 0;
}

int pipe_release(void **state)
{
    matrix_output_destroy(pipe_output);
    close(pipe_writer);
    if (pipe_reader >= 0)
        close(pipe_reader);
    return 0;
}

void start_console(struct console *made, const char *tag, struct matrix_vm_options options)
{
    options.output = pipe_output;
    console_init(made, &options, tag);
}

size_t print(struct console *to, const char *string)
{
    return console_write(to, string, strlen(string));
}

const char *arrived(void)
{
    ssize_t bytes = read(pipe_reader, pipe_text, sizeof(pipe_text) - 1);
    pipe_text[bytes < 0 ? 0 : bytes] = '\0';
    return pipe_text;
}
