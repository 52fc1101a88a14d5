// SPDX-License-Identifier: GPL-2.0-or-later
/* Writes and reads the journal of the knobs; see journal.h. */
#include "ksm/journal.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD           "matrix-ksm-journal 1\n"
#define TAIL           "end\n"
#define DAMAGED_REMEDY "look at the knobs in /sys/kernel/mm/ksm yourself, then delete this file"

struct matrix_error *ksm_journal_begin(struct ksm_journal *journal)
{
    static const char path[] = "/proc/sys/kernel/random/boot_id";
    *journal = (struct ksm_journal){.pid = getpid()};
    CLEANUP_FILE FILE *file = fopen(path, "re");
    if (!file || fread(journal->boot_id, 1, KSM_BOOT_ID_LENGTH, file) != KSM_BOOT_ID_LENGTH)
        return error_host(errno, "read %s", path);
    return NULL;
}

/* --- reading --------------------------------------------------------------------------------- */

static struct matrix_error *damaged(const char *name, const char *why)
{
    return error_new(MATRIX_ERROR_HOST, 0, DAMAGED_REMEDY, "the journal %s is damaged: %s", name,
                     why);
}

/* Reads one line "KEY VALUE", which ends by '\0'. */
static struct matrix_error *parse_line(char *line, const char *name, struct ksm_journal *journal)
{
    char *value = strchr(line, ' ');
    if (!value)
        return damaged(name, "a line without a value");
    const size_t length = (size_t)(value++ - line);
    const enum ksm_knob knob = ksm_knob_find(line, length);
    uint64_t number = 0;
    struct matrix_error *error = NULL;
    line[length] = '\0';
    if (knob < KSM_KNOB_COUNT) {
        error = ksm_knob_parse(knob, value, &journal->knobs);
    } else if (strcmp(line, "boot_id") == 0) {
        if (strlen(value) != KSM_BOOT_ID_LENGTH)
            return damaged(name, "boot_id");
        memcpy(journal->boot_id, value, KSM_BOOT_ID_LENGTH + 1);
    } else if (strcmp(line, "pid") == 0) {
        error = parse_u64(value, 1, INT_MAX, &number);
        journal->pid = (pid_t)number;
    } else if (strcmp(line, "pages_shared") == 0) {
        error = parse_u64(value, 0, UINT64_MAX, &journal->pages_shared);
    } else {
        return damaged(name, "an unknown line");
    }
    if (!error)
        return NULL;
    struct matrix_error *whole = damaged(name, error->message);
    matrix_error_free(error);
    return whole;
}

struct matrix_error *ksm_journal_parse(const char *text, size_t bytes, const char *name,
                                       struct ksm_journal *journal)
{
    char copy[KSM_JOURNAL_BYTES_MAX + 1];
    const size_t head = strlen(HEAD), tail = strlen(TAIL);
    *journal = (struct ksm_journal){0};
    if (bytes > KSM_JOURNAL_BYTES_MAX)
        return damaged(name, "it is too long");
    if (bytes < head + tail || memcmp(text, HEAD, head) != 0)
        return damaged(name, "it does not begin as one");
    if (memchr(text, '\0', bytes) || memcmp(text + bytes - tail - 1, "\n" TAIL, tail + 1) != 0)
        return damaged(name, "its end is missing");
    memcpy(copy, text, bytes);
    copy[bytes - tail] = '\0';
    for (char *line = copy + head, *next; *line; line = next) {
        next = strchr(line, '\n'); /* there is one: text has one before its tail */
        *next++ = '\0';
        RETURN_IF_ERROR(parse_line(line, name, journal));
    }
    if (journal->pid == 0 || journal->boot_id[0] == '\0')
        return damaged(name, "it does not say who wrote it");
    return NULL;
}

struct matrix_error *ksm_journal_read(const char *path, struct ksm_journal *journal, bool *found)
{
    char text[KSM_JOURNAL_BYTES_MAX + 1];
    *found = false;
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? NULL
                                                   : error_host(errno, "read the journal %s", path);
    *found = true;
    const ssize_t bytes = read(fd, text, sizeof(text));
    if (bytes < 0)
        return error_host(errno, "read the journal %s", path);
    return ksm_journal_parse(text, (size_t)bytes, path, journal);
}

/* --- writing --------------------------------------------------------------------------------- */

static int compose(const struct ksm_journal *journal, char text[KSM_JOURNAL_BYTES_MAX])
{
    int length =
        snprintf(text, KSM_JOURNAL_BYTES_MAX, HEAD "boot_id %s\npid %d\npages_shared %" PRIu64 "\n",
                 journal->boot_id, (int)journal->pid, journal->pages_shared);
    for (unsigned knob = 0; knob < KSM_KNOB_COUNT; knob++)
        if (journal->knobs.text[knob][0])
            length += snprintf(text + length, KSM_JOURNAL_BYTES_MAX - (size_t)length, "%s %s\n",
                               ksm_knob_name(knob), journal->knobs.text[knob]);
    return length + snprintf(text + length, KSM_JOURNAL_BYTES_MAX - (size_t)length, TAIL);
}

/* So that a name in it outlives a crash of the machine. */
static int sync_directory(const char *path)
{
    char directory[PATH_MAX];
    snprintf(directory, sizeof(directory), "%s", path);
    char *slash = strrchr(directory, '/');
    if (slash)
        *slash = '\0';
    CLEANUP_CLOSE int fd = open(slash ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -1 : fsync(fd);
}

struct matrix_error *ksm_journal_write(const char *path, const struct ksm_journal *journal)
{
    char text[KSM_JOURNAL_BYTES_MAX], draft[PATH_MAX];
    if (snprintf(draft, sizeof(draft), "%s.new", path) >= PATH_MAX)
        return error_host(ENAMETOOLONG, "write the journal %s", path);
    char *slash = strrchr(draft, '/');
    if (slash && slash != draft) {
        *slash = '\0';
        if (mkdir(draft, 0755) && errno != EEXIST)
            return error_host(errno, "make the directory %s", draft);
        *slash = '/';
    }
    const int length = compose(journal, text);
    CLEANUP_CLOSE int fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || write(fd, text, (size_t)length) != length || fsync(fd) || rename(draft, path) ||
        sync_directory(path))
        return error_host(errno, "write the journal %s", path);
    return NULL;
}

struct matrix_error *ksm_journal_remove(const char *path)
{
    if (unlink(path) && errno != ENOENT)
        return error_host(errno, "delete the journal %s", path);
    return NULL;
}
