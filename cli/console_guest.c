// SPDX-License-Identifier: GPL-2.0-or-later
/* A guest that is asked what it printed; see console.h. */
#include "base/base64.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "cli/console.h"
#include "control/talk.h"
#include "ksm/guests.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How soon it is asked again: at once while it prints, and then less and less often. */
#define PAUSE_MIN_MS 10
#define PAUSE_MAX_MS 100

/* No guest has more that is remembered: reading it comes to an end. */
#define REMEMBERED_MAX (16 << 20)

static struct matrix_error *find(const char *name, struct control_vm *vm)
{
    struct ksm_guests guests = {0};
    struct matrix_error *error = ksm_guests_named(name, &guests);
    if (!error && guests.count != 1)
        error = error_usage("write PID:NAME", "%s stands for %zu guests", name, guests.count);
    if (!error)
        *vm = guests.vms[0];
    free(guests.vms);
    return error;
}

struct matrix_error *console_guest_open(const char *name, struct console_guest *guest)
{
    *guest = (struct console_guest){.pause_ms = PAUSE_MIN_MS};
    RETURN_IF_ERROR(find(name, &guest->vm));
    struct matrix_error *error =
        talk_open(guest->vm.path, &guest->vm.pid, CONTROL_PATIENCE_NS, &guest->talk);
    if (!error)
        error = console_guest_ask(guest);
    if (!error && guest->is_gone)
        error = error_host(ECONNRESET, "ask guest %s", guest->vm.name);
    guest->next = 0;
    return error;
}

void console_guest_close(struct console_guest *guest)
{
    talk_close(guest->talk);
}

/* Whoever ran the guest has ended: no error to who has listened all the time. */
static struct matrix_error *expect_end(struct console_guest *guest, struct matrix_error *error)
{
    if (!error || (error->number != ECONNRESET && error->number != EPIPE))
        return error;
    matrix_error_free(error);
    guest->is_gone = true;
    return NULL;
}

static struct matrix_error *ask(struct console_guest *guest, json_t *request, json_t **answer)
{
    *answer = NULL;
    struct matrix_error *error = talk_ask(guest->talk, request, answer, NULL);
    json_decref(request);
    return expect_end(guest, error);
}

struct matrix_error *console_guest_ask(struct console_guest *guest)
{
    json_t *answer;
    guest->logs.bytes = guest->logs.lost_bytes = 0;
    RETURN_IF_ERROR(ask(guest,
                        json_pack("{s:i, s:s, s:s, s:I}", "version", CONTROL_VERSION, "command",
                                  "logs", "guest", guest->vm.name, "from", (json_int_t)guest->next),
                        &answer));
    if (!answer)
        return NULL;
    struct matrix_error *error = reply_logs(answer, guest->next, &guest->logs);
    json_decref(answer);
    RETURN_IF_ERROR(error_prefix(error, "%s", guest->vm.path));
    guest->next = guest->logs.next;
    const unsigned longer = 2 * guest->pause_ms < PAUSE_MAX_MS ? 2 * guest->pause_ms : PAUSE_MAX_MS;
    guest->pause_ms = guest->logs.bytes ? PAUSE_MIN_MS : longer;
    return NULL;
}

/* Where the last so many lines of a text begin; one without an end counts. */
static size_t find_lines(const char *text, size_t bytes, uint64_t lines)
{
    size_t at = bytes;
    if (lines == 0)
        return at;
    at -= at && text[at - 1] == '\n';
    for (; at && (text[at - 1] != '\n' || --lines); at--)
        ;
    return at;
}

/* Reads all that is remembered now; *from: where that begins. */
static struct matrix_error *read_all(struct console_guest *guest, FILE *file, uint64_t *from)
{
    const uint64_t end = guest->logs.end;
    *from = guest->next = 0;
    while (!guest->is_gone && guest->next < end && guest->next - *from < REMEMBERED_MAX) {
        RETURN_IF_ERROR(console_guest_ask(guest));
        if (guest->logs.lost_bytes) { /* what we have is older than that */
            rewind(file);
            *from = guest->logs.from;
        }
        fwrite(guest->logs.data, 1, guest->logs.bytes, file);
    }
    return NULL;
}

struct matrix_error *console_guest_seek(struct console_guest *guest, uint64_t lines)
{
    CLEANUP_FREE char *text = NULL;
    size_t bytes = 0;
    uint64_t from = 0;
    if (lines == CONSOLE_ALL_LINES)
        return NULL;
    FILE *file = open_memstream(&text, &bytes);
    if (!file)
        return error_host(errno, "read what guest %s printed", guest->vm.name);
    struct matrix_error *error = read_all(guest, file, &from);
    if (fclose(file) != 0 && !error)
        error = error_host(errno, "read what guest %s printed", guest->vm.name);
    RETURN_IF_ERROR(error);
    guest->next = from + find_lines(text, bytes, lines);
    guest->logs.end = from + bytes; /* up to there lines were counted */
    return NULL;
}

struct matrix_error *console_guest_input(struct console_guest *guest, const char *data,
                                         size_t bytes, bool *is_last, size_t *taken)
{
    char text[BASE64_TEXT_LENGTH(CONTROL_INPUT_MAX) + 1];
    json_t *answer;
    *taken = 0;
    bytes = bytes < CONTROL_INPUT_MAX ? bytes : CONTROL_INPUT_MAX;
    base64_encode(data, bytes, text);
    RETURN_IF_ERROR(
        ask(guest,
            json_pack("{s:i, s:s, s:s, s:s, s:b}", "version", CONTROL_VERSION, "command", "input",
                      "guest", guest->vm.name, "data", text, "eof", (int)*is_last),
            &answer));
    if (!answer)
        return NULL;
    struct matrix_error *error = reply_input(answer, bytes, taken, is_last);
    json_decref(answer);
    guest->pause_ms = PAUSE_MIN_MS; /* it may have something to say to that */
    return error_prefix(error, "%s", guest->vm.path);
}
