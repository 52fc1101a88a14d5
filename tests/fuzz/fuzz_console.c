// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target for guests' output: consoles that share an output, in front of a pipe whose
 * reader is slow, against a model. Whatever comes out is whole lines of one guest each, in its
 * order; what is missing was refused, or dropped and counted, to the byte.
 */
#include "vmm/console.h"

#include "tests/fuzz/fuzz.h"
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#define CONSOLES     3
#define LINES_MAX    2048
#define OUTPUT_MAX   (256 << 10)
#define PIECE_LENGTH (CONSOLE_LINE_BYTES - 4) /* a line is cut when four more may not fit */

/* A console and what it is to print: the text of all its lines, each with tag and end. */
struct source {
    unsigned char previous[3]; /* bytes of the line before the next one, the last first */
    struct console console;
    char tag[4];
    size_t bytes, length; /* of expected; of the line that is not finished */
    size_t line_start[LINES_MAX + 1], lines;
    size_t seen; /* lines that came out, or were passed over, as dropped */
    size_t missing_bytes, missing_lines;
    char *expected; /* OUTPUT_MAX / 4 */
};

struct world {
    struct matrix_output *output;
    struct source sources[CONSOLES];
    unsigned count;
    bool tagged;
    int reader, writer;
    char *received;
    size_t bytes;
};

/* --- the model ------------------------------------------------------------------------------- */

static void model_put(struct source *source, const char *text, size_t bytes)
{
    memcpy(source->expected + source->bytes, text, bytes);
    source->bytes += bytes;
}

static void model_end_line(struct source *source)
{
    if (source->console.tag)
        model_put(source, "\n", 1);
    source->length = 0;
    source->line_start[++source->lines] = source->bytes;
}

/* C0, DEL and C1: the last one unless it is inside a character of UTF-8 that is no control, which
 * the bytes before it in the line decide. */
static bool model_is_control(const struct source *source, unsigned char byte)
{
    if (byte < 0x80)
        return (byte < ' ' && byte != '\t') || byte == 0x7f;
    if (byte >= 0xa0)
        return false;
    for (unsigned back = 0; back < 3; back++) {
        const unsigned char before = source->previous[back];
        if (before < 0x80)
            return true;
        if (before >= 0xc0)
            return before == 0xc2 || back >= (before >= 0xf0 ? 3u : before >= 0xe0 ? 2u : 1u);
    }
    return true;
}

/* One character that the console took. */
static void model_character(struct source *source, char character)
{
    char text[5] = {character};
    if (character == '\n') {
        memset(source->previous, 0, sizeof(source->previous));
        if (source->length == 0 && source->console.tag)
            model_put(source, source->tag, 3);
        if (!source->console.tag)
            model_put(source, "\n", 1);
        model_end_line(source);
        return;
    }
    if (source->length >= PIECE_LENGTH)
        model_end_line(source);
    unsigned char byte = (unsigned char)character;
    if (source->console.escape && model_is_control(source, byte))
        snprintf(text, sizeof(text), "\\x%02x", byte);
    if (source->length == 0 && source->console.tag)
        model_put(source, source->tag, 3);
    size_t bytes = text[1] ? 4 : 1;
    model_put(source, text, bytes);
    source->length += bytes;
    memmove(source->previous + 1, source->previous, sizeof(source->previous) - 1);
    source->previous[0] = byte;
}

/* --- what is done ---------------------------------------------------------------------------- */

static void read_some(struct world *world, size_t bytes)
{
    if (world->reader < 0)
        return;
    if (bytes > OUTPUT_MAX - world->bytes)
        bytes = OUTPUT_MAX - world->bytes;
    ssize_t got = read(world->reader, world->received + world->bytes, bytes);
    if (got > 0)
        world->bytes += (size_t)got;
}

static void write_some(struct source *source, struct fuzz_input *input)
{
    /* Long lines need long input, unless a short one is repeated. */
    size_t times = 1 + fuzz_take(input, 1) % 64, bytes = fuzz_take(input, 1);
    const char *text = (const char *)fuzz_take_bytes(input, &bytes);
    for (; times && bytes; times--) {
        if (source->lines + bytes > LINES_MAX || source->bytes + 8 * bytes > OUTPUT_MAX / 4 - 8)
            return;
        size_t taken = console_write(&source->console, text, bytes);
        FUZZ_CHECK(taken <= bytes, "%zu of %zu were taken", taken, bytes);
        FUZZ_CHECK(taken == bytes || !source->console.lossy, "a lossy console refuses");
        for (size_t i = 0; i < taken; i++)
            model_character(source, text[i]);
    }
}

static void step(struct world *world, struct fuzz_input *input)
{
    unsigned choice = (unsigned)fuzz_take(input, 1);
    struct source *source = &world->sources[choice / 8 % world->count];
    switch (choice % 8) {
    case 0:
        read_some(world, fuzz_take(input, 2));
        break;
    case 1:
        console_show_partial(&source->console);
        break;
    case 2:
        matrix_output_flush(world->output);
        break;
    case 3:
        /* The reader goes away, now and then. */
        if (fuzz_take(input, 1) == 0xff && world->reader >= 0) {
            close(world->reader);
            world->reader = -1;
        }
        break;
    default:
        write_some(source, input);
    }
}

