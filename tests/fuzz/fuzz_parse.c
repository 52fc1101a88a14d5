// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target for base/parse.h: any text is read as a second, independent reader reads it;
 * whatever is printed fits the buffer, and means the number that it was made from.
 */
#include "base/parse.h"

#include "tests/fuzz/fuzz.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <strings.h>

struct unit {
    const char *name;
    uint64_t scale;
    bool is_read; /* parse_size knows it; format_size goes further */
};

static const struct unit size_units[] = {{"", 1, true},           {"k", 1ULL << 10, true},
                                         {"m", 1ULL << 20, true}, {"g", 1ULL << 30, true},
                                         {"t", 1ULL << 40, true}, {"p", 1ULL << 50, false},
                                         {"e", 1ULL << 60, false}};
static const struct unit duration_units[] = {{"ns", 1, true},           {"us", 1000, true},
                                             {"ms", 1000000, true},     {"s", 1000000000, true},
                                             {"m", 60000000000, true},  {"min", 60000000000, true},
                                             {"h", 3600000000000, true}};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* "B", "", "Ki", "KiB", "KB": a size's unit without its ending. */
static const struct unit *size_unit(const char *name)
{
    char letter[2] = "";
    if (name[0] && strcasecmp(name, "b") != 0) {
        letter[0] = (char)tolower((unsigned char)name[0]);
        name++;
        if (tolower((unsigned char)*name) == 'i')
            name++;
    }
    if (tolower((unsigned char)*name) == 'b')
        name++;
    for (size_t i = 0; i < COUNT(size_units); i++)
        if (*name == '\0' && strcmp(letter, size_units[i].name) == 0)
            return &size_units[i];
    return NULL;
}

static const struct unit *duration_unit(const char *name)
{
    for (size_t i = 0; i < COUNT(duration_units); i++)
        if (strcmp(name, duration_units[i].name) == 0)
            return &duration_units[i];
    return NULL;
}

/* The second reader of sizes and durations. */
static bool read_number(const char *text, const struct unit *(*find)(const char *), uint64_t *value)
{
    static const char digits[] = "0123456789";
    size_t whole_length = strspn(text, digits);
    if (whole_length == 0)
        return false;
    errno = 0;
    uint64_t whole = strtoull(text, NULL, 10);
    if (errno)
        return false;
    const char *rest = text + whole_length;
    unsigned __int128 part = 0, divisor = 1;
    if (*rest == '.') {
        size_t length = strspn(++rest, digits);
        if (length == 0 || length > 18)
            return false;
        for (; length; length--, divisor *= 10)
            part = part * 10 + (unsigned)(*rest++ - '0');
    }
    const struct unit *unit = find(rest);
    if (!unit || !unit->is_read || part * unit->scale % divisor)
        return false;
    unsigned __int128 sum = (unsigned __int128)whole * unit->scale + part * unit->scale / divisor;
    *value = (uint64_t)sum;
    return sum <= UINT64_MAX;
}

static bool read_plain(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *value)
{
    bool hexadecimal = strncasecmp(text, "0x", 2) == 0;
    const char *digits = hexadecimal ? text + 2 : text;
    size_t length = strspn(digits, hexadecimal ? "0123456789abcdefABCDEF" : "0123456789");
    errno = 0;
    *value = strtoull(digits, NULL, hexadecimal ? 16 : 10);
    return length && !digits[length] && !errno && *value >= minimum && *value <= maximum;
}

/* The outcomes of both readers. */
static void compare(const char *what, const char *text, struct matrix_error *error, uint64_t got,
                    bool accepted, uint64_t expected)
{
    FUZZ_CHECK(!error == accepted, "%s '%s': %s", what, text, error ? error->message : "accepted");
    FUZZ_CHECK(error || got == expected, "%s '%s': %llu, not %llu", what, text,
               (unsigned long long)got, (unsigned long long)expected);
    if (error)
        FUZZ_CHECK(error->message[0], "%s '%s': an error without a message", what, text);
    matrix_error_free(error);
}

/* What is printed is right to half of its last digit; what is printed without a decimal part, in a
 * unit that divides the number, is right. */
static void check_printed(const char *text, const struct unit *(*find)(const char *),
                          uint64_t value)
{
    char *unit_name;
    long double number = strtold(text, &unit_name);
    FUZZ_CHECK(*unit_name == ' ', "'%s'", text);
    const struct unit *unit = find(unit_name + 1);
    FUZZ_CHECK(unit, "'%s'", text);
    const char *point = memchr(text, '.', (size_t)(unit_name - text));
    long double digit = point ? powl(10, -(long double)(unit_name - point - 1)) : 1;
    long double error = fabsl(number * (long double)unit->scale - (long double)value);
    FUZZ_CHECK(error <= digit * (long double)unit->scale * 0.5000001L, "'%s' for %llu", text,
               (unsigned long long)value);
}

static void check_formats(uint64_t value)
{
    /* From the heap, so that a byte too many is seen. */
    char *text = malloc(FORMAT_BYTES);
    check_printed(format_size(text, value), size_unit, value);
    check_printed(format_duration(text, value), duration_unit, value);

    format_count(text, value);
    uint64_t back = 0;
    char plain[FORMAT_BYTES], *out = plain;
    for (const char *in = text; *in; in++)
        if (*in != ',')
            *out++ = *in;
    *out = '\0';
    FUZZ_NO_ERROR(parse_u64(plain, value, value, &back));
    FUZZ_CHECK(back == value, "'%s' for %llu", text, (unsigned long long)value);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    uint64_t minimum = fuzz_take(&input, 1), maximum = fuzz_take(&input, 8);
    maximum = maximum < minimum ? UINT64_MAX : maximum;
    check_formats(maximum);

    char *text = strndup((const char *)input.data, input.left);
    uint64_t got = 0, expected = 0;
    bool accepted = read_number(text, size_unit, &expected);
    compare("size", text, parse_size(text, &got), got, accepted, expected);
    accepted = read_number(text, duration_unit, &expected);
    compare("duration", text, parse_duration(text, &got), got, accepted, expected);
    accepted = read_plain(text, minimum, maximum, &expected);
    compare("number", text, parse_u64(text, minimum, maximum, &got), got, accepted, expected);
    check_formats(expected);
    free(text);
    return 0;
}
