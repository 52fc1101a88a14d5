// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target for hypercalls, on a live VM: each input is a list of register sets that a guest
 * (guests/caller.c) makes hypercalls with. Whatever they are, the monitor and the guest's neighbour
 * stay whole, each exit is counted, no register but RAX changes, and each result is one that
 * abi.h allows for such arguments. Needs /dev/kvm; exits with 4 where there is none.
 */
#include "cli/report.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/mailbox.h"
#include "vmm/layout.h"
#include "vmm/vcpu.h"
#include "vmm/x86_64/system.h"
#include <fcntl.h>
#include <matrix/core.h>
#include <signal.h>
#include <unistd.h>

#define EXIT_SKIPPED 4 /* libFuzzer itself uses 1 and 70 to 77 */
#define RAW_NUMBER   31
#define SLEEP_MAX_NS 100000
#define TICK_NS      300000
#define RUN_MAX_NS   50000000 /* for those that sleep, wait, or let another vCPU run wild */

static struct matrix_kvm *kvm;
static struct matrix_vm *neighbour;
static uint8_t *neighbour_before;

/* How an input is run, and what it asks for. */
struct trial {
    struct matrix_vm *vm;
    struct matrix_start start;
    struct mailbox mailbox;
    uint64_t gva; /* of the mailbox */
    bool input, hidden;
    unsigned vcpus_max;
    bool wild;               /* it may overwrite its own memory, or run other code than caller.c */
    int in[2], out[2], null; /* pipes that it reads and writes, and where else it may write */
    unsigned ticks;
};

/* --- an input as hypercalls ------------------------------------------------------------------ */

/* An argument: a small number, any number, or near an address that matters. */
static uint64_t take_argument(struct trial *trial, struct fuzz_input *input)
{
    const uint64_t heap = trial->start.heap, heap_end = heap + trial->start.heap_bytes;
    const uint64_t bases[] = {
        0,
        IMAGE_START,
        trial->vm->image.entry,
        IMAGE_END,
        heap,
        heap + (1 << 16),
        heap_end,
        LAYOUT_STACK_TOP,
        LAYOUT_START,
        trial->start.work,
        PAGING_USER_END,
        SYSTEM_BASE,
        SYSTEM_GPA,
        MATRIX_BUFFER_MAX,
        LAYOUT_STACK_TOP - trial->start.stack_bytes,
    };
    const size_t count = sizeof(bases) / sizeof(bases[0]);
    const uint64_t kind = fuzz_take(input, 1) % (count + 1);
    if (kind == count)
        return fuzz_take(input, 8);
    return bases[kind] + (uint64_t)(int64_t)(int16_t)fuzz_take(input, 2);
}

static void take_call(struct trial *trial, struct fuzz_input *input,
                      struct mailbox_registers *registers)
{
    registers->rax = fuzz_take(input, 1) % (RAW_NUMBER + 1);
    if (registers->rax == RAW_NUMBER)
        registers->rax = fuzz_take(input, 8);
    registers->rdi = take_argument(trial, input);
    registers->rsi = take_argument(trial, input);
    registers->rdx = take_argument(trial, input);
    registers->rcx = ~registers->rdi;
    registers->r8 = ~registers->rsi;
    trial->wild |= (registers->rax == MATRIX_READ && trial->input) ||
                   (registers->rax == MATRIX_VCPU_START && trial->vcpus_max > 1);
    if (registers->rax == MATRIX_SLEEP && registers->rdi != UINT64_MAX)
        registers->rdi %= SLEEP_MAX_NS;
}

static void write_mailbox(struct trial *trial, struct fuzz_input *input)
{
    const struct paging *paging = &trial->vm->paging;
    FUZZ_CHECK(paging_read(paging, LAYOUT_START, &trial->start, sizeof(trial->start)) ==
                   sizeof(trial->start),
               "no start page");
    trial->gva = trial->start.heap;
    while (input->left && trial->mailbox.count < MAILBOX_CALLS)
        take_call(trial, input, &trial->mailbox.calls[trial->mailbox.count++]);
    FUZZ_CHECK(paging_write(paging, trial->gva, &trial->mailbox, sizeof(trial->mailbox)) ==
                   sizeof(trial->mailbox),
               "no heap");
}

