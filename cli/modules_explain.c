// SPDX-License-Identifier: GPL-2.0-or-later
/* Why a kernel module could not be loaded or unloaded, and what would help; see modules.h. */
#include "base/cleanup.h"
#include "base/error.h"
#include "cli/modules.h"
#include <dirent.h>
#include <errno.h>
#include <matrix/uapi/matrix_lens.h>
#include <stdlib.h>
#include <string.h>

#define REMEDY_BUILD "build it: `make modules` for the lab, `make install` with dkms for this host"
#define REMEDY_LAB   "use it in the lab: matrix lab shell"

/* What is chosen in "none [integrity] confidentiality"; false: no lockdown. */
static bool is_locked_down(void)
{
    char line[128] = "";
    CLEANUP_FILE FILE *file = fopen("/sys/kernel/security/lockdown", "re");
    return file && fgets(line, sizeof(line), file) && strchr(line, '[') && !strstr(line, "[none]");
}

static bool is_disabled(void)
{
    char line[16] = "";
    CLEANUP_FILE FILE *file = fopen("/proc/sys/kernel/modules_disabled", "re");
    return file && fgets(line, sizeof(line), file) && line[0] == '1';
}

/* Whether this process has CAP_SYS_MODULE. */
static bool may_load(void)
{
    char line[128];
    CLEANUP_FILE FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof(line), file))
        if (strncmp(line, "CapEff:", strlen("CapEff:")) == 0)
            return strtoull(line + strlen("CapEff:"), NULL, 16) >> 16 & 1;
    return geteuid() == 0;
}

struct matrix_error *modules_explain_unsupported(const char *action, const char *name)
{
    return error_new(MATRIX_ERROR_HOST, 0, REMEDY_LAB ", or boot a kernel with CONFIG_MODULES",
                     "%s %s: the kernel %s has no modules (there is no /proc/modules)", action,
                     name, modules_kernel());
}

struct matrix_error *modules_explain_missing(const char *name, const struct module_state *state)
{
    char headers[256], remedy[512];
    if (state->file[0])
        return error_new(MATRIX_ERROR_HOST, 0, REMEDY_BUILD,
                         "load %s: %s is for %s, and this kernel is %s", name, state->file,
                         state->built_for, modules_kernel());
    snprintf(headers, sizeof(headers), "/lib/modules/%s/build", modules_kernel());
    const bool has_headers = access(headers, F_OK) == 0;
    if (!has_headers)
        snprintf(remedy, sizeof(remedy),
                 "its headers are missing, too: apt-get install linux-headers-%s; then `make "
                 "install` with dkms",
                 modules_kernel());
    return error_new(MATRIX_ERROR_HOST, 0, has_headers ? REMEDY_BUILD : remedy,
                     "load %s: there is no %s.ko for kernel %s, in the build tree or in "
                     "/lib/modules",
                     name, name, modules_kernel());
}

static struct matrix_error *explain_refused(const char *name)
{
    if (!may_load())
        return error_new(MATRIX_ERROR_HOST, 0, "run it as root", "load %s: it needs CAP_SYS_MODULE",
                         name);
    if (is_disabled())
        return error_new(MATRIX_ERROR_HOST, 0, "boot again, or " REMEDY_LAB,
                         "load %s: modules are disabled till the next boot "
                         "(/proc/sys/kernel/modules_disabled)",
                         name);
    if (is_locked_down())
        return error_new(MATRIX_ERROR_HOST, 0,
                         "sign the module, or switch Secure Boot off, or " REMEDY_LAB,
                         "load %s: the kernel is locked down, and loads what is signed only", name);
    return error_new(MATRIX_ERROR_HOST, 0, REMEDY_LAB,
                     "load %s: the kernel refuses, in a container or by a security module", name);
}

