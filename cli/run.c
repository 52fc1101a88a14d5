// SPDX-License-Identifier: GPL-2.0-or-later
/* `matrix run`: one guest, in the foreground; exits with the guest's status. */
#include "cli/run.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "cli/common.h"
#include "cli/control.h"
#include "cli/exit_status.h"
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

/* How the run ended, as an exit status; the table in the manual. */
static int exit_status(const struct run_result *result, const struct matrix_output *output)
{
    struct matrix_vm_info info;
    matrix_vm_info(result->vm, &info);
    const bool all_written = !matrix_output_failed(output) && !result->output_left;
    if (info.state == MATRIX_VM_EXITED && all_written)
        return info.status;
    if (info.state == MATRIX_VM_FAULTED)
        return EXIT_GUEST_FAULT;
    if (result->end.end == MATRIX_CORE_SIGNAL)
        return EXIT_SIGNAL + result->end.signal;
    if (result->end.end == MATRIX_CORE_DURATION)
        return EXIT_TIMEOUT;
    if (matrix_output_failed(output) == EPIPE)
        return EXIT_SIGNAL + SIGPIPE;
    return EXIT_HOST;
}

static void print_translations(FILE *file, const struct run_options *options, struct matrix_vm *vm)
{
    for (unsigned i = 0; i < options->translate_count; i++) {
        struct matrix_translation t;
        struct matrix_error *error = matrix_vm_translate(vm, options->translate[i], &t);
        if (error) {
            cli_fail("matrix run", error);
            continue;
        }
        char size[FORMAT_BYTES];
        uint64_t offset;
        const char *symbol = matrix_vm_symbol(vm, t.gva, &offset);
        fprintf(file, "gva %#" PRIx64, t.gva);
        if (!t.mapped)
            fputs(" is not mapped", file);
        else
            fprintf(file, " -> gpa %#" PRIx64 " -> hva %#" PRIx64 "  page %s  %c%c%c", t.gpa, t.hva,
                    format_size(size, t.page_bytes), t.readable ? 'r' : '-', t.writable ? 'w' : '-',
                    t.executable ? 'x' : '-');
        if (symbol)
            fprintf(file, "  %s+%#" PRIx64, symbol, offset);
        fputs(t.agree ? "\n" : "  (KVM_TRANSLATE DISAGREES)\n", file);
    }
}

static void print_statistics(FILE *file, const struct run_result *result)
{
    struct matrix_vm_info info;
    struct matrix_core_guest guest;
    struct matrix_core_statistics loop;
    char cpu[FORMAT_BYTES], wall[FORMAT_BYTES], count[FORMAT_BYTES];
    matrix_vm_info(result->vm, &info);
    matrix_core_guest(result->core, 0, &guest);
    matrix_core_statistics(result->core, &loop);
    cli_print_escaped(file, info.name);
    fprintf(file, ": %s of CPU time in %s, %s exits:", format_duration(cpu, guest.cpu_ns),
            format_duration(wall, loop.wall_ns), format_count(count, info.exits_total));
    for (unsigned kind = 0; kind < MATRIX_EXIT_KIND_COUNT; kind++)
        if (info.exits[kind])
            fprintf(file, " %s %s", matrix_exit_kind_name(kind),
                    format_count(count, info.exits[kind]));
    fputc('\n', file);
}

static void print_report(const struct matrix_report *report)
{
    pid_t pid = 0;
    struct matrix_error *error = matrix_report_print(report, STDERR_FILENO, false, &pid);
    if (error)
        cli_fail("matrix run", error);
    if (pid)
        waitpid(pid, NULL, 0);
}

/* What there is to say for people: nothing if all went well. */
static void print_end(FILE *file, const struct run_options *options,
                      const struct run_result *result, int failed)
{
    if (result->end.end == MATRIX_CORE_DURATION) {
        fputs("matrix run: ", file);
        cli_print_escaped(file, options->name);
        fputs(": the time limit was up\n", file);
    }
    if (failed && failed != EPIPE)
        fprintf(file, "matrix run: write what the guest prints: %s\n", strerror(failed));
    print_translations(file, options, result->vm);
    if (options->statistics)
        print_statistics(file, result);
}

/* Says it in a way that a stopped terminal cannot hold up: a time limit is a limit. */
static struct matrix_error *show_end(const struct run_options *options,
                                     const struct run_result *result, int failed)
{
    CLEANUP_FREE char *text = NULL;
    size_t bytes = 0;
    struct matrix_output *errors = NULL;
    FILE *file = open_memstream(&text, &bytes);
    if (!file)
        return error_host(errno, "say how the run ended");
    print_end(file, options, result, failed);
    fclose(file);
    RETURN_IF_ERROR(matrix_output_create(STDERR_FILENO, &errors));
    matrix_output_write(errors, text, bytes);
    matrix_output_destroy(errors);
    return NULL;
}

static struct matrix_error *start_control(struct matrix_core *core, const char *option,
                                          struct control_server **control)
{
    const struct control_guests guests = control_guests_of_core(core);
    return cli_control_start(&guests, option, control);
}

static struct matrix_error *run(struct run_options *options, struct matrix_kvm *kvm,
                                struct matrix_output *output, int *status)
{
    struct run_result result = {0};
    struct matrix_core *core = NULL;
    struct control_server *control = NULL;
    struct matrix_history *history = NULL;
    options->vm.output = output;
    options->vm.output_escape =
        !options->raw && isatty(options->json ? STDERR_FILENO : STDOUT_FILENO);

    struct matrix_error *error = matrix_history_create(RUN_HISTORY_BYTES, &history);
    options->vm.history = history;
    if (!error)
        error = matrix_vm_create(kvm, options->path, &options->vm, &result.vm);
    if (!error)
        error = matrix_core_create(&options->core, &core);
    if (!error)
        error = matrix_core_add(core, result.vm, 1);
    if (!error)
        error = start_control(core, options->control, &control);
    struct run_console console = {.core = core, .vm = result.vm, .history = history};
    run_console_serve(&console, control);
    if (!error)
        error = matrix_core_run(core, &result.end);
    control_server_stop(control);
    result.core = core;
    if (!error) {
        /* The core waits for the reader; something is left if it was told not to wait longer. */
        result.output_left = !matrix_output_flush(output);
        *status = result.exit_status = exit_status(&result, output);
        if (options->json) {
            error = run_print_json(options, &result);
        } else {
            if (matrix_vm_report(result.vm))
                print_report(matrix_vm_report(result.vm));
            error = show_end(options, &result, matrix_output_failed(output));
        }
    }
    matrix_core_destroy(core);
    matrix_vm_destroy(result.vm);
    matrix_history_destroy(history);
    return error;
}

int run_main(int argc, char **argv)
{
    struct run_options options;
    struct matrix_kvm *kvm = NULL;
    struct matrix_output *output = NULL;
    int status = EXIT_HOST;

    run_options_parse(argc, argv, &options);
    /* A reader that is gone is an errno (EPIPE), not the end of the monitor. */
    signal(SIGPIPE, SIG_IGN);
    struct matrix_error *error =
        matrix_output_create(options.json ? STDERR_FILENO : STDOUT_FILENO, &output);
    if (!error)
        error = matrix_kvm_open(options.kvm_path, &kvm);
    if (!error)
        error = run(&options, kvm, output, &status);
    matrix_output_destroy(output);
    matrix_kvm_close(kvm);
    return error ? cli_fail("matrix run", error) : status;
}
