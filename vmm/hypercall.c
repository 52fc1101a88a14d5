// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The hypercalls (include/matrix/guest/abi.h): one table. Arguments come from
 * the registers that KVM has put into the shared page, and the result goes back there, so
 * that a hypercall costs one exit and no further ioctl.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "vmm/translate.h"
#include "vmm/vcpu.h"
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A hypercall that has no result yet: the registers stay as they are, so it can be tried again. */
#define PENDING INT64_MIN

/* Guest memory is copied in pieces of this size, so that no hypercall needs an allocation. */
#define CHUNK_BYTES 1024

/* After so many bytes of output others may come on: 64 KiB of control characters, which are shown as four
 * each, would else take longer than a slice. */
#define PRINT_BYTES 4096

/* What a hypercall sees: its arguments, and the outcome if it is not VCPU_HANDLED. */
struct call {
    struct vcpu *vcpu;
    struct matrix_vm *vm;
    uint64_t a, b, c;
    enum vcpu_outcome outcome;
};

static int64_t pend(struct call *call, enum vcpu_outcome outcome)
{
    call->outcome = outcome;
    return PENDING;
}

static int64_t call_abi(struct call *call)
{
    return (int64_t)(MATRIX_ABI_VERSION | call->vm->features << 32);
}

static int64_t call_exit(struct call *call)
{
    vm_end(call->vm, MATRIX_VM_EXITED, (int)(call->a & 0xff));
    call->outcome = VCPU_VM_ENDED;
    return 0;
}

static int64_t call_yield(struct call *call)
{
    call->outcome = VCPU_YIELDED;
    return 0;
}

static int64_t call_sleep(struct call *call)
{
    const uint64_t now = clock_now_ns(CLOCK_MONOTONIC);
    call->vcpu->wake_ns = call->a > UINT64_MAX - now ? UINT64_MAX : now + call->a;
    call->outcome = VCPU_SLEEPING;
    console_show_partial(&call->vm->console);
    return 0;
}

/* What a guest will be charged for so far. The core may be ahead by some microseconds. */
static uint64_t since_it_came_on(const struct matrix_vm *vm)
{
    const uint64_t now = clock_now_ns(CLOCK_THREAD_CPUTIME_ID);
    return now > vm->came_on_cpu_ns ? now - vm->came_on_cpu_ns : 0;
}

static int64_t call_clock(struct call *call)
{
    switch (call->a) {
    case MATRIX_CLOCK_MONOTONIC:
        return (int64_t)(clock_now_ns(CLOCK_MONOTONIC) - call->vm->created_ns);
    case MATRIX_CLOCK_REALTIME:
        return (int64_t)clock_now_ns(CLOCK_REALTIME);
    case MATRIX_CLOCK_CPU:
        return (int64_t)(call->vm->cpu_ns + since_it_came_on(call->vm));
    default:
        return MATRIX_EINVAL;
    }
}

/* A guest whose output has nowhere to go (EPIPE, a full disk) must not run on unheard. */
static bool output_lost(const struct call *call)
{
    const struct matrix_output *output = call->vm->console.output;
    return output && matrix_output_failed(output);
}

/* Prints all of text or, when the reader is slow, as much as it takes; tried again from there. */
static bool print(struct call *call, const char *text, size_t bytes)
{
    struct vcpu *vcpu = call->vcpu;
    size_t skip = vcpu->progress;
    size_t taken = console_write(&call->vm->console, text + skip, bytes - skip);
    vcpu->progress += taken;
    if (output_lost(call))
        call->outcome = VCPU_OUTPUT_LOST;
    return skip + taken == bytes;
}

static int64_t print_number(struct call *call, uint64_t value)
{
    char text[24];
    if (call->b != 10 && call->b != 16)
        return MATRIX_EINVAL;
    int length = snprintf(text, sizeof(text), call->b == 16 ? "0x%" PRIx64 : "%" PRIu64, value);
    return print(call, text, (size_t)length) ? 0 : pend(call, VCPU_WAITS_OUTPUT);
}

static int64_t call_print_u8(struct call *call)
{
    return print_number(call, (uint8_t)call->a);
}

static int64_t call_print_u32(struct call *call)
{
    return print_number(call, (uint32_t)call->a);
}

static int64_t call_print_u64(struct call *call)
{
    return print_number(call, call->a);
}

