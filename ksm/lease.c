// SPDX-License-Identifier: GPL-2.0-or-later
/* The right to change the knobs of KSM, and putting them back; see lease.h. */
#include "ksm/lease.h"

#include "base/cleanup.h"
#include "base/error.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

/* How often, every 50 ms, the lock is tried by who would mend. */
#define MEND_TRIES 20

struct ksm_places ksm_places(void)
{
    const char *journal = getenv(KSM_JOURNAL_VARIABLE);
    return (struct ksm_places){
        .directory = KSM_DIRECTORY,
        .lock = KSM_LOCK_PATH,
        .journal = journal && *journal ? journal : KSM_JOURNAL_PATH,
    };
}

/* --- the lock -------------------------------------------------------------------------------- */

/* The pid that holds a lock on the file, by /proc/locks; 0: it is not told. */
static int find_holder(const struct stat *file)
{
    CLEANUP_FILE FILE *locks = fopen("/proc/locks", "re");
    char line[256];
    while (locks && fgets(line, sizeof(line), locks)) {
        int pid;
        unsigned major, minor;
        uint64_t inode;
        /* "1: FLOCK  ADVISORY  WRITE 1234 00:1a:5678 0 EOF"; who only waits has "->" there. */
        if (sscanf(line, "%*d: %*s %*s %*s %d %x:%x:%" SCNu64, &pid, &major, &minor, &inode) == 4 &&
            inode == file->st_ino && makedev(major, minor) == file->st_dev)
            return pid;
    }
    return 0;
}

/* The name of a process; false: it has ended. */
static bool read_name(pid_t pid, char name[32])
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/comm", pid);
    CLEANUP_FILE FILE *file = fopen(path, "re");
    if (!file || !fgets(name, 32, file))
        return false;
    name[strcspn(name, "\n")] = '\0';
    return true;
}

static struct matrix_error *tell_holder(pid_t pid, const char *path)
{
    static const char remedy[] = "wait until it has ended, or end it: it puts the knobs back";
    char name[32];
    if (pid <= 0)
        return error_new(MATRIX_ERROR_HOST, 0, remedy,
                         "take the knobs of KSM: another process holds %s", path);
    if (!read_name(pid, name))
        return error_new(MATRIX_ERROR_HOST, 0, "`fuser /run/lock/matrix-ksm` tells who has it now",
                         "take the knobs of KSM: process %d locked %s and has ended, but one that "
                         "it started still has it open",
                         pid, path);
    return error_new(MATRIX_ERROR_HOST, 0, remedy,
                     "take the knobs of KSM: process %d (%s) has them", pid, name);
}

/* /run/lock, which a machine without an init system need not have: the lab's. */
static void make_directory(const char *path)
{
    char directory[PATH_MAX];
    snprintf(directory, sizeof(directory), "%s", path);
    char *slash = strrchr(directory, '/');
    if (slash)
        *slash = '\0';
    /* If it cannot be made the lock cannot, either, and says so. As the system has it. */
    if (slash && mkdir(directory, 01777) == 0)
        chmod(directory, 01777);
}

/*
 * Everybody may make files in that directory, and may lock whatever file can be opened: the lock is
 * one that is ours, and that nobody else can open.
 */
static struct matrix_error *check_lock(int fd, const char *path)
{
    struct stat file;
    if (fstat(fd, &file))
        return error_host(errno, "look at the lock %s", path);
    if (!S_ISREG(file.st_mode) || file.st_nlink != 1 || file.st_uid != geteuid())
        return error_new(MATRIX_ERROR_HOST, 0, "as root, look at it and delete it",
                         "open the lock %s: what is there is no file that user %u alone has made",
                         path, geteuid());
    if (file.st_mode & 077 && fchmod(fd, 0600))
        return error_host(errno, "keep others from opening the lock %s", path);
    return NULL;
}

