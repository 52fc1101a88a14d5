// SPDX-License-Identifier: GPL-2.0-or-later
/* `matrix ksm experiment`: arguments, what is missing, progress, and what comes of it. */
#include "cli/ksm_experiment.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/parse.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include "cli/json.h"
#include "cli/ksm.h"
#include "cli/ksm_report.h"
#include "ksm/picture.h"
#include <argp.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#define NS_PER_S UINT64_C(1000000000)

/* How often a line is printed where there is no terminal. */
#define LINE_NS (10 * NS_PER_S)

enum { KEY_CHECK = 256, KEY_LAB, KEY_REPORT, KEY_NO_REPORT, KEY_KERNEL };

static const struct argp_option argp_options[] = {
    {"out", 'o', "DIRECTORY", 0, "Where everything goes; must be empty (NAME-results)", 0},
    {"check", KEY_CHECK, NULL, 0, "Only read FILE, and say whether it is right", 0},
    {"lab", KEY_LAB, NULL, 0, "Run it in the lab; results come out to DIRECTORY", 0},
    {"kernel", KEY_KERNEL, "KERNEL", 0, "The lab's kernel, as for `matrix lab run`", 0},
    {"report", KEY_REPORT, "DIRECTORY", 0, "Write the report anew from what is there", 0},
    {"no-report", KEY_NO_REPORT, NULL, 0, "No pictures, no report", 0},
    {"json", 'j', NULL, 0, "Print the results as JSON", 0},
    {"quiet", 'q', NULL, 0, "No progress", 0},
    {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct experiment_arguments *arguments = state->input;
    switch (key) {
    case 'o':
        arguments->out = value;
        return 0;
    case KEY_CHECK:
        arguments->check = true;
        return 0;
    case KEY_LAB:
        arguments->lab = true;
        return 0;
    case KEY_KERNEL:
        arguments->kernel = value;
        return 0;
    case KEY_REPORT:
        arguments->report = value;
        return 0;
    case KEY_NO_REPORT:
        arguments->no_report = true;
        return 0;
    case 'j':
        arguments->json = true;
        return 0;
    case 'q':
        arguments->quiet = true;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->file)
            argp_error(state, "one FILE at a time");
        arguments->file = value;
        return 0;
    case ARGP_KEY_END:
        if (!arguments->file == !arguments->report)
            argp_error(state, "name a FILE (or --report DIRECTORY)");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* --- what must be there ---------------------------------------------------------------------- */

#define LAB_REMEDY "with --lab it runs in a throwaway machine, which needs neither"

static struct matrix_error *check_host(const struct experiment_file *file)
{
    bool guests = false;
    for (size_t i = 0; i < file->step_count; i++)
        guests |= file->steps[i].action == EXPERIMENT_START && file->steps[i].start.is_guest;
    if (access(KSM_DIRECTORY, F_OK))
        return error_new(MATRIX_ERROR_HOST, 0, LAB_REMEDY,
                         "this kernel has no same-page merging (CONFIG_KSM): there is no %s",
                         KSM_DIRECTORY);
    if (access(KSM_DIRECTORY "/run", W_OK))
        return error_new(MATRIX_ERROR_HOST, errno, "run it as root; or " LAB_REMEDY,
                         "write the knobs of KSM in %s", KSM_DIRECTORY);
    if (guests && access("/dev/kvm", R_OK | W_OK))
        return error_new(MATRIX_ERROR_KVM, errno, LAB_REMEDY "; `matrix doctor` says more",
                         "the guests of this experiment need /dev/kvm");
    return NULL;
}

static bool is_empty(const char *directory)
{
    DIR *dir = opendir(directory);
    unsigned entries = 0;
    while (dir && readdir(dir))
        entries++;
    if (dir)
        closedir(dir);
    return entries == 2;
}

static struct matrix_error *make_directory(const char *directory, bool *made)
{
    *made = mkdir(directory, 0755) == 0;
    if (*made)
        return NULL;
    if (errno != EEXIST)
        return error_host(errno, "make the directory %s", directory);
    if (is_empty(directory))
        return NULL;
    return error_usage("name another with --out, or delete it",
                       "%s is there already, and not an empty directory", directory);
}

/* "scan-rates.yaml" is called scan-rates. */
static void name_directory(const struct experiment_arguments *arguments,
                           const struct experiment_file *file, char directory[PATH_MAX])
{
    const char *slash = strrchr(arguments->file, '/');
    const char *name = slash ? slash + 1 : arguments->file;
    const char *dot = strrchr(name, '.');
    if (arguments->out)
        snprintf(directory, PATH_MAX, "%s", arguments->out);
    else
        snprintf(directory, PATH_MAX, "%.*s-results",
                 (int)(dot && dot != name ? dot - name : (ptrdiff_t)strlen(name)), name);
}

/* --- progress -------------------------------------------------------------------------------- */

struct progress {
    const char *directory;
    bool terminal, open; /* open: a passing line stands there */
    uint64_t last_ns;
};

static void say(void *context, bool passing, const char *text)
{
    struct progress *progress = context;
    const uint64_t now = clock_now_ns(CLOCK_MONOTONIC);
    if (passing && !progress->terminal && now - progress->last_ns < LINE_NS)
        return;
    progress->last_ns = now;
    if (progress->open)
        fputs("\r\033[K", stderr);
    cli_print_escaped(stderr, text);
    progress->open = passing && progress->terminal;
    if (!progress->open)
        fputc('\n', stderr);
    fflush(stderr);
}

/* A picture that cannot be drawn is no reason to stop an experiment. */
static void draw_map(void *context, const struct ksm_map *map)
{
    const struct progress *progress = context;
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/" REPORT_MAP_PICTURE, progress->directory);
    struct matrix_error *error = ksm_picture_draw(map, KSM_ROWS, path);
    if (error)
        cli_fail(EXPERIMENT_PROGRAM, error);
}

/* --- running --------------------------------------------------------------------------------- */

static struct matrix_error *write_file(const char *directory, const char *name, const char *text)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    CLEANUP_FILE FILE *file = fopen(path, "we");
    if (!file || fputs(text, file) < 0 || fflush(file))
        return error_host(errno, "write %s", path);
    return NULL;
}

/* Nothing has begun: what was prepared for it goes again. */
static void take_away(const char *directory, bool made)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s/%s", directory, EXPERIMENT_YAML) < PATH_MAX)
        unlink(path);
    if (made)
        rmdir(directory);
}

