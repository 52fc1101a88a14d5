// SPDX-License-Identifier: GPL-2.0-or-later
/* matrix-doctor's checks of the processor and of the KVM device. */
#include "cli/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/kvm.h>
#include <matrix/kvm.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *module(const struct doctor_host *host)
{
    return host->is_amd ? "kvm_amd" : "kvm_intel";
}

static void remedy_processor(const struct doctor_host *host, struct doctor_line *line)
{
    if (host->is_virtual)
        doctor_remedy(line,
                      "switch on nested virtualisation for this machine on its host (%s.nested=1, "
                      "processor model \"host\"), or choose an instance type that has it",
                      module(host));
    else
        doctor_remedy(line,
                      "switch on %s in the firmware (BIOS) set-up, where it may be switched off",
                      host->is_amd ? "AMD-V (SVM)" : "Intel VT-x");
}

void doctor_check_processor(const struct doctor_host *host, struct doctor_line *line)
{
    const char *where = host->is_virtual ? ", in a virtual machine" : "";

    if (host->has_vmx || host->has_svm) {
        doctor_found(line, DOCTOR_OK, "%s%s", host->has_vmx ? "Intel VT-x (vmx)" : "AMD-V (svm)",
                     where);
    } else if (host->kvm_fd >= 0) {
        doctor_found(line, DOCTOR_OK, "shows neither vmx nor svm%s; KVM is there without", where);
    } else {
        doctor_found(line, DOCTOR_WARNING, "shows neither vmx nor svm%s", where);
        remedy_processor(host, line);
    }
}

static bool is_member(gid_t group)
{
    gid_t groups[1024];
    int count = getgroups(sizeof(groups) / sizeof(groups[0]), groups);
    for (int i = 0; i < count; i++)
        if (groups[i] == group)
            return true;
    return getegid() == group;
}

static bool is_listed(const struct group *group, const char *user)
{
    for (char **member = group->gr_mem; *member; member++)
        if (strcmp(*member, user) == 0)
            return true;
    return false;
}

/* Tells apart: the group may not, the user is not in it, or has not logged in since. */
static void remedy_permission(const struct doctor_host *host, struct doctor_line *line)
{
    struct stat status;
    struct passwd *passwd = getpwuid(geteuid());
    const char *user = passwd ? passwd->pw_name : "USER";
    if (stat(host->kvm_path, &status) < 0)
        return;

    struct group *group = getgrgid(status.st_gid);
    const char *name = group ? group->gr_name : "?";
    bool group_may = (status.st_mode & (S_IRGRP | S_IWGRP)) == (S_IRGRP | S_IWGRP);
    if (!group_may || status.st_gid == 0)
        doctor_remedy(line,
                      "its group %s may not open it, mode %04o: as root, chgrp kvm %s && "
                      "chmod 0660 %s && usermod -aG kvm %s; then log in again",
                      name, status.st_mode & 07777, host->kvm_path, host->kvm_path, user);
    else if (is_member(status.st_gid))
        doctor_remedy(line,
                      "you are in its group %s: see its access control list (getfacl %s) and "
                      "your container's device rules",
                      name, host->kvm_path);
    else if (group && is_listed(group, user))
        doctor_remedy(line, "you are in its group %s by now: log in again, or newgrp %s", name,
                      name);
    else
        doctor_remedy(line, "as root, usermod -aG %s %s; then log in again", name, user);
}

static void remedy_absent(const struct doctor_host *host, struct doctor_line *line)
{
    if (host->has_vmx || host->has_svm)
        doctor_remedy(line, "as root, modprobe %s; in a container, hand %s in", module(host),
                      host->kvm_path);
    else
        remedy_processor(host, line);
}

void doctor_check_device(const struct doctor_host *host, struct doctor_line *line)
{
    if (host->kvm_fd >= 0) {
        struct stat status;
        struct group *group = fstat(host->kvm_fd, &status) == 0 ? getgrgid(status.st_gid) : NULL;
        doctor_found(line, DOCTOR_OK, "%s can be opened (group %s)", host->kvm_path,
                     group ? group->gr_name : "?");
        return;
    }

    doctor_found(line, DOCTOR_MISSING, "%s cannot be opened: %s", host->kvm_path,
                 strerror(host->kvm_number));
    if (host->kvm_number == EACCES || host->kvm_number == EPERM)
        remedy_permission(host, line);
    else if (host->kvm_number == ENOENT || host->kvm_number == ENODEV || host->kvm_number == ENXIO)
        remedy_absent(host, line);
    else if (host->kvm_number == EBUSY)
        doctor_remedy(line, "stop the other hypervisor (VirtualBox, VMware) that holds it");
}

void doctor_check_version(const struct doctor_host *host, struct doctor_line *line)
{
    int version = ioctl(host->kvm_fd, KVM_GET_API_VERSION, 0);
    if (version == KVM_API_VERSION) {
        doctor_found(line, DOCTOR_OK, "%d", version);
    } else if (version >= 0) {
        doctor_found(line, DOCTOR_MISSING, "%d; Matrix needs %d", version, KVM_API_VERSION);
        doctor_remedy(line, "boot a kernel with a stable KVM (2.6.22 or later)");
    } else if (host->kvm_fd < 0) {
        doctor_found(line, DOCTOR_MISSING, "could not be asked");
    } else {
        doctor_found(line, DOCTOR_MISSING, "%s is not KVM", host->kvm_path);
        doctor_remedy(line, "name the KVM device: usually --kvm " MATRIX_KVM_PATH);
    }
}

bool doctor_check_capability(const struct doctor_host *host, unsigned index,
                             struct doctor_line *line)
{
    struct matrix_kvm_capability capability;
    if (!matrix_kvm_capability(host->kvm_fd, index, &capability))
        return false;

    line->name = capability.name;
    line->required = capability.needed != 0;
    if (capability.value < 0)
        doctor_found(line, line->required ? DOCTOR_MISSING : DOCTOR_WARNING,
                     "could not be asked; for %s", capability.purpose);
    else if (capability.sufficient && (capability.needed || capability.value))
        doctor_found(line, DOCTOR_OK, "%d; for %s", capability.value, capability.purpose);
    else if (line->required)
        doctor_found(line, DOCTOR_MISSING, "%d, %d is needed; for %s", capability.value,
                     capability.needed, capability.purpose);
    else
        doctor_found(line, DOCTOR_WARNING, "absent; for %s", capability.purpose);
    if (line->status != DOCTOR_OK && capability.value >= 0)
        doctor_remedy(line, "boot a newer kernel (4.17 or later has it)");
    return true;
}
