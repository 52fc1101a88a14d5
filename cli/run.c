// SPDX-License-Identifier: GPL-2.0-or-later
/* `matrix run`: one guest, in the foreground; exits with the guest's status. */
#include "cli/run.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
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

static void print_translations(const struct run_options *options, struct matrix_vm *vm)
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
        fprintf(stderr, "gva %#" PRIx64, t.gva);
        if (!t.mapped)
            fputs(" is not mapped", stderr);
        else
            fprintf(stderr, " -> gpa %#" PRIx64 " -> hva %#" PRIx64 "  page %s  %c%c%c", t.gpa,
                    t.hva, format_size(size, t.page_bytes), t.readable ? 'r' : '-',
                    t.writable ? 'w' : '-', t.executable ? 'x' : '-');
        if (symbol)
            fprintf(stderr, "  %s+%#" PRIx64, symbol, offset);
        fputs(t.agree ? "\n" : "  (KVM_TRANSLATE DISAGREES)\n", stderr);
    }
}

static void print_statistics(const struct run_result *result)
{
    struct matrix_vm_info info;
    struct matrix_core_guest guest;
    struct matrix_core_statistics loop;
    char cpu[FORMAT_BYTES], wall[FORMAT_BYTES], count[FORMAT_BYTES];
    matrix_vm_info(result->vm, &info);
    matrix_core_guest(result->core, 0, &guest);
    matrix_core_statistics(result->core, &loop);
    cli_print_escaped(stderr, info.name);
    fprintf(stderr, ": %s of CPU time in %s, %s exits:", format_duration(cpu, guest.cpu_ns),
            format_duration(wall, loop.wall_ns), format_count(count, info.exits_total));
    for (unsigned kind = 0; kind < MATRIX_EXIT_KIND_COUNT; kind++)
        if (info.exits[kind])
            fprintf(stderr, " %s %s", matrix_exit_kind_name(kind),
                    format_count(count, info.exits[kind]));
    fputc('\n', stderr);
}

/* What there is to say for people: nothing if all went well. */
static void print_end(const struct run_options *options, const struct run_result *result,
                      const struct matrix_output *output)
{
    const struct matrix_report *report = matrix_vm_report(result->vm);
    if (report) {
        pid_t pid = 0;
        struct matrix_error *error = matrix_report_print(report, STDERR_FILENO, false, &pid);
        if (error)
            cli_fail("matrix run", error);
        if (pid)
            waitpid(pid, NULL, 0);
    }
    if (result->end.end == MATRIX_CORE_DURATION) {
        fputs("matrix run: ", stderr);
        cli_print_escaped(stderr, options->name);
        fputs(": the time limit was up\n", stderr);
    }
    const int failed = matrix_output_failed(output);
    if (failed && failed != EPIPE)
        cli_fail("matrix run", error_host(failed, "write what %s prints", options->name));
    print_translations(options, result->vm);
    if (options->statistics)
        print_statistics(result);
}

static struct matrix_error *run(struct run_options *options, struct matrix_kvm *kvm,
                                struct matrix_output *output, int *status)
{
    struct run_result result = {0};
    struct matrix_core *core = NULL;
    options->vm.output = output;
    options->vm.output_escape =
        !options->raw && isatty(options->json ? STDERR_FILENO : STDOUT_FILENO);

    struct matrix_error *error = matrix_vm_create(kvm, options->path, &options->vm, &result.vm);
    if (!error)
        error = matrix_core_create(&options->core, &core);
    if (!error)
        error = matrix_core_add(core, result.vm, 1);
    if (!error)
        error = matrix_core_run(core, &result.end);
    result.core = core;
    if (!error) {
        /* The core waits for the reader; something is left if it was told not to wait longer. */
        result.output_left = !matrix_output_flush(output);
        *status = result.exit_status = exit_status(&result, output);
        if (options->json)
            error = run_print_json(options, &result);
        else
            print_end(options, &result, output);
    }
    matrix_core_destroy(core);
    matrix_vm_destroy(result.vm);
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
