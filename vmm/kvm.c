// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Opens /dev/kvm and makes sure that it can do what Matrix needs. Everything that can be
 * wrong with it is told apart here, with its remedy.
 */
#include "vmm/kvm.h"

#include "base/cleanup.h"
#include "base/error.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* More entries than any processor reports (KVM_MAX_CPUID_ENTRIES in the kernel). */
#define CPUID_ENTRIES_MAX 256

static const struct {
    long number;
    int needed; /* the least value that will do; a mask for KVM_CAP_SYNC_REGS; 0: optional */
    const char *name, *purpose;
} capabilities[] = {
    {KVM_CAP_USER_MEMORY, 1, "KVM_CAP_USER_MEMORY", "guest memory from the monitor's memory"},
    {KVM_CAP_NR_MEMSLOTS, 3, "KVM_CAP_NR_MEMSLOTS", "memory in two parts, and the system area"},
    {KVM_CAP_SYNC_MMU, 1, "KVM_CAP_SYNC_MMU", "KSM, swapping and huge pages under a running guest"},
    {KVM_CAP_EXT_CPUID, 1, "KVM_CAP_EXT_CPUID", "telling guests what the processor can do"},
    {KVM_CAP_SYNC_REGS, KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS, "KVM_CAP_SYNC_REGS",
     "hypercalls without further ioctls"},
    {KVM_CAP_IMMEDIATE_EXIT, 0, "KVM_CAP_IMMEDIATE_EXIT", "stopping a virtual CPU from a handler"},
    {KVM_CAP_MAX_VCPUS, 0, "KVM_CAP_MAX_VCPUS", "several virtual CPUs in a guest"},
    {KVM_CAP_NR_VCPUS, 0, "KVM_CAP_NR_VCPUS", "the recommended number of them"},
};

bool matrix_kvm_capability(int fd, unsigned index, struct matrix_kvm_capability *capability)
{
    if (index >= sizeof(capabilities) / sizeof(capabilities[0]))
        return false;

    int value = ioctl(fd, KVM_CHECK_EXTENSION, capabilities[index].number);
    int needed = capabilities[index].needed;
    bool is_mask = capabilities[index].number == KVM_CAP_SYNC_REGS;
    *capability = (struct matrix_kvm_capability){
        .name = capabilities[index].name,
        .purpose = capabilities[index].purpose,
        .needed = needed,
        .value = value,
        .sufficient = value >= 0 && (is_mask ? (value & needed) == needed : value >= needed),
    };
    return true;
}

/* The group that may open path, read without NSS so that a static program can ask; false if there
 * is none, or if it is root's own, which nobody should join. */
static bool find_group(const char *path, char *name, size_t size)
{
    struct stat status;
    if (stat(path, &status) < 0 || status.st_gid == 0 || (status.st_mode & 060) != 060)
        return false;
    CLEANUP_FILE FILE *file = fopen("/etc/group", "re");
    for (struct group *group; file && (group = fgetgrent(file));)
        if (group->gr_gid == status.st_gid) {
            snprintf(name, size, "%s", group->gr_name);
            return true;
        }
    return false;
}

static struct matrix_error *describe_open_failure(const char *path, int number)
{
    if (number == EACCES || number == EPERM) {
        char group[64], remedy[256];
        if (find_group(path, group, sizeof(group)))
            snprintf(remedy, sizeof(remedy),
                     "add yourself to the group %s (usermod -aG %s YOUR-NAME) and log in again",
                     group, group);
        else
            snprintf(remedy, sizeof(remedy),
                     "only root may open it: run as root, or let the group kvm in (chgrp kvm %s && "
                     "chmod 660 %s) and join that",
                     path, path);
        return error_new(MATRIX_ERROR_KVM, number, remedy, "open %s", path);
    }
    const char *remedy = "run `matrix doctor`";
    if (number == ENOENT)
        remedy = "load the module kvm_intel or kvm_amd; if that fails, switch on virtualisation "
                 "(VT-x, AMD-V, SVM) in the firmware, or nested virtualisation for this machine; "
                 "`matrix lab` has a /dev/kvm of its own";
    else if (number == ENODEV || number == ENXIO)
        remedy = "the device node is there but no driver is behind it: modprobe kvm_intel or "
                 "kvm_amd";
    else if (number == EBUSY)
        remedy = "another hypervisor (VirtualBox, VMware) holds the processor's virtualisation: "
                 "stop it";
    return error_new(MATRIX_ERROR_KVM, number, remedy, "open %s", path);
}

