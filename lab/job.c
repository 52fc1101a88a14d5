// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writes the script that tells lab/session what to run: where, with which environment and
 * arguments, each quoted so that every byte arrives. Called by lab/lab.c.
 */
#include "lab/internal.h"

#include "base/error.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

extern char **environ;

/* Host variables that mean the same inside. A name with '*' behind it is a prefix. */
static const char *const passed_variables[] = {"TERM=", "LANG=", "LC_*", "COLORTERM=", "MATRIX_*"};

/* Whoever may run the lab has what only root has in the PATH. */
static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* busybox's applets come last: modprobe and insmod where the host has none. */
static const char lab_path[] = "/run/matrix-lab/bin";

static bool is_passed(const char *variable)
{
    for (size_t i = 0; i < sizeof(passed_variables) / sizeof(passed_variables[0]); i++) {
        size_t length = strlen(passed_variables[i]);
        if (passed_variables[i][length - 1] == '*')
            length--;
        if (strncmp(variable, passed_variables[i], length) == 0)
            return true;
    }
    return false;
}

/* Within single quotes a shell changes nothing; a single quote itself is '\''. */
static void write_quoted(FILE *to, const char *text)
{
    fputc('\'', to);
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", to);
        else
            fputc(*text, to);
    }
    fputc('\'', to);
}

static void write_word(FILE *to, const char *text)
{
    fputc(' ', to);
    write_quoted(to, text);
}

static void write_environment(FILE *to, const struct lab_options *options)
{
    const char *path = getenv("PATH");
    char *joined = NULL;
    if (asprintf(&joined, "PATH=%s%s%s:%s", path && *path ? path : "", path && *path ? ":" : "",
                 default_path, lab_path) >= 0)
        write_word(to, joined);
    free(joined);
    fputs(" HOME=/root USER=root LOGNAME=root SHELL=/bin/bash MATRIX_LAB=1", to);
    for (char **variable = environ; *variable; variable++)
        if (is_passed(*variable))
            write_word(to, *variable);
    for (size_t i = 0; i < options->environment_count; i++)
        write_word(to, options->environment[i]);
}

/* A share is mounted over the place where it stands anyway, there read-only. */
static struct matrix_error *write_shares(FILE *to, const struct lab_options *options)
{
    fputs("shares()\n{\n:\n", to);
    for (size_t i = 0; i < options->share_count; i++) {
        char directory[PATH_MAX];
        if (!realpath(options->share[i], directory))
            return error_host(errno, "share %s", options->share[i]);
        fprintf(to, "mount -t 9p -o trans=virtio,version=9p2000.L,cache=mmap,msize=512000 share%zu",
                i);
        write_word(to, directory);
        fputc('\n', to);
    }
    fputs("}\n", to);
    return NULL;
}

/*
 * The host's env does it all: directory, environment, PATH search, 126 and 127, and the two
 * signals that a shell lets its background processes ignore.
 */
static void write_run(FILE *to, const struct lab_options *options, const char *directory)
{
    fputs("run()\n{\nexec /usr/bin/env -i --default-signal=INT,QUIT -C", to);
    write_word(to, directory);
    write_environment(to, options);
    for (char *const *argument = options->command; *argument; argument++)
        write_word(to, *argument);
    fputs("\n}\n", to);
}

static struct matrix_error *make_mark(char mark[FLOW_MARK_LENGTH + 1])
{
    unsigned char random[FLOW_MARK_LENGTH / 2];
    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return error_host(errno, "get random bytes");
    for (size_t i = 0; i < sizeof(random); i++)
        sprintf(mark + 2 * i, "%02x", random[i]);
    return NULL;
}

struct matrix_error *lab_job_compose(const struct lab_options *options,
                                     const struct lab_image *image, struct lab_job *job)
{
    char directory[PATH_MAX];
    if (!getcwd(directory, sizeof(directory)))
        return error_host(errno, "find the current directory");
    RETURN_IF_ERROR(make_mark(job->mark));
    /* A terminal is for `matrix lab shell`; `run` would have to echo and edit for it. */
    job->input = !options->terminal && !isatty(STDIN_FILENO);

    FILE *script = open_memstream(&job->script, &job->script_length);
    if (!script)
        return error_host(errno, "write the job");
    fprintf(script, "mark=%s input=%d terminal=%d modules=", job->mark, job->input,
            options->terminal);
    write_quoted(script, image->modules);
    fputc('\n', script);
    struct matrix_error *error = write_shares(script, options);
    write_run(script, options, directory);
    if (fclose(script) && !error)
        error = error_host(ENOMEM, "write the job");
    return error;
}

void lab_job_free(struct lab_job *job)
{
    free(job->script);
    *job = (struct lab_job){0};
}
