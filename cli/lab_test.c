// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The lab's test of itself. Each check starts this program anew as `matrix-lab run`, the way
 * a user would, and looks at what comes back. Called by cli/lab.c.
 */
#include "cli/lab_test.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include "cli/json.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <linux/kvm.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS_MAX 24

/* What came back from a run. The streams stand in memory files. */
struct outcome {
    int status;
    int output, errors;
};

static char self[PATH_MAX];                                  /* this program */
static char directory[] = "/var/tmp/matrix-lab-test.XXXXXX"; /* becomes the current one */

/* Starts `matrix-lab run ARGUMENTS`; input is a descriptor. Returns false if that failed. */
static bool run_lab(const char *const *arguments, int input, struct outcome *outcome)
{
    char *argv[ARGUMENTS_MAX] = {self, "run"};
    for (size_t i = 0; arguments[i] && i + 3 < ARGUMENTS_MAX; i++)
        argv[i + 2] = (char *)arguments[i];
    outcome->output = memfd_create("output", MFD_CLOEXEC);
    outcome->errors = memfd_create("errors", MFD_CLOEXEC);

    pid_t pid = fork();
    if (pid == 0) {
        dup2(input, STDIN_FILENO);
        dup2(outcome->output, STDOUT_FILENO);
        dup2(outcome->errors, STDERR_FILENO);
        execv(self, argv);
        _exit(EXIT_HOST);
    }
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return false;
    outcome->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return true;
}

/* The whole stream, with a NUL behind it; the caller frees it. */
static char *read_stream(int stream, size_t *length)
{
    struct stat about;
    if (fstat(stream, &about))
        return NULL;
    char *text = calloc(1, (size_t)about.st_size + 1);
    if (text && pread(stream, text, (size_t)about.st_size, 0) == about.st_size) {
        *length = (size_t)about.st_size;
        return text;
    }
    free(text);
    return NULL;
}

static bool stream_is(int stream, const void *expected, size_t length)
{
    size_t got;
    CLEANUP_FREE char *text = read_stream(stream, &got);
    return text && got == length && memcmp(text, expected, length) == 0;
}

static bool stream_contains(int stream, const char *expected)
{
    size_t got;
    CLEANUP_FREE char *text = read_stream(stream, &got);
    return text && strstr(text, expected);
}

static void free_outcome(const struct outcome *outcome)
{
    close(outcome->output);
    close(outcome->errors);
}

/* --- the checks: each says in why what was not as it should be, or leaves it empty ----------- */

struct why {
    char text[512];
};

#define EXPECT(condition, ...)                                   \
    do {                                                         \
        if (!(condition) && !why->text[0])                       \
            snprintf(why->text, sizeof(why->text), __VA_ARGS__); \
    } while (0)

/* Runs and reports a failure with the last of what was on standard error. */
static bool try_lab(const char *const *arguments, int input, int expected, struct outcome *outcome,
                    struct why *why)
{
    if (!run_lab(arguments, input, outcome)) {
        EXPECT(false, "cannot start matrix-lab again");
        return false;
    }
    size_t length = 0;
    CLEANUP_FREE char *errors = read_stream(outcome->errors, &length);
    size_t skipped = length > 300 ? length - 300 : 0;
    EXPECT(outcome->status == expected, "exit status %d, not %d: %s", outcome->status, expected,
           errors ? errors + skipped : "");
    return true;
}

static void check_streams(struct why *why)
{
    enum { BYTES = 1 << 20 };
    CLEANUP_FREE unsigned char *bytes = malloc(BYTES);
    CLEANUP_CLOSE int input = memfd_create("input", MFD_CLOEXEC);
    if (!bytes || input < 0) {
        EXPECT(false, "no memory");
        return;
    }
    srandom(1);
    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = (unsigned char)random();
    if (write(input, bytes, BYTES) != BYTES || lseek(input, 0, SEEK_SET) != 0)
        EXPECT(false, "cannot write the input");

    struct outcome outcome;
    if (!try_lab((const char *const[]){"--", "sh", "-c",
                                       "cat; printf '%s\\n' \"$1\" >/dev/stderr; exit 42", "sh",
                                       "it's an \"error\"", NULL},
                 input, 42, &outcome, why))
        return;
    EXPECT(stream_is(outcome.output, bytes, BYTES),
           "1 MiB through cat did not come back as it was");
    EXPECT(stream_is(outcome.errors, "it's an \"error\"\n", 16),
           "standard error is not as written");
    free_outcome(&outcome);
}

static void check_files(struct why *why)
{
    static const char script[] = "pwd && mkdir -p lost && echo inside >lost/file &&"
                                 "cat lost/file && touch /usr/matrix-lab-test &&"
                                 "echo result >kept/file";
    struct outcome outcome;
    if (mkdir("kept", 0755))
        EXPECT(false, "cannot make a directory");
    if (!try_lab((const char *const[]){"--share", "kept", "--", "sh", "-ec", script, NULL},
                 STDIN_FILENO, 0, &outcome, why))
        return;
    char expected[PATH_MAX];
    int length = snprintf(expected, sizeof(expected), "%s\ninside\n", directory);
    EXPECT(stream_is(outcome.output, expected, (size_t)length), "wrong directory or file inside");
    EXPECT(access("lost", F_OK) && access("/usr/matrix-lab-test", F_OK),
           "a write reached the host");
    EXPECT(access("kept/file", F_OK) == 0, "a write to a shared directory did not reach the host");
    free_outcome(&outcome);
    unlink("kept/file");
    rmdir("kept");
}