static struct matrix_error *check_version(const char *path, int fd)
{
    int version = ioctl(fd, KVM_GET_API_VERSION, 0);
    if (version < 0)
        return error_new(MATRIX_ERROR_KVM, errno, "name the KVM device, usually " MATRIX_KVM_PATH,
                         "%s is not KVM: KVM_GET_API_VERSION", path);
    if (version != KVM_API_VERSION)
        return error_new(MATRIX_ERROR_KVM, 0, "boot a kernel with a stable KVM (2.6.22 or later)",
                         "%s speaks KVM API version %d; Matrix needs version %d", path, version,
                         KVM_API_VERSION);
    return NULL;
}

static struct matrix_error *check_capabilities(const char *path, int fd)
{
    struct matrix_kvm_capability capability;
    for (unsigned i = 0; matrix_kvm_capability(fd, i, &capability); i++)
        if (capability.needed && !capability.sufficient)
            return error_new(MATRIX_ERROR_KVM, 0, "boot a newer kernel (4.17 or later has it)",
                             "%s lacks %s: it answers %d, %d is needed for %s", path,
                             capability.name, capability.value, capability.needed,
                             capability.purpose);
    return NULL;
}

/* What this host's KVM can offer to guests; asked once, given to each vCPU. */
static struct matrix_error *read_cpuid(struct matrix_kvm *kvm)
{
    kvm->cpuid =
        calloc(1, sizeof(*kvm->cpuid) + CPUID_ENTRIES_MAX * sizeof(struct kvm_cpuid_entry2));
    if (!kvm->cpuid)
        return error_host(ENOMEM, "read the processor's features");
    kvm->cpuid->nent = CPUID_ENTRIES_MAX;
    if (ioctl(kvm->fd, KVM_GET_SUPPORTED_CPUID, kvm->cpuid) < 0)
        return error_new(MATRIX_ERROR_KVM, errno, NULL, "KVM_GET_SUPPORTED_CPUID");
    return NULL;
}

static struct matrix_error *kvm_set_up(struct matrix_kvm *kvm, const char *path)
{
    kvm->fd = open(path, O_RDWR | O_CLOEXEC);
    if (kvm->fd < 0)
        return describe_open_failure(path, errno);
    RETURN_IF_ERROR(check_version(path, kvm->fd));
    RETURN_IF_ERROR(check_capabilities(path, kvm->fd));

    int run_bytes = ioctl(kvm->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (run_bytes < (int)sizeof(struct kvm_run))
        return error_new(MATRIX_ERROR_KVM, run_bytes < 0 ? errno : 0, NULL,
                         "%s: KVM_GET_VCPU_MMAP_SIZE", path);
    kvm->run_bytes = (size_t)run_bytes;
    return read_cpuid(kvm);
}

struct matrix_error *matrix_kvm_open(const char *path, struct matrix_kvm **result)
{
    *result = NULL;
    struct matrix_kvm *kvm = calloc(1, sizeof(*kvm));
    if (!kvm)
        return error_host(ENOMEM, "open KVM");

    struct matrix_error *error = kvm_set_up(kvm, path ? path : MATRIX_KVM_PATH);
    if (error) {
        matrix_kvm_close(kvm);
        return error;
    }
    *result = kvm;
    return NULL;
}

void matrix_kvm_close(struct matrix_kvm *kvm)
{
    if (!kvm)
        return;
    if (kvm->fd >= 0)
        close(kvm->fd);
    free(kvm->cpuid);
    free(kvm);
}
