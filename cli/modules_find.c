// SPDX-License-Identifier: GPL-2.0-or-later
/* Finds the files of Matrix's kernel modules, and which of them are loaded; see modules.h. */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/installed.h"
#include "cli/modules.h"
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

const struct module_kind module_kinds[] = {
    {"helloworld", "greets in the kernel's log"},
    {"lkm1", "lists the processes that run"},
    {"lkm2", "lists the children of a process: pid="},
    {"lkm3", "translates an address of a process: pid=, address="},
    {"lkm4", "measures the memory of a process: pid="},
    {"hello_procfs", "/proc/hello_procfs"},
    {"get_pgfaults", "/proc/get_pgfaults, the page faults since boot"},
    {"matrix_lens", "/dev/matrix, the lens"},
    {NULL, NULL},
};

static bool same_name(const char *first, const char *second)
{
    for (; *first || *second; first++, second++)
        if ((*first == '-' ? '_' : *first) != (*second == '-' ? '_' : *second))
            return false;
    return true;
}

const struct module_kind *modules_find_kind(const char *name)
{
    for (const struct module_kind *kind = module_kinds; kind->name; kind++)
        if (same_name(kind->name, name))
            return kind;
    return NULL;
}

const char *modules_kernel(void)
{
    static struct utsname kernel;
    if (!kernel.release[0])
        uname(&kernel);
    return kernel.release;
}

bool modules_supported(void)
{
    return access("/proc/modules", F_OK) == 0;
}

struct matrix_error *modules_open(struct kmod_ctx **context)
{
    *context = kmod_new(NULL, NULL);
    if (!*context)
        return error_host(errno ? errno : ENOMEM, "start libkmod");
    kmod_set_log_priority(*context, 0);
    return NULL;
}

/* "lkm1 16384 0 - Live 0x0 (O)": the name, bytes, users. */
static void look_loaded(const char *name, struct module_state *state)
{
    CLEANUP_FILE FILE *file = fopen("/proc/modules", "re");
    CLEANUP_FREE char *line = NULL;
    size_t size = 0;
    while (file && getline(&line, &size, file) > 0) {
        char *rest = line, *end;
        const char *found = strsep(&rest, " ");
        const char *bytes = strsep(&rest, " ");
        if (!bytes || !rest || !same_name(found, name))
            continue;
        const unsigned long users = strtoul(rest, &end, 10);
        state->loaded = true;
        state->users = end == rest ? 0 : (unsigned)users;
    }
}

/* The kernel that a file was built for: the first word of its vermagic; empty if there is none. */
static void read_kernel(struct kmod_module *module, char release[RELEASE_BYTES])
{
    struct kmod_list *list = NULL, *item;
    release[0] = '\0';
    if (kmod_module_get_info(module, &list) < 0)
        return;
    kmod_list_foreach(item, list)
    {
        const char *value = kmod_module_info_get_value(item);
        if (strcmp(kmod_module_info_get_key(item), "vermagic") == 0 && value)
            snprintf(release, RELEASE_BYTES, "%.*s", (int)strcspn(value, " "), value);
    }
    kmod_module_info_free_list(list);
}

/* Takes a file if it fits, or if there was none yet; true if it fits. */
static bool consider(struct kmod_ctx *context, const char *path, struct module_state *state)
{
    struct kmod_module *module;
    char release[RELEASE_BYTES];
    if (kmod_module_new_from_path(context, path, &module) < 0)
        return false;
    read_kernel(module, release);
    kmod_module_unref(module);
    const bool fits = strcmp(release, modules_kernel()) == 0;
    if (fits || !state->file[0]) {
        snprintf(state->file, sizeof(state->file), "%s", path);
        snprintf(state->built_for, sizeof(state->built_for), "%s",
                 release[0] ? release : "an unknown kernel");
        state->fits = fits;
    }
    return fits;
}

/* KERNEL/NAME.ko below modules/ of a build tree, for whichever kernels there are. */
static bool look_in_tree(struct kmod_ctx *context, const char *name, struct module_state *state)
{
    char directory[PATH_MAX], path[PATH_MAX];
    if (!installed_find(INSTALLED_MODULES, "", directory))
        return false;
    DIR *kernels = opendir(directory);
    const struct dirent *entry;
    bool fits = false;
    while (kernels && !fits && (entry = readdir(kernels))) {
        const int length =
            snprintf(path, sizeof(path), "%s%s/%s.ko", directory, entry->d_name, name);
        fits = entry->d_name[0] != '.' && length < (int)sizeof(path) && access(path, F_OK) == 0 &&
               consider(context, path, state);
    }
    if (kernels)
        closedir(kernels);
    return fits;
}

/* As modprobe finds it: in /lib/modules of this kernel, where DKMS puts it. */
static void look_installed(struct kmod_ctx *context, const char *name, struct module_state *state)
{
    struct kmod_list *list = NULL, *item;
    if (kmod_module_new_from_lookup(context, name, &list) < 0)
        return;
    kmod_list_foreach(item, list)
    {
        struct kmod_module *module = kmod_module_get_module(item);
        const char *path = kmod_module_get_path(module);
        if (path)
            consider(context, path, state);
        kmod_module_unref(module);
    }
    kmod_module_unref_list(list);
}

void modules_look(struct kmod_ctx *context, const char *name, struct module_state *state)
{
    *state = (struct module_state){0};
    look_loaded(name, state);
    if (!look_in_tree(context, name, state))
        look_installed(context, name, state);
}
