// SPDX-License-Identifier: GPL-2.0-or-later
/* Two neighbours, an attacker, and what the neighbours had; see attack_scene.h. */
#include "tests/kvm/attack_scene.h"

#include "cloud/builder.h"
#include "vmm/vm.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLICE_NS    MATRIX_SLICE_DEFAULT_NS
#define TICK_NS     (20 * MILLISECOND_NS)
#define LIMIT_NS    (240 * SECOND_NS)
#define STAYS_LEAST 500
#define STAYS       (1 << 18)
#define RATE        4096 /* bytes per second: less than even the lab prints */
#define NEIGHBOURS  2
#define ATTACKER    2

/* What the two clocks may differ by in a stay. */
#define CLOCKS_NS 20000

struct scene {
    const struct attack *attack;
    struct attack_result result;
    struct test_guest neighbours[NEIGHBOURS];
    struct matrix_core *core;
    struct matrix_vm *attacker;
    struct matrix_output *output; /* the attacker's */
    int output_fd, unread_fd;
    unsigned turn; /* in attack->next */
    const char *argv[8];
    struct builder *builder;
    bool is_building, is_over;
    unsigned neighbours_left;
    struct matrix_board *board;
    uint64_t next_stay, lost, charged_ns;
    bool has_all; /* one of the neighbours has ended: what follows is not measured */
    uint64_t got_ns[NEIGHBOURS + 1], loop_ns;
};

/* --- what the neighbours had ------------------------------------------------------------------ */

static void measure(struct scene *scene, const struct matrix_board_stay *stay)
{
    static const unsigned weights[] = ATTACK_WEIGHTS;
    struct attack_result *result = &scene->result;
    const uint64_t *got = scene->got_ns;
    scene->got_ns[stay->guest - 1] += stay->cpu_ns;
    result->total_ns += stay->cpu_ns;
    result->stays++;
    scene->loop_ns += stay->loop_cpu_ns;
    const uint64_t length_ns = stay->end_ns - stay->start_ns;
    const unsigned side = stay->guest > NEIGHBOURS;
    if (length_ns >= SLICE_NS / 2) {
        result->lasted_ns[side] += length_ns;
        result->charged_ns[side] += stay->cpu_ns;
        if (length_ns > stay->cpu_ns && length_ns - stay->cpu_ns > result->away_ns[side])
            result->away_ns[side] = length_ns - stay->cpu_ns;
    }
    result->overcharges += stay->cpu_ns > length_ns + CLOCKS_NS;
    const double all = weights[0] + weights[1] + weights[2];
    lag_add(&result->mutual, lag_of_two(weights, got), stay);
    for (unsigned i = 0; i < NEIGHBOURS; i++)
        lag_add(&result->guaranteed[i],
                weights[i] / all * (double)result->total_ns - (double)got[i], stay);
}

static void read_stays(struct scene *scene)
{
    static struct matrix_board_stay stays[4096];
    size_t count;
    do {
        assert_success(matrix_board_stays(scene->board, &scene->next_stay, stays, COUNT(stays),
                                          &count, &scene->lost));
        for (size_t i = 0; i < count; i++) {
            assert_in_range(stays[i].guest, 1, NEIGHBOURS + 1);
            scene->charged_ns += stays[i].cpu_ns;
            scene->has_all |=
                stays[i].guest <= NEIGHBOURS && stays[i].left == MATRIX_BOARD_LEFT_END;
            if (!scene->has_all)
                measure(scene, &stays[i]);
        }
    } while (count);
}

/* --- the attacker's lives ---------------------------------------------------------------------- */

static struct matrix_vm_options attacker_options(struct scene *scene)
{
    const struct attack *attack = scene->attack;
    const bool as_in_cloud = attack->output == ATTACK_TERMINAL;
    for (size_t i = 0; attack->argv[i]; i++)
        scene->argv[i] = attack->argv[i];
    if (attack->next) {
        scene->argv[1] = attack->next[scene->turn++];
        scene->turn = attack->next[scene->turn] ? scene->turn : 0;
    }
    return (struct matrix_vm_options){
        .name = "attacker",
        .argv = scene->argv,
        .memory_bytes = attack->memory_bytes,
        .input_fd = -1,
        .output = scene->output,
        .tag = as_in_cloud ? "attacker" : NULL,
        .output_rate = as_in_cloud ? RATE : 0,
        .output_lossy = attack->output != ATTACK_WAITS,
        .output_escape = as_in_cloud,
    };
}

static void order_attacker(struct scene *scene)
{
    struct build *build = calloc(1, sizeof(*build));
    assert_non_null(build);
    build->options = attacker_options(scene);
    snprintf(build->path, sizeof(build->path), "%s", test_guest_path(scene->argv[0]));
    assert_success(builder_make(scene->builder, build));
    scene->is_building = true;
}

static void remember(struct scene *scene, const struct matrix_vm_info *info)
{
    scene->result.exits += info->exits_total;
    scene->result.dropped_lines += info->dropped_lines;
}

static void attacker_ended(struct scene *scene)
{
    struct matrix_vm_info info;
    const struct matrix_report *report = matrix_vm_report(scene->attacker);
    const char *expected = scene->attack->explanation;
    matrix_vm_info(scene->attacker, &info);
    if (info.state == MATRIX_VM_STOPPED) /* by ourselves */
        return;
    remember(scene, &info);
    scene->result.state = info.state;
    scene->result.lives++;
    scene->result.faults += info.state == MATRIX_VM_FAULTED;
    scene->result.unexplained += report && expected && !strstr(report->explanation, expected);
    if (!scene->is_over)
        order_attacker(scene);
}