/* --- what is allowed to come of it ----------------------------------------------------------- */

static bool is_error(int64_t result)
{
    return result == MATRIX_EIO || result == MATRIX_ENOMEM || result == MATRIX_EFAULT ||
           result == MATRIX_EINVAL || result == MATRIX_ENOSYS || result == MATRIX_E2BIG ||
           result == MATRIX_EPERM;
}

/* Whether the program itself can reach all of [gva, gva + bytes), by the page tables. */
static bool can_reach(const struct matrix_vm *vm, uint64_t gva, uint64_t bytes)
{
    for (uint64_t at = gva; at - gva < bytes; at = (at | (PAGE_BYTES - 1)) + 1) {
        struct paging_walk walk;
        if (at < gva || at >= PAGING_USER_END || !paging_walk(&vm->paging, at, &walk) || !walk.user)
            return false;
    }
    return true;
}

/* The result that a call must have, where abi.h leaves no choice; else result itself. */
static int64_t expected_result(const struct trial *trial, const struct mailbox_registers *call,
                               uint64_t number, int64_t result)
{
    struct paging_walk walk;
    const bool mapped = paging_walk(&trial->vm->paging, call->rdi, &walk) && walk.user;
    switch (number) {
    case MATRIX_ABI:
        return (int64_t)(MATRIX_ABI_VERSION | trial->start.features << 32);
    case MATRIX_YIELD:
    case MATRIX_SLEEP:
    case MATRIX_PRINT_CHAR:
    case MATRIX_VCPU_INDEX:
        return 0;
    case MATRIX_PRINT_U8:
    case MATRIX_PRINT_U32:
    case MATRIX_PRINT_U64:
        return call->rsi == 10 || call->rsi == 16 ? 0 : MATRIX_EINVAL;
    case MATRIX_CLOCK:
        return call->rdi > MATRIX_CLOCK_CPU ? MATRIX_EINVAL : result;
    case MATRIX_WRITE:
        return call->rsi > MATRIX_BUFFER_MAX                ? MATRIX_E2BIG
               : can_reach(trial->vm, call->rdi, call->rsi) ? (int64_t)call->rsi
                                                            : MATRIX_EFAULT;
    case MATRIX_PRINT_STRING:
        return can_reach(trial->vm, call->rdi, 1) ? result : MATRIX_EFAULT;
    case MATRIX_READ:
        return trial->input ? result : result == 0 ? 0 : is_error(result) ? result : 0;
    case MATRIX_EXITS_OF_KIND:
        return call->rdi >= MATRIX_EXIT_KIND_COUNT ? MATRIX_EINVAL : result;
    case MATRIX_GVA_TO_GPA:
        return mapped ? (int64_t)walk.gpa : MATRIX_EFAULT;
    case MATRIX_GVA_TO_HVA:
        return trial->hidden ? MATRIX_EPERM
               : !mapped     ? MATRIX_EFAULT
                             : (int64_t)(uintptr_t)memory_at(&trial->vm->memory, walk.gpa, 1);
    case MATRIX_MEMORY_BYTES:
        return (int64_t)trial->start.memory_bytes;
    case MATRIX_VCPU_START:
        return is_error(result) ? result : -1;
    case MATRIX_EXIT:
    case MATRIX_VCPU_STOP:
    case MATRIX_EXITS:
        return result;
    default:
        return MATRIX_ENOSYS;
    }
}