static int64_t call_print_char(struct call *call)
{
    const char character = (char)call->a;
    return print(call, &character, 1) ? 0 : pend(call, VCPU_WAITS_OUTPUT);
}

/* Prints guest memory [gva, gva + length), which the caller has found to be readable. */
static int64_t print_memory(struct call *call, uint64_t gva, uint64_t length)
{
    const uint64_t limit = call->vcpu->progress + PRINT_BYTES;
    while (call->vcpu->progress < length) {
        if (call->vcpu->progress >= limit)
            return pend(call, call->outcome);
        char text[CHUNK_BYTES];
        const uint64_t done = call->vcpu->progress;
        const uint64_t part = length - done < sizeof(text) ? length - done : sizeof(text);
        if (paging_read(&call->vm->paging, gva + done, text, part) != part)
            return MATRIX_EFAULT;
        size_t taken = console_write(&call->vm->console, text, part);
        call->vcpu->progress += taken;
        if (output_lost(call))
            call->outcome = VCPU_OUTPUT_LOST;
        if (taken != part)
            return pend(call, VCPU_WAITS_OUTPUT);
    }
    return (int64_t)length;
}

/* Whether the program may read (or write) all of [gva, gva + length): checked before anything is
 * done, so that a hypercall that fails has had no effect. */
static bool is_accessible(const struct matrix_vm *vm, uint64_t gva, uint64_t length, bool write)
{
    if (length > UINT64_MAX - gva)
        return false;
    for (uint64_t done = 0; done < length;) {
        struct paging_walk walk;
        if (!paging_walk(&vm->paging, gva + done, &walk) || !walk.user || (write && !walk.writable))
            return false;
        done += walk.page_bytes - ((gva + done) & (walk.page_bytes - 1));
    }
    return true;
}

static int64_t call_write(struct call *call)
{
    if (call->b > MATRIX_BUFFER_MAX)
        return MATRIX_E2BIG;
    if (!is_accessible(call->vm, call->a, call->b, false))
        return MATRIX_EFAULT;
    return print_memory(call, call->a, call->b);
}

/* The length of the string at gva, or a negative result. */
static int64_t string_length(const struct matrix_vm *vm, uint64_t gva)
{
    char text[CHUNK_BYTES];
    for (uint64_t length = 0; length <= MATRIX_BUFFER_MAX;) {
        const uint64_t part = paging_read(&vm->paging, gva + length, text, sizeof(text));
        const char *end = memchr(text, '\0', part);
        if (end)
            length += (uint64_t)(end - text);
        if (end && length <= MATRIX_BUFFER_MAX)
            return (int64_t)length;
        if (!end && part < sizeof(text))
            return MATRIX_EFAULT;
        length += part;
    }
    return MATRIX_E2BIG;
}

static int64_t call_print_string(struct call *call)
{
    const int64_t length = string_length(call->vm, call->a);
    return length < 0 ? length : print_memory(call, call->a, (uint64_t)length);
}

static int64_t call_read(struct call *call)
{
    struct matrix_vm *vm = call->vm;
    if (call->b > MATRIX_BUFFER_MAX)
        return MATRIX_E2BIG;
    if (!is_accessible(vm, call->a, call->b, true))
        return MATRIX_EFAULT;
    if (vm->input_fd < 0 || call->b == 0)
        return 0;

    console_show_partial(&vm->console);
    struct pollfd ready = {.fd = vm->input_fd, .events = POLLIN};
    if (poll(&ready, 1, 0) == 0)
        return pend(call, VCPU_WAITS_INPUT);
    char text[CHUNK_BYTES];
    ssize_t bytes = read(vm->input_fd, text, call->b < sizeof(text) ? call->b : sizeof(text));
    if (bytes < 0)
        return errno == EINTR || errno == EAGAIN ? pend(call, VCPU_WAITS_INPUT) : MATRIX_EIO;
    paging_write(&vm->paging, call->a, text, (uint64_t)bytes);
    return bytes;
}

static int64_t call_exits(struct call *call)
{
    return (int64_t)vm_exits_total(call->vm);
}

static int64_t call_exits_of_kind(struct call *call)
{
    return call->a < MATRIX_EXIT_KIND_COUNT ? (int64_t)call->vm->exits[call->a] : MATRIX_EINVAL;
}