/* What the kernel means by an errno in answer to finit_module(2). */
static const struct {
    int number;
    const char *why, *remedy;
} load_meanings[] = {
    {ENOEXEC, "the kernel takes it for a module of another build", REMEDY_BUILD},
    {EKEYREJECTED, "the kernel wants a signature by a key that it knows",
     "sign it (CONFIG_MODULE_SIG_FORCE, Secure Boot), or " REMEDY_LAB},
    {ENOKEY, "the kernel wants a signature by a key that it knows",
     "sign it (CONFIG_MODULE_SIG_FORCE, Secure Boot), or " REMEDY_LAB},
    {EBADMSG, "its signature is broken", REMEDY_BUILD},
    {ENOENT, "the kernel has not all symbols that it needs; the log names them", REMEDY_BUILD},
    {EINVAL, "the kernel refuses a parameter, or the file; the log says which",
     "dmesg | tail; `modinfo -p` with that file lists the parameters"},
    {ESRCH, "there is no such process, or it has ended", "give pid= the number of one"},
    {ENOMEM, "the kernel has no memory for it", NULL},
    {ENOSYS, "this kernel has no modules", REMEDY_LAB},
};

struct matrix_error *modules_explain_load(const char *name, const struct module_state *state,
                                          int number)
{
    if (number == EPERM || number == EACCES)
        return explain_refused(name);
    for (size_t i = 0; i < sizeof(load_meanings) / sizeof(load_meanings[0]); i++)
        if (load_meanings[i].number == number)
            return error_new(MATRIX_ERROR_HOST, 0, load_meanings[i].remedy, "load %s: %s",
                             state->file, load_meanings[i].why);
    return error_new(MATRIX_ERROR_HOST, number, "the kernel's log may say more: dmesg | tail",
                     "load %s", state->file);
}

/* --- unloading -------------------------------------------------------------------------------- */

/* Whether one of the open files of a process is the lens's device. */
static bool holds_device(const char *pid)
{
    char path[NAME_MAX + 16], target[64];
    snprintf(path, sizeof(path), "/proc/%s/fd", pid);
    DIR *files = opendir(path);
    const struct dirent *entry;
    bool holds = false;
    while (files && !holds && (entry = readdir(files))) {
        const ssize_t length = readlinkat(dirfd(files), entry->d_name, target, sizeof(target) - 1);
        target[length > 0 ? length : 0] = '\0';
        holds = strcmp(target, MATRIX_LENS_DEVICE) == 0;
    }
    if (files)
        closedir(files);
    return holds;
}

/* "12 (matrix-proc), 15 (poker)": who has the device open. As many as fit. */
static void list_holders(char *text, size_t size)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    size_t length = 0;
    text[0] = '\0';
    while (proc && length < size && (entry = readdir(proc))) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
            strtol(entry->d_name, NULL, 10) == getpid() || !holds_device(entry->d_name))
            continue;
        char path[NAME_MAX + 16], name[32] = "";
        snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
        CLEANUP_FILE FILE *file = fopen(path, "re");
        if (file && fgets(name, sizeof(name), file))
            name[strcspn(name, "\n")] = '\0';
        length += (size_t)snprintf(text + length, size - length, "%s%s (%s)", length ? ", " : "",
                                   entry->d_name, name);
    }
    if (proc)
        closedir(proc);
}

struct matrix_error *modules_explain_unload(const char *name, int number)
{
    char holders[512];
    switch (number) {
    case ENOENT:
        return error_new(MATRIX_ERROR_HOST, 0, "`matrix modules status` shows what is loaded",
                         "unload %s: it is not loaded", name);
    case EBUSY:
    case EAGAIN: /* which is also EWOULDBLOCK */
        list_holders(holders, sizeof(holders));
        if (strcmp(name, MODULES_DEFAULT) == 0 && holders[0])
            return error_new(MATRIX_ERROR_HOST, 0, "end these processes first",
                             "unload %s: these have " MATRIX_LENS_DEVICE " open: %s", name,
                             holders);
        return error_new(MATRIX_ERROR_HOST, 0, "end who uses it, and try again",
                         "unload %s: it is in use", name);
    case EPERM:
        return may_load() ? error_new(MATRIX_ERROR_HOST, 0, REMEDY_LAB,
                                      "unload %s: the kernel refuses", name)
                          : error_new(MATRIX_ERROR_HOST, 0, "run it as root",
                                      "unload %s: it needs CAP_SYS_MODULE", name);
    default:
        return error_host(number, "unload %s", name);
    }
}