/* What the guest saw, when nothing but caller.c ran in it and its memory is its own. */
static void check_calls(const struct trial *trial, const struct matrix_vm_info *info)
{
    struct mailbox after;
    paging_read(&trial->vm->paging, trial->gva, &after, sizeof(after));
    for (uint64_t i = 0; i < after.done; i++) {
        const struct mailbox_registers *call = &trial->mailbox.calls[i];
        const int64_t result = (int64_t)after.calls[i].rax;
        const int64_t expected = expected_result(trial, call, call->rax, result);
        FUZZ_CHECK(result == expected, "hypercall %llu(%#llx, %#llx, %#llx): %lld, not %lld",
                   (unsigned long long)call->rax, (unsigned long long)call->rdi,
                   (unsigned long long)call->rsi, (unsigned long long)call->rdx, (long long)result,
                   (long long)expected);
        FUZZ_CHECK(result >= 0 || is_error(result), "hypercall %llu: result %lld",
                   (unsigned long long)call->rax, (long long)result);
    }
    FUZZ_CHECK(after.spoiled == 0, "%llu calls changed registers",
               (unsigned long long)after.spoiled);

    const bool finished = info->state == MATRIX_VM_EXITED && after.done == trial->mailbox.count;
    const uint64_t calls = after.begun + finished; /* and the exit at the end */
    const uint64_t counted = info->exits[MATRIX_EXIT_KIND_HYPERCALL];
    FUZZ_CHECK(counted == calls || (info->state == MATRIX_VM_STOPPED && counted + 1 == calls),
               "%llu hypercalls, %llu counted", (unsigned long long)calls,
               (unsigned long long)counted);
    FUZZ_CHECK(info->state != MATRIX_VM_FAULTED, "a fault: %s",
               info->state == MATRIX_VM_FAULTED ? matrix_vm_report(trial->vm)->explanation : "");
    FUZZ_CHECK(!finished || info->status == MAILBOX_STATUS, "status %d", info->status);
}

/* --- the neighbour --------------------------------------------------------------------------- */

/* A neighbour's memory, its page tables included, as one array; returns its length. */
static size_t copy_memory(const struct matrix_vm *vm, uint8_t *to)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < vm->memory.slot_count; bytes += vm->memory.slots[i++].bytes)
        if (to)
            memcpy(to + bytes, vm->memory.slots[i].hva, vm->memory.slots[i].bytes);
    return bytes;
}

static void check_neighbour(void)
{
    const uint8_t *before = neighbour_before;
    for (unsigned i = 0; i < neighbour->memory.slot_count; i++) {
        const struct memory_slot *slot = &neighbour->memory.slots[i];
        FUZZ_CHECK(memcmp(slot->hva, before, slot->bytes) == 0, "the neighbour's slot %u", i);
        before += slot->bytes;
    }
    FUZZ_CHECK(neighbour->state == MATRIX_VM_ALIVE && vm_exits_total(neighbour) == 0,
               "the neighbour has changed");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    signal(SIGPIPE, SIG_IGN);
    struct matrix_error *error = matrix_kvm_open(NULL, &kvm);
    if (error) {
        fprintf(stderr, "SKIP: hypercalls need a live VM: %s\n", error->message);
        exit(EXIT_SKIPPED);
    }
    const struct matrix_vm_options options = {
        .name = "neighbour", .memory_bytes = MATRIX_MEMORY_MINIMUM, .input_fd = -1};
    FUZZ_NO_ERROR(matrix_vm_create(kvm, CALLER_IMAGE, &options, &neighbour));
    struct matrix_start start;
    paging_read(&neighbour->paging, LAYOUT_START, &start, sizeof(start));
    for (uint64_t at = 0; at < start.heap_bytes; at += sizeof(at)) {
        const uint64_t canary = (start.heap + at) * 0x9e3779b97f4a7c15;
        paging_write(&neighbour->paging, start.heap + at, &canary, sizeof(canary));
    }
    neighbour_before = malloc(copy_memory(neighbour, NULL));
    copy_memory(neighbour, neighbour_before);
    return 0;
}

/* --- one trial ------------------------------------------------------------------------------- */

/* The other ends of its pipes: a slow reader, and a writer that comes to an end. */
static void tick(struct matrix_core *core, void *context)
{
    struct trial *trial = context;
    char text[16384];
    FUZZ_CHECK(read(trial->out[0], text, sizeof(text)) != 0, "its output is closed");
    if (trial->in[1] >= 0 && write(trial->in[1], "input", 5) >= 0 && ++trial->ticks == 3) {
        close(trial->in[1]);
        trial->in[1] = -1;
    }
}

