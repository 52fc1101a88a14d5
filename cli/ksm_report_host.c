// SPDX-License-Identifier: GPL-2.0-or-later
/* The report's facts that make an experiment repeatable: host, knobs, the file itself. */
#include "base/parse.h"
#include "cli/ksm_html.h"
#include "cli/ksm_report.h"
#include "ksm/knobs.h"
#include <math.h>
#include <stdint.h>
#include <time.h>

static const char *string_of(const json_t *object, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : otherwise;
}

static void row(FILE *file, const char *name, const char *text)
{
    fputs("<tr>", file);
    html_element(file, "td", "%s", name);
    html_element(file, "td class=\"text\"", "%s", text);
    fputs("</tr>\n", file);
}

static void row_count(FILE *file, const char *name, const json_t *object, const char *key)
{
    char text[FORMAT_BYTES];
    const json_int_t count = json_integer_value(json_object_get(object, key));
    row(file, name, format_count(text, count > 0 ? (uint64_t)count : 0));
}

static void row_started(FILE *file, const json_t *root)
{
    const double started = json_number_value(json_object_get(root, "started_s"));
    const time_t seconds = isfinite(started) && started > 0 && started < 1e11 ? (time_t)started : 0;
    struct tm parts;
    char text[64] = "";
    if (gmtime_r(&seconds, &parts))
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &parts);
    row(file, "started", text);
}

static void write_host(FILE *file, const json_t *root)
{
    const json_t *host = json_object_get(root, "host");
    char size[FORMAT_BYTES];
    const json_int_t memory = json_integer_value(json_object_get(host, "memory_bytes"));
    html_element(file, "h2", "The host");
    fputs("<table>\n", file);
    row(file, "kernel", string_of(host, "kernel", ""));
    row(file, "processor", string_of(host, "processor", ""));
    row_count(file, "CPUs", host, "cpus");
    row(file, "memory", format_size(size, memory > 0 ? (uint64_t)memory : 0));
    row(file, "where",
        json_is_true(json_object_get(host, "lab")) ? "in the lab (emulated; times are the lab's)"
                                                   : "on the host itself");
    row(file, "matrix", string_of(host, "matrix", ""));
    row(file, "QEMU", string_of(host, "qemu", "none"));
    row_started(file, root);
    fputs("</table>\n", file);
}

static void write_knobs(FILE *file, const json_t *root)
{
    const json_t *knobs = json_object_get(root, "knobs");
    const json_t *before = json_object_get(knobs, "before");
    const json_t *during = json_object_get(knobs, "during");
    const json_t *after = json_object_get(knobs, "after");
    html_element(file, "h2", "The knobs");
    fputs("<table><tr><th>knob</th><th>before</th><th>at the start</th><th>afterwards</th></tr>\n",
          file);
    for (unsigned knob = 0; knob < KSM_KNOB_COUNT; knob++) {
        const char *name = ksm_knob_name(knob);
        if (!json_object_get(before, name))
            continue;
        fputs("<tr>", file);
        html_element(file, "td", "%s", name);
        html_element(file, "td", "%s", string_of(before, name, ""));
        html_element(file, "td", "%s", string_of(during, name, ""));
        html_element(file, "td", "%s", string_of(after, name, ""));
        fputs("</tr>\n", file);
    }
    fputs("</table>\n", file);
    if (!json_is_true(json_object_get(root, "knobs_restored")))
        html_element(file, "p class=\"bad\"", "They could not be put back.");
}

void report_write_host(FILE *file, const json_t *root, const char *yaml)
{
    write_host(file, root);
    write_knobs(file, root);
    html_element(file, "h2", "The experiment's file");
    html_element(file, "pre", "%s", yaml);
}
