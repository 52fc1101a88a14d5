// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The report on an experiment: one HTML file that opens anywhere, without scripts, made from what is
 * in the experiment's directory. That may be anybody's, so all of it is checked or escaped.
 */
#include "cli/ksm_report.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/yaml.h"
#include "cli/ksm_experiment.h"
#include "cli/ksm_html.h"
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <time.h>

#define PAGE_BYTES 4096

static const char style[] =
    "body{font:16px/1.5 sans-serif;max-width:62em;margin:2em auto;padding:0 1em;color:#111}"
    "h1,h2{line-height:1.2}h2{margin-top:2em}table{border-collapse:collapse;margin:1em 0}"
    "th,td{border-bottom:1px solid #ccc;padding:.3em .7em;text-align:right;vertical-align:top}"
    "th:first-child,td:first-child{text-align:left}td.text{text-align:left}"
    "th{border-bottom:2px solid #888}figure{margin:1.5em 0}img{max-width:100%}"
    "figcaption{color:#555;font-size:.9em}pre{background:#f4f4f4;padding:1em;overflow-x:auto}"
    ".bad{color:#a00;font-weight:bold}";

/* --- reading what is there: a wrong type is as if it were not ---------------------------------- */

static const char *string_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static int64_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static double real_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static uint64_t positive(int64_t number)
{
    return number > 0 ? (uint64_t)number : 0;
}

/* --- cells ------------------------------------------------------------------------------------ */

static void cell_time(FILE *file, const json_t *object, const char *key)
{
    char text[FORMAT_BYTES];
    if (json_is_integer(json_object_get(object, key)))
        html_element(file, "td", "%s", format_duration(text, positive(number_of(object, key))));
    else
        fputs("<td>–</td>", file);
}

static void cell_size(FILE *file, int64_t pages)
{
    char text[FORMAT_BYTES];
    const uint64_t size = pages < 0 ? -(uint64_t)pages : (uint64_t)pages;
    html_element(file, "td", "%s%s", pages < 0 ? "-" : "",
                 format_size(text, size < UINT64_MAX / PAGE_BYTES ? size * PAGE_BYTES : 0));
}

static void cell_count(FILE *file, int64_t count)
{
    char text[FORMAT_BYTES];
    html_element(file, "td", "%s", format_count(text, positive(count)));
}

static void head_row(FILE *file, const char *const *names)
{
    fputs("<table><tr>", file);
    for (; *names; names++)
        html_element(file, "th", "%s", *names);
    fputs("</tr>\n", file);
}

/* --- parts ------------------------------------------------------------------------------------ */

static void write_phases(FILE *file, const json_t *root)
{
    static const char *const names[] = {
        "phase",    "took",    "merged at its end", "change", "90 % of it in", "flat after",
        "merges/s", "at most", "ksmd's CPU time",   "a page", "whole scans",   NULL};
    size_t i;
    json_t *phase;
    html_element(file, "h2", "What was merged, how fast, and what it cost");
    head_row(file, names);
    json_array_foreach(json_object_get(root, "phases"), i, phase)
    {
        const int64_t before = number_of(phase, "pages_before");
        const int64_t after = number_of(phase, "pages_after");
        const bool waited = json_is_true(json_object_get(phase, "waited_until_flat"));
        char text[FORMAT_BYTES];
        fputs("<tr>", file);
        html_element(file, "td", "%s", string_of(phase, "label"));
        cell_time(file, phase, "duration_ns");
        cell_size(file, after);
        cell_size(file, (int64_t)((uint64_t)after - (uint64_t)before));
        cell_time(file, phase, "to_90_percent_ns");
        if (waited && !json_is_integer(json_object_get(phase, "to_flat_ns")))
            html_element(file, "td", "not flat");
        else
            cell_time(file, phase, "to_flat_ns");
        html_element(file, "td", "%.0f", real_of(phase, "merges_per_s"));
        html_element(file, "td", "%.0f", real_of(phase, "peak_merges_per_s"));
        cell_time(file, phase, "ksmd_cpu_ns");
        const double each = real_of(phase, "ksmd_cpu_ns_per_page");
        html_element(file, "td", "%s",
                     each >= 1 && each < 1e18 ? format_duration(text, (uint64_t)each) : "–");
        cell_count(file, number_of(phase, "full_scans"));
        fputs("</tr>\n", file);
    }
    fputs("</table>\n", file);
    html_element(file, "p", "Merged: %s",
                 strcmp(string_of(root, "curve"), "vms") == 0
                     ? "pages of the VMs that are on merged frames, 4 KiB each."
                     : "what KSM saves on the whole host: pages_sharing and ksm_zero_pages, 4 KiB "
                       "each.");
    html_element(
        file, "p",
        "The rate is the mean between a tenth and nine tenths of the change. A page: ksmd's CPU "
        "time for each page that was merged.");
}

static void write_checks(FILE *file, const json_t *root)
{
    static const char *const names[] = {"number", "of", "is", "at least", "at most", "", NULL};
    const json_t *checks = json_object_get(root, "checks");
    size_t i;
    json_t *check;
    if (json_array_size(checks) == 0)
        return;
    html_element(file, "h2", "What was expected");
    head_row(file, names);
    json_array_foreach(checks, i, check)
    {
        const bool passed = json_is_true(json_object_get(check, "passed"));
        const int64_t most = number_of(check, "maximum");
        fputs("<tr>", file);
        html_element(file, "td", "%s", string_of(check, "what"));
        html_element(file, "td class=\"text\"", "%s%s%s", string_of(check, "of"),
                     string_of(check, "with")[0] ? " with " : "", string_of(check, "with"));
        cell_count(file, number_of(check, "value"));
        cell_count(file, number_of(check, "minimum"));
        if (most == INT64_MAX)
            fputs("<td>–</td>", file);
        else
            cell_count(file, most);
        html_element(file, passed ? "td class=\"text\"" : "td class=\"text bad\"",
                     passed ? "right" : "wrong");
        fputs("</tr>\n", file);
    }
    fputs("</table>\n", file);
}

