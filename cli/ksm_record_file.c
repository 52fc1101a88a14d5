// SPDX-License-Identifier: GPL-2.0-or-later
/* The file that `matrix ksm record` records to: its name, and that nothing is left of none. */
#include "cli/ksm_record.h"

#include "base/error.h"
#include "ksm/store.h"
#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* Recordings that begin in the same second. */
#define NAMES_MAX 1000

/* The first of ksm-DATE-TIME, ksm-DATE-TIME-2, ... that nobody else has made. */
static struct matrix_error *make_named(struct record_file *file)
{
    const time_t now = time(NULL);
    struct tm local;
    char stem[sizeof(file->name) - 16];
    if (!localtime_r(&now, &local) ||
        !strftime(stem, sizeof(stem), KSM_RECORD_PREFIX "%Y%m%d-%H%M%S", &local))
        return error_host(EOVERFLOW, "name the recording after the time");
    file->path = file->name;
    snprintf(file->name, sizeof(file->name), "%s" KSM_RECORD_SUFFIX, stem);
    for (unsigned i = 2; i <= NAMES_MAX; i++) {
        RETURN_IF_ERROR(ksm_store_make_file(file->name, true, &file->made));
        if (file->made)
            return NULL;
        snprintf(file->name, sizeof(file->name), "%s-%u" KSM_RECORD_SUFFIX, stem, i);
    }
    return error_usage("name it: --out FILE", "there are %d recordings of this second", NAMES_MAX);
}

struct matrix_error *ksm_record_file_make(struct record_file *file, const char *out, bool append)
{
    file->path = out;
    return out ? ksm_store_make_file(out, append, &file->made) : make_named(file);
}

bool ksm_record_file_discard(const struct record_file *file)
{
    return file->made && unlink(file->path) == 0;
}
