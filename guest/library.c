// SPDX-License-Identifier: MIT
/*
 * The part of the guest SDK that is not inline: what the compiler expects of every C library,
 * and printing and parsing. Every guest is linked with this and start.c.
 */
#include <matrix/guest/sdk.h>

/* Otherwise gcc may turn the loop inside strlen or memset into a call to strlen or memset. */
#ifndef __clang__
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

/* --- memory and strings ---------------------------------------------------------------------- */

void *memcpy(void *restrict to, const void *restrict from, size_t length)
{
    void *position = to;

    __asm__ volatile("rep movsb" : "+D"(position), "+S"(from), "+c"(length) : : "memory");
    return to;
}

void *memmove(void *to, const void *from, size_t length)
{
    char *target = to;
    const char *source = from;

    if ((uintptr_t)to - (uintptr_t)from >= length)
        return memcpy(to, from, length);
    while (length-- > 0)
        target[length] = source[length];
    return to;
}

void *memset(void *bytes, int value, size_t length)
{
    void *position = bytes;

    __asm__ volatile("rep stosb" : "+D"(position), "+c"(length) : "a"(value) : "memory");
    return bytes;
}

int memcmp(const void *left, const void *right, size_t length)
{
    const unsigned char *a = left, *b = right;

    for (size_t i = 0; i < length; i++)
        if (a[i] != b[i])
            return a[i] - b[i];
    return 0;
}

size_t strlen(const char *string)
{
    size_t length = 0;

    while (string[length])
        length++;
    return length;
}

int strcmp(const char *left, const char *right)
{
    while (*left && *left == *right) {
        left++;
        right++;
    }
    return (unsigned char)*left - (unsigned char)*right;
}

/* --- parsing --------------------------------------------------------------------------------- */

/* The value of a digit, or 16 if it is none. */
static unsigned digit_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return (unsigned)(digit - '0');
    digit |= 'a' ^ 'A';
    return digit >= 'a' && digit <= 'f' ? (unsigned)(digit - 'a') + 10 : 16;
}

bool matrix_parse_u64(const char *text, uint64_t *value)
{
    unsigned base = 10;
    uint64_t sum = 0;

    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        text += 2;
    }
    if (!*text)
        return false;
    for (; *text; text++) {
        unsigned digit = digit_value(*text);

        if (digit >= base || __builtin_mul_overflow(sum, base, &sum) ||
            __builtin_add_overflow(sum, digit, &sum))
            return false;
    }
    *value = sum;
    return true;
}

/* --- printing -------------------------------------------------------------------------------- */

struct text {
    char bytes[MATRIX_PRINTF_MAX];
    size_t length;
};

/* How one value is set: %-08lx. */
struct setting {
    bool left;
    bool zero;
    bool is_long;
    size_t width;
};

static void put(struct text *text, char character)
{
    if (text->length < sizeof(text->bytes))
        text->bytes[text->length++] = character;
}

/* Puts prefix and body, filled up to the setting's width. */
static void put_field(struct text *text, const struct setting *setting, const char *prefix,
                      const char *body, size_t body_length)
{
    size_t length = strlen(prefix) + body_length;
    size_t fill = setting->width > length ? setting->width - length : 0;

    for (; fill && !setting->left && !setting->zero; fill--)
        put(text, ' ');
    while (*prefix)
        put(text, *prefix++);
    for (; fill && !setting->left; fill--)
        put(text, '0');
    while (body_length--)
        put(text, *body++);
    while (fill--)
        put(text, ' ');
}

static void put_number(struct text *text, const struct setting *setting, const char *prefix,
                       uint64_t value, unsigned base)
{
    char digits[20]; /* as many as 2^64 - 1 has */
    char *first = digits + sizeof(digits);

    do {
        *--first = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    put_field(text, setting, prefix, first, (size_t)(digits + sizeof(digits) - first));
}

/* Reads the setting behind a '%' and returns the position of the letter that ends it. */
static const char *read_setting(const char *format, struct setting *setting)
{
    *setting = (struct setting){0};
    for (; *format == '-' || *format == '0'; format++) {
        setting->left |= *format == '-';
        setting->zero |= *format == '0';
    }
    for (; *format >= '0' && *format <= '9'; format++)
        setting->width = setting->width * 10 + (size_t)(*format - '0');
    for (; *format == 'l' || *format == 'z'; format++)
        setting->is_long = true;
    return format;
}

/* An unknown letter is put as it is. */
static void put_value(struct text *text, const struct setting *setting, char letter,
                      va_list *values)
{
    switch (letter) {
    case 'd':
    case 'i': {
        int64_t value = setting->is_long ? va_arg(*values, long) : va_arg(*values, int);

        put_number(text, setting, value < 0 ? "-" : "",
                   value < 0 ? -(uint64_t)value : (uint64_t)value, 10);
        break;
    }
    case 'u':
    case 'x':
        put_number(text, setting, "",
                   setting->is_long ? va_arg(*values, unsigned long) : va_arg(*values, unsigned),
                   letter == 'x' ? 16 : 10);
        break;
    case 'p':
        put_number(text, setting, "0x", (uint64_t)va_arg(*values, void *), 16);
        break;
    case 's': {
        const char *string = va_arg(*values, const char *);

        put_field(text, setting, "", string, strlen(string));
        break;
    }
    case 'c': {
        char character = (char)va_arg(*values, int);

        put_field(text, setting, "", &character, 1);
        break;
    }
    default:
        put(text, letter);
    }
}

int64_t matrix_printf(const char *format, ...)
{
    struct text text;
    va_list values;

    text.length = 0; /* not an initialiser: that would clear the buffer every time */
    va_start(values, format);
    for (; *format; format++) {
        struct setting setting;

        if (*format != '%') {
            put(&text, *format);
            continue;
        }
        format = read_setting(format + 1, &setting);
        if (!*format)
            break;
        put_value(&text, &setting, *format, &values);
    }
    va_end(values);
    return matrix_write(text.bytes, text.length);
}
