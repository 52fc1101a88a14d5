// SPDX-License-Identifier: GPL-2.0-or-later
/* Reads and prints sizes, durations and numbers, looks at names; for options, config files and reports. */
#include "base/parse.h"

#include "base/error.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SIZE_REMEDY     "write bytes, or a unit behind the number: 512K, 64M, 4GiB"
#define DURATION_REMEDY "write a unit behind the number: 100ns, 250us, 10ms, 5s, 2min, 1h"
#define NUMBER_REMEDY   "write decimal digits, or 0x and hexadecimal digits"

struct unit {
    const char *name;
    uint64_t scale;
};

static const struct unit size_units[] = {
    {"", 1},
    {"B", 1},
    {"K", UINT64_C(1) << 10},
    {"KB", UINT64_C(1) << 10},
    {"Ki", UINT64_C(1) << 10},
    {"KiB", UINT64_C(1) << 10},
    {"M", UINT64_C(1) << 20},
    {"MB", UINT64_C(1) << 20},
    {"Mi", UINT64_C(1) << 20},
    {"MiB", UINT64_C(1) << 20},
    {"G", UINT64_C(1) << 30},
    {"GB", UINT64_C(1) << 30},
    {"Gi", UINT64_C(1) << 30},
    {"GiB", UINT64_C(1) << 30},
    {"T", UINT64_C(1) << 40},
    {"TB", UINT64_C(1) << 40},
    {"Ti", UINT64_C(1) << 40},
    {"TiB", UINT64_C(1) << 40},
    {NULL, 0},
};

static const struct unit duration_units[] = {
    {"ns", 1},
    {"us", 1000},
    {"ms", 1000000},
    {"s", UINT64_C(1000000000)},
    {"m", UINT64_C(60000000000)},
    {"min", UINT64_C(60000000000)},
    {"h", UINT64_C(3600000000000)},
    {NULL, 0},
};

/* The value of a digit, or 16 for what is none. Not isxdigit(): that follows the locale. */
static unsigned digit_value(char character)
{
    if (character >= '0' && character <= '9')
        return (unsigned)(character - '0');
    if (character >= 'a' && character <= 'f')
        return (unsigned)(character - 'a') + 10;
    if (character >= 'A' && character <= 'F')
        return (unsigned)(character - 'A') + 10;
    return 16;
}

/* Reads the digits at *text and steps over them; false if there are none or too many. */
static bool digits_read(const char **text, unsigned base, uint64_t *value)
{
    const char *start = *text;
    *value = 0;
    for (; digit_value(**text) < base; (*text)++) {
        if (__builtin_mul_overflow(*value, base, value) ||
            __builtin_add_overflow(*value, digit_value(**text), value))
            return false;
    }
    return *text != start;
}

/* A number with an optional decimal part: (whole + fraction / divisor). */
struct decimal {
    uint64_t whole;
    uint64_t fraction;
    uint64_t divisor;
};

static bool decimal_read(const char **text, struct decimal *number)
{
    *number = (struct decimal){.divisor = 1};
    if (!digits_read(text, 10, &number->whole))
        return false;
    if (**text != '.')
        return true;

    const char *start = ++*text;
    if (!digits_read(text, 10, &number->fraction) || *text - start > 18)
        return false;
    for (; start < *text; start++)
        number->divisor *= 10;
    return true;
}

/* Multiplies; false if the product is no whole number or exceeds 64 bits. */
static bool decimal_scale(const struct decimal *number, uint64_t scale, uint64_t *value)
{
    unsigned __int128 part = (unsigned __int128)number->fraction * scale;
    if (part % number->divisor)
        return false;
    return !__builtin_mul_overflow(number->whole, scale, value) &&
           !__builtin_add_overflow(*value, (uint64_t)(part / number->divisor), value);
}

static const struct unit *unit_find(const struct unit *units, const char *name,
                                    int (*compare)(const char *, const char *))
{
    for (; units->name; units++) {
        if (compare(units->name, name) == 0)
            return units;
    }
    return NULL;
}

struct matrix_error *parse_size(const char *text, uint64_t *bytes)
{
    const char *rest = text;
    struct decimal number;
    if (!decimal_read(&rest, &number))
        return error_usage(SIZE_REMEDY, "'%s' is not a size", text);

    const struct unit *unit = unit_find(size_units, rest, strcasecmp);
    if (!unit)
        return error_usage(SIZE_REMEDY, "'%s' is not a size: unknown unit '%s'", text, rest);
    if (!decimal_scale(&number, unit->scale, bytes))
        return error_usage(SIZE_REMEDY, "'%s' is not a whole number of bytes below 2^64", text);
    return NULL;
}

