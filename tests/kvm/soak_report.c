// SPDX-License-Identifier: GPL-2.0-or-later
/* What the soak's cloud leaves in the end: its report, and its errors; see soak.h. */
#include "tests/kvm/soak.h"

#include <jansson.h>
#include <math.h>
#include <matrix/core.h>
#include <stdio.h>
#include <string.h>

void soak_check_sanitizers(const struct soak *soak)
{
    static const char *const findings[] = {"Sanitizer", "runtime error:"};
    char line[500], failure[500] = "";
    FILE *file = fopen(soak->errors, "re");
    while (file && fgets(line, sizeof(line), file))
        for (unsigned i = 0; i < 2; i++)
            if (!*failure && strstr(line, findings[i]))
                snprintf(failure, sizeof(failure), "%s", strtok(line, "\n"));
    if (file)
        fclose(file);
    soak_check("no sanitizer has found anything", failure);
}

static double number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

/* Both could run all the time: what one has had beyond its part of what both had. */
static void check_witnesses(const json_t *guests, const json_t *loop)
{
    char failure[200] = "";
    const double first = number(json_array_get(guests, 0), "cpu_ns");
    const double second = number(json_array_get(guests, 1), "cpu_ns");
    const double lag_ns = fabs(0.3 * first - 0.7 * second);
    const double bound_ns = 2.0 * MATRIX_SLICE_DEFAULT_NS + number(loop, "delay_worst_ns");
    printf(
        "# witnesses: %.4f of what both had, %.3f slices from 0.7; the worst end of a slice came "
        "%.2f ms late\n",
        first / (first + second), lag_ns / MATRIX_SLICE_DEFAULT_NS,
        number(loop, "delay_worst_ns") / 1e6);
    if (!(lag_ns <= bound_ns))
        snprintf(failure, sizeof(failure), "%.0f ns, at most %.0f", lag_ns, bound_ns);
    soak_check("the contract was kept", failure);
}

void soak_check_report(const struct soak *soak)
{
    char missing[200] = "", sums[200] = "";
    json_t *report = json_load_file(soak->report, 0, NULL);
    const json_t *guests = json_object_get(report, "guests");
    const json_t *loop = json_object_get(report, "scheduler");
    double cpu_ns = 0;
    for (unsigned i = 0; i < soak->count; i++) {
        const json_t *guest = json_array_get(guests, i);
        const char *name = json_string_value(json_object_get(guest, "name"));
        if (!name || strcmp(name, soak->guests[i].name) != 0)
            snprintf(missing, sizeof(missing), "%s is missing", soak->guests[i].name);
        cpu_ns += number(guest, "cpu_ns");
        if (number(guest, "contended_cpu_ns") + number(guest, "alone_cpu_ns") !=
            number(guest, "cpu_ns"))
            snprintf(sums, sizeof(sums), "%s: with and without company is not all", name);
    }
    if (json_array_size(guests) != soak->count)
        snprintf(missing, sizeof(missing), "%zu guests of %u", json_array_size(guests),
                 soak->count);
    if (cpu_ns != number(loop, "guests_cpu_ns"))
        snprintf(sums, sizeof(sums), "guests: %.0f ns, the loop says %.0f", cpu_ns,
                 number(loop, "guests_cpu_ns"));
    soak_check("every guest is in the report", missing);
    soak_check("every nanosecond is somebody's", sums);
    check_witnesses(guests, loop);
    json_decref(report);
}
