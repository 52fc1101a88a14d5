// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target for what changes a cloud over its control socket: lines of requests, to a cloud whose
 * guests are never quite made. Whatever is asked gets one line of JSON, and the cloud stays one whose report
 * can be written.
 */
#include "base/error.h"
#include "cli/cloud_reload.h"
#include "control/answer.h"
#include "tests/fuzz/fuzz.h"
#include "vmm/history.h"
#include <errno.h>
#include <stdlib.h>

#define GUESTS       3
#define PRINTED      "what a guest printed \xff\x80 before and after it started again\n"
#define IMAGE        CALLER_IMAGE
#define REQUESTS_MAX 64

/* The thread that makes guests: every other is refused, and nothing comes of the rest. */
struct matrix_error *builder_make(struct builder *builder, struct build *build)
{
    static unsigned asked;
    FUZZ_CHECK(build->options.name && build->options.argv && build->options.argv[0], "no guest");
    free(build);
    return asked++ % 2 ? NULL : error_host(EAGAIN, "make a guest");
}

struct matrix_error *builder_start(struct matrix_kvm *kvm, struct matrix_core *core,
                                   builder_done *done, void *context, struct builder **builder)
{
    return NULL;
}

void builder_destroy_guest(struct builder *builder, struct matrix_vm *vm)
{
}

/* Its other errands are done at once. */
void builder_do(struct builder *builder, void (*work)(void *context), void (*done)(void *context),
                void *context)
{
    work(context);
    if (done)
        done(context);
}

void builder_hold(struct builder *builder, bool on)
{
}

static unsigned turn; /* of the cloud's files */

struct matrix_error *__wrap_config_read(const char *path, struct cloud_config *config);

/* The cloud's file is another each time that it is read; some are wrong. */
struct matrix_error *__wrap_config_read(const char *path, struct cloud_config *config)
{
    static const char *const files[] = {
        "guests: [{name: b, image: " IMAGE ", after: [n]}, {name: n, image: " IMAGE "}]\n",
        ("groups: [{name: g, floor: 40%}, {name: h, group: g, floor: 40%}]\n"
         "guests: [{name: a, image: spin, floor: 60%}, {name: n, image: " IMAGE ", group: h}]\n"),
        "guests: [{name: a, image: spin, floor: 60%}, {name: c, image: spin, floor: 50%}]\n",
        "guests: [{name: a, image: no-such-image}]\n",
        ("keep: no\ncpus: [1]\nslice: 3ms\npolicy: round-robin\ngroups: [{name: g, weight: 3}]\n"
         "guests: [{name: c, image: spin, group: g}, {name: a, image: spin, stop-with: [c]}]\n"),
        "groups: [{name: h}, {name: g, group: h}]\nguests: [{name: a, image: spin}]\n",
    };
    const char *text = files[turn++ % (sizeof(files) / sizeof(files[0]))];
    return config_parse(text, strlen(text), path, config);
}

static void set_up(struct cloud *cloud)
{
    static const char text[] =
        "cpus: [0]\ngroups: [{name: g, floor: 10%}]\n"
        "guests: [{name: a, image: spin, floor: 20%, console: yes},\n"
        "  {name: b, image: spin, after: [a], stop-with: [a], restart: on-failure},\n"
        "  {name: c, image: spin, group: g}]\n";
    const struct matrix_machine_options options = {.cores = 1,
                                                   .persistent = true,
                                                   .keeps_ended = true,
                                                   .removed = cloud_live_removed,
                                                   .context = cloud};
    turn = 0;
    *cloud =
        (struct cloud){.screen_pipe = {-1, -1}, .cores = 1, .keeps = true, .slice_ns = 1000000};
    FUZZ_NO_ERROR(config_parse(text, sizeof(text) - 1, "the file", &cloud->config));
    FUZZ_NO_ERROR(matrix_machine_create(&options, &cloud->machine));
    FUZZ_NO_ERROR(cloud_create_groups(cloud));
    cloud->directory = strdup("/nowhere");
    cloud->file = "the file";
    cloud->service.fd = -1;
    cloud->added = json_array();
    cloud->guests = calloc(GUESTS, sizeof(*cloud->guests));
    FUZZ_NO_ERROR(matrix_history_create(1024, &cloud->guests[0].console.history));
    FUZZ_NO_ERROR(cloud_live_begin(cloud));
    FUZZ_CHECK(cloud->guests[0].console.has_input, "no input");
    for (unsigned i = 0; i < 20; i++)
        history_add(cloud->guests[0].console.history, PRINTED, sizeof(PRINTED) - 1);
    cloud_console_begin(&cloud->guests[0]);
    history_add(cloud->guests[0].console.history, PRINTED, sizeof(PRINTED) - 1);
    cloud->commands = cloud_commands(cloud);
}