static void check_kvm(struct why *why)
{
    struct outcome outcome;
    if (!try_lab((const char *const[]){"--", self, "check-kvm", NULL}, STDIN_FILENO, 0, &outcome,
                 why))
        return;
    EXPECT(stream_contains(outcome.output, "version 12"), "not version 12");
    free_outcome(&outcome);
}

static void expect_complaint(const char *script, const char *line, struct why *why)
{
    struct outcome outcome;
    if (!try_lab((const char *const[]){"--timeout", "120s", "--", "sh", "-c", script, NULL},
                 STDIN_FILENO, EXIT_LAB_KERNEL, &outcome, why))
        return;
    EXPECT(stream_contains(outcome.errors, line), "the line '%s' was not shown", line);
    free_outcome(&outcome);
}

static void check_warning(struct why *why)
{
    expect_complaint("echo 'WARNING: CPU: 0 PID: 1 at here' >/dev/kmsg; exit 0",
                     "WARNING: CPU: 0 PID: 1 at here", why);
}

static void check_panic(struct why *why)
{
    expect_complaint("echo c >/proc/sysrq-trigger", "Kernel panic - not syncing", why);
}

static void check_timeout(struct why *why)
{
    struct outcome outcome;
    if (!try_lab((const char *const[]){"--timeout", "10s", "--", "sh", "-c",
                                       "echo last words >/dev/kmsg; sleep 1000", NULL},
                 STDIN_FILENO, EXIT_TIMEOUT, &outcome, why))
        return;
    EXPECT(stream_contains(outcome.errors, "last words"), "the log's end was not shown");
    free_outcome(&outcome);
}

static void check_missing(struct why *why)
{
    struct outcome outcome;
    if (try_lab((const char *const[]){"--", "./no-such-command", NULL}, STDIN_FILENO, 127, &outcome,
                why))
        free_outcome(&outcome);
}

static const struct check {
    const char *name;
    void (*function)(struct why *why);
} checks[] = {
    {"exit status, arguments and streams come through, byte by byte", check_streams},
    {"writes stay inside, but for a shared directory", check_files},
    {"/dev/kvm has API version 12 and makes a machine", check_kvm},
    {"a command that is not there: status 127", check_missing},
    {"a kernel warning fails a command that succeeds", check_warning},
    {"a kernel panic is noticed and shown", check_panic},
    {"a hang ends at the time limit, with the log's end", check_timeout},
};

#define CHECKS (sizeof(checks) / sizeof(checks[0]))

int lab_test_check_kvm(void)
{
    CLEANUP_CLOSE int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0) {
        perror("open /dev/kvm");
        return 1;
    }
    int version = ioctl(kvm, KVM_GET_API_VERSION, 0);
    CLEANUP_CLOSE int machine = ioctl(kvm, KVM_CREATE_VM, 0);
    printf("version %d\n", version);
    if (machine < 0)
        perror("KVM_CREATE_VM");
    return version == 12 && machine >= 0 ? 0 : 1;
}

static bool run_check(const struct check *check, bool json, json_t *results)
{
    struct why why = {""};
    uint64_t start = clock_now_ns(CLOCK_MONOTONIC);
    check->function(&why);
    double seconds = (double)(clock_now_ns(CLOCK_MONOTONIC) - start) / 1e9;
    bool passed = !why.text[0];
    if (json) {
        json_array_append_new(results, json_pack("{s:s, s:b, s:f, s:o}", "name", check->name,
                                                 "passed", passed, "seconds", seconds, "why",
                                                 cli_json_string(why.text)));
    } else {
        printf("%-6s %5.1f s  %s\n", passed ? "ok" : "FAILED", seconds, check->name);
        if (!passed)
            printf("       %s\n", why.text);
        fflush(stdout);
    }
    return passed;
}

/* A directory of our own to work in, and nothing on standard input. */
static bool enter_directory(void)
{
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return length > 0 && nothing >= 0 && dup2(nothing, STDIN_FILENO) >= 0 && mkdtemp(directory) &&
           chdir(directory) == 0;
}

int lab_test(bool json)
{
    if (!enter_directory())
        return cli_fail("matrix lab test", error_host(errno, "make a directory in /var/tmp"));
    json_t *results = json_array();
    int failed = 0;
    for (size_t i = 0; i < CHECKS; i++)
        failed += !run_check(&checks[i], json, results);
    if (chdir("/") == 0)
        rmdir(directory);

    int passed = (int)CHECKS - failed;
    json_t *report = json_pack("{s:i, s:o, s:i, s:i, s:i}", "version", 1, "checks", results,
                               "passed", passed, "failed", failed, "skipped", 0);
    if (json) {
        json_dumpf(report, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        printf("%d passed, %d failed, 0 skipped\n", passed, failed);
    }
    json_decref(report);
    return failed ? 1 : 0;
}
