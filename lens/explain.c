// SPDX-License-Identifier: GPL-2.0-or-later
/* What an errno means in answer to a request; see explain.h. */
#include "lens/explain.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "lens/internal.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define ANY LENS_REQUESTS

#define REMEDY_ROOT "run it as root"
#define REMEDY_LIST "`matrix proc list --all` shows the processes that are there"
#define REMEDY_LOAD "as root: matrix modules load"
#define REMEDY_NEW  "build the module anew and load it: matrix modules unload, then load"

/* The first row that fits says it. */
static const struct {
    enum lens_request request;
    int number;
    enum { BOTH, MODULE, PROC } source;
    const char *why, *remedy;
} meanings[] = {
    {LENS_OPEN, ENOENT, MODULE, "the kernel module matrix_lens is not loaded", REMEDY_LOAD},
    {LENS_OPEN, ENXIO, MODULE, "the kernel module matrix_lens is not loaded any more", REMEDY_LOAD},
    {LENS_OPEN, ENODEV, MODULE, "the kernel module matrix_lens is not loaded any more",
     REMEDY_LOAD},
    {LENS_OPEN, EACCES, MODULE, "the module is loaded, but the device is not for everybody",
     REMEDY_ROOT},
    {LENS_OPEN, EPERM, MODULE, "the module is loaded, but the device is not for everybody",
     REMEDY_ROOT},
    {LENS_OPEN, ENOTTY, MODULE, "that is some other device", REMEDY_LOAD},
    {ANY, ESRCH, BOTH, "there is no such process, or it has ended", REMEDY_LIST},
    {ANY, ENXIO, BOTH, "it has no memory of its own: a kernel thread, or a zombie", NULL},
    {ANY, ENOTTY, MODULE, "the loaded module does not know this request", REMEDY_NEW},
    {ANY, E2BIG, MODULE, "the loaded module is older than this program", REMEDY_NEW},
    {ANY, EPROTO, MODULE, "the module's answer makes no sense", REMEDY_NEW},
    {LENS_TRANSLATE, EPERM, MODULE,
     "physical addresses need CAP_SYS_ADMIN, and another's process CAP_SYS_PTRACE", REMEDY_ROOT},
    {LENS_TRANSLATE, EPERM, PROC,
     "the kernel hides page frames from who lacks CAP_SYS_ADMIN, and all of another user's process "
     "from who lacks CAP_SYS_PTRACE",
     REMEDY_ROOT},
    {LENS_TRANSLATE, ENOSYS, PROC,
     "this kernel has no /proc/PID/pagemap and /proc/kpageflags (CONFIG_PROC_PAGE_MONITOR)",
     "load the module: matrix modules load"},
    {LENS_WRITE, EPERM, MODULE,
     "it needs CAP_SYS_ADMIN, CAP_SYS_RAWIO and, for a process, CAP_SYS_PTRACE, and a kernel that "
     "is "
     "not locked down",
     REMEDY_ROOT "; `cat /sys/kernel/security/lockdown` tells of a lockdown"},
    {LENS_READ, EPERM, MODULE,
     "it needs CAP_SYS_ADMIN, for a process CAP_SYS_PTRACE, and for an address alone CAP_SYS_RAWIO "
     "and a kernel that is not locked down",
     REMEDY_ROOT "; `cat /sys/kernel/security/lockdown` tells of a lockdown"},
    {LENS_WRITE, EBUSY, MODULE,
     "the page is shared: merged by KSM or common to parent and child after a fork, so that others "
     "would see the byte change, too",
     "use --force to change it for all of them"},
    {LENS_WRITE, EROFS, MODULE,
     "the page is of a file on disk, which would change without the file system's knowing",
     "write to the file, or to a private copy of the page"},
    {LENS_WRITE, EACCES, MODULE,
     "that page is never written to: the zero page, reserved by kernel or firmware, hidden "
     "(memfd_secret), read-only for the kernel, or no user's memory",
     "if it is no user's memory, --physical with --force writes there at your own risk"},
    {LENS_READ, EACCES, MODULE,
     "that page cannot be reached: reserved by kernel or firmware, hidden (memfd_secret), or no "
     "user's memory",
     "if it is no user's memory, --physical with --force reads there"},
    {LENS_WRITE, ESTALE, MODULE,
     "that virtual address is not at that physical address, or not any more: the page was moved, "
     "swapped or copied",
     "translate it again"},
    {LENS_READ, ESTALE, MODULE,
     "that virtual address is not at that physical address, or not any more: the page was moved, "
     "swapped or copied",
     "translate it again"},
    {LENS_WRITE, EFAULT, MODULE, "there is no RAM at that physical address", NULL},
    {LENS_READ, EFAULT, MODULE, "there is no RAM at that physical address", NULL},
    {LENS_REPARENT, EPERM, MODULE,
     "it needs CAP_SYS_PTRACE over both, and neither may be a kernel thread, nor the child an init "
     "process",
     REMEDY_ROOT},
    {LENS_REPARENT, EINVAL, MODULE, "both are one process, or one of them is a thread of a process",
     "name processes: `matrix proc list --all` shows them"},
    {LENS_REPARENT, ELOOP, MODULE, "the new parent descends from it: there would be a circle",
     "move the new parent away first"},
    {LENS_REPARENT, EXDEV, MODULE, "they are in different pid namespaces", NULL},
    {LENS_REPARENT, EOPNOTSUPP, MODULE, "not on a PREEMPT_RT kernel",
     "boot a kernel without PREEMPT_RT"},
    {ANY, EPERM, MODULE, "it needs CAP_SYS_PTRACE over the process", REMEDY_ROOT},
    {ANY, EPERM, PROC, "the process is another user's, and CAP_SYS_PTRACE is missing", REMEDY_ROOT},
};

