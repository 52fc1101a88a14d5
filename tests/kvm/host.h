/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of suite kvm share: the opened /dev/kvm, guests whose output can be read, and
 * cores that run them. Everything here fails the running test where the monitor returns an error.
 */
#ifndef TESTS_KVM_HOST_H
#define TESTS_KVM_HOST_H

#include <matrix/matrix.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* After those that it needs. */
#include <cmocka.h>

#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))
#define MILLISECOND_NS 1000000ULL
#define SECOND_NS      1000000000ULL

/*
 * A machine that is slow, or stands still for a while, has not come as far as others when a run is over. Where
 * something is to be seen in a run it is made anew for twice as long, until it is seen; what is not seen in one as
 * long as this is not there.
 */
#define TEST_LONGEST_NS (32 * SECOND_NS)

extern struct matrix_kvm *host_kvm;

/*
 * Runs the tests of one program, to be returned from main. argv[1] is the build directory, where
 * the guests are. Without a usable KVM the whole program is skipped, and says why.
 */
int host_run_tests(int argc, char **argv, const char *group, const struct CMUnitTest *tests,
                   size_t count);

/* Whether the processor itself is software (QEMU TCG, as in the lab), with gaps of its own. */
bool host_is_emulated(void);

/* Ends the running test as skipped; the script tests/tap adds the reason to its line. */
#define SKIP_BECAUSE(...)                              \
    do {                                               \
        print_message("# skip: " __VA_ARGS__), skip(); \
    } while (0)

/* Fails the running test, with the message, if error is one; frees it. */
void assert_success(struct matrix_error *error);

/* Fails the running test unless error is one of that kind whose message contains text. */
void assert_refused(struct matrix_error *error, enum matrix_error_kind kind, const char *text);

/* Fails the running test, showing text, unless part is in it. */
void assert_contains(const char *text, const char *part);

/* A guest, and all that it has printed. */
struct test_guest {
    struct matrix_vm *vm;
    struct matrix_output *output;
    int fd;
    char *text;
};

#define ARGUMENTS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* The path of a guest's image: one of guest/ or of tests/kvm/guests/. In static storage. */
const char *test_guest_path(const char *image);

/* Makes the guest whose image argv[0] names; input_fd 0 means: none. */
struct test_guest test_guest_create(struct matrix_vm_options options);

/* The same, with nothing but arguments. */
#define test_guest(...) \
    test_guest_create((struct matrix_vm_options){.argv = ARGUMENTS(__VA_ARGS__)})

void test_guest_destroy(struct test_guest *guest);

/* Runs a guest alone on a core, for four minutes at most. */
struct matrix_core_result test_guest_run(struct test_guest *guest);

/* What it has printed so far; belongs to the guest. */
const char *test_guest_text(struct test_guest *guest);

struct matrix_vm_info test_guest_info(const struct test_guest *guest);

/* Runs it, and fails the test unless it exits with that status; then destroys it. */
void assert_exits(struct test_guest guest, int status);

/* A core that runs these guests, by weight (NULL: 1 each). */
struct matrix_core *test_core_create(struct matrix_core_options options,
                                     const struct test_guest *guests, const unsigned *weights,
                                     size_t count);

struct matrix_core_result test_core_run(struct matrix_core *core);

/* A tick, whose context is a guest: ends the run once that guest has ended. */
void test_stop_when_ended(struct matrix_core *core, void *guest);

/* The index-th guest's contract. */
struct matrix_core_guest test_core_guest(const struct matrix_core *core, size_t index);
struct matrix_core_statistics test_core_statistics(const struct matrix_core *core);

/*
 * How far a share may be from what was promised: 0.1 percentage points of 5 seconds. In runs that
 * are shorter the same time counts for more: the policy's promise is one of time, a slice and what a
 * slice was overrun by. The worst overrun is measured: in the lab the host may take the processor
 * away, and to the machine inside that is CPU time of whoever was on.
 */
double test_share_tolerance(const struct matrix_core *core, double total_ns, uint64_t slice_ns);

/* Fails the running test unless the guest was promised, and given, that share. */
void assert_share(const struct matrix_core *core, size_t index, double promised);

#endif
