// SPDX-License-Identifier: GPL-2.0-or-later
/* A guest: assembled, asked, ended. */
#include "vmm/vm.h"

#include "base/clock.h"
#include "base/error.h"
#include "vmm/layout.h"
#include "vmm/vcpu.h"
#include "vmm/x86_64/system.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static struct matrix_error *check_options(const struct matrix_vm_options *options)
{
    if (options->vcpus_max > MATRIX_VCPUS_MAX)
        return error_usage(NULL, "%u virtual CPUs; %d are the most", options->vcpus_max,
                           MATRIX_VCPUS_MAX);
    return NULL;
}

static struct matrix_error *create_kvm_vm(struct matrix_vm *vm)
{
    /* A signal for the caller can interrupt it (kernels before 6.2 hand EINTR up). */
    do
        vm->fd = ioctl(vm->kvm->fd, KVM_CREATE_VM, 0);
    while (vm->fd < 0 && errno == EINTR);
    if (vm->fd >= 0)
        return NULL;
    const bool is_limit = errno == EMFILE || errno == ENFILE || errno == ENOMEM;
    return error_new(is_limit ? MATRIX_ERROR_HOST : MATRIX_ERROR_KVM, errno,
                     errno == EBUSY    ? "another hypervisor holds the processor: stop it"
                     : errno == EMFILE ? "raise the limit of open files (ulimit -n)"
                                       : NULL,
                     "KVM_CREATE_VM for guest %s", vm->name);
}

static struct matrix_error *set_up(struct matrix_vm *vm, const char *path,
                                   const struct matrix_vm_options *options)
{
    RETURN_IF_ERROR(check_options(options));
    RETURN_IF_ERROR(image_open(path, &vm->image));
    RETURN_IF_ERROR(create_kvm_vm(vm));
    memory_init(&vm->memory, vm->fd);
    RETURN_IF_ERROR(memory_add_ram(
        &vm->memory, options->memory_bytes ? options->memory_bytes : MATRIX_MEMORY_DEFAULT,
        options->memory_flags));
    RETURN_IF_ERROR(system_build(&vm->memory, &vm->paging));
    RETURN_IF_ERROR(layout_build(vm, options));
    return vm_add_vcpu(vm, vm->image.entry, layout_start_stack(), LAYOUT_START, NULL);
}

struct matrix_error *matrix_vm_create(struct matrix_kvm *kvm, const char *path,
                                      const struct matrix_vm_options *options,
                                      struct matrix_vm **result)
{
    *result = NULL;
    struct matrix_vm *vm = calloc(1, sizeof(*vm));
    if (!vm)
        return error_host(ENOMEM, "make a guest");
    vm->kvm = kvm;
    vm->fd = -1;
    vm->image.fd = -1;
    vm->input_fd = options->input_fd;
    vm->hide_host_addresses = options->hide_host_addresses;
    vm->vcpus_max = options->vcpus_max ? options->vcpus_max : MATRIX_VCPUS_MAX;
    vm->features = (vm->input_fd >= 0 ? MATRIX_FEATURE_READ : 0) |
                   (vm->vcpus_max > 1 ? MATRIX_FEATURE_VCPUS : 0) |
                   (vm->hide_host_addresses ? 0 : MATRIX_FEATURE_HOST_ADDRESSES);
    vm->created_ns = clock_now_ns(CLOCK_MONOTONIC);
    vm->name = strdup(options->name ? options->name : "guest");
    console_init(&vm->console, options, options->tag ? vm->name : NULL);

    struct matrix_error *error =
        vm->name ? set_up(vm, path, options) : error_host(ENOMEM, "make a guest");
    if (error) {
        matrix_vm_destroy(vm);
        return error;
    }
    *result = vm;
    return NULL;
}

struct matrix_error *vm_add_vcpu(struct matrix_vm *vm, uint64_t entry, uint64_t stack,
                                 uint64_t argument, unsigned *index)
{
    const unsigned next = vm->vcpu_count;
    RETURN_IF_ERROR(vcpu_create(vm, next, entry, stack, argument, &vm->vcpus[next]));
    vm->vcpu_count++;
    if (index)
        *index = next;
    return NULL;
}

void vm_end(struct matrix_vm *vm, enum matrix_vm_state state, int status)
{
    if (vm->state != MATRIX_VM_ALIVE)
        return;
    vm->state = state;
    vm->status = status;
    console_finish(&vm->console);
}

void matrix_vm_destroy(struct matrix_vm *vm)
{
    if (!vm)
        return;
    vm_end(vm, MATRIX_VM_STOPPED, 0);
    for (unsigned i = 0; i < vm->vcpu_count; i++)
        vcpu_destroy(vm->vcpus[i]);
    if (vm->fd >= 0)
        close(vm->fd);
    console_destroy(&vm->console);
    memory_destroy(&vm->memory);
    image_close(&vm->image);
    free(vm->report);
    free(vm->name);
    free(vm);
}

bool matrix_vm_region(const struct matrix_vm *vm, size_t index, struct matrix_region *region)
{
    if (index >= vm->memory.slot_count)
        return false;
    const struct memory_slot *slot = &vm->memory.slots[index];
    *region = (struct matrix_region){slot->gpa, (uint64_t)(uintptr_t)slot->hva, slot->bytes};
    return true;
}

uint64_t vm_exits_total(const struct matrix_vm *vm)
{
    uint64_t total = 0;
    for (unsigned kind = 0; kind < MATRIX_EXIT_KIND_COUNT; kind++)
        total += vm->exits[kind];
    return total;
}

void matrix_vm_info(const struct matrix_vm *vm, struct matrix_vm_info *info)
{
    *info = (struct matrix_vm_info){
        .name = vm->name,
        .state = vm->state,
        .status = vm->status,
        .vcpus = vm->vcpu_count,
        .memory_bytes = vm->memory.ram_bytes,
        /* The guest writes it; a torn or false value is its own affair. */
        .work = __atomic_load_n(vm->work, __ATOMIC_RELAXED),
        .exits_total = vm_exits_total(vm),
        .dropped_lines = vm->console.dropped_lines,
        .dropped_bytes = vm->console.dropped_bytes,
    };
    memcpy(info->exits, vm->exits, sizeof(info->exits));
}

const char *matrix_vm_state_name(enum matrix_vm_state state)
{
    static const char *const names[] = {
        [MATRIX_VM_ALIVE] = "alive",
        [MATRIX_VM_EXITED] = "exited",
        [MATRIX_VM_FAULTED] = "faulted",
        [MATRIX_VM_STOPPED] = "stopped",
    };
    return (unsigned)state < sizeof(names) / sizeof(names[0]) ? names[state] : "unknown";
}

const struct matrix_report *matrix_vm_report(const struct matrix_vm *vm)
{
    return vm->report;
}

const char *matrix_vm_symbol(struct matrix_vm *vm, uint64_t gva, uint64_t *offset)
{
    return image_symbol(&vm->image, gva, offset);
}