static void run(struct trial *trial)
{
    const struct matrix_core_options options = {
        .cpu = -1, .duration_ns = RUN_MAX_NS, .tick_ns = TICK_NS, .tick = tick, .context = trial};
    struct matrix_core *core;
    struct matrix_core_result result;
    FUZZ_NO_ERROR(matrix_core_create(&options, &core));
    FUZZ_NO_ERROR(matrix_core_add(core, trial->vm, 100));
    FUZZ_NO_ERROR(matrix_core_run(core, &result));
    matrix_core_destroy(core);
}

static void check(const struct trial *trial)
{
    struct matrix_vm_info info;
    uint64_t total = 0;
    matrix_vm_info(trial->vm, &info);
    for (unsigned kind = 0; kind < MATRIX_EXIT_KIND_COUNT; kind++)
        total += info.exits[kind];
    FUZZ_CHECK(total == info.exits_total, "the kinds do not add up");
    FUZZ_CHECK(info.state != MATRIX_VM_ALIVE, "still alive");
    FUZZ_CHECK(info.vcpus >= 1 && info.vcpus <= trial->vcpus_max, "%u vCPUs", info.vcpus);
    FUZZ_CHECK((info.state == MATRIX_VM_FAULTED) == (matrix_vm_report(trial->vm) != NULL),
               "state %d", info.state);
    if (info.state == MATRIX_VM_FAULTED) {
        struct matrix_report report;
        FUZZ_NO_ERROR(report_check(matrix_vm_report(trial->vm), sizeof(report), &report));
    }
    if (!trial->wild)
        check_calls(trial, &info);
    check_neighbour();
}

static void open_pipes(struct trial *trial)
{
    trial->null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    FUZZ_CHECK(trial->null >= 0 && pipe2(trial->in, O_CLOEXEC | O_NONBLOCK) == 0 &&
                   pipe2(trial->out, O_CLOEXEC | O_NONBLOCK) == 0 &&
                   fcntl(trial->out[1], F_SETPIPE_SZ, 4096) >= 0,
               "open");
}

static void close_pipes(const struct trial *trial)
{
    const int all[] = {trial->null, trial->in[0], trial->in[1], trial->out[0], trial->out[1]};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i] >= 0)
            close(all[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    const unsigned flags = (unsigned)fuzz_take(&input, 2);
    struct trial trial = {
        .input = flags & 1, .hidden = flags >> 1 & 1, .vcpus_max = flags >> 2 & 1 ? 4 : 1};
    struct matrix_output *output;
    open_pipes(&trial);
    FUZZ_NO_ERROR(matrix_output_create(flags >> 8 & 1 ? trial.out[1] : trial.null, &output));
    const struct matrix_vm_options options = {
        .name = "caller",
        .memory_bytes = MATRIX_MEMORY_MINIMUM,
        .vcpus_max = trial.vcpus_max,
        .memory_flags = flags >> 3 & 1 ? MATRIX_MEMORY_SMALL_PAGES : 0,
        .input_fd = trial.input ? trial.in[0] : -1,
        .output = flags >> 4 & 1 ? NULL : output,
        .tag = flags >> 5 & 1 ? "caller" : NULL,
        .output_escape = flags >> 6 & 1,
        .output_lossy = flags >> 7 & 1,
        .hide_host_addresses = trial.hidden,
    };
    FUZZ_NO_ERROR(matrix_vm_create(kvm, CALLER_IMAGE, &options, &trial.vm));
    write_mailbox(&trial, &input);
    run(&trial);
    check(&trial);
    matrix_vm_destroy(trial.vm);
    /* Nobody reads any more: what waits is thrown away, and not waited for. */
    close(trial.out[0]);
    trial.out[0] = -1;
    matrix_output_destroy(output);
    close_pipes(&trial);
    return 0;
}
