// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Guests of a cloud started, stopped, started again, paused, resumed, changed and added at random, by its
 * control socket, while every answer is held against a model (soak_model.h). At the end nobody is missing
 * in the report, no nanosecond, no descriptor and no process; two guests that nothing was asked of have
 * had their shares. Usage: soak BUILD-DIRECTORY [SECONDS [GUESTS [SEED]]]. Prints TAP. Under sanitizers
 * their findings are a failure, too.
 */
#include "tests/kvm/soak.h"

#include "base/clock.h"
#include "base/error.h"
#include "control/client.h"
#include <dirent.h>
#include <fcntl.h>
#include <matrix/matrix.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS_DEFAULT 8
#define GUESTS_DEFAULT  60
#define GUESTS_AT_FIRST 20
#define LOOK_EVERY      100 /* steps: at all guests */
#define SECOND_NS       1000000000ULL
#define SETTLE_NS       (60 * SECOND_NS)

/* Which have most of the time: 70 to 30. */
#define WITNESSES 2

static unsigned tests;

void soak_check(const char *name, const char *failure)
{
    tests++;
    if (failure && *failure)
        printf("# %s\n", failure);
    printf("%sok %u - %s\n", failure && *failure ? "not " : "", tests, name);
    fflush(stdout);
}

__attribute__((format(printf, 2, 3))) static void fail(struct soak *soak, const char *format, ...)
{
    va_list arguments;
    if (*soak->failure)
        return;
    va_start(arguments, format);
    vsnprintf(soak->failure, sizeof(soak->failure), format, arguments);
    va_end(arguments);
}

static uint64_t random_below(struct soak *soak, uint64_t limit)
{
    soak->random ^= soak->random >> 12;
    soak->random ^= soak->random << 25;
    soak->random ^= soak->random >> 27;
    return soak->random * 0x2545f4914f6cdd1d % limit;
}

/* --- guests ------------------------------------------------------------------------------------ */

static struct soak_guest *new_guest(struct soak *soak)
{
    static const enum soak_kind kinds[] = {SOAK_SPIN, SOAK_SPIN, SOAK_SPIN, SOAK_ONCE, SOAK_FAILS};
    struct soak_guest *guest = &soak->guests[soak->count];
    const bool is_witness = soak->count < WITNESSES;
    *guest = (struct soak_guest){
        .kind = is_witness ? SOAK_WITNESS : kinds[random_below(soak, 5)],
        .wish = SOAK_UP,
        .weight = is_witness ? (soak->count ? 3000 : 7000) : 1 + (int)random_below(soak, 200),
    };
    snprintf(guest->name, sizeof(guest->name), "%s%u", is_witness ? "witness" : "g", soak->count++);
    return guest;
}

#define IMAGE_OF(guest) ((guest)->kind < SOAK_ONCE ? "spin" : "status")

static void write_file(struct soak *soak, const char *path)
{
    FILE *file = fopen(path, "we");
    if (!file)
        return;
    fputs("keep: yes\nguests:\n", file);
    while (soak->count < GUESTS_AT_FIRST && soak->count < soak->wanted) {
        const struct soak_guest *guest = new_guest(soak);
        fprintf(file, "  - {name: %s, image: %s, memory: 2M, weight: %d", guest->name,
                IMAGE_OF(guest), guest->weight);
        if (guest->kind == SOAK_FAILS)
            fputs(", args: ['1'], restart: on-failure, backoff: 50ms", file);
        if (guest->kind == SOAK_ONCE)
            fputs(", args: ['0']", file);
        fputs("}\n", file);
    }
    fclose(file);
}

/* --- the cloud --------------------------------------------------------------------------------- */

