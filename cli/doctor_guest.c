// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * matrix-doctor's proof: a virtual machine is made, and a tiny guest really runs in it. The
 * guest is made here, so that this works without any installed image.
 */
#include "base/cleanup.h"
#include "cli/doctor.h"
#include <elf.h>
#include <errno.h>
#include <linux/kvm.h>
#include <matrix/matrix.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define GUEST_ADDRESS  0x400000
#define GUEST_STATUS   42
#define GUEST_LIMIT_NS 5000000000ULL

void doctor_check_vm(const struct doctor_host *host, struct doctor_line *line)
{
    if (host->kvm_fd < 0) {
        doctor_found(line, DOCTOR_MISSING, "not tried: %s cannot be opened", host->kvm_path);
        return;
    }

    CLEANUP_CLOSE int vm = -1;
    do
        vm = ioctl(host->kvm_fd, KVM_CREATE_VM, 0);
    while (vm < 0 && errno == EINTR);
    if (vm < 0) {
        int number = errno;
        doctor_found(line, DOCTOR_MISSING, "KVM_CREATE_VM: %s", strerror(number));
        if (number == EBUSY)
            doctor_remedy(line, "stop the other hypervisor (VirtualBox, VMware) that holds the "
                                "processor's virtualisation");
        else if (number == ENOMEM)
            doctor_remedy(line, "free some memory");
        return;
    }
    CLEANUP_CLOSE int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
    if (vcpu < 0)
        doctor_found(line, DOCTOR_MISSING, "KVM_CREATE_VCPU: %s", strerror(errno));
    else
        doctor_found(line, DOCTOR_OK, "can be made, with a virtual CPU");
}

/* An ELF image that asks for nothing but its end: MATRIX_EXIT with GUEST_STATUS. */
static const struct {
    Elf64_Ehdr header;
    Elf64_Phdr segment;
    uint8_t code[14];
} guest_image = {
    .header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
               .e_type = ET_EXEC,
               .e_machine = EM_X86_64,
               .e_version = EV_CURRENT,
               .e_entry = GUEST_ADDRESS + sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr),
               .e_phoff = sizeof(Elf64_Ehdr),
               .e_ehsize = sizeof(Elf64_Ehdr),
               .e_phentsize = sizeof(Elf64_Phdr),
               .e_phnum = 1,
               .e_shentsize = sizeof(Elf64_Shdr)},
    .segment = {.p_type = PT_LOAD,
                .p_flags = PF_R | PF_X,
                .p_vaddr = GUEST_ADDRESS,
                .p_paddr = GUEST_ADDRESS,
                .p_filesz = sizeof(guest_image),
                .p_memsz = sizeof(guest_image),
                .p_align = 4096},
    .code = {0xb8, MATRIX_EXIT, 0, 0, 0,  /* mov eax, MATRIX_EXIT */
             0xbf, GUEST_STATUS, 0, 0, 0, /* mov edi, GUEST_STATUS */
             0xe6, MATRIX_HYPERCALL_PORT, /* out port, al */
             0x0f, 0x0b},                 /* ud2: not reached */
};

struct guest {
    struct matrix_kvm *kvm;
    struct matrix_vm *vm;
    struct matrix_core *core;
};

static struct matrix_error *guest_run(const char *kvm_path, int image, struct guest *guest)
{
    const struct matrix_vm_options options = {
        .name = "doctor",
        .memory_bytes = MATRIX_MEMORY_MINIMUM,
        .input_fd = -1,
    };
    const struct matrix_core_options core_options = {.cpu = -1, .duration_ns = GUEST_LIMIT_NS};
    struct matrix_core_result result;
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", image);
    struct matrix_error *error = matrix_kvm_open(kvm_path, &guest->kvm);
    if (!error)
        error = matrix_vm_create(guest->kvm, path, &options, &guest->vm);
    if (!error)
        error = matrix_core_create(&core_options, &guest->core);
    if (!error)
        error = matrix_core_add(guest->core, guest->vm, 1);
    if (!error)
        error = matrix_core_run(guest->core, &result);
    return error;
}

static void judge(const struct guest *guest, double milliseconds, struct doctor_line *line)
{
    struct matrix_vm_info info;
    const struct matrix_report *report = matrix_vm_report(guest->vm);

    matrix_vm_info(guest->vm, &info);
    if (info.state == MATRIX_VM_EXITED && info.status == GUEST_STATUS)
        doctor_found(line, DOCTOR_OK, "a guest was made, ran and ended in %.1f ms", milliseconds);
    else if (report)
        doctor_found(line, DOCTOR_MISSING, "a guest was ended: %s: %s", report->reason,
                     report->explanation);
    else
        doctor_found(line, DOCTOR_MISSING, "a guest did not end as it should: %s, status %d",
                     matrix_vm_state_name(info.state), info.status);
}

void doctor_check_guest(const struct doctor_host *host, struct doctor_line *line)
{
    CLEANUP_CLOSE int image = memfd_create("guest", MFD_CLOEXEC);
    if (image < 0 || write(image, &guest_image, sizeof(guest_image)) != sizeof(guest_image)) {
        doctor_found(line, DOCTOR_MISSING, "no memory for an image: %s", strerror(errno));
        return;
    }

    struct guest guest = {0};
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    CLEANUP_ERROR struct matrix_error *error = guest_run(host->kvm_path, image, &guest);
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (error) {
        doctor_found(line, DOCTOR_MISSING, "%s", error->message);
        if (error->remedy && host->kvm_fd >= 0)
            doctor_remedy(line, "%s", error->remedy);
    } else {
        judge(&guest,
              (double)(end.tv_sec - begin.tv_sec) * 1e3 +
                  (double)(end.tv_nsec - begin.tv_nsec) / 1e6,
              line);
    }
    matrix_core_destroy(guest.core);
    matrix_vm_destroy(guest.vm);
    matrix_kvm_close(guest.kvm);
}