static void attacker_made(void *context, struct build *build)
{
    struct scene *scene = context;
    struct matrix_vm *old = scene->attacker;
    scene->is_building = false;
    assert_success(build->error);
    if (scene->is_over) {
        builder_destroy_guest(scene->builder, build->vm);
        return;
    }
    if (scene->attack->tamper)
        scene->attack->tamper(build->vm);
    assert_success(matrix_core_replace(scene->core, old, build->vm));
    scene->attacker = build->vm;
    builder_destroy_guest(scene->builder, old);
}

/* --- the run ----------------------------------------------------------------------------------- */

/* When both neighbours have ended so does the run. */
static void ended(struct matrix_core *core, struct matrix_vm *vm, void *context)
{
    struct scene *scene = context;
    if (vm == scene->attacker) {
        attacker_ended(scene);
        return;
    }
    if (--scene->neighbours_left)
        return;
    struct matrix_vm_info info;
    matrix_vm_info(scene->attacker, &info);
    scene->is_over = true;
    if (info.state == MATRIX_VM_ALIVE)
        remember(scene, &info);
    matrix_core_stop(core);
}

static bool has_seen_enough(const struct scene *scene)
{
    struct matrix_vm_info info;
    matrix_vm_info(scene->attacker, &info);
    return scene->result.stays >= STAYS_LEAST &&
           scene->result.lives >= scene->attack->lives_least &&
           (!scene->attack->drops || scene->result.dropped_lines + info.dropped_lines > 0);
}

static void tick(struct matrix_core *core, void *context)
{
    struct scene *scene = context;
    read_stays(scene);
    if (has_seen_enough(scene))
        for (unsigned i = 0; i < NEIGHBOURS; i++)
            __atomic_fetch_or((uint64_t *)scene->neighbours[i].vm->work, 1ULL << 63,
                              __ATOMIC_RELAXED);
}

static void open_output(struct scene *scene)
{
    int fds[2];
    if (scene->attack->output == ATTACK_TERMINAL) {
        scene->output_fd = memfd_create("output", MFD_CLOEXEC);
        scene->unread_fd = -1;
    } else {
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        fcntl(fds[1], F_SETPIPE_SZ, PAGE_BYTES);
        scene->unread_fd = fds[0];
        scene->output_fd = fds[1];
    }
    assert_success(matrix_output_create(scene->output_fd, &scene->output));
}

static void make_guests(struct scene *scene)
{
    static const unsigned exits[] = ATTACK_NEIGHBOUR_EXITS;
    char status[16];
    for (unsigned i = 0; i < NEIGHBOURS; i++) {
        snprintf(status, sizeof(status), "%u", exits[i]);
        scene->neighbours[i] = test_guest("neighbour", status);
    }
    open_output(scene);
    const struct matrix_vm_options options = attacker_options(scene);
    assert_success(
        matrix_vm_create(host_kvm, test_guest_path(scene->argv[0]), &options, &scene->attacker));
    if (scene->attack->tamper)
        scene->attack->tamper(scene->attacker);
}

static void run_core(struct scene *scene)
{
    static const unsigned weights[] = ATTACK_WEIGHTS;
    const struct matrix_core_options options = {.cpu = -1,
                                                .duration_ns = LIMIT_NS,
                                                .tick_ns = TICK_NS,
                                                .tick = tick,
                                                .ended = ended,
                                                .context = scene,
                                                .board_stays = STAYS,
                                                .persistent = true};
    int fd;
    scene->core = test_core_create(options, scene->neighbours, weights, NEIGHBOURS);
    assert_success(matrix_core_add(scene->core, scene->attacker, weights[ATTACKER]));
    assert_success(matrix_core_board(scene->core, &fd));
    assert_success(matrix_board_open(fd, &scene->board));
    assert_success(builder_start(host_kvm, scene->core, attacker_made, scene, &scene->builder));
    scene->neighbours_left = NEIGHBOURS;
    assert_int_equal(test_core_run(scene->core).end, MATRIX_CORE_STOPPED);
    builder_stop(scene->builder);
    read_stays(scene);
}

static void conclude(struct scene *scene)
{
    struct attack_result *result = &scene->result;
    const uint64_t *got = scene->got_ns;
    result->share = (double)got[0] / (double)(got[0] + got[1]);
    result->attacker_share = (double)got[ATTACKER] / (double)result->total_ns;
    result->loop_share = (double)scene->loop_ns / (double)(scene->loop_ns + result->total_ns);
    result->is_exact =
        scene->lost == 0 && scene->charged_ns == test_core_statistics(scene->core).guests_cpu_ns;
    for (unsigned i = 0; i < NEIGHBOURS; i++) {
        result->ended[i] = test_guest_info(&scene->neighbours[i]);
        result->unharmed[i] =
            strcmp(test_guest_text(&scene->neighbours[i]), "memory is as it was\n") == 0;
    }
}

struct attack_result attack_run(const struct attack *attack)
{
    const struct lag none = {.slice_ns = SLICE_NS};
    struct scene scene = {.attack = attack, .result = {.mutual = none, .guaranteed = {none, none}}};
    make_guests(&scene);
    run_core(&scene);
    conclude(&scene);
    matrix_board_close(scene.board);
    matrix_core_destroy(scene.core);
    matrix_vm_destroy(scene.attacker);
    matrix_output_destroy(scene.output);
    close(scene.output_fd);
    if (scene.unread_fd >= 0)
        close(scene.unread_fd);
    for (unsigned i = 0; i < NEIGHBOURS; i++)
        test_guest_destroy(&scene.neighbours[i]);
    return scene.result;
}
