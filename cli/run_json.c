// SPDX-License-Identifier: GPL-2.0-or-later
/* The result of `matrix run --json`. */
#include "base/error.h"
#include "cli/run.h"
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Addresses use all 64 bits, more than a JSON number holds everywhere: they are strings. */
static json_t *address(uint64_t value)
{
    return json_sprintf("0x%" PRIx64, value);
}

static json_t *translations(const struct run_options *options, struct matrix_vm *vm)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < options->translate_count; i++) {
        struct matrix_translation t;
        struct matrix_error *error = matrix_vm_translate(vm, options->translate[i], &t);
        if (error) {
            json_array_append_new(list,
                                  json_pack("{s:o, s:s}", "gva", address(options->translate[i]),
                                            "error", error->message));
            matrix_error_free(error);
            continue;
        }
        json_array_append_new(
            list, json_pack("{s:o, s:b, s:o, s:o, s:I, s:b, s:b, s:b, s:b}", "gva", address(t.gva),
                            "mapped", t.mapped, "gpa", t.mapped ? address(t.gpa) : json_null(),
                            "hva", t.mapped ? address(t.hva) : json_null(), "page_bytes",
                            (json_int_t)t.page_bytes, "readable", t.readable, "writable",
                            t.writable, "executable", t.executable, "kvm_agrees", t.agree));
    }
    return list;
}

/* The report as matrix-report writes it, read back through a file without a name. */
static json_t *fault(const struct matrix_report *report)
{
    json_t *object = NULL;
    FILE *file = NULL;
    pid_t pid = 0;
    int fd = memfd_create("matrix-report", MFD_CLOEXEC);
    struct matrix_error *error = fd < 0 ? NULL : matrix_report_print(report, fd, true, &pid);
    if (pid)
        waitpid(pid, NULL, 0);
    if (!error && fd >= 0 && (file = fdopen(fd, "r"))) {
        rewind(file);
        object = json_loadf(file, 0, NULL);
    }
    matrix_error_free(error);
    if (file)
        fclose(file);
    else if (fd >= 0)
        close(fd);
    return object ? object : json_pack("{s:s}", "reason", report->reason);
}

static json_t *exits(const struct matrix_vm_info *info)
{
    json_t *object = json_object();
    for (unsigned kind = 0; kind < MATRIX_EXIT_KIND_COUNT; kind++)
        json_object_set_new(object, matrix_exit_kind_name(kind),
                            json_integer((json_int_t)info->exits[kind]));
    return object;
}

struct matrix_error *run_print_json(const struct run_options *options,
                                    const struct run_result *result)
{
    struct matrix_vm_info info;
    struct matrix_core_guest guest;
    struct matrix_core_statistics loop;
    matrix_vm_info(result->vm, &info);
    matrix_core_guest(result->core, 0, &guest);
    matrix_core_statistics(result->core, &loop);
    const struct matrix_report *report = matrix_vm_report(result->vm);

    json_t *root =
        json_pack("{s:i, s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:i, s:o, s:o, s:o}", "version", 1,
                  "name", info.name, "state", matrix_vm_state_name(info.state), "exit_status",
                  result->exit_status, "cpu_ns", (json_int_t)guest.cpu_ns, "wall_ns",
                  (json_int_t)loop.wall_ns, "memory_bytes", (json_int_t)info.memory_bytes, "work",
                  (json_int_t)info.work, "exits_total", (json_int_t)info.exits_total, "vcpus",
                  (int)info.vcpus, "exits", exits(&info), "translations",
                  translations(options, result->vm), "fault", report ? fault(report) : json_null());
    if (!root || json_dumpf(root, stdout, JSON_COMPACT) < 0 || putchar('\n') == EOF ||
        fflush(stdout) == EOF) {
        json_decref(root);
        return error_host(errno, "write the result as JSON");
    }
    json_decref(root);
    return NULL;
}