struct matrix_error *parse_duration(const char *text, uint64_t *nanoseconds)
{
    const char *rest = text;
    struct decimal number;
    if (!decimal_read(&rest, &number))
        return error_usage(DURATION_REMEDY, "'%s' is not a duration", text);
    if (*rest == '\0')
        return error_usage(DURATION_REMEDY, "'%s' is not a duration: it has no unit", text);

    const struct unit *unit = unit_find(duration_units, rest, strcmp);
    if (!unit)
        return error_usage(DURATION_REMEDY, "'%s' is not a duration: unknown unit '%s'", text,
                           rest);
    if (!decimal_scale(&number, unit->scale, nanoseconds))
        return error_usage(DURATION_REMEDY, "'%s' is not a whole number of nanoseconds below 2^64",
                           text);
    return NULL;
}

struct matrix_error *parse_u64(const char *text, uint64_t minimum, uint64_t maximum,
                               uint64_t *value)
{
    bool hexadecimal = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const char *rest = hexadecimal ? text + 2 : text;
    uint64_t number;
    bool read = digits_read(&rest, hexadecimal ? 16 : 10, &number);
    /* Digits that stopped at a digit were too many for 64 bits: out of any range. */
    bool overflow = !read && digit_value(*rest) < (hexadecimal ? 16 : 10);

    if (!overflow && (!read || *rest != '\0'))
        return error_usage(NUMBER_REMEDY, "'%s' is not a number", text);
    if (overflow || number < minimum || number > maximum)
        return error_usage(NULL, "'%s' is out of range: from %" PRIu64 " to %" PRIu64, text,
                           minimum, maximum);
    *value = number;
    return NULL;
}

struct matrix_error *parse_percent(const char *text, uint32_t *ppm)
{
    const char *c = text;
    uint32_t value = 0, unit = PARSE_WHOLE / 100;
    for (; isdigit((unsigned char)*c) && value <= PARSE_WHOLE; c++)
        value = value * 10 + (uint32_t)(*c - '0') * (PARSE_WHOLE / 100);
    bool valid = c > text;
    if (valid && *c == '.')
        for (c++; isdigit((unsigned char)*c) && unit > 1; c++)
            value += (uint32_t)(*c - '0') * (unit /= 10);
    c += strspn(c, " ");
    valid = valid && strcmp(c, "%") == 0 && value > 0 && value <= PARSE_WHOLE;
    *ppm = value;
    return valid ? NULL : error_usage("write a part of the core, like 20%", "\"%s\"", text);
}

struct matrix_error *parse_check_name(const char *name)
{
    const size_t length = strlen(name);
    if (length == 0 || length > NAME_LENGTH_MAX)
        return error_usage(NULL, "name: %zu characters; use 1 to %d", length, NAME_LENGTH_MAX);
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("-_.", *c))
            return error_usage("use letters, digits, '-', '_' and '.'",
                               "name: \"%s\" has a character that names must not have", name);
    return NULL;
}

char *format_size(char buffer[FORMAT_BYTES], uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    unsigned unit = 0;
    /* 1023.95 would be printed as 1024.0 of the smaller unit. */
    for (; value >= (unit ? 1023.95 : 1024.0); unit++)
        value /= 1024;

    bool whole = bytes % (UINT64_C(1) << (10 * unit)) == 0;
    snprintf(buffer, FORMAT_BYTES, "%.*f %s", whole ? 0 : 1, value, units[unit]);
    return buffer;
}

char *format_duration(char buffer[FORMAT_BYTES], uint64_t nanoseconds)
{
    /* The first entry whose limit is not reached; limits such that nothing reads "1000 us". */
    static const struct {
        uint64_t limit, scale;
        int decimals;
        const char *name;
    } units[] = {
        {10000, 1, 0, "ns"},
        {999500, 1000, 0, "us"},
        {UINT64_C(999995000), 1000000, 2, "ms"},
        {UINT64_C(120000000000), UINT64_C(1000000000), 1, "s"},
        {UINT64_C(7200000000000), UINT64_C(60000000000), 1, "min"},
        {UINT64_MAX, UINT64_C(3600000000000), 1, "h"},
    };
    unsigned unit = 0;
    while (nanoseconds >= units[unit].limit && units[unit].limit != UINT64_MAX)
        unit++;
    snprintf(buffer, FORMAT_BYTES, "%.*f %s", units[unit].decimals,
             (double)nanoseconds / (double)units[unit].scale, units[unit].name);
    return buffer;
}

char *format_count(char buffer[FORMAT_BYTES], uint64_t count)
{
    char digits[FORMAT_BYTES];
    int length = snprintf(digits, sizeof(digits), "%" PRIu64, count);
    char *out = buffer;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *out++ = ',';
        *out++ = digits[i];
    }
    *out = '\0';
    return buffer;
}
