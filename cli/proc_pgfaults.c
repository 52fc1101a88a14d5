// SPDX-License-Identifier: GPL-2.0-or-later
/* matrix proc pgfaults: the page faults of this machine, once or over time. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/parse.h"
#include "cli/exit_status.h"
#include "cli/json.h"
#include "cli/look.h"
#include "cli/proc.h"
#include <errno.h>
#include <string.h>

#define NS_PER_S 1000000000ULL

#define FAULTS_FILE  "/proc/get_pgfaults" /* of the module get_pgfaults */
#define VMSTAT_FILE  "/proc/vmstat"
#define VMSTAT_FIELD "pgfault "

/* Returns the file that told, or NULL. */
static const char *read_faults(uint64_t *faults)
{
    char line[256];
    CLEANUP_FILE FILE *module = fopen(FAULTS_FILE, "re");
    if (module && fgets(line, sizeof(line), module)) {
        line[strcspn(line, "\n")] = '\0';
        CLEANUP_ERROR struct matrix_error *error = parse_u64(line, 0, UINT64_MAX, faults);
        if (!error)
            return FAULTS_FILE;
    }
    CLEANUP_FILE FILE *file = fopen(VMSTAT_FILE, "re");
    while (file && fgets(line, sizeof(line), file)) {
        if (strncmp(line, VMSTAT_FIELD, strlen(VMSTAT_FIELD)) != 0)
            continue;
        line[strcspn(line, "\n")] = '\0';
        CLEANUP_ERROR struct matrix_error *error =
            parse_u64(line + strlen(VMSTAT_FIELD), 0, UINT64_MAX, faults);
        return error ? NULL : VMSTAT_FILE;
    }
    return NULL;
}

/* per_s negative: there is no rate yet. */
static struct matrix_error *show_faults(const struct proc_options *options, const char *file,
                                        uint64_t faults, double per_s)
{
    char count[FORMAT_BYTES], rate[FORMAT_BYTES];
    if (options->json) {
        json_t *root = json_pack("{s:i, s:s, s:s, s:I, s:o}", "version", PROC_JSON_VERSION,
                                 "source", strcmp(file, FAULTS_FILE) == 0 ? "module" : "proc",
                                 "file", file, "page_faults", (json_int_t)faults,
                                 "page_faults_per_s", per_s < 0 ? json_null() : json_real(per_s));
        return cli_json_print(root, options->has_interval);
    }
    printf("%s page faults since boot", format_count(count, faults));
    if (per_s >= 0)
        printf(", %s per second", format_count(rate, (uint64_t)(per_s + 0.5)));
    putchar('\n');
    if (fflush(stdout) || ferror(stdout))
        return error_host(errno, "write to standard output");
    return NULL;
}

struct matrix_error *proc_pgfaults(struct proc_options *options)
{
    uint64_t faults, before = 0, seen_ns = 0;
    const char *file = NULL;
    const uint64_t started_ns = clock_now_ns(CLOCK_MONOTONIC);
    look_block_ends();
    for (;;) {
        file = read_faults(&faults);
        const uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);
        if (!file)
            return error_new(MATRIX_ERROR_HOST, 0, "as root: matrix modules load get_pgfaults",
                             "count page faults: neither %s nor %s tells", FAULTS_FILE,
                             VMSTAT_FILE);
        const double seconds = (double)(now_ns - seen_ns) / (double)NS_PER_S;
        RETURN_IF_ERROR(
            show_faults(options, file, faults,
                        seen_ns && faults >= before ? (double)(faults - before) / seconds : -1));
        before = faults;
        seen_ns = now_ns;
        const uint64_t next = options->has_interval ? look_next(started_ns, options->interval_ns,
                                                                options->duration_ns)
                                                    : 0;
        if (!next)
            break;
        const int number = look_wait_until(next);
        if (number) {
            options->status = EXIT_SIGNAL + number;
            break;
        }
    }
    if (!options->json)
        printf("source: %s%s\n", strcmp(file, FAULTS_FILE) == 0 ? "module, " : "", file);
    return NULL;
}