static void write_events(FILE *file, const json_t *root)
{
    static const char *const names[] = {"time", "what", NULL};
    size_t i;
    json_t *event;
    html_element(file, "h2", "What was done");
    head_row(file, names);
    json_array_foreach(json_object_get(root, "events"), i, event)
    {
        fputs("<tr>", file);
        html_element(file, "td", "%.1f s", (double)number_of(event, "time_ns") / 1e9);
        html_element(file, "td class=\"text\"", "%s", string_of(event, "text"));
        fputs("</tr>\n", file);
    }
    fputs("</table>\n", file);
}

static void write_plots(FILE *file, const char *directory, const char *const nothing[REPORT_PLOTS])
{
    static const struct {
        const char *name, *caption;
    } plots[REPORT_PLOTS] = {
        {REPORT_PLOT_VMS, "Merged pages of each VM against time"},
        {REPORT_PLOT_PAGES, "The whole host: pages_shared and pages_sharing against time"},
        {REPORT_PLOT_PROFIT,
         "The whole host: general profit against time, what is saved less what KSM needs "
         "for itself"},
    };
    html_element(file, "h2", "Against time");
    bool any = false;
    for (size_t i = 0; i < REPORT_PLOTS; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof(path), "%s/%s", directory, plots[i].name);
        any |= nothing[i] || html_picture(file, path, plots[i].caption);
        if (nothing[i])
            html_element(file, "p", "%s", nothing[i]);
    }
    if (!any)
        html_element(file, "p", "There are no pictures: gnuplot was not there.");
}

static void write_head(FILE *file, const json_t *root)
{
    const char *name = string_of(root, "name");
    const json_t *error = json_object_get(root, "error");
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width\">\n<title>",
          file);
    html_text(file, name[0] ? name : "KSM experiment");
    fprintf(file, "</title>\n<style>%s</style></head><body>\n", style);
    html_element(file, "h1", "%s", name[0] ? name : "KSM experiment");
    if (string_of(root, "description")[0])
        html_element(file, "p", "%s", string_of(root, "description"));
    if (json_is_object(error))
        html_element(
            file, "p class=\"bad\"", "It ended early, after %" PRId64 " of %" PRId64 " steps: %s",
            number_of(root, "steps_done"), number_of(root, "steps"), string_of(error, "message"));
    if (number_of(root, "signal"))
        html_element(file, "p class=\"bad\"", "It was ended by signal %" PRId64,
                     number_of(root, "signal"));
}

struct matrix_error *report_write(FILE *file, const json_t *root, const char *yaml,
                                  const char *directory, const char *const nothing[REPORT_PLOTS])
{
    write_head(file, root);
    write_phases(file, root);
    write_checks(file, root);
    write_plots(file, directory, nothing);
    report_write_map(file, root, directory);
    write_events(file, root);
    report_write_host(file, root, yaml);
    fputs("</body></html>\n", file);
    return fflush(file) || ferror(file) ? error_host(errno, "write the report") : NULL;
}

/* --- files ------------------------------------------------------------------------------------ */

static struct matrix_error *read_results(const char *directory, json_t **root)
{
    char path[PATH_MAX];
    json_error_t why;
    snprintf(path, sizeof(path), "%s/%s", directory, EXPERIMENT_RESULTS);
    CLEANUP_FILE FILE *file = fopen(path, "re");
    if (!file)
        return error_new(MATRIX_ERROR_USAGE, errno, "name the --out directory of an experiment",
                         "read %s", path);
    *root = json_loadf(file, JSON_REJECT_DUPLICATES, &why);
    if (json_is_object(*root) && number_of(*root, "version") == 1)
        return NULL;
    struct matrix_error *error =
        *root ? error_usage(NULL, "%s: no results of an experiment, or of another version", path)
              : error_usage(NULL, "%s: line %d: %s", path, why.line, why.text);
    json_decref(*root);
    return error;
}

/* What the experiment was; "" if it is not there any more. */
static char *read_yaml(const char *directory)
{
    char path[PATH_MAX], *text = NULL;
    size_t bytes;
    snprintf(path, sizeof(path), "%s/%s", directory, EXPERIMENT_YAML);
    struct matrix_error *error = document_read_file(path, &text, &bytes);
    if (error) {
        matrix_error_free(error);
        return strdup("");
    }
    text[bytes] = '\0'; /* it has room for one more than YAML_BYTES_MAX */
    return text;
}

struct matrix_error *experiment_report(const char *directory)
{
    char path[PATH_MAX];
    const char *nothing[REPORT_PLOTS];
    json_t *root;
    RETURN_IF_ERROR(read_results(directory, &root));
    report_draw(directory, nothing);
    CLEANUP_FREE char *yaml = read_yaml(directory);
    snprintf(path, sizeof(path), "%s/%s", directory, EXPERIMENT_REPORT);
    CLEANUP_FILE FILE *file = fopen(path, "we");
    struct matrix_error *error = file && yaml ? report_write(file, root, yaml, directory, nothing)
                                              : error_host(errno, "write %s", path);
    json_decref(root);
    return error;
}