static struct matrix_error *write_results(const struct experiment_file *file,
                                          const struct experiment_results *results,
                                          const struct matrix_error *ended, const char *directory,
                                          bool print)
{
    json_t *root = experiment_to_json(file, results, ended);
    CLEANUP_FREE char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    if (!text) {
        json_decref(root);
        return error_host(ENOMEM, "write the results");
    }
    struct matrix_error *error = write_file(directory, EXPERIMENT_RESULTS, text);
    if (!error && print)
        return cli_json_print(root, false);
    json_decref(root);
    return error;
}

static int finish(const struct experiment_arguments *arguments, const struct experiment_file *file,
                  const struct experiment_results *results, const char *directory)
{
    struct matrix_error *error = NULL;
    if (!arguments->no_report && !results->signal)
        error = experiment_report(directory);
    if (!error && !arguments->json)
        error = experiment_print(file, results);
    if (!error && !arguments->json && !arguments->no_report && !results->signal)
        printf("%s is in %s\n", EXPERIMENT_REPORT, directory);
    if (!error && (fflush(stdout) || ferror(stdout)))
        error = error_host(errno, "write to standard output");
    if (error)
        return cli_fail(EXPERIMENT_PROGRAM, error);
    if (results->signal) {
        fprintf(stderr, EXPERIMENT_PROGRAM ": ended by signal %d; the knobs are as they were\n",
                results->signal);
        return EXIT_SIGNAL + results->signal;
    }
    if (results->checks_failed == 0)
        return EXIT_SUCCESS;
    fprintf(stderr, EXPERIMENT_PROGRAM ": %u of %zu numbers are not as expected\n",
            results->checks_failed, results->check_count);
    return EXIT_FAILURE;
}