/* The program is told only of what it could reach itself. */
static int64_t translate(struct call *call, bool to_host)
{
    CLEANUP_ERROR struct matrix_error *error = NULL;
    struct matrix_translation translation;
    struct paging_walk walk;
    if (!paging_walk(&call->vm->paging, call->a, &walk) || !walk.user)
        return MATRIX_EFAULT;
    error = translate_on_vcpu(call->vcpu, call->a, &translation);
    if (error || !translation.kvm_mapped || !translation.agree)
        return MATRIX_EFAULT;
    return (int64_t)(to_host ? translation.hva : translation.kvm_gpa);
}

static int64_t call_gva_to_hva(struct call *call)
{
    return call->vm->hide_host_addresses ? MATRIX_EPERM : translate(call, true);
}

static int64_t call_gva_to_gpa(struct call *call)
{
    return translate(call, false);
}

static int64_t call_memory_bytes(struct call *call)
{
    return (int64_t)call->vm->memory.ram_bytes;
}

static int64_t call_vcpu_start(struct call *call)
{
    struct matrix_vm *vm = call->vm;
    struct paging_walk walk;
    if (!paging_walk(&vm->paging, call->a, &walk) || !walk.user || !walk.executable)
        return MATRIX_EFAULT;
    if (call->b % 16)
        return MATRIX_EINVAL;
    if (!is_accessible(vm, call->b - 16, 16, true))
        return MATRIX_EFAULT;
    if (vm->vcpu_count == vm->vcpus_max)
        return MATRIX_ENOMEM;
    unsigned index;
    /* As after a call, like the first vCPU's. */
    CLEANUP_ERROR struct matrix_error *error =
        vm_add_vcpu(vm, call->a, call->b - sizeof(uint64_t), call->c, &index);
    return error ? MATRIX_ENOMEM : (int64_t)index;
}

static int64_t call_vcpu_stop(struct call *call)
{
    call->outcome = VCPU_STOPPED;
    if (++call->vm->vcpus_stopped == call->vm->vcpu_count) {
        vm_end(call->vm, MATRIX_VM_EXITED, 0);
        call->outcome = VCPU_VM_ENDED;
    }
    return 0;
}

static int64_t call_vcpu_index(struct call *call)
{
    return call->vcpu->index;
}

static int64_t (*const hypercalls[MATRIX_HYPERCALL_COUNT])(struct call *call) = {
    [MATRIX_ABI] = call_abi,
    [MATRIX_EXIT] = call_exit,
    [MATRIX_YIELD] = call_yield,
    [MATRIX_SLEEP] = call_sleep,
    [MATRIX_CLOCK] = call_clock,
    [MATRIX_PRINT_U8] = call_print_u8,
    [MATRIX_PRINT_U32] = call_print_u32,
    [MATRIX_PRINT_U64] = call_print_u64,
    [MATRIX_PRINT_CHAR] = call_print_char,
    [MATRIX_PRINT_STRING] = call_print_string,
    [MATRIX_WRITE] = call_write,
    [MATRIX_READ] = call_read,
    [MATRIX_EXITS] = call_exits,
    [MATRIX_EXITS_OF_KIND] = call_exits_of_kind,
    [MATRIX_GVA_TO_HVA] = call_gva_to_hva,
    [MATRIX_GVA_TO_GPA] = call_gva_to_gpa,
    [MATRIX_MEMORY_BYTES] = call_memory_bytes,
    [MATRIX_VCPU_START] = call_vcpu_start,
    [MATRIX_VCPU_STOP] = call_vcpu_stop,
    [MATRIX_VCPU_INDEX] = call_vcpu_index,
};

enum vcpu_outcome hypercall_handle(struct vcpu *vcpu)
{
    struct kvm_run *run = vcpu->run;
    struct kvm_regs *regs = &run->s.regs.regs;
    struct call call = {
        .vcpu = vcpu,
        .vm = vcpu->vm,
        .a = regs->rdi,
        .b = regs->rsi,
        .c = regs->rdx,
        .outcome = VCPU_HANDLED,
    };
    const int64_t result = regs->rax < MATRIX_HYPERCALL_COUNT && hypercalls[regs->rax]
                               ? hypercalls[regs->rax](&call)
                               : MATRIX_ENOSYS;
    vcpu->waiting = result == PENDING;
    if (!vcpu->waiting) {
        /* KVM reads the registers back at the next KVM_RUN because they are marked dirty. */
        regs->rax = (uint64_t)result;
        run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
    }
    return call.outcome;
}