static void become_cloud(const struct soak *soak, const char *yaml)
{
    char program[PATH_MAX];
    const int errors = open(soak->errors, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    snprintf(program, sizeof(program), "%s/matrix-cloud", soak->build);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(nothing, STDIN_FILENO);
    dup2(nothing, STDOUT_FILENO);
    dup2(errors, STDERR_FILENO);
    execl(program, "matrix-cloud", "--plain", "--quiet", "--control", soak->socket, "--report",
          soak->report, yaml, (char *)NULL);
    _exit(127);
}

static unsigned open_files(const struct soak *soak)
{
    char path[64];
    unsigned count = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", soak->cloud);
    DIR *directory = opendir(path);
    while (directory && readdir(directory))
        count++;
    if (directory)
        closedir(directory);
    return count;
}

static bool start_cloud(struct soak *soak)
{
    char yaml[80];
    snprintf(yaml, sizeof(yaml), "%s/soak.yaml", soak->directory);
    write_file(soak, yaml);
    soak->cloud = fork();
    if (soak->cloud == 0)
        become_cloud(soak, yaml);
    const uint64_t limit = clock_now_ns(CLOCK_MONOTONIC) + SETTLE_NS;
    while (access(soak->socket, F_OK) < 0 && clock_now_ns(CLOCK_MONOTONIC) < limit)
        usleep(10000);
    unlink(yaml);
    soak->files_at_first = open_files(soak);
    return access(soak->socket, F_OK) == 0;
}

/* --- steps ------------------------------------------------------------------------------------- */

static void hold_against_model(struct soak *soak, const struct soak_guest *guest,
                               const char *command, const json_t *answer)
{
    const char *name = json_string_value(json_object_get(answer, "guest"));
    const char *life = json_string_value(json_object_get(answer, "life"));
    const int weight = (int)json_integer_value(json_object_get(answer, "weight"));
    if (!name || strcmp(name, guest->name) != 0 || !life)
        fail(soak, "%s %s: the answer is about %s", command, guest->name, name ? name : "nobody");
    else if (!soak_life_fits(guest, life))
        fail(soak, "step %lu: %s %s: it is %s; kind %d, wish %d", soak->steps, command, guest->name,
             life, guest->kind, guest->wish);
    else if (weight != guest->weight)
        fail(soak, "%s %s: weight %d, not %d", command, guest->name, weight, guest->weight);
}

static void ask(struct soak *soak, struct soak_guest *guest, const char *command, json_t *members)
{
    json_t *answer = NULL;
    members = members ? members : json_object();
    json_object_set_new(members, "guest", json_string(guest->name));
    struct matrix_error *error = control_command_at(soak->socket, 0, command, members, &answer);
    if (error) {
        soak->refused++;
        if (!soak_may_be_refused(guest, command))
            fail(soak, "step %lu: %s %s was refused: %s", soak->steps, command, guest->name,
                 error->message);
        matrix_error_free(error);
        return;
    }
    soak->succeeded++;
    if (!soak_may_succeed(guest, command))
        fail(soak, "step %lu: %s %s succeeded; kind %d, wish %d", soak->steps, command, guest->name,
             guest->kind, guest->wish);
    soak_succeeded(guest, command);
    hold_against_model(soak, guest, command, answer);
    json_decref(answer);
}

static void add_guest(struct soak *soak)
{
    struct soak_guest *guest = new_guest(soak);
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/guest/%s.elf", soak->build, IMAGE_OF(guest));
    json_t *members = json_pack("{s:s, s:I, s:i}", "image", path, "memory_bytes",
                                (json_int_t)MATRIX_MEMORY_MINIMUM, "weight", guest->weight);
    if (guest->kind == SOAK_FAILS)
        json_object_set_new(members, "restart", json_string("on-failure"));
    if (guest->kind != SOAK_SPIN)
        json_object_set_new(members, "args",
                            json_pack("[s]", guest->kind == SOAK_ONCE ? "0" : "1"));
    ask(soak, guest, "add", members);
}

static void set_weight(struct soak *soak, struct soak_guest *guest)
{
    guest->weight = 1 + (int)random_below(soak, 200);
    ask(soak, guest, "set", json_pack("{s:i}", "weight", guest->weight));
}

static void look_at_all(struct soak *soak)
{
    struct control_vm *vms = NULL;
    size_t count = 0;
    struct matrix_error *error = control_list_at(soak->socket, &vms, &count);
    if (error)
        fail(soak, "list: %s", error->message);
    matrix_error_free(error);
    /* Those that were added and are being made are in no list yet. */
    for (size_t i = 0; i < count; i++) {
        bool is_known = false;
        for (unsigned j = 0; j < soak->count; j++)
            is_known |= strcmp(soak->guests[j].name, vms[i].name) == 0;
        if (!is_known)
            fail(soak, "list: who is %s?", vms[i].name);
    }
    if (count > soak->count)
        fail(soak, "list: %zu guests of %u", count, soak->count);
    free(vms);
    for (unsigned i = 0; i < soak->count; i++)
        ask(soak, &soak->guests[i], "guest", NULL);
}

static void step(struct soak *soak)
{
    static const char *const commands[] = {"start",  "start", "stop",   "restart",
                                           "resume", "pause", "resume", "guest"};
    const uint64_t what = random_below(soak, 10);
    soak->steps++;
    if (soak->count < soak->wanted && random_below(soak, 4) == 0) {
        add_guest(soak);
        return;
    }
    struct soak_guest *guest =
        &soak->guests[WITNESSES + random_below(soak, soak->count - WITNESSES)];
    if (what < 8)
        ask(soak, guest, commands[what], NULL);
    else
        set_weight(soak, guest);
}

/* Guests that were starting come to run. */
static void settle(struct soak *soak)
{
    const uint64_t limit = clock_now_ns(CLOCK_MONOTONIC) + SETTLE_NS;
    for (unsigned i = 0; i < soak->count && !*soak->failure; i++) {
        const struct soak_guest *guest = &soak->guests[i];
        if (guest->wish != SOAK_UP || guest->kind > SOAK_SPIN)
            continue;
        bool runs = false;
        while (!runs && clock_now_ns(CLOCK_MONOTONIC) < limit) {
            json_t *answer = NULL;
            matrix_error_free(control_command_at(
                soak->socket, 0, "guest", json_pack("{s:s}", "guest", guest->name), &answer));
            const char *life = json_string_value(json_object_get(answer, "life"));
            runs = life && strcmp(life, "running") == 0;
            json_decref(answer);
            if (!runs)
                usleep(20000);
        }
        if (!runs)
            fail(soak, "%s does not come to run", guest->name);
    }
}

static void run_steps(struct soak *soak, uint64_t seconds)
{
    const uint64_t end = clock_now_ns(CLOCK_MONOTONIC) + seconds * SECOND_NS;
    while (clock_now_ns(CLOCK_MONOTONIC) < end && !*soak->failure) {
        step(soak);
        if (soak->steps % LOOK_EVERY == 0)
            look_at_all(soak);
    }
    if (!*soak->failure)
        settle(soak);
    if (!*soak->failure)
        look_at_all(soak);
    printf("# %lu steps, %u guests, %lu requests done, %lu refused\n", soak->steps, soak->count,
           soak->succeeded, soak->refused);
    soak_check("every answer is what the model says", soak->failure);
}

/* --- the end ----------------------------------------------------------------------------------- */

/* Nobody starts again any more; what is under way then comes to an end. */
static void stop_restarts(struct soak *soak)
{
    for (unsigned i = 0; i < soak->count; i++)
        if (soak->guests[i].kind == SOAK_FAILS && soak->guests[i].wish != SOAK_DOWN)
            ask(soak, &soak->guests[i], "stop", NULL);
}

static void check_files(struct soak *soak)
{
    char failure[200] = "";
    /* Three for each guest, and some for one that is being made. */
    const unsigned most = soak->files_at_first + 3 * (soak->count - GUESTS_AT_FIRST) + 8;
    const uint64_t limit = clock_now_ns(CLOCK_MONOTONIC) + SETTLE_NS;
    stop_restarts(soak);
    unsigned files = open_files(soak);
    /* Those that were replaced are destroyed beside the others, in turn. */
    while (files > most && clock_now_ns(CLOCK_MONOTONIC) < limit) {
        usleep(100000);
        files = open_files(soak);
    }
    printf("# %u descriptors, at most %u\n", files, most);
    if (files > most)
        snprintf(failure, sizeof(failure), "%u descriptors, at most %u", files, most);
    soak_check("no descriptor is left over", failure);
}

static void end_cloud(const struct soak *soak)
{
    char failure[200] = "";
    int status = 0;
    kill(soak->cloud, SIGTERM);
    if (waitpid(soak->cloud, &status, 0) != soak->cloud || !WIFEXITED(status) ||
        WEXITSTATUS(status) != 128 + SIGTERM)
        snprintf(failure, sizeof(failure), "wait status %#x", status);
    soak_check("the cloud ends by SIGTERM", failure);
    *failure = '\0';
    if (waitpid(-1, &status, WNOHANG) >= 0) /* orphans would be ours */
        snprintf(failure, sizeof(failure), "a process is left");
    soak_check("no process is left", failure);
    soak_check("no socket is left", access(soak->socket, F_OK) == 0 ? soak->socket : NULL);
}

/* --- the program ------------------------------------------------------------------------------- */

static void prepare(struct soak *soak)
{
    snprintf(soak->directory, sizeof(soak->directory), "/tmp/matrix-soak-XXXXXX");
    if (!mkdtemp(soak->directory))
        exit(2);
    snprintf(soak->socket, sizeof(soak->socket), "%s/socket", soak->directory);
    snprintf(soak->report, sizeof(soak->report), "%s/report", soak->directory);
    snprintf(soak->errors, sizeof(soak->errors), "%s/errors", soak->directory);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static void clean_up(const struct soak *soak)
{
    char line[300];
    FILE *file = *soak->failure ? fopen(soak->errors, "re") : NULL;
    for (unsigned i = 0; file && i < 20 && fgets(line, sizeof(line), file); i++)
        printf("# the cloud says: %s", line);
    if (file)
        fclose(file);
    unlink(soak->socket);
    unlink(soak->report);
    unlink(soak->errors);
    rmdir(soak->directory);
}

#define ARGUMENT(index, otherwise) (argc > (index) ? strtoull(argv[index], NULL, 10) : (otherwise))

int main(int argc, char **argv)
{
    static struct soak soak;
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct matrix_kvm *kvm = NULL;
    struct matrix_error *error = matrix_kvm_open(NULL, &kvm);
    if (error) {
        printf("1..0 # SKIP soak: %s\n", error->message);
        matrix_error_free(error);
        return 0;
    }
    matrix_kvm_close(kvm);
    snprintf(soak.build, sizeof(soak.build), "%s", argc > 1 ? argv[1] : "build");
    const uint64_t seconds = ARGUMENT(2, SECONDS_DEFAULT);
    soak.wanted = (unsigned)ARGUMENT(3, GUESTS_DEFAULT);
    if (soak.wanted < GUESTS_AT_FIRST || soak.wanted > SOAK_GUESTS_MAX)
        soak.wanted = GUESTS_DEFAULT;
    const uint64_t seed = ARGUMENT(4, clock_now_ns(CLOCK_REALTIME));
    printf("# %lu seconds, up to %u guests, seed %lu\n", seconds, soak.wanted, seed);
    soak.random = seed | 1ULL << 63;
    prepare(&soak);
    if (start_cloud(&soak)) {
        run_steps(&soak, seconds);
        check_files(&soak);
        end_cloud(&soak);
        soak_check_report(&soak);
    } else {
        fail(&soak, "the cloud does not listen");
        soak_check("the cloud starts", soak.failure);
    }
    soak_check_sanitizers(&soak);
    printf("1..%u\n", tests);
    clean_up(&soak);
    return 0;
}
