// SPDX-License-Identifier: GPL-2.0-or-later
/* Reads what the kernel says about KSM; see text.h. */
#include "ksm/text.h"

#include <stdio.h>
#include <string.h>

/* sizeof(struct ksm_rmap_item) on 64-bit kernels. */
#define RMAP_ITEM_BYTES 64

static bool is_digit(char character)
{
    return character >= '0' && character <= '9';
}

/* Digits at *text, and steps over them; false if there are none or too many. */
static bool read_u64(const char **text, uint64_t *value)
{
    const char *start = *text;
    for (*value = 0; is_digit(**text); (*text)++)
        if (__builtin_mul_overflow(*value, (uint64_t)10, value) ||
            __builtin_add_overflow(*value, (uint64_t)(**text - '0'), value))
            return false;
    return *text != start;
}

/* A whole number and nothing else in so many bytes. */
static bool read_whole(const char *text, size_t length, int64_t *number)
{
    const char *at = text + (length && *text == '-');
    uint64_t size;
    if (!read_u64(&at, &size) || at != text + length)
        return false;
    if (*text == '-')
        return size <= INT64_MAX && (*number = -(int64_t)size, true);
    return size <= INT64_MAX && (*number = (int64_t)size, true);
}

static void read_value(const char *text, size_t length, struct ksm_value *value)
{
    while (length && (text[length - 1] == '\n' || text[length - 1] == ' '))
        length--;
    value->kind = length ? KSM_TEXT : KSM_NOTHING;
    if (read_whole(text, length, &value->number))
        value->kind = KSM_NUMBER;
    if (value->kind == KSM_TEXT)
        snprintf(value->text, sizeof(value->text), "%.*s", (int)(length < 4096 ? length : 4096),
                 text);
}

void ksm_text_value(const char *text, struct ksm_value *value)
{
    read_value(text, strlen(text), value);
}

/* The kernel's names are of these characters; what others there are is no name. */
static size_t name_length(const char *text)
{
    return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
}

bool ksm_text_field(const char **text, char name[KSM_NAME_BYTES], struct ksm_value *value)
{
    while (**text) {
        const char *line = *text;
        const size_t length = strcspn(line, "\n");
        *text += length + (line[length] == '\n');
        const size_t name_bytes = name_length(line);
        size_t start = name_bytes + (line[name_bytes] == ':');
        if (!name_bytes || name_bytes >= KSM_NAME_BYTES || line[start] != ' ')
            continue;
        while (line[start] == ' ')
            start++;
        memcpy(name, line, name_bytes);
        name[name_bytes] = '\0';
        read_value(line + start, length - start, value);
        return true;
    }
    return false;
}

bool ksm_text_resident(const char *text, uint64_t *pages)
{
    uint64_t size;
    return read_u64(&text, &size) && *text++ == ' ' && read_u64(&text, pages);
}

bool ksm_text_schedstat(const char *text, uint64_t *ns)
{
    return read_u64(&text, ns) && *text == ' ';
}

/* Behind the name in brackets, which may have brackets itself: proc_pid_stat(5). */
enum { FIELD_STATE = 3, FIELD_USER = 14, FIELD_SYSTEM = 15 };

bool ksm_text_stat_ticks(const char *text, uint64_t *ticks)
{
    uint64_t user, system;
    text = strrchr(text, ')');
    for (unsigned field = FIELD_STATE; field <= FIELD_USER && text; field++)
        text = strchr(text + 1, ' ');
    if (!text)
        return false;
    text++;
    return read_u64(&text, &user) && *text++ == ' ' && read_u64(&text, &system) &&
           !__builtin_add_overflow(user, system, ticks);
}

static const struct {
    const char *name, *unit;
} units[] = {
    {"advisor_max_cpu", "percent"},
    {"advisor_max_pages_to_scan", "pages"},
    {"advisor_min_pages_to_scan", "pages"},
    {"advisor_target_scan_time", "s"},
    {"general_profit", "bytes"},
    {"ksm_merging_pages", "pages"},
    {"ksm_process_profit", "bytes"},
    {"ksm_zero_pages", "pages"},
    {"max_page_sharing", "pages"},
    {"pages_scanned", "pages"},
    {"pages_shared", "pages"},
    {"pages_sharing", "pages"},
    {"pages_skipped", "pages"},
    {"pages_to_scan", "pages"},
    {"pages_unshared", "pages"},
    {"pages_volatile", "pages"},
    {"sleep_millisecs", "ms"},
    {"stable_node_chains_prune_millisecs", "ms"},
};

const char *ksm_text_unit(const char *name)
{
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(units[i].name, name) == 0)
            return units[i].unit;
    return "";
}

bool ksm_text_profit(const struct ksm_profit_terms *terms, uint64_t page_bytes, int64_t *bytes)
{
    int64_t saved, items;
    return !__builtin_add_overflow(terms->pages_sharing, terms->zero_pages, &saved) &&
           !__builtin_mul_overflow(saved, (int64_t)page_bytes, &saved) &&
           !__builtin_add_overflow(terms->pages_shared, terms->pages_sharing, &items) &&
           !__builtin_add_overflow(items, terms->pages_unshared, &items) &&
           !__builtin_add_overflow(items, terms->pages_volatile, &items) &&
           !__builtin_mul_overflow(items, (int64_t)RMAP_ITEM_BYTES, &items) &&
           !__builtin_sub_overflow(saved, items, bytes);
}