/* --- what came out --------------------------------------------------------------------------- */

/* Finds the next expected line that is this one; those before it must have been dropped. */
static void match_line(struct source *source, const char *line, size_t bytes)
{
    for (; source->seen < source->lines; source->seen++) {
        const char *expected = source->expected + source->line_start[source->seen];
        size_t length = source->line_start[source->seen + 1] - source->line_start[source->seen];
        if (length == bytes && memcmp(expected, line, bytes) == 0) {
            source->seen++;
            return;
        }
        source->missing_lines++;
        source->missing_bytes += length;
    }
    FUZZ_CHECK(false, "unexpected: %.*s", (int)(bytes < 80 ? bytes : 80), line);
}

static void check_tagged(struct world *world)
{
    for (size_t at = 0; at < world->bytes;) {
        const char *line = world->received + at;
        const char *end = memchr(line, '\n', world->bytes - at);
        FUZZ_CHECK(end, "the last line has no end: %.*s", (int)(world->bytes - at), line);
        const size_t bytes = (size_t)(end - line) + 1;
        FUZZ_CHECK(bytes > 3 && line[0] >= 'a' && line[0] < 'a' + CONSOLES && line[1] == ':',
                   "a line without a tag: %.*s", (int)bytes, line);
        match_line(&world->sources[line[0] - 'a'], line, bytes);
        at += bytes;
    }
    for (unsigned i = 0; i < world->count; i++) {
        struct source *source = &world->sources[i];
        for (; source->seen < source->lines; source->seen++) {
            source->missing_lines++;
            source->missing_bytes +=
                source->line_start[source->seen + 1] - source->line_start[source->seen];
        }
        FUZZ_CHECK(source->missing_lines == source->console.dropped_lines &&
                       source->missing_bytes == source->console.dropped_bytes,
                   "%s lost %zu lines, %zu bytes, and counted %zu, %zu", source->tag,
                   source->missing_lines, source->missing_bytes,
                   (size_t)source->console.dropped_lines, (size_t)source->console.dropped_bytes);
    }
}

static void check_plain(const struct world *world)
{
    const struct source *source = &world->sources[0];
    FUZZ_CHECK(world->bytes + source->console.dropped_bytes == source->bytes,
               "%zu bytes came, %zu were dropped, of %zu", world->bytes,
               (size_t)source->console.dropped_bytes, source->bytes);
    if (!source->console.dropped_bytes)
        FUZZ_CHECK(memcmp(world->received, source->expected, source->bytes) == 0, "other text");
}

static void finish(struct world *world)
{
    for (unsigned i = 0; i < world->count; i++) {
        struct source *source = &world->sources[i];
        console_finish(&source->console);
        if (source->length)
            model_end_line(source);
    }
    const bool lost = world->reader < 0;
    while (!lost && !matrix_output_flush(world->output))
        read_some(world, OUTPUT_MAX);
    const bool failed = matrix_output_failed(world->output) != 0;
    FUZZ_CHECK(lost || !failed, "writing failed with a reader there");
    matrix_output_destroy(world->output);
    close(world->writer);
    read_some(world, OUTPUT_MAX);
    if (!lost && world->tagged)
        check_tagged(world);
    else if (!lost)
        check_plain(world);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    signal(SIGPIPE, SIG_IGN);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    static struct world world;
    static char expected[CONSOLES][OUTPUT_MAX / 4], received[OUTPUT_MAX];
    static const char *const names[CONSOLES] = {"a", "b", "c"};
    int ends[2];
    const unsigned flags = (unsigned)fuzz_take(&input, 1);
    world = (struct world){.tagged = flags & 1, .count = flags & 1 ? CONSOLES : 1};
    FUZZ_CHECK(pipe2(ends, O_CLOEXEC) == 0 && fcntl(ends[1], F_SETPIPE_SZ, 4096) >= 0 &&
                   fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0,
               "pipe");
    world.reader = ends[0];
    world.writer = ends[1];
    world.received = received;
    FUZZ_NO_ERROR(matrix_output_create(world.writer, &world.output));
    for (unsigned i = 0; i < world.count; i++) {
        struct source *source = &world.sources[i];
        const struct matrix_vm_options options = {
            .output = world.output,
            .output_lossy = flags >> 1 & 1,
            .output_escape = flags >> 2 & 1,
            .output_rate = flags >> 3 & 1 ? 5000 : 0,
        };
        snprintf(source->tag, sizeof(source->tag), "%s: ", names[i]);
        source->expected = expected[i];
        console_init(&source->console, &options, world.tagged ? names[i] : NULL);
    }
    while (input.left)
        step(&world, &input);
    finish(&world);
    if (world.reader >= 0)
        close(world.reader);
    return 0;
}