static void release(struct cloud *cloud)
{
    cloud->has_ended = true;
    cloud_reload_free(cloud);
    matrix_machine_destroy(cloud->machine);
    cloud_destroy_guests(cloud);
    cloud_periods_free(cloud);
    lives_release(&cloud->lives);
    config_free(&cloud->config);
    free(cloud->policy);
    json_decref(cloud->added);
}

static void take(void *context, char *line, int fd)
{
    *(char **)context = line;
}

static void check_answer(const char *line)
{
    FUZZ_CHECK(line, "no answer");
    const size_t bytes = strlen(line);
    FUZZ_CHECK(bytes > 0 && strchr(line, '\n') == line + bytes - 1, "not one line");
    FUZZ_CHECK(bytes <= CONTROL_ANSWER_MAX, "%zu bytes", bytes);
    json_t *answer = json_loadb(line, bytes, JSON_REJECT_DUPLICATES, NULL);
    FUZZ_CHECK(json_integer_value(json_object_get(answer, "version")) == CONTROL_VERSION,
               "another version");
    json_decref(answer);
}

static void check_cloud(const struct cloud *cloud)
{
    FUZZ_CHECK(cloud->config.guest_count == cloud->lives.count, "%u guests, %u lives",
               cloud->config.guest_count, cloud->lives.count);
    for (unsigned i = 0; i < cloud->config.guest_count; i++) {
        const struct config_contract *contract = &cloud->config.guests[i].contract;
        const struct life_rules *rules = &cloud->lives.lives[i].rules;
        FUZZ_CHECK(contract->group < (int)cloud->config.group_count, "group %d", contract->group);
        for (unsigned j = 0; j < rules->after_count; j++)
            FUZZ_CHECK(rules->after[j] < cloud->lives.count, "after %u", rules->after[j]);
        for (unsigned j = 0; j < rules->stop_with_count; j++)
            FUZZ_CHECK(rules->stop_with[j] < cloud->lives.count, "stop with %u",
                       rules->stop_with[j]);
        FUZZ_CHECK(contract->weight >= 1 && contract->weight <= MATRIX_WEIGHT_MAX, "weight %u",
                   contract->weight);
        FUZZ_CHECK(contract->floor_ppm <= MATRIX_WHOLE_CORE, "floor %u", contract->floor_ppm);
        FUZZ_CHECK(cloud_guest_state(cloud, i), "no state");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cloud cloud;
    const char *text = (const char *)data;
    set_up(&cloud);
    const struct control_guests guests = control_guests_of_machine(cloud.machine, 1);
    for (unsigned i = 0; size && i < REQUESTS_MAX; i++) {
        const char *end = memchr(text, '\n', size);
        const size_t bytes = end ? (size_t)(end - text) : size;
        char *line = NULL;
        control_answer(&guests, &cloud.commands, text, bytes, take, &line);
        check_answer(line);
        free(line);
        /* The core does not run: what it would do meanwhile is done here. */
        while (cloud.reload && cloud.reload->state == RELOAD_CHANGING)
            cloud_reload_go_on(cloud.reload);
        check_cloud(&cloud);
        text += end ? bytes + 1 : bytes;
        size -= end ? bytes + 1 : bytes;
    }
    release(&cloud);
    return 0;
}
