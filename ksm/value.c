// SPDX-License-Identifier: GPL-2.0-or-later
/* Values and samples; see value.h. */
#include "ksm/value.h"

#include <string.h>

const struct ksm_value *ksm_source_value(const struct ksm_source *source, const char *counter)
{
    for (size_t i = 0; i < source->count; i++)
        if (strcmp(source->readings[i].counter.name, counter) == 0)
            return &source->readings[i].value;
    return NULL;
}

bool ksm_value_equal(const struct ksm_value *a, const struct ksm_value *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == KSM_NUMBER)
        return a->number == b->number;
    return a->kind == KSM_NOTHING || strcmp(a->text, b->text) == 0;
}
