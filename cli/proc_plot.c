// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * matrix proc plot: draws what `watch --csv` has recorded, with gnuplot. The file is read here, so
 * that gnuplot sees numbers only, and neither names nor text of others.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "cli/axis.h"
#include "cli/gnuplot.h"
#include "cli/proc.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define REMEDY_RECORD "record one with `matrix proc watch PID --csv FILE`"
/* Above this ratio of their maxima the two curves get an axis each. */
#define ONE_AXIS_RATIO 4

enum column { TIME, VIRTUAL, RESIDENT, COLUMNS };

static const char *const column_names[COLUMNS] = {"time_s", "virtual_bytes", "resident_bytes"};

struct recording {
    const char *path;
    unsigned positions[COLUMNS]; /* of the columns in a line, from 0 */
    double (*rows)[COLUMNS];
    size_t count, capacity;
    double most[COLUMNS];
};

static struct matrix_error *read_header(struct recording *recording, char *line)
{
    bool found[COLUMNS] = {false};
    char *rest = line;
    for (unsigned position = 0; rest; position++) {
        const char *name = strsep(&rest, ",");
        for (unsigned i = 0; i < COLUMNS; i++)
            if (!found[i] && strcmp(name, column_names[i]) == 0) {
                found[i] = true;
                recording->positions[i] = position;
            }
    }
    for (unsigned i = 0; i < COLUMNS; i++)
        if (!found[i])
            return error_usage(REMEDY_RECORD, "%s is no recording: it has no column %s",
                               recording->path, column_names[i]);
    return NULL;
}

static bool read_row(const struct recording *recording, char *line, double row[COLUMNS])
{
    unsigned read = 0;
    char *rest = line;
    for (unsigned position = 0; rest; position++) {
        const char *text = strsep(&rest, ",");
        for (unsigned i = 0; i < COLUMNS; i++) {
            if (recording->positions[i] != position)
                continue;
            char *end;
            row[i] = strtod(text, &end);
            if (end == text || *end || !isfinite(row[i]) || row[i] < 0)
                return false;
            read++;
        }
    }
    return read == COLUMNS;
}

static struct matrix_error *add_row(struct recording *recording, const double row[COLUMNS])
{
    if (recording->count == recording->capacity) {
        const size_t capacity = recording->capacity ? 2 * recording->capacity : 256;
        double(*rows)[COLUMNS] = reallocarray(recording->rows, capacity, sizeof(*rows));
        if (!rows)
            return error_host(ENOMEM, "read %s", recording->path);
        recording->rows = rows;
        recording->capacity = capacity;
    }
    memcpy(recording->rows[recording->count++], row, sizeof(recording->rows[0]));
    for (unsigned i = 0; i < COLUMNS; i++)
        recording->most[i] = fmax(recording->most[i], row[i]);
    return NULL;
}

static struct matrix_error *read_recording(struct recording *recording)
{
    CLEANUP_FILE FILE *file = fopen(recording->path, "re");
    CLEANUP_FREE char *line = NULL;
    size_t size = 0;
    if (!file)
        return error_host(errno, "open %s", recording->path);
    for (size_t number = 1; getline(&line, &size, file) > 0; number++) {
        double row[COLUMNS];
        line[strcspn(line, "\r\n")] = '\0';
        if (number == 1) {
            RETURN_IF_ERROR(read_header(recording, line));
        } else if (*line && !read_row(recording, line, row)) {
            return error_usage(REMEDY_RECORD, "%s, line %zu: no numbers where there should be",
                               recording->path, number);
        } else if (*line) {
            RETURN_IF_ERROR(add_row(recording, row));
        }
    }
    if (ferror(file))
        return error_host(errno, "read %s", recording->path);
    if (recording->count < 2)
        return error_usage(REMEDY_RECORD, "%s has %zu lines of numbers: a curve needs two",
                           recording->path, recording->count);
    return NULL;
}

/* The numbers in the units of the axes, in memory. */
static struct matrix_error *write_data(const struct recording *recording,
                                       const struct axis_unit *const units[COLUMNS], int *fd)
{
    *fd = memfd_create("recording", MFD_CLOEXEC);
    CLEANUP_FILE FILE *file = *fd < 0 ? NULL : fdopen(dup(*fd), "w");
    if (!file)
        return error_host(errno, "make room for the numbers of %s", recording->path);
    for (size_t i = 0; i < recording->count; i++) {
        const double *row = recording->rows[i];
        fprintf(file, "%.9g %.9g %.9g\n", row[TIME] / units[TIME]->size,
                row[VIRTUAL] / units[VIRTUAL]->size, row[RESIDENT] / units[RESIDENT]->size);
    }
    if (fflush(file) || ferror(file))
        return error_host(errno, "copy the numbers of %s", recording->path);
    return NULL;
}

static struct matrix_error *draw(const struct recording *recording, const char *out)
{
    const double *most = recording->most;
    const double larger = fmax(most[VIRTUAL], most[RESIDENT]);
    const bool one_axis = larger <= ONE_AXIS_RATIO * fmin(most[VIRTUAL], most[RESIDENT]);
    const struct axis_unit *const units[COLUMNS] = {
        [TIME] = axis_time_unit(most[TIME]),
        [VIRTUAL] = axis_size_unit(one_axis ? larger : most[VIRTUAL]),
        [RESIDENT] = axis_size_unit(one_axis ? larger : most[RESIDENT]),
    };
    CLEANUP_CLOSE int data = -1;
    RETURN_IF_ERROR(write_data(recording, units, &data));
    const char *const arguments[] = {units[TIME]->name, units[VIRTUAL]->name, units[RESIDENT]->name,
                                     one_axis ? "1" : "2", NULL};
    return gnuplot_draw("footprint.gnuplot", arguments, data, out);
}

struct matrix_error *proc_plot(struct proc_options *options)
{
    struct recording recording = {.path = options->arguments[0]};
    if (!options->out)
        return error_usage("matrix proc plot FILE.csv --out=FILE.svg",
                           "where the picture goes is missing");
    RETURN_IF_ERROR(gnuplot_check_name(options->out));
    struct matrix_error *error = read_recording(&recording);
    if (!error)
        error = draw(&recording, options->out);
    free(recording.rows);
    return error;
}
