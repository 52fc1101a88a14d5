// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * matrix-doctor: the checklist of what guests need on this host, each with what was found and
 * what would help. Ends with 0 only if guests can run here.
 */
#include "cli/doctor.h"

#include "base/cleanup.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include "cli/json.h"
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <matrix/kvm.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_VERSION 1
#define LINES_MAX    64

static const struct doctor_check checks[] = {
    {.name = "processor", .run = doctor_check_processor},
    {.name = "KVM device", .required = true, .run = doctor_check_device},
    {.name = "KVM API version", .required = true, .run = doctor_check_version},
    {.name = "KVM capability", .run_each = doctor_check_capability},
    {.name = "virtual machine", .required = true, .run = doctor_check_vm},
    {.name = "guest", .required = true, .run = doctor_check_guest},
    {.name = "memory", .run = doctor_check_memory},
    {.name = "locked memory", .run = doctor_check_locked_memory},
    {.name = "huge pages", .run = doctor_check_huge_pages},
    {.name = "page merging (KSM)", .run = doctor_check_ksm},
    {.name = "KSM knobs", .run_each = doctor_check_knobs},
    {.name = "timers", .run = doctor_check_timers},
    {.name = "lab", .run = doctor_check_lab},
    {.name = "kernel modules", .run = doctor_check_modules},
    {.name = "lens", .run = doctor_check_lens},
};

static const struct {
    const char *name, *colour;
} statuses[] = {
    [DOCTOR_OK] = {"ok", "\033[32m"},
    [DOCTOR_WARNING] = {"warning", "\033[33m"},
    [DOCTOR_MISSING] = {"missing", "\033[31m"},
};

struct checklist {
    struct doctor_line lines[LINES_MAX];
    size_t count;
    unsigned required_missing;
};

void doctor_found(struct doctor_line *line, enum doctor_status status, const char *format, ...)
{
    va_list arguments;

    line->status = status;
    va_start(arguments, format);
    vsnprintf(line->found, sizeof(line->found), format, arguments);
    va_end(arguments);
}

void doctor_remedy(struct doctor_line *line, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line->remedy, sizeof(line->remedy), format, arguments);
    va_end(arguments);
}

/* What /proc/cpuinfo says of the first processor. */
static void read_processor(struct doctor_host *host)
{
    CLEANUP_FILE FILE *file = fopen("/proc/cpuinfo", "re");
    CLEANUP_FREE char *line = NULL;
    size_t size = 0;

    while (file && getline(&line, &size, file) > 0 && line[0] != '\n') {
        line[strcspn(line, "\n")] = ' ';
        if (strncmp(line, "vendor_id", strlen("vendor_id")) == 0) {
            host->is_amd = strstr(line, "AMD") || strstr(line, "Hygon");
        } else if (strncmp(line, "flags", strlen("flags")) == 0) {
            host->has_vmx = strstr(line, " vmx ");
            host->has_svm = strstr(line, " svm ");
            host->is_virtual = strstr(line, " hypervisor ");
        }
    }
}

static void run_check(const struct doctor_check *check, const struct doctor_host *host,
                      struct checklist *list)
{
    for (unsigned index = 0; list->count < LINES_MAX; index++) {
        struct doctor_line *line = &list->lines[list->count];
        *line = (struct doctor_line){.name = check->name, .required = check->required};
        if (check->run)
            check->run(host, line);
        else if (!check->run_each(host, index, line))
            break;
        list->count++;
        list->required_missing += line->required && line->status == DOCTOR_MISSING;
        if (check->run)
            break;
    }
}

static void print_text(const struct checklist *list)
{
    bool colour = cli_wants_colour(stdout);

    for (size_t i = 0; i < list->count; i++) {
        const struct doctor_line *line = &list->lines[i];
        printf("%s%-8s%s ", colour ? statuses[line->status].colour : "",
               statuses[line->status].name, colour ? "\033[0m" : "");
        printf("%-23s ", line->name);
        cli_print_escaped(stdout, line->found);
        if (line->remedy[0]) {
            printf("\n%33s-> ", "");
            cli_print_escaped(stdout, line->remedy);
        }
        putchar('\n');
    }
    if (list->required_missing)
        printf(
            "\nGuests cannot run here: %u of what they need %s missing. `matrix lab` has a KVM of "
            "its own.\n",
            list->required_missing, list->required_missing == 1 ? "is" : "are");
    else
        puts("\nGuests can run here.");
}

static void print_json(const struct checklist *list)
{
    json_t *array = json_array();
    for (size_t i = 0; i < list->count; i++) {
        const struct doctor_line *line = &list->lines[i];
        json_array_append_new(
            array,
            json_pack("{s:o, s:s, s:o, s:o, s:b}", "name", cli_json_string(line->name), "status",
                      statuses[line->status].name, "found", cli_json_string(line->found), "remedy",
                      line->remedy[0] ? cli_json_string(line->remedy) : json_null(), "required",
                      line->required));
    }
    json_t *root = json_pack("{s:i, s:b, s:o}", "version", JSON_VERSION, "usable",
                             list->required_missing == 0, "checks", array);
    json_dumpf(root, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(root);
}

struct options {
    const char *kvm_path;
    bool json;
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;

    switch (key) {
    case 'j':
        options->json = true;
        return 0;
    case 'k':
        options->kvm_path = argument;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "unexpected argument '%s'", argument);
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options =
        (const struct argp_option[]){
            {"json", 'j', NULL, 0, "One JSON object", 0},
            {"kvm", 'k', "PATH", 0, "The KVM device (" MATRIX_KVM_PATH ")", 0},
            {0},
        },
    .parser = parse_option,
    .doc = "Checks what this host can do for guests, and says what would help. "
           "Ends with 0 only if guests can run here.",
};

int main(int argc, char **argv)
{
    cli_open_standard_files();
    static struct checklist list;
    struct options options = {.kvm_path = MATRIX_KVM_PATH};

    cli_parse("matrix doctor", &argp, argc, argv, 0, &options);

    struct doctor_host host = {.kvm_path = options.kvm_path};
    read_processor(&host);
    host.kvm_fd = open(host.kvm_path, O_RDWR | O_CLOEXEC);
    host.kvm_number = errno;
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
        run_check(&checks[i], &host, &list);
    if (host.kvm_fd >= 0)
        close(host.kvm_fd);

    (options.json ? print_json : print_text)(&list);
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "matrix-doctor: write the checklist: %s\n", strerror(errno));
        return EXIT_HOST;
    }
    return list.required_missing ? EXIT_FAILURE : EXIT_SUCCESS;
}
