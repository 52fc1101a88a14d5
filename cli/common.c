// SPDX-License-Identifier: GPL-2.0-or-later
/* What every program of the command line does in the same way; see common.h. */
#include "cli/common.h"

#include "base/error.h"
#include "base/parse.h"
#include "cli/exit_status.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void cli_open_standard_files(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

static const int exit_statuses[] = {
    [MATRIX_ERROR_HOST] = EXIT_HOST,
    [MATRIX_ERROR_USAGE] = EXIT_BAD_USAGE,
    [MATRIX_ERROR_IMAGE] = EXIT_BAD_IMAGE,
    [MATRIX_ERROR_KVM] = EXIT_NO_KVM,
};

int cli_fail(const char *program, struct matrix_error *error)
{
    int status = exit_statuses[error->kind];
    /* The reader of what we print is gone: as if by SIGPIPE, and without a word. */
    if (error->number == EPIPE) {
        matrix_error_free(error);
        return EXIT_SIGNAL + SIGPIPE;
    }

    fprintf(stderr, "%s: ", program);
    cli_print_escaped(stderr, error->message);
    if (error->remedy) {
        fputs("\n  remedy: ", stderr);
        cli_print_escaped(stderr, error->remedy);
    }
    fputc('\n', stderr);
    matrix_error_free(error);
    return status;
}

/* RFC 3629, section 4. Terminals take U+009B for the beginning of a command. */
size_t cli_printable_bytes(const char *string)
{
    const unsigned char *text = (const unsigned char *)string;
    if (text[0] < 0x80)
        return text[0] >= 0x20 && text[0] != 0x7f;
    if (text[0] < 0xc2 || text[0] > 0xf4)
        return 0;

    size_t length = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    bool is_control = text[0] == 0xc2 && text[1] < 0xa0;
    bool is_overlong = (text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xf0 && text[1] < 0x90);
    bool is_surrogate = text[0] == 0xed && text[1] >= 0xa0;
    bool is_beyond = text[0] == 0xf4 && text[1] >= 0x90;
    return is_control || is_overlong || is_surrogate || is_beyond ? 0 : length;
}

void cli_print_escaped(FILE *file, const char *text)
{
    while (*text) {
        size_t length = cli_printable_bytes(text);
        if (length) {
            fwrite(text, 1, length, file);
            text += length;
        } else {
            fprintf(file, "\\x%02x", (unsigned char)*text++);
        }
    }
}

void cli_parse(const char *program, const struct argp *argp, int argc, char **argv, unsigned flags,
               void *input)
{
    argv[0] = (char *)program;
    argp_err_exit_status = EXIT_BAD_USAGE;
    argp_parse(argp, argc, argv, flags, NULL, input);
}

bool cli_wants_colour(FILE *file)
{
    const char *no_colour = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");

    return isatty(fileno(file)) && !(no_colour && *no_colour) && terminal &&
           strcmp(terminal, "dumb") != 0;
}

char *cli_escape(const char *text)
{
    char *escaped = NULL;
    size_t size;
    FILE *file = open_memstream(&escaped, &size);
    if (!file)
        return NULL;
    cli_print_escaped(file, text);
    if (fclose(file) == 0)
        return escaped;
    free(escaped);
    return NULL;
}

struct matrix_error *cli_parse_pid(const char *text, pid_t *pid)
{
    uint64_t number;
    RETURN_IF_ERROR(error_prefix(parse_u64(text, 1, INT32_MAX, &number), "a pid"));
    *pid = (pid_t)number;
    return NULL;
}