static struct matrix_error *open_lock(const char *path, int *fd)
{
    /* Without O_CREAT first: it fails on what is another's where fs.protected_regular is set. */
    const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    make_directory(path);
    *fd = open(path, flags);
    if (*fd < 0 && errno == ENOENT)
        *fd = open(path, flags | O_CREAT, 0600);
    if (*fd < 0)
        return error_new(MATRIX_ERROR_HOST, errno,
                         errno == ELOOP    ? "it is a symbolic link: as root, delete it"
                         : errno == EACCES ? "run it as root, or with --lab"
                                           : NULL,
                         "open the lock %s", path);
    return check_lock(*fd, path);
}

#define NOT_BUSY (-1)

/*
 * *fd: the lock, held; -1 where it failed. *holder: where another has it, its pid, or 0 when that is
 * not told; else NOT_BUSY.
 */
static struct matrix_error *take_lock(const char *path, int *fd, pid_t *holder)
{
    struct stat file;
    *holder = NOT_BUSY;
    struct matrix_error *error = open_lock(path, fd);
    if (!error && flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return NULL;
    if (!error && errno == EWOULDBLOCK) {
        *holder = fstat(*fd, &file) ? 0 : find_holder(&file);
        error = tell_holder(*holder, path);
    } else if (!error) {
        error = error_host(errno, "lock %s", path);
    }
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return error;
}

/* --- putting back ---------------------------------------------------------------------------- */

static bool is(const struct ksm_knobs *knobs, enum ksm_knob knob, const char *text)
{
    return strcmp(knobs->text[knob], text) == 0;
}

static bool differs(const struct ksm_knobs *first, const struct ksm_knobs *second,
                    enum ksm_knob knob)
{
    return first->text[knob][0] && strcmp(first->text[knob], second->text[knob]) != 0;
}

/*
 * Unmerges what was merged since: where it must be so that a knob can change at all, and where
 * ksmd was off and nothing was merged. What had been merged before and ksmd stopped stays merged.
 */
static struct matrix_error *unmerge(const struct ksm_places *places,
                                    const struct ksm_journal *before, const struct ksm_knobs *now)
{
    int64_t shared = 0;
    const bool stuck = differs(&before->knobs, now, KSM_KNOB_MAX_PAGE_SHARING) ||
                       differs(&before->knobs, now, KSM_KNOB_MERGE_ACROSS_NODES);
    const bool was_off = is(&before->knobs, KSM_KNOB_RUN, "0") && before->pages_shared == 0;
    if (!ksm_counter_read(places->directory, "pages_shared", &shared))
        return error_host(errno, "read %s/pages_shared", places->directory);
    if (!(shared || !is(now, KSM_KNOB_RUN, "0")) || !(stuck || was_off))
        return NULL;
    return ksm_knob_write(places->directory, KSM_KNOB_RUN, "2");
}

static struct matrix_error *put_back(const struct ksm_places *places,
                                     const struct ksm_journal *before)
{
    struct ksm_knobs now, wanted = before->knobs;
    RETURN_IF_ERROR(ksm_knobs_read(places->directory, &now));
    /* With the advisor on, pages_to_scan is the advisor's. */
    if (is(&wanted, KSM_KNOB_ADVISOR_MODE, "scan-time"))
        wanted.text[KSM_KNOB_PAGES_TO_SCAN][0] = '\0';
    struct matrix_error *error = unmerge(places, before, &now);
    /* As much as can be, even if that failed. */
    struct matrix_error *second = ksm_knobs_write(places->directory, &wanted);
    if (error)
        matrix_error_free(second);
    else
        error = second;
    if (error)
        return error_prefix(error, "put the knobs of KSM back");
    return ksm_journal_remove(places->journal);
}

/* With the lock held: puts back what a killed holder left. */
static struct matrix_error *mend_locked(const struct ksm_places *places, bool *mended)
{
    struct ksm_journal stale, here;
    bool found;
    *mended = false;
    RETURN_IF_ERROR(ksm_journal_read(places->journal, &stale, &found));
    if (!found)
        return NULL;
    RETURN_IF_ERROR(ksm_journal_begin(&here));
    if (strcmp(here.boot_id, stale.boot_id) != 0)
        return ksm_journal_remove(places->journal);
    RETURN_IF_ERROR(put_back(places, &stale));
    *mended = true;
    return NULL;
}

/* Whether the journal is of an experiment that goes on, or gone: nothing is to be mended. */
static bool is_in_use(const char *path, pid_t holder)
{
    struct ksm_journal journal = {0};
    char name[32];
    bool found;
    CLEANUP_ERROR struct matrix_error *error = ksm_journal_read(path, &journal, &found);
    if (!found)
        return !error;
    return !error && (holder == 0 || holder == journal.pid) && read_name(journal.pid, name);
}

static struct matrix_error *cannot_mend(const char *path, pid_t holder)
{
    static const char remedy[] = "end it if it is no experiment; then `matrix doctor` mends it";
    char name[32];
    if (holder > 0 && read_name(holder, name))
        return error_new(MATRIX_ERROR_HOST, 0, remedy, "process %d (%s) holds the lock %s", holder,
                         name, path);
    return error_new(MATRIX_ERROR_HOST, 0, "`fuser` tells who it is; then `matrix doctor` mends it",
                     "a process holds the lock %s that is no experiment which goes on", path);
}

struct matrix_error *ksm_lease_mend(struct ksm_places places, bool *mended)
{
    static const struct timespec pause = {.tv_nsec = 50000000};
    struct matrix_error *error;
    pid_t holder;
    int fd;
    *mended = false;
    /* The usual case costs one call. */
    if (access(places.journal, F_OK))
        return NULL;
    /* An experiment that begins mends it, and has its own journal then. */
    for (int tries = 0; (error = take_lock(places.lock, &fd, &holder)) && holder != NOT_BUSY;) {
        matrix_error_free(error);
        if (is_in_use(places.journal, holder))
            return NULL;
        if (++tries == MEND_TRIES) {
            error = cannot_mend(places.lock, holder);
            break;
        }
        nanosleep(&pause, NULL);
    }
    if (!error) {
        error = mend_locked(&places, mended);
        close(fd);
    }
    return error_prefix(error, "mend what a killed experiment left");
}

/* --- the lease ------------------------------------------------------------------------------- */

struct matrix_error *ksm_lease_begin(struct ksm_places places, struct ksm_lease *lease)
{
    bool ignored;
    pid_t holder;
    int64_t shared = 0;
    *lease = (struct ksm_lease){.places = places, .lock_fd = -1};
    /* First: says best what is missing. */
    RETURN_IF_ERROR(ksm_knobs_read(places.directory, &lease->before.knobs));
    RETURN_IF_ERROR(take_lock(places.lock, &lease->lock_fd, &holder));
    struct matrix_error *error = mend_locked(&places, &ignored);
    if (!error)
        error = ksm_journal_begin(&lease->before);
    if (!error)
        error = ksm_knobs_read(places.directory, &lease->before.knobs);
    if (!error && ksm_counter_read(places.directory, "pages_shared", &shared))
        lease->before.pages_shared = (uint64_t)shared;
    if (!error)
        error = ksm_journal_write(places.journal, &lease->before);
    if (error) {
        close(lease->lock_fd);
        lease->lock_fd = -1;
    }
    return error;
}

struct matrix_error *ksm_lease_set(struct ksm_lease *lease, const struct ksm_knobs *knobs)
{
    return ksm_knobs_write(lease->places.directory, knobs);
}

struct matrix_error *ksm_lease_end(struct ksm_lease *lease)
{
    if (lease->lock_fd < 0)
        return NULL;
    struct matrix_error *error = put_back(&lease->places, &lease->before);
    close(lease->lock_fd);
    lease->lock_fd = -1;
    return error;
}
