// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target for what `matrix ksm` reads: recordings, which may be anybody's, and the files of
 * the kernel about KSM. The first byte says as what the rest is read; a recording begins with that
 * of SQLite's own mark.
 */
#include "ksm/recording.h"
#include "ksm/text.h"

#include "tests/fuzz/fuzz.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static struct matrix_error *check_step(const struct ksm_step *step, void *context)
{
    const struct ksm_recording *recording = context;
    FUZZ_CHECK(step->session < recording->session_count, "a sample of no session");
    for (size_t i = 0; i < recording->series_count; i++)
        FUZZ_CHECK(strnlen(step->values[i].text, KSM_TEXT_BYTES) < KSM_TEXT_BYTES,
                   "a text without end");
    return NULL;
}

static void check_recording(const struct ksm_recording *recording)
{
    for (size_t i = 0; i < recording->subject_count; i++)
        FUZZ_CHECK(recording->subjects[i].session < recording->session_count &&
                       recording->subjects[i].name,
                   "a process of no session");
    for (size_t i = 0; i < recording->series_count; i++)
        FUZZ_CHECK(recording->series[i].subject < recording->subject_count, "a counter of nothing");
    for (size_t i = 0; i < recording->mark_count; i++)
        FUZZ_CHECK(recording->marks[i].session < recording->session_count &&
                       recording->marks[i].text,
                   "a mark of no session");
}

/*
 * SQLite opens names only, and follows links: not /proc/self/fd. The name says whose it is, so that what
 * a process left that was killed in the middle is removed by the next.
 */
#define MEMORY "/dev/shm"
#define PREFIX "matrix-fuzz-"

static char path[64];

/* With what SQLite puts beside it. */
static void remove_file(void)
{
    static const char *const ends[] = {"", "-journal", "-shm", "-wal"};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        char name[sizeof(path) + 16];
        snprintf(name, sizeof(name), "%s%s", path, ends[i]);
        unlink(name);
    }
}

static void remove_what_was_left(void)
{
    DIR *directory = opendir(MEMORY);
    for (const struct dirent *entry; directory && (entry = readdir(directory));) {
        int pid, length = 0;
        if (sscanf(entry->d_name, PREFIX "%d%n", &pid, &length) != 1 || pid <= 0)
            continue;
        if ((entry->d_name[length] == '\0' || entry->d_name[length] == '-') && kill(pid, 0) &&
            errno == ESRCH)
            unlinkat(dirfd(directory), entry->d_name, 0);
    }
    if (directory)
        closedir(directory);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    remove_what_was_left();
    snprintf(path, sizeof(path), MEMORY "/" PREFIX "%d", getpid());
    remove_file(); /* of one that had our number */
    return 0;
}

static void fuzz_file(const uint8_t *data, size_t size)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size, "no file in memory");
    close(fd);
    struct ksm_recording *recording;
    struct matrix_error *error = ksm_recording_open(path, &recording);
    if (!error) {
        check_recording(recording);
        error = ksm_recording_walk(recording, check_step, recording);
        ksm_recording_close(recording);
    }
    if (error)
        fuzz_check_message(error);
    matrix_error_free(error);
    remove_file();
}

static void fuzz_text(const char *text)
{
    struct ksm_value value = {0};
    char name[KSM_NAME_BYTES];
    uint64_t number;
    ksm_text_value(text, &value);
    FUZZ_CHECK(value.kind != KSM_TEXT || strnlen(value.text, KSM_TEXT_BYTES) < KSM_TEXT_BYTES,
               "a text without end");
    if (value.kind == KSM_NUMBER)
        FUZZ_CHECK(value.number == strtoll(text, NULL, 10), "another number");
    for (const char *at = text, *before = at; ksm_text_field(&at, name, &value); before = at)
        FUZZ_CHECK(at > before && strnlen(name, sizeof(name)) < sizeof(name), "no step");
    ksm_text_resident(text, &number);
    ksm_text_schedstat(text, &number);
    ksm_text_stat_ticks(text, &number);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] == 'S') {
        fuzz_file(data, size);
        return 0;
    }
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    fuzz_text(text);
    free(text);
    return 0;
}