/* "process 12 (bash)"; without a name if it is gone, or was never there. */
static void describe_process(char *text, size_t size, pid_t pid)
{
    char path[64], name[16] = "";
    snprintf(path, sizeof(path), "/proc/%d/comm", pid);
    CLEANUP_FILE FILE *file = fopen(path, "re");
    const size_t length = file ? fread(name, 1, sizeof(name) - 1, file) : 0;
    name[length] = '\0';
    if (length && name[length - 1] == '\n')
        name[length - 1] = '\0';
    const int end = snprintf(text, size, "process %d", pid);
    if (name[0])
        snprintf(text + end, size - (size_t)end, " (%s)", name);
}

static void describe(char *text, size_t size, enum lens_request request,
                     const struct lens_subject *subject)
{
    const char *verb = request == LENS_READ ? "read" : "write";
    char process[64], other[64];
    describe_process(process, sizeof(process), subject->pid);
    switch (request) {
    case LENS_TRANSLATE:
        snprintf(text, size, "translate 0x%" PRIx64 " of %s", subject->virtual_address, process);
        return;
    case LENS_FOOTPRINT:
        snprintf(text, size, "measure the memory of %s", process);
        return;
    case LENS_READ:
    case LENS_WRITE:
        if (!subject->pid)
            snprintf(text, size, "%s physical address 0x%" PRIx64, verb, subject->physical_address);
        else if (subject->physical_address)
            snprintf(text, size, "%s 0x%" PRIx64 " of %s, at physical address 0x%" PRIx64, verb,
                     subject->virtual_address, process, subject->physical_address);
        else
            snprintf(text, size, "%s 0x%" PRIx64 " of %s", verb, subject->virtual_address, process);
        return;
    case LENS_CHILDREN:
        snprintf(text, size, "list the children of %s", process);
        return;
    case LENS_PROCESS:
        snprintf(text, size, "look at %s", process);
        return;
    case LENS_REPARENT:
        describe_process(other, sizeof(other), subject->parent_pid);
        snprintf(text, size, "make %s a child of %s", process, other);
        return;
    case LENS_RUNNING:
        snprintf(text, size, "list what runs");
        return;
    default:
        snprintf(text, size, "open %s", MATRIX_LENS_DEVICE);
    }
}

/* The static error for want of memory has a number of its own already. */
static struct matrix_error *number_error(struct matrix_error *error, int number)
{
    if (error->number == 0)
        error->number = number;
    return error;
}

struct matrix_error *lens_explain(enum lens_request request, const struct lens_subject *subject,
                                  int number)
{
    char what[256];
    describe(what, sizeof(what), request, subject);
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        if ((meanings[i].request != request && meanings[i].request != ANY) ||
            meanings[i].number != number ||
            (meanings[i].source == (subject->by_module ? PROC : MODULE)))
            continue;
        return number_error(
            error_new(MATRIX_ERROR_HOST, 0, meanings[i].remedy, "%s: %s", what, meanings[i].why),
            number);
    }
    return error_host(number, "%s", what);
}

struct matrix_error *lens_explain_missing(enum lens_request request,
                                          const struct lens_subject *subject,
                                          const struct matrix_error *why)
{
    char what[256];
    describe(what, sizeof(what), request, subject);
    return number_error(error_new(MATRIX_ERROR_HOST, 0,
                                  why ? why->remedy : "open the lens with MATRIX_LENS_BEST",
                                  "%s: only the kernel module matrix_lens can do this%s%s", what,
                                  why ? "; " : "", why ? why->message : ""),
                        EOPNOTSUPP);
}
