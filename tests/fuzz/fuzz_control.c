// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target for the control socket: what a client sends, and what somebody at a socket answers.
 * The first byte says as which the rest is read. Whatever is asked gets one line of JSON as its
 * answer, of the version that is known; what is taken for an answer keeps its promises.
 */
#include "control/answer.h"
#include "control/directory.h"
#include "control/reply.h"

#include "tests/fuzz/fuzz.h"

static struct control_guests guests;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    /* Without guests: what a request says is read before a guest is looked for. */
    const struct matrix_core_options options = {.cpu = -1};
    struct matrix_core *core;
    FUZZ_NO_ERROR(matrix_core_create(&options, &core));
    guests = control_guests_of_core(core);
    return 0;
}

static void take(void *context, char *line, int fd)
{
    *(char **)context = line;
}

static void fuzz_request(const char *text, size_t size)
{
    char *line = NULL;
    control_answer(&guests, NULL, text, size, take, &line);
    FUZZ_CHECK(line, "no answer");
    const size_t bytes = strlen(line);
    FUZZ_CHECK(bytes > 0 && strchr(line, '\n') == line + bytes - 1, "not one line");
    FUZZ_CHECK(bytes <= CONTROL_ANSWER_MAX, "%zu bytes", bytes);
    json_t *answer = json_loadb(line, bytes, JSON_REJECT_DUPLICATES, NULL);
    FUZZ_CHECK(json_integer_value(json_object_get(answer, "version")) == CONTROL_VERSION,
               "another version");
    json_decref(answer);
    free(line);
}

static void check_error(struct matrix_error *error)
{
    if (error)
        fuzz_check_message(error);
    matrix_error_free(error);
}

static void fuzz_list(const json_t *answer)
{
    struct control_vm *vms = NULL;
    size_t count = 0, next = 0;
    struct matrix_error *error = reply_list(answer, &vms, &count, &next);
    for (size_t i = 0; i < count; i++)
        FUZZ_CHECK(strnlen(vms[i].name, sizeof(vms[i].name)) < sizeof(vms[i].name) &&
                       strnlen(vms[i].state, sizeof(vms[i].state)) < sizeof(vms[i].state),
                   "a name without end");
    FUZZ_CHECK(count <= CONTROL_LIST_MAX, "%zu guests", count);
    free(vms);
    check_error(error);
}

static void fuzz_regions(const json_t *answer)
{
    struct matrix_region regions[CONTROL_REGIONS_MAX];
    size_t count = 0;
    struct matrix_error *error = reply_regions(answer, regions, &count);
    for (size_t i = 0; !error && i < count; i++) {
        FUZZ_CHECK(regions[i].bytes > 0, "an empty piece");
        FUZZ_CHECK(regions[i].gpa + regions[i].bytes >= regions[i].gpa &&
                       regions[i].hva + regions[i].bytes >= regions[i].hva,
                   "beyond the last address");
        FUZZ_CHECK(i == 0 || regions[i].gpa >= regions[i - 1].gpa + regions[i - 1].bytes,
                   "over another piece");
    }
    check_error(error);
}

static void fuzz_translations(const json_t *answer)
{
    const uint64_t addresses[] = {0x400123, UINT64_MAX};
    struct matrix_translation t[2];
    struct matrix_error *error = reply_translations(answer, addresses, 2, t);
    for (size_t i = 0; !error && i < 2; i++) {
        FUZZ_CHECK(t[i].gva == addresses[i], "another address");
        FUZZ_CHECK(!t[i].mapped || (t[i].hva & 0xfff) == (addresses[i] & 0xfff), "another offset");
    }
    check_error(error);
}

static void fuzz_cores(const json_t *answer)
{
    unsigned cores = 0;
    struct matrix_error *error = reply_cores(answer, 1, &cores);
    FUZZ_CHECK(error || (cores > 1 && cores <= 1024), "%u cores", cores);
    check_error(error);
}

static void fuzz_logs(const json_t *answer)
{
    struct control_logs logs;
    size_t taken;
    bool is_last;
    struct matrix_error *error = reply_logs(answer, 100, &logs);
    if (!error) {
        FUZZ_CHECK(logs.bytes <= sizeof(logs.data), "%zu bytes", logs.bytes);
        FUZZ_CHECK(logs.from >= 100 && logs.lost_bytes == logs.from - 100, "from somewhere else");
        FUZZ_CHECK(logs.next == logs.from + logs.bytes && logs.next <= logs.end, "beyond the end");
    }
    check_error(error);
    error = reply_input(answer, 10, &taken, &is_last);
    FUZZ_CHECK(error || taken <= 10, "%zu bytes of 10", taken);
    check_error(error);
}

static void fuzz_answer(const char *text, size_t size)
{
    json_t *answer = NULL;
    struct matrix_error *error = reply_parse(text, size, &answer);
    FUZZ_CHECK(!error == !!answer, "neither an answer nor an error");
    check_error(error);
    if (!answer)
        return;
    fuzz_list(answer);
    fuzz_regions(answer);
    fuzz_translations(answer);
    fuzz_cores(answer);
    fuzz_logs(answer);
    json_decref(answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    /* A copy of its own length, so that what reads beyond it is noticed. */
    char *text = malloc(size - 1 ? size - 1 : 1);
    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    if (data[0] == 'q')
        fuzz_request(text, size - 1);
    else
        fuzz_answer(text, size - 1);
    free(text);
    return 0;
}
