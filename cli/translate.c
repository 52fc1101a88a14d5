// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * matrix-translate, which `matrix translate` starts: follows addresses of a guest or a process to
 * physical memory, and says who shares a merged page.
 */
#include "cli/translate.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include <argp.h>
#include <errno.h>
#include <string.h>

#define NAMES_SHOWN 8

enum { KEY_PHYSICAL = 256, KEY_HOST, KEY_SOURCE, KEY_VCPU, KEY_ALONE };

static const struct argp_option option_table[] = {
    {"json", 'j', NULL, 0, "JSON, with units in the names", 0},
    {"physical", KEY_PHYSICAL, NULL, 0, "The addresses are guest-physical", 0},
    {"host", KEY_HOST, NULL, 0, "They are host-virtual: of the process, whatever it runs", 0},
    {"vcpu", KEY_VCPU, "N", 0, "By this virtual CPU of the guest (0)", 0},
    {"alone", KEY_ALONE, NULL, 0, "Do not look for who shares a merged page", 0},
    {"source", KEY_SOURCE, "module|proc", 0,
     "Physical addresses by this one (the module, if it can be used)", 0},
    {0},
};

static struct matrix_error *set_value(struct translate_options *options, int key,
                                      const char *argument)
{
    uint64_t number = 0;
    if (key == KEY_VCPU) {
        RETURN_IF_ERROR(parse_u64(argument, 0, MATRIX_VCPUS_MAX - 1, &number));
        options->vcpu = (unsigned)number;
        options->has_vcpu = true;
        return NULL;
    }
    options->source = strcmp(argument, "proc") == 0 ? MATRIX_LENS_PROC : MATRIX_LENS_MODULE;
    return options->source == MATRIX_LENS_PROC || strcmp(argument, "module") == 0
               ? NULL
               : error_usage("use module or proc", "no such source: %s", argument);
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct translate_options *options = state->input;
    struct matrix_error *error = NULL;
    switch (key) {
    case 'j':
        options->json = true;
        break;
    case KEY_PHYSICAL:
        options->physical = true;
        break;
    case KEY_HOST:
        options->host = true;
        break;
    case KEY_ALONE:
        options->alone = true;
        break;
    case KEY_VCPU:
    case KEY_SOURCE:
        error = set_value(options, key, argument);
        break;
    case ARGP_KEY_ARGS:
        options->target = state->argv[state->next];
        options->addresses = state->argv + state->next + 1;
        options->address_count = (size_t)(state->argc - state->next - 1);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    if (error)
        exit(cli_fail(PROGRAM, error));
    return 0;
}

static const struct argp argp = {
    .options = option_table,
    .parser = parse_option,
    .args_doc = "PID|GUEST ADDRESS...",
    .doc =
        "Follows an address: guest virtual, guest physical, host virtual, host physical, and who "
        "else has that page if KSM has merged it. GUEST is the name of one that runs, PID:NAME, "
        "or the path of a control socket. Addresses of a guest of Matrix are guest-virtual, of "
        "any other process host-virtual.\v"
        "Exit status: 0, or 1 if an address could not be followed to its end; 122 bad usage, 125 "
        "the host refused.",
};

/* --- the target ------------------------------------------------------------------------------ */

static struct matrix_error *several(const struct translate_options *options,
                                    const struct ksm_guests *guests)
{
    char names[NAMES_SHOWN * (CONTROL_NAME_BYTES + 2)] = "";
    size_t length = 0;
    for (size_t i = 0; i < guests->count && i < NAMES_SHOWN; i++)
        length += (size_t)snprintf(names + length, sizeof(names) - length, "%s%s", i ? ", " : "",
                                   guests->vms[i].name);
    return error_usage("write PID:NAME, or --host for addresses of the process itself",
                       "%s runs %zu guests: %s%s", options->target, guests->count, names,
                       guests->count > NAMES_SHOWN ? ", ..." : "");
}

/* A process as such, whatever it runs. */
static struct matrix_error *find_host(pid_t pid, struct target *target)
{
    struct matrix_lens *lens;
    struct matrix_lens_task task;
    RETURN_IF_ERROR(matrix_lens_open(MATRIX_LENS_PROC, &lens));
    struct matrix_error *error = matrix_lens_process(lens, pid, &task);
    matrix_lens_close(lens);
    RETURN_IF_ERROR(error);
    target->subject = (struct ksm_subject){.pid = task.pid};
    snprintf(target->subject.name, sizeof(target->subject.name), "%s", task.name);
    target->first = STAGE_HOST_VIRTUAL;
    return NULL;
}

/* A process that runs no guest of Matrix. */
static struct matrix_error *find_process(const struct translate_options *options, pid_t pid,
                                         struct target *target)
{
    struct ksm_subject_list list = {0};
    char text[16];
    snprintf(text, sizeof(text), "%d", pid);
    RETURN_IF_ERROR(ksm_subject_find(text, &list));
    if (list.count == 0)
        return error_host(ESRCH, "find process %d", pid);
    target->subject = list.subjects[0];
    list.subjects[0].regions = NULL; /* moved */
    ksm_subject_list_free(&list);
    target->first = STAGE_HOST_VIRTUAL;
    if (options->physical && target->subject.kind != KSM_QEMU)
        return error_usage("give its host-virtual addresses, without --physical",
                           "process %d is no guest whose memory is known", pid);
    if (options->physical)
        target->first = STAGE_GUEST_PHYSICAL;
    return NULL;
}

static struct matrix_error *check_vcpu(const struct translate_options *options,
                                       const struct target *target)
{
    if (!options->has_vcpu)
        return NULL;
    if (target->first != STAGE_GUEST_VIRTUAL || !target->vm)
        return error_usage("leave it out",
                           "--vcpu is for guest-virtual addresses of a guest of Matrix only");
    if (options->vcpu < target->vm->vcpus)
        return NULL;
    return error_usage("they are counted from 0", "--vcpu %u: guest %s has %u virtual CPU%s",
                       options->vcpu, target->vm->name, target->vm->vcpus,
                       target->vm->vcpus == 1 ? "" : "s");
}

static struct matrix_error *find_guest(const struct translate_options *options,
                                       struct ksm_guests *guests, struct target *target)
{
    if (guests->count > 1)
        return several(options, guests);
    target->vm = TAKE(guests->vms);
    target->first = options->physical ? STAGE_GUEST_PHYSICAL : STAGE_GUEST_VIRTUAL;
    return ksm_guest_subject(target->vm, &target->subject);
}

static struct matrix_error *find_target(const struct translate_options *options,
                                        struct target *target)
{
    struct ksm_guests guests = {0};
    uint64_t number = 0;
    struct matrix_error *error = parse_u64(options->target, 1, INT32_MAX, &number);
    matrix_error_free(error);
    if (options->physical && options->host)
        return error_usage(NULL, "--physical and --host exclude each other");
    if (number && options->host)
        return find_host((pid_t)number, target);
    error =
        number ? ksm_guests_of((pid_t)number, &guests) : ksm_guests_named(options->target, &guests);
    if (!error && options->host)
        error = find_host(guests.vms[0].pid, target);
    else if (!error)
        error = guests.count ? find_guest(options, &guests, target)
                             : find_process(options, (pid_t)number, target);
    free(guests.vms);
    return error;
}

/* --- the whole ------------------------------------------------------------------------------- */

static struct matrix_error *read_addresses(struct translation *translation)
{
    const struct translate_options *options = translation->options;
    translation->chains = calloc(options->address_count, sizeof(*translation->chains));
    if (!translation->chains)
        return error_host(ENOMEM, "translate addresses");
    for (size_t i = 0; i < options->address_count; i++)
        RETURN_IF_ERROR(error_prefix(
            parse_u64(options->addresses[i], 0, UINT64_MAX, &translation->chains[i].start),
            "an address"));
    translation->count = options->address_count;
    return NULL;
}

static struct matrix_error *translate(struct translation *translation)
{
    RETURN_IF_ERROR(read_addresses(translation));
    RETURN_IF_ERROR(find_target(translation->options, &translation->target));
    RETURN_IF_ERROR(check_vcpu(translation->options, &translation->target));
    for (size_t i = 0; i < translation->count; i++)
        translation->chains[i].first = translation->target.first;
    RETURN_IF_ERROR(matrix_lens_open(translation->options->source, &translation->lens));
    RETURN_IF_ERROR(translate_follow(translation));
    if (translation->options->json)
        return translate_print_json(translation);
    translate_print(translation);
    return ferror(stdout) || fflush(stdout) ? error_host(errno, "write to standard output") : NULL;
}

int main(int argc, char **argv)
{
    cli_open_standard_files();
    struct translate_options options = {.source = MATRIX_LENS_BEST};
    struct translation translation = {.options = &options};
    int status = EXIT_SUCCESS;
    cli_parse(PROGRAM, &argp, argc, argv, 0, &options);
    struct matrix_error *error =
        options.address_count ? translate(&translation)
                              : error_usage("see `" PROGRAM " --help`",
                                            "name a process or a guest, and an address or more");
    for (size_t i = 0; i < translation.count; i++)
        if (translation.chains[i].missing[0])
            status = EXIT_FAILURE;
    ksm_subject_list_free(&translation.subjects);
    free(translation.sharers.sharers);
    free(translation.target.subject.regions);
    free(translation.target.vm);
    free(translation.chains);
    matrix_lens_close(translation.lens);
    return error ? cli_fail(PROGRAM, error) : status;
}
