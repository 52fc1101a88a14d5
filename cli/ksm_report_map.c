// SPDX-License-Identifier: GPL-2.0-or-later
/* The report's merge map: by VM, by pair of VMs, and as a picture. */
#include "base/parse.h"
#include "cli/ksm_html.h"
#include "cli/ksm_report.h"
#include "ksm/map.h"
#include <limits.h>
#include <stdint.h>

static uint64_t count_of(const json_t *value)
{
    const json_int_t count = json_integer_value(value);
    return count > 0 ? (uint64_t)count : 0;
}

static void cell_count(FILE *file, const json_t *value)
{
    char text[FORMAT_BYTES];
    html_element(file, "td", "%s", format_count(text, count_of(value)));
}

static const char *vm_name(const json_t *map, size_t index)
{
    const char *name = json_string_value(
        json_object_get(json_array_get(json_object_get(map, "vms"), index), "name"));
    return name ? name : "";
}

static void write_vms(FILE *file, const json_t *map)
{
    size_t i;
    json_t *vm;
    char text[FORMAT_BYTES];
    fputs("<table><tr><th>pages of</th>", file);
    for (unsigned state = 0; state < KSM_STATES; state++)
        html_element(file, "th", "%s", ksm_state_text(state));
    html_element(file, "th", "saved");
    fputs("</tr>\n", file);
    json_array_foreach(json_object_get(map, "vms"), i, vm)
    {
        fputs("<tr>", file);
        html_element(file, "td", "%s", vm_name(map, i));
        for (unsigned state = 0; state < KSM_STATES; state++) {
            char name[48];
            snprintf(name, sizeof(name), "%s_pages", ksm_state_name(state));
            cell_count(file, json_object_get(vm, name));
        }
        html_element(file, "td", "%s",
                     format_size(text, count_of(json_object_get(vm, "saved_bytes"))));
        fputs("</tr>\n", file);
    }
    fputs("</table>\n", file);
}

static void write_pairs(FILE *file, const json_t *map)
{
    const json_t *rows = json_object_get(map, "shared_pages");
    const size_t n = json_array_size(json_object_get(map, "vms"));
    html_element(file, "h3", "Who shares with whom");
    fputs("<table><tr><th></th>", file);
    for (size_t j = 0; j < n; j++)
        html_element(file, "th", "%s", vm_name(map, j));
    fputs("</tr>\n", file);
    for (size_t i = 0; i < n; i++) {
        fputs("<tr>", file);
        html_element(file, "td", "%s", vm_name(map, i));
        for (size_t j = 0; j < n; j++)
            cell_count(file, json_array_get(json_array_get(rows, i), j));
        fputs("</tr>\n", file);
    }
    fputs("</table>\n", file);
    html_element(file, "p",
                 "Pages of the row's VM on merged frames that the column's has as well; "
                 "on the diagonal, on frames that it has itself more than once.");
}

void report_write_map(FILE *file, const json_t *root, const char *directory)
{
    const json_t *map = json_object_get(root, "map");
    char frames[FORMAT_BYTES], mappings[FORMAT_BYTES], size[FORMAT_BYTES], path[PATH_MAX];
    if (!json_is_object(map))
        return;
    html_element(file, "h2", "The merge map");
    html_element(file, "p",
                 "At %.1f s: %s frames stand for %s pages, which saves %s. Exact, from the frame "
                 "number behind each page.",
                 (double)count_of(json_object_get(map, "time_ns")) / 1e9,
                 format_count(frames, count_of(json_object_get(map, "frames"))),
                 format_count(mappings, count_of(json_object_get(map, "mappings"))),
                 format_size(size, count_of(json_object_get(map, "saved_bytes"))));
    write_vms(file, map);
    write_pairs(file, map);
    snprintf(path, sizeof(path), "%s/%s", directory, REPORT_MAP_PICTURE);
    html_picture(file, path, "Memory in guest-physical order, one tile a page");
}
