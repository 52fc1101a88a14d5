// SPDX-License-Identifier: GPL-2.0-or-later
/* What the tests of suite kvm share; see host.h. */
#include "tests/kvm/host.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUN_LIMIT_NS (240 * SECOND_NS)

struct matrix_kvm *host_kvm;
static const char *build;

int host_run_tests(int argc, char **argv, const char *group, const struct CMUnitTest *tests,
                   size_t count)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s BUILD-DIRECTORY\n", argv[0]);
        return 2;
    }
    build = argv[1];
    struct matrix_error *error = matrix_kvm_open(NULL, &host_kvm);
    if (error) {
        printf("1..0 # SKIP %s: %s\n", group, error->message);
        matrix_error_free(error);
        return 0;
    }
    int failed = _cmocka_run_group_tests(group, tests, count, NULL, NULL);
    matrix_kvm_close(host_kvm);
    return failed;
}

bool host_is_emulated(void)
{
    char line[512];
    bool found = false;
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file && fgets(line, sizeof(line), file))
        found |= strncmp(line, "model name", 10) == 0 && strstr(line, "QEMU TCG");
    if (file)
        fclose(file);
    return found;
}

void assert_success(struct matrix_error *error)
{
    char message[1024];
    if (!error)
        return;
    snprintf(message, sizeof(message), "%s", error->message);
    matrix_error_free(error);
    fail_msg("%s", message);
}

void assert_refused(struct matrix_error *error, enum matrix_error_kind kind, const char *text)
{
    assert_non_null(error);
    assert_contains(error->message, text);
    assert_int_equal(error->kind, kind);
    matrix_error_free(error);
}

void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' is missing in:\n%s", part, text);
}

/* --- guests ------------------------------------------------------------------------------ */

const char *test_guest_path(const char *image)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/tests/kvm/guests/%s.elf", build, image);
    if (access(path, F_OK) < 0)
        snprintf(path, sizeof(path), "%s/guest/%s.elf", build, image);
    return path;
}

struct test_guest test_guest_create(struct matrix_vm_options options)
{
    struct test_guest guest = {.fd = memfd_create("output", MFD_CLOEXEC)};
    assert_true(guest.fd >= 0);
    assert_success(matrix_output_create(guest.fd, &guest.output));
    options.output = guest.output;
    options.name = options.name ? options.name : options.argv[0];
    options.input_fd = options.input_fd ? options.input_fd : -1;
    assert_success(
        matrix_vm_create(host_kvm, test_guest_path(options.argv[0]), &options, &guest.vm));
    return guest;
}

void test_guest_destroy(struct test_guest *guest)
{
    matrix_vm_destroy(guest->vm);
    matrix_output_destroy(guest->output);
    close(guest->fd);
    free(guest->text);
    *guest = (struct test_guest){.fd = -1};
}

struct matrix_core_result test_guest_run(struct test_guest *guest)
{
    struct matrix_core_options options = {.cpu = -1, .duration_ns = RUN_LIMIT_NS};
    struct matrix_core *core = test_core_create(options, guest, NULL, 1);
    struct matrix_core_result result = test_core_run(core);
    matrix_core_destroy(core);
    return result;
}

const char *test_guest_text(struct test_guest *guest)
{
    struct stat status;
    assert_int_equal(fstat(guest->fd, &status), 0);
    free(guest->text);
    guest->text = calloc(1, (size_t)status.st_size + 1);
    assert_non_null(guest->text);
    assert_int_equal(pread(guest->fd, guest->text, (size_t)status.st_size, 0), status.st_size);
    return guest->text;
}

struct matrix_vm_info test_guest_info(const struct test_guest *guest)
{
    struct matrix_vm_info info;
    matrix_vm_info(guest->vm, &info);
    return info;
}

void assert_exits(struct test_guest guest, int status)
{
    if (test_guest_info(&guest).state == MATRIX_VM_ALIVE)
        test_guest_run(&guest);
    struct matrix_vm_info info = test_guest_info(&guest);
    if (info.state != MATRIX_VM_EXITED || info.status != status)
        fail_msg("%s: %s with status %d, not exited with %d; it printed:\n%s", info.name,
                 matrix_vm_state_name(info.state), info.status, status, test_guest_text(&guest));
    test_guest_destroy(&guest);
}

/* --- cores ------------------------------------------------------------------------------- */

struct matrix_core *test_core_create(struct matrix_core_options options,
                                     const struct test_guest *guests, const unsigned *weights,
                                     size_t count)
{
    struct matrix_core *core;
    assert_success(matrix_core_create(&options, &core));
    for (size_t i = 0; i < count; i++)
        assert_success(matrix_core_add(core, guests[i].vm, weights ? weights[i] : 1));
    return core;
}

struct matrix_core_result test_core_run(struct matrix_core *core)
{
    struct matrix_core_result result;
    assert_success(matrix_core_run(core, &result));
    return result;
}

void test_stop_when_ended(struct matrix_core *core, void *guest)
{
    if (test_guest_info(guest).state != MATRIX_VM_ALIVE)
        matrix_core_stop(core);
}

struct matrix_core_guest test_core_guest(const struct matrix_core *core, size_t index)
{
    struct matrix_core_guest guest;
    assert_true(matrix_core_guest(core, index, &guest));
    return guest;
}

struct matrix_core_statistics test_core_statistics(const struct matrix_core *core)
{
    struct matrix_core_statistics statistics;
    matrix_core_statistics(core, &statistics);
    return statistics;
}

double test_share_tolerance(const struct matrix_core *core, double total_ns, uint64_t slice_ns)
{
    const uint64_t overrun_ns = test_core_statistics(core).delay_worst_ns;
    const double time = (double)(slice_ns + 4 * MILLISECOND_NS + overrun_ns) / total_ns;
    return time > 0.001 ? time : 0.001;
}

void assert_share(const struct matrix_core *core, size_t index, double promised)
{
    const struct matrix_core_guest guest = test_core_guest(core, index);
    const double total = (double)guest.contended_total_ns;
    const double tolerance = test_share_tolerance(core, total, MATRIX_SLICE_DEFAULT_NS);

    print_message("# guest %zu: promised %.5f, given %.5f, tolerance %.5f\n", index, guest.promised,
                  guest.given, tolerance);
    assert_true(total > 0);
    assert_true(fabs(guest.promised - promised) < tolerance);
    assert_true(fabs(guest.given - promised) < tolerance);
    assert_true(guest.contended_cpu_ns + guest.alone_cpu_ns == guest.cpu_ns);
}