/* A signal that comes when the experiment has ended, and its results are not written yet, waits. */
static void hold_signals(bool hold)
{
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGHUP);
    sigprocmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &ends, NULL);
}

/* error: what ended it before its end; NULL if nothing did. made: the directory is new. */
static int conclude(const struct experiment_arguments *arguments,
                    const struct experiment_file *file, const struct experiment_results *results,
                    struct matrix_error *error, const char *directory, bool made)
{
    if (error && !results->started_realtime_ns) {
        take_away(directory, made);
        return cli_fail(EXPERIMENT_PROGRAM, error);
    }
    struct matrix_error *second =
        write_results(file, results, error, directory, arguments->json && !error);
    if (!results->signal) /* else more of them change nothing */
        hold_signals(false);
    if (error)
        matrix_error_free(second);
    else if (second)
        error = second;
    return error ? cli_fail(EXPERIMENT_PROGRAM, error)
                 : finish(arguments, file, results, directory);
}

static int run(const struct experiment_arguments *arguments, const struct experiment_file *file)
{
    char directory[PATH_MAX];
    bool made = false;
    struct experiment_results results;
    struct progress progress = {.directory = directory, .terminal = isatty(STDERR_FILENO)};
    name_directory(arguments, file, directory);
    const struct experiment_options options = {.directory = directory,
                                               .places = ksm_places(),
                                               .say = arguments->quiet ? NULL : say,
                                               .draw = draw_map,
                                               .context = &progress};
    struct matrix_error *error = arguments->lab ? NULL : check_host(file);
    if (!error)
        error = make_directory(directory, &made);
    if (!error && arguments->lab)
        return experiment_in_lab(arguments, file, directory);
    if (!error)
        error = write_file(directory, EXPERIMENT_YAML, file->text);
    if (error)
        return cli_fail(EXPERIMENT_PROGRAM, error);
    hold_signals(true);
    error = experiment_run(file, &options, &results);
    if (progress.open)
        fputc('\n', stderr);
    const int status = conclude(arguments, file, &results, error, directory, made);
    experiment_results_free(&results);
    return status;
}

static bool is_in(const char *directory, const char *name)
{
    char path[PATH_MAX];
    return snprintf(path, sizeof(path), "%s/%s", directory, name) < PATH_MAX &&
           access(path, F_OK) == 0;
}

/* The results are written at the end, whatever that is, but for SIGKILL. */
static struct matrix_error *report_anew(const char *directory)
{
    char remedy[PATH_MAX + 80];
    if (is_in(directory, EXPERIMENT_RESULTS) || !is_in(directory, EXPERIMENT_RECORDING))
        return experiment_report(directory);
    snprintf(remedy, sizeof(remedy),
             "what was recorded till then is there: matrix ksm plot %s/" EXPERIMENT_RECORDING,
             directory);
    return error_usage(remedy,
                       "the experiment in %s has no results: it still runs, or was killed before "
                       "its end",
                       directory);
}

int ksm_experiment_main(int argc, char **argv)
{
    struct experiment_arguments arguments = {0};
    static const struct argp parser = {
        argp_options,
        parse,
        "FILE",
        "Runs the experiment that a YAML file describes: knobs, VMs, waits, checks; records it, "
        "and writes a report. The knobs of KSM are put back whatever happens.\v"
        "Exit status: 1 a number is not as expected, 122 bad usage or file, 123 no KVM, 125 the "
        "host refused, 128+N signal N.",
        NULL,
        NULL,
        NULL};
    argp_parse(&parser, argc, argv, 0, NULL, &arguments);
    if (arguments.report) {
        struct matrix_error *error = report_anew(arguments.report);
        return error ? cli_fail(EXPERIMENT_PROGRAM, error) : EXIT_SUCCESS;
    }
    struct experiment_file file;
    struct matrix_error *error = experiment_file_read(arguments.file, &file);
    if (error)
        return cli_fail(EXPERIMENT_PROGRAM, error);
    int status = EXIT_SUCCESS;
    if (arguments.check)
        printf("%s: %zu step%s, no fault found\n", arguments.file, file.step_count,
               file.step_count == 1 ? "" : "s");
    else
        status = run(&arguments, &file);
    experiment_file_free(&file);
    return status;
}
