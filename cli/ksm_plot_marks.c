// SPDX-License-Identifier: GPL-2.0-or-later
/* Texts of a picture, as long as there is room for, and where those of marks have room; see ksm_plot.h. */
#include "cli/common.h"
#include "cli/ksm_plot.h"
#include <math.h>
#include <string.h>

#define ELLIPSIS "\u2026"

/* Of the time axis: a rotated label with the space beside it, and where the last one may stand. */
#define LABEL_SHARE 0.0155
#define LABEL_END   0.994

/* XML, and so SVG, has no U+FFFE and U+FFFF. */
static size_t character_bytes(const char *text)
{
    const bool is_none =
        strncmp(text, "\xef\xbf\xbe", 3) == 0 || strncmp(text, "\xef\xbf\xbf", 3) == 0;
    return is_none ? 0 : cli_printable_bytes(text);
}

size_t plot_cut(const char *text, size_t columns, char *cut, size_t size)
{
    size_t at = 0, used = 0, whole = 0; /* whole: what is left of it if an ellipsis follows */
    while (*text) {
        const size_t bytes = character_bytes(text);
        const size_t wide = bytes > 2 ? 2 : 1; /* scripts with wide letters, and a few others */
        if (used + wide > columns || at + bytes + sizeof(ELLIPSIS) > size) {
            memcpy(cut + whole, ELLIPSIS, sizeof(ELLIPSIS));
            return whole + sizeof(ELLIPSIS) - 1;
        }
        if (used + wide < columns)
            whole = at + (bytes ? bytes : 1);
        memcpy(cut + at, bytes ? text : "?", bytes ? bytes : 1);
        at += bytes ? bytes : 1;
        text += bytes ? bytes : 1;
        used += wide;
    }
    cut[at] = '\0';
    return at;
}

/* Of the same experiment recorded several times, one label is enough where they agree. */
static bool is_repeated(const struct plot *plot, size_t index)
{
    const struct plot_mark *mark = &plot->marks[index];
    for (size_t i = 0; i < index; i++)
        if (strcmp(plot->marks[i].text, mark->text) == 0 &&
            plot->marks[i].session != mark->session &&
            fabs(plot->marks[i].time_s - mark->time_s) < LABEL_SHARE * plot->most_s)
            return true;
    return false;
}

/* The indices of the marks that have labels, in the order of time. Returns how many. */
static size_t sort_marks(const struct plot *plot, size_t order[PLOT_MARKS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < plot->mark_count; i++) {
        size_t at = count;
        if (is_repeated(plot, i))
            continue;
        for (; at > 0 && plot->marks[order[at - 1]].time_s > plot->marks[i].time_s; at--)
            order[at] = order[at - 1];
        order[at] = i;
        count++;
    }
    return count;
}

void plot_place_marks(const struct plot *plot, double places[PLOT_MARKS_MAX])
{
    size_t order[PLOT_MARKS_MAX];
    const size_t count = sort_marks(plot, order);
    const double width = LABEL_SHARE * plot->most_s;
    double limit = LABEL_END * plot->most_s, last = -INFINITY;
    for (size_t i = 0; i < plot->mark_count; i++)
        places[i] = NAN;
    for (size_t i = 0; i < count; i++) {
        last = fmax(last + width, plot->marks[order[i]].time_s + width / 2);
        places[order[i]] = last;
    }
    /* Those that would be behind the end push the ones before them back. */
    for (size_t i = count; i-- > 0; limit -= width)
        places[order[i]] = fmin(places[order[i]], limit);
}
